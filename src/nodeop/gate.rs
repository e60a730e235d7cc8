//! Why an operation starts nothing new: it cannot be carried out, is suspended, outside its windows, or stopped.

use super::api::{DEFINITION, NodeOpSpec, NodePhase};
use super::entries::Entries;
use super::runs::Run;
use super::terms::Terms;
use crate::crds;
use crate::plan::NodeReason;
use crate::reason::Reason;
use crate::rollout::window::{self, WindowState};
use crate::selector::{NodeSelector, Operator};
use crate::snapshot::Snapshot;

/// A gate that is closed, and whether it is the specification that closes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Why.
    pub reason: NodeReason,
    /// Nothing but an edit opens it.
    pub stalled: bool,
}

/// The first closed gate.
pub fn gate(snapshot: &Snapshot, spec: &NodeOpSpec, terms: &Terms<'_>, entries: &Entries<'_>, run: &Run<'_>) -> Option<Gate> {
    if let Some(reason) = &terms.closed {
        return Some(Gate { reason: reason.clone(), stalled: false });
    }
    if snapshot.older.contains(DEFINITION) {
        let message =
            format!("the installed CustomResourceDefinition {DEFINITION} is an older one; install this version's: {}", crds::INSTALL);
        return Some(Gate { reason: NodeReason::new(Reason::OlderDefinition, message), stalled: true });
    }
    if let Some(reason) = invalid(snapshot, spec) {
        return Some(Gate { reason, stalled: true });
    }
    let rollout = spec.rollout();
    let closed = |reason, message: String| Some(Gate { reason: NodeReason::new(reason, message), stalled: false });
    if rollout.suspend.unwrap_or(false) {
        return closed(Reason::Suspended, "rollout.suspend is true".into());
    }
    let failed = || entries.iter().find(|(_, entry)| entry.phase == NodePhase::Failed && !run.is_outdated(entry));
    if spec.stop_on_failure.unwrap_or(false)
        && let Some((node, _)) = failed()
    {
        return closed(Reason::StoppedOnFailure, format!("node {node} failed, and stopOnFailure starts no further one"));
    }
    match window::state(&rollout.windows, snapshot.now) {
        Ok(WindowState::Closed(Some(next))) => {
            closed(Reason::WindowClosed, format!("no maintenance window is open; the next one opens at {next}"))
        }
        Ok(WindowState::Closed(None)) => closed(Reason::WindowClosed, "no maintenance window is open".into()),
        Ok(WindowState::Open(_)) | Err(_) => None,
    }
}

/// What admission cannot check, with field, value and remedy.
fn invalid(snapshot: &Snapshot, spec: &NodeOpSpec) -> Option<NodeReason> {
    let because = |reason, message: String| Some(NodeReason::new(reason, message));
    if spec.command.first().is_none_or(|program| program.is_empty()) {
        return because(
            Reason::InvalidSpec,
            "spec.command[0] is empty: name the program to run, for example [\"sh\", \"-c\", \"…\"]".into(),
        );
    }
    if let Some(message) = spec.node_selector.as_ref().and_then(selector_error) {
        return because(Reason::InvalidSelector, message);
    }
    let windows = &spec.rollout.as_ref()?.windows;
    window::state(windows, snapshot.now).err().and_then(|error| because(Reason::InvalidWindow, error.to_string()))
}

/// A selector that no node can ever match by its form.
fn selector_error(selector: &NodeSelector) -> Option<String> {
    let label = |key: &String, value: &String| {
        bad_key(key)
            .map(|why| format!("spec.nodeSelector.matchLabels: key {key:?} {why}"))
            .or_else(|| bad_value(value).map(|why| format!("spec.nodeSelector.matchLabels[{key}]: value {value:?} {why}")))
    };
    selector.match_labels.iter().find_map(|(key, value)| label(key, value)).or_else(|| {
        selector.match_expressions.iter().enumerate().find_map(|(index, requirement)| {
            let field = format!("spec.nodeSelector.matchExpressions[{index}]");
            if let Some(why) = bad_key(&requirement.key) {
                return Some(format!("{field}: key {:?} {why}", requirement.key));
            }
            let takes_values = matches!(requirement.operator, Operator::In | Operator::NotIn);
            if takes_values == requirement.values.is_empty() {
                let remedy = if takes_values { "needs at least one value" } else { "takes no values" };
                return Some(format!("{field}: operator {:?} {remedy}", requirement.operator));
            }
            requirement.values.iter().find_map(|value| bad_value(value).map(|why| format!("{field}: value {value:?} {why}")))
        })
    })
}

fn bad_key(key: &str) -> Option<&'static str> {
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    (name.is_empty() || bad_value(name).is_some())
        .then_some("is not a label key: up to 63 letters, digits, '-', '_' and '.', optionally behind a DNS name and '/'")
}

fn bad_value(value: &str) -> Option<&'static str> {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    let good = value.len() <= 63
        && value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && edge(value.chars().next())
        && edge(value.chars().last());
    (!good).then_some("is not a label value: up to 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit")
}
