//! What a round has to look at again before it may decide: absences that a decision would rest on, and nodes and Jobs that
//! the lists show otherwise than a status says. Pure, so that a simulated round looks at the very same things.

use std::collections::BTreeSet;

use super::{Reference, Resource, Snapshot};
use crate::artifact::api::{ArtifactPhase, OSArtifactSpec, OSArtifactStatus};
use crate::names;
use crate::nodeop::adopt;
use crate::nodeop::api::NodeStep;
use crate::nodeop::jobs::KIND;
use crate::nodeop::rebooting;
use foldhash::HashSet;

/// The kinds of resources that may hold a node; the value of a lock does not tell which.
const HOLDERS: [&str; 1] = [KIND];

/// What a status or a node names and the lists do not show: only a GET proves that it is gone.
pub fn absences(snapshot: &Snapshot) -> BTreeSet<Reference> {
    let mut doubts = BTreeSet::new();
    let jobs: HashSet<&str> = snapshot.jobs.iter().map(|job| job.uid.as_str()).collect();
    let mut living: BTreeSet<&str> = snapshot.unreadable.iter().map(|unreadable| unreadable.what.uid.as_str()).collect();
    for resource in &snapshot.nodeops {
        living.insert(&resource.meta.uid);
        let foreign = resource.status.spec_hash.is_none();
        for (name, entry) in resource.status.node_statuses.iter() {
            // The existing operator records names only; where nobody has that name, the uid stays empty.
            if let (None, Some(job)) = (&entry.job_uid, &entry.job_name)
                && (entry.step.is_some() || foreign && adopt::is_in_flight(entry))
                && !snapshot.jobs.iter().any(|there| there.name == *job && there.namespace == resource.meta.namespace)
            {
                doubts.insert(Reference::new("Job", &resource.meta.namespace, job, ""));
            }
            if let (Some(uid), Some(job)) = (&entry.job_uid, &entry.job_name)
                && !jobs.contains(uid.as_str())
            {
                doubts.insert(Reference::new("Job", &resource.meta.namespace, job, uid));
            }
            if let (Some(_), Some(uid)) = (&entry.step, &entry.node_uid)
                && snapshot.nodes.get(&**name).is_none_or(|node| node.uid != *uid)
            {
                doubts.insert(Reference::new("Node", "", name, uid));
            }
        }
    }
    for Resource { meta, status, .. } in &snapshot.artifacts {
        let exporters = status.exporters.iter().filter(|exporter| exporter.result.is_none());
        let recorded = exporters.map(|exporter| (&exporter.job_name, &exporter.job_uid));
        let builds = !is_over(status) && status.phase != Some(ArtifactPhase::Exporting);
        let recorded = recorded.chain([(&status.job_name, &status.job_uid)].into_iter().filter(|_| builds));
        let missing =
            recorded.filter_map(|(name, uid)| Some((name.as_ref()?, uid.as_ref()?))).filter(|(_, uid)| !jobs.contains(uid.as_str()));
        doubts.extend(missing.map(|(name, uid)| Reference::new("Job", &meta.namespace, name, uid)));
    }
    let holders = snapshot.nodes.values().flat_map(|node| [&node.lock, &node.cordoned_by]).flatten();
    for (namespace, name, uid) in holders.filter_map(|holder| holder.parts()).filter(|(_, _, uid)| !living.contains(uid)) {
        for kind in HOLDERS {
            doubts.insert(Reference::new(kind, namespace, name, uid));
        }
    }
    doubts
}

