//! A claim in one round: its entry, its node, and the ways in which an entry moves on.
//!
//! An entry only ever moves on what the snapshot proves. What is done follows from the entry as it will stand once the
//! status is written, so that nothing is done before it is recorded.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::adopt::REBOOT_CANCELLED;
use super::api::{NodePhase, NodeStatus, NodeStep};
use super::compact::is_untold;
use super::operation::Operation;
use super::rebooting;
use super::verdict::{self, clip};
use crate::mutant::Mutant;
use crate::plan::{Action, NodeReason, Step};
use crate::reason::Reason;
use crate::rollout::RunPolicy;
use crate::snapshot::Reference;
use crate::snapshot::views::{Job, Node};

/// Most characters of a message: a status must stay small, and the server takes no condition of more than 32 KiB.
pub const LONGEST: usize = 2000;

/// What becomes of a claim.
#[derive(Debug)]
pub struct Advance {
    /// The entry as it should stand; None: the claim is dropped, nothing ran under it.
    pub entry: Option<Arc<NodeStatus>>,
    /// What follows once that is recorded.
    pub steps: Vec<Step>,
    /// Why.
    pub reason: NodeReason,
}

/// A claim, its node if that is still there, and the operation it belongs to.
pub struct Place<'o, 'a> {
    /// The operation.
    pub op: &'o Operation<'a>,
    /// Name of the node.
    pub name: &'o str,
    /// The entry as recorded.
    pub entry: &'o Arc<NodeStatus>,
}

