//! What the controllers do: Jobs make pods and count their ends, the garbage collector follows owners, the workload's
//! controllers make pods anew, and nodes that are silent lose their workload.

use std::sync::Arc;

use jiff::SignedDuration;

use super::workload::is_named_for_ever;
use super::world::{Happening, World};
use crate::names;
use crate::snapshot::views::{Container, ContainerState, Job, Node, Owner, Pod, Trouble};

/// The first pause after a pod of a Job has failed; each further one is twice as long.
const BACKOFF: i64 = 10;
/// Until pods of a node that is no more are removed.
const ORPHANED: SignedDuration = SignedDuration::from_secs(40);

fn is_failure(state: &ContainerState) -> bool {
    matches!(state, ContainerState::Ended(exit) if exit.code != 0)
}

impl World {
    /// The Job controller: at most one pod at a time, and no more failures than allowed.
    pub(super) fn sync_job(&mut self, uid: &str) {
        let Some(job) = self.job(uid).filter(|job| !job.held && !job.deleting && !job.is_finished()).cloned() else { return };
        let own = |pod: &&Pod| pod.owner.as_ref().is_some_and(|owner| owner.uid == uid);
        let pods: Vec<&Pod> = self.pods_on(&job.node).filter(own).collect();
        let succeeded = pods.iter().any(|pod| pod.phase == "Succeeded");
        let live = pods.iter().any(|pod| !pod.is_terminal());
        let (failures, limit) = self.backings.get(uid).map_or((0, 0), |backing| (backing.failures, backing.backoff_limit));
        if !succeeded && failures <= limit {
            if !live {
                self.make_pod(&job);
            }
            return;
        }
        let version = self.version();
        let Some(job) = self.job_mut(uid) else { return };
        job.resource_version = version;
        job.complete = succeeded;
        if !succeeded {
            let message = "Job has reached the specified backoff limit".to_string();
            job.failed = Some(Trouble { reason: "BackoffLimitExceeded".into(), message });
        }
        if let Some(ttl) = job.ttl_seconds {
            self.after(SignedDuration::from_secs(i64::from(ttl)), Happening::Expire(uid.to_string()));
        }
    }

    fn make_pod(&mut self, job: &Job) {
        let backing = self.backings.get(&job.uid).cloned().unwrap_or_default();
        let uid = self.uid("pod");
        let pod = Pod {
            namespace: job.namespace.clone(),
            name: format!("{}-{}", job.name, &uid[uid.len() - 5..]),
            uid: uid.clone(),
            owner: Some(Owner { kind: "Job".into(), name: job.name.clone(), uid: job.uid.clone() }),
            labels: backing.labels,
            node: job.node.clone(),
            created: Some(self.second()),
            phase: "Pending".into(),
            containers: backing.containers.into_iter().map(|(name, init)| Container { name, init, ..Container::default() }).collect(),
            ..Pod::default()
        };
        self.add_pod(pod);
        self.backings.insert(uid.clone(), super::begin::Backing::default());
        self.in_a_while(self.model.start, Happening::StartPod(uid));
    }

    /// A pod of a Job has ended: the Job controller counts it, and lets some time pass after a failure.
    pub(super) fn pod_ended(&mut self, pod: &Pod) {
        let Some(owner) = pod.owner.as_ref().filter(|owner| owner.kind == "Job") else { return };
        if pod.phase == "Succeeded" {
            return self.soon(Happening::SyncJob(owner.uid.clone()));
        }
        let Some(backing) = self.backings.get_mut(&owner.uid) else { return };
        // The pod failure policy: a command that succeeded is not run again because the boot id could not be told.
        let told = |container: &Container| container.name == names::CONTAINER_SENTINEL && is_failure(&container.state);
        backing.failures = if pod.containers.iter().any(told) { backing.backoff_limit + 1 } else { backing.failures + 1 };
        let pause = if backing.failures > backing.backoff_limit { 0 } else { BACKOFF << (backing.failures - 1).clamp(0, 5) };
        self.after(SignedDuration::from_secs(pause) + SignedDuration::from_millis(200), Happening::SyncJob(owner.uid.clone()));
    }

    /// A Job goes at once, its pods follow.
    pub(super) fn remove_job(&mut self, uid: &str) {
        if self.take_job(uid).is_some() {
            self.backings.remove(uid);
            self.soon(Happening::Collect(uid.to_string()));
        }
    }

    /// The garbage collector: what belongs to an owner who is gone.
    pub(super) fn collect(&mut self, owner: &str) {
        let owned = |owns: &Option<Owner>| owns.as_ref().is_some_and(|owns| owns.uid == owner);
        let jobs: Vec<String> = self.seen.jobs.iter().filter(|job| owned(&job.owner)).map(|job| job.uid.clone()).collect();
        let pods: Vec<String> = self.seen.pods.iter().filter(|pod| owned(&pod.owner)).map(|pod| pod.uid.clone()).collect();
        jobs.iter().for_each(|uid| self.remove_job(uid));
        pods.iter().for_each(|uid| self.end_gracefully(uid, false));
        self.finish_deletions();
    }

