//! The next step of a node in flight: one `match` over where its claim stands and what the cluster shows.

use std::sync::Arc;

use super::api::{NodePhase, NodeStatus, NodeStep};
use super::drain::Allowance;
use super::operation::Operation;
use super::place::{Advance, Place};
use super::{draining, rebooting, running};
use crate::names;
use crate::plan::{Action, NodeApply, NodeReason};
use crate::reason::Reason;
use crate::snapshot::Reference;
use crate::snapshot::views::{ContainerState, Exit, Job, Node, Pod};

/// Seconds that pods of a cancelled Job get to end, before the node is given up and keeps its lock.
const CANCEL_PATIENCE: i64 = 120;

/// Decides the next step of a node in flight.
pub fn advance<'a>(op: &Operation<'a>, name: &str, entry: &Arc<NodeStatus>, allowance: &mut Allowance<'a>) -> Advance {
    let place = Place { op, name, entry };
    let step = entry.step.unwrap_or(NodeStep::Running);
    let Some(node) = place.node() else { return place.without_node(step) };
    if step < NodeStep::Running && (op.gate.is_some() || op.run.is_outdated(entry)) {
        return place.drop_claim(op.gate.clone().unwrap_or_else(|| NodeReason::new(Reason::WaitingForLastRun, "the spec has changed")));
    }
    if let Some(left) = op.terms.left.get(name).filter(|_| step < NodeStep::Running) {
        return place.drop_claim(left.clone());
    }
    if step < NodeStep::Running && rebooting::follows(entry) && node.boot_id.is_empty() {
        return place
            .fail(Reason::NoBootId, "the Node object tells no boot id (status.nodeInfo.bootID), so that a reboot could not be proven");
    }
    match step {
        NodeStep::Preflight => place.preflight(node),
        NodeStep::Locking => place.locking(node),
        NodeStep::Draining | NodeStep::Starting => match place.hold_is_lost(node) {
            Some(lost) => lost,
            None if step == NodeStep::Draining => draining::advance(&place, node, allowance),
            None => running::start(&place, node),
        },
        NodeStep::Running => running::advance(&place, node),
        NodeStep::Rebooting | NodeStep::Verifying => rebooting::advance(&place, node),
        NodeStep::Cancelling => place.cancelling(),
        NodeStep::Releasing => place.releasing(node),
    }
}

