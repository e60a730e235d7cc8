//! What builds artifacts: Jobs and pods by their label, and the claims that are about to be built into.

use futures::{StreamExt, stream};

use super::resources::Versions;
use super::{ObserveError, list};
use crate::cluster::list::Query;
use crate::cluster::{Cluster, PARALLEL, kinds};
use crate::names;
use crate::snapshot::views::{Job, Pod};
use crate::snapshot::{Snapshot, convert, doubts, wire};

/// The Jobs and pods of all artifacts; nobody is asked where there is no artifact. Jobs before pods: a pod that is missing
/// beside its Job was not there when the Job was seen.
pub(super) async fn made(cluster: &Cluster, artifacts: &Versions) -> Result<(Vec<Job>, Vec<Pod>), ObserveError> {
    if artifacts.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let ours = |kind| Query::all(kind).labels(names::LABEL_ARTIFACT);
    let jobs = list(cluster, ours(kinds::JOB), convert::job).await?;
    Ok((jobs, list(cluster, ours(kinds::POD), convert::pod).await?))
}

/// The claims that artifacts are about to be built into. One that cannot be looked at counts as not there: to make it then
/// is refused, or finds that it is.
pub(super) async fn claims(cluster: &Cluster, snapshot: &mut Snapshot) {
    let looks = doubts::wanted_claims(snapshot).into_iter().map(|(namespace, name)| async move {
        let found = cluster.look::<wire::Bare>(kinds::CLAIM, &namespace, &name, true).await;
        found.ok().flatten().map(convert::claim)
    });
    let found: Vec<_> = stream::iter(looks).buffer_unordered(PARALLEL).collect().await;
    snapshot.claims = found.into_iter().flatten().collect();
    snapshot.claims.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
}
