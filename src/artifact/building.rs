//! The build itself: from a Job that waits to its verdict.

use super::api::ArtifactPhase;
use super::status::Standing;
use super::verdict::{self, Verdict};
use super::work::{Named, Work};
use super::{KIND, exporting};
use crate::names;
use crate::plan::Action;
use crate::reason::Reason;
use crate::snapshot::views::Job;

/// How many files a message names.
const NAMED: usize = 3;

/// The Job is made so that it makes no pod, and is adopted: only when its uid stands in the status may it run.
pub fn start(work: &mut Work<'_>) -> Standing {
    let timeout = work.run.spec.build.clone().unwrap_or_default().timeout();
    let since = work.next.started_at.as_ref().map_or(0, |since| work.snapshot.now.duration_since(since.0).as_secs());
    if since > timeout {
        let why = work.next.message.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        return Standing::stalled(ArtifactPhase::Error, Reason::BuildFailed, format!("the Job could not be made in time{why}"));
    }
    if let Some(earlier) = work.earlier() {
        return waits(work, Reason::WaitingForLastRun, earlier);
    }
    let claim = match claim(work) {
        Claim::Usable => None,
        Claim::Missing(create) => Some(create),
        Claim::Waits(standing) => return standing,
    };
    let name = work.run.job_name();
    match work.named(&name) {
        Named::Ours(job) if claim.is_none() => go(work, job),
        Named::Strangers(whose) => waits(work, Reason::CannotStart, format!("there is a Job {name} already, which belongs to {whose}")),
        Named::Leaving => waits(work, Reason::Starting, "an earlier Job of this name is still being removed".into()),
        Named::Nobody | Named::Ours(_) => make(work, claim),
    }
}

fn waits(work: &Work<'_>, reason: Reason, message: String) -> Standing {
    Standing::underway(ArtifactPhase::Pending, reason, message).at((0, work.whole()))
}

fn make(work: &mut Work<'_>, claim: Option<Action>) -> Standing {
    let job = Action::Create { object: work.run.job(work.settings) };
    let creates: Vec<Action> = claim.into_iter().chain([job]).collect();
    let trouble = work.refusal(&creates).or_else(|| work.told_trouble());
    work.step(Reason::Starting, "make the Job, which waits", creates);
    match trouble {
        Some(trouble) if is_invalid(&trouble) => {
            Standing::stalled(ArtifactPhase::Error, Reason::InvalidSpec, trouble).at((0, work.whole()))
        }
        Some(trouble) => waits(work, Reason::CannotStart, trouble),
        None => waits(work, Reason::Starting, "the Job that builds it is being made".into()),
    }
}

/// Whether the server has said that an object can never be made as it is: these are its words for 422.
pub fn is_invalid(refusal: &str) -> bool {
    refusal.contains(" is invalid: ")
}

/// The Job is recorded, and may run.
fn go(work: &mut Work<'_>, job: &Job) -> Standing {
    work.next.job_name = Some(job.name.clone());
    work.next.job_uid = Some(job.uid.clone());
    let standing = match let_run(work, job) {
        Some(trouble) => Standing::underway(ArtifactPhase::Building, Reason::CannotStart, trouble),
        None => Standing::underway(ArtifactPhase::Building, Reason::Building, "its pod is being made"),
    };
    standing.at((0, work.whole()))
}

/// What the Job's pod mounts goes before it. Returns what is in the way of that.
fn let_run(work: &mut Work<'_>, job: &Job) -> Option<String> {
    if !job.held || job.is_finished() {
        return None;
    }
    let config: Vec<Action> = work.run.config(job).map(|object| Action::Create { object }).into_iter().collect();
    let trouble = work.refusal(&config).or_else(|| work.told_trouble());
    work.step(Reason::Building, "start the build", config.into_iter().chain([Work::start(job, 1)]).collect());
    trouble
}

/// What there is of the claim.
enum Claim {
    /// It is there, or none is needed.
    Usable,
    /// It is to be made.
    Missing(Action),
    /// It has to go first.
    Waits(Standing),
}

