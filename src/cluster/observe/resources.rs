//! Custom resources: listed twice, first their versions and at the end of the round's look in full. One that changed or came
//! in between is marked; one that cannot be read does not hide the others.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ObserveError;
use crate::cluster::Cluster;
use crate::cluster::kinds::Kind;
use crate::cluster::list::Query;
use crate::snapshot::{Resource, Unreadable, objects, wire};

/// Custom resources per page: one of them may be as large as 1 MiB.
const PAGE: u32 = 50;

/// The resourceVersions that the first look saw, by uid.
pub(super) type Versions = BTreeMap<String, String>;

/// The first look: names and versions.
pub(super) async fn versions(cluster: &Cluster, kind: Kind) -> Result<Versions, ObserveError> {
    let query = Query { metadata_only: true, ..Query::all(kind) };
    let pairs = cluster.list(&query, |bare: wire::Bare| (bare.metadata.uid, bare.metadata.resource_version)).await;
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
    let read = cluster
        .list(&query, |value: Value| objects::resource(kind.name, value))
        .await
        .map_err(|error| ObserveError::listing(kind, error))?;
    let mut found = Found { resources: Vec::new(), unreadable: Vec::new() };
    for item in read {
        match item {
            Ok(mut resource) => {
                // One that was made meanwhile as well: another round may have claimed nodes for it that our lists show as free.
                resource.meta.moved = first.get(&resource.meta.uid) != Some(&resource.meta.resource_version);
                found.resources.push(resource);
            }
            Err(unreadable) => found.unreadable.push(*unreadable),
        }
    }
    Ok(found)
}
