//! What happens on nodes: pods start and end there, machines reboot, kubelets die and come back, nodes go for good.

use std::sync::Arc;

use jiff::SignedDuration;

use super::begin::Backing;
use super::world::{Happening, Record, World};
use crate::names;
use crate::snapshot::views::{Container, ContainerState, Exit, Node, Pod, Trouble};

/// Until a container that was told to end has ended.
const GRACE: SignedDuration = SignedDuration::from_secs(2);

/// For so long a kubelet may be silent.
const SILENCE: SignedDuration = SignedDuration::from_secs(40);
/// For so long the workload tolerates that its node is not Ready.
const TOLERATED: SignedDuration = SignedDuration::from_secs(300);

impl World {
    fn is_alive(&self, node: &str) -> bool {
        self.seen.nodes.get(node).is_some_and(|node| !self.dead.contains(&node.uid))
    }

    /// The node, by uid, that would have to hear of this or tell of it, and is cut off: what runs there goes on, and is told
    /// when it is heard of again.
    pub(super) fn cut_off(&self, happening: &Happening) -> Option<String> {
        use Happening::{EndPod, Leave, RemovePod, StartPod, StopPod, TryReboot};
        let node = match happening {
            StartPod(uid) | EndPod(uid) | StopPod(uid) | TryReboot(uid) | RemovePod(uid) => &self.pod(uid)?.node,
            Leave(uid) => &self.workload.pod(uid)?.node,
            _ => return None,
        };
        let uid = &self.seen.nodes.get(node)?.uid;
        self.cut.contains_key(uid).then(|| uid.clone())
    }

    /// Starts a pod's containers, if the machine is there and nobody has told the pod to go.
    pub(super) fn start_pod(&mut self, uid: &str) {
        let Some(pod) = self.pod(uid).filter(|pod| pod.phase == "Pending" && pod.deleted.is_none() && self.is_alive(&pod.node)) else {
            return;
        };
        let labelled = |label: &str| pod.labels.contains_key(label);
        let (preflight, reboot) = (labelled(names::LABEL_PREFLIGHT), labelled(names::LABEL_REBOOT));
        if self.refuses(uid) {
            return;
        }
        let Some(pod) = self.pod(uid) else { return };
        let (boot, record) = (self.boot_of(&pod.node), self.record(pod, None));
        if let Some(pod) = self.pod_mut(uid) {
            pod.phase = "Running".into();
            let inits = pod.containers.iter().any(|container| container.init);
            let first = pod.containers.iter_mut().filter(|container| !inits || container.init);
            first.for_each(|container| container.state = ContainerState::Running);
        }
        self.history.extend(record);
        let started = Some(self.second());
        let backing = self.backings.entry(uid.to_string()).or_default();
        (backing.boot, backing.started) = (boot, started);
        match (preflight, reboot) {
            (true, _) => self.in_a_while(self.model.preflight, Happening::EndPod(uid.to_string())),
            (_, true) => self.soon(Happening::TryReboot(uid.to_string())),
            _ => self.in_a_while(self.model.job, Happening::EndPod(uid.to_string())),
        }
    }

    /// Whether the kubelet does not admit a pod: it fails, and none of its containers is ever started.
    fn refuses(&mut self, uid: &str) -> bool {
        let Some(node) = self.pod(uid).map(|pod| pod.node.clone()) else { return false };
        let Some(left) = self.model.refusals.get_mut(&node).filter(|left| **left > 0) else { return false };
        *left -= 1;
        let Some(pod) = self.pod_mut(uid) else { return false };
        pod.phase = "Failed".into();
        pod.trouble = Some(Trouble { reason: "OutOfpods".into(), message: "Node didn't have enough resource: pods".into() });
        let pod = pod.clone();
        self.pod_ended(&pod);
        true
    }

