//! The exporters: all at once, each from a Job that waits to its verdict.

use super::api::{ArtifactPhase, ExporterResult, ExporterStatus};
use super::building;
use super::status::Standing;
use super::verdict::{Underway, Verdict};
use super::work::{Named, Work};
use crate::plan::Action;
use crate::reason::Reason;
use crate::snapshot::views::Job;

/// The build is done. Without exporters, that is all.
pub fn begin(work: &mut Work<'_>) -> Standing {
    let exporters = work.run.spec.exporters.len();
    if exporters == 0 {
        return Standing::ready(Reason::Built, building::built(work)).at((work.whole(), work.whole()));
    }
    work.next.exporters.resize_with(exporters, ExporterStatus::default);
    advance(work, false)
}

/// What has become of each? `superseded`: none is begun any more.
pub fn advance(work: &mut Work<'_>, superseded: bool) -> Standing {
    let mut hindered = None;
    for index in 0..work.next.exporters.len() {
        let mut entry = work.next.exporters[index].clone();
        if entry.result.is_some() {
            continue;
        }
        let trouble = match entry.job_uid.clone() {
            None if superseded => None,
            None => start(work, index, &mut entry),
            Some(uid) => watch(work, index, &uid, &mut entry),
        };
        hindered = hindered.or(trouble.map(|message| format!("exporter {index}: {message}")));
        work.next.exporters[index] = entry;
    }
    conclude(work, hindered)
}

fn conclude(work: &Work<'_>, hindered: Option<String>) -> Standing {
    let entries = &work.next.exporters;
    let with = |result: ExporterResult| entries.iter().filter(move |entry| entry.result == Some(result));
    let (done, failed) = (with(ExporterResult::Succeeded).count(), with(ExporterResult::Failed).count());
    let progress = (work.whole() - entries.len() + done, work.whole());
    let open = entries.len() - done - failed;
    if let Some(message) = hindered.filter(|_| open > 0) {
        return Standing::underway(ArtifactPhase::Exporting, Reason::CannotStart, message).at(progress);
    }
    if open > 0 {
        let message = format!("{done} of {} exporters done", entries.len());
        return Standing::underway(ArtifactPhase::Exporting, Reason::Exporting, message).at(progress);
    }
    if failed == 0 {
        return Standing::ready(Reason::Built, format!("{}, and exported", building::built(work))).at(progress);
    }
    let told = entries.iter().enumerate().filter(|(_, entry)| entry.result == Some(ExporterResult::Failed));
    let told: Vec<String> = told.map(|(index, entry)| failure(index, entry)).collect();
    Standing::stalled(ArtifactPhase::Error, Reason::ExportFailed, told.join("; ")).at(progress)
}

fn failure(index: usize, entry: &ExporterStatus) -> String {
    let (name, message) = (entry.job_name.as_deref().unwrap_or("?"), entry.message.as_deref().unwrap_or("no message"));
    format!("export job {name} (exporter {index}) failed: {message}")
}

/// The Job is made, held; in a later round recorded, and let run. Returns what is in the way of that.
fn start(work: &mut Work<'_>, index: usize, entry: &mut ExporterStatus) -> Option<String> {
    let name = work.run.export_name(index);
    match work.named(&name) {
        Named::Ours(job) => {
            entry.job_name = Some(job.name.clone());
            entry.job_uid = Some(job.uid.clone());
            entry.message = None;
            let_run(work, index, job);
            None
        }
        Named::Strangers(whose) => Some(format!("there is a Job {name} already, which belongs to {whose}")),
        Named::Leaving => None,
        Named::Nobody => {
            let Some(object) = work.run.export_job(index) else {
                entry.result = Some(ExporterResult::Failed);
                entry.message = Some("the specification has no such exporter any more".into());
                return None;
            };
            let creates = vec![Action::Create { object }];
            let refusal = work.refusal(&creates).or_else(|| entry.message.clone());
            entry.message.clone_from(&refusal);
            if refusal.as_deref().is_some_and(building::is_invalid) {
                entry.result = Some(ExporterResult::Failed);
                return None;
            }
            work.step(Reason::Exporting, "make the exporter's Job, which waits", creates);
            refusal
        }
    }
}

fn let_run(work: &mut Work<'_>, index: usize, job: &Job) {
    if job.held && !job.is_finished() {
        let pods = work.run.export_parallelism(index);
        work.step(Reason::Exporting, "start the exporter", vec![Work::start(job, pods)]);
    }
}

fn watch(work: &mut Work<'_>, index: usize, uid: &str, entry: &mut ExporterStatus) -> Option<String> {
    let name = entry.job_name.clone().unwrap_or_default();
    let mut fail = |message: String| {
        entry.result = Some(ExporterResult::Failed);
        entry.message = Some(message);
        None
    };
    let Some(job) = work.job(uid) else {
        return match work.is_gone(&name, uid) && !work.has_live_pod(uid) {
            true => fail("it was deleted before its result was known".into()),
            false => None,
        };
    };
    match work.verdict(job, Reason::Exporting) {
        Verdict::Succeeded => {
            entry.result = Some(ExporterResult::Succeeded);
            entry.message = None;
            None
        }
        Verdict::Failed(message) => fail(message),
        Verdict::Underway(Underway { reason, message, .. }) => {
            let_run(work, index, job);
            let trouble = Some(message).filter(|_| matches!(reason, Reason::CannotStart | Reason::NotReady));
            entry.message.clone_from(&trouble);
            trouble
        }
    }
}
