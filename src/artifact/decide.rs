//! What an OSArtifact needs now. A run goes from a Job that waits to one that builds, from there to the exporters, and is
//! then over until an edit, or a person, asks for another one.

use std::collections::BTreeMap;

use super::adopt::{self, Found};
use super::api::{ArtifactPhase, DEFINITION, OSArtifactSpec, OSArtifactStatus};
use super::build::Run;
use super::normalise::normalise;
use super::spec_hash::spec_hash;
use super::status::Standing;
use super::verdict::Verdict;
use super::work::Work;
use super::{API_VERSION, KIND, building, events, exporting, retention};
use crate::crds;
use crate::names;
use crate::nodeop;
use crate::plan::{Decision, StatusWrite};
use crate::reason::Reason;
use crate::rollout::RunPolicy;
use crate::settings::Settings;
use crate::snapshot::{Meta, Reference, Resource, Snapshot};

/// An OSArtifact as a round sees it.
pub type Artifact = Resource<OSArtifactSpec, OSArtifactStatus>;

/// Decides one artifact.
pub fn decide(snapshot: &Snapshot, settings: &Settings, artifact: &Artifact) -> Decision {
    let meta = &artifact.meta;
    if let Some(message) = meta.waits_for_operator(KIND) {
        return untouched(meta, Reason::Deleting, &message);
    }
    if meta.deleting {
        return untouched(meta, Reason::Deleting, "it is being deleted, and what builds it goes with it");
    }
    if meta.moved {
        return untouched(meta, Reason::Moved, "it changed while the round was looking");
    }
    if snapshot.older.contains(DEFINITION) {
        let message = format!("the installed CustomResourceDefinition is an older one; install this version's: {}", crds::INSTALL);
        return Decision { settled: true, failed: true, ..untouched(meta, Reason::OlderDefinition, &message) };
    }
    let before = &artifact.status;
    let plan = match normalise(&meta.name, &artifact.spec) {
        Ok(plan) => plan,
        Err(message) => {
            let phase = before.phase.unwrap_or(ArtifactPhase::Pending);
            let standing = Standing::stalled(phase, Reason::InvalidSpec, message);
            return conclude(snapshot, artifact, &standing, before.clone(), Vec::new());
        }
    };
    let run = Run { meta, spec: &artifact.spec, plan: &plan, number: before.run.unwrap_or(1) };
    let mut work = Work { snapshot, settings, run, next: before.clone(), steps: Vec::new() };
    let standing = stand(&mut work, artifact);
    work.steps.extend(retention::steps(&work, before));
    work.steps.extend(events::steps(&work, before, &standing));
    conclude(snapshot, artifact, &standing, work.next, work.steps)
}

/// Where it stands, and what follows from that.
fn stand(work: &mut Work<'_>, artifact: &Artifact) -> Standing {
    let before = &artifact.status;
    if before.spec_hash.is_none()
        && let Some(found) = adopt::found(work, before)
    {
        return match found {
            Found::Awaited(standing) => standing,
            Found::Taken(standing) => {
                record(work, artifact);
                standing
            }
            Found::Exporting => {
                record(work, artifact);
                exporting::begin(work)
            }
        };
    }
    if !wants_another(artifact) {
        return proceed(work, false);
    }
    // What runs is left to end; what an edit says comes after it. What cannot even start is in nobody's way.
    if before.spec_hash.is_some() && work.is_running() && !work.is_stuck() {
        return proceed(work, true);
    }
    begin(work, artifact)
}

/// Whether another run is asked for: by an edit, or by a token.
fn wants_another(artifact: &Artifact) -> bool {
    let Artifact { meta, spec, status } = artifact;
    let Some(hash) = &status.spec_hash else { return true };
    let once = spec.build.as_ref().and_then(|build| build.run_policy) == Some(RunPolicy::Once);
    let asked = token(meta).is_some_and(|token| status.rerun.as_ref() != Some(&token));
    asked || !once && *hash != spec_hash(spec)
}

fn token(meta: &Meta) -> Option<String> {
    meta.annotations.get(names::ANNOTATION_RERUN).filter(|token| !token.is_empty()).cloned()
}

