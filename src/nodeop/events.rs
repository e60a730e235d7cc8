//! Kubernetes Events about nodes: one when an operation is done with a node, and one when something first blocks it. In an
//! operation over very many nodes only what went wrong is told: a thousand good ends would drown everything else.

use serde_json::{Value, json};

use super::api::{NodeOpStatus, NodePhase, NodeStatus, Phase};
use super::jobs::{API_VERSION, KIND};
use super::operation::Operation;
use super::place::Place;
use super::status::Summary;
use crate::event::Regarding;
use crate::names;
use crate::plan::{Action, Step};
use crate::reason::Reason;
use crate::snapshot::Reference;

/// Up to how many nodes in one operation a good end is worth an Event; the status has it in any case.
const MANY: usize = 100;

/// The Events that the change from one entry to the next is worth.
pub fn steps(op: &Operation<'_>, node: &str, before: Option<&NodeStatus>, after: &NodeStatus, nodes: usize) -> Vec<Step> {
    if after.phase == NodePhase::Completed && nodes > MANY {
        return Vec::new();
    }
    let settled = |entry: &NodeStatus| matches!(entry.phase, NodePhase::Completed | NodePhase::Failed);
    const BLOCKERS: [Reason; 2] = [Reason::DrainBlocked, Reason::CannotStart];
    let blocked = |entry: &NodeStatus| entry.reason.as_ref().is_some_and(|reason| BLOCKERS.iter().any(|blocker| blocker.code() == reason));
    let kind = if settled(after) && !before.is_some_and(settled) {
        "settled"
    } else if blocked(after) && !before.is_some_and(blocked) {
        "blocked"
    } else {
        return Vec::new();
    };
    // A finished entry has no run and node any more, the one before it has. An old run that ends during a new one, or on a
    // node that was made anew since, must not take the name of the event that is still to come.
    let of = before.filter(|before| before.step.is_some()).unwrap_or(after);
    let run = of.run.unwrap_or(op.run.number).to_string();
    let suffix = names::suffix(&["event", &op.meta.uid, node, of.node_uid.as_deref().unwrap_or_default(), &run, kind], 10);
    let object = event(op, node, after, &suffix);
    vec![op.step(node, Reason::Progressing, "tell what happened", Action::Create { object })]
}

/// The Event that an operation is worth which comes to nothing: its selector matches no node, and never did.
pub fn nothing_to_do(op: &Operation<'_>, before: &NodeOpStatus, summary: &Summary) -> Option<Step> {
    let is_so = |phase: Option<Phase>, reason: &str| phase == Some(Phase::Completed) && reason == Reason::NoMatchingNodes.code();
    let was_so = before.conditions.iter().any(|condition| is_so(before.phase, &condition.reason));
    let has_run = !before.node_statuses.is_empty();
    if was_so || has_run || !is_so(Some(summary.phase), summary.reason.code()) {
        return None;
    }
    let suffix = names::suffix(&["event", &op.meta.uid, "nothing", &op.meta.generation.to_string()], 10);
    let mut object = about(op, &suffix, "Warning", summary.reason.code(), &summary.message);
    object["action"] = json!("SelectNodes");
    let subject = Reference::new(KIND, &op.meta.namespace, &op.meta.name, &op.meta.uid);
    Some(Step {
        subject,
        reason: summary.reason,
        message: "tell that there is nothing to do".into(),
        actions: vec![Action::Create { object }],
    })
}

/// The Event that warns of a downgrade.
pub fn downgraded(place: &Place<'_, '_>, version: &str) -> Step {
    let (op, entry) = (place.op, place.entry);
    let (node_uid, run) = (entry.node_uid.as_deref().unwrap_or_default(), entry.run.unwrap_or(op.run.number).to_string());
    let suffix = names::suffix(&["event", &op.meta.uid, place.name, node_uid, &run, "downgraded"], 10);
    let warning = NodeStatus {
        reason: Some(Reason::Downgraded.code().into()),
        message: Some(format!("version {version} was installed, which is older than the one that was there")),
        ..NodeStatus::default()
    };
    let object = event(op, place.name, &warning, &suffix);
    op.step(place.name, Reason::Downgraded, "warn of the downgrade", Action::Create { object })
}

fn event(op: &Operation<'_>, node: &str, entry: &NodeStatus, suffix: &str) -> Value {
    let reason = entry.reason.clone().unwrap_or_default();
    let message = entry.message.clone().unwrap_or_default();
    let kind = if entry.phase == NodePhase::Completed { "Normal" } else { "Warning" };
    let mut event = about(op, suffix, kind, &reason, &format!("node {node}: {message}"));
    event["action"] = json!("RunOnNode");
    event["related"] = json!({"apiVersion": "v1", "kind": "Node", "name": node, "uid": op.node_reference(node).uid});
    event
}

/// An Event about an operation.
fn about(op: &Operation<'_>, suffix: &str, kind: &str, reason: &str, text: &str) -> Value {
    Regarding { api_version: API_VERSION, kind: KIND, meta: op.meta }.event(op.now(), suffix, kind, reason, text)
}
