//! A claim whose command is about to run, runs, or ran: from the Job's POST to its verdict.

use std::sync::Arc;

use super::api::{NodePhase, NodeStatus, NodeStep};
use super::place::{Advance, Place};
use super::verdict::{self, Verdict};
use super::{reboot_pod, rebooting};
use crate::mutant::Mutant;
use crate::plan::{Action, Step};
use crate::reason::Reason;
use crate::snapshot::views::{Job, Node};

/// How often a Job may fail without its pod being admitted on the node.
const MAX_ATTEMPTS: i64 = 3;

/// Moves on to the start; the Job is made in the same round, after that is recorded.
pub fn go_start<'a>(place: &Place<'_, 'a>, node: &'a Node, message: &str) -> Advance {
    let mut advance = place.go(NodeStep::Starting, NodePhase::Pending, Reason::Starting, message);
    advance.steps.push(make_step(place, node));
    advance
}

/// The Job is made so that it makes no pod, and is adopted: only when its uid stands in the claim may it run.
pub fn start<'a>(place: &Place<'_, 'a>, node: &'a Node) -> Advance {
    let op = place.op;
    let name = op.claim(node, place.entry).job_name();
    let job = op.job_named(&name);
    let stranger = job.filter(|job| job.owner.as_ref().is_none_or(|owner| owner.uid != op.meta.uid));
    let adoptable = |job: &Job| !job.deleting && stranger.is_none() && (node.ready || !job.held);
    // A Job that somebody has let go is awaited whatever else is missing.
    let unready = job.filter(|job| adoptable(job) && job.held).and_then(|_| reboot_pod::unready(place, node));
    match job {
        Some(job) if adoptable(job) && unready.is_none() => {
            let mut advance = place.go(NodeStep::Running, NodePhase::Running, Reason::Running, "Job is running");
            if let Some(entry) = advance.entry.as_mut().map(Arc::make_mut) {
                entry.job_name = Some(job.name.clone());
                entry.job_uid = Some(job.uid.clone());
            }
            advance.steps.push(place.start(job));
            advance
        }
        _ if place.timed_out() && unready.is_some() => {
            place.fail(Reason::NodeTimeout, "the pod that is to reboot the node could not be started in time")
        }
        _ if place.timed_out() => place.fail(Reason::NodeTimeout, "the Job could not be made in time"),
        _ if let Some(unready) = unready => unready,
        _ if let Some(job) = stranger => {
            let owner =
                job.owner.as_ref().map_or_else(|| "nobody".to_string(), |owner| verdict::said(&format!("{} {}", owner.kind, owner.name)));
            place.stay(Reason::CannotStart, &format!("there is a Job {name} already, which belongs to {owner}"))
        }
        _ if !node.ready => place.stay(Reason::NotReady, "the node is not Ready; it is started when it is"),
        Some(_) => place.stay(Reason::Starting, "an earlier Job of this name is still being removed"),
        None => make(place, node),
    }
}

/// Makes what is not there.
pub fn make<'a>(place: &Place<'_, 'a>, node: &'a Node) -> Advance {
    let step = make_step(place, node);
    let mut advance = refused(place, &step.actions, Reason::Starting);
    advance.steps.push(step);
    advance
}

/// Stays in the step, for what the server said against making an object: in this round, or in an earlier one, which then
/// stands until it takes the object.
pub fn refused(place: &Place<'_, '_>, creates: &[Action], otherwise: Reason) -> Advance {
    for object in creates.iter().map(Action::target) {
        if let Some(message) = place.op.snapshot.refused.get(&object) {
            return place.stay(Reason::CannotStart, &format!("{} {}: {}", object.kind, object.name, verdict::said(message)));
        }
    }
    let told = place.entry.is_because(Reason::CannotStart);
    place.stay(if told { Reason::CannotStart } else { otherwise }, place.entry.message.as_deref().unwrap_or_default())
}

/// The Job of the claim, held; before it the Pod that is to reboot the node.
pub fn create<'a>(place: &Place<'_, 'a>, node: &'a Node) -> Vec<Action> {
    let (claim, settings) = (place.op.claim(node, place.entry), place.op.settings);
    let reboot = claim.reboots.then(|| claim.reboot_pod(settings));
    reboot.into_iter().chain([claim.job(settings)]).map(|object| Action::Create { object }).collect()
}

fn make_step<'a>(place: &Place<'_, 'a>, node: &'a Node) -> Step {
    let subject = place.op.node_reference(place.name);
    Step { subject, reason: Reason::Starting, message: "make the Job, which waits".into(), actions: create(place, node) }
}

/// The Job may run: what has become of it?
pub fn advance<'a>(place: &Place<'_, 'a>, node: &'a Node) -> Advance {
    let Some(job) = named_job(place) else { return without_job(place, node) };
    let pods = place.op.pods_of(&job.uid, place.name);
    match verdict::of(job, &pods, node.ready) {
        Verdict::Succeeded => succeed(place, node, "Job completed successfully"),
        Verdict::Failed(message) => place.fail(Reason::CommandFailed, &format!("Job failed: {message}")),
        Verdict::NeverRan(message) => try_again(place, node, &message),
        Verdict::Underway(reason, message) if place.timed_out() => {
            place.cancel(Reason::NodeTimeout, &format!("its time was up ({reason}: {message})"))
        }
        Verdict::Underway(..) if job.deleting => place.stay(Reason::Running, "the Job is being deleted by somebody else"),
        Verdict::Underway(reason, message) => {
            let message = keep_pull_trouble(place, reason, message);
            let mut advance = place.stay(reason, &message);
            if job.held {
                advance.steps.push(place.start(job));
            }
            advance
        }
    }
}

