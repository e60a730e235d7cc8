//! The NodeOp resource: spec and status as they stand in the cluster.
//!
//! Field names, meanings and phase words are those of the existing operator (operator.kairos.io/v1alpha1), so that
//! manifests work unchanged. No field has a schema default: the server would write it into people's objects and show
//! it as drift; the defaults stand in the descriptions and in the methods below.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::core::Rule;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reason::Reason;
use crate::rollout::Rollout;
use crate::selector::NodeSelector;

/// Name of the CustomResourceDefinition.
pub const DEFINITION: &str = "nodeops.operator.kairos.io";

/// Runs a command on selected nodes, one step at a time: cordon, drain, run, reboot, verify, uncordon.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "operator.kairos.io",
    version = "v1alpha1",
    kind = "NodeOp",
    namespaced,
    status = "NodeOpStatus",
    shortname = "nop",
    derive = "PartialEq",
    doc = "Runs a command on selected nodes: cordon, drain, run, reboot, verify, uncordon.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Done", type_ = "string", json_path = ".status.progress"),
    printcolumn(name = "Now", type_ = "string", json_path = ".status.current"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::duplicated_attributes, reason = "each printcolumn has a name, a type and a path")]
#[x_kube(
    validation = Rule::new("!has(self.hostMountPath) || self.hostMountPath == '' || (self.hostMountPath.startsWith('/') && self.hostMountPath != '/' && !self.hostMountPath.contains(':'))")
        .message("hostMountPath must be an absolute path other than / and without a colon, for example /host")
        .field_path(".hostMountPath")
)]
pub struct NodeOpSpec {
    /// Which nodes. Unset or empty: every node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<NodeSelector>,
    /// The command to run on each node, as the container's command: no shell is added.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = command())]
    pub command: Vec<String>,
    /// Where the node's root file system is mounted, also told in HOST_DIR (default /host).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub host_mount_path: Option<String>,
    /// The image to run. Unset: the runner's --default-image.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    #[x_kube(validation = image())]
    pub image: Option<String>,
    /// Secrets of the same namespace with which the node pulls `image`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub image_pull_secrets: Vec<PullSecret>,
    /// Whether the node is cordoned while the operation is on it (default false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cordon: Option<bool>,
    /// Whether a node on which the command failed is uncordoned as well (default false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncordon_on_failure: Option<bool>,
    /// How pods are moved away before the command runs; takes effect with `cordon: true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_options: Option<DrainOptions>,
    /// Whether the node reboots after the command succeeded (default false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reboot_on_success: Option<bool>,
    /// How often a failed command is tried again on a node (default 6).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub backoff_limit: Option<i32>,
    /// How many nodes may be in flight; 0 means all (default 0).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub concurrency: Option<i32>,
    /// Whether no further node is started after one failed (default false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_on_failure: Option<bool>,
    /// A check that runs on each node first, with the host mounted read-only, and may skip it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preflight: Option<Preflight>,
    /// When and how fast nodes are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

/// The name of a Secret with registry credentials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PullSecret {
    /// Name of the Secret, in the resource's namespace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub name: String,
}

/// Which pods leave the node, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrainOptions {
    /// Whether to drain at all (default false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether pods without a controller are evicted as well; nothing brings them back (default false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
    /// Seconds that each pod gets to end. Unset or negative: the pod's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub grace_period_seconds: Option<i32>,
    /// Whether pods of DaemonSets are passed over (default true). With false they count as pods that cannot be evicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_daemon_sets: Option<bool>,
    /// Whether pods with emptyDir volumes are evicted, which loses that data (default false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_empty_dir_data: Option<bool>,
    /// Seconds that the drain may take (default 300; 0: no limit).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub timeout_seconds: Option<i32>,
}

/// A read-only check before a node is touched. Exit 0 without a termination message: go on. Exit 0 with one: the node
/// is skipped, for the reason told. Failure: the node has failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preflight {
    /// The command; the host is mounted read-only at `hostMountPath`.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = command())]
    pub command: Vec<String>,
    /// Image of the check. Unset: the operation's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    #[x_kube(validation = image())]
    pub image: Option<String>,
    /// Seconds that the check may take, pulling its image included (default 120).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub active_deadline_seconds: Option<i64>,
}

