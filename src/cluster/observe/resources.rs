//! Custom resources: listed twice, first their versions and at the end of the round's look in full. One that changed in
//! between is marked; one that cannot be read does not hide the others.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ObserveError, raw, views};
use crate::cluster::Cluster;
use crate::cluster::kinds::Kind;
use crate::cluster::list::Query;
use crate::snapshot::{Reference, Resource, Unreadable};

/// Custom resources per page: one of them may be as large as 1 MiB.
const PAGE: u32 = 50;

/// The resourceVersions that the first look saw, by uid.
pub(super) type Versions = BTreeMap<String, String>;

/// The first look: names and versions.
pub(super) async fn versions(cluster: &Cluster, kind: Kind) -> Result<Versions, ObserveError> {
    let query = Query { metadata_only: true, ..Query::all(kind) };
    let pairs = cluster.list(&query, |bare: raw::Bare| (bare.metadata.uid, bare.metadata.resource_version)).await;
    Ok(pairs.map_err(|error| ObserveError::listing(kind, error))?.into_iter().collect())
}

/// What the second look brings.
pub(super) struct Found<Spec, Status> {
    pub(super) resources: Vec<Resource<Spec, Status>>,
    pub(super) unreadable: Vec<Unreadable>,
}

/// The second look: everything.
pub(super) async fn in_full<Spec, Status>(cluster: &Cluster, kind: Kind, first: &Versions) -> Result<Found<Spec, Status>, ObserveError>
where
    Spec: DeserializeOwned,
    Status: DeserializeOwned + Default,
{
    let query = Query { page: PAGE, ..Query::all(kind) };
    let read = cluster.list(&query, |value: Value| read(kind, value)).await.map_err(|error| ObserveError::listing(kind, error))?;
    let mut found = Found { resources: Vec::new(), unreadable: Vec::new() };
    for item in read {
        match item {
            Ok(mut resource) => {
                resource.meta.moved = first.get(&resource.meta.uid).is_some_and(|version| *version != resource.meta.resource_version);
                found.resources.push(resource);
            }
            Err(unreadable) => found.unreadable.push(*unreadable),
        }
    }
    Ok(found)
}

/// One resource, or what is wrong with it.
pub(super) fn read<Spec, Status>(kind: Kind, mut object: Value) -> Result<Resource<Spec, Status>, Box<Unreadable>>
where
    Spec: DeserializeOwned,
    Status: DeserializeOwned + Default,
{
    let metadata = object.get_mut("metadata").map(Value::take).unwrap_or_default();
    let meta = views::meta(raw::Metadata::deserialize(&metadata).unwrap_or_else(|_| bare(&metadata)));
    let mut part = |name: &str| object.get_mut(name).map(Value::take).unwrap_or_default();
    let spec = match part("spec") {
        Value::Null => Value::Object(serde_json::Map::new()),
        spec => spec,
    };
    let status = part("status");
    let spec = typed::<Spec>("spec", spec);
    let status = typed::<Option<Status>>("status", status);
    match (spec, status) {
        (Ok(spec), Ok(status)) => Ok(Resource { meta, spec, status: status.unwrap_or_default() }),
        (Err(error), _) | (_, Err(error)) => Err(Box::new(Unreadable {
            what: Reference::new(kind.name, &meta.namespace, &meta.name, &meta.uid),
            resource_version: meta.resource_version,
            generation: meta.generation,
            error,
        })),
    }
}

/// A part of an object, or the field in it that is wrong.
fn typed<T: DeserializeOwned>(part: &str, value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| match error.path().to_string().as_str() {
        "." => format!("{part}: {}", error.inner()),
        path => format!("{part}.{path}: {}", error.inner()),
    })
}

/// What identifies an object, from metadata of which some other part is not what it should be.
fn bare(metadata: &Value) -> raw::Metadata {
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
    raw::Metadata {
        name: text("name"),
        namespace: text("namespace"),
        uid: text("uid"),
        resource_version: text("resourceVersion"),
        ..raw::Metadata::default()
    }
}
