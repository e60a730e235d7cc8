//! The slim views of what a round sees: only what a decision reads. A Node is some 20 KB on the wire and well below 1 KB here.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::names;
use crate::selector::NodeSelector;

/// A Node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Node {
    /// Name of the Node object.
    pub name: String,
    /// uid: another one under the same name is another node.
    pub uid: String,
    /// What a lock compares and swaps.
    pub resource_version: String,
    /// When the object was created.
    pub created: Option<Timestamp>,
    /// Labels, all of them: selectors may ask for any.
    pub labels: BTreeMap<String, String>,
    /// `spec.unschedulable`.
    pub unschedulable: bool,
    /// Whether the condition Ready is True.
    pub ready: bool,
    /// `status.nodeInfo.bootID`.
    pub boot_id: String,
    /// The boot id of the boot that a probe last looked at: annotation `operator.kairos.io/probed-boot`.
    pub probed_boot: Option<String>,
    /// `KAIROS_VERSION` as the last probe read it: annotation `kairos.io/version`.
    pub kairos_version: Option<String>,
    /// What stands under the keys that a probe reports, by key; only while the node waits for a probe, or was opted out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<String, Mark>,
    /// Who holds the node: annotation `operator.kairos.io/operation`.
    pub lock: Option<Holder>,
    /// Who cordoned the node: annotation `operator.kairos.io/cordoned-by`.
    pub cordoned_by: Option<Holder>,
    /// Field managers that own `spec.unschedulable`.
    pub cordon_managers: Vec<String>,
    /// Annotation `operator.kairos.io/keep-cordoned` is there and not "false".
    pub keep_cordoned: bool,
    /// deletionTimestamp is set.
    pub deleting: bool,
}

/// A label or annotation on a Node that a probe may have something to say about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mark {
    /// Its value.
    pub value: String,
    /// The field managers that own it.
    pub managers: Vec<String>,
}

impl Mark {
    /// Whether it is ours, be it beside somebody else.
    pub fn is_ours(&self) -> bool {
        self.managers.iter().any(|manager| manager == names::LABELS_MANAGER)
    }

    /// A manager other than ours that owns it.
    pub fn stranger(&self) -> Option<&str> {
        self.managers.iter().map(String::as_str).find(|manager| *manager != names::LABELS_MANAGER)
    }
}

/// The value of a lock or cordon annotation, `<namespace>/<name>@<uid>`, and the field manager that owns it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The annotation's value as it stands.
    pub value: String,
    /// The field manager that owns the annotation; empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub manager: String,
}

impl Node {
    /// The version of Kairos that the last probe has read, `<KAIROS_VERSION>-<prefix><software version>`; None if it is not
    /// known. Labels cannot hold every character: see [`crate::nodeop::version::is_same`].
    pub fn version(&self) -> Option<String> {
        let version = self.kairos_version.as_deref().filter(|version| !version.is_empty())?;
        let label = |key: &str| self.labels.get(key).map_or("", String::as_str);
        Some(format!("{version}-{}{}", label(names::LABEL_SOFTWARE_PREFIX), label(names::LABEL_SOFTWARE_VERSION)))
    }

    /// Whether a probe has looked at the node since it booted.
    pub fn is_probed(&self) -> bool {
        !self.boot_id.is_empty() && self.probed_boot.as_ref() == Some(&self.boot_id)
    }

    /// Whether a person wants no labels on the node: `kairos.io/managed: "false"`.
    pub fn is_opted_out(&self) -> bool {
        self.labels.get(names::LABEL_MANAGED).is_some_and(|managed| managed == "false")
    }

    /// The cordon mark, if it is the existing operator's.
    pub fn foreign_mark(&self) -> Option<&Holder> {
        self.cordoned_by.as_ref().filter(|holder| holder.manager == names::FOREIGN_MANAGER)
    }

    /// Whether nobody but the existing operator has cordoned the node: it set the mark and the cordon in one write. Who
    /// lifts its cordon and cordons the node again owns the field from then on.
    pub fn is_cordoned_by_foreign_only(&self) -> bool {
        self.unschedulable && self.foreign_mark().is_some() && self.cordon_managers == [names::FOREIGN_MANAGER]
    }
}

impl Holder {
    /// Whether it was put on by us. What another field manager wrote there is not given up by us: an apply without the fields
    /// gives up only what its own manager owns. What the existing operator left is taken over while it is not at work.
    pub fn is_ours(&self) -> bool {
        self.manager == names::node_manager(self.uid())
    }

    /// Namespace, name and uid, if the value has that shape (values of old versions lack the uid).
    pub fn parts(&self) -> Option<(&str, &str, &str)> {
        let (path, uid) = self.value.split_once('@')?;
        let (namespace, name) = path.split_once('/')?;
        Some((namespace, name, uid))
    }

    /// uid of the resource that holds, or "".
    pub fn uid(&self) -> &str {
        self.parts().map_or("", |(_, _, uid)| uid)
    }

    /// `<namespace>/<name>`, for people.
    pub fn path(&self) -> &str {
        self.value.split('@').next().unwrap_or(&self.value)
    }
}

/// Who owns an object: its controlling ownerReference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Kind of the owner.
    pub kind: String,
    /// Name of the owner.
    pub name: String,
    /// uid of the owner.
    pub uid: String,
}

