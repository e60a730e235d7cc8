//! What became of the command on a node, read from its Job and pods.
//!
//! The verdict is the operation container's exit code, not the Job's condition: a node that died after the command's
//! exit 0 makes the Job fail, and the command would run again.

use jiff::Timestamp;

use crate::mutant::Mutant;
use crate::names;
use crate::reason::Reason;
use crate::snapshot::views::{Container, ContainerState, Exit, Job, Pod, Trouble};
use crate::text;

/// Where the command stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It exited 0 once. It never runs again in this run.
    Succeeded,
    /// It failed as often as it may.
    Failed(String),
    /// The Job failed, and no container of it was ever started.
    NeverRan(String),
    /// It runs, or is on its way.
    Underway(Reason, String),
}

/// The verdict on a Job, from it and its pods.
pub fn of(job: &Job, pods: &[&Pod], node_ready: bool) -> Verdict {
    let told = pods.iter().any(|pod| command_exit(pod).is_some_and(|exit| exit.code == 0));
    if told && !Mutant::BelieveTheJob.lives() || job.complete {
        return Verdict::Succeeded;
    }
    // A Job that has failed has no pod that runs: those were looked at before it, and the last of them is still to tell.
    let older = pods.iter().any(|pod| !pod.is_terminal() && pod.deleted.is_none());
    if let Some(trouble) = job.failed.as_ref().filter(|_| !older) {
        return failed(trouble, pods);
    }
    underway(job, pods, node_ready)
}

/// Whether a pod of a Job that is gone tells that the command succeeded.
pub fn succeeded_before_the_job_went(pods: &[&Pod]) -> bool {
    pods.iter().any(|pod| command_exit(pod).is_some_and(|exit| exit.code == 0))
}

/// Whether the command was started after a moment, and succeeded.
pub fn succeeded_since(pods: &[&Pod], since: Timestamp) -> bool {
    let later = |exit: &Exit| exit.code == 0 && exit.started.is_some_and(|started| started > since);
    pods.iter().filter_map(|pod| command_exit(pod)).any(later)
}

/// Whether the Job controller counts as failed a pod in which the command succeeded: it would make another one.
pub fn would_run_again(pods: &[&Pod]) -> bool {
    pods.iter().any(|pod| pod.phase == "Failed" && command_exit(pod).is_some_and(|exit| exit.code == 0))
}

fn failed(trouble: &Trouble, pods: &[&Pod]) -> Verdict {
    let exits: Vec<&Exit> = pods.iter().filter_map(|pod| command_exit(pod)).collect();
    if let Some(last) = exits.last() {
        let tries = if exits.len() > 1 { format!(", tried {} times", exits.len()) } else { String::new() };
        return Verdict::Failed(format!("{}{tries}", describe(last)));
    }
    let started = pods.iter().flat_map(|pod| &pod.containers).any(|container| container.state == ContainerState::Running);
    match pods.iter().rev().find_map(|pod| pod.trouble.as_ref().filter(|_| pod.containers.iter().all(never_started))) {
        Some(refused) if !started => Verdict::NeverRan(sentence(refused)),
        _ => Verdict::Failed(sentence(trouble)),
    }
}

fn underway(job: &Job, pods: &[&Pod], node_ready: bool) -> Verdict {
    let failures = pods.iter().filter(|pod| pod.phase == "Failed").count();
    let live = pods.iter().find(|pod| !pod.is_terminal());
    if let Some(pod) = live
        && let Some(trouble) = start_trouble(pod)
    {
        return Verdict::Underway(Reason::CannotStart, format!("pod {}: {}", pod.name, sentence(&trouble)));
    }
    if !node_ready {
        return Verdict::Underway(Reason::NotReady, "the node is not Ready while the command is on it".into());
    }
    if live.is_none()
        && let Some(warning) = job.warnings.first()
    {
        return Verdict::Underway(Reason::CannotStart, format!("Job {}: {}", job.name, sentence(warning)));
    }
    match pods.iter().filter(|pod| pod.phase == "Failed").filter_map(|pod| command_exit(pod)).next_back() {
        Some(last) => Verdict::Underway(Reason::Retrying, format!("failed {failures} times, last: {}", describe(last))),
        None => Verdict::Underway(Reason::Running, "the command runs".into()),
    }
}

/// The kubelet's word for a pull secret that is not there.
pub const MISSING_SECRET: &str = "FailedToRetrieveImagePullSecret";

/// Why a pod does not start, in the words of the kubelet: a waiting container, or a warning about the pod.
pub fn start_trouble(pod: &Pod) -> Option<Trouble> {
    // Waiting for its turn is no trouble.
    const ORDINARY: [&str; 3] = ["ContainerCreating", "PodInitializing", ""];
    // Kubelets say these of every pod of a node, and start it.
    const HARMLESS: [&str; 2] = ["DNSConfigForming", "MissingClusterDNS"];
    let waiting = pod.containers.iter().find_map(|container| match &container.state {
        ContainerState::Waiting(trouble) if !ORDINARY.contains(&trouble.reason.as_str()) => Some(trouble.clone()),
        _ => None,
    });
    let started = pod.containers.iter().any(|container| matches!(container.state, ContainerState::Running | ContainerState::Ended(_)));
    // A missing pull secret shows as a failed pull; the warning beside it names the secret.
    let secret = pod.warnings.iter().find(|warning| warning.reason == MISSING_SECRET);
    match (waiting, secret) {
        (Some(waiting), Some(secret)) => {
            Some(Trouble { reason: waiting.reason, message: format!("{} ({}: {})", waiting.message, secret.reason, secret.message) })
        }
        (Some(waiting), None) => Some(waiting),
        (None, _) if started => None,
        (None, _) => pod.warnings.iter().find(|warning| !HARMLESS.contains(&warning.reason.as_str())).cloned(),
    }
}

/// How the command's container ended in a pod, if it did.
pub fn command_exit(pod: &Pod) -> Option<&Exit> {
    pod.containers.iter().find(|container| container.name == names::CONTAINER_NODEOP).and_then(exit)
}

/// How a container ended.
pub fn exit(container: &Container) -> Option<&Exit> {
    match &container.state {
        ContainerState::Ended(exit) => Some(exit),
        _ => None,
    }
}

/// An exit as a sentence.
pub fn describe(exit: &Exit) -> String {
    let mut text = format!("exit code {}", exit.code);
    if !exit.reason.is_empty() && exit.reason != "Error" && exit.reason != "Completed" {
        text = format!("{text} ({})", said(&exit.reason));
    }
    match said(&exit.message).as_str() {
        "" => text,
        message => format!("{text}: {message}"),
    }
}

/// Reason and message of the cluster as one sentence of bounded length.
pub fn sentence(trouble: &Trouble) -> String {
    match (said(&trouble.reason).as_str(), said(&trouble.message).as_str()) {
        (reason, "") => reason.to_string(),
        ("", message) => message.to_string(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

/// What somebody else said, as a part of a sentence: in one line of bounded length.
pub fn said(text: &str) -> String {
    clip(&text::one_line(text), 500)
}

/// Cuts a text at a character, for statuses must stay small.
pub fn clip(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_string(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Whether a container was never started.
pub fn never_started(container: &Container) -> bool {
    container.restarts == 0
        && container.last_exit.is_none()
        && !matches!(container.state, ContainerState::Running | ContainerState::Ended(_))
}
