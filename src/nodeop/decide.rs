//! What a NodeOp needs now: its new status, and the steps that this status permits.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::advance::advance;
use super::api::{DEFINITION, NodeOpSpec, NodeOpStatus, NodePhase, NodeStatus, Phase};
use super::drain::Allowance;
use super::entries::{Entries, Entry};
use super::gate::{self, Gate};
use super::jobs::{API_VERSION, KIND};
use super::operation::Operation;
use super::pending::{self, Others};
use super::place::Advance;
use super::status::Parts;
use super::terms::Terms;
use super::{events, order, release, retention, runs};
use crate::labels::probed;
use crate::plan::{Decision, NodeReason, StatusWrite, Step};
use crate::reason::Reason;
use crate::rollout::RunPolicy;
use crate::settings::Settings;
use crate::snapshot::views::Node;
use crate::snapshot::{Meta, Reference, Resource, Snapshot};
use crate::walk::Lookup;

/// Decides one NodeOp, on the terms of the resource that has made it. `others` knows what the older operations have and
/// want; `allowance` what they evict.
pub fn decide<'a>(
    snapshot: &'a Snapshot,
    settings: &'a Settings,
    resource: &'a Resource<NodeOpSpec, NodeOpStatus>,
    terms: Terms<'a>,
    others: &mut Others<'a>,
    allowance: &mut Allowance<'a>,
) -> Decision {
    let Resource { meta, spec, status } = resource;
    if let Some(message) = meta.waits_for_operator(KIND) {
        return untouched(meta, Reason::Deleting, &message);
    }
    if meta.deleting {
        return untouched(meta, Reason::Deleting, "it is being deleted; what it holds is released when it is gone");
    }
    if meta.moved {
        return untouched(meta, Reason::Moved, "it changed while the round was looking");
    }
    let run = runs::current(snapshot, meta, spec, status);
    let mut op = Operation::new(snapshot, settings, meta, spec, run);
    op.terms = terms;
    let before = gate::gate(snapshot, spec, &op.terms, &op.run.entries, &op.run);
    op.gate = before.as_ref().map(|gate| gate.reason.clone());
    let mut next = fly(&op, allowance);

    let gate = gate::gate(snapshot, spec, &op.terms, &next.entries, &op.run);
    op.gate = gate.as_ref().map(|gate| gate.reason.clone());
    let (left, targets): (Vec<&Node>, Vec<&Node>) = targeted(&op, status).into_iter().partition(|node| next.leaves(&op, node));
    next.take(&op, &targets, others);
    for node in &left {
        next.reasons.extend(op.terms.left.get(node.name.as_str()).map(|why| (node.name.as_str(), why.clone())));
    }
    next.follow_up(&op, status);
    conclude(&op, status, &targets, left.len(), gate.as_ref(), next)
}

/// What the entries, steps and reasons become in this round.
#[derive(Default)]
struct Next<'a> {
    entries: Entries<'a>,
    steps: Vec<Step>,
    /// By node, in no order; the last word on a node counts ([`last_words`]).
    reasons: Vec<(&'a str, NodeReason)>,
    waiting: BTreeMap<&'a str, NodeReason>,
}

/// Every node in flight takes its next step; finished ones stay finished.
fn fly<'a>(op: &Operation<'a>, allowance: &mut Allowance<'a>) -> Next<'a> {
    let finished = op.run.entries.iter().filter(|(_, entry)| entry.step.is_none() && entry.is_finished());
    let reasons = finished.map(|(name, entry)| (*name, finished_reason(entry))).collect();
    let mut next = Next { entries: op.run.entries.clone(), reasons, ..Next::default() };
    for (name, entry) in op.run.entries.iter().filter(|(_, entry)| entry.step.is_some()) {
        next.fly(name, advance(op, name, entry.status(), allowance));
    }
    if !next.waiting.is_empty() {
        next.entries.retain(|name, _| !next.waiting.contains_key(name));
    }
    next
}

