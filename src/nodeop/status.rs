//! The status of a NodeOp: phase, counts, conditions and one sentence, from its nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::HashSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::api::{NodeCounts, NodeOpStatus, NodePhase, NodeStatus, NodeStep, Phase};
use super::compact::compacted;
use super::entries::Entries;
use super::gate::Gate;
use super::operation::Operation;
use super::place::LONGEST;
use super::verdict::clip;
use crate::labels::probed;
use crate::plan::NodeReason;
use crate::reason::Reason;
use crate::snapshot::views::Node;
use crate::walk::Lookup;

/// Why a node in flight is where it is, if it is told of the whole operation: its message is asked for then.
pub const BLOCKERS: [Reason; 3] = [Reason::DrainBlocked, Reason::CannotStart, Reason::NotReady];

/// What a status is made of.
pub struct Parts<'p, 'a> {
    /// The operation.
    pub op: &'p Operation<'a>,
    /// The nodes that the operation targets.
    pub targets: &'p [&'a Node],
    /// How many more the selector matches, which are left to another operation, or passed over.
    pub left: usize,
    /// The entries as they will stand.
    pub entries: Entries<'a>,
    /// Why the other nodes wait.
    pub waiting: &'p BTreeMap<&'a str, NodeReason>,
    /// Why nothing new starts, if so.
    pub gate: Option<&'p Gate>,
    /// The status as it stands.
    pub before: &'p NodeOpStatus,
}

/// Where the operation stands: what its conditions, its phase and a decision say.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The phase.
    pub phase: Phase,
    /// The code.
    pub reason: Reason,
    /// One sentence.
    pub message: String,
    /// It will not change any more by itself.
    pub settled: bool,
    /// A node failed, or it cannot be carried out.
    pub failed: bool,
    /// Ready, Reconciling, Stalled.
    pub conditions: [(&'static str, &'static str); 3],
}

impl Parts<'_, '_> {
    /// How many nodes stand where.
    pub fn counts(&self) -> NodeCounts {
        let mut counts = NodeCounts::default();
        let nodes = &self.op.snapshot.nodes;
        let all = self.targets.len() == nodes.len();
        let targets: HashSet<&str> = self.targets.iter().filter(|_| !all).map(|node| node.name.as_str()).collect();
        let mut nodes = Lookup::over(nodes);
        let mut is_target = |name: &str| if all { nodes.find(name).is_some() } else { targets.contains(name) };
        for (name, entry) in &self.entries {
            match (entry.step, entry.phase) {
                (Some(_), _) => counts.in_flight += 1,
                (None, NodePhase::Completed) if is_target(name) => counts.completed += 1,
                (None, NodePhase::Failed) => counts.failed += 1,
                _ => {}
            }
        }
        counts.pending = i64::try_from(self.waiting.len()).unwrap_or(i64::MAX);
        counts.total = counts.in_flight + counts.completed + counts.failed + counts.pending;
        counts
    }

    /// Where the operation stands.
    pub fn summary(&self, counts: NodeCounts) -> Summary {
        const DONE: [(&str, &str); 3] = [("Ready", "True"), ("Reconciling", "False"), ("Stalled", "False")];
        const UNDERWAY: [(&str, &str); 3] = [("Ready", "False"), ("Reconciling", "True"), ("Stalled", "False")];
        const STALLED: [(&str, &str); 3] = [("Ready", "False"), ("Reconciling", "False"), ("Stalled", "True")];
        const SUSPENDED: [(&str, &str); 3] = [("Ready", "Unknown"), ("Reconciling", "False"), ("Stalled", "False")];
        let begun = counts.in_flight + counts.completed + counts.failed > 0 || self.before.phase == Some(Phase::Running);
        let open = if begun { Phase::Running } else { Phase::Pending };
        let make = |phase, reason, message: String, settled, failed, conditions| {
            let message = clip(&message, LONGEST);
            Summary { phase, reason, message, settled, failed, conditions }
        };
        if counts.in_flight > 0 {
            let (reason, message) = self.in_flight_reason(counts);
            return make(Phase::Running, reason, message, false, counts.failed > 0, UNDERWAY);
        }
        // Nothing of what has run is undone by what the installed definition cannot do.
        let starts_only = |gate: &Gate| gate.reason.reason == Reason::OlderDefinition;
        let matters = |gate: &&Gate| gate.stalled && (counts.pending > 0 || !starts_only(gate));
        if let Some(gate) = self.gate.filter(matters) {
            return make(open, gate.reason.reason, gate.reason.message.to_string(), true, true, STALLED);
        }
        let stopped = self.gate.is_some_and(|gate| gate.reason.reason == Reason::StoppedOnFailure);
        if counts.failed > 0 && (counts.pending == 0 || stopped) {
            let message = format!("{} of {} failed: {}", counts.failed, nodes(counts.total), self.failed_nodes());
            return make(Phase::Failed, Reason::NodesFailed, message, true, true, STALLED);
        }
        if counts.pending > 0 {
            let first = self.gate.map(|gate| &gate.reason).or_else(|| self.first_waiting());
            let (reason, message) = first.map_or((Reason::Progressing, String::new()), |why| (why.reason, why.message.to_string()));
            let suspended = reason == Reason::Suspended;
            let message = format!("{} of {} to go: {message}", counts.pending, nodes(counts.total));
            return make(open, reason, message, suspended, counts.failed > 0, if suspended { SUSPENDED } else { UNDERWAY });
        }
        if let Some(why) = self.op.terms.left.values().next().filter(|_| self.left > 0) {
            let left = nodes(i64::try_from(self.left).unwrap_or(i64::MAX));
            let whose = if why.reason == Reason::UpToDate { "passed over" } else { "left to another" };
            let message = format!("{} done; {left} {whose}: {}", nodes(counts.total), why.message);
            return make(Phase::Completed, why.reason, message, true, false, DONE);
        }
        if counts.total > 0 {
            return make(Phase::Completed, Reason::Completed, format!("{} done", nodes(counts.total)), true, false, DONE);
        }
        if probed::is_awaited(self.op.spec.node_selector.as_ref(), self.op.snapshot, self.op.settings) {
            let message = "no node is taken yet: not all of them have been looked at since they booted";
            return make(Phase::Pending, Reason::NoMatchingNodes, message.into(), false, false, UNDERWAY);
        }
        make(Phase::Completed, Reason::NoMatchingNodes, "the selector matches no node".into(), true, false, DONE)
    }

