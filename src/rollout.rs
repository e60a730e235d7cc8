//! The `spec.rollout` block that NodeOp, NodeOpUpgrade and UpdateChannel share: when and how fast nodes are taken.

pub mod window;

use kube::KubeSchema;
use kube::core::Rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an operation rolls over its nodes. Every field is optional; an absent block means the defaults below.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::keep_descriptions)]
pub struct Rollout {
    /// Starts nothing new while true. What runs on a node goes on; nothing is killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// OnChange (default): an edited spec runs again on all nodes, new nodes are taken up. Once: only the nodes matched at the start, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_policy: Option<RunPolicy>,
    /// Maintenance windows. Nothing is started outside all of them; what runs when a window closes finishes. Empty: always open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub windows: Vec<Window>,
    /// Seconds that a node's preflight or command may take, from its start, before it counts as failed (default 3600).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_592_000))]
    pub node_timeout_seconds: Option<i64>,
    /// Lenient (default): pods that the drain options do not let us evict stay where they are and are named. Strict: they fail the drain, as kubectl does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_mode: Option<DrainMode>,
    /// Fail (default): a drain that exceeds drainOptions.timeoutSeconds fails the node. Wait: it goes on waiting and says for what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_drain_timeout: Option<OnDrainTimeout>,
    /// Seconds after which a finished Job is removed. Unset: Jobs stay (their logs are the record) until superseded or the resource is deleted.
    #[serde(rename = "jobTTLSeconds", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub job_ttl_seconds: Option<i32>,
    /// Whether a version older than the one on the node may be installed (upgrades and channels only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_downgrade: Option<bool>,
    /// How a node reboots, and when it counts as back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reboot: Option<Reboot>,
}

/// What an edit of the spec, or a new node, means for an operation that has run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunPolicy {
    /// Run again on every node when what is executed changes; take up new nodes.
    #[default]
    OnChange,
    /// Run on the nodes that matched at the start, and never again unless asked by token.
    Once,
}

/// What to do with pods that the drain options do not let us evict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DrainMode {
    /// Leave them in place and name them.
    #[default]
    Lenient,
    /// Refuse to go on, as `kubectl drain` does.
    Strict,
}

/// What a drain does when its time is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnDrainTimeout {
    /// Release the node and count it as failed; nothing ran on it.
    #[default]
    Fail,
    /// Keep waiting and keep naming what blocks.
    Wait,
}

/// One maintenance window: opens at `start` on each of `days` and stays open for `duration`, over midnight if need be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Time of day at which the window opens, HH:MM in `timeZone`.
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')").message("start must be a time of day as HH:MM, for example 02:30 or 22:00"))]
    pub start: String,
    /// How long it stays open, for example 4h, 90m or 1h30m; at most 168h.
    #[schemars(length(max = 64))]
    #[x_kube(validation = duration_between("1m", "168h").message("duration must be between 1m and 168h, for example 4h, 90m or 1h30m"))]
    pub duration: String,
    /// Days on which it opens (the day of `start`, also when it reaches into the next one). Empty: every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    pub days: Vec<Day>,
    /// IANA time zone, for example Europe/Berlin. Unset: UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Day {
    /// Monday
    Mon,
    /// Tuesday
    Tue,
    /// Wednesday
    Wed,
    /// Thursday
    Thu,
    /// Friday
    Fri,
    /// Saturday
    Sat,
    /// Sunday
    Sun,
}

/// How a node reboots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reboot {
    /// Command that reboots the host, run in pid 1's namespaces. Unset: chosen on the node (systemctl, openrc-shutdown, reboot).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub command: Vec<String>,
    /// Seconds in which the node must be back with a new boot id (default 1800).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 604_800))]
    pub timeout_seconds: Option<i64>,
    /// Seconds for which the node must stay Ready after the reboot (default 30).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub ready_seconds: Option<i64>,
    /// Seconds between the approval and the reboot, in which the Job's pod ends (default 5).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3_600))]
    pub grace_seconds: Option<i64>,
    /// Whether the node must be in its active system after the reboot, and run the version that the command's termination message tells as "upgraded to VERSION" (default false; upgrades: true unless forced).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_version: Option<bool>,
}

/// Hours, minutes and seconds, within bounds. The pattern comes first: CEL's own error for what is none names no remedy.
pub fn duration_between(least: &str, most: &str) -> Rule {
    Rule::new(format!(
        "self != '' && self.matches('^([0-9]{{1,6}}h)?([0-9]{{1,6}}m)?([0-9]{{1,6}}s)?$') \
         && duration(self) >= duration('{least}') && duration(self) <= duration('{most}')"
    ))
}

impl Reboot {
    /// Seconds in which the node must show a new boot id, and in which it must be Ready after that.
    pub fn timeout(&self) -> i64 {
        self.timeout_seconds.unwrap_or(1800)
    }

    /// Seconds between the new boot id and the end.
    pub fn ready(&self) -> i64 {
        self.ready_seconds.unwrap_or(30)
    }

    /// Whether the version is looked at after the reboot.
    pub fn verifies_version(&self) -> bool {
        self.verify_version.unwrap_or(false)
    }

    /// Seconds between the approval and the reboot.
    pub fn grace(&self) -> i64 {
        self.grace_seconds.unwrap_or(5)
    }
}

impl Rollout {
    /// The reboot block, or its defaults.
    pub fn reboot(&self) -> Reboot {
        self.reboot.clone().unwrap_or_default()
    }

    /// Seconds that a preflight or a command may take on one node.
    pub fn node_timeout(&self) -> i64 {
        self.node_timeout_seconds.unwrap_or(3600)
    }
}
