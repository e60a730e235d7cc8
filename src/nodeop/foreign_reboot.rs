//! A reboot that the existing operator has prepared: its pod on the node reboots by itself once the command has succeeded.
//! It is awaited and named; Rounds neither begins nor repeats it.

use super::place::{Advance, Place};
use super::rebooting::{is_reboot, rebooted};
use crate::reason::Reason;
use crate::snapshot::views::{Node, Pod};

/// Whether the Job that the claim names is the existing operator's, and the reboot that follows it as well: the Jobs of
/// Rounds have names that can be derived.
pub fn is_awaited<'a>(place: &Place<'_, 'a>, node: &'a Node) -> bool {
    place.entry.job_name.as_ref().is_none_or(|name| *name != place.op.claim(node, place.entry).job_name())
}

/// Decides the next step of a node that reboots.
pub fn advance<'a>(place: &Place<'_, 'a>, node: &'a Node) -> Advance {
    let pods: Vec<&Pod> = place.op.pods().filter(|pod| pod.node == place.name && is_reboot(pod)).collect();
    if pods.iter().any(|pod| pod.rebooted && pod.phase == "Succeeded") {
        return match node.ready {
            true => rebooted(place, None),
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
