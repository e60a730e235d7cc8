//! Which nodes are taken next, and why the others are not.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::api::{NodePhase, NodeStatus, NodeStep};
use super::operation::Operation;
use super::order::is_control_plane;
use super::rebooting;
use crate::labels::probed;
use crate::mutant::Mutant;
use crate::plan::NodeReason;
use crate::reason::Reason;
use crate::snapshot::Meta;
use crate::snapshot::views::Node;

/// Most nodes that one operation has in flight at a time, whatever its concurrency: each holds uids in the status.
pub const WAVE: usize = 2000;
/// The same where nodes reboot: each holds two boot ids as well.
pub const REBOOTING_WAVE: usize = 1400;

/// Most nodes that an operation takes in one round. Rounds in a row lock no more than that each (`WRITES` in `round/drive.rs`:
/// a lock and a Job are two), and deciding on thousands that must wait would only take their time.
const AT_ONCE: usize = 250;

/// What is said of a control-plane node that the operation itself is on.
const TAKEN: &str = "is away";

/// What the operations before this one in the round have, or want.
#[derive(Debug, Default)]
pub struct Others<'a> {
    /// Nodes in flight, with the operation that has them.
    pub in_flight: HashMap<&'a str, &'a Meta>,
    /// Nodes that an older operation is going to take, with that operation.
    pub wanted: HashMap<&'a str, &'a Meta>,
    /// Whether the present operation is the last one of the round: nobody is going to ask what it wants.
    pub is_last: bool,
}

impl<'a> Others<'a> {
    /// Notes that an operation is going to take a node, if no older one is.
    fn want(&mut self, node: &'a Node, operation: &'a Meta) {
        if !self.is_last {
            self.wanted.entry(&node.name).or_insert(operation);
        }
    }
}

/// Which of the waiting nodes are taken, and a reason for each of the others.
#[derive(Debug, Default)]
pub struct Pending<'a> {
    /// New claims.
    pub claims: BTreeMap<&'a str, Arc<NodeStatus>>,
    /// Why the others wait.
    pub waiting: BTreeMap<&'a str, NodeReason>,
}

/// Takes nodes in order while slots are free.
pub fn take<'a>(op: &Operation<'a>, nodes: &[&'a Node], others: &mut Others<'a>) -> Pending<'a> {
    let in_flight = op.in_flight();
    let wave = if op.spec.reboots() { REBOOTING_WAVE } else { WAVE };
    let limit = usize::try_from(op.spec.concurrency.unwrap_or(0)).ok().filter(|limit| *limit > 0).unwrap_or(wave).min(wave);
    let limit = limit + usize::from(Mutant::BudgetOffByOne.lives());
    let mut free = limit.saturating_sub(in_flight.len()).min(AT_ONCE);
    let mut pending = Pending::default();
    // Nearly in the order of their names, so that a map is made of them at once.
    let mut waiting: Vec<(&str, NodeReason)> = Vec::new();
    let mut full: Option<NodeReason> = None;
    let mut away = if op.spec.reboots() { control_plane_away(op, &in_flight, others) } else { Vec::new() };
    let selector = op.spec.node_selector.as_ref().filter(|_| !nodes.is_empty());
    let unseen = probed::awaited(selector, op.snapshot, op.settings);
    let unlabelled = unseen_control_plane(op, &unseen, nodes);
    for node in nodes {
        let obstacle = op.gate.clone().or_else(|| leftover(op, node)).or_else(|| obstacle(op, node)).or_else(|| other(op, node, others));
        let obstacle = obstacle.or_else(|| unseen.contains_key(node.name.as_str()).then(to_be_seen));
        if let Some(reason) = obstacle {
            waiting.push((&node.name, reason));
            continue;
        }
        others.want(node, op.meta);
        if free == 0 {
            let reason = full.get_or_insert_with(|| {
                let taken = in_flight.len() + pending.claims.len();
                let message = match taken < limit {
                    true => format!("{AT_ONCE} nodes are taken in a round, and further ones in the next"),
                    false => format!("{taken} of {limit} slots are taken"),
                };
                NodeReason::new(Reason::WaitingForSlot, message)
            });
            waiting.push((&node.name, reason.clone()));
            continue;
        }
        if let Some(first) = unlabelled.filter(|_| !is_control_plane(node)) {
            let message = format!("control-plane node {first} goes first if it is one of them: nobody has looked at it since it booted");
            waiting.push((&node.name, NodeReason::new(Reason::WaitingForControlPlane, message)));
            continue;
        }
        if op.spec.reboots() && is_control_plane(node) {
            if let Some((first, why)) = away.iter().find(|(first, _)| *first != node.name) {
                let message = format!("control-plane node {first} {why}; one at a time may be away, where nodes reboot");
                waiting.push((&node.name, NodeReason::new(Reason::WaitingForControlPlane, message)));
                continue;
            }
            away.push((&node.name, TAKEN.into()));
        }
        free -= 1;
        others.in_flight.insert(&node.name, op.meta);
        pending.claims.insert(&node.name, Arc::new(claim(op, node)));
    }
    pending.waiting = waiting.into_iter().collect();
    pending
}

