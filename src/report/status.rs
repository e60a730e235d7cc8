//! Where operations stand: a table of all, one of them node by node, and the same for programs.

use std::fmt::Debug;

use serde_json::{Value, json};

use super::artifact;
use super::channel;
use super::paint::Tone;
use super::table::{self, Cell};
use super::words::{age, count, names};
use super::{SCHEMA_VERSION, words};
use crate::nodeop::api::{NodeOpStatus, NodePhase, NodeStatus};
use crate::plan::{Decision, NodeReason};
use crate::reason::Reason;
use crate::round::{Round, status_after};
use crate::upgrade::{self, api::NodeOpUpgradeStatus, child::Child};

/// Failed nodes that are listed per operation, and nodes per reason in a long list.
const LISTED: usize = 10;
/// Up to so many nodes are listed one by one.
const FEW: usize = 100;

/// All operations, a line each, and the nodes that failed.
pub fn overview(round: &Round) -> String {
    let operations: Vec<(&Decision, NodeOpStatus)> = operations(round).collect();
    let upgrades: Vec<Vec<Cell>> = upgrades(round).map(|(decision, status)| upgrade_row(decision, &status)).collect();
    if operations.is_empty()
        && upgrades.is_empty()
        && artifact::decisions(round).next().is_none()
        && channel::decisions(round).next().is_none()
    {
        return format!("No operations.\n{}", labelling(round));
    }
    let header = ["NAMESPACE", "NAME", "PHASE", "DONE", "IN FLIGHT", "REASON", "NOW", "MESSAGE"];
    let rows: Vec<Vec<Cell>> = operations.iter().map(|(decision, status)| row(decision, status)).collect();
    let mut text = if rows.is_empty() { String::new() } else { table::render(&header, &rows) };
    if !upgrades.is_empty() {
        text += if rows.is_empty() { "Upgrades\n" } else { "\nUpgrades\n" };
        text += &table::render(&["NAMESPACE", "NAME", "PHASE", "DONE", "REASON", "MESSAGE"], &upgrades);
    }
    text += &channel::table(round, !text.is_empty());
    text += &artifact::table(round, !text.is_empty());
    let failed: Vec<Vec<Cell>> = operations.iter().flat_map(|(decision, status)| failed_rows(round, decision, status)).collect();
    if !failed.is_empty() {
        text += "\nFailed nodes\n";
        text += &table::render(&["NAMESPACE", "NAME", "NODE", "REASON", "SINCE", "MESSAGE"], &failed);
    }
    let orphans = round.plan.decisions.iter().filter(|decision| decision.subject.kind == "Node");
    let left: String = orphans.map(|decision| format!("{}: {}: {}\n", decision.subject, decision.reason, decision.message)).collect();
    let left = if left.is_empty() { left } else { format!("\nLeft behind\n{left}") };
    text + &labelling(round) + &left
}

/// The decision about the labels of all nodes, while there is one.
fn node_labels(round: &Round) -> Option<&Decision> {
    round.plan.decisions.iter().find(|decision| decision.subject.kind == "Namespace")
}

/// How far nodes are looked at, and what is in the way of that; nothing once all of them are.
fn labelling(round: &Round) -> String {
    let Some(decision) = node_labels(round) else { return String::new() };
    let mut text = format!("\nNode labels\n{}\n", said(decision));
    let hindered = decision.nodes.iter().filter(|(_, why)| Tone::of(why.reason) == Tone::Wait);
    for group in words::groups(hindered) {
        text += &format!("{}: {}: {}\n", names(&group.nodes, LISTED), group.reason, group.message);
    }
    text
}

/// One resource: an operation node by node, an upgrade with a word on where it stands.
pub fn details(round: &Round, decision: &Decision) -> String {
    if decision.subject.kind == crate::artifact::KIND {
        return artifact::details(round, decision);
    }
    if decision.subject.kind == crate::channel::api::KIND {
        return channel::details(round, decision);
    }
    if decision.subject.kind != upgrade::api::KIND {
        return operation(round, decision);
    }
    let status = status_after(&round.snapshot.upgrades, decision);
    let title = Tone::Strong.paint(&decision.subject.to_string());
    let phase = status.phase.map_or_else(|| "-".into(), |phase| format!("{phase:?}"));
    format!("{title}: {phase} {}\n  {}\n", status.progress.as_deref().unwrap_or("-"), said(decision))
}

