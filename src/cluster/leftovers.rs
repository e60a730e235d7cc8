//! What is left of Rounds in a cluster, by the marks on it: the definitions may be gone already. First what was made, then
//! for whom, so that who is not there is gone. It takes an administrator: the runner's own ClusterRole allows less.

use std::collections::{BTreeMap, BTreeSet};

use futures::future;
use serde::de::DeserializeOwned;

use super::Cluster;
use super::errors::ObserveError;
use super::kinds::{self, Kind};
use super::list::Query;
use crate::names;
use crate::settings::Settings;
use crate::snapshot::{Reference, convert, wire};
use crate::sweep::all::{Held, Leftovers, Marked, Runner, Stranger};
use crate::sweep::ours::{MARKS, Maker, artifact_of, is_marked, maker};

/// Looks for all that is left.
///
/// # Errors
/// When a list cannot be had.
pub async fn leftovers(cluster: &Cluster, settings: &Settings) -> Result<Leftovers, ObserveError> {
    cluster.begin();
    // Runners first: what a runner makes that ends just now is seen below.
    let runners = runners(cluster, settings).await?;
    let mut left = Leftovers { runners, ..Leftovers::default() };
    jobs(cluster, &mut left).await?;
    // After the Jobs: the pods of one that is not there any more are seen here.
    pods(cluster, &mut left).await?;
    left.orphans = orphans(cluster).await?;
    left.nodes = list(cluster, Query::all(kinds::NODE), |raw: wire::Node| {
        // What was not applied is not given up by an apply.
        let ours = |entry: &wire::Managed| entry.manager == names::LABELS_MANAGER && entry.operation == "Apply";
        let labelled = raw.metadata.managed_fields.iter().any(ours);
        Marked { node: convert::node(raw), labelled }
    })
    .await?;
    left.finalizers = finalizers(cluster).await?;
    Ok(left)
}

/// The Jobs with our marks: ours, and those that only look so.
async fn jobs(cluster: &Cluster, left: &mut Leftovers) -> Result<(), ObserveError> {
    let view = |raw: wire::Job| (maker(&raw.metadata), raw.metadata.labels.get(names::LABEL_OWNER_UID).cloned(), convert::job(raw));
    let marked = future::try_join_all(MARKS.map(|mark| list(cluster, Query::all(kinds::JOB).labels(mark), view))).await?;
    for (maker, of, job) in marked.into_iter().flatten() {
        if maker == Maker::Round {
            left.jobs.push(job);
            continue;
        }
        let what = Reference::new(kinds::JOB.name, &job.namespace, &job.name, &job.uid);
        let (over, orphan_of) = (job.is_finished(), of.filter(|_| maker == Maker::Nobody));
        left.strangers.push(Stranger { what, node: job.node, orphan_of, over });
    }
    Ok(())
}

/// The pods with our marks, in the same way.
async fn pods(cluster: &Cluster, left: &mut Leftovers) -> Result<(), ObserveError> {
    let view = |raw: wire::Pod| (maker(&raw.metadata), convert::pod(raw));
    let marked = future::try_join_all(MARKS.map(|mark| list(cluster, Query::all(kinds::POD).labels(mark), view))).await?;
    let mut known: BTreeMap<String, bool> = left.jobs.iter().map(|job| (job.uid.clone(), true)).collect();
    known.extend(left.strangers.iter().map(|stranger| (stranger.what.uid.clone(), false)));
    for (maker, pod) in marked.into_iter().flatten() {
        let ours = match &maker {
            Maker::Round => true,
            Maker::Job(_, uid) if known.contains_key(uid) => known[uid],
            Maker::Job(name, uid) => {
                let ours = makes_ours(cluster, &pod.namespace, name, uid).await?;
                known.insert(uid.clone(), ours);
                ours
            }
            Maker::Other | Maker::Nobody => false,
        };
        if ours {
            left.pods.push(pod);
            continue;
        }
        let what = Reference::new(kinds::POD.name, &pod.namespace, &pod.name, &pod.uid);
        let orphan_of = pod.labels.get(names::LABEL_OWNER_UID).filter(|_| maker == Maker::Nobody).cloned();
        left.strangers.push(Stranger { what, over: pod.is_terminal(), node: pod.node, orphan_of });
    }
    Ok(())
}

/// Whether the pods of a Job that was not listed are ours: it came after the list, or it is gone, and its pods go as well.
async fn makes_ours(cluster: &Cluster, namespace: &str, name: &str, uid: &str) -> Result<bool, ObserveError> {
    let found = cluster.look::<wire::Bare>(kinds::JOB, namespace, name, true).await;
    let found = found.map_err(|error| ObserveError::of("get", kinds::JOB, error))?;
    Ok(found.filter(|job| job.metadata.uid == uid).is_none_or(|job| maker(&job.metadata) == Maker::Round))
}

