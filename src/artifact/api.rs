//! The OSArtifact resource: spec and status as they stand in the cluster.
//!
//! Two shapes of build.kairos.io/v1alpha2 exist in the field, and both are read: the flat one, whose fields stand at the
//! top ([`flat`]), and the nested one, with [`image`] and [`artifacts`]. An object has one or the other. What both share
//! stands here. No field has a schema default, for the reason that stands in [`crate::nodeop::api`].

pub mod artifacts;
pub mod embedded;
pub mod flat;
pub mod image;
mod rules;
pub mod status;

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::{Affinity, Container, PersistentVolumeClaimSpec, Toleration, Volume};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nodeop::api::PullSecret;
use crate::rollout::RunPolicy;
use artifacts::{Artifacts, NameOverride, Resources};
use embedded::{Embedded, named_volumes};
use flat::Flat;
use image::Image;
pub use status::{ArtifactPhase, BuiltArtifact, ExporterResult, ExporterStatus, OSArtifactStatus};

/// Name of the CustomResourceDefinition.
pub const DEFINITION: &str = "osartifacts.build.kairos.io";

/// Builds ISO, disk and netboot images from a container image.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "build.kairos.io",
    version = "v1alpha2",
    kind = "OSArtifact",
    plural = "osartifacts",
    namespaced,
    status = "OSArtifactStatus",
    shortname = "osa",
    derive = "PartialEq",
    doc = "Builds ISO, disk and netboot images from a container image.",
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
    validation = rules::one_shape(),
    validation = rules::some_source(),
    validation = rules::artifacts_of_ref(),
    validation = rules::volume_names(),
    validation = rules::is_volume("image.ociSpec.buildContextVolume", "has(self.image.ref) && self.image.ref != '' || !has(self.image.ociSpec.ref)"),
    validation = rules::is_volume("image.caCertificatesVolume", "has(self.image.ref) && self.image.ref != ''"),
    validation = rules::is_volume("artifacts.overlayISOVolume", "false"),
    validation = rules::is_volume("artifacts.overlayRootfsVolume", "false"),
    validation = rules::is_volume("artifacts.volume", "false"),
    validation = rules::is_volume("artifacts.uki.keysVolume", rules::NO_UKI),
    validation = rules::is_volume("volumeBindings.buildContext", "false"),
    validation = rules::is_volume("volumeBindings.overlayISO", "false"),
    validation = rules::is_volume("volumeBindings.overlayRootfs", "false")
)]
pub struct OSArtifactSpec {
    /// The system to build from. With `artifacts`, the nested shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// What to make of it. With `image`, the nested shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<Artifacts>,
    /// The flat shape: source and outputs at the top.
    #[serde(flatten)]
    pub flat: Flat,
    /// How the build runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
    /// Secrets of the same namespace with which the cluster pulls the images of the build's containers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub image_pull_secrets: Vec<PullSecret>,
    /// Jobs that run after the build; what was built is their volume artifacts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub exporters: Vec<Embedded<JobSpec>>,
    /// The claim that holds what is built (default: ReadWriteOnce, 10Gi).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<Embedded<PersistentVolumeClaimSpec>>,
    /// Further volumes of the build's pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), transform = named_volumes)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub volumes: Vec<Embedded<Volume>>,
    /// Containers that run before the build, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub importers: Vec<Embedded<Container>>,
    /// Labels of the nodes on which the build may run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the build's pod tolerates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Embedded<Toleration>>,
    /// Where the build's pod prefers to run, or must.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Embedded<Affinity>>,
    /// Labels of the build's pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_labels: BTreeMap<String, String>,
    /// Annotations of the build's pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_annotations: BTreeMap<String, String>,
    /// What the build's containers, by output, and its pod may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Names of the files that are built, by output, in the object's name's place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_override: Option<NameOverride>,
}

/// How the build runs. Every field is optional; an absent block means the defaults below.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::keep_descriptions)]
pub struct Build {
    /// OnChange (default): an edited spec builds again. Once: what was built stays, whatever is edited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_policy: Option<RunPolicy>,
    /// Seconds that the build may take, waiting for a node and for images included, before it counts as failed (default 7200).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_592_000))]
    pub timeout_seconds: Option<i64>,
    /// How often a failed build is tried again (default 0).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub backoff_limit: Option<i32>,
    /// Seconds after which the finished Jobs are removed. Unset: they stay (their logs are the record) until superseded or the resource is deleted.
    #[serde(rename = "jobTTLSeconds", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub job_ttl_seconds: Option<i32>,
}

impl OSArtifactSpec {
    /// Whether the object has the flat shape.
    pub fn is_flat(&self) -> bool {
        self.image.is_none() && self.artifacts.is_none()
    }
}

impl Build {
    /// Seconds that the build may take.
    pub fn timeout(&self) -> i64 {
        self.timeout_seconds.unwrap_or(7200)
    }

    /// How often a failed build is tried again.
    pub fn retries(&self) -> i32 {
        self.backoff_limit.unwrap_or(0)
    }
}