/// One operation, node by node: what is in flight first, then what failed, waits, and is done.
fn operation(round: &Round, decision: &Decision) -> String {
    let status = status_after(&round.snapshot.nodeops, decision);
    let phase = status.phase.map_or_else(|| "-".into(), |phase| format!("{phase:?}"));
    let title = Tone::Strong.paint(&decision.subject.to_string());
    let mut text = format!("{title}: {phase} {}\n  {}\n", status.progress.as_deref().unwrap_or("-"), said(decision));
    if let Some(now) = status.current.as_ref().filter(|now| **now != decision.reason.code()) {
        text += &format!("  now {now}\n");
    }
    if let Some(started) = &status.started_at {
        let run = status.run.unwrap_or(1);
        let ended = status.completed_at.as_ref().map(|at| format!(", settled {} ago", age(round.snapshot.now, at.0))).unwrap_or_default();
        text += &format!("  run {run}, started {} ago{ended}\n", age(round.snapshot.now, started.0));
    }
    if decision.nodes.is_empty() {
        return text;
    }
    let mut nodes: Vec<(&String, &NodeReason)> = decision.nodes.iter().collect();
    nodes.sort_by_key(|(name, _)| rank(status.of(name)));
    let (listed, collapsed): (Vec<_>, Vec<_>) =
        nodes.into_iter().partition(|(name, _)| decision.nodes.len() <= FEW || rank(status.of(name)) < 2);
    let rows: Vec<Vec<Cell>> = listed.into_iter().map(|(name, why)| node_row(round, name, why, status.of(name))).collect();
    if !rows.is_empty() {
        text += &format!("\n{}", table::render(&["NODE", "PHASE", "STEP", "REASON", "SINCE", "MESSAGE"], &rows));
    }
    if !collapsed.is_empty() {
        text += "\n";
        for group in words::groups(collapsed) {
            let reason = Tone::of(group.reason).paint(group.reason.code());
            text += &format!("{}: {reason}: {} ({})\n", count(group.nodes.len(), "node"), group.message, names(&group.nodes, LISTED));
        }
    }
    text
}

/// The same for programs.
pub fn json(round: &Round) -> Value {
    let resources: Vec<Value> = operations(round)
        .map(|(decision, status)| {
            let entries = |wanted: fn(&NodeStatus) -> bool| {
                let wanted = status.node_statuses.iter().filter(move |(_, entry)| wanted(entry));
                wanted.map(|(name, _)| name.clone()).collect::<Vec<_>>()
            };
            json!({
                "resource": decision.subject, "reason": decision.reason, "message": decision.message,
                "settled": decision.settled, "failed": decision.failed,
                "inFlight": entries(|entry| entry.step.is_some()), "failedNodes": entries(has_failed),
                "status": status, "nodes": decision.nodes,
            })
        })
        .collect();
    let upgrades = upgrades(round).map(|(decision, status)| {
        json!({
            "resource": decision.subject, "reason": decision.reason, "message": decision.message,
            "settled": decision.settled, "failed": decision.failed, "status": status,
        })
    });
    let resources: Vec<Value> = resources.into_iter().chain(upgrades).chain(channel::json(round)).chain(artifact::json(round)).collect();
    json!({"schemaVersion": SCHEMA_VERSION, "time": round.snapshot.now, "warnings": warnings(round), "resources": resources, "nodeLabels": node_labels(round)})
}

/// What keeps Rounds from doing all of its work, for programs.
pub fn warnings(round: &Round) -> Vec<Value> {
    round.warnings().into_iter().map(|(name, message)| json!({"name": name, "message": message})).collect()
}

/// The decisions about operations, each with its status as it will stand.
pub(super) fn operations(round: &Round) -> impl Iterator<Item = (&Decision, NodeOpStatus)> {
    let operations = round.plan.decisions.iter().filter(|decision| decision.subject.kind == "NodeOp");
    operations.map(|decision| (decision, status_after(&round.snapshot.nodeops, decision)))
}

/// The decisions about upgrades, each with its status as it will stand.
pub(super) fn upgrades(round: &Round) -> impl Iterator<Item = (&Decision, NodeOpUpgradeStatus)> {
    let upgrades = round.plan.decisions.iter().filter(|decision| decision.subject.kind == upgrade::api::KIND);
    upgrades.map(|decision| (decision, status_after(&round.snapshot.upgrades, decision)))
}