    /// The whole status, if it is another one than before.
    pub fn status(self, counts: NodeCounts, summary: &Summary) -> Option<NodeOpStatus> {
        let (op, before) = (self.op, self.before);
        let once_settled = summary.settled && matches!(summary.phase, Phase::Completed | Phase::Failed);
        let mut status = NodeOpStatus {
            observed_generation: Some(op.meta.generation),
            phase: Some(summary.phase),
            message: Some(summary.message.clone()),
            progress: Some(format!("{}/{}", counts.completed + counts.failed, counts.total)),
            current: self.current(summary),
            nodes: Some(counts),
            conditions: self.conditions(summary),
            node_statuses: Arc::default(),
            spec_hash: Some(op.run.spec_hash.clone()),
            run: Some(op.run.number),
            spec_run: Some(op.run.spec_run),
            rerun: op.run.rerun.clone(),
            retry_failed: op.run.retry_failed.clone(),
            started_at: Some(op.run.started_at.clone()),
            completed_at: once_settled.then(|| before.completed_at.clone().filter(|_| !op.run.is_new).unwrap_or(Time(op.now()))),
            last_updated: before.last_updated.clone(),
        };
        let same_nodes = self.same_nodes();
        if same_nodes && status.is_same_beside_nodes(before) {
            return None;
        }
        status.node_statuses = if same_nodes { before.node_statuses.clone() } else { Arc::new(compacted(op, self.entries, before)) };
        (status != *before).then(|| NodeOpStatus { last_updated: Some(Time(op.now())), ..status })
    }

    /// Whether no entry has changed, come or gone; to make ten thousand of them again only to see that takes long.
    fn same_nodes(&self) -> bool {
        self.entries.len() == self.before.node_statuses.len() && self.entries.values().all(|entry| !entry.is_made())
    }

    /// Why nodes in flight are where they are: what blocks comes first.
    fn in_flight_reason(&self, counts: NodeCounts) -> (Reason, String) {
        let blocked = BLOCKERS.iter().find_map(|blocker| {
            let (node, entry) = self.entries.iter().find(|(_, entry)| entry.step.is_some() && entry.is_because(*blocker))?;
            Some((*blocker, format!("node {node}: {}", entry.message.as_deref().unwrap_or_default())))
        });
        blocked.unwrap_or_else(|| {
            let done = counts.completed + counts.failed;
            (Reason::Progressing, format!("{} of {} in flight, {done} done", counts.in_flight, nodes(counts.total)))
        })
    }

    /// The first node that waits, in the order in which nodes are taken.
    fn first_waiting(&self) -> Option<&NodeReason> {
        self.targets.iter().find_map(|node| self.waiting.get(node.name.as_str()))
    }

    fn failed_nodes(&self) -> String {
        let failed: Vec<String> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.step.is_none() && entry.phase == NodePhase::Failed)
            .map(|(node, entry)| format!("{node} ({})", entry.message.as_deref().or(entry.reason.as_deref()).unwrap_or("no message")))
            .collect();
        match failed.len() {
            0..=3 => failed.join("; "),
            more => format!("{}; and {} more", failed[..3].join("; "), more - 3),
        }
    }

    /// The column "Now".
    fn current(&self, summary: &Summary) -> Option<String> {
        let flying = self.entries.iter().filter(|(_, entry)| entry.step.is_some());
        let mut flying: Vec<(&str, &NodeStatus)> = flying.map(|(name, entry)| (*name, &**entry)).collect();
        flying.sort_by_key(|(name, entry)| (entry.is_because(Reason::Releasing), *name));
        let Some((name, entry)) = flying.first() else {
            return (!summary.settled || summary.failed).then(|| summary.reason.to_string());
        };
        let step = entry.step.map_or_else(String::new, |step| format!("{step:?}"));
        let reason = entry.reason.as_deref().filter(|reason| *reason != step && entry.step != Some(NodeStep::Releasing));
        let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        let more = if flying.len() > 1 { format!(" +{}", flying.len() - 1) } else { String::new() };
        Some(format!("{name}: {step}{reason}{more}"))
    }

    fn conditions(&self, summary: &Summary) -> Vec<Condition> {
        let make = |(type_, status): &(&str, &str)| {
            let since = self.before.conditions.iter().find(|condition| condition.type_ == *type_ && condition.status == *status);
            Condition {
                type_: (*type_).into(),
                status: (*status).into(),
                reason: summary.reason.code().into(),
                message: summary.message.clone(),
                observed_generation: Some(self.op.meta.generation),
                last_transition_time: since.map_or(Time(self.op.now()), |condition| condition.last_transition_time.clone()),
            }
        };
        summary.conditions.iter().map(make).collect()
    }
}

/// A number of nodes, for people.
fn nodes(count: impl Into<i64>) -> String {
    match count.into() {
        1 => "1 node".into(),
        count => format!("{count} nodes"),
    }
}