/// What the present run is a run of.
fn record(work: &mut Work<'_>, artifact: &Artifact) {
    work.next.spec_hash = Some(spec_hash(&artifact.spec));
    work.next.run.get_or_insert(1);
    work.next.rerun = token(&artifact.meta).or(work.next.rerun.take());
    work.next.started_at.get_or_insert(work.now());
}

/// Another run begins. The Job is made in the same round, after that is recorded.
fn begin(work: &mut Work<'_>, artifact: &Artifact) -> Standing {
    let number = work.next.run.map_or(1, |run| run.saturating_add(1));
    work.next = OSArtifactStatus { run: Some(number), rerun: work.next.rerun.take(), ..OSArtifactStatus::default() };
    work.run.number = number;
    record(work, artifact);
    building::start(work)
}

/// The present run goes on. `superseded`: only as far as what runs already.
fn proceed(work: &mut Work<'_>, superseded: bool) -> Standing {
    match (work.next.phase, &work.next.job_uid) {
        (Some(ArtifactPhase::Ready | ArtifactPhase::Error), _) => rest(work),
        (Some(ArtifactPhase::Exporting), _) => exporting::advance(work, superseded),
        (_, None) => building::start(work),
        (_, Some(_)) => building::advance(work, superseded),
    }
}

/// It is over, and stays as it was recorded.
fn rest(work: &Work<'_>) -> Standing {
    let status = &work.next;
    let told = status.conditions.iter().find(|condition| condition.type_ == "Ready").and_then(|ready| Reason::parse(&ready.reason));
    let message = status.message.clone().unwrap_or_default();
    let standing = match status.phase {
        Some(ArtifactPhase::Error) => {
            // An edit that could not be carried out, and was taken back, leaves what there was.
            match told.filter(|reason| *reason != Reason::InvalidSpec || status.job_uid.is_none()) {
                Some(reason) => Standing::stalled(ArtifactPhase::Error, reason, message),
                None => Standing::stalled(ArtifactPhase::Error, Reason::BuildFailed, failure(work)),
            }
        }
        _ if told == Some(Reason::InvalidSpec) => Standing::ready(Reason::Built, building::built(work)),
        _ => Standing::ready(told.unwrap_or(Reason::Built), message),
    };
    standing.at(status.progress.as_deref().and_then(progress).unwrap_or_default())
}

/// How the recorded build failed, once more: what was told of it gave way to an edit that could not be carried out.
fn failure(work: &Work<'_>) -> String {
    let job = work.next.job_uid.as_ref().and_then(|uid| work.job(uid));
    match job.map(|job| work.verdict(job, Reason::Building)) {
        Some(Verdict::Failed(message)) => format!("the build failed: {message}"),
        _ => "the last build, or its export, failed; a re-run or an edit begins another one".into(),
    }
}

fn progress(text: &str) -> Option<(usize, usize)> {
    let (done, all) = text.split_once('/')?;
    Some((done.parse().ok()?, all.parse().ok()?))
}

fn conclude(
    snapshot: &Snapshot,
    artifact: &Artifact,
    standing: &Standing,
    next: OSArtifactStatus,
    steps: Vec<crate::plan::Step>,
) -> Decision {
    let meta = &artifact.meta;
    let before = &artifact.status;
    let after = standing.status(meta, before, next, snapshot.now);
    let status = after.map(|after| StatusWrite::new(API_VERSION, reference(meta), &meta.resource_version, before, after));
    Decision {
        subject: reference(meta),
        reason: standing.reason,
        message: standing.message.clone(),
        settled: standing.is_settled() && status.is_none() && steps.is_empty(),
        failed: standing.is_failed(),
        status,
        steps,
        nodes: BTreeMap::new(),
    }
}

/// An artifact for which nothing is decided in this round.
pub fn untouched(meta: &Meta, reason: Reason, message: &str) -> Decision {
    Decision { subject: reference(meta), ..nodeop::decide::untouched(meta, reason, message) }
}

/// An artifact, for who refers to it.
pub(super) fn reference(meta: &Meta) -> Reference {
    Reference::new(KIND, &meta.namespace, &meta.name, &meta.uid)
}
