//! What only the existing operator leaves behind: pods without our labels, and definitions without our fields.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{ObserveError, list};
use crate::artifact;
use crate::channel;
use crate::cluster::kinds::Kind;
use crate::cluster::list::Query;
use crate::cluster::{Cluster, kinds};
use crate::nodeop::adopt;
use crate::nodeop::api::DEFINITION;
use crate::snapshot::{Snapshot, convert};
use crate::upgrade;

/// Adds the pods of its Jobs that are awaited: only the Job controller's labels are on them.
pub(super) async fn pods(cluster: &Cluster, snapshot: &mut Snapshot) -> Result<(), ObserveError> {
    let (namespaces, jobs) = awaited(snapshot);
    for namespace in namespaces {
        let query = Query { namespace, ..Query::all(kinds::POD) }.labels("batch.kubernetes.io/controller-uid,!kairos.io/nodeop");
        let pods = list(cluster, query, convert::pod).await?;
        let ours = |uid: &str| jobs.contains(uid);
        snapshot.pods.extend(pods.into_iter().filter(|pod| pod.owner.as_ref().is_some_and(|owner| ours(&owner.uid))));
    }
    Ok(())
}

/// Its Jobs on nodes that it was not done with, and their namespaces.
fn awaited(snapshot: &Snapshot) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut namespaces, mut uids) = (BTreeSet::new(), BTreeSet::new());
    for resource in &snapshot.nodeops {
        let status = &resource.status;
        let done = |node: &str| match status.of(node) {
            Some(entry) if status.spec_hash.is_none() => !adopt::is_in_flight(entry),
            Some(entry) => entry.step.is_none(),
            None => status.spec_hash.is_some(),
        };
        for job in adopt::jobs(snapshot, &resource.meta).filter(|job| !done(&job.node)) {
            namespaces.insert(job.namespace.clone());
            uids.insert(job.uid.clone());
        }
    }
    (namespaces, uids)
}

/// What the apiserver publishes about a group and version.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Published {
    components: Components,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Components {
    schemas: BTreeMap<String, Value>,
}

/// Notes whether the installed definition is the existing operator's. It is only asked for while some status looks as if
/// it were: ours gives one to every new object. An answer that cannot be had counts as none; a write would tell.
pub(super) async fn definition(cluster: &Cluster, snapshot: &mut Snapshot) {
    let ops = snapshot.nodeops.iter().map(|op| (&op.status.spec_hash, op.status.observed_generation));
    let upgrades = snapshot.upgrades.iter().map(|upgrade| (&upgrade.status.spec_hash, upgrade.status.observed_generation));
    let doubtful = ops.chain(upgrades).any(|(hash, observed)| is_doubtful(hash.as_deref(), observed));
    let artifacts = snapshot.artifacts.iter().map(|artifact| (&artifact.status.spec_hash, artifact.status.observed_generation));
    let doubtful_artifacts = artifacts.into_iter().any(|(hash, observed)| is_doubtful(hash.as_deref(), observed));
    let channels = snapshot.channels.iter().map(|channel| (&channel.status.spec_hash, channel.status.observed_generation));
    let doubtful_channels = channels.into_iter().any(|(hash, observed)| is_doubtful(hash.as_deref(), observed));
    let groups: [(bool, &[(Kind, &str)]); 3] = [
        (doubtful, &[(kinds::NODEOP, DEFINITION), (kinds::UPGRADE, upgrade::api::DEFINITION)]),
        (doubtful_artifacts, &[(kinds::ARTIFACT, artifact::api::DEFINITION)]),
        (doubtful_channels, &[(kinds::CHANNEL, channel::api::DEFINITION)]),
    ];
    for (_, definitions) in groups.into_iter().filter(|(doubtful, _)| *doubtful) {
        snapshot.older.extend(older(cluster, definitions).await);
    }
}

/// Those of the definitions, all of one group and version, that are older ones.
async fn older(cluster: &Cluster, definitions: &[(Kind, &str)]) -> Vec<String> {
    let Some((first, _)) = definitions.first() else { return Vec::new() };
    let path = format!("/openapi/v3/apis/{}", first.api_version());
    let Ok(request) = http::Request::get(path).body(Vec::new()) else { return Vec::new() };
    match cluster.fetch::<Published>(request).await {
        Ok(published) => {
            let older = definitions.iter().filter(|(kind, _)| is_older(&published.components.schemas, kind.name));
            older.map(|(_, definition)| (*definition).to_string()).collect()
        }
        Err(error) => {
            tracing::debug!(%error, "the published schema cannot be had");
            Vec::new()
        }
    }
}

/// Whether a status is one that ours would not have: it has a hash, or has not been written yet.
fn is_doubtful(spec_hash: Option<&str>, observed_generation: Option<i64>) -> bool {
    spec_hash.is_none() && observed_generation.is_none()
}

/// Whether the schema of the kind has a status that cannot hold the hash by which a run is known.
fn is_older(schemas: &BTreeMap<String, Value>, name: &str) -> bool {
    let is_kind = |schema: &&Value| {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array();
        kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"] == name))
    };
    schemas.values().filter(is_kind).any(|schema| schema["properties"]["status"]["properties"].get("specHash").is_none())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_definition_is_older_if_it_cannot_hold_our_hash() {
        let schemas = |status: Value| {
            let kind = json!([{"group": "operator.kairos.io", "kind": "NodeOp", "version": "v1alpha1"}]);
            let schema = json!({"x-kubernetes-group-version-kind": kind, "properties": {"status": {"properties": status}}});
            BTreeMap::from([("io.kairos.operator.v1alpha1.NodeOp".to_string(), schema), ("other".to_string(), json!({}))])
        };
        assert!(is_older(&schemas(json!({"phase": {}})), "NodeOp"));
        assert!(!is_older(&schemas(json!({"phase": {}, "specHash": {}})), "NodeOp"));
        assert!(!is_older(&BTreeMap::new(), "NodeOp"), "what is not published is not known");
    }

    #[test]
    fn only_a_status_that_ours_would_not_have_is_doubtful() {
        assert!(is_doubtful(None, None));
        assert!(!is_doubtful(None, Some(-1)) && !is_doubtful(Some("x"), None));
    }
}