    /// The containers end by themselves, if the machine has not been rebooted since.
    pub(super) fn end_pod(&mut self, uid: &str) {
        let Some(pod) = self.pod(uid).filter(|pod| pod.phase == "Running" && self.is_alive(&pod.node)).cloned() else { return };
        if self.backings.get(uid).is_some_and(|backing: &Backing| backing.boot != self.boot_of(&pod.node)) {
            return;
        }
        if pod.labels.contains_key(names::LABEL_PREFLIGHT) {
            let message = self.model.skips.get(&pod.node).cloned().unwrap_or_default();
            return self.finish(uid, Exit { code: 0, message, ..Exit::default() });
        }
        let sentinel = pod.containers.iter().find(|container| container.name == names::CONTAINER_SENTINEL);
        if sentinel.is_some_and(|sentinel| sentinel.state == ContainerState::Running) {
            return self.leave_sentinel(uid, &pod);
        }
        let code = i32::from(self.fails(&pod.node));
        if sentinel.is_none() || code != 0 {
            return self.finish(uid, Exit { code, ..Exit::default() });
        }
        self.end_command(uid);
        self.in_a_while(self.model.controller, Happening::EndPod(uid.to_string()));
    }

    /// The command has succeeded; the container that tells in which boot is next.
    fn end_command(&mut self, uid: &str) {
        let started = self.backings.get(uid).and_then(|backing| backing.started);
        let Some(pod) = self.pod_mut(uid) else { return };
        for container in &mut pod.containers {
            container.state = match container.init {
                true => ContainerState::Ended(Exit { started, ..Exit::default() }),
                false => ContainerState::Running,
            };
        }
        let pod = pod.clone();
        self.history.extend(self.record(&pod, Some(0)));
    }

    /// The sentinel is on the host, and the boot is told; or neither.
    fn leave_sentinel(&mut self, uid: &str, pod: &Pod) {
        if let Some(left) = self.model.untold.get_mut(&pod.node).filter(|left| **left > 0) {
            *left -= 1;
            return self.finish(uid, Exit { code: 1, reason: "Error".into(), ..Exit::default() });
        }
        let boot = self.boot_of(&pod.node);
        self.sentinels.extend(self.seen.nodes.get(&pod.node).map(|node| node.uid.clone()));
        self.finish(uid, Exit { message: boot, ..Exit::default() });
    }

    /// A reboot pod: it ends as soon as the machine is in another boot than the one that it may end, and it ends that one.
    pub(super) fn try_reboot(&mut self, uid: &str) {
        let Some(pod) = self.pod(uid).filter(|pod| pod.phase == "Running" && self.is_alive(&pod.node)).cloned() else { return };
        let Some((node, boot)) = self.seen.nodes.get(&pod.node).map(|node| (node.uid.clone(), node.boot_id.clone())) else { return };
        match &pod.approved {
            None => {}
            Some(approved) if *approved != boot => self.finish(uid, Exit::default()),
            Some(_) if !self.sentinels.contains(&node) => self.after(SignedDuration::from_secs(1), Happening::TryReboot(uid.into())),
            Some(_) => {
                self.reboots.push((pod.node.clone(), node.clone()));
                self.kill_node(&pod.node);
                self.in_a_while(self.model.reboot, Happening::Boot(node));
            }
        }
    }

    /// Whether the command fails on a node this time.
    fn fails(&mut self, node: &str) -> bool {
        match self.model.failures.get_mut(node) {
            Some(0) | None => false,
            Some(left) => {
                *left -= u32::from(*left < u32::MAX);
                true
            }
        }
    }

    /// The containers were told to end, and have: the kubelet tells how, and lets the object go.
    pub(super) fn stop_pod(&mut self, uid: &str) {
        let Some(pod) = self.pod(uid).filter(|pod| self.is_alive(&pod.node)) else { return };
        if !pod.is_terminal() {
            let started = pod.phase == "Running";
            if started {
                self.finish(uid, Exit { code: 137, reason: "Error".into(), ..Exit::default() });
            }
        }
        self.soon(Happening::RemovePod(uid.to_string()));
    }

    /// Tells a pod to go. One that has ended, or is to have no time, goes at once.
    pub(super) fn end_gracefully(&mut self, uid: &str, now: bool) {
        let at = self.second();
        let Some(pod) = self.pod_mut(uid) else { return };
        if now || pod.is_terminal() {
            return self.drop_pod(uid);
        }
        if pod.deleted.is_none() {
            pod.deleted = Some(at);
            self.after(GRACE, Happening::StopPod(uid.to_string()));
        }
    }

    /// The pod object goes.
    pub(super) fn drop_pod(&mut self, uid: &str) {
        let Some(pod) = self.take_pod(uid) else { return };
        self.backings.remove(uid);
        if let Some(owner) = pod.owner.filter(|owner| owner.kind == "Job") {
            self.soon(Happening::SyncJob(owner.uid));
        }
        self.finish_deletions();
    }

