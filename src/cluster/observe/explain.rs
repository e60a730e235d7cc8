//! Why something does not start, in the cluster's own words: the Warning Events about Jobs without a pod and about pods
//! that hang. Nobody's decision depends on them, so a look that fails is passed over.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use jiff::Timestamp;

use crate::cluster::list::Query;
use crate::cluster::{Cluster, PARALLEL, kinds};
use crate::snapshot::Snapshot;
use crate::snapshot::views::{ContainerState, Pod, Trouble};
use crate::snapshot::{convert, wire};

/// How many warnings are kept per object.
const WARNINGS: usize = 3;
/// For so many seconds after it was made, an object without a start is no riddle. In a rollout over many nodes there are
/// always some, and the apiserver reads all events of a namespace for any question about them.
const YOUNG: i64 = 2;

/// Fills in the warnings of what hangs: one look per namespace, however much hangs there.
pub(super) async fn explain(cluster: &Cluster, snapshot: &mut Snapshot) {
    let now = cluster.time();
    let with_pod: BTreeSet<&str> = snapshot.pods.iter().filter_map(|pod| Some(pod.owner.as_ref()?.uid.as_str())).collect();
    let old = |created: Option<Timestamp>| created.is_none_or(|created| now.duration_since(created).as_secs() >= YOUNG);
    let jobs = snapshot
        .jobs
        .iter_mut()
        .filter(|job| !job.held && !job.deleting && !job.is_finished() && !with_pod.contains(job.uid.as_str()) && old(job.created));
    let jobs: Vec<_> = jobs.map(|job| (&job.namespace, &job.uid, &mut job.warnings)).collect();
    let pods = snapshot.pods.iter_mut().filter(|pod| hangs(pod) && old(pod.created));
    let pods = pods.map(|pod| (&pod.namespace, &pod.uid, &mut pod.warnings));
    let probes = snapshot.probes.iter_mut().filter(|probe| !probe.job.deleting && !probe.job.is_finished());
    let probes = probes.filter_map(|probe| match &mut probe.pod {
        None if old(probe.job.created) => Some((&probe.job.namespace, &probe.job.uid, &mut probe.job.warnings)),
        Some(pod) if hangs(pod) && old(pod.created) => Some((&pod.namespace, &pod.uid, &mut pod.warnings)),
        _ => None,
    });
    let mut subjects: BTreeMap<&str, BTreeMap<&str, &mut Vec<Trouble>>> = BTreeMap::new();
    for (namespace, uid, warnings) in jobs.into_iter().chain(pods).chain(probes) {
        subjects.entry(namespace).or_default().insert(uid, warnings);
    }
    let looks = subjects.into_iter().map(|(namespace, subjects)| about(cluster, namespace, subjects));
    stream::iter(looks).buffer_unordered(PARALLEL).collect::<()>().await;
}

/// Whether a pod should have started and did not.
fn hangs(pod: &Pod) -> bool {
    let started = |state: &ContainerState| matches!(state, ContainerState::Running | ContainerState::Ended(_));
    pod.phase == "Pending" && pod.deleted.is_none() && !pod.containers.iter().any(|container| started(&container.state))
}

async fn about(cluster: &Cluster, namespace: &str, mut subjects: BTreeMap<&str, &mut Vec<Trouble>>) {
    let only = subjects.keys().next().filter(|_| subjects.len() == 1).map_or_else(String::new, |uid| format!("involvedObject.uid={uid},"));
    let query = Query { namespace: namespace.into(), ..Query::all(kinds::EVENT) }.fields(format!("{only}type=Warning"));
    let ours: BTreeSet<String> = subjects.keys().map(|uid| (*uid).to_string()).collect();
    let view = |raw: wire::Event| ours.contains(&raw.involved_object.uid).then(|| (raw.involved_object.uid.clone(), convert::event(raw)));
    let mut events: Vec<_> = match cluster.list(&query, view).await {
        Ok(events) => events.into_iter().flatten().collect(),
        Err(error) => return tracing::debug!(%error, namespace, "no events"),
    };
    events.sort_by_key(|(_, (when, _))| std::cmp::Reverse(*when));
    for (uid, (_, trouble)) in events {
        if let Some(warnings) = subjects.get_mut(uid.as_str()).filter(|warnings| warnings.len() < WARNINGS) {
            warnings.push(trouble);
        }
    }
}
