//! The witness: looks at the world after every write and every happening, and says what must never be.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use rounds::names::node_manager;
use rounds::nodeop::api::{NodePhase, NodeStatus};
use rounds::plan::{Action, NodeApply, NodeReason, Plan};
use rounds::reason::Reason;
use rounds::rollout::OnDrainTimeout;
use rounds::simulate::people::PERSON;
use rounds::simulate::world::World;
use rounds::simulate::writes::What;
use rounds::snapshot::Snapshot;
use rounds::snapshot::views::{Node, Pod};

/// What must never be, and was: a word for the rule and a sentence about what happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// What happened.
    pub what: String,
}

/// A violation, if something is so.
fn never(is: bool, rule: &'static str, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if is { Err(Violation { rule, what: what() }) } else { Ok(()) }
}

/// What the witness remembers.
#[derive(Debug, Default)]
pub struct Witness {
    /// Records of the world's history that have been read.
    read: usize,
    /// Where a command has succeeded: operation, uid of the machine, run of the spec.
    succeeded: HashSet<(String, String, i64)>,
    /// Jobs whose command was started.
    started: HashSet<String>,
    /// Jobs whose command has succeeded, when, and what that was recorded as.
    fresh: HashMap<String, (Timestamp, (String, String, i64))>,
    /// The same by name of the machine, for statuses.
    names: HashSet<(String, String, i64)>,
    /// The run of the spec that a run belongs to.
    runs: HashMap<(String, i64), i64>,
    /// The largest limit that an operation has had; 0 is none.
    limits: HashMap<String, usize>,
    /// Nodes, by operation, that were given up and are still held.
    given_up: BTreeSet<(String, String)>,
    /// Nodes, by operation, whose lock came without a claim.
    stray: BTreeSet<(String, String)>,
    /// When a node was last seen locked.
    locked: HashMap<String, Timestamp>,
    /// Nodes whose lock somebody took off by hand, or whose operation somebody deleted: what then still comes is not ours.
    meddled: BTreeSet<String>,
}

/// How long a write may be under way.
const UNDERWAY: SignedDuration = SignedDuration::from_secs(300);

/// Until the Job controller has noticed that a pod has ended.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(1);

impl Witness {
    /// People changed something that the witness must know of.
    pub fn meddled(&mut self, world: &World, node: Option<&str>) {
        match node {
            Some(node) => self.meddled.extend([node.to_string()]),
            None => self.meddled.extend(world.seen.nodes.keys().cloned()),
        }
    }

    /// A person asks for another try on failed nodes: where the evidence of a success was destroyed, it may run again.
    pub fn retried(&mut self, world: &World, operation: &str) {
        let Some(op) = world.seen.nodeops.iter().find(|op| op.meta.name == operation) else { return };
        let uid = op.meta.uid.clone();
        let failed: BTreeSet<&str> = op
            .status
            .node_statuses
            .iter()
            .filter(|(_, entry)| entry.phase != NodePhase::Completed)
            .filter_map(|(name, _)| world.seen.nodes.get(&**name).map(|node| node.uid.as_str()))
            .collect();
        self.succeeded.retain(|(of, machine, _)| *of != uid || !failed.contains(machine.as_str()));
    }

    /// A person deletes the Jobs on a node. What they did on another machine than the one that was claimed, and that no round
    /// has seen, nobody can know any more.
    pub fn destroyed(&mut self, world: &World, operation: &str, node: &str) {
        let Some(op) = world.seen.nodeops.iter().find(|op| op.meta.name == operation) else { return };
        let Some(machine) = world.seen.nodes.get(node).map(|node| node.uid.as_str()) else { return };
        let known = |entry: &NodeStatus| entry.phase == NodePhase::Completed || entry.node_uid.as_deref() == Some(machine);
        if !op.status.of(node).is_some_and(known) {
            self.succeeded.retain(|(of, on, _)| *of != op.meta.uid || on != machine);
        }
    }