    fn finish(&mut self, uid: &str, exit: Exit) {
        let started = self.backings.get(uid).and_then(|backing| backing.started);
        let exit = Exit { started, ..exit };
        let Some(pod) = self.pod_mut(uid) else { return };
        pod.phase = if exit.code == 0 { "Succeeded" } else { "Failed" }.into();
        let told = pod.containers.iter().any(|container| container.init && matches!(container.state, ContainerState::Ended(_)));
        let open = |container: &&mut Container| !matches!(container.state, ContainerState::Ended(_));
        // After an init container that failed, the others are never started.
        let failed = exit.code != 0 && !told && pod.containers.iter().any(|container| container.init);
        let open = pod.containers.iter_mut().filter(open).filter(|container| !failed || container.init);
        open.for_each(|container| container.state = ContainerState::Ended(exit.clone()));
        let pod = pod.clone();
        if !told {
            self.history.extend(self.record(&pod, Some(exit.code)));
        }
        self.pod_ended(&pod);
    }

    /// What history says of a pod in which a command runs.
    fn record(&self, pod: &Pod, exit: Option<i32>) -> Option<Record> {
        let job = self.job(&pod.owner.as_ref().filter(|owner| owner.kind == "Job")?.uid);
        let uid = pod.owner.as_ref().map(|owner| owner.uid.clone()).unwrap_or_default();
        let operation = pod.labels.get(names::LABEL_OWNER_UID).cloned();
        let operation = operation.or_else(|| Some(job?.owner.as_ref()?.uid.clone()))?;
        let run = pod.labels.get(names::LABEL_RUN).and_then(|run| run.parse().ok()).unwrap_or_default();
        let machine = self.seen.nodes.get(&pod.node).map(|node| node.uid.clone()).unwrap_or_default();
        Some(Record { at: self.now(), operation, run, job: uid, node: (pod.node.clone(), machine), exit })
    }

    pub(super) fn boot_of(&self, node: &str) -> String {
        self.seen.nodes.get(node).map(|node| node.boot_id.clone()).unwrap_or_default()
    }

    /// The machine stops, without a word; its kubelet is missed after a while.
    pub fn kill_node(&mut self, name: &str) {
        let Some(uid) = self.seen.nodes.get(name).map(|node| node.uid.clone()) else { return };
        if self.dead.insert(uid.clone()) {
            self.after(SILENCE, Happening::NotReady(uid));
        }
    }

    /// The node loses its connection: what runs there goes on, and nobody hears of it.
    pub fn cut_node(&mut self, name: &str) {
        let Some(uid) = self.seen.nodes.get(name).map(|node| node.uid.clone()).filter(|uid| !self.dead.contains(uid)) else { return };
        self.cut.entry(uid.clone()).or_default();
        self.after(SILENCE, Happening::NotReady(uid));
    }

    /// It has its connection back: its kubelet tells all at once.
    pub fn mend_node(&mut self, name: &str) {
        let Some(uid) = self.seen.nodes.get(name).map(|node| node.uid.clone()) else { return };
        let Some(silent) = self.cut.remove(&uid) else { return };
        silent.into_iter().for_each(|happening| self.soon(happening));
        self.soon(Happening::NodeReady(uid));
    }

    /// Whether nobody hears of a node, by uid: its machine stands still, or is cut off.
    pub fn is_down(&self, uid: &str) -> bool {
        self.dead.contains(uid) || self.cut.contains_key(uid)
    }

    /// The machine starts again after this time.
    pub fn boot_node_in(&mut self, name: &str, distance: SignedDuration) {
        let Some(uid) = self.seen.nodes.get(name).map(|node| node.uid.clone()) else { return };
        self.after(distance, Happening::Boot(uid));
    }

    /// The node controller has not heard of a kubelet for too long.
    pub(super) fn not_ready(&mut self, uid: &str) {
        if self.is_down(uid) {
            self.set_ready(uid, false);
            self.after(TOLERATED, Happening::Desert(uid.to_string()));
        }
    }

