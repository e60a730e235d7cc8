//! A plan for people: per resource its reason, its new status, its steps, and why each node stands where it stands.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::SCHEMA_VERSION;
use crate::plan::{Decision, Plan};
use crate::reason::Reason;

/// Nodes that are listed one by one for one reason; beyond that they are counted.
const LISTED: usize = 8;

/// The plan as text.
pub fn render(plan: &Plan) -> String {
    if plan.decisions.is_empty() {
        return "Nothing to decide: there are no resources.\n".into();
    }
    let mut text: String = plan.decisions.iter().map(decision).collect();
    let writes = plan.decisions.iter().map(|d| usize::from(d.status.is_some()) + d.steps.iter().map(|s| s.actions.len()).sum::<usize>());
    match writes.sum::<usize>() {
        0 => text.push_str("No changes: a round would write nothing.\n"),
        1 => text.push_str("A round would write once.\n"),
        writes => text.push_str(&format!("A round would write {writes} times.\n")),
    }
    text
}

/// The plan as JSON.
pub fn json(plan: &Plan) -> Value {
    json!({"schemaVersion": SCHEMA_VERSION, "changes": !plan.is_empty(), "decisions": plan.decisions})
}

fn decision(decision: &Decision) -> String {
    let mut text = format!("{}: {}\n  {}\n", decision.subject, decision.reason, decision.message);
    if let Some(write) = &decision.status {
        let phase = |status: &Value| status["phase"].as_str().unwrap_or("-").to_string();
        let progress = |status: &Value| status["progress"].as_str().unwrap_or("-").to_string();
        let (before, after) = (&write.before, &write.status);
        // Writing into a String does not fail.
        let _ = writeln!(text, "  status: {} {} -> {} {}", phase(before), progress(before), phase(after), progress(after));
    }
    for step in &decision.steps {
        for action in &step.actions {
            let _ = writeln!(text, "  - {}  ({}: {})", action.summary(), step.reason, step.message);
        }
    }
    text + &nodes(decision) + "\n"
}

/// Nodes by reason and message.
fn nodes(decision: &Decision) -> String {
    let mut groups: BTreeMap<(Reason, &str), Vec<&str>> = BTreeMap::new();
    for (node, why) in &decision.nodes {
        groups.entry((why.reason, &why.message)).or_default().push(node);
    }
    let line = |((reason, message), nodes): ((Reason, &str), Vec<&str>)| {
        let more = nodes.len().saturating_sub(LISTED);
        let names = nodes[..nodes.len() - more].join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("  {names}{more}: {reason}: {message}\n")
    };
    groups.into_iter().map(line).collect()
}