/// The targeted nodes; with runPolicy Once, those that matched when it began.
fn targeted<'a>(op: &Operation<'a>, status: &NodeOpStatus) -> Vec<&'a Node> {
    let mut targets = order::targets(op.snapshot, op.control_plane(), op.spec, op.settings.node_name.as_deref());
    let restarted = status.spec_run.is_some_and(|run| run != op.run.spec_run);
    let begun = op.run.adopted || status.spec_hash.is_some() && !restarted && !is_waiting_for_labels(status);
    if op.rollout.run_policy != Some(RunPolicy::Once) {
        return targets;
    }
    if begun {
        targets.retain(|node| status.node_statuses.contains_key(node.name.as_str()));
    } else if probed::is_awaited(op.spec.node_selector.as_ref(), op.snapshot, op.settings) {
        // Who is labelled later would be left out for good.
        targets.clear();
    }
    targets
}

/// Whether nothing has begun because nodes were still to be labelled.
fn is_waiting_for_labels(status: &NodeOpStatus) -> bool {
    status.phase == Some(Phase::Pending) && status.conditions.iter().any(|condition| condition.reason == Reason::NoMatchingNodes.code())
}

impl<'a> Next<'a> {
    /// What a node's step makes of its entry.
    fn fly(&mut self, name: &'a str, advance: Advance) {
        self.steps.extend(advance.steps);
        if let Some(entry) = advance.entry {
            if !self.entries.get(name).is_some_and(|stands| Arc::ptr_eq(stands.status(), &entry)) {
                self.entries.insert(name, Entry::made(entry));
            }
            self.reasons.push((name, advance.reason));
        } else {
            self.waiting.insert(name, advance.reason);
        }
    }

    /// Whether a node that is neither in flight nor done is left to another operation.
    fn leaves(&self, op: &Operation<'_>, node: &Node) -> bool {
        op.terms.left.contains_key(node.name.as_str())
            && self.entries.get(node.name.as_str()).is_none_or(|entry| entry.step.is_none() && !entry.is_finished())
    }

    /// Takes nodes that are neither in flight nor done.
    fn take(&mut self, op: &Operation<'a>, targets: &[&'a Node], others: &mut Others<'a>) {
        let dropped = std::mem::take(&mut self.waiting);
        let once = op.rollout.run_policy == Some(RunPolicy::Once);
        let mut recorded = Lookup::over(&self.entries);
        let mut is_open = |node: &Node| recorded.find(&node.name).is_none_or(|entry| entry.step.is_none() && !entry.is_finished());
        let waiting: Vec<&'a Node> = targets.iter().filter(|node| is_open(node)).copied().collect();
        // A claim that was dropped in this round is not taken again in the same: its lock is still on.
        let (held, free): (Vec<&'a Node>, Vec<&'a Node>) = waiting.into_iter().partition(|node| dropped.contains_key(node.name.as_str()));
        let pending = pending::take(op, &free, others);
        self.waiting = pending.waiting;
        let made = self.entries.len();
        // A claim takes its first step in the same round; what that step makes of it is what is recorded.
        for (name, claim) in pending.claims {
            let advance = advance(op, name, &claim, &mut Allowance::new());
            self.fly(name, advance);
        }
        for node in held {
            self.waiting.extend(dropped.get(node.name.as_str()).map(|reason| (node.name.as_str(), reason.clone())));
        }
        if once {
            for name in self.waiting.keys() {
                let entry = NodeStatus { phase: NodePhase::Pending, ..NodeStatus::default() };
                self.entries.entry(name).or_insert(Entry::made(entry));
            }
        }
        if self.entries.len() > made {
            // Two runs in order, which the stable sort merges.
            self.entries.sort_keys();
        }
        let undecided = |name: &str| !self.entries.contains_key(name) && !self.waiting.contains_key(name);
        self.reasons.extend(dropped.into_iter().filter(|(name, _)| undecided(name)));
    }

    /// Releases, retention and events: what follows from the entries as they will stand.
    fn follow_up(&mut self, op: &Operation<'_>, before: &NodeOpStatus) {
        let mut entries = Lookup::over(&self.entries);
        self.steps.extend(op.marked().iter().filter_map(|node| release::step(op, node, entries.find(&node.name).map(|entry| &**entry))));
        self.steps.extend(retention::steps(op, &self.entries));
        if op.run.adopted {
            return;
        }
        // What stands as it stood is no event.
        let changed = self.entries.iter().filter(|(_, entry)| entry.is_made());
        for (name, entry) in changed {
            self.steps.extend(events::steps(op, name, before.of(name), entry, self.entries.len()));
        }
    }
}