/// A command names a program.
fn command() -> Rule {
    Rule::new("self.size() == 0 || self[0] != ''").message("command must name a program first, for example [sh, -c, date]")
}

/// An image has no blanks; empty is unset.
fn image() -> Rule {
    Rule::new(r"self.matches('^\\S*$')").message("image must be an image reference without blanks, for example busybox:1.37")
}

impl NodeOpSpec {
    /// The mount path of the host's root in the containers.
    pub fn host_mount_path(&self) -> &str {
        self.host_mount_path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/host")
    }

    /// Whether nodes are cordoned.
    pub fn cordons(&self) -> bool {
        self.cordon.unwrap_or(false)
    }

    /// The drain options, if nodes are drained at all: that takes `cordon` and `drainOptions.enabled`.
    pub fn drain(&self) -> Option<&DrainOptions> {
        self.drain_options.as_ref().filter(|drain| self.cordons() && drain.enabled.unwrap_or(false))
    }

    /// Whether nodes reboot after the command.
    pub fn reboots(&self) -> bool {
        self.reboot_on_success.unwrap_or(false)
    }

    /// The rollout block, or its defaults.
    pub fn rollout(&self) -> Rollout {
        self.rollout.clone().unwrap_or_default()
    }
}

impl DrainOptions {
    /// Seconds that the drain may take; None: no limit. Unset is 300.
    pub fn timeout(&self) -> Option<i64> {
        match self.timeout_seconds {
            None => Some(300),
            Some(0) => None,
            Some(seconds) => Some(i64::from(seconds)),
        }
    }

    /// Whether pods of DaemonSets are passed over.
    pub fn ignores_daemon_sets(&self) -> bool {
        self.ignore_daemon_sets.unwrap_or(true)
    }
}

/// What Rounds, and nobody else, writes about a NodeOp.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::keep_descriptions)]
pub struct NodeOpStatus {
    /// The generation that this status speaks of; -1 until the first round has seen the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Pending, Running, Completed or Failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// One sentence on where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Finished nodes of all targeted ones, as 3/8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// What is going on now: the first node in flight and its step, or what is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// How many nodes stand where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodeCounts>,
    /// Ready, Reconciling and Stalled, as kstatus reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Per node name, what happened there. Nodes that were not started have no entry.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub node_statuses: Arc<NodeStatuses>,
    /// Hash of what is executed; another one starts a new run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec_hash: Option<String>,
    /// How often this operation was started: an edit, a re-run or a retry begins a new run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
    /// The run in which the present spec was first executed; results of older ones do not count any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec_run: Option<i64>,
    /// The value of operator.kairos.io/rerun that has been answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerun: Option<String>,
    /// The value of operator.kairos.io/retry-failed that has been answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_failed: Option<String>,
    /// When the present run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When the present run settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
    /// When anything in this status last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<Time>,
}

/// What happened on nodes, by their names. Of ten thousand a round changes a few hundred; the others are shared by the status
/// before and the one after.
pub type NodeStatuses = BTreeMap<Arc<str>, Arc<NodeStatus>>;

/// Whether a map that is shared has nothing in it.
pub(crate) fn is_empty(map: &Arc<NodeStatuses>) -> bool {
    map.is_empty()
}

impl NodeOpStatus {
    /// What is recorded of a node.
    pub fn of(&self, node: &str) -> Option<&NodeStatus> {
        self.node_statuses.get(node).map(|entry| &**entry)
    }