    /// The machine comes up: a new boot, and nothing of what ran on it runs any more.
    pub(super) fn boot(&mut self, uid: &str) {
        let boot = self.uid("boot");
        let Some(node) = self.machine_mut(uid) else { return };
        node.boot_id = boot;
        let name = node.name.clone();
        self.dead.remove(uid);
        self.cut.remove(uid);
        self.sentinels.remove(uid);
        self.set_ready(uid, false);
        self.inherit(&name);
        self.after(SignedDuration::from_secs(5), Happening::NodeReady(uid.to_string()));
    }

    /// A kubelet begins: what the apiserver says is on its node and runs, does not.
    fn inherit(&mut self, name: &str) {
        let pods: Vec<Pod> = self.pods_on(name).cloned().collect();
        for pod in pods {
            match pod.phase.as_str() {
                "Running" if restarts(&pod) && pod.deleted.is_none() => {
                    // restartPolicy OnFailure: the same pod again.
                    if let Some(pod) = self.pod_mut(&pod.uid) {
                        pod.phase = "Pending".into();
                    }
                    self.in_a_while(self.model.start, Happening::StartPod(pod.uid.clone()));
                }
                "Running" => self.finish(&pod.uid, Exit { code: 137, reason: "ContainerStatusUnknown".into(), ..Exit::default() }),
                "Pending" if pod.deleted.is_none() => self.in_a_while(self.model.start, Happening::StartPod(pod.uid.clone())),
                _ => {}
            }
            if pod.deleted.is_some() {
                self.soon(Happening::StopPod(pod.uid));
            }
        }
        let others: Vec<(String, bool)> = self.workload.on(name).map(|pod| (pod.uid.clone(), pod.deleted.is_some())).collect();
        for (uid, leaves) in others {
            if leaves {
                self.soon(Happening::Leave(uid));
            } else {
                self.workload.unready(&uid);
                self.in_a_while(self.model.ready, Happening::Ready(uid));
            }
        }
    }

    /// The kubelet tells that all is well.
    pub(super) fn node_ready(&mut self, uid: &str) {
        if self.is_down(uid) {
            return;
        }
        self.set_ready(uid, true);
        let Some(name) = self.machine_mut(uid).map(|node| node.name.clone()) else { return };
        let unready = |pod: &&Arc<Pod>| !pod.ready && pod.deleted.is_none();
        let unready: Vec<String> = self.workload.on(&name).filter(unready).map(|pod| pod.uid.clone()).collect();
        unready.into_iter().for_each(|pod| self.in_a_while(self.model.ready, Happening::Ready(pod)));
    }

    /// A pod that is not ours is Ready, if its kubelet is there to say so.
    pub(super) fn pod_ready(&mut self, uid: &str) {
        let node = self.workload.pod(uid).and_then(|pod| self.seen.nodes.get(&pod.node)).map(|node| node.uid.clone());
        if node.is_some_and(|node| !self.is_down(&node)) {
            self.workload.ready(uid);
        }
    }

    fn set_ready(&mut self, uid: &str, ready: bool) {
        let version = self.version();
        let Some(node) = self.machine_mut(uid).filter(|node| node.ready != ready) else { return };
        node.ready = ready;
        node.resource_version = version;
        let name = node.name.clone();
        if !ready {
            let pods: Vec<String> = self.workload.on(&name).map(|pod| pod.uid.clone()).collect();
            pods.iter().for_each(|uid| self.workload.unready(uid));
        } else {
            self.opened();
        }
    }

    /// The node object goes, and with it the machine.
    pub fn delete_node(&mut self, name: &str) {
        if self.seen.nodes.remove(name).is_some() {
            self.orphan_pods(name);
        }
    }

    /// A new machine registers under this name; a few seconds later it does what it is told.
    pub fn join_node(&mut self, name: &str, labels: std::collections::BTreeMap<String, String>) {
        let (uid, boot, version) = (self.uid("node"), self.uid("boot"), self.version());
        let created = Some(self.second());
        self.dead.insert(uid.clone());
        self.after(SignedDuration::from_secs(3), Happening::Boot(uid.clone()));
        self.add_node(Node { name: name.into(), uid, boot_id: boot, resource_version: version, labels, created, ..Node::default() });
    }
}

/// Whether a pod's containers are started again, `restartPolicy: OnFailure`.
fn restarts(pod: &Pod) -> bool {
    pod.labels.contains_key(names::LABEL_PREFLIGHT) || pod.labels.contains_key(names::LABEL_REBOOT)
}