/// A Job with one of our labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Job {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// uid.
    pub uid: String,
    /// What a delete of a Job that must not have started compares with.
    pub resource_version: String,
    /// The resource that it belongs to.
    pub owner: Option<Owner>,
    /// The run that made it: label `operator.kairos.io/run`; Jobs of the existing operator have none.
    pub run: Option<i64>,
    /// `spec.template.spec.nodeName`.
    pub node: String,
    /// When the object was created.
    pub created: Option<Timestamp>,
    /// It makes no pod: `spec.parallelism` is 0, or somebody has suspended it.
    pub held: bool,
    /// deletionTimestamp is set.
    pub deleting: bool,
    /// Condition Complete (or SuccessCriteriaMet) is True.
    pub complete: bool,
    /// Condition Failed (or FailureTarget) is True: its reason and message.
    pub failed: Option<Trouble>,
    /// `spec.ttlSecondsAfterFinished`.
    pub ttl_seconds: Option<i32>,
    /// Warnings that the cluster recorded about the Job while it had no pod, newest first (quota, Pod Security).
    pub warnings: Vec<Trouble>,
}

impl Job {
    /// Whether the Job controller is done with it.
    pub fn is_finished(&self) -> bool {
        self.complete || self.failed.is_some()
    }

    /// Whether its command runs, or may be started at any moment.
    pub fn may_run(&self) -> bool {
        !self.held && !self.is_finished()
    }
}

/// A Job that looks at a node, and its pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Probe {
    /// The Job; the Node owns it.
    pub job: Job,
    /// The boot that it was made for.
    pub boot_id: String,
    /// How many probes of that boot have failed before.
    pub attempt: i64,
    /// Its pod, once there is one.
    pub pod: Option<Pod>,
}

/// A reason and a message in the cluster's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// A Pod: one of ours, or one on a node that drains.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// uid.
    pub uid: String,
    /// Controlling owner.
    pub owner: Option<Owner>,
    /// Labels (budgets select on them).
    pub labels: BTreeMap<String, String>,
    /// `spec.nodeName`.
    pub node: String,
    /// When the object was created.
    pub created: Option<Timestamp>,
    /// `status.phase`.
    pub phase: String,
    /// `status.reason` and `status.message`, e.g. Evicted, DeadlineExceeded, NodeAffinity.
    pub trouble: Option<Trouble>,
    /// Condition Ready is True.
    pub ready: bool,
    /// When it was asked to go.
    pub deleted: Option<Timestamp>,
    /// Annotation kubernetes.io/config.mirror is there: a static pod.
    pub mirror: bool,
    /// Annotation kairos.io/reboot-state is "completed": the existing operator's reboot pod reboots its node, or has done so.
    pub rebooted: bool,
    /// Annotation kairos.io/reboot-approved: the boot id that this reboot pod may end.
    pub approved: Option<String>,
    /// It has an emptyDir volume.
    pub empty_dir: bool,
    /// Init containers first, then the others, in the order of the spec.
    pub containers: Vec<Container>,
    /// Warnings that the cluster recorded about the pod while it did not start, newest first.
    pub warnings: Vec<Trouble>,
}

impl Pod {
    /// Whether no container of it runs or will run again.
    pub fn is_terminal(&self) -> bool {
        matches!(self.phase.as_str(), "Succeeded" | "Failed")
    }

    /// `<namespace>/<name>`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// The status of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Name.
    pub name: String,
    /// Whether it is an init container.
    pub init: bool,
    /// How often it was started again.
    pub restarts: i32,
    /// What it is doing.
    pub state: ContainerState,
    /// How it ended the last time, if it was started again since.
    pub last_exit: Option<Exit>,
}

/// What a container is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ContainerState {
    /// The kubelet has not said anything yet.
    #[default]
    Unknown,
    /// It waits, for a reason such as ImagePullBackOff.
    Waiting(Trouble),
    /// It runs.
    Running,
    /// It has ended.
    Ended(Exit),
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exit {
    /// Exit code.
    pub code: i32,
    /// The kubelet's word, such as Error or OOMKilled.
    pub reason: String,
    /// The termination message.
    pub message: String,
    /// When it was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
}

/// A PodDisruptionBudget.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Budget {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// `spec.selector`; None selects nothing, an empty one every pod of the namespace.
    pub selector: Option<NodeSelector>,
    /// `spec.minAvailable`: a number of pods, or a share of them, such as 50%.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_available: Option<String>,
    /// `spec.maxUnavailable`: a number of pods, or a share of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<String>,
    /// `status.disruptionsAllowed`.
    pub allowed: i32,
    /// `status.currentHealthy`.
    pub healthy: i32,
    /// `status.desiredHealthy`.
    pub desired: i32,
    /// `spec.unhealthyPodEvictionPolicy: AlwaysAllow`: a pod that is not Ready goes whatever the others do.
    pub unready_may_go: bool,
    /// Whether the status speaks of the present spec.
    pub current: bool,
}

impl Budget {
    /// Whether a pod that runs and is not Ready may be evicted: by default only if enough others are healthy. See
    /// <https://kubernetes.io/docs/tasks/run-application/configure-pdb/#unhealthy-pod-eviction-policy>.
    pub fn lets_unready_go(&self) -> bool {
        self.unready_may_go || self.desired > 0 && self.healthy >= self.desired
    }
}

/// A PersistentVolumeClaim that an artifact is built into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Claim {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The resource that it belongs to.
    pub owner: Option<Owner>,
    /// deletionTimestamp is set.
    pub deleting: bool,
}

/// A Lease of the existing operator that somebody holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Namespace of the Lease.
    pub namespace: String,
    /// holderIdentity.
    pub holder: String,
}
