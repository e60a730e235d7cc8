//! What a simulated rollout looked like: for every node what it was doing from when to when, and what was notable.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::reason::Reason;

/// A whole simulated rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// Virtual time at which it began.
    pub begun: Timestamp,
    /// Virtual time at which nothing was left to do, or the simulation was given up.
    pub ended: Timestamp,
    /// How many rounds there were.
    pub rounds: usize,
    /// How many writes they made.
    pub writes: usize,
    /// The nodes, in the order in which they were taken; those that no operation took come last, by name.
    pub nodes: Vec<NodeTrace>,
    /// The operations, in the order in which they are decided.
    pub operations: Vec<OperationTrace>,
    /// Pods that were evicted, `<namespace>/<name>` as often as it happened.
    pub disturbed: BTreeMap<String, usize>,
    /// Seconds for which a disruption budget held back an eviction, by `<namespace>/<name>` of the budget; two nodes that
    /// wait for it at the same time count twice.
    pub blocked: BTreeMap<String, i64>,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationTrace {
    /// Kind, such as NodeOp.
    pub kind: String,
    /// `<namespace>/<name>`.
    pub name: String,
    /// Whether every node that it targets is done, none failed, and there is one.
    pub completed: bool,
    /// Why it stands where it stands.
    pub reason: Reason,
    /// One sentence.
    pub message: String,
    /// How many nodes are done, failed, and were never reached.
    pub done: usize,
    /// See `done`.
    pub failed: usize,
    /// See `done`.
    pub left: usize,
    /// How often a maintenance window closed while nodes were still to be taken.
    pub windows_missed: usize,
}

/// What a node did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeTrace {
    /// Name of the node.
    pub name: String,
    /// Label `topology.kubernetes.io/zone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Whether it is one of the control plane.
    pub control_plane: bool,
    /// What it did, without gaps, from the beginning to the end.
    pub spans: Vec<Span>,
}

/// A stretch of time in which a node did one thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// What it did.
    pub state: State,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// `<namespace>/<name>` of the operation on whose behalf, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// One sentence; of the last moment of the span.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// What a node can be doing, as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// No operation wants it, or it has not been its turn yet.
    Waiting,
    /// The preflight looks at it.
    Preflight,
    /// Pods leave it.
    Draining,
    /// Pods cannot leave it: a disruption budget allows none to go.
    Blocked,
    /// The command is on it.
    Running,
    /// It reboots, or is being verified after that.
    Rebooting,
    /// It is done.
    Done,
    /// Its preflight said that there is nothing to do.
    Skipped,
    /// The operation has failed there.
    Failed,
}

impl State {
    /// All of them, in the order in which a node goes through them.
    pub const ALL: [Self; 9] = [
        Self::Waiting,
        Self::Preflight,
        Self::Draining,
        Self::Blocked,
        Self::Running,
        Self::Rebooting,
        Self::Done,
        Self::Skipped,
        Self::Failed,
    ];

    /// The state in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Preflight => "preflight",
            Self::Draining => "draining",
            Self::Blocked => "blocked",
            Self::Running => "running",
            Self::Rebooting => "rebooting",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }

    /// Whether a node that does this does not do its ordinary work.
    pub fn is_away(self) -> bool {
        matches!(self, Self::Draining | Self::Blocked | Self::Running | Self::Rebooting)
    }
}

impl Trace {
    /// Whether every operation completed.
    pub fn is_completed(&self) -> bool {
        self.operations.iter().all(|operation| operation.completed)
    }

    /// Most nodes that were away at once, of all and per zone (nodes without a zone count under "").
    pub fn most_away(&self) -> (usize, BTreeMap<String, usize>) {
        let zone = |node: &NodeTrace| node.zone.clone().unwrap_or_default();
        let zones: BTreeSet<String> = self.nodes.iter().map(zone).collect();
        let of = |zone_of: Option<&str>| {
            let nodes = self.nodes.iter().filter(|node| zone_of.is_none_or(|wanted| node.zone.as_deref().unwrap_or_default() == wanted));
            let mut steps: Vec<(Timestamp, i64)> = Vec::new();
            for span in nodes.flat_map(|node| &node.spans).filter(|span| span.state.is_away()) {
                steps.push((span.from, 1));
                steps.push((span.to, -1));
            }
            // At one moment, who comes back is back before the next one goes.
            steps.sort_unstable();
            let (mut now, mut most) = (0, 0);
            for (_, step) in steps {
                now += step;
                most = most.max(now);
            }
            usize::try_from(most).unwrap_or_default()
        };
        (of(None), zones.iter().map(|zone| (zone.clone(), of(Some(zone)))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_are_away_are_counted_as_a_whole_and_per_zone() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let span = |state, from, to| Span { state, from: at(from), to: at(to), operation: None, reason: None, message: String::new() };
        let node = |zone: Option<&str>, spans: Vec<Span>| NodeTrace { zone: zone.map(String::from), spans, ..NodeTrace::default() };
        let trace = Trace {
            nodes: vec![
                node(Some("a"), vec![span(State::Waiting, 0, 5), span(State::Draining, 5, 10), span(State::Running, 10, 20)]),
                node(Some("a"), vec![span(State::Running, 20, 30)]),
                node(Some("b"), vec![span(State::Blocked, 15, 25), span(State::Failed, 25, 30)]),
                node(None, vec![span(State::Done, 0, 30)]),
            ],
            ..Trace::default()
        };
        let zones = [(String::new(), 0), ("a".to_string(), 1), ("b".to_string(), 1)];
        assert_eq!(trace.most_away(), (2, zones.into()));
    }
}
