//! What becomes of Jobs that are done with: they stay as the record until another run takes their place, or for as long as
//! the user said.

use serde_json::json;

use super::api::{ArtifactPhase, OSArtifactStatus};
use super::decide::reference;
use super::work::Work;
use crate::plan::{Action, Step};
use crate::reason::Reason;
use crate::snapshot::Reference;
use crate::snapshot::views::Job;

/// Steps that tidy up. `before`: what is recorded already; a result that is not must not lose its Job.
pub fn steps(work: &Work<'_>, before: &OSArtifactStatus) -> Vec<Step> {
    work.jobs().filter(|job| !job.deleting).filter_map(|job| step(work, before, job)).collect()
}

fn step(work: &Work<'_>, before: &OSArtifactStatus, job: &Job) -> Option<Step> {
    let what = Reference::new("Job", &job.namespace, &job.name, &job.uid);
    let make = |message: &str, action| Step {
        subject: reference(work.run.meta),
        reason: Reason::Superseded,
        message: message.into(),
        actions: vec![action],
    };
    let present = job.run.is_none() || job.run == work.next.run;
    if !present && (job.is_finished() || !work.is_at_work(job)) {
        // One that waits must not have been let run meanwhile.
        let resource_version = job.held.then(|| job.resource_version.clone()).filter(|_| !job.is_finished());
        return Some(make("remove a Job of an earlier run", Action::Delete { what, resource_version, grace_seconds: None }));
    }
    let ttl = work.run.spec.build.as_ref().and_then(|build| build.job_ttl_seconds)?;
    let over = matches!(before.phase, Some(ArtifactPhase::Ready | ArtifactPhase::Error));
    let expires = present && over && job.is_finished() && job.ttl_seconds != Some(ttl);
    expires.then(|| make("let the finished Job expire", Action::Patch { what, patch: json!({"spec": {"ttlSecondsAfterFinished": ttl}}) }))
}
