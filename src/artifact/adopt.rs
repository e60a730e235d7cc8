//! What the existing operator has left: its statuses, the pod that it builds in, and its exporters. What is over stays so;
//! what runs is awaited; nothing is begun a second time because Rounds has come.

use super::api::{ArtifactPhase, ExporterStatus, OSArtifactStatus};
use super::status::Standing;
use super::verdict;
use super::work::Work;
use crate::names;
use crate::reason::Reason;
use crate::snapshot::views::{Job, Pod};

/// What a status without our hash comes to.
pub enum Found {
    /// It still runs.
    Awaited(Standing),
    /// It is over, and stands.
    Taken(Standing),
    /// It is built, and is to be exported.
    Exporting,
}

/// What was found; None: nothing was begun, or what was is gone.
pub fn found(work: &mut Work<'_>, before: &OSArtifactStatus) -> Option<Found> {
    let message = before.message.clone().filter(|message| !message.is_empty());
    match before.phase? {
        ArtifactPhase::Ready => {
            let message = message.unwrap_or_else(|| "built by the existing operator".into());
            Some(Found::Taken(Standing::ready(Reason::Adopted, message)))
        }
        ArtifactPhase::Error => {
            let message = message.unwrap_or_else(|| "the build of the existing operator failed, and it does not tell why".into());
            Some(Found::Taken(Standing::stalled(ArtifactPhase::Error, Reason::BuildFailed, message)))
        }
        ArtifactPhase::Exporting => {
            take_exporters(work);
            Some(Found::Exporting)
        }
        ArtifactPhase::Pending | ArtifactPhase::Building => built(work),
    }
}

/// Its builder is a pod that carries the name and nothing of ours.
fn built(work: &mut Work<'_>) -> Option<Found> {
    let meta = work.run.meta;
    let is_its = |pod: &&Pod| {
        pod.namespace == meta.namespace
            && pod.labels.get(names::LABEL_ARTIFACT) == Some(&meta.name)
            && !pod.labels.contains_key(names::LABEL_OWNER_UID)
            && pod.owner.as_ref().is_none_or(|owner| owner.uid == meta.uid)
    };
    let pods: Vec<&Pod> = work.snapshot.pods.iter().filter(is_its).collect();
    if let Some(pod) = pods.iter().find(|pod| !pod.is_terminal()) {
        let (reason, message) = match verdict::hindrance(pod) {
            Some(why) => (Reason::CannotStart, format!("what the existing operator builds it with does not start: {why}")),
            None => (Reason::Building, format!("pod {} of the existing operator builds it", pod.name)),
        };
        return Some(Found::Awaited(Standing::underway(ArtifactPhase::Building, reason, message)));
    }
    if pods.iter().any(|pod| pod.phase == "Succeeded") {
        return Some(Found::Exporting);
    }
    let failure = verdict::last_failure(&pods)?;
    Some(Found::Taken(Standing::stalled(ArtifactPhase::Error, Reason::BuildFailed, format!("the build failed: {failure}"))))
}

/// Its exporters' Jobs are named by their place.
fn take_exporters(work: &mut Work<'_>) {
    let meta = work.run.meta;
    let entry = |index: usize| {
        let name = format!("{}-export-{index}", meta.name);
        let is_it = |job: &&Job| job.namespace == meta.namespace && job.name == name && job.run.is_none();
        let job = work.snapshot.jobs.iter().find(is_it);
        ExporterStatus { job_name: job.map(|job| job.name.clone()), job_uid: job.map(|job| job.uid.clone()), ..ExporterStatus::default() }
    };
    work.next.exporters = (0..work.run.spec.exporters.len()).map(entry).collect();
}
