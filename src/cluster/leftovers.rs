//! What is left of Rounds in a cluster, by the marks on it: the definitions may be gone already. First what was made, then
//! for whom, so that who is not there is gone. It takes an administrator: the runner's own ClusterRole allows less.

use std::collections::BTreeSet;

use futures::future;
use serde::de::DeserializeOwned;

use super::Cluster;
use super::errors::ObserveError;
use super::kinds::{self, Kind};
use super::list::Query;
use crate::artifact;
use crate::names;
use crate::settings::Settings;
use crate::snapshot::views::{Job, Pod};
use crate::snapshot::{Reference, convert, wire};
use crate::sweep::all::{Leftovers, Marked, Runner, is_made_by_us};

/// Looks for all that is left.
///
/// # Errors
/// When a list cannot be had.
pub async fn leftovers(cluster: &Cluster, settings: &Settings) -> Result<Leftovers, ObserveError> {
    cluster.begin();
    // Runners first: what a runner makes that ends just now is seen below.
    let runners = runners(cluster, settings).await?;
    let marks = [names::LABEL_OWNER_UID, names::LABEL_PROBE];
    let jobs = future::try_join_all(marks.map(|mark| list(cluster, Query::all(kinds::JOB).labels(mark), convert::job)));
    let jobs: Vec<Job> = jobs.await?.into_iter().flatten().filter(|job| is_made_by_us(job.owner.as_ref())).collect();
    // After the Jobs: the pods of one that is not there any more are seen here.
    let pods = future::try_join_all(marks.map(|mark| list(cluster, Query::all(kinds::POD).labels(mark), convert::pod)));
    let pods: Vec<Pod> = pods.await?.into_iter().flatten().filter(|pod| is_made_by_us(pod.owner.as_ref())).collect();
    let orphans = orphans(cluster).await?;
    let nodes = list(cluster, Query::all(kinds::NODE), |raw: wire::Node| {
        // What was not applied is not given up by an apply.
        let ours = |entry: &wire::Managed| entry.manager == names::LABELS_MANAGER && entry.operation == "Apply";
        let labelled = raw.metadata.managed_fields.iter().any(ours);
        Marked { node: convert::node(raw), labelled }
    });
    Ok(Leftovers { nodes: nodes.await?, jobs, pods, orphans, runners, finalizers: finalizers(cluster).await? })
}

/// NodeOps with the existing operator's finalizer.
async fn finalizers(cluster: &Cluster) -> Result<Vec<Reference>, ObserveError> {
    let held = |bare: wire::Bare| {
        let metadata = bare.metadata;
        let held = metadata.finalizers.iter().any(|finalizer| finalizer == names::FOREIGN_FINALIZER);
        held.then(|| Reference::new(kinds::NODEOP.name, &metadata.namespace, &metadata.name, &metadata.uid))
    };
    Ok(of_our_kind(cluster, kinds::NODEOP, held).await?.into_iter().flatten().collect())
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
            let owner = convert::owner(&bare.metadata).filter(|owner| owner.kind == artifact::KIND)?;
            Some((Reference::new(kind.name, &bare.metadata.namespace, &bare.metadata.name, &bare.metadata.uid), owner.uid))
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

/// Who does rounds here. By the label of their pods: what starts them may have any name.
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
        let is_self = settings.pod_uid.as_deref() == Some(&pod.uid);
        (!pod.is_terminal() && !is_self).then(|| runner(kinds::POD, metadata))
    });
    // A Job has the labels of its pods, if it was given none.
    let jobs = Query::all(kinds::JOB).labels(format!("{}={}", names::LABEL_APP, names::APP));
    let jobs = list(cluster, jobs, |raw: wire::Job| {
        let metadata = raw.metadata.clone();
        (!convert::job(raw).is_finished()).then(|| runner(kinds::JOB, metadata))
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