impl<'a> Place<'_, 'a> {
    /// The node is gone or replaced. Only what a GET confirmed counts.
    fn without_node(&self, step: NodeStep) -> Advance {
        let replaced = self.op.snapshot.nodes.contains_key(self.name);
        // What was adopted from the existing operator may name no uid that could be asked for.
        let confirmed =
            self.entry.node_uid.as_ref().is_none_or(|uid| self.op.snapshot.is_absent(&Reference::new("Node", "", self.name, uid)));
        if !replaced && !confirmed {
            // A verdict, and what a cancellation is for, stand in reason and message.
            return match step {
                NodeStep::Cancelling | NodeStep::Releasing => self.stay_as_it_is(Reason::NodeGone),
                _ => self.stay(Reason::NodeGone, "the node was not listed; waiting for confirmation"),
            };
        }
        let (reason, message) = match replaced {
            true => (Reason::NodeReplaced, "another node has come up under this name"),
            false => (Reason::NodeGone, "the node was deleted"),
        };
        // The one that has its name now has not run anything.
        let starts_anew = replaced && self.takes_new_nodes() && self.ran_on_successor().is_none();
        match step {
            step if step < NodeStep::Running => self.drop_claim(NodeReason::new(reason, message)),
            NodeStep::Running if replaced => self.cancel(reason, message),
            NodeStep::Running => running::without_node(self, message),
            NodeStep::Rebooting | NodeStep::Verifying if starts_anew => self.drop_claim(NodeReason::new(reason, message)),
            NodeStep::Rebooting | NodeStep::Verifying => {
                self.fail(reason, &format!("the command succeeded, but {message} before it was seen to reboot"))
            }
            NodeStep::Cancelling => self.cancelling(),
            // The result is that of a machine which is no more.
            NodeStep::Releasing if starts_anew => self.drop_claim(NodeReason::new(reason, message)),
            _ => self.finish(),
        }
    }

    /// The preflight pod runs; nothing of the node is touched yet.
    fn preflight(&self, node: &'a Node) -> Advance {
        let claim = self.op.claim(node, self.entry);
        let name = claim.preflight_name();
        let Some(pod) = self.op.pod_named(&name, self.name) else {
            if self.timed_out() {
                return self.fail(Reason::NodeTimeout, "the preflight pod could not be made in time");
            }
            if let Some(object) = claim.preflight_pod(self.op.settings) {
                let create = Action::Create { object };
                let mut advance = running::refused(self, std::slice::from_ref(&create), Reason::PreflightRunning);
                advance.steps.push(self.step(Reason::PreflightRunning, "start the preflight", create));
                return advance;
            }
            // The preflight was taken out of the spec meanwhile: the hash has changed, and the claim is dropped above.
            return self.drop_claim(NodeReason::new(Reason::WaitingForLastRun, "the spec has no preflight any more"));
        };
        if !self.op.made(pod) {
            return match self.timed_out() {
                true => self.fail(Reason::NodeTimeout, "the preflight pod could not be made in time"),
                false => self.stay(Reason::CannotStart, &format!("there is a Pod {name} already, which this operation has not made")),
            };
        }
        match pod.phase.as_str() {
            "Succeeded" => match preflight_message(pod) {
                "" => {
                    let mut go = self.go(NodeStep::Locking, NodePhase::Pending, Reason::Locking, "the lock is being taken");
                    match &mut go.entry {
                        Some(entry) => {
                            Arc::make_mut(entry).reboot_status = Some(rebooting::requested(self.op.spec));
                            Place { op: self.op, name: self.name, entry }.locking(node)
                        }
                        None => go,
                    }
                }
                message => {
                    let message = format!("Skipped by preflight: {}", super::verdict::said(message));
                    let mut advance = self.go(NodeStep::Releasing, NodePhase::Completed, Reason::SkippedByPreflight, &message);
                    // Nothing was locked: there is nothing to release.
                    advance.entry = advance.entry.map(|entry| self.finished(entry));
                    advance
                }
            },
            // A pod that was told to go did not fail by itself: when it is gone, another one is made.
            "Failed" if pod.deleted.is_none() => {
                self.fail(Reason::PreflightFailed, &format!("Preflight failed: {}", preflight_failure(pod)))
            }
            // What tells why it fails has made up its mind: another try would not change that.
            _ if let Some(exit) = refusal(pod).filter(|_| pod.deleted.is_none()) => {
                self.fail(Reason::PreflightFailed, &format!("Preflight failed: {}", super::verdict::describe(exit)))
            }
            // Its own deadline is kept by the kubelet, which may be dead.
            _ if self.timed_out() => self.fail(Reason::NodeTimeout, &format!("Preflight failed: {}", self.timeout_message())),
            _ if pod.deleted.is_some() => self.stay(Reason::PreflightRunning, "the preflight pod is being deleted; another one follows"),
            _ => match super::verdict::start_trouble(pod) {
                Some(trouble) => self.stay(Reason::CannotStart, &format!("pod {}: {}", pod.name, super::verdict::sentence(&trouble))),
                None => self.stay(Reason::PreflightRunning, "Preflight in progress"),
            },
        }
    }

    /// The lock, and the cordon with it, goes onto the node in one apply that only one operation can win.
    fn locking(&self, node: &'a Node) -> Advance {
        if self.op.holds(node) {
            if self.cordon_lifted(node) {
                return self.fail(Reason::CordonRemoved, "somebody lifted the cordon before the command started");
            }
            return match self.op.spec.drain() {
                Some(_) => self.go(NodeStep::Draining, NodePhase::Pending, Reason::Draining, "pods are leaving the node"),
                None => self.started(node),
            };
        }
        if let Some(waiting) = super::pending::obstacle(self.op, node) {
            return self.drop_claim(waiting);
        }
        if self.timed_out() {
            return self.fail(Reason::NodeTimeout, "the lock could not be taken in time");
        }
        let cordon = self.op.spec.cordons().then(|| self.op.holder().to_string());
        let lock = NodeApply {
            node: Reference::new("Node", "", &node.name, &node.uid),
            resource_version: node.resource_version.clone(),
            manager: self.op.manager().to_string(),
            lock: Some(self.op.holder().to_string()),
            cordon,
            ..NodeApply::default()
        };
        let mut advance = self.stay(Reason::Locking, "the lock is being taken");
        let mut step = self.step(Reason::Locking, "take the node", Action::ApplyNode(lock));
        // With nothing to drain the Job, which does not run yet, follows on the lock's heels: it saves a round.
        if self.op.spec.drain().is_none() {
            step.actions.extend(running::create(self, node));
        }
        advance.steps.push(step);
        advance
    }

    /// The lock is seen, and with it perhaps the Job that was made on its heels.
    fn started(&self, node: &'a Node) -> Advance {
        let start = self.go(NodeStep::Starting, NodePhase::Pending, Reason::Starting, "the node is locked");
        match &start.entry {
            Some(entry) => running::start(&Place { op: self.op, name: self.name, entry }, node),
            None => start,
        }
    }

    /// The Job goes; when it and its pods are gone, the node is done with.
    fn cancelling(&self) -> Advance {
        let jobs = self.op.jobs_on(self.name);
        let named = jobs.iter().find(|job| Some(&job.uid) == self.entry.job_uid.as_ref());
        let pods = self.op.pods_of(self.entry.job_uid.as_deref().unwrap_or_default(), self.name);
        let succeeded = super::verdict::succeeded_before_the_job_went(&pods) || named.is_some_and(|job| job.complete);
        let replaced = self.is_replaced() || self.entry.is_because(Reason::NodeReplaced);
        // A write that was long under way may have let the Job run on the machine that has the name now.
        let machine = self.op.snapshot.nodes.get(self.name);
        let began_on = |node: &&Node| node.created.is_some_and(|since| super::verdict::succeeded_since(&pods, since));
        let machine = machine.filter(|node| replaced && began_on(node));
        let starts_anew = replaced && machine.is_none() && (self.takes_new_nodes() || !succeeded);
        if succeeded && !starts_anew && rebooting::follows(self.entry) {
            return self.fail(Reason::NotRebooted, "the command succeeded when its time was up; the node is not rebooted");
        }
        if succeeded && !starts_anew {
            let mut advance = self.settle(NodePhase::Completed, Reason::Succeeded, "Job completed successfully");
            if let (Some(entry), Some(machine)) = (advance.entry.as_mut().filter(|entry| entry.step.is_some()), machine) {
                Arc::make_mut(entry).node_uid = Some(machine.uid.clone());
            }
            return advance;
        }
        let live_pod = self.op.has_live_pod(self.name);
        let patient = self.op.seconds_since(self.entry.step_since.as_ref()) <= CANCEL_PATIENCE;
        // A pod that does not end, because the machine of that name has gone down as well, holds no slot for ever.
        if starts_anew && (!live_pod || !patient) && named.map_or_else(|| self.job_is_gone(), |job| job.is_finished()) {
            return self.drop_claim(NodeReason::new(Reason::NodeReplaced, "another node has come up under this name"));
        }
        if !starts_anew && !live_pod && named.is_none() && self.job_is_gone() {
            return self.settle(NodePhase::Failed, Reason::NodeTimeout, &self.timeout_message());
        }
        if !patient && !starts_anew && named.is_none_or(|job| job.deleting) {
            if self.op.run.is_outdated(self.entry) {
                return self.finish();
            }
            let message =
                format!("{}; its pod does not end, so the node stays locked until it does or the node is deleted", self.timeout_message());
            let mut given_up = self.go(NodeStep::Releasing, NodePhase::Failed, Reason::NodeTimeout, &message);
            given_up.entry = given_up.entry.map(|entry| self.finished(entry));
            return given_up;
        }
        let mut advance = self.stay_as_it_is(Reason::Cancelling);
        if let Some(job) = named.filter(|job| !job.deleting) {
            advance.steps.push(self.step(
                Reason::Cancelling,
                "remove the Job",
                Action::Delete {
                    what: Reference::new("Job", &job.namespace, &job.name, &job.uid),
                    // Had it ended meanwhile, its result would be lost with it.
                    resource_version: Some(job.resource_version.clone()).filter(|version| !version.is_empty()),
                    grace_seconds: None,
                },
            ));
        }
        advance
    }

    /// The result stands; the entry is done with when the lock is off. A pod's verdict is known before its Job is called
    /// finished, and until then nothing is given back.
    fn releasing(&self, node: &Node) -> Advance {
        let named = running::named_job(self).is_some_and(Job::may_run);
        let busy = self.op.has_live_pod(self.name) || named;
        if super::release::is_released(self.op, node, Some(self.entry)) && !busy {
            return self.finish();
        }
        // A node that went down and has not come back ends no pod: the slot is freed, the lock stays.
        let failed = self.entry.phase == NodePhase::Failed;
        if failed && busy && self.op.seconds_since(self.entry.step_since.as_ref()) > CANCEL_PATIENCE {
            return self.finish();
        }
        let mut advance = self.stay_as_it_is(Reason::Releasing);
        if busy && !node.ready {
            let verdict = &advance.reason.message;
            let message =
                format!("{verdict}; what runs there has not been seen to end, and the node, which is not Ready, is held until it is");
            advance.reason = NodeReason::new(Reason::NotReady, message);
        }
        advance
    }

    /// The end of a claim: a result of an older spec counts no more, any other is kept.
    fn finish(&self) -> Advance {
        if self.op.run.is_outdated(self.entry) {
            return self.drop_claim(NodeReason::new(Reason::WaitingForLastRun, "the last run is off the node"));
        }
        let mut advance = self.stay_as_it_is(Reason::Releasing);
        advance.entry = Some(self.finished(self.entry.clone()));
        advance
    }
}
/// What a successful preflight said; "" means go on.
fn preflight_message(pod: &Pod) -> &str {
    let container = pod.containers.iter().find(|container| container.name == names::CONTAINER_PREFLIGHT);
    container.and_then(super::verdict::exit).map_or("", |exit| exit.message.trim())
}

/// How a preflight has failed that said why, whether or not the kubelet tries it again.
fn refusal(pod: &Pod) -> Option<&Exit> {
    let container = pod.containers.iter().find(|container| container.name == names::CONTAINER_PREFLIGHT)?;
    let exit = super::verdict::exit(container).or(container.last_exit.as_ref())?;
    (exit.code != 0 && !exit.message.trim().is_empty()).then_some(exit)
}

/// Why a preflight failed.
fn preflight_failure(pod: &Pod) -> String {
    let container = pod.containers.iter().find(|container| container.name == names::CONTAINER_PREFLIGHT);
    let exit = container.and_then(|container| match &container.state {
        ContainerState::Ended(exit) => Some(exit),
        _ => container.last_exit.as_ref(),
    });
    let trouble = pod.trouble.as_ref().map(super::verdict::sentence);
    match (trouble, exit) {
        (Some(trouble), Some(exit)) => format!("{trouble} (last: {})", super::verdict::describe(exit)),
        (Some(trouble), None) => trouble,
        (None, Some(exit)) => super::verdict::describe(exit),
        (None, None) => "the pod failed without saying why".into(),
    }
}
