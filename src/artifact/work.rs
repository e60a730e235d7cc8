//! One artifact in one round: what is seen of it, what is recorded of it, and what is to be done.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::KIND;
use super::api::{ArtifactPhase, OSArtifactStatus};
use super::build::Run;
use super::decide::reference;
use super::verdict::{self, Verdict};
use crate::names;
use crate::nodeop::verdict::said;
use crate::plan::{Action, Step};
use crate::reason::Reason;
use crate::settings::Settings;
use crate::snapshot::views::{ContainerState, Job, Pod};
use crate::snapshot::{Reference, Snapshot};

/// One artifact in one round.
pub struct Work<'a> {
    /// What the round saw.
    pub snapshot: &'a Snapshot,
    /// What the runner was told.
    pub settings: &'a Settings,
    /// The present run.
    pub run: Run<'a>,
    /// The status in the making.
    pub next: OSArtifactStatus,
    /// What is to be done.
    pub steps: Vec<Step>,
}

/// What has the name of a Job that is to be made.
pub enum Named<'a> {
    /// Nothing.
    Nobody,
    /// It is there, and ours.
    Ours(&'a Job),
    /// It is still being removed.
    Leaving,
    /// It belongs to somebody else: to whom.
    Strangers(String),
}

impl<'a> Work<'a> {
    /// The snapshot's time, for a status.
    pub fn now(&self) -> Time {
        Time(self.snapshot.now)
    }

    /// All Jobs of this artifact.
    pub fn jobs(&self) -> impl Iterator<Item = &'a Job> + use<'a> {
        let meta = self.run.meta;
        // An owner is always of the same namespace: what is written elsewhere belongs to another one of this name.
        let owned = move |job: &&Job| {
            job.namespace == meta.namespace && job.owner.as_ref().is_some_and(|owner| owner.uid == meta.uid && owner.kind == KIND)
        };
        self.snapshot.jobs.iter().filter(owned)
    }

