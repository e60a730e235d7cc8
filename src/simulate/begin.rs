//! What stands behind Jobs and pods and a snapshot does not tell, and how what is under way in one goes on.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::world::{Happening, World};
use crate::names;
use crate::nodeop::jobs::Claim;
use crate::nodeop::rebooting;
use crate::settings::Settings;
use crate::snapshot::Resource;
use crate::snapshot::views::{Container, ContainerState, Job, Pod};

/// What nobody sees of a Job or one of our pods.
#[derive(Clone, Debug, Default)]
pub(super) struct Backing {
    /// Of a Job: `backoffLimit`, and how many of its pods have failed.
    pub backoff_limit: i64,
    pub failures: i64,
    /// Of a Job: the containers of its pods, init containers first.
    pub containers: Vec<(String, bool)>,
    pub labels: BTreeMap<String, String>,
    /// Of a pod: the boot of its node in which its containers were started.
    pub boot: String,
    /// When they were.
    pub started: Option<Timestamp>,
}

impl Backing {
    /// What stands behind the Job of an object, whose pods' labels are taken out of it.
    pub fn of(object: &mut Value) -> Self {
        Self {
            backoff_limit: object["spec"]["backoffLimit"].as_i64().unwrap_or(6),
            containers: containers(&object["spec"]["template"]["spec"]),
            labels: serde_json::from_value(object["spec"]["template"]["metadata"]["labels"].take()).unwrap_or_default(),
            ..Self::default()
        }
    }
}

impl World {
    /// What is under way in a snapshot goes on.
    pub(super) fn go_on(&mut self) {
        let jobs: Vec<(String, Backing)> = self.seen.jobs.iter().map(|job| (job.uid.clone(), self.backing_of(job))).collect();
        for (uid, backing) in jobs {
            self.backings.insert(uid.clone(), backing);
            self.soon(Happening::SyncJob(uid));
        }
        for pod in self.seen.pods.clone() {
            self.resume(pod);
        }
    }

    /// What a Job of a snapshot makes its pods of, which a snapshot does not tell: what its operation made it of.
    fn backing_of(&self, job: &Job) -> Backing {
        let owner = job.owner.as_ref().and_then(|owner| self.seen.nodeops.iter().find(|op| op.meta.uid == owner.uid));
        let (Some(Resource { meta, spec, status }), Some(node)) = (owner, self.seen.nodes.get(&job.node)) else {
            return Backing { containers: vec![(names::CONTAINER_NODEOP.to_string(), false)], ..Backing::default() };
        };
        let entry = status.of(&job.node).filter(|entry| entry.job_uid.as_ref() == Some(&job.uid));
        let reboots = entry.map_or(spec.reboots(), rebooting::follows);
        let claim = Claim { meta, spec, node, run: job.run.unwrap_or(1), attempt: 0, reboots };
        Backing::of(&mut claim.job(&Settings::default()))
    }

    /// A pod of the snapshot does what it was about to do.
    fn resume(&mut self, pod: Pod) {
        self.backings.insert(pod.uid.clone(), Backing { boot: self.boot_of(&pod.node), ..Backing::default() });
        let told = |container: &Container| match &container.state {
            ContainerState::Ended(exit) if container.name == names::CONTAINER_SENTINEL => Some(exit.message.clone()),
            _ => None,
        };
        if let Some(node) = self.seen.nodes.get(&pod.node)
            && pod.containers.iter().find_map(told).is_some_and(|boot| boot == node.boot_id)
        {
            self.sentinels.insert(node.uid.clone());
        }
        self.come_back(&pod);
        self.soon(match pod.phase.as_str() {
            "Running" if pod.labels.contains_key(names::LABEL_REBOOT) => Happening::TryReboot(pod.uid),
            "Running" => Happening::EndPod(pod.uid),
            _ => Happening::StartPod(pod.uid),
        });
    }

    /// A machine that is down because a pod of ours reboots it comes up again; any other that is down stays so.
    fn come_back(&mut self, pod: &Pod) {
        let Some(node) = self.seen.nodes.get(&pod.node).filter(|node| !node.ready) else { return };
        let (uid, Some(ends)) = (node.uid.clone(), &pod.approved) else { return };
        if *ends == node.boot_id {
            return self.in_a_while(self.model.reboot, Happening::Boot(uid));
        }
        self.dead.remove(&uid);
        self.soon(Happening::NodeReady(uid));
    }
}

/// The containers of a pod, init containers first.
fn containers(spec: &Value) -> Vec<(String, bool)> {
    let named = |field: &str, init: bool| {
        let list = spec[field].as_array().cloned().unwrap_or_default();
        list.into_iter().map(move |container| (container["name"].as_str().unwrap_or_default().to_string(), init)).collect::<Vec<_>>()
    };
    let mut all = named("initContainers", true);
    all.extend(named("containers", false));
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::simulate::model::Model;
    use crate::simulate::rollout::{Limits, Rollout, Standing};
    use crate::snapshot::views::Node;
    use crate::snapshot::{Meta, Snapshot};

    #[test]
    fn a_rollout_can_be_simulated_on_from_a_snapshot_of_any_of_its_moments() {
        let node = |name: &str| (name.to_string(), Node { name: name.into(), ready: true, ..Node::default() });
        let meta =
            Meta { namespace: "ops".into(), name: "op".into(), uid: "op-uid".into(), resource_version: "1".into(), ..Meta::default() };
        let spec = json!({"command": ["x"], "cordon": true, "preflight": {"command": ["x"]}, "rebootOnSuccess": true, "concurrency": 2});
        let snapshot = Snapshot {
            now: "2026-11-21T12:00:00Z".parse().unwrap(),
            nodes: ["a", "b", "c"].into_iter().map(node).collect(),
            nodeops: vec![Resource { meta, spec: serde_json::from_value(spec).unwrap(), status: Default::default() }],
            ..Snapshot::default()
        };
        let begin = |snapshot| {
            let world = World::new(snapshot, Vec::new(), Model::default(), 1);
            Rollout::new(world, Settings::default(), Limits::of(3), Vec::new())
        };
        // Another cluster gives other uids.
        let elsewhere = |seen: &Snapshot| -> Snapshot {
            let text = serde_json::to_string(seen).unwrap().replace("job-0", "there-job-0").replace("pod-0", "there-pod-0");
            serde_json::from_str(&text).unwrap()
        };
        let mut rollout = begin(snapshot);
        let mut moments = 0;
        loop {
            let standing = rollout.round();
            let (other, ended) = begin(elsewhere(&rollout.world.seen)).run(|_| {});
            let trace = other.trace();
            assert_eq!((ended, trace.is_completed()), (Standing::Settled, true), "moment {moments}: {:#?}", trace.operations);
            moments += 1;
            if standing != Standing::Underway {
                break;
            }
        }
        assert!(moments > 20, "{moments}");
    }
}