/// Whether a decision is about an upgrade that says what its NodeOp says, and nothing of its own.
pub fn is_mirror(round: &Round, decision: &Decision) -> bool {
    let made = |op: &Child| op.meta.owner.as_ref().is_some_and(|owner| owner.uid == decision.subject.uid);
    decision.subject.kind == upgrade::api::KIND
        && decision.steps.is_empty()
        && decision.reason != Reason::InvalidSpec
        && round.snapshot.nodeops.iter().any(made)
}

fn upgrade_row(decision: &Decision, status: &NodeOpUpgradeStatus) -> Vec<Cell> {
    let mut row = head(decision, status.phase, status.progress.as_deref());
    row.extend([reason(decision), decision.message.as_str().into()]);
    row
}

/// What every line about a resource begins with: namespace, name, phase and how much is done.
pub(super) fn head(decision: &Decision, phase: Option<impl Debug>, progress: Option<&str>) -> Vec<Cell> {
    vec![
        decision.subject.namespace.as_str().into(),
        decision.subject.name.as_str().into(),
        Cell::new(phase.map(|phase| format!("{phase:?}")).unwrap_or_default(), Tone::of_decision(decision)),
        progress.unwrap_or_default().into(),
    ]
}

/// The reason for which a resource stands where it stands.
pub(super) fn reason(decision: &Decision) -> Cell {
    Cell::new(decision.reason.code(), Tone::of_decision(decision))
}

/// What goes on now, where the reason does not say it already.
pub(super) fn now(decision: &Decision, current: Option<&str>) -> Cell {
    current.filter(|now| *now != decision.reason.code()).unwrap_or_default().into()
}

fn row(decision: &Decision, status: &NodeOpStatus) -> Vec<Cell> {
    let in_flight = status.node_statuses.values().filter(|entry| entry.step.is_some()).count();
    let in_flight = if in_flight > 0 { in_flight.to_string() } else { String::new() };
    let mut row = head(decision, status.phase, status.progress.as_deref());
    row.extend([in_flight.into(), reason(decision), now(decision, status.current.as_deref()), decision.message.as_str().into()]);
    row
}

fn failed_rows(round: &Round, decision: &Decision, status: &NodeOpStatus) -> Vec<Vec<Cell>> {
    let failed: Vec<_> = status.node_statuses.iter().filter(|(_, entry)| has_failed(entry)).collect();
    let subject =
        |rest: Vec<Cell>| [vec![decision.subject.namespace.as_str().into(), decision.subject.name.as_str().into()], rest].concat();
    let mut rows: Vec<Vec<Cell>> = failed
        .iter()
        .take(LISTED)
        .map(|(name, entry)| {
            let reason = decision.nodes.get(&***name).map(|why| why.reason.code().to_string()).or(entry.reason.clone()).unwrap_or_default();
            let message = entry.message.clone().unwrap_or_default();
            subject(vec![name.to_string().into(), Cell::new(reason, Tone::Bad), since(round, Some(entry)).into(), message.into()])
        })
        .collect();
    if let Some(more) = failed.len().checked_sub(LISTED).filter(|more| *more > 0) {
        let hint = format!("see: rounds status {}/{}", decision.subject.namespace, decision.subject.name);
        rows.push(subject(vec![format!("{more} more").into(), "".into(), "".into(), hint.into()]));
    }
    rows
}

fn node_row(round: &Round, name: &str, why: &NodeReason, entry: Option<&NodeStatus>) -> Vec<Cell> {
    vec![
        name.into(),
        entry.map(|entry| format!("{:?}", entry.phase)).unwrap_or_default().into(),
        entry.and_then(|entry| entry.step).map(|step| format!("{step:?}")).unwrap_or_default().into(),
        Cell::new(why.reason.code(), Tone::of(why.reason)),
        since(round, entry).into(),
        why.message.as_ref().into(),
    ]
}

fn said(decision: &Decision) -> String {
    format!("{}: {}", Tone::of_decision(decision).paint(decision.reason.code()), decision.message)
}

pub(super) fn has_failed(entry: &NodeStatus) -> bool {
    entry.step.is_none() && entry.phase == NodePhase::Failed
}