/// Resources with another operator's finalizer.
async fn finalizers(cluster: &Cluster) -> Result<Vec<Held>, ObserveError> {
    let held = |kind: Kind| {
        move |bare: wire::Bare| {
            let (metadata, by) = (bare.metadata, names::foreign_finalizer(kind.name)?);
            let at = metadata.finalizers.iter().position(|finalizer| finalizer == by.name)?;
            Some(Held { what: Reference::new(kind.name, &metadata.namespace, &metadata.name, &metadata.uid), by, at })
        }
    };
    let kinds = [kinds::NODEOP, kinds::ARTIFACT, kinds::CHANNEL];
    let held = future::try_join_all(kinds.map(|kind| of_our_kind(cluster, kind, held(kind)))).await?;
    Ok(held.into_iter().flatten().flatten().collect())
}

/// The metadata of one of our kinds. Without its definition there is none.
async fn of_our_kind<V>(cluster: &Cluster, kind: Kind, view: impl Fn(wire::Bare) -> V) -> Result<Vec<V>, ObserveError> {
    match list(cluster, Query { metadata_only: true, ..Query::all(kind) }, view).await {
        Err(ObserveError::NotInstalled { .. }) => Ok(Vec::new()),
        result => result,
    }
}

/// Claims and ConfigMaps of OSArtifacts that are gone. Those of living ones go with them.
async fn orphans(cluster: &Cluster) -> Result<Vec<Reference>, ObserveError> {
    let made = |kind: Kind| async move {
        let query = Query { metadata_only: true, ..Query::all(kind) }.labels(names::LABEL_ARTIFACT);
        let made = |bare: wire::Bare| {
            let owner = artifact_of(&bare.metadata)?;
            Some((Reference::new(kind.name, &bare.metadata.namespace, &bare.metadata.name, &bare.metadata.uid), owner))
        };
        list(cluster, query, made).await
    };
    let (claims, files) = future::try_join(made(kinds::CLAIM), made(kinds::CONFIG_MAP)).await?;
    let made: Vec<(Reference, String)> = claims.into_iter().chain(files).flatten().collect();
    if made.is_empty() {
        return Ok(Vec::new());
    }
    let living: BTreeSet<String> = of_our_kind(cluster, kinds::ARTIFACT, |bare| bare.metadata.uid).await?.into_iter().collect();
    Ok(made.into_iter().filter(|(_, owner)| !living.contains(owner)).map(|(what, _)| what).collect())
}

/// Who does rounds here. By the label of their pods: what starts them may have any name. An exporter's pod may bear that
/// label as well; none of a round's own Jobs and Pods does rounds.
async fn runners(cluster: &Cluster, settings: &Settings) -> Result<Vec<Runner>, ObserveError> {
    let is_runner = |template: &wire::Bare| template.metadata.labels.get(names::LABEL_APP).is_some_and(|app| app == names::APP);
    let runner = |kind: Kind, metadata: wire::Metadata| Runner {
        what: Reference::new(kind.name, &metadata.namespace, &metadata.name, &metadata.uid),
    };
    let cron_jobs = list(cluster, Query::all(kinds::CRON_JOB), |raw: wire::Workload| {
        let runs = !raw.spec.suspend && is_runner(&raw.spec.job_template.spec.template);
        runs.then(|| runner(kinds::CRON_JOB, raw.metadata))
    });
    let deployments = list(cluster, Query::all(kinds::DEPLOYMENT), |raw: wire::Workload| {
        let runs = raw.spec.replicas != Some(0) && is_runner(&raw.spec.template);
        runs.then(|| runner(kinds::DEPLOYMENT, raw.metadata))
    });
    let pods = Query::all(kinds::POD).labels(format!("{}={}", names::LABEL_APP, names::APP));
    let pods = list(cluster, pods, |raw: wire::Pod| {
        let metadata = raw.metadata.clone();
        let pod = convert::pod(raw);
        let is_other = !is_marked(&pod.labels) && settings.pod_uid.as_deref() != Some(&pod.uid);
        (!pod.is_terminal() && is_other).then(|| runner(kinds::POD, metadata))
    });
    // A Job has the labels of its pods, if it was given none.
    let jobs = Query::all(kinds::JOB).labels(format!("{}={}", names::LABEL_APP, names::APP));
    let jobs = list(cluster, jobs, |raw: wire::Job| {
        let metadata = raw.metadata.clone();
        (!convert::job(raw).is_finished() && !is_marked(&metadata.labels)).then(|| runner(kinds::JOB, metadata))
    });
    // Their Jobs and pods last: what a CronJob has started just before it was suspended is seen.
    let (cron_jobs, deployments) = future::try_join(cron_jobs, deployments).await?;
    let (jobs, pods) = (jobs.await?, pods.await?);
    Ok(cron_jobs.into_iter().chain(deployments).chain(jobs).chain(pods).flatten().collect())
}

async fn list<T: DeserializeOwned, V>(cluster: &Cluster, query: Query, view: impl Fn(T) -> V) -> Result<Vec<V>, ObserveError> {
    let kind = query.kind;
    cluster.list(&query, view).await.map_err(|error| ObserveError::of("list", kind, error))
}
