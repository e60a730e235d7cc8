//! A node that reboots after its command: from the success of the command to a new boot that stands.
//!
//! The success is recorded as soon as it is seen, then the boot id in which the command ran. Only after that may the reboot
//! Pod end that boot, and no other: whatever is repeated, lost or late, a node reboots once. That it has is told by its
//! Node object alone.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::adopt::{REBOOT_COMPLETED, REBOOT_PENDING};
use super::api::{NodeOpSpec, NodePhase, NodeStatus, NodeStep};
use super::place::{Advance, Place};
use super::version::{self, Look, Told};
use super::{events, foreign_reboot, reboot_pod, verdict};
use crate::names;
use crate::reason::Reason;
use crate::snapshot::views::{Node, Pod};

/// What is said of a node that is to reboot.
pub(super) const TO_REBOOT: &str = "the command succeeded; the node is to reboot";

/// The rebootStatus of a node that is taken.
pub fn requested(spec: &NodeOpSpec) -> String {
    if spec.reboots() { REBOOT_PENDING.into() } else { "not-requested".into() }
}

/// Whether a reboot follows the command.
pub fn follows(entry: &NodeStatus) -> bool {
    entry.reboot_status.as_deref() == Some(REBOOT_PENDING)
}

/// Whether a pod is one that reboots a node.
pub fn is_reboot(pod: &Pod) -> bool {
    pod.labels.contains_key(names::LABEL_REBOOT)
}

/// The command succeeded. With that the boot id is recorded, if it is told already, and the reboot may follow.
pub fn begin<'a>(place: &Place<'_, 'a>, node: &'a Node) -> Advance {
    let mut advance = place.go(NodeStep::Rebooting, NodePhase::Running, Reason::Rebooting, TO_REBOOT);
    let Some(entry) = advance.entry.as_mut().filter(|_| !foreign_reboot::is_awaited(place, node)) else { return advance };
    let installed = installed(place);
    let boot_id = told(place);
    let begun = Arc::make_mut(entry);
    begun.expected_version = installed.as_ref().map(|told| told.version.clone());
    begun.boot_id.clone_from(&boot_id);
    let entry = Arc::clone(entry);
    if let Some(boot_id) = boot_id {
        advance = leave(&Place { op: place.op, name: place.name, entry: &entry }, node, &boot_id);
    }
    advance.steps.extend(installed.filter(|told| told.downgrade).map(|told| events::downgraded(place, &told.version)));
    advance
}

/// What the command has told about the version that it installed, if the node must run it.
fn installed(place: &Place<'_, '_>) -> Option<Told> {
    if !place.op.rollout.reboot().verifies_version() {
        return None;
    }
    let pods = place.op.pods_of(place.entry.job_uid.as_deref().unwrap_or_default(), place.name);
    pods.iter().filter_map(|pod| verdict::command_exit(pod)).filter(|exit| exit.code == 0).find_map(|exit| version::told(&exit.message))
}

/// Decides the next step of a node that reboots, or has done so.
pub fn advance<'a>(place: &Place<'_, 'a>, node: &'a Node) -> Advance {
    if foreign_reboot::is_awaited(place, node) {
        return foreign_reboot::advance(place, node);
    }
    match (place.entry.boot_id.as_deref(), node.boot_id.as_str()) {
        (None, _) => learn(place, node),
        (Some(left), now) if now.is_empty() || now == left => leave(place, node, left),
        (Some(_), now) => verify(place, node, now),
    }
}

/// The reboot was seen to its end; and what of it was not looked at, if anything.
pub fn rebooted(place: &Place<'_, '_>, note: Option<String>) -> Advance {
    let note = note.map(|note| format!("; {note}")).unwrap_or_default();
    has_rebooted(place.settle(NodePhase::Completed, Reason::Succeeded, &format!("Job and reboot completed successfully{note}")))
}

/// The reboot itself came about, whatever else did not.
fn has_rebooted(mut advance: Advance) -> Advance {
    if let Some(entry) = &mut advance.entry {
        Arc::make_mut(entry).reboot_status = Some(REBOOT_COMPLETED.into());
    }
    advance
}

/// The boot in which the command ran is not known yet: its pod tells it when the command's container is followed by the
/// next.
fn learn<'a>(place: &Place<'_, 'a>, node: &'a Node) -> Advance {
    if let Some(boot_id) = told(place) {
        let now = Some(Time(place.op.now()));
        let entry = Arc::new(NodeStatus { boot_id: Some(boot_id.clone()), last_updated: now, ..NodeStatus::clone(place.entry) });
        return leave(&Place { op: place.op, name: place.name, entry: &entry }, node, &boot_id);
    }
    let pods = place.op.pods_of(place.entry.job_uid.as_deref().unwrap_or_default(), place.name);
    let live = pods.iter().find(|pod| !pod.is_terminal() && verdict::command_exit(pod).is_some_and(|exit| exit.code == 0));
    let begun = "the command succeeded";
    match live {
        Some(pod) if !is_late(place) => match verdict::start_trouble(pod) {
            Some(trouble) => place.stay(Reason::CannotStart, &format!("{begun}; pod {}: {}", pod.name, verdict::sentence(&trouble))),
            None => place.stay(Reason::Rebooting, &format!("{begun}; its pod is to tell which boot it ran in")),
        },
        Some(_) => {
            let message = format!("{begun}, but its pod has not told which boot it ran in {}; the node is not rebooted", within(place));
            place.fail(Reason::NotRebooted, &message)
        }
        None => {
            let message = format!("{begun}, but its pod ended without telling which boot it ran in; the node is not rebooted");
            place.fail(Reason::NotRebooted, &message)
        }
    }
}