/// The Jobs, by namespace and name, that claims are about to start and that the lists do not show. Mostly there are none
/// yet; but one that lost its labels would be made again and again, and never be seen.
pub fn unlisted_jobs(snapshot: &Snapshot) -> BTreeSet<(String, String)> {
    let mut names = BTreeSet::new();
    for Resource { meta, status, .. } in &snapshot.nodeops {
        for (node, entry) in status.node_statuses.iter() {
            let (Some(NodeStep::Starting), Some(uid)) = (entry.step, &entry.node_uid) else { continue };
            let (run, attempt) = (entry.run.unwrap_or(1), entry.attempt.unwrap_or(0));
            names.insert((meta.namespace.clone(), names::job_name(&meta.name, &meta.uid, node, uid, run, attempt)));
        }
    }
    for Resource { meta, status, .. } in snapshot.artifacts.iter().filter(|artifact| begins(artifact)) {
        names.insert((meta.namespace.clone(), names::build_name(&meta.name, &meta.uid, status.run.unwrap_or(1))));
    }
    for Resource { meta, status, .. } in snapshot.artifacts.iter().filter(|artifact| !is_over(&artifact.status)) {
        let open = status.exporters.iter().enumerate().filter(|(_, exporter)| exporter.job_uid.is_none() && exporter.result.is_none());
        let run = status.run.unwrap_or(1);
        names.extend(open.map(|(index, _)| (meta.namespace.clone(), names::export_name(&meta.name, &meta.uid, index, run))));
    }
    if !names.is_empty() {
        let listed: HashSet<(&str, &str)> = snapshot.jobs.iter().map(|job| (job.namespace.as_str(), job.name.as_str())).collect();
        names.retain(|(namespace, name)| !listed.contains(&(namespace.as_str(), name.as_str())));
    }
    names
}

/// The claims, by namespace and name, into which artifacts are about to be built: one that is being deleted must go first.
pub fn wanted_claims(snapshot: &Snapshot) -> BTreeSet<(String, String)> {
    let begin = snapshot.artifacts.iter().filter(|artifact| begins(artifact));
    begin.map(|artifact| (artifact.meta.namespace.clone(), names::claim_name(&artifact.meta.name))).collect()
}

/// Whether the Job of a run is still to be recorded.
fn begins(artifact: &Resource<OSArtifactSpec, OSArtifactStatus>) -> bool {
    let status = &artifact.status;
    !artifact.meta.deleting && status.spec_hash.is_some() && status.job_uid.is_none() && !is_over(status)
}

/// Whether an artifact's run is over.
fn is_over(status: &OSArtifactStatus) -> bool {
    matches!(status.phase, Some(ArtifactPhase::Ready | ArtifactPhase::Error))
}

/// The nodes whose claim says that they are locked, and cordoned if asked, while the list shows them without: a claim fails
/// over that, so the node itself is asked.
pub fn unheld_nodes(snapshot: &Snapshot) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for Resource { meta, spec, status } in &snapshot.nodeops {
        let held = status.node_statuses.iter().filter(|(_, entry)| matches!(entry.step, Some(NodeStep::Draining | NodeStep::Starting)));
        for node in held.filter_map(|(name, _)| snapshot.nodes.get(&**name)) {
            let locked = node.lock.as_ref().is_some_and(|lock| lock.value == meta.holder());
            if !locked || spec.cordons() && !node.unschedulable {
                names.insert(node.name.clone());
            }
        }
    }
    names
}

/// The nodes whose pods, and the budgets over them, are looked at: those that some operation is draining, or will once it
/// has the lock; and while there is such a node, those that are about to reboot under what their drain has left.
pub fn draining_nodes(snapshot: &Snapshot) -> BTreeSet<String> {
    let draining = snapshot.nodeops.iter().filter(|resource| resource.spec.drain().is_some());
    let entries = draining.flat_map(|resource| resource.status.node_statuses.iter());
    let drains = entries.filter(|(_, entry)| matches!(entry.step, Some(NodeStep::Locking | NodeStep::Draining)));
    let mut nodes: BTreeSet<String> = drains.map(|(name, _)| name.to_string()).collect();
    if !nodes.is_empty() {
        nodes.extend(rebooting_nodes(snapshot).map(str::to_string));
    }
    nodes
}

/// The nodes that were drained and whose reboot is to come or not seen to its end.
pub fn rebooting_nodes(snapshot: &Snapshot) -> impl Iterator<Item = &str> {
    let draining = snapshot.nodeops.iter().filter(|resource| resource.spec.drain().is_some());
    let entries = draining.flat_map(|resource| resource.status.node_statuses.iter());
    let drained = |step| (NodeStep::Starting..=NodeStep::Verifying).contains(&step);
    let reboots = entries.filter(move |(_, entry)| entry.step.is_some_and(drained) && rebooting::follows(entry));
    reboots.map(|(name, _)| &**name)
}
