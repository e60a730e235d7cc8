//! What became of a Job of an artifact, read from it and its pods: which container runs, and which one failed, and how.

use super::report::Report;
use crate::names;
use crate::nodeop::verdict::{self, sentence, start_trouble};
use crate::reason::Reason;
use crate::snapshot::views::{Container, ContainerState, Exit, Job, Pod};
use crate::text;

/// How much is told of the end of a log.
const TAIL: usize = 600;

/// Where a Job stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is done.
    Succeeded,
    /// It failed as often as it may.
    Failed(String),
    /// It runs, or is on its way.
    Underway(Underway),
}

/// Where a Job stands that is not over.
#[derive(Clone, Debug, PartialEq)]
pub struct Underway {
    /// The code.
    pub reason: Reason,
    /// One sentence.
    pub message: String,
    /// The container that runs.
    pub container: Option<String>,
    /// How many containers have done their work.
    pub done: usize,
}

/// What is said of a Job that ran out of time, and whose pods tell no more.
pub const TIME_WAS_UP: &str = "its time was up";

/// The verdict on a Job. `reason` is what it is called while all is well; `lost` tells why nothing is heard of a pod.
pub fn of(job: &Job, pods: &[&Pod], reason: Reason, lost: &dyn Fn(&Pod) -> Option<String>) -> Verdict {
    if job.complete {
        return Verdict::Succeeded;
    }
    match &job.failed {
        Some(trouble) if trouble.reason == "DeadlineExceeded" => {
            let last = pods.iter().rev().find_map(|pod| hindrance(pod)).map(|why| format!(": {why}")).unwrap_or_default();
            Verdict::Failed(format!("{TIME_WAS_UP}{last}"))
        }
        Some(trouble) => Verdict::Failed(last_failure(pods).unwrap_or_else(|| sentence(trouble))),
        None => Verdict::Underway(underway(job, pods, reason, lost)),
    }
}

/// Whether a pod whose Job is gone has told the end of a build.
pub fn report(pods: &[&Pod]) -> Option<Report> {
    pods.iter().rev().find_map(|pod| {
        let exit = exit_of(pod, names::CONTAINER_DIGEST).filter(|exit| exit.code == 0)?;
        Some(Report::parse(&exit.message))
    })
}

/// What a push has told: the digest of the image in the registry.
pub fn pushed(pods: &[&Pod]) -> Option<String> {
    let told =
        |pod: &&Pod| exit_of(pod, names::CONTAINER_BUILDAH).filter(|exit| exit.code == 0).map(|exit| exit.message.trim().to_string());
    pods.iter().rev().find_map(told).filter(|digest| digest.starts_with("sha256:") && digest.len() == 71)
}

fn exit_of<'a>(pod: &'a Pod, container: &str) -> Option<&'a Exit> {
    pod.containers.iter().find(|one| one.name == container).and_then(verdict::exit)
}

fn underway(job: &Job, pods: &[&Pod], reason: Reason, lost: &dyn Fn(&Pod) -> Option<String>) -> Underway {
    let live = pods.iter().rev().find(|pod| !pod.is_terminal());
    let at = |reason, message| Underway { reason, message, container: None, done: live.map_or(0, |pod| done(pod)) };
    let Some(pod) = live else {
        if let Some(warning) = job.warnings.first() {
            return at(Reason::CannotStart, format!("Job {}: {}", job.name, sentence(warning)));
        }
        return match last_failure(pods) {
            Some(failure) => at(Reason::Retrying, format!("it is tried again; last, {failure}")),
            None => at(reason, "its pod is being made".into()),
        };
    };
    if let Some(why) = lost(pod) {
        return at(Reason::NotReady, why);
    }
    if let Some(why) = hindrance(pod) {
        return at(Reason::CannotStart, why);
    }
    let running = pod.containers.iter().find(|container| container.state == ContainerState::Running);
    let Some(running) = running else { return at(reason, format!("pod {} is being started", pod.name)) };
    Underway { container: Some(running.name.clone()), ..at(reason, format!("container {} runs", running.name)) }
}

/// Why a pod does not start.
pub fn hindrance(pod: &Pod) -> Option<String> {
    start_trouble(pod).filter(|_| !pod.is_terminal()).map(|trouble| format!("pod {}: {}", pod.name, sentence(&trouble)))
}

fn done(pod: &Pod) -> usize {
    pod.containers.iter().filter(|container| verdict::exit(container).is_some_and(|exit| exit.code == 0)).count()
}