/// The node still is in the boot that it is to leave.
fn leave<'a>(place: &Place<'_, 'a>, node: &'a Node, left: &str) -> Advance {
    if place.entry.step == Some(NodeStep::Rebooting) && is_late(place) {
        let message = format!("the command succeeded, but the node has shown no new boot id {}", within(place));
        return place.fail(Reason::NotRebooted, &message);
    }
    if place.entry.step == Some(NodeStep::Rebooting) {
        return reboot_pod::approve(place, node, left);
    }
    // The Node object had shown an older boot, while its kubelet had not told of this one yet.
    let mut advance = place.go(NodeStep::Rebooting, NodePhase::Running, Reason::Rebooting, TO_REBOOT);
    let Some(entry) = &mut advance.entry else { return advance };
    Arc::make_mut(entry).new_boot_id = None;
    let entry = Arc::clone(entry);
    reboot_pod::approve(&Place { op: place.op, name: place.name, entry: &entry }, node, left)
}

/// The node is in another boot. From when that was first recorded it must stand for a while: Ready's own times lie, they
/// were seen to speak of the old boot for a minute.
fn verify(place: &Place<'_, '_>, node: &Node, now: &str) -> Advance {
    let (entry, reboot) = (place.entry, place.op.rollout.reboot());
    if entry.step != Some(NodeStep::Verifying) || entry.new_boot_id.as_deref() != Some(now) {
        return verify_anew(place, now);
    }
    let steady = node.ready && place.op.seconds_since(entry.step_since.as_ref()) >= reboot.ready();
    match version::look(place, node) {
        Look::Bad(reason, message) => return has_rebooted(place.fail(reason, &message)),
        Look::Good(note) if steady => return rebooted(place, note),
        Look::Awaited if steady => {
            return place.stay(Reason::Verifying, "the node has rebooted and is Ready; which version it runs is to be looked at");
        }
        Look::Good(_) | Look::Awaited => {}
    }
    if !node.ready && place.op.seconds_since(entry.reason_since.as_ref()) > reboot.timeout() {
        let message = format!("the node has rebooted, but is not Ready {}", within(place));
        return place.fail(Reason::NotRebooted, &message);
    }
    let message = match node.ready {
        true => format!("the node has rebooted; it must stay Ready until {} seconds after that", reboot.ready()),
        false => "the node has rebooted; it is not Ready yet".into(),
    };
    place.stay(Reason::Verifying, &message)
}

/// A boot id that is new is recorded before anything is made of it. `stepSince` speaks of this boot, `reasonSince` of the
/// first one, so that a node which boots again and again comes to an end.
fn verify_anew(place: &Place<'_, '_>, now: &str) -> Advance {
    let mut advance = place.go(NodeStep::Verifying, NodePhase::Running, Reason::Verifying, "the node has rebooted");
    if let Some(entry) = advance.entry.as_mut().map(Arc::make_mut) {
        entry.new_boot_id = Some(now.to_string());
        entry.step_since = Some(Time(place.op.now()));
        entry.last_updated = Some(Time(place.op.now()));
    }
    advance
}

/// The boot id that the pod of the command has told.
fn told(place: &Place<'_, '_>) -> Option<String> {
    let pods = place.op.pods_of(place.entry.job_uid.as_deref().unwrap_or_default(), place.name);
    let succeeded = pods.iter().filter(|pod| verdict::command_exit(pod).is_some_and(|exit| exit.code == 0));
    let mut containers = succeeded.flat_map(|pod| &pod.containers).filter(|container| container.name == names::CONTAINER_SENTINEL);
    containers.find_map(|container| {
        let exit = verdict::exit(container).filter(|exit| exit.code == 0)?;
        boot_id(&exit.message)
    })
}

/// A text that can be a boot id: a UUID, or whatever word a kernel may come to use.
pub(crate) fn boot_id(text: &str) -> Option<String> {
    let text = text.trim();
    let word = !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    word.then(|| text.to_string())
}

fn is_late(place: &Place<'_, '_>) -> bool {
    place.op.seconds_since(place.entry.step_since.as_ref()) > place.op.rollout.reboot().timeout()
}

fn within(place: &Place<'_, '_>) -> String {
    format!("within {} seconds (rollout.reboot.timeoutSeconds)", place.op.rollout.reboot().timeout())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_word_is_a_boot_id() {
        let id = "1c9a4f0e-7a34-4be0-9c0e-6f3a7d2b9f11";
        assert_eq!(boot_id(&format!("{id}\n")).as_deref(), Some(id));
        for text in ["", " ", "two words", "\u{1b}[2J", "a\nb", &"a".repeat(65), "é"] {
            assert_eq!(boot_id(text), None, "{text:?}");
        }
    }
}