/// In flight, failed, waiting, done.
fn rank(entry: Option<&NodeStatus>) -> u8 {
    match entry {
        Some(entry) if entry.step.is_some() => 0,
        Some(entry) if has_failed(entry) => 1,
        Some(entry) if entry.phase == NodePhase::Completed => 3,
        _ => 2,
    }
}

/// How long the reason, or the entry, stands.
fn since(round: &Round, entry: Option<&NodeStatus>) -> String {
    let since = entry.and_then(|entry| entry.reason_since.as_ref().or(entry.last_updated.as_ref()));
    since.map(|since| age(round.snapshot.now, since.0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;
    use crate::report::cases::{self, plain};
    use crate::snapshot::Reference;

    #[test]
    fn the_overview_has_a_line_per_operation_and_names_failed_nodes() {
        assert_eq!(
            plain(&overview(&cases::planned())),
            "\
NAMESPACE  NAME  PHASE    DONE  IN FLIGHT  REASON       NOW          MESSAGE
default    op    Running  1/4   1          Progressing  n2: Locking  1 of 4 nodes in flight, 1 done

Failed nodes
NAMESPACE  NAME  NODE  REASON         SINCE  MESSAGE
default    op    n1    CommandFailed  3m     exit code 3
"
        );
        assert_eq!(overview(&Round::default()), "No operations.\n");
    }

    #[test]
    fn how_far_nodes_are_labelled_is_told_while_they_are() {
        let why = |reason, message: &str| NodeReason::new(reason, message);
        let mut round = Round::default();
        round.plan.decisions.push(Decision {
            subject: Reference::new("Namespace", "", "rounds-system", ""),
            reason: Reason::Probing,
            message: "nodes: 1 probed now, 2 not probed: it failed".into(),
            settled: false,
            failed: false,
            status: None,
            steps: Vec::new(),
            nodes: [
                ("n1".to_string(), why(Reason::Probing, "a probe looks at it")),
                ("n2".to_string(), why(Reason::ProbeFailed, "exit code 1")),
                ("n3".to_string(), why(Reason::ProbeFailed, "exit code 1")),
            ]
            .into(),
        });
        let expected = "\nNode labels\nProbing: nodes: 1 probed now, 2 not probed: it failed\nn2, n3: ProbeFailed: exit code 1\n";
        assert_eq!(plain(&overview(&round)), format!("No operations.\n{expected}"));
        assert_eq!(json(&round)["nodeLabels"]["nodes"]["n2"]["reason"], "ProbeFailed");
    }

    #[test]
    fn one_operation_is_told_node_by_node_with_what_is_in_flight_first() {
        let round = cases::planned();
        assert_eq!(
            plain(&details(&round, &round.plan.decisions[0])),
            "\
NodeOp default/op: Running 1/4
  Progressing: 1 of 4 nodes in flight, 1 done
  now n2: Locking

NODE  PHASE    STEP     REASON          SINCE  MESSAGE
n2    Pending  Locking  Locking         0s     the lock is being taken
n1    Failed   -        CommandFailed   3m     exit code 3
n3    -        -        WaitingForSlot  -      1 of 1 slots are taken
n4    -        -        WaitingForSlot  -      1 of 1 slots are taken
"
        );
    }

    #[test]
    fn of_very_many_nodes_only_those_that_matter_are_listed() {
        let mut round = cases::planned();
        let waits = round.plan.decisions[0].nodes["n3"].clone();
        round.plan.decisions[0].nodes.extend((0..200).map(|index| (format!("w{index:03}"), waits.clone())));
        let text = plain(&details(&round, &round.plan.decisions[0]));
        assert!(text.contains("\nn2    Pending  Locking"), "{text}");
        assert!(
            text.contains("202 nodes: WaitingForSlot: 1 of 1 slots are taken (n3, n4, w000, w001,") && text.contains("and 192 more)"),
            "{text}"
        );
    }

    #[test]
    fn programs_get_the_same() {
        let value = json(&cases::planned());
        assert_eq!(value["schemaVersion"], 1);
        assert_eq!(value["resources"][0]["inFlight"], json!(["n2"]));
        assert_eq!(value["resources"][0]["failedNodes"], json!(["n1"]));
        assert_eq!(value["resources"][0]["status"]["progress"], "1/4");
    }
}