impl<'a> Place<'_, 'a> {
    /// The node that was claimed; None if it is gone, or another one has its name.
    pub fn node(&self) -> Option<&'a Node> {
        self.op.snapshot.nodes.get(self.name).filter(|node| self.entry.node_uid.as_ref().is_none_or(|uid| *uid == node.uid))
    }

    /// Between lock and start the node must stay ours, and cordoned if it is to be: a person's word wins.
    pub fn hold_is_lost(&self, node: &Node) -> Option<Advance> {
        if !self.op.locks(node) {
            return Some(self.fail(Reason::LockRemoved, "somebody took the lock off the node before the command started"));
        }
        self.cordon_lifted(node).then(|| self.fail(Reason::CordonRemoved, "somebody lifted the cordon before the command started"))
    }

    /// The cordon came with the lock, in one apply: where that is and it is not, somebody has lifted it, with its mark or
    /// without.
    pub fn cordon_lifted(&self, node: &Node) -> bool {
        self.op.spec.cordons() && !node.unschedulable
    }

    /// Whether another node has the name of the one that was claimed.
    pub fn is_replaced(&self) -> bool {
        self.op.snapshot.nodes.contains_key(self.name) && self.node().is_none()
    }

    /// The machine that has the name now, if the claim's command was started there and succeeded: a pod of the Job can
    /// have been made while the name changed hands. There it has run.
    pub fn ran_on_successor(&self) -> Option<&'a Node> {
        let machine = self.op.snapshot.nodes.get(self.name).filter(|_| self.node().is_none())?;
        let pods = self.op.pods_of(self.entry.job_uid.as_deref().unwrap_or_default(), self.name);
        machine.created.is_some_and(|since| verdict::succeeded_since(&pods, since)).then_some(machine)
    }

    /// Whether a node that came later is taken as well.
    pub fn takes_new_nodes(&self) -> bool {
        self.op.rollout.run_policy.unwrap_or_default() == RunPolicy::OnChange
    }

    /// Whether the Job that the claim names is gone, by a look that confirmed it.
    pub fn job_is_gone(&self) -> bool {
        let Some(name) = self.entry.job_name.as_ref() else { return true };
        // Adopted from the existing operator, which records no uid: then none of that name is there.
        let uid = self.entry.job_uid.as_deref().unwrap_or_default();
        self.op.snapshot.is_absent(&Reference::new("Job", &self.op.meta.namespace, name, uid))
    }

    /// What is said of a node whose time was up.
    pub fn timeout_message(&self) -> String {
        format!("not done within {} seconds (rollout.nodeTimeoutSeconds)", self.op.rollout.node_timeout())
    }

    /// An entry without what only a node in flight needs.
    pub fn finished(&self, entry: Arc<NodeStatus>) -> Arc<NodeStatus> {
        // A node that looks younger than its result counts as made anew. The clocks of two apiservers may differ by more
        // than a command takes, and it must not run again for that.
        let ran_on = self.node().or_else(|| self.ran_on_successor());
        let created = ran_on.and_then(|node| node.created).unwrap_or(self.op.now());
        let NodeStatus { phase, job_name, message, reboot_status, reason, .. } = Arc::unwrap_or_clone(entry);
        let last_updated = Some(Time(self.op.now().max(created)));
        Arc::new(NodeStatus { phase, job_name, message, reboot_status, reason, last_updated, ..NodeStatus::default() })
    }

    /// Whether the node's time in this step is up.
    pub fn timed_out(&self) -> bool {
        self.op.seconds_since(self.entry.step_since.as_ref()) > self.op.rollout.node_timeout()
    }

    /// Records a failure; the lock comes off next.
    pub fn fail(&self, reason: Reason, message: &str) -> Advance {
        let phase = if Mutant::Lie.lives() { NodePhase::Completed } else { NodePhase::Failed };
        self.settle(phase, reason, message)
    }

    /// Records a result; the lock comes off next.
    pub fn settle(&self, phase: NodePhase, reason: Reason, message: &str) -> Advance {
        let mut advance = self.go(NodeStep::Releasing, phase, reason, message);
        if let Some(entry) = advance.entry.as_mut().filter(|entry| rebooting::follows(entry)) {
            Arc::make_mut(entry).reboot_status = Some(REBOOT_CANCELLED.into());
        }
        let nothing_held = self.node().is_none_or(|node| {
            // A Job is over a moment after its pod; only then is the node given back.
            !self.op.locks(node) && !self.op.has_live_pod(self.name) && !self.op.has_live_job(self.name)
        });
        if nothing_held && !self.op.run.is_outdated(self.entry) {
            advance.entry = advance.entry.map(|entry| self.finished(entry));
        }
        advance
    }

    /// Begins to take the Job away.
    pub fn cancel(&self, reason: Reason, message: &str) -> Advance {
        self.go(NodeStep::Cancelling, NodePhase::Running, reason, message)
    }

    /// Moves on to a step.
    pub fn go(&self, step: NodeStep, phase: NodePhase, reason: Reason, message: &str) -> Advance {
        let message = clip(message, LONGEST);
        let now = Some(Time(self.op.now()));
        let mut shared = Arc::clone(self.entry);
        if !self.says(step, phase, reason, &message) {
            let entry = Arc::make_mut(&mut shared);
            if entry.step != Some(step) {
                (entry.step, entry.step_since) = (Some(step), now.clone());
            }
            if !entry.is_because(reason) {
                (entry.reason, entry.reason_since) = (Some(reason.code().into()), now.clone());
            }
            (entry.phase, entry.message, entry.last_updated) = (phase, Some(message.clone()), now);
        }
        Advance { entry: Some(shared), steps: Vec::new(), reason: NodeReason::new(reason, message) }
    }

    /// Whether the entry says all that already, but for a message that would not be kept.
    fn says(&self, step: NodeStep, phase: NodePhase, reason: Reason, message: &str) -> bool {
        let entry = self.entry;
        let recorded = entry.message.as_deref() == Some(message) || is_untold(entry, self.op.run.entries.len());
        recorded && entry.step == Some(step) && entry.phase == phase && entry.is_because(reason)
    }

    /// Stays in the step, for a reason.
    pub fn stay(&self, reason: Reason, message: &str) -> Advance {
        self.go(self.entry.step.unwrap_or(NodeStep::Running), self.entry.phase, reason, message)
    }

    /// Stays with reason and message as recorded.
    pub fn stay_as_it_is(&self, reason: Reason) -> Advance {
        let message = self.entry.message.clone().unwrap_or_default();
        Advance { entry: Some(self.entry.clone()), steps: Vec::new(), reason: NodeReason::new(reason, message) }
    }

    /// Gives the node back untouched; it may be taken again.
    pub fn drop_claim(&self, reason: NodeReason) -> Advance {
        Advance { entry: None, steps: Vec::new(), reason }
    }

    /// A step about this node.
    pub fn step(&self, reason: Reason, message: &str, action: Action) -> Step {
        self.op.step(self.name, reason, message, action)
    }

    /// The patch that lets a Job run, whatever holds it.
    pub fn start(&self, job: &Job) -> Step {
        let what = Reference::new("Job", &job.namespace, &job.name, &job.uid);
        self.step(
            Reason::Running,
            "start the command",
            Action::Patch { what, patch: json!({"spec": {"parallelism": 1, "suspend": false}}) },
        )
    }
}
