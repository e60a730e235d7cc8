//! What runs in the cluster, and the budgets over it: no round needs all of it, but who simulates one does.

use futures::future;

use super::{ObserveError, list};
use crate::cluster::list::Query;
use crate::cluster::{Cluster, kinds};
use crate::snapshot::convert;
use crate::snapshot::views::{Budget, Pod};

/// The pods of all namespaces that have not finished, and all PodDisruptionBudgets.
///
/// # Errors
/// When one of the lists cannot be had.
pub async fn workload(cluster: &Cluster) -> Result<(Vec<Pod>, Vec<Budget>), ObserveError> {
    let unfinished = Query::all(kinds::POD).fields("status.phase!=Succeeded,status.phase!=Failed");
    future::try_join(list(cluster, unfinished, convert::pod), list(cluster, Query::all(kinds::BUDGET), convert::budget)).await
}
