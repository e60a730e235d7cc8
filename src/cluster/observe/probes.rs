//! The probes of nodes: Jobs in one namespace, and their pods. Few at any time, whatever the number of nodes.

use std::collections::HashMap;

use super::{ObserveError, list};
use crate::cluster::list::Query;
use crate::cluster::{Cluster, kinds};
use crate::names;
use crate::settings::Settings;
use crate::snapshot::convert;
use crate::snapshot::views::{Pod, Probe};

/// All probes; none if this runner labels no nodes. In no other namespace is a Job believed: who may make one there could
/// say anything about any node.
///
/// They are listed before the Nodes: what a probe told is written on its Node before the probe is removed, so a probe that
/// is missing here shows on the Node.
pub(super) async fn probes(cluster: &Cluster, settings: &Settings) -> Result<Vec<Probe>, ObserveError> {
    let Some(namespace) = settings.labels_from() else { return Ok(Vec::new()) };
    let ours = |kind| Query { namespace: namespace.into(), ..Query::all(kind) }.labels(names::LABEL_PROBE);
    let mut probes = list(cluster, ours(kinds::JOB), convert::probe).await?;
    if probes.is_empty() {
        return Ok(probes);
    }
    let pods = list(cluster, ours(kinds::POD), convert::pod).await?;
    let by_job = |pod: Pod| Some((pod.owner.as_ref()?.uid.clone(), pod));
    let mut pods: HashMap<String, Pod> = pods.into_iter().filter_map(by_job).collect();
    for probe in &mut probes {
        probe.pod = pods.remove(&probe.job.uid);
    }
    Ok(probes)
}