/// The control-plane nodes that are away or may come to be, whoever is on them and whatever for, and why.
fn control_plane_away<'a>(op: &Operation<'a>, in_flight: &HashSet<&str>, others: &Others<'a>) -> Vec<(&'a str, String)> {
    let why = |node: &Node| {
        if in_flight.contains(node.name.as_str()) || op.holds(node) {
            return Some(TAKEN.to_string());
        }
        if let Some(other) = others.in_flight.get(node.name.as_str()) {
            return Some(format!("is taken by {}", other.path()));
        }
        if let Some(lock) = &node.lock {
            return Some(format!("is locked by {}", lock.path()));
        }
        (!node.ready).then(|| "is not Ready".to_string())
    };
    op.control_plane().iter().filter_map(|node| Some((node.name.as_str(), why(node)?))).collect()
}

/// A control-plane node that is still to be looked at, and to be taken before the others if it is one of the operation's.
fn unseen_control_plane<'a>(op: &Operation<'a>, unseen: &BTreeMap<&'a str, &'a Node>, nodes: &[&'a Node]) -> Option<&'a str> {
    let selected = |node: &Node| op.spec.node_selector.as_ref().is_none_or(|selector| selector.matches(&node.labels));
    // One that matches and is not among those to be taken is in flight or done.
    let open = |node: &Node| !selected(node) || nodes.iter().any(|open| open.name == node.name);
    unseen.values().find(|node| is_control_plane(node) && open(node)).map(|node| node.name.as_str())
}

/// The labels that the node carries may be those of another system than the one that it has booted, or none yet.
fn to_be_seen() -> NodeReason {
    let message = "spec.nodeSelector asks for what a probe tells, and nobody has looked at the node since it booted";
    NodeReason::new(Reason::WaitingForProbe, message)
}

/// A new claim; it stands in the status before anything happens to the node.
fn claim(op: &Operation<'_>, node: &Node) -> NodeStatus {
    let now = Some(Time(op.now()));
    let (step, phase, reason) = match op.spec.preflight {
        Some(_) => (NodeStep::Preflight, NodePhase::Preflight, Reason::PreflightRunning),
        None => (NodeStep::Locking, NodePhase::Pending, Reason::Locking),
    };
    NodeStatus {
        phase,
        message: Some(if op.spec.preflight.is_some() { "Preflight in progress".into() } else { "the lock is being taken".into() }),
        reboot_status: Some(if op.spec.preflight.is_some() { "not-requested".into() } else { rebooting::requested(op.spec) }),
        last_updated: now.clone(),
        step: Some(step),
        step_since: now.clone(),
        reason: Some(reason.code().into()),
        reason_since: now,
        node_uid: Some(node.uid.clone()),
        run: Some(op.run.number),
        ..NodeStatus::default()
    }
}

/// What of this very operation is still on the node.
fn leftover(op: &Operation<'_>, node: &Node) -> Option<NodeReason> {
    if !op.is_on(&node.name) && !op.holds(node) {
        return None;
    }
    if op.has_live_job(&node.name) {
        let message = "a Job of this operation that its status does not name is still running there";
        return Some(NodeReason::new(Reason::OtherJobRunning, message));
    }
    // A Job that a dropped claim has left: a round that is long over may be about to delete it, and must not meet it as ours.
    if op.jobs_on(&node.name).iter().any(|job| job.held && !job.is_finished() && job.run.is_some()) {
        let message = "a Job that never ran is still being removed";
        return Some(NodeReason::new(Reason::WaitingForLastRun, message));
    }
    (op.holds(node) || op.has_live_pod(&node.name))
        .then(|| NodeReason::new(Reason::WaitingForLastRun, "the last run is still being taken off the node"))
}

/// Why the node cannot be taken, whoever asks.
pub fn obstacle(op: &Operation<'_>, node: &Node) -> Option<NodeReason> {
    let because = |reason, message: String| Some(NodeReason::new(reason, message));
    if node.deleting {
        return because(Reason::NodeDeleting, "the node object is being deleted".into());
    }
    if !node.ready {
        return because(Reason::NotReady, "the node is not Ready; it is started when it is".into());
    }
    if let Some(lock) = node.lock.as_ref().filter(|_| !op.locks(node) && !Mutant::NoLock.lives()) {
        return because(Reason::WaitingForOther, format!("{} goes first", lock.path()));
    }
    if !op.spec.cordons() {
        return None;
    }
    if let Some(holder) = node.cordoned_by.as_ref().filter(|_| !op.has_cordoned(node)) {
        return because(Reason::WaitingForOther, format!("{} has cordoned the node and not let go of it", holder.path()));
    }
    let stranger = node.cordon_managers.iter().find(|name| !node.unschedulable && *name != op.manager());
    stranger.and_then(|stranger| because(Reason::CordonConflict, format!("field manager {stranger} holds spec.unschedulable: false")))
}

/// Another operation is on the node, or goes first.
fn other(op: &Operation<'_>, node: &Node, others: &Others<'_>) -> Option<NodeReason> {
    if Mutant::NoLock.lives() {
        return None;
    }
    let there = others.in_flight.get(node.name.as_str()).filter(|other| other.uid != op.meta.uid);
    let first = there.or_else(|| others.wanted.get(node.name.as_str()))?;
    Some(NodeReason::new(Reason::WaitingForOther, format!("{} goes first", first.path())))
}