/// What the last pod that failed tells: the container, its exit code, and the end of its log.
pub fn last_failure(pods: &[&Pod]) -> Option<String> {
    let mut failed: Vec<&&Pod> = pods.iter().filter(|pod| pod.phase == "Failed").collect();
    failed.sort_by_key(|pod| pod.created);
    let pod = failed.last()?;
    let bad = |container: &Container| verdict::exit(container).filter(|exit| exit.code != 0).cloned();
    match pod.containers.iter().find_map(|container| Some((container, bad(container)?))) {
        Some((container, exit)) => {
            // An eviction, for example, which the exit code does not tell.
            let why = pod.trouble.as_ref().map(|trouble| format!("; the pod's end was {}", sentence(trouble))).unwrap_or_default();
            Some(format!("container {} failed with {}{why}", container.name, describe(&exit)))
        }
        None => Some(pod.trouble.as_ref().map_or_else(|| format!("pod {} failed", pod.name), sentence)),
    }
}

/// An exit as a sentence: of a log, the end tells why.
fn describe(exit: &Exit) -> String {
    let code = verdict::describe(&Exit { message: String::new(), ..exit.clone() });
    let log = text::one_line(&exit.message);
    let count = log.chars().count();
    match log.char_indices().nth(count.saturating_sub(TAIL)) {
        _ if log.is_empty() => code,
        Some((at, _)) if at > 0 => format!("{code}: …{}", &log[at..]),
        _ => format!("{code}: {log}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::views::Trouble;

    fn ended(name: &str, code: i32, message: &str) -> Container {
        let exit = Exit { code, message: message.into(), ..Exit::default() };
        Container { name: name.into(), init: true, state: ContainerState::Ended(exit), ..Container::default() }
    }

    fn pod(phase: &str, containers: Vec<Container>) -> Pod {
        Pod { name: "p".into(), phase: phase.into(), containers, ..Pod::default() }
    }

    fn failed(reason: &str) -> Job {
        Job { failed: Some(Trouble { reason: reason.into(), message: "over".into() }), ..Job::default() }
    }

    #[test]
    fn of_a_failure_the_container_its_code_and_the_end_of_its_log_are_told() {
        let log = format!("{} no space left", "x".repeat(3000));
        let pod = pod("Failed", vec![ended("a", 0, ""), ended("build-iso", 1, &log), ended("late", 2, "")]);
        let Verdict::Failed(told) = of(&failed("BackoffLimitExceeded"), &[&pod], Reason::Building, &|_| None) else { panic!() };
        assert!(told.starts_with("container build-iso failed with exit code 1: …x") && told.ends_with("x no space left"), "{told}");
        assert!(told.chars().count() < 700);
        let Verdict::Failed(told) = of(&failed("BackoffLimitExceeded"), &[], Reason::Building, &|_| None) else { panic!() };
        assert_eq!(told, "BackoffLimitExceeded: over");
    }

    #[test]
    fn what_kept_a_build_from_starting_until_its_time_was_up_is_told() {
        let warnings = vec![Trouble { reason: "FailedScheduling".into(), message: "0/3 nodes".into() }];
        let pod = Pod { warnings, ..pod("Pending", vec![Container::default()]) };
        let expected = Verdict::Failed("its time was up: pod p: FailedScheduling: 0/3 nodes".into());
        assert_eq!(of(&failed("DeadlineExceeded"), &[&pod], Reason::Building, &|_| None), expected);
        assert_eq!(of(&failed("DeadlineExceeded"), &[], Reason::Building, &|_| None), Verdict::Failed("its time was up".into()));
    }

    #[test]
    fn the_container_that_runs_is_named() {
        let running = Container { name: "build-iso".into(), state: ContainerState::Running, ..Container::default() };
        let pod = pod("Pending", vec![ended("a", 0, ""), running]);
        let Verdict::Underway(told) = of(&Job::default(), &[&pod], Reason::Building, &|_| None) else { panic!() };
        assert_eq!((told.container.as_deref(), told.done, told.reason), (Some("build-iso"), 1, Reason::Building));
    }

    #[test]
    fn a_digest_is_one_or_none() {
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(pushed(&[&pod("Running", vec![ended("buildah-build", 0, &digest)])]), Some(digest));
        assert_eq!(pushed(&[&pod("Running", vec![ended("buildah-build", 0, "sha256:x")])]), None);
    }
}
