//! Whole objects, as they stand in files, to the views: the very conversions that lists go through.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::views::{Budget, Job, Node, Pod, Probe};
use super::{Reference, Resource, Unreadable, convert, wire};
use crate::artifact::{
    self,
    api::{ArtifactPhase, OSArtifactSpec, OSArtifactStatus},
};
use crate::channel::{
    self, Channel,
    api::{ChannelPhase, UpdateChannelStatus},
};
use crate::nodeop::api::{NodeOpSpec, NodeOpStatus, Phase};
use crate::nodeop::verdict::said;
use crate::upgrade::{
    self,
    api::{NodeOpUpgradeSpec, NodeOpUpgradeStatus, UpgradePhase},
};

/// A NodeOp.
///
/// # Errors
/// What is wrong with it.
pub fn nodeop(object: Value) -> Result<Resource<NodeOpSpec, NodeOpStatus>, String> {
    resource("NodeOp", object).map_err(|unreadable| unreadable.error)
}

/// A NodeOpUpgrade.
///
/// # Errors
/// What is wrong with it.
pub fn upgrade(object: Value) -> Result<Resource<NodeOpUpgradeSpec, NodeOpUpgradeStatus>, String> {
    resource(upgrade::api::KIND, object).map_err(|unreadable| unreadable.error)
}

/// An OSArtifact.
///
/// # Errors
/// What is wrong with it.
pub fn artifact(object: Value) -> Result<Resource<OSArtifactSpec, OSArtifactStatus>, String> {
    resource(artifact::KIND, object).map_err(|unreadable| unreadable.error)
}

/// An UpdateChannel.
///
/// # Errors
/// What is wrong with it.
pub fn channel(object: Value) -> Result<Channel, String> {
    resource(channel::api::KIND, object).map_err(|unreadable| unreadable.error)
}

/// A Node.
///
/// # Errors
/// What is wrong with it.
pub fn node(object: Value) -> Result<Node, String> {
    decoded(object, convert::node)
}

/// A Pod.
///
/// # Errors
/// What is wrong with it.
pub fn pod(object: Value) -> Result<Pod, String> {
    decoded(object, convert::pod)
}

/// A Job.
///
/// # Errors
/// What is wrong with it.
pub fn job(object: Value) -> Result<Job, String> {
    decoded(object, convert::job)
}

/// A probe: its Job, without a pod.
///
/// # Errors
/// What is wrong with it.
pub fn probe(object: Value) -> Result<Probe, String> {
    decoded(object, convert::probe)
}

/// A PodDisruptionBudget.
///
/// # Errors
/// What is wrong with it.
pub fn budget(object: Value) -> Result<Budget, String> {
    decoded(object, convert::budget)
}

fn decoded<Raw: DeserializeOwned, View>(object: Value, view: impl Fn(Raw) -> View) -> Result<View, String> {
    Raw::deserialize(object).map(view).map_err(|error| said(&error.to_string()))
}

/// One resource, or what is wrong with it.
pub(crate) fn resource<Spec, Status>(kind: &str, mut object: Value) -> Result<Resource<Spec, Status>, Box<Unreadable>>
where
    Spec: DeserializeOwned,
    Status: DeserializeOwned + Default,
{
    let metadata = object.get_mut("metadata").map(Value::take).unwrap_or_default();
    let meta = convert::meta(wire::Metadata::deserialize(&metadata).unwrap_or_else(|_| bare(&metadata)));
    let mut part = |name: &str| object.get_mut(name).map(Value::take).unwrap_or_default();
    let spec = match part("spec") {
        Value::Null => Value::Object(serde_json::Map::new()),
        spec => spec,
    };
    let mut status = part("status");
    match kind {
        crate::nodeop::jobs::KIND => crate::nodeop::adopt::read_words::<Phase>(&mut status),
        upgrade::api::KIND => crate::nodeop::adopt::read_words::<UpgradePhase>(&mut status),
        artifact::KIND => read_phase::<ArtifactPhase>(&mut status),
        channel::api::KIND => read_channel(&mut status),
        _ => {}
    }
    let spec = typed::<Spec>("spec", spec);
    let status = typed::<Option<Status>>("status", status);
    match (spec, status) {
        (Ok(spec), Ok(status)) => Ok(Resource { meta, spec, status: status.unwrap_or_default() }),
        (Err(error), _) | (_, Err(error)) => Err(Box::new(Unreadable {
            what: Reference::new(kind, &meta.namespace, &meta.name, &meta.uid),
            resource_version: meta.resource_version,
            generation: meta.generation,
            error,
        })),
    }
}

/// A word of another program for where a build stands is as good as none: it is looked at anew.
fn read_phase<Phase: DeserializeOwned>(status: &mut Value) {
    let own = status.get("specHash").is_some_and(|hash| !hash.is_null());
    if let Some(phase) = status.get_mut("phase").filter(|phase| !own && Phase::deserialize(&**phase).is_err()) {
        *phase = Value::Null;
    }
}

/// What the k3OS operator has left: who polls and whose slots are taken, in its words. Nothing of that runs any more.
fn read_channel(status: &mut Value) {
    read_phase::<ChannelPhase>(status);
    let own = status.get("specHash").is_some_and(|hash| !hash.is_null());
    if !own && Option::<UpdateChannelStatus>::deserialize(&*status).is_err() {
        *status = Value::Null;
    }
}

/// A part of an object, or the field in it that is wrong.
fn typed<T: DeserializeOwned>(part: &str, value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| match error.path().to_string().as_str() {
        "." => said(&format!("{part}: {}", error.inner())),
        path => said(&format!("{part}.{path}: {}", error.inner())),
    })
}

/// What identifies an object, from metadata of which some other part is not what it should be.
fn bare(metadata: &Value) -> wire::Metadata {
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
    wire::Metadata {
        name: text("name"),
        namespace: text("namespace"),
        uid: text("uid"),
        resource_version: text("resourceVersion"),
        ..wire::Metadata::default()
    }
}
