//! The UpdateChannel resource: spec and status as they stand in the cluster.
//!
//! Group, names and the first three fields are those of the k3OS operator's preview (k3os.io/v1). The spec belongs to
//! its author: what a poll found stands in the status.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nodeop::api::PullSecret;
use crate::rollout::{Rollout, duration_between};
use crate::selector::NodeSelector;

/// API version of an UpdateChannel.
pub const API_VERSION: &str = "k3os.io/v1";
/// Kind of an UpdateChannel.
pub const KIND: &str = "UpdateChannel";
/// Name of the CustomResourceDefinition.
pub const DEFINITION: &str = "updatechannels.k3os.io";

/// Keeps selected nodes at a version: a pinned one, or the newest that is published.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "k3os.io",
    version = "v1",
    kind = "UpdateChannel",
    plural = "updatechannels",
    namespaced,
    status = "UpdateChannelStatus",
    shortname = "upchan",
    shortname = "upchans",
    derive = "PartialEq",
    doc = "Keeps selected nodes at a version: a pinned one, or the newest that is published.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Latest", type_ = "string", json_path = ".status.latestVersion"),
    printcolumn(name = "Done", type_ = "string", json_path = ".status.progress"),
    printcolumn(name = "Now", type_ = "string", json_path = ".status.current"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Url", type_ = "string", json_path = ".spec.url", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::duplicated_attributes, reason = "each printcolumn has a name, a type and a path")]
#[x_kube(
    validation = Rule::new("(has(self.url) && self.url != '') || (has(self.version) && !(self.version in ['', 'latest']))")
        .message("url must be given unless version names a version, for example github-releases://owner/repository")
        .field_path(".url")
)]
pub struct UpdateChannelSpec {
    /// Where versions are published, for example github-releases://owner/repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new(r"self == '' || self.matches('^[a-z][a-z0-9+.-]*:\\S+$')")
        .message("url must be a scheme and a place, without blanks, for example github-releases://owner/repository"))]
    pub url: Option<String>,
    /// The version that nodes should run. Unset, empty or latest: the newest that `url` publishes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new(r"self.matches('^\\S*$')")
        .message("version must be latest or a version without blanks, for example v3.6.0; ranges belong into versionConstraint"))]
    pub version: Option<String>,
    /// Which published versions come into question, for example >=3.5, <4.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub version_constraint: Option<String>,
    /// Whether versions that call themselves unfinished (rc, beta, …), or that their publisher calls so, come into question (default false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_releases: Option<bool>,
    /// How many nodes may be updated at a time; 0, as in k3OS, means none (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub concurrency: Option<i32>,
    /// Which nodes. Unset or empty: every node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<NodeSelector>,
    /// How often `url` is asked, for example 15m; between 1m and 168h (default 15m).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = duration_between("1m", "168h")
        .message("pollInterval must be between 1m and 168h, for example 15m or 1h30m"))]
    pub poll_interval: Option<String>,
    /// How old a version must be before it comes into question, for example 72h (default: any age).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = duration_between("0s", "8760h")
        .message("minAge must be at most 8760h, for example 72h or 90m"))]
    pub min_age: Option<String>,
    /// Template of the image that Kairos nodes are upgraded to, for example quay.io/kairos/ubuntu:24.04-standard-amd64-generic-{{ version }}. It knows version, version_without_v, major, minor and patch. Unset: Kairos nodes are left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    #[x_kube(validation = Rule::new(r"self.matches('^([^\\s{}]|\\{\\{ *[a-z_]+ *\\}\\})*$')")
        .message("image must be an image reference without blanks, with {{ version }} where the version belongs, for example quay.io/kairos/ubuntu:24.04-standard-amd64-generic-{{ version }}"))]
    pub image: Option<String>,
    /// Secrets of the same namespace with which Kairos nodes pull `image`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub image_pull_secrets: Vec<PullSecret>,
    /// When and how fast nodes are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

impl UpdateChannelSpec {
    /// The version that is asked for by name; None: the newest.
    pub fn pinned(&self) -> Option<&str> {
        self.version.as_deref().filter(|version| !matches!(*version, "" | "latest"))
    }

    /// The template of the image; None: Kairos nodes are left alone.
    pub fn image(&self) -> Option<&str> {
        self.image.as_deref().filter(|image| !image.is_empty())
    }

    /// How many nodes may be updated at a time; 0: none.
    pub fn slots(&self) -> i32 {
        self.concurrency.unwrap_or(1)
    }

    /// Whether an older version than the one that stands may be installed.
    pub fn allows_downgrade(&self) -> bool {
        self.rollout.as_ref().and_then(|rollout| rollout.allow_downgrade).unwrap_or(false)
    }
}

/// What Rounds, and nobody else, writes about an UpdateChannel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::keep_descriptions)]
pub struct UpdateChannelStatus {
    /// The generation that this status speaks of; -1 until the first round has seen the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Pending, Polling, Updating, Current or Failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<ChannelPhase>,
    /// One sentence on where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Nodes at the version of all targeted ones, as 3/8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// What is going on now, or what is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// Who polls now, as rounds/<round>; absent when nobody does, or only to ask again what was answered before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub polling: Option<String>,
    /// When the poll that `polling` names began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub polling_since: Option<Time>,
    /// When `url` last answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_polled: Option<Time>,
    /// How often `url` has failed to answer since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_polls: Option<i64>,
    /// `url` is not asked again before this time: it failed, or wants to be left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_poll: Option<Time>,
    /// The server of `url` wants nothing to be asked before this time, whatever the question, also by other channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Time>,
    /// Hash of what was asked last, and how often; something else is asked at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// What the server calls its last answer: the same one is not sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validators: Option<PollValidators>,
    /// When versions that are still too young for minAge, and of which nobody says when they were published, were first seen.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub first_seen: BTreeMap<String, Time>,
    /// The newest version that comes into question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_version: Option<String>,
    /// When that version was published, or first seen where nobody says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_version_time: Option<Time>,
    /// The `url` that said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_version_source: Option<String>,
    /// Nodes that are being updated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub updating: Vec<String>,
    /// The same list, under the name that the k3OS operator gave it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upgrading: Vec<String>,
    /// Ready, Reconciling and Stalled, as kstatus reads them, and Polled: whether `url` has answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Hash of what is executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec_hash: Option<String>,
    /// When anything in this status last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<Time>,
}

/// What a server calls the answer that it gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PollValidators {
    /// Its ETag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Its Last-Modified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    /// How many releases were asked for at once, when the usual number did not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u16>,
}

/// Where a channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ChannelPhase {
    /// No version is known yet.
    Pending,
    /// `url` is being asked.
    Polling,
    /// A node is being updated or may start.
    Updating,
    /// Every node runs the version.
    Current,
    /// The version cannot be found, or a node failed to take it.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_version_and_the_word_latest_both_mean_the_newest() {
        for (version, expected) in [(None, None), (Some(""), None), (Some("latest"), None), (Some("v0.7.0"), Some("v0.7.0"))] {
            let spec = UpdateChannelSpec { version: version.map(Into::into), ..UpdateChannelSpec::default() };
            assert_eq!(spec.pinned(), expected);
        }
    }
}
