//! What Rounds, and nobody else, writes about an OSArtifact.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a build stands, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::keep_descriptions)]
pub struct OSArtifactStatus {
    /// The generation that this status speaks of; -1 until the first round has seen the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Pending, Building, Exporting, Ready or Error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<ArtifactPhase>,
    /// One sentence on where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Finished containers and exporters of all, as 3/8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// What is going on now: the container or exporter that runs, or what is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The files that were built.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<BuiltArtifact>,
    /// How many more files there are than are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted: Option<i64>,
    /// The image that was pushed, with its digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Name of the Job that builds, or built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_name: Option<String>,
    /// uid of that Job.
    #[serde(rename = "jobUID", skip_serializing_if = "Option::is_none")]
    pub job_uid: Option<String>,
    /// The exporters, in their order, once the build is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exporters: Vec<ExporterStatus>,
    /// Ready, Reconciling and Stalled, as kstatus reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Hash of what is executed; another one builds again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec_hash: Option<String>,
    /// How often this artifact was built: an edit or a re-run begins a new run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
    /// The token of the last re-run that was asked for (annotation operator.kairos.io/rerun).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerun: Option<String>,
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

/// Where a build stands, in the existing operator's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ArtifactPhase {
    /// The build has not begun.
    Pending,
    /// The build runs.
    Building,
    /// The exporters run.
    Exporting,
    /// Built, and exported.
    Ready,
    /// Given up, for what `message` says.
    Error,
}

/// Where an exporter stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::keep_descriptions)]
pub struct ExporterStatus {
    /// Name of its Job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_name: Option<String>,
    /// uid of that Job.
    #[serde(rename = "jobUID", skip_serializing_if = "Option::is_none")]
    pub job_uid: Option<String>,
    /// Succeeded or Failed, once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<ExporterResult>,
    /// Why it failed, or does not start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How an exporter ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExporterResult {
    /// All of its pods have done their work.
    Succeeded,
    /// It failed as often as it may.
    Failed,
}

/// A file that was built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuiltArtifact {
    /// Name of the file.
    pub name: String,
    /// Its size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// Its digest, as sha256:….
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}
