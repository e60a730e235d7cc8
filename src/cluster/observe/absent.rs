//! Absence, confirmed. What a list does not show may have been made after it, or be out of the selector's sight; only a
//! 404 or another uid under the same name proves that an object is gone, and a refusal proves nothing.

use futures::{StreamExt, stream};

use crate::cluster::kinds::{self, Kind};
use crate::cluster::{Cluster, PARALLEL};
use crate::snapshot::views::Job;
use crate::snapshot::{Reference, Snapshot, convert, doubts, wire};

/// Asks for everything that decisions would rest on and that the lists do not show.
pub(super) async fn confirm(cluster: &Cluster, snapshot: &mut Snapshot) {
    let missing: Vec<(Kind, Reference)> = doubts::absences(snapshot).into_iter().filter_map(|what| Some((kind(&what)?, what))).collect();
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

/// Asks for the nodes that do not look as their claims say.
async fn unheld(cluster: &Cluster, snapshot: &mut Snapshot) {
    let names = doubts::unheld_nodes(snapshot);
    let looks = names.into_iter().map(|name| async move { cluster.look::<wire::Node>(kinds::NODE, "", &name, false).await.ok().flatten() });
    let found: Vec<_> = stream::iter(looks).buffer_unordered(PARALLEL).collect().await;
    snapshot.nodes.extend(found.into_iter().flatten().map(convert::node).map(|node| (node.name.clone(), node)));
}

/// Asks for the Jobs that claims are about to start.
async fn unlisted(cluster: &Cluster, snapshot: &mut Snapshot) {
    let looks = doubts::unlisted_jobs(snapshot)
        .into_iter()
        .map(|(namespace, name)| async move { cluster.look::<wire::Job>(kinds::JOB, &namespace, &name, false).await.ok().flatten() });
    let found: Vec<_> = stream::iter(looks).buffer_unordered(PARALLEL).collect().await;
    snapshot.jobs.extend(found.into_iter().flatten().map(convert::job));
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