/// The node is gone: what its pods told last still counts.
pub fn without_node(place: &Place<'_, '_>, message: &str) -> Advance {
    let pods = place.op.pods_of(place.entry.job_uid.as_deref().unwrap_or_default(), place.name);
    if verdict::succeeded_before_the_job_went(&pods) || named_job(place).is_some_and(|job| job.complete) {
        return match rebooting::follows(place.entry) {
            true => place.fail(Reason::NodeGone, &format!("the command succeeded, but {message} before it was seen to reboot")),
            false => place.settle(NodePhase::Completed, Reason::Succeeded, "Job completed successfully"),
        };
    }
    place.fail(Reason::NodeGone, &format!("{message} while the command was on it"))
}

/// The kubelet never admitted a pod: nothing ran, so another Job may try, three times in all.
fn try_again<'a>(place: &Place<'_, 'a>, node: &'a Node, message: &str) -> Advance {
    let attempt = place.entry.attempt.unwrap_or(0).saturating_add(1);
    if attempt >= MAX_ATTEMPTS {
        return place.fail(Reason::NotAdmitted, &format!("no pod was admitted in {MAX_ATTEMPTS} attempts; last: {message}"));
    }
    // While a command runs, it goes on without lock and cordon; another one is not started.
    if let Some(lost) = place.hold_is_lost(node) {
        return lost;
    }
    let again = NodeStatus { attempt: Some(attempt), job_uid: None, job_name: None, ..NodeStatus::clone(place.entry) };
    let again = Arc::new(again);
    let place = Place { op: place.op, name: place.name, entry: &again };
    go_start(&place, node, &format!("the pod was not admitted: {message}"))
}

/// The command succeeded: that is the end, unless a reboot follows.
fn succeed<'a>(place: &Place<'_, 'a>, node: &'a Node, message: &str) -> Advance {
    match rebooting::follows(place.entry) {
        true => rebooting::begin(place, node),
        false => place.settle(NodePhase::Completed, Reason::Succeeded, message),
    }
}

/// The Job that the claim names is not there.
fn without_job<'a>(place: &Place<'_, 'a>, node: &'a Node) -> Advance {
    let uid = place.entry.job_uid.as_deref().unwrap_or_default();
    if verdict::succeeded_before_the_job_went(&place.op.pods_of(uid, place.name)) {
        return succeed(place, node, "Job completed successfully; the Job itself was deleted");
    }
    if !place.job_is_gone() && place.timed_out() {
        return place.cancel(Reason::NodeTimeout, "its time was up (the Job is there, but is not this operation's any more)");
    }
    if !place.job_is_gone() {
        return place.stay(Reason::Running, place.entry.message.as_deref().unwrap_or_default());
    }
    if place.op.has_live_pod(place.name) && place.timed_out() {
        return place.cancel(Reason::NodeTimeout, "its time was up (the Job was deleted, and its pod does not end)");
    }
    if place.op.has_live_pod(place.name) {
        return place.stay(Reason::JobLost, "the Job was deleted; its pod still ends");
    }
    if let Some(node) = place.node().filter(|_| Mutant::StartAgain.lives()) {
        return try_again(place, node, "the Job is gone");
    }
    let name = place.entry.job_name.as_deref().unwrap_or_default();
    place.fail(Reason::JobLost, &format!("Job {name} was deleted before its result was known"))
}

/// The Job by the uid that the claim names.
pub fn named_job<'a>(place: &Place<'_, 'a>) -> Option<&'a Job> {
    let jobs = place.op.jobs_on(place.name).iter().copied();
    // The existing operator records no uid; its Jobs have names of their own.
    let nameless = |job: &&Job| place.entry.job_uid.is_none() && job.run.is_none() && place.entry.job_name.as_ref() == Some(&job.name);
    jobs.clone().find(|job| Some(&job.uid) == place.entry.job_uid.as_ref()).or_else(|| jobs.clone().find(nameless))
}

/// The kubelet alternates between two words for one failed pull; the first stands, so that nothing is written for it, until
/// a missing pull secret is named as well.
fn keep_pull_trouble(place: &Place<'_, '_>, reason: Reason, message: String) -> String {
    let is_pull = |text: &str| text.contains("ErrImagePull") || text.contains("ImagePullBackOff");
    let names_secret = |text: &str| text.contains(verdict::MISSING_SECRET);
    let says_as_much = |before: &&str| is_pull(before) && is_pull(&message) && (names_secret(before) || !names_secret(&message));
    let before = place.entry.message.as_deref().filter(|_| reason == Reason::CannotStart);
    before.filter(says_as_much).map(ToString::to_string).unwrap_or(message)
}
