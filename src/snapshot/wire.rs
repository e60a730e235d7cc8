//! The objects as they stand on the wire, as far as anything of them is read; the rest is skipped while decoding. The
//! types are lenient: whatever may be missing is missing, so that no object of a newer server fails a list.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// null is as good as absent.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

macro_rules! raw {
    ($($(#[$meta:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug, Default, Deserialize)]
            #[serde(rename_all = "camelCase", default)]
            pub(crate) struct $name { $($(#[$attribute])* #[serde(deserialize_with = "nullable")] pub(crate) $field: $type,)* }
        )*
    };
}

raw! {
    /// What all objects have.
    Metadata {
        name: String,
        namespace: String,
        uid: String,
        resource_version: String,
        generation: i64,
        creation_timestamp: Option<Timestamp>,
        deletion_timestamp: Option<Timestamp>,
        deletion_grace_period_seconds: i64,
        labels: BTreeMap<String, String>,
        annotations: BTreeMap<String, String>,
        owner_references: Vec<OwnerReference>,
        finalizers: Vec<String>,
    }
    /// Only the metadata of any object.
    Bare { metadata: Metadata, }
    OwnerReference { api_version: String, kind: String, name: String, uid: String, controller: bool, }
    Condition { #[serde(rename = "type")] kind: String, status: String, reason: String, message: String, }

    Node { metadata: NodeMetadata, spec: NodeSpec, status: NodeStatus, }
    /// [`Metadata`] without what a Node does not have, and with who owns which of the fields that matter.
    NodeMetadata {
        name: String,
        uid: String,
        resource_version: String,
        creation_timestamp: Option<Timestamp>,
        deletion_timestamp: Option<Timestamp>,
        labels: BTreeMap<String, String>,
        annotations: NodeAnnotations,
        managed_fields: Vec<Managed>,
    }
    NodeAnnotations {
        #[serde(rename = "operator.kairos.io/operation")] lock: Option<String>,
        #[serde(rename = "operator.kairos.io/cordoned-by")] cordoned_by: Option<String>,
        #[serde(rename = "operator.kairos.io/keep-cordoned")] keep_cordoned: Option<String>,
        #[serde(rename = "operator.kairos.io/probed-boot")] probed_boot: Option<String>,
        #[serde(rename = "kairos.io/version")] kairos_version: Option<String>,
        #[serde(rename = "kairos.io/name")] kairos_name: Option<String>,
        #[serde(rename = "kairos.io/id-like")] id_like: Option<String>,
        #[serde(rename = "kairos.io/init-version")] init_version: Option<String>,
        #[serde(rename = "kairos.io/bug-report-url")] bug_report_url: Option<String>,
        #[serde(rename = "kairos.io/home-url")] home_url: Option<String>,
    }
    NodeSpec { unschedulable: bool, }
    NodeStatus { conditions: Vec<Condition>, node_info: NodeInfo, }
    NodeInfo { #[serde(rename = "bootID")] boot_id: String, }
    Managed { manager: String, operation: String, #[serde(rename = "fieldsV1")] fields: ManagedFields, }
    ManagedFields {
        #[serde(rename = "f:metadata")] metadata: ManagedMetadata,
        #[serde(rename = "f:spec")] spec: ManagedSpec,
    }
    ManagedMetadata {
        #[serde(rename = "f:annotations")] annotations: ManagedKeys,
        #[serde(rename = "f:labels")] labels: ManagedKeys,
    }
    ManagedSpec { #[serde(rename = "f:unschedulable")] unschedulable: Option<IgnoredAny>, }

    Job { metadata: Metadata, spec: JobSpec, status: JobStatus, }
    JobSpec { suspend: bool, parallelism: Option<i32>, ttl_seconds_after_finished: Option<i32>, template: JobTemplate, }
    JobTemplate { spec: JobPodSpec, }
    JobPodSpec { node_name: String, }
    JobStatus { conditions: Vec<Condition>, }

    Pod { metadata: Metadata, spec: PodSpec, status: PodStatus, }
    PodSpec { node_name: String, init_containers: Vec<Named>, containers: Vec<Named>, volumes: Vec<Volume>, }
    Named { name: String, }
    Volume { empty_dir: Option<IgnoredAny>, }
    PodStatus {
        phase: String,
        reason: String,
        message: String,
        conditions: Vec<Condition>,
        init_container_statuses: Vec<ContainerStatus>,
        container_statuses: Vec<ContainerStatus>,
    }
    ContainerStatus { name: String, restart_count: i32, state: ContainerState, last_state: ContainerState, }
    ContainerState { waiting: Option<Waiting>, running: Option<IgnoredAny>, terminated: Option<Terminated>, }
    Waiting { reason: String, message: String, }
    Terminated { exit_code: i32, reason: String, message: String, started_at: Option<Timestamp>, }

    Budget { metadata: Metadata, spec: BudgetSpec, status: BudgetStatus, }
    BudgetSpec {
        selector: Option<Value>,
        min_available: Option<Value>,
        max_unavailable: Option<Value>,
        unhealthy_pod_eviction_policy: String,
    }
    BudgetStatus { disruptions_allowed: i32, current_healthy: i32, desired_healthy: i32, observed_generation: i64, }

    /// A CronJob or a Deployment.
    Workload { metadata: Metadata, spec: WorkloadSpec, }
    WorkloadSpec { suspend: bool, replicas: Option<i32>, template: Bare, job_template: JobOfTemplate, }
    JobOfTemplate { spec: JobOfTemplateSpec, }
    JobOfTemplateSpec { template: Bare, }

    Lease { metadata: Metadata, spec: LeaseSpec, }
    LeaseSpec { holder_identity: String, renew_time: Option<Timestamp>, lease_duration_seconds: i64, }

    Event {
        metadata: Metadata,
        involved_object: Subject,
        reason: String,
        message: String,
        last_timestamp: Option<Timestamp>,
        event_time: Option<Timestamp>,
        series: Option<EventSeries>,
    }
    Subject { uid: String, }
    EventSeries { last_observed_time: Option<Timestamp>, }
}

/// Which labels or annotations of Kairos' own and of ours a manager owns; all others are passed over.
#[derive(Clone, Debug, Default)]
pub(crate) struct ManagedKeys(Vec<String>);

impl Metadata {
    /// Who controls the object: that is written by whoever has made it.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller)
    }
}

impl ManagedKeys {
    /// Whether this key is among them.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|owned| owned == key)
    }
}

impl<'de> Deserialize<'de> for ManagedKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = ManagedKeys;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the fields of a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ManagedKeys, A::Error> {
                let mut keys = Vec::new();
                while let Some(OwnKey(key)) = map.next_key()? {
                    map.next_value::<IgnoredAny>()?;
                    keys.extend(key);
                }
                Ok(ManagedKeys(keys))
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

/// A key of `fieldsV1` under `kairos.io/` or `operator.kairos.io/`, without its `f:`; None for any other, without a copy.
struct OwnKey(Option<String>);

impl<'de> Deserialize<'de> for OwnKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Key;

        impl Visitor<'_> for Key {
            type Value = OwnKey;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<OwnKey, E> {
                let ours = |key: &&str| key.starts_with("kairos.io/") || key.starts_with("operator.kairos.io/");
                Ok(OwnKey(key.strip_prefix("f:").filter(ours).map(ToString::to_string)))
            }
        }

        deserializer.deserialize_str(Key)
    }
}
