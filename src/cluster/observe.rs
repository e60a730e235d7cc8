//! From lists to a snapshot, in an order that makes an absence mean something.
//!
//! First the versions of our resources, then Nodes, Jobs and Pods, then our resources in full. So what a status names was
//! there, or gone, before the status was read; a resource that changed meanwhile is marked and waits for the next round;
//! and an absence that a decision rests on is confirmed by a GET.

mod absent;
mod artifacts;
mod explain;
mod foreign;
mod probes;
mod resources;
#[cfg(test)]
mod tests;
mod workload;

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, future, stream};
use serde::de::DeserializeOwned;

use super::errors::ObserveError;
use super::kinds::{self, Kind};
use super::list::Query;
use super::{Cluster, PARALLEL};
use crate::artifact::api::{OSArtifactSpec, OSArtifactStatus};
use crate::channel::api::{UpdateChannelSpec, UpdateChannelStatus};
use crate::names;
use crate::nodeop::api::{NodeOpSpec, NodeOpStatus};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::snapshot::views::Lease;
use crate::snapshot::{convert, doubts, wire};
use crate::upgrade::api::{NodeOpUpgradeSpec, NodeOpUpgradeStatus};

pub use workload::workload;

/// Looks at the cluster.
///
/// # Errors
/// When a list that decisions rest on cannot be had.
pub async fn observe(cluster: &Cluster, settings: &Settings) -> Result<Snapshot, ObserveError> {
    // What is observed of resources is never limited by settings: another namespace's operation may hold a node.
    cluster.begin();
    let (first, upgrades, artifacts, channels, probes) = future::try_join5(
        resources::versions(cluster, kinds::NODEOP),
        resources::versions(cluster, kinds::UPGRADE),
        resources::versions(cluster, kinds::ARTIFACT),
        resources::versions(cluster, kinds::CHANNEL),
        probes::probes(cluster, settings),
    )
    .await?;

    let ours = |kind| Query::all(kind).labels(names::LABEL_NODEOP);
    // Jobs before Pods: a pod that is missing beside its Job was not there when the Job was seen.
    let ours = async {
        let jobs = list(cluster, ours(kinds::JOB), convert::job).await?;
        Ok((jobs, list(cluster, ours(kinds::POD), convert::pod).await?))
    };
    let (nodes, (mut jobs, mut pods), builds, lease) = future::try_join4(
        list(cluster, Query::all(kinds::NODE), convert::node),
        ours,
        artifacts::made(cluster, &artifacts),
        lease(cluster),
    )
    .await?;
    jobs.extend(builds.0);
    pods.extend(builds.1);

    let found = resources::in_full::<NodeOpSpec, NodeOpStatus>(cluster, kinds::NODEOP, &first).await?;
    // After the NodeOps: one whose upgrade is not there was made for one that is gone.
    let upgrades = resources::in_full::<NodeOpUpgradeSpec, NodeOpUpgradeStatus>(cluster, kinds::UPGRADE, &upgrades).await?;
    // After what they have made, for the same reason.
    let channels = resources::in_full::<UpdateChannelSpec, UpdateChannelStatus>(cluster, kinds::CHANNEL, &channels).await?;
    let artifacts = resources::in_full::<OSArtifactSpec, OSArtifactStatus>(cluster, kinds::ARTIFACT, &artifacts).await?;
    let mut snapshot = Snapshot {
        nodes: nodes.into_iter().map(|node| (node.name.clone(), node)).collect(),
        jobs,
        pods,
        probes,
        nodeops: found.resources,
        upgrades: upgrades.resources,
        channels: channels.resources,
        artifacts: artifacts.resources,
        unreadable: [found.unreadable, upgrades.unreadable, channels.unreadable, artifacts.unreadable].concat(),
        lease,
        ..Snapshot::default()
    };
    drains(cluster, &mut snapshot).await?;
    foreign::pods(cluster, &mut snapshot).await?;
    foreign::definition(cluster, &mut snapshot).await;
    artifacts::claims(cluster, &mut snapshot).await;
    explain::explain(cluster, &mut snapshot).await;
    absent::confirm(cluster, &mut snapshot).await;
    snapshot.now = cluster.time();
    Ok(snapshot)
}

async fn list<T: DeserializeOwned, V>(cluster: &Cluster, query: Query, view: impl Fn(T) -> V) -> Result<Vec<V>, ObserveError> {
    cluster.list(&query, view).await.map_err(|error| ObserveError::listing(query.kind, error))
}

/// The lease of the existing operator, if somebody holds it.
async fn lease(cluster: &Cluster) -> Result<Option<Lease>, ObserveError> {
    let query = Query::all(kinds::LEASE).fields(format!("metadata.name={}", names::FOREIGN_LEASE));
    let leases = list(cluster, query, |raw: wire::Lease| raw).await?;
    let now = cluster.time();
    Ok(leases.into_iter().find_map(|raw| convert::held(raw, now)))
}

/// All pods of the nodes that are being drained, and the budgets over them.
async fn drains(cluster: &Cluster, snapshot: &mut Snapshot) -> Result<(), ObserveError> {
    let mut nodes = doubts::draining_nodes(snapshot);
    nodes.retain(|name| kinds::is_path_segment(name));
    if nodes.is_empty() {
        return Ok(());
    }
    let pods = |node: String| async move {
        let query = Query::all(kinds::POD).fields(format!("spec.nodeName={node}"));
        Ok((node, list(cluster, query, |pod| Arc::new(convert::pod(pod))).await?))
    };
    let (drains, budgets) = future::try_join(
        stream::iter(nodes.into_iter().map(pods)).buffer_unordered(PARALLEL).try_collect(),
        list(cluster, Query::all(kinds::BUDGET), convert::budget),
    )
    .await?;
    snapshot.drains = drains;
    snapshot.budgets = budgets;
    Ok(())
}

impl ObserveError {
    fn listing(kind: Kind, error: super::call::CallError) -> Self {
        Self::of("list", kind, error)
    }
}