    /// A resource that is deleted in the foreground goes when its children have gone.
    pub(super) fn finish_deletions(&mut self) {
        let children = |uid: &str| {
            let owned = |owner: &Option<Owner>| owner.as_ref().is_some_and(|owner| owner.uid == uid);
            self.seen.jobs.iter().any(|job| owned(&job.owner)) || self.seen.pods.iter().any(|pod| owned(&pod.owner))
        };
        let gone: Vec<String> =
            self.seen.nodeops.iter().filter(|op| op.meta.deleting && !children(&op.meta.uid)).map(|op| op.meta.uid.clone()).collect();
        self.seen.nodeops.retain(|op| !gone.contains(&op.meta.uid));
    }

    /// The TTL controller.
    pub(super) fn expire(&mut self, uid: &str) {
        if self.job(uid).is_some_and(|job| job.is_finished() && job.ttl_seconds.is_some()) {
            self.remove_job(uid);
        }
    }

    /// A pod of the workload was told to go. A ReplicaSet makes its replacement at once, others wait until it is gone.
    pub(super) fn goes(&mut self, uid: &str) {
        let Some(pod) = self.workload.pod(uid).cloned() else { return };
        self.in_a_while(self.model.eviction, Happening::Leave(uid.to_string()));
        if pod.owner.is_some() && !is_named_for_ever(&pod) {
            self.make_elsewhere(&pod);
        }
    }

    /// A pod of the workload is gone.
    pub(super) fn leave(&mut self, uid: &str) {
        let Some(pod) = self.workload.pod(uid).cloned() else { return };
        // Nobody tells that it has ended where the kubelet is dead.
        if self.seen.nodes.get(&pod.node).is_some_and(|node| self.dead.contains(&node.uid)) {
            return;
        }
        if is_named_for_ever(&pod) {
            self.make_elsewhere(&pod);
        }
        self.workload.remove(uid);
    }

    /// The new pod is there at once; where no node takes it, it waits for one.
    fn make_elsewhere(&mut self, pod: &Pod) {
        let now = self.second();
        let node = self.place().unwrap_or_default();
        let waits = node.is_empty();
        let uid = self.workload.replace(pod, node, now);
        if !waits {
            self.in_a_while(self.model.ready, Happening::Ready(uid));
        }
    }

    /// A node may take pods again: the scheduler looks at those that wait for one.
    pub(super) fn opened(&mut self) {
        if self.workload.on("").next().is_some() {
            self.soon(Happening::Schedule);
        }
    }

    /// The scheduler gives pods that wait to nodes that take them.
    pub(super) fn schedule(&mut self) {
        let waiting: Vec<String> = self.workload.on("").map(|pod| pod.uid.clone()).collect();
        for uid in waiting {
            let Some(node) = self.place() else { return };
            self.workload.place(&uid, &node);
            self.in_a_while(self.model.ready, Happening::Ready(uid));
        }
    }

    /// A node that takes pods; they are taken in turn.
    fn place(&mut self) -> Option<String> {
        let takes = |node: &&Node| node.ready && !node.unschedulable && !node.deleting;
        let found = self.seen.nodes.in_turn(&self.cursor).find(takes).map(|node| node.name.clone());
        self.cursor.clone_from(found.as_ref()?);
        found
    }

    /// The node controller: pods that do not tolerate it are made elsewhere when their node has not been Ready for long.
    pub(super) fn desert(&mut self, uid: &str) {
        let Some(name) = self.machine(uid).filter(|node| !node.ready).map(|node| node.name.clone()) else { return };
        let now = self.second();
        let stays = |pod: &Pod| pod.deleted.is_some() || pod.owner.as_ref().is_none_or(|owner| owner.kind == "DaemonSet");
        let leaving: Vec<String> = self.workload.on(&name).filter(|pod| !stays(pod)).map(|pod| pod.uid.clone()).collect();
        for uid in leaving {
            self.workload.delete(&uid, now);
            self.goes(&uid);
        }
    }

    /// The pod garbage collector: a pod whose node is still gone.
    pub(super) fn orphan(&mut self, uid: &str) {
        if self.pod(uid).is_some_and(|pod| !self.seen.nodes.contains_key(&pod.node)) {
            self.drop_pod(uid);
        }
    }

    /// The node object is no more: what was on it is removed after a while.
    pub(super) fn orphan_pods(&mut self, node: &str) {
        let ours: Vec<String> = self.pods_on(node).map(|pod| pod.uid.clone()).collect();
        for uid in ours {
            self.after(ORPHANED, Happening::Orphan(uid));
        }
        let others: Vec<Arc<Pod>> = self.workload.on(node).cloned().collect();
        for pod in others {
            if pod.owner.as_ref().is_some_and(|owner| owner.kind != "DaemonSet") {
                self.make_elsewhere(&pod);
            }
            self.workload.remove(&pod.uid);
        }
    }
}