    /// Looks at the world after anything has happened.
    pub fn look(&mut self, world: &World) -> Result<(), Violation> {
        for op in &world.seen.nodeops {
            if let (Some(run), Some(spec_run)) = (op.status.run, op.status.spec_run) {
                self.runs.insert((op.meta.uid.clone(), run), spec_run);
            }
            let limit = usize::try_from(op.spec.concurrency.unwrap_or(0)).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
            let most = self.limits.entry(op.meta.uid.clone()).or_insert(limit);
            *most = limit.max(*most);
        }
        for node in world.seen.nodes.values().filter(|node| node.lock.is_some()) {
            self.locked.insert(node.name.clone(), world.now());
        }
        self.read_history(world)?;
        self.budget(world)?;
        one_operation(world)
    }

    fn read_history(&mut self, world: &World) -> Result<(), Violation> {
        for record in &world.history[self.read..] {
            let run = self.runs.get(&(record.operation.clone(), record.run)).copied().unwrap_or(record.run);
            let key = (record.operation.clone(), record.node.1.clone(), run);
            never(record.exit.is_none() && self.succeeded.contains(&key), "a command that succeeded is not run again", || {
                format!("operation {} ran again on {} in run {run}", record.operation, record.node.0)
            })?;
            if record.exit.is_none() && self.started.insert(record.job.clone()) {
                let op = world.seen.nodeops.iter().find(|op| op.meta.uid == record.operation);
                let entry = op.and_then(|op| op.status.of(&record.node.0));
                let named = entry.is_some_and(|entry| entry.job_uid.as_ref() == Some(&record.job));
                never(op.is_some() && !named, "a command only starts when a status names its Job", || {
                    format!(
                        "operation {} started Job {} on {}, of which its status says {entry:?}",
                        record.operation, record.job, record.node.0
                    )
                })?;
            }
            if record.exit == Some(0) {
                // Of a pod whose Job is gone, nobody may ever see how it ended.
                if world.job(&record.job).is_some() {
                    self.fresh.insert(record.job.clone(), (record.at, key.clone()));
                    self.succeeded.insert(key);
                }
                self.names.insert((record.operation.clone(), record.node.0.clone(), run));
            }
        }
        self.read = world.history.len();
        // One more than has been looked at can only be the last one.
        let (name, uid) = match world.reboots.last() {
            Some(last) => last,
            None => return Ok(()),
        };
        let reboots = world.reboots.iter().filter(|(_, machine)| machine == uid).count();
        let commands = world.history.iter().filter(|record| record.node.1 == *uid && record.exit == Some(0)).count();
        never(reboots > commands, "a node reboots once per command that succeeded", || {
            format!("{name}: {reboots} reboots, {commands} successes")
        })
    }

