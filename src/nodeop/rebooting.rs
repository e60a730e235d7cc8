//! A reboot that the existing operator has prepared: its pod on the node reboots by itself once the command has succeeded.
//! It is awaited and named; Rounds neither begins nor repeats it.

use super::adopt::{REBOOT_COMPLETED, REBOOT_PENDING};
use super::api::{NodePhase, NodeStatus, NodeStep};
use super::place::{Advance, Place};
use crate::names;
use crate::reason::Reason;
use crate::snapshot::views::{Node, Pod};

/// Whether a reboot by the existing operator follows the command.
pub fn follows(entry: &NodeStatus) -> bool {
    entry.reboot_status.as_deref() == Some(REBOOT_PENDING)
}

/// The command succeeded; the reboot is awaited.
pub fn begin(place: &Place<'_, '_>) -> Advance {
    place.go(NodeStep::Rebooting, NodePhase::Running, Reason::Rebooting, "the command succeeded; the node is to reboot")
}

/// Decides the next step of a node that reboots.
pub fn advance<'a>(place: &Place<'_, 'a>, node: &'a Node) -> Advance {
    let pods: Vec<&Pod> = place.op.pods().filter(|pod| pod.node == place.name && is_reboot(pod)).collect();
    if pods.iter().any(|pod| pod.rebooted && pod.phase == "Succeeded") {
        return match node.ready {
            true => rebooted(place),
            // It tells of the reboot before it reboots.
            false => place.stay(Reason::Rebooting, "the node is not Ready after its reboot"),
        };
    }
    let begun = "the command succeeded";
    match pods.iter().find(|pod| !pod.is_terminal()) {
        Some(pod) if place.timed_out() => place
            .fail(Reason::NotRebooted, &format!("{begun}, but pod {} has not rebooted the node; {}", pod.name, place.timeout_message())),
        Some(pod) => place.stay(Reason::Rebooting, &format!("{begun}; pod {} of the existing operator is to reboot the node", pod.name)),
        None => {
            let message = format!("{begun}, but the existing operator's reboot pod is gone: whether the node has rebooted is not known");
            place.fail(Reason::NotRebooted, &message)
        }
    }
}

/// Whether a pod is one that reboots a node.
pub fn is_reboot(pod: &Pod) -> bool {
    pod.labels.contains_key(names::LABEL_REBOOT)
}

fn rebooted(place: &Place<'_, '_>) -> Advance {
    let mut advance = place.settle(NodePhase::Completed, Reason::Succeeded, "Job and reboot completed successfully");
    if let Some(entry) = &mut advance.entry {
        entry.reboot_status = Some(REBOOT_COMPLETED.into());
    }
    advance
}