    /// Whether two statuses say the same of everything but their nodes.
    pub fn is_same_beside_nodes(&self, other: &Self) -> bool {
        let Self {
            observed_generation,
            phase,
            message,
            progress,
            current,
            nodes,
            conditions,
            spec_hash,
            run,
            spec_run,
            rerun,
            retry_failed,
            started_at,
            completed_at,
            last_updated,
            node_statuses: _,
        } = self;
        *observed_generation == other.observed_generation
            && *phase == other.phase
            && *message == other.message
            && *progress == other.progress
            && *current == other.current
            && *nodes == other.nodes
            && *conditions == other.conditions
            && *spec_hash == other.spec_hash
            && *run == other.run
            && *spec_run == other.spec_run
            && *rerun == other.rerun
            && *retry_failed == other.retry_failed
            && *started_at == other.started_at
            && *completed_at == other.completed_at
            && *last_updated == other.last_updated
    }
}

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Nothing is in flight, and nothing has been.
    Pending,
    /// A node is in flight or may start.
    Running,
    /// Every node is done.
    Completed,
    /// Settled, and a node failed.
    Failed,
}

/// How many targeted nodes stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeCounts {
    /// Nodes that the selector matches, and those in flight that it no longer does.
    pub total: i64,
    /// Completed, skipped ones included.
    pub completed: i64,
    /// Failed.
    pub failed: i64,
    /// In flight.
    pub in_flight: i64,
    /// Not started yet.
    pub pending: i64,
}

/// What happened on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::keep_descriptions)]
pub struct NodeStatus {
    /// Pending, Preflight, Running, Completed or Failed.
    pub phase: NodePhase,
    /// Name of the Job that runs, or ran, the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_name: Option<String>,
    /// One sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// not-requested, pending, completed or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reboot_status: Option<String>,
    /// When this entry last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<Time>,
    /// The finer place of a node in flight; absent on nodes that are done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<NodeStep>,
    /// When `step` began; that of a node which boots once more while it is verified begins again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_since: Option<Time>,
    /// Why the node stands where it stands: one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When `reason` was first given, for as long as it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_since: Option<Time>,
    /// uid of the Node object that was taken; only while in flight.
    #[serde(rename = "nodeUID", skip_serializing_if = "Option::is_none")]
    pub node_uid: Option<String>,
    /// uid of the Job; only while in flight.
    #[serde(rename = "jobUID", skip_serializing_if = "Option::is_none")]
    pub job_uid: Option<String>,
    /// The boot that a reboot is to end, as the command's pod told it; only while in flight.
    #[serde(rename = "bootID", skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// The boot that followed it, as the Node shows it; only while in flight.
    #[serde(rename = "newBootID", skip_serializing_if = "Option::is_none")]
    pub new_boot_id: Option<String>,
    /// The version that the node must run after its reboot, as the command told it; only while in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<String>,
    /// The run that took the node; only while in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
    /// How many Jobs of this run never got a pod admitted on the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
}

/// The words that the existing operator uses for a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NodePhase {
    /// Taken, but the command does not run yet.
    #[default]
    Pending,
    /// The preflight runs.
    Preflight,
    /// The command runs.
    Running,
    /// Done.
    Completed,
    /// Given up, for `reason`.
    Failed,
}

/// The finer place of a node in flight, in the order in which they follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum NodeStep {
    /// The preflight pod runs; the node is not touched yet.
    Preflight,
    /// The lock, and the cordon with it, is being put on the node.
    Locking,
    /// Pods are being evicted.
    Draining,
    /// The Job is made, makes no pod yet, and waits for its uid to be recorded.
    Starting,
    /// The Job runs.
    Running,
    /// The command succeeded, and the node reboots.
    Rebooting,
    /// The node has rebooted, and must be Ready and stay so.
    Verifying,
    /// The Job is being removed: its time is up, or its node is not the one that was taken.
    Cancelling,
    /// The result is recorded; the lock is being taken off the node.
    Releasing,
}

impl NodeStatus {
    /// Whether the operation is done with this node.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, NodePhase::Completed | NodePhase::Failed) && self.step.is_none()
    }

    /// Whether it stands where it stands for this reason.
    pub fn is_because(&self, reason: Reason) -> bool {
        self.reason.as_deref() == Some(reason.code())
    }

    /// Whether the command may have been started for this claim.
    pub fn may_have_run(&self) -> bool {
        self.step.is_some_and(|step| step >= NodeStep::Running)
    }
}
