//! A plan for people: per resource its reason, what becomes of its status, its steps, and why each node stands where it
//! stands.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::SCHEMA_VERSION;
use super::paint::Tone;
use super::words::{self, count};
use crate::plan::{Decision, Plan, Step};

/// Nodes, or changes, that are listed one by one; beyond that they are counted.
const LISTED: usize = 8;

/// The plan as text.
pub fn render(plan: &Plan) -> String {
    if plan.decisions.is_empty() {
        return "Nothing to decide: there are no resources.\n".into();
    }
    let mut text: String = plan.decisions.iter().map(decision).collect();
    text += &format!("{}\n", total(plan));
    text
}

/// How much a round would write, in one sentence.
pub fn total(plan: &Plan) -> String {
    let resources = count(plan.decisions.len(), "resource");
    let statuses = plan.decisions.iter().filter(|decision| decision.status.is_some()).count();
    let actions: usize = plan.decisions.iter().flat_map(|decision| &decision.steps).map(|step| step.actions.len()).sum();
    match statuses + actions {
        0 => format!("No changes: a round would write nothing ({resources})."),
        _ => format!("A round would write {} and {} ({resources}).", count_of(statuses, "status", "statuses"), count(actions, "object")),
    }
}

/// The plan as JSON.
pub fn json(plan: &Plan) -> Value {
    json!({"schemaVersion": SCHEMA_VERSION, "changes": !plan.is_empty(), "decisions": plan.decisions})
}

fn count_of(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

// Writing into a String does not fail: the results are dropped.
fn decision(decision: &Decision) -> String {
    let title = Tone::Strong.paint(&decision.subject.to_string());
    let mut text = format!("{title}: {}\n  {}\n", Tone::of_decision(decision).paint(decision.reason.code()), decision.message);
    if let Some(write) = &decision.status {
        let _ = writeln!(text, "  Status");
        for line in status_changes(&write.before.tree(), &write.status.tree()) {
            let _ = writeln!(text, "    {line}");
        }
    }
    if !decision.steps.is_empty() {
        let _ = writeln!(text, "  Steps");
        text.extend(grouped(&decision.steps).into_iter().map(step));
    }
    if !decision.nodes.is_empty() {
        let _ = writeln!(text, "  Nodes");
        for group in words::groups(&decision.nodes) {
            let message = if group.message.is_empty() { group.reason.meaning() } else { group.message };
            let names = words::names(&group.nodes, LISTED);
            let _ = writeln!(text, "    {names}: {}: {message}", Tone::of(group.reason).paint(group.reason.code()));
        }
    }
    text + "\n"
}

/// Steps about the same object for the same reason, side by side.
fn grouped(steps: &[Step]) -> Vec<Vec<&Step>> {
    let mut groups: Vec<Vec<&Step>> = Vec::new();
    for step in steps {
        let same = |group: &Vec<&Step>| group.first().is_some_and(|first| first.subject == step.subject);
        match groups.iter_mut().find(|group| same(group)) {
            Some(group) => group.push(step),
            None => groups.push(vec![step]),
        }
    }
    groups
}

fn step(steps: Vec<&Step>) -> String {
    let Some(first) = steps.first() else { return String::new() };
    let mut text = format!("    {}\n", first.subject);
    for step in &steps {
        let _ = writeln!(text, "      {}: {}", step.reason, step.message);
        for action in &step.actions {
            let _ = writeln!(text, "        - {}", action.summary());
        }
    }
    text
}

/// What becomes of a status, in a few lines.
pub fn status_changes(before: &Value, after: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let word = |status: &Value, key: &str| status[key].as_str().unwrap_or("-").to_string();
    let standing = |status: &Value| match status["phase"].is_null() {
        true => "nothing yet".to_string(),
        false => format!("{} {}", word(status, "phase"), word(status, "progress")),
    };
    match (standing(before), standing(after)) {
        (old, new) if old == new => {}
        (old, new) => lines.push(format!("{old} -> {new}")),
    }
    let entry = |status: &Value, node: &str| {
        let entry = &status["nodeStatuses"][node];
        let reason = entry["reason"].as_str().or(entry["step"].as_str()).or(entry["phase"].as_str()).unwrap_or("not started");
        format!("{}/{reason}", entry["step"].as_str().or(entry["phase"].as_str()).unwrap_or("-"))
    };
    let names =
        |status: &Value| status["nodeStatuses"].as_object().into_iter().flat_map(|all| all.keys().cloned()).collect::<BTreeSet<_>>();
    let mut changes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in names(before).union(&names(after)) {
        if before["nodeStatuses"][node] != after["nodeStatuses"][node] {
            changes.entry(change(&entry(before, node), &entry(after, node))).or_default().push(node.clone());
        }
    }
    let many = changes.len().saturating_sub(LISTED);
    for (change, nodes) in changes.into_iter().take(LISTED) {
        let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
        lines.push(format!("{}: {change}", words::names(&nodes, LISTED)));
    }
    if many > 0 {
        lines.push(format!("and {} more", count(many, "kind of change")));
    }
    if lines.is_empty() {
        let keys: BTreeSet<&String> = [before, after].into_iter().filter_map(Value::as_object).flat_map(|status| status.keys()).collect();
        let changed: Vec<&str> =
            keys.into_iter().filter(|key| before[*key] != after[*key] && *key != "lastUpdated").map(String::as_str).collect();
        lines.push(format!("{} change{}", changed.join(", "), if changed.len() == 1 { "s" } else { "" }));
    }
    lines
}

/// `-/not started -> Locking/Locking` as people read it.
fn change(before: &str, after: &str) -> String {
    let short = |place: &str| match place.split_once('/') {
        Some(("-", reason)) => reason.to_string(),
        Some((step, reason)) if step == reason => step.to_string(),
        Some((step, reason)) => format!("{step} ({reason})"),
        None => place.to_string(),
    };
    if before == after { format!("{}, in detail", short(after)) } else { format!("{} -> {}", short(before), short(after)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::cases::{self, plain};

    #[test]
    fn a_plan_says_what_it_would_do_and_why_every_node_stands_where_it_stands() {
        let round = cases::planned();
        assert_eq!(
            plain(&render(&round.plan)),
            "\
NodeOp default/op: Progressing
  1 of 4 nodes in flight, 1 done
  Status
    Pending 1/4 -> Running 1/4
    n2: not started -> Locking
  Steps
    Node n2
      Locking: take the node
        - lock and cordon Node n2
  Nodes
    n1: CommandFailed: exit code 3
    n2: Locking: the lock is being taken
    n3, n4: WaitingForSlot: 1 of 1 slots are taken

A round would write 1 status and 1 object (1 resource).
"
        );
    }

    #[test]
    fn an_empty_plan_says_so() {
        assert_eq!(render(&Plan::default()), "Nothing to decide: there are no resources.\n");
        let mut round = cases::planned();
        round.plan.decisions[0].status = None;
        round.plan.decisions[0].steps.clear();
        assert!(render(&round.plan).ends_with("No changes: a round would write nothing (1 resource).\n"));
        assert_eq!(json(&round.plan)["changes"], false);
    }

    #[test]
    fn a_status_in_which_only_a_detail_changes_names_the_detail() {
        let before = json!({"phase": "Running", "message": "a", "lastUpdated": "1"});
        let after = json!({"phase": "Running", "message": "b", "lastUpdated": "2"});
        assert_eq!(status_changes(&before, &after), ["message changes"]);
        let first = json!({"phase": "Pending", "progress": "0/3"});
        assert_eq!(status_changes(&json!({}), &first), ["nothing yet -> Pending 0/3"]);
    }
}