    /// The Job with this uid, if it is seen.
    pub fn job(&self, uid: &str) -> Option<&'a Job> {
        let namespace = &self.run.meta.namespace;
        self.snapshot.jobs.iter().find(|job| job.uid == uid && job.namespace == *namespace)
    }

    /// Whether a Job that is recorded is known to be gone.
    pub fn is_gone(&self, name: &str, uid: &str) -> bool {
        self.snapshot.is_absent(&Reference::new("Job", &self.run.meta.namespace, name, uid))
    }

    /// The Job of a name.
    pub fn named(&self, name: &str) -> Named<'a> {
        let meta = self.run.meta;
        let Some(job) = self.snapshot.jobs.iter().find(|job| job.namespace == meta.namespace && job.name == name) else {
            return Named::Nobody;
        };
        match &job.owner {
            Some(owner) if owner.uid == meta.uid && job.deleting => Named::Leaving,
            Some(owner) if owner.uid == meta.uid => Named::Ours(job),
            Some(owner) => Named::Strangers(said(&format!("{} {}", owner.kind, owner.name))),
            None => Named::Strangers("nobody".into()),
        }
    }

    /// The pods of a Job, the oldest first.
    pub fn pods(&self, job: &str) -> Vec<&'a Pod> {
        let namespace = &self.run.meta.namespace;
        let made = |pod: &&Pod| pod.namespace == *namespace && pod.owner.as_ref().is_some_and(|owner| owner.uid == job);
        let mut pods: Vec<&Pod> = self.snapshot.pods.iter().filter(made).collect();
        pods.sort_by_key(|pod| (pod.created, &pod.name));
        pods
    }

    /// Whether something of the present run is at work, so that it must be left to end.
    pub fn is_running(&self) -> bool {
        if matches!(self.next.phase, Some(ArtifactPhase::Ready | ArtifactPhase::Error)) {
            return false;
        }
        let recorded = [(&self.next.job_name, &self.next.job_uid)].into_iter();
        let recorded =
            recorded.chain(self.next.exporters.iter().filter(|one| one.result.is_none()).map(|one| (&one.job_name, &one.job_uid)));
        recorded.filter_map(|(name, uid)| Some((name.as_ref()?, uid.as_ref()?))).any(|(name, uid)| match self.job(uid) {
            Some(job) => !job.is_finished(),
            None => !self.is_gone(name, uid) || self.has_live_pod(uid),
        })
    }

    /// Whether what there is of the present run hangs: something cannot start, and nothing runs.
    pub fn is_stuck(&self) -> bool {
        let present = self.run.number;
        let at_work = |job: &Job| job.run.is_none_or(|run| run == present) && !job.is_finished() && self.is_at_work(job);
        self.told_trouble().is_some() && !self.jobs().any(at_work)
    }

    /// Whether a container of a Job runs.
    pub fn is_at_work(&self, job: &Job) -> bool {
        let runs = |pod: &&Pod| !pod.is_terminal() && pod.containers.iter().any(|container| container.state == ContainerState::Running);
        self.pods(&job.uid).iter().any(runs)
    }

    /// The verdict on a Job of this run.
    pub fn verdict(&self, job: &Job, reason: Reason) -> Verdict {
        verdict::of(job, &self.pods(&job.uid), reason, &|pod| self.lost(pod))
    }

    /// Why nothing more is heard of a pod that has not ended: its node is not there, or silent.
    fn lost(&self, pod: &Pod) -> Option<String> {
        let silent = !pod.node.is_empty() && self.snapshot.nodes.get(&pod.node).is_none_or(|node| !node.ready);
        silent.then(|| format!("node {}, which has pod {}, is not Ready", pod.node, pod.name))
    }

    /// Whether a pod of a Job has not ended.
    pub fn has_live_pod(&self, job: &str) -> bool {
        self.pods(job).iter().any(|pod| !pod.is_terminal())
    }

    /// What an earlier run still has at work: two pods must not write into one volume.
    pub fn earlier(&self) -> Option<String> {
        let present = self.run.number;
        let job = self.jobs().find(|job| job.run != Some(present) && !job.is_finished() && !job.held);
        let of_ours = |pod: &&Pod| {
            pod.namespace == self.run.meta.namespace
                && pod.labels.get(names::LABEL_OWNER_UID) == Some(&self.run.meta.uid)
                && pod.labels.get(names::LABEL_RUN).is_some_and(|run| *run != present.to_string())
        };
        let pod = || self.snapshot.pods.iter().filter(of_ours).find(|pod| !pod.is_terminal());
        let told = |pod: &Pod| match self.lost(pod) {
            Some(why) => format!("pod {} of an earlier run has not ended yet: {why}", pod.name),
            None => format!("pod {} of an earlier run has not ended yet", pod.name),
        };
        pod().map(told).or_else(|| job.map(|job| format!("Job {} of an earlier run has not ended yet", job.name)))
    }

    /// Adds a step of one action.
    pub fn step(&mut self, reason: Reason, message: &str, actions: Vec<Action>) {
        self.steps.push(Step { subject: reference(self.run.meta), reason, message: message.into(), actions });
    }

    /// What the server said in this round against making one of these, or in an earlier one that this still stands for.
    pub fn refusal(&self, creates: &[Action]) -> Option<String> {
        let refused = creates.iter().map(Action::target).find_map(|object| Some((self.snapshot.refused.get(&object)?, object)));
        refused.map(|(message, object)| format!("{} {}: {}", object.kind, object.name, said(message)))
    }

    /// Whether the status tells already that something cannot start: that stands until it does.
    pub fn told_trouble(&self) -> Option<String> {
        let ready = self.next.conditions.iter().find(|condition| condition.type_ == "Ready")?;
        (ready.reason == Reason::CannotStart.code()).then(|| ready.message.clone())
    }

    /// The patch that lets a Job run.
    pub fn start(job: &Job, pods: i64) -> Action {
        let what = Reference::new("Job", &job.namespace, &job.name, &job.uid);
        Action::Patch { what, patch: json!({"spec": {"parallelism": pods, "suspend": false}}) }
    }

    /// How many containers and exporters a run has.
    pub fn whole(&self) -> usize {
        self.run.plan.stages.len() + self.run.spec.importers.len() + 1 + self.run.spec.exporters.len().max(self.next.exporters.len())
    }
}
