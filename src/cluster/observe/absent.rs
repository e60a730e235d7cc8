//! Absence, confirmed. What a list does not show may have been made after it, or be out of the selector's sight; only a
//! 404 or another uid under the same name proves that an object is gone, and a refusal proves nothing.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};

use crate::cluster::kinds::{self, Kind};
use crate::cluster::{Cluster, PARALLEL};
use crate::names;
use crate::nodeop::adopt;
use crate::nodeop::api::NodeStep;
use crate::snapshot::views::Job;
use crate::snapshot::{Reference, Resource, Snapshot};
use crate::snapshot::{convert, wire};

/// Asks for everything that decisions would rest on and that the lists do not show.
pub(super) async fn confirm(cluster: &Cluster, snapshot: &mut Snapshot) {
    let missing: Vec<(Kind, Reference)> = doubts(snapshot).into_iter().filter_map(|what| Some((kind(&what)?, what))).collect();
    let looks = missing.into_iter().map(|(kind, what)| async move {
        let answer = look(cluster, kind, &what).await;
        (what, answer)
    });
    let answers: Vec<_> = stream::iter(looks).buffer_unordered(PARALLEL).collect().await;
    for (what, answer) in answers {
        match answer {
            Answer::Gone => {
                snapshot.absent.insert(what);
            }
            // Somebody took our label off the Job: it is still the one that the status names.
            Answer::Job(job) => snapshot.jobs.push(*job),
            Answer::There => {}
        }
    }
    unlisted(cluster, snapshot).await;
    unheld(cluster, snapshot).await;
}

/// The nodes whose claim says that they are locked, and cordoned if asked, while the list shows them without: a claim fails
/// over that, so the node itself is asked.
async fn unheld(cluster: &Cluster, snapshot: &mut Snapshot) {
    let mut names = BTreeSet::new();
    for Resource { meta, spec, status } in &snapshot.nodeops {
        let held = status.node_statuses.iter().filter(|(_, entry)| matches!(entry.step, Some(NodeStep::Draining | NodeStep::Starting)));
        for node in held.filter_map(|(name, _)| snapshot.nodes.get(name)) {
            let locked = node.lock.as_ref().is_some_and(|lock| lock.value == meta.holder());
            if !locked || spec.cordons() && !node.unschedulable {
                names.insert(node.name.clone());
            }
        }
    }
    let looks = names.into_iter().map(|name| async move { cluster.look::<wire::Node>(kinds::NODE, "", &name, false).await.ok().flatten() });
    let found: Vec<_> = stream::iter(looks).buffer_unordered(PARALLEL).collect().await;
    snapshot.nodes.extend(found.into_iter().flatten().map(convert::node).map(|node| (node.name.clone(), node)));
}

/// The Jobs that claims are about to start and that the lists do not show. Mostly there are none yet; but one that lost its
/// labels would be made again and again, and never be seen.
async fn unlisted(cluster: &Cluster, snapshot: &mut Snapshot) {
    let mut names = BTreeSet::new();
    for Resource { meta, status, .. } in &snapshot.nodeops {
        for (node, entry) in &status.node_statuses {
            let (Some(NodeStep::Starting), Some(uid)) = (entry.step, &entry.node_uid) else { continue };
            let (run, attempt) = (entry.run.unwrap_or(1), entry.attempt.unwrap_or(0));
            names.insert((meta.namespace.clone(), names::job_name(&meta.name, &meta.uid, node, uid, run, attempt)));
        }
    }
    names.retain(|(namespace, name)| !snapshot.jobs.iter().any(|job| job.name == *name && job.namespace == *namespace));
    let looks = names
        .into_iter()
        .map(|(namespace, name)| async move { cluster.look::<wire::Job>(kinds::JOB, &namespace, &name, false).await.ok().flatten() });
    let found: Vec<_> = stream::iter(looks).buffer_unordered(PARALLEL).collect().await;
    snapshot.jobs.extend(found.into_iter().flatten().map(convert::job));
}

/// What a status or a node names and the lists do not show.
pub(super) fn doubts(snapshot: &Snapshot) -> BTreeSet<Reference> {
    let mut doubts = BTreeSet::new();
    let jobs: BTreeSet<&str> = snapshot.jobs.iter().map(|job| job.uid.as_str()).collect();
    let mut living: BTreeSet<&str> = snapshot.unreadable.iter().map(|unreadable| unreadable.what.uid.as_str()).collect();
    for resource in &snapshot.nodeops {
        living.insert(&resource.meta.uid);
        let foreign = resource.status.spec_hash.is_none();
        for (name, entry) in &resource.status.node_statuses {
            // The existing operator records names only; where nobody has that name, the uid stays empty.
            if let (None, Some(job)) = (&entry.job_uid, &entry.job_name)
                && (entry.step.is_some() || foreign && adopt::is_in_flight(entry))
                && !snapshot.jobs.iter().any(|there| there.name == *job && there.namespace == resource.meta.namespace)
            {
                doubts.insert(Reference::new(kinds::JOB.name, &resource.meta.namespace, job, ""));
            }
            if let (Some(uid), Some(job)) = (&entry.job_uid, &entry.job_name)
                && !jobs.contains(uid.as_str())
            {
                doubts.insert(Reference::new(kinds::JOB.name, &resource.meta.namespace, job, uid));
            }
            if let (Some(_), Some(uid)) = (&entry.step, &entry.node_uid)
                && snapshot.nodes.get(name).is_none_or(|node| node.uid != *uid)
            {
                doubts.insert(Reference::new(kinds::NODE.name, "", name, uid));
            }
        }
    }
    let holders = snapshot.nodes.values().flat_map(|node| [&node.lock, &node.cordoned_by]).flatten();
    for (namespace, name, uid) in holders.filter_map(|holder| holder.parts()).filter(|(_, _, uid)| !living.contains(uid)) {
        for kind in kinds::HOLDERS {
            doubts.insert(Reference::new(kind.name, namespace, name, uid));
        }
    }
    doubts
}

/// The kind of a reference that can be asked for.
fn kind(what: &Reference) -> Option<Kind> {
    let kind = Kind::written(&what.kind)?;
    let namespace = if kind.namespaced { kinds::is_path_segment(&what.namespace) } else { what.namespace.is_empty() };
    let known = !what.uid.is_empty() || kind == kinds::JOB;
    (namespace && kinds::is_path_segment(&what.name) && known).then_some(kind)
}

enum Answer {
    Gone,
    There,
    Job(Box<Job>),
}

async fn look(cluster: &Cluster, kind: Kind, what: &Reference) -> Answer {
    let job = kind == kinds::JOB;
    let found = if job {
        cluster
            .look::<wire::Job>(kind, &what.namespace, &what.name, false)
            .await
            .map(|raw| raw.map(|raw| (raw.metadata.uid.clone(), Some(raw))))
    } else {
        cluster.look::<wire::Bare>(kind, &what.namespace, &what.name, true).await.map(|raw| raw.map(|raw| (raw.metadata.uid, None)))
    };
    match found {
        Ok(None) => Answer::Gone,
        Ok(Some((uid, _))) if uid != what.uid && !what.uid.is_empty() => Answer::Gone,
        Ok(Some((_, Some(job)))) => Answer::Job(Box::new(convert::job(job))),
        Ok(Some((_, None))) => Answer::There,
        Err(error) => {
            tracing::debug!(%error, %what, "its absence is not confirmed");
            Answer::There
        }
    }
}