    /// In flight by what is in the cluster, not by what a status says: live Jobs, pods that have not ended, locks.
    fn budget(&mut self, world: &World) -> Result<(), Violation> {
        for op in &world.seen.nodeops {
            let limit = self.limits[&op.meta.uid];
            if limit >= world.seen.nodes.len() {
                continue;
            }
            let mut flying: BTreeSet<&str> = BTreeSet::new();
            let live = world.seen.jobs.iter().filter(|job| !job.held && !job.is_finished());
            flying.extend(live.filter(|job| job.owner.as_ref().is_some_and(|o| o.uid == op.meta.uid)).map(|job| job.node.as_str()));
            // A preflight pod, or a reboot pod that nobody approves, touches nothing. Made late, by a write that was long under
            // way, it is removed.
            let idle = |pod: &Pod| {
                pod.labels.contains_key("kairos.io/preflight") || pod.labels.contains_key("kairos.io/reboot") && pod.approved.is_none()
            };
            let pods = world.seen.pods.iter().filter(|pod| !pod.is_terminal() && !idle(pod));
            let ours = pods.filter(|pod| pod.labels.get("operator.kairos.io/owner-uid") == Some(&op.meta.uid));
            flying.extend(ours.map(|pod| pod.node.as_str()));
            // A lock that was long under way, and comes when its claim has been dropped, is taken off again.
            let stray = |node: &Node| self.stray.contains(&(op.meta.uid.clone(), node.name.clone()));
            let locked = world.seen.nodes.values().filter(|node| node.lock.as_ref().is_some_and(|lock| lock.uid() == op.meta.uid));
            let locked = locked.filter(|node| !stray(node));
            flying.extend(locked.map(|node| node.name.as_str()));
            flying.retain(|name| world.seen.nodes.contains_key(*name));
            // Given up: its pod does not end on a node that is down. It stays so when a new run drops the entry that tells it.
            let failed = |entry: &NodeStatus| entry.is_finished() && entry.phase == NodePhase::Failed;
            let runs = |name: &str| world.seen.jobs.iter().any(|job| job.node == name && !job.held && !job.is_finished());
            let down = |name: &str| world.seen.nodes.get(name).is_some_and(|node| !node.ready) && !runs(name);
            let given_up = |name: &str| op.status.of(name).map_or_else(|| down(name), failed);
            self.given_up.retain(|(uid, name)| *uid != op.meta.uid || flying.contains(name.as_str()));
            self.given_up.extend(flying.iter().filter(|name| given_up(name)).map(|name| (op.meta.uid.clone(), (*name).to_string())));
            flying.retain(|name| !self.given_up.contains(&(op.meta.uid.clone(), (*name).to_string())));
            never(flying.len() > limit, "never more nodes in flight than the budget", || {
                format!("{} has {flying:?} in flight, its limit is {limit}", op.meta.name)
            })?;
        }
        Ok(())
    }

    /// Looks at a write that was taken, and at the node before it.
    pub fn wrote(&mut self, world: &World, what: &What, before: Option<&Node>) -> Result<(), Violation> {
        if let (Some(before), What::Action(action)) = (before, what) {
            let after = world.seen.nodes.get(&before.name);
            let lifted = before.unschedulable && after.is_some_and(|after| !after.unschedulable);
            never(lifted && before.cordon_managers.iter().any(|manager| manager == PERSON), "a person's cordon is never lifted", || {
                action.summary()
            })?;
            if let (Action::ApplyNode(apply), Some(lock)) = (action, &before.lock) {
                never(
                    apply.lock.is_none() && lock.manager == apply.manager && self.is_busy(world, before, lock.uid()),
                    "nothing is given back while a command is on it",
                    || format!("{} while the command of {} runs", action.summary(), lock.path()),
                )?;
            }
        }
        if let What::Action(Action::ApplyNode(apply)) = what {
            self.locked_by(world, apply);
        }
        if let What::Action(Action::Evict { pod, .. }) = what {
            let node = world.workload.pod(&pod.uid).map(|pod| pod.node.clone()).unwrap_or_default();
            let lately = self.locked.get(&node).is_some_and(|when| world.now().duration_since(*when) < UNDERWAY);
            never(!lately && !self.meddled.contains(&node), "nothing is evicted from a node that is not locked", || pod.to_string())?;
        }
        // The Job of a node that was replaced is cancelled. Who does so in the moment in which the command succeeds cannot know.
        if let What::Action(Action::Delete { what, .. }) = what
            && let Some((when, key)) = self.fresh.get(&what.uid)
            && world.now().duration_since(*when) < AT_ONCE
        {
            self.succeeded.remove(key);
        }
        if let What::Status(write) = what {
            self.status(world, &write.of.uid)?;
        }
        Ok(())
    }

