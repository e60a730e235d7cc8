//! The NodeOpUpgrade resource: spec and status as they stand in the cluster.
//!
//! Field names, meanings and phase words are those of the existing operator (operator.kairos.io/v1alpha1). No field has
//! a schema default, for the reason that stands in [`crate::nodeop::api`].

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nodeop::api::{NodeStatuses, PullSecret, is_empty};
use crate::rollout::Rollout;
use crate::selector::NodeSelector;

/// API version of a NodeOpUpgrade.
pub const API_VERSION: &str = "operator.kairos.io/v1alpha1";
/// Kind of a NodeOpUpgrade.
pub const KIND: &str = "NodeOpUpgrade";
/// Name of the CustomResourceDefinition.
pub const DEFINITION: &str = "nodeopupgrades.operator.kairos.io";

/// Upgrades selected Kairos nodes to an image, by way of a NodeOp of the same name.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "operator.kairos.io",
    version = "v1alpha1",
    kind = "NodeOpUpgrade",
    namespaced,
    status = "NodeOpUpgradeStatus",
    shortname = "nou",
    derive = "PartialEq",
    doc = "Upgrades selected Kairos nodes to an image, by way of a NodeOp of the same name.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Done", type_ = "string", json_path = ".status.progress"),
    printcolumn(name = "Now", type_ = "string", json_path = ".status.current"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.image", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::duplicated_attributes, reason = "each printcolumn has a name, a type and a path")]
#[x_kube(
    validation = Rule::new("!has(self.upgradeActive) || self.upgradeActive || (has(self.upgradeRecovery) && self.upgradeRecovery)")
        .message("upgradeActive: false takes upgradeRecovery: true, or nothing would be upgraded")
        .field_path(".upgradeActive")
)]
pub struct NodeOpUpgradeSpec {
    /// The Kairos image: it runs the upgrade, and is what is installed.
    #[schemars(length(max = 4096))]
    #[x_kube(validation = Rule::new(r"self.matches('^\\S+$')")
        .message("image must be an image reference without blanks, for example quay.io/kairos/ubuntu:24.04-standard-amd64-generic-v3.6.0"))]
    pub image: String,
    /// Which nodes. Unset or empty: every node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<NodeSelector>,
    /// Secrets of the same namespace with which the node pulls `image`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub image_pull_secrets: Vec<PullSecret>,
    /// How many nodes may be in flight; 0 means all (default 0).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub concurrency: Option<i32>,
    /// Whether no further node is started after one failed (default false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_on_failure: Option<bool>,
    /// Whether the active system is upgraded, and the node rebooted into it (default true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade_active: Option<bool>,
    /// Whether the recovery system is upgraded (default false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade_recovery: Option<bool>,
    /// Whether to upgrade without preflight, downgrade and version checks (default false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
    /// Whether the upgrade talks about all it does (default false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debug: Option<bool>,
    /// Whether a node on which the upgrade failed is uncordoned as well (default false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncordon_on_failure: Option<bool>,
    /// Paths of the image that are not installed, besides /etc/hostname and /etc/hosts. Needs kairos-agent 3.6.0 or later in the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 4096)))]
    pub exclude_paths: Vec<String>,
    /// When and how fast nodes are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

impl NodeOpUpgradeSpec {
    /// Whether the active system is upgraded, which takes a reboot.
    pub fn upgrades_active(&self) -> bool {
        self.upgrade_active.unwrap_or(true)
    }

    /// Whether the recovery system is upgraded.
    pub fn upgrades_recovery(&self) -> bool {
        self.upgrade_recovery.unwrap_or(false)
    }

    /// Whether all checks are skipped.
    pub fn is_forced(&self) -> bool {
        self.force.unwrap_or(false)
    }
}

/// What Rounds, and nobody else, writes about a NodeOpUpgrade: mostly what its NodeOp says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::keep_descriptions)]
pub struct NodeOpUpgradeStatus {
    /// The generation that this status speaks of; -1 until the first round has seen the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Initializing, Pending, Running, Completed or Failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<UpgradePhase>,
    /// One sentence on where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Name of the NodeOp that does the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_op_name: Option<String>,
    /// Finished nodes of all targeted ones, as 3/8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// What is going on now: the first node in flight and its step, or what is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// Ready, Reconciling and Stalled, as kstatus reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Per node name, what happened there, as the NodeOp tells it.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub node_statuses: Arc<NodeStatuses>,
    /// Hash of what is executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec_hash: Option<String>,
    /// When anything in this status last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<Time>,
}

/// Where an upgrade stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UpgradePhase {
    /// The NodeOp is made, and no round has seen it yet.
    Initializing,
    /// Nothing is in flight, and nothing has been.
    Pending,
    /// A node is in flight or may start.
    Running,
    /// Every node is done.
    Completed,
    /// Settled, and a node failed.
    Failed,
}
