//! Why something does not start, in the cluster's own words: the Warning Events about Jobs without a pod and about pods
//! that hang. Nobody's decision depends on them, so a look that fails is passed over.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};

use crate::cluster::list::Query;
use crate::cluster::{Cluster, PARALLEL, kinds};
use crate::snapshot::Snapshot;
use crate::snapshot::views::{ContainerState, Pod, Trouble};
use crate::snapshot::{convert, wire};

/// How many objects are asked about in one round.
const LOOKUPS: usize = 50;
/// How many warnings are kept per object.
const WARNINGS: usize = 3;

/// Fills in the warnings of what hangs.
pub(super) async fn explain(cluster: &Cluster, snapshot: &mut Snapshot) {
    let with_pod: BTreeSet<&str> = snapshot.pods.iter().filter_map(|pod| Some(pod.owner.as_ref()?.uid.as_str())).collect();
    let jobs = snapshot
        .jobs
        .iter_mut()
        .filter(|job| !job.suspended && !job.deleting && !job.is_finished() && !with_pod.contains(job.uid.as_str()));
    let jobs: Vec<_> = jobs.map(|job| (job.namespace.clone(), job.uid.clone(), &mut job.warnings)).collect();
    let pods = snapshot.pods.iter_mut().filter(|pod| hangs(pod)).map(|pod| (pod.namespace.clone(), pod.uid.clone(), &mut pod.warnings));
    let subjects: Vec<_> = jobs.into_iter().chain(pods).take(LOOKUPS).collect();
    let looks = subjects.into_iter().map(|(namespace, uid, warnings)| async move { *warnings = about(cluster, namespace, &uid).await });
    stream::iter(looks).buffer_unordered(PARALLEL).collect::<()>().await;
}

/// Whether a pod should have started and did not.
fn hangs(pod: &Pod) -> bool {
    let started = |state: &ContainerState| matches!(state, ContainerState::Running | ContainerState::Ended(_));
    pod.phase == "Pending" && pod.deleted.is_none() && !pod.containers.iter().any(|container| started(&container.state))
}

async fn about(cluster: &Cluster, namespace: String, uid: &str) -> Vec<Trouble> {
    let query = Query { namespace, ..Query::all(kinds::EVENT) }.fields(format!("involvedObject.uid={uid},type=Warning"));
    match cluster.list(&query, |raw: wire::Event| convert::event(raw)).await {
        Ok(mut events) => {
            events.sort_by_key(|(when, _)| std::cmp::Reverse(*when));
            events.into_iter().map(|(_, trouble)| trouble).take(WARNINGS).collect()
        }
        Err(error) => {
            tracing::debug!(%error, uid, "no events");
            Vec::new()
        }
    }
}