    /// A node was locked or let go: whether a claim stands behind a lock is known in this moment.
    fn locked_by(&mut self, world: &World, apply: &NodeApply) {
        let Some(op) = world.seen.nodeops.iter().find(|op| node_manager(&op.meta.uid) == apply.manager) else { return };
        let key = (op.meta.uid.clone(), apply.node.name.clone());
        let claimed = op.status.of(&apply.node.name).is_some_and(|entry| entry.step.is_some());
        match apply.lock.is_some() && !claimed {
            true => self.stray.insert(key),
            false => self.stray.remove(&key),
        };
    }

    /// Whether a pod of an operation runs its command on a node. A lock that a person took off is not given back by us.
    fn is_busy(&self, world: &World, node: &Node, operation: &str) -> bool {
        let ours = |labels: &BTreeMap<String, String>| labels.get("operator.kairos.io/owner-uid").is_some_and(|uid| uid == operation);
        let command = |pod: &Pod| pod.owner.as_ref().is_some_and(|owner| owner.kind == "Job") && pod.phase == "Running";
        let running = world.seen.pods.iter().any(|pod| pod.node == node.name && command(pod) && ours(&pod.labels));
        running && !world.dead.contains(&node.uid) && !self.meddled.contains(&node.name)
    }

    /// A status that was just written tells no lies.
    fn status(&self, world: &World, uid: &str) -> Result<(), Violation> {
        let Some(op) = world.seen.nodeops.iter().find(|op| op.meta.uid == uid) else { return Ok(()) };
        let spec_run = op.status.spec_run.unwrap_or(1);
        for (name, entry) in op.status.node_statuses.iter().filter(|(_, entry)| entry.is_because(Reason::JobLost)) {
            let job = entry.job_name.as_deref().and_then(|job| world.job_named(&op.meta.namespace, job));
            let there = entry.phase == NodePhase::Failed && job.is_some_and(|job| !job.held && !job.deleting);
            never(there, "a status tells no lies", || format!("{} has lost its Job on {name}, which is there", op.meta.name))?;
        }
        for (name, entry) in op.status.node_statuses.iter().filter(|(_, entry)| entry.is_finished()) {
            let skipped = entry.message.as_deref().is_some_and(|message| message.starts_with("Skipped by preflight"));
            let succeeded = (1..=spec_run).any(|run| self.names.contains(&(uid.to_string(), name.to_string(), run)));
            never(entry.phase == NodePhase::Completed && !skipped && !succeeded, "a status tells no lies", || {
                format!("{} is Completed on {name}, where its command never succeeded", op.meta.name)
            })?;
            let machine = world.seen.nodes.get(&**name).map(|node| node.uid.clone()).unwrap_or_default();
            let failed = entry.phase == NodePhase::Failed && entry.is_because(Reason::CommandFailed);
            never(failed && self.succeeded.contains(&(uid.to_string(), machine, spec_run)), "a status tells no lies", || {
                format!("{} is Failed on {name}, where its command has succeeded", op.meta.name)
            })?;
        }
        Ok(())
    }