/// Of all that was said of each node, what was said last; in the order of their names.
fn last_words(mut reasons: Vec<(&str, NodeReason)>) -> Vec<(&str, NodeReason)> {
    // The sort is stable: of one node's, the later one stands behind the earlier.
    reasons.sort_by_key(|(name, _)| *name);
    reasons.dedup_by(|later, earlier| {
        let is_same = later.0 == earlier.0;
        if is_same {
            std::mem::swap(later, earlier);
        }
        is_same
    });
    reasons
}

/// The reason that a finished entry was given when it finished.
fn finished_reason(entry: &NodeStatus) -> NodeReason {
    let fallback = if entry.phase == NodePhase::Completed { Reason::Succeeded } else { Reason::CommandFailed };
    let reason = entry.reason.as_deref().and_then(Reason::parse).unwrap_or(fallback);
    // Compact entries have no message, and there are thousands of them: the empty one is made once.
    NodeReason::new(reason, entry.message.as_deref().map_or_else(Arc::default, Arc::from))
}

fn conclude<'a>(
    op: &Operation<'a>,
    before: &NodeOpStatus,
    targets: &[&'a Node],
    left: usize,
    gate: Option<&Gate>,
    mut next: Next<'a>,
) -> Decision {
    let entries = std::mem::take(&mut next.entries);
    let parts = Parts { op, targets, left, entries, waiting: &next.waiting, gate, before };
    let counts = parts.counts();
    let summary = parts.summary(counts);
    let after = parts.status(counts, &summary);
    let subject = reference(op.meta);
    next.steps.extend(after.as_ref().and_then(|_| events::nothing_to_do(op, before, &summary)));
    // What an older definition would drop (runs, uids) is what keeps a command from being started twice.
    let looks_only = op.snapshot.older.contains(DEFINITION);
    let steps = if looks_only { Vec::new() } else { next.steps };
    let reasons = last_words(next.reasons.into_iter().chain(next.waiting).collect());
    let after = after.filter(|_| !looks_only);
    let status = after.map(|after| StatusWrite::new(API_VERSION, subject.clone(), &op.meta.resource_version, before, after));
    Decision {
        subject,
        reason: summary.reason,
        message: summary.message,
        settled: summary.settled && steps.is_empty() && status.is_none(),
        failed: summary.failed,
        status,
        steps,
        nodes: reasons.into_iter().map(|(name, reason)| (name.to_string(), reason)).collect(),
    }
}

/// A resource for which nothing is decided in this round.
pub fn untouched(meta: &Meta, reason: Reason, message: &str) -> Decision {
    Decision {
        subject: reference(meta),
        reason,
        message: message.into(),
        settled: false,
        failed: false,
        status: None,
        steps: Vec::new(),
        nodes: BTreeMap::new(),
    }
}

fn reference(meta: &Meta) -> Reference {
    Reference::new(KIND, &meta.namespace, &meta.name, &meta.uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_words_on_a_node_the_last_one_counts() {
        let said = [("b", Reason::Suspended), ("c", Reason::Running), ("a", Reason::Succeeded), ("b", Reason::SupersededBy)];
        let words = last_words(said.map(|(node, reason)| (node, NodeReason::new(reason, ""))).into());
        let words: Vec<_> = words.into_iter().map(|(node, why)| (node, why.reason)).collect();
        assert_eq!(words, [("a", Reason::Succeeded), ("b", Reason::SupersededBy), ("c", Reason::Running)]);
    }
}