fn claim(work: &Work<'_>) -> Claim {
    let Some(object) = work.run.claim() else { return Claim::Usable };
    let (meta, name) = (work.run.meta, names::claim_name(&work.run.meta.name));
    let seen = work.snapshot.claims.iter().find(|claim| claim.namespace == meta.namespace && claim.name == name);
    let Some(seen) = seen else { return Claim::Missing(Action::Create { object }) };
    let former = seen.owner.as_ref().is_some_and(|owner| owner.kind == KIND && owner.uid != meta.uid);
    let wait = |message: String| Claim::Waits(waits(work, Reason::Starting, message));
    match () {
        () if seen.deleting => wait(format!("claim {name} is still being removed; another one follows")),
        // One of this name was here before; the garbage collector comes by.
        () if former => {
            wait(format!("claim {name} of an earlier artifact of that name is still there; it goes by itself, and another one follows"))
        }
        () => Claim::Usable,
    }
}

/// The Job may run: what has become of it? `superseded`: nothing follows it but another run.
pub fn advance(work: &mut Work<'_>, superseded: bool) -> Standing {
    let uid = work.next.job_uid.clone().unwrap_or_default();
    let Some(job) = work.job(&uid) else { return without_job(work, &uid) };
    match work.verdict(job, Reason::Building) {
        Verdict::Succeeded => done(work, &uid),
        Verdict::Failed(message) => {
            // Its pod is gone with its time; what was told last is what took so long.
            let last = work.next.message.clone().filter(|_| message == verdict::TIME_WAS_UP);
            let message = last.map_or(message, |last| format!("{}; before that, {last}", verdict::TIME_WAS_UP));
            let standing = Standing::stalled(ArtifactPhase::Error, Reason::BuildFailed, format!("the build failed: {message}"));
            standing.at((0, work.whole()))
        }
        Verdict::Underway(underway) => {
            let trouble = let_run(work, job);
            let reason = if trouble.is_some() { Reason::CannotStart } else { underway.reason };
            let edited = if superseded { "; an edit waits until it has ended" } else { "" };
            let message = format!("{}{edited}", trouble.unwrap_or(underway.message));
            let standing = Standing::underway(ArtifactPhase::Building, reason, message).at((underway.done, work.whole()));
            standing.in_container(underway.container)
        }
    }
}

/// The Job that is recorded is not there. It is never made again by itself.
fn without_job(work: &mut Work<'_>, uid: &str) -> Standing {
    if verdict::report(&work.pods(uid)).is_some() {
        return done(work, uid);
    }
    let name = work.next.job_name.clone().unwrap_or_default();
    if !work.is_gone(&name, uid) {
        let message = work.next.message.clone().unwrap_or_default();
        return Standing::underway(ArtifactPhase::Building, Reason::Building, message).at((0, work.whole()));
    }
    if work.has_live_pod(uid) {
        return Standing::underway(ArtifactPhase::Building, Reason::JobLost, "the Job was deleted; its pod still ends")
            .at((0, work.whole()));
    }
    let message = format!("Job {name} was deleted before its result was known");
    Standing::stalled(ArtifactPhase::Error, Reason::JobLost, message).at((0, work.whole()))
}

/// The build is done: what it has told is recorded, and the exporters come.
fn done(work: &mut Work<'_>, uid: &str) -> Standing {
    let pods = work.pods(uid);
    let report = verdict::report(&pods).unwrap_or_default();
    work.next.artifacts = report.files;
    work.next.omitted = i64::try_from(report.more).ok().filter(|more| *more > 0);
    let push_to = work.run.plan.recipe.as_ref().and_then(|recipe| recipe.push_to.clone());
    work.next.image = push_to.map(|to| match verdict::pushed(&pods) {
        Some(digest) => format!("{to}@{digest}"),
        None => to,
    });
    exporting::begin(work)
}

/// What was built, in a sentence.
pub fn built(work: &Work<'_>) -> String {
    let files = &work.next.artifacts;
    let named: Vec<&str> = files.iter().take(NAMED).map(|file| file.name.as_str()).collect();
    let count = files.len() + work.next.omitted.and_then(|more| usize::try_from(more).ok()).unwrap_or(0);
    let more = if count > named.len() { format!(" and {} more", count - named.len()) } else { String::new() };
    let pushed = work.next.image.as_ref().map(|image| format!("; pushed {image}")).unwrap_or_default();
    match named.is_empty() {
        true => format!("built{pushed}"),
        false => format!("built {}{more}{pushed}", named.join(", ")),
    }
}