    /// All is over: nothing is held that nobody holds, and who waits says why.
    pub fn end(&self, world: &World, plan: &Plan, seen: &Snapshot) -> Result<(), Violation> {
        never(!plan.is_empty(), "an idle round makes no step", || {
            let steps = plan.decisions.iter().flat_map(|decision| &decision.steps).flat_map(|step| &step.actions).map(Action::summary);
            let statuses = plan
                .decisions
                .iter()
                .filter(|decision| decision.status.is_some())
                .map(|decision| format!("status of {}: {}", decision.subject, decision.message));
            steps.chain(statuses).collect::<Vec<_>>().join("; ")
        })?;
        for node in seen.nodes.values() {
            self.released(world, node)?;
        }
        for decision in plan.decisions.iter().filter(|decision| !decision.settled) {
            // What was deleted in the foreground goes when its pods have, and those of a node that is down stay.
            let down = |pod: &Pod| world.seen.nodes.get(&pod.node).is_some_and(|node| world.is_down(&node.uid));
            let of = |pod: &Pod| pod.labels.get("operator.kairos.io/owner-uid") == Some(&decision.subject.uid);
            if decision.reason == Reason::Deleting && world.seen.pods.iter().any(|pod| of(pod) && down(pod)) {
                continue;
            }
            let said =
                decision.nodes.values().all(|node| may_wait(node.reason) || node.reason == Reason::Succeeded || !node.message.is_empty());
            // Who does not want a drain to time out waits for pods that do not end, as they do not where the node is down.
            let patient = world
                .seen
                .nodeops
                .iter()
                .any(|op| op.meta.uid == decision.subject.uid && op.spec.rollout().on_drain_timeout == Some(OnDrainTimeout::Wait));
            let drains = |(name, node): (&String, &NodeReason)| {
                patient && node.reason == Reason::Draining && world.seen.nodes.get(name).is_some_and(|node| world.is_down(&node.uid))
            };
            let waits =
                decision.nodes.values().any(|node| may_wait(node.reason)) || may_wait(decision.reason) || decision.nodes.iter().any(drains);
            never(!said || !waits, "every rollout settles or says why it waits", || {
                format!("{}: {} {} {:?}", decision.subject, decision.reason.code(), decision.message, decision.nodes)
            })?;
        }
        Ok(())
    }

    fn released(&self, world: &World, node: &Node) -> Result<(), Violation> {
        let holder = |uid: &str| world.seen.nodeops.iter().find(|op| op.meta.uid == uid);
        if let Some(lock) = &node.lock {
            let held = holder(lock.uid()).is_some_and(|op| {
                let entry = op.status.of(&node.name);
                entry.is_some_and(|entry| entry.step.is_some() || entry.phase == NodePhase::Failed)
            });
            let stuck = world.pods_on(&node.name).any(|pod| !pod.is_terminal());
            never(!held && !stuck, "no node stays locked without a living operation that says so", || {
                format!("{} by {}", node.name, lock.value)
            })?;
        }
        if let Some(mark) = &node.cordoned_by {
            let kept = holder(mark.uid())
                .is_some_and(|op| op.status.of(&node.name).is_some_and(|entry| entry.phase == NodePhase::Failed || entry.step.is_some()));
            let stuck = world.pods_on(&node.name).any(|pod| !pod.is_terminal());
            never(!kept && !stuck, "no node stays cordoned without a living operation that says so", || {
                format!("{} by {}", node.name, mark.value)
            })?;
        }
        Ok(())
    }
}

/// Two operations never run on one node at a time.
fn one_operation(world: &World) -> Result<(), Violation> {
    let mut on: BTreeMap<&str, &str> = BTreeMap::new();
    for pod in world.seen.pods.iter().filter(|pod| pod.phase == "Running" && pod.owner.as_ref().is_some_and(|owner| owner.kind == "Job")) {
        let machine = world.seen.nodes.get(&pod.node).map(|node| node.uid.as_str());
        if machine.is_none_or(|uid| world.dead.contains(uid)) {
            continue;
        }
        let operation = pod.labels.get("operator.kairos.io/owner-uid").map(String::as_str).unwrap_or_default();
        let other = on.insert(&pod.node, operation).filter(|other| *other != operation);
        never(other.is_some(), "one operation per node at a time", || format!("{} runs {operation} and {other:?}", pod.node))?;
    }
    Ok(())
}

/// Reasons for which a node, or an operation, may wait for ever: somebody has to do something.
fn may_wait(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::NotReady
            | Reason::DrainBlocked
            | Reason::WaitingForOther
            | Reason::WaitingForSlot
            | Reason::WaitingForControlPlane
            | Reason::WindowClosed
            | Reason::Suspended
            | Reason::StoppedOnFailure
            | Reason::NodeDeleting
            | Reason::CordonConflict
            | Reason::Orphaned
            | Reason::WaitingForLastRun
            | Reason::OtherJobRunning
            | Reason::NodeGone
    )
}
