//! Why a node stands where it stands, in every operation that has to do with it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::SCHEMA_VERSION;
use crate::plan::Decision;
use crate::round::Round;
use crate::snapshot::views::Node;

/// The explanation as text; None if there is no such node and no operation knows it.
pub fn render(round: &Round, name: &str) -> Option<String> {
    let node = round.snapshot.nodes.get(name);
    let concerned: Vec<&Decision> = concerned(round, name).collect();
    if node.is_none() && concerned.is_empty() {
        return None;
    }
    let mut text = node.map_or_else(|| format!("node {name} does not exist (any more)\n"), describe);
    if concerned.is_empty() {
        text.push_str("\nNo operation has to do with it: no selector matches its labels.\n");
    }
    for decision in concerned {
        let why = &decision.nodes[name];
        let status = crate::round::status_after(&round.snapshot, decision);
        // Writing into a String does not fail.
        let _ = writeln!(text, "\n{}: {}", decision.subject, why.reason);
        let _ = writeln!(text, "  {}", why.message);
        let _ = writeln!(text, "  ({})", why.reason.meaning());
        if let Some(entry) = status.node_statuses.get(name) {
            let step = entry.step.map(|step| format!(", step {step:?}")).unwrap_or_default();
            let since =
                entry.reason_since.as_ref().or(entry.last_updated.as_ref()).map(|since| format!(", since {}", since.0)).unwrap_or_default();
            let _ = writeln!(text, "  phase {:?}{step}{since}", entry.phase);
            if let Some(job) = &entry.job_name {
                let _ = writeln!(text, "  log: kubectl -n {} logs job/{job} --all-containers", decision.subject.namespace);
            }
        }
        let _ = writeln!(text, "  the operation: {} ({})", decision.message, decision.reason);
    }
    Some(text)
}

/// The explanation as JSON.
pub fn json(round: &Round, name: &str) -> Option<Value> {
    let node = round.snapshot.nodes.get(name);
    let operations: Vec<Value> = concerned(round, name)
        .map(|decision| {
            let why = &decision.nodes[name];
            json!({
                "resource": decision.subject,
                "reason": why.reason,
                "message": why.message,
                "meaning": why.reason.meaning(),
                "entry": crate::round::status_after(&round.snapshot, decision).node_statuses.get(name),
                "operation": {"reason": decision.reason, "message": decision.message},
            })
        })
        .collect();
    (node.is_some() || !operations.is_empty()).then(|| json!({"schemaVersion": SCHEMA_VERSION, "node": node, "operations": operations}))
}

/// Names that are most like one that does not exist.
pub fn similar(round: &Round, name: &str) -> Vec<String> {
    let ratio = |other: &str| similar::TextDiff::from_chars(name, other).ratio();
    let mut names: Vec<(&String, f32)> =
        round.snapshot.nodes.keys().map(|other| (other, ratio(other))).filter(|(_, ratio)| *ratio > 0.5).collect();
    names.sort_by(|a, b| b.1.total_cmp(&a.1));
    names.into_iter().take(3).map(|(name, _)| name.clone()).collect()
}

fn concerned<'a>(round: &'a Round, name: &'a str) -> impl Iterator<Item = &'a Decision> {
    round.plan.decisions.iter().filter(move |decision| decision.nodes.contains_key(name))
}

fn describe(node: &Node) -> String {
    let ready = if node.ready { "Ready" } else { "not Ready" };
    let mut text = format!("node {}: {ready}", node.name);
    if node.unschedulable {
        let by = node.cordoned_by.as_ref().map_or_else(|| node.cordon_managers.join(", "), |holder| holder.path().to_string());
        let _ = write!(text, ", cordoned{}", if by.is_empty() { String::new() } else { format!(" by {by}") });
    }
    if let Some(lock) = &node.lock {
        let _ = write!(text, ", held by {}", lock.path());
    }
    text + "\n"
}
