//! Takes the lock, and the cordon with it, off nodes that the operation is done with.
//!
//! Nothing about this is stored: a node that carries our lock or cordon without a claim that needs it is released,
//! whatever led there.

use super::api::{NodePhase, NodeStatus, NodeStep};
use super::operation::Operation;
use crate::mutant::Mutant;
use crate::plan::{Action, NodeApply, Step, TakeOver};
use crate::reason::Reason;
use crate::snapshot::Reference;
use crate::snapshot::views::Node;

/// The step that releases a node, if there is something to release and nothing of the operation runs there any more.
pub fn step(op: &Operation<'_>, node: &Node, entry: Option<&NodeStatus>) -> Option<Step> {
    let held = entry.is_some_and(|entry| entry.step.is_some_and(|step| step < NodeStep::Releasing));
    let busy = || op.has_live_pod(&node.name) || op.has_live_job(&node.name);
    let kept = Mutant::KeepFailed.lives() && entry.is_some_and(|entry| entry.phase == NodePhase::Failed);
    if (held || busy()) && !Mutant::ReleaseTooEarly.lives() || kept {
        return None;
    }
    if is_released(op, node, entry) {
        let left = left_by_foreign(op, node) && !keeps_cordon(op, node, entry);
        return left.then(|| op.step(&node.name, Reason::Releasing, "give back what the existing operator has left", take_over(node)));
    }
    let keep = keeps_cordon(op, node, entry);
    if Mutant::NoOwnership.lives() && !keep && node.unschedulable {
        let take = TakeOver {
            node: Reference::new("Node", "", &node.name, &node.uid),
            resource_version: node.resource_version.clone(),
            uncordon: true,
        };
        return Some(op.step(&node.name, Reason::Releasing, "let go of the node", Action::TakeOver(take)));
    }
    let apply = NodeApply {
        node: Reference::new("Node", "", &node.name, &node.uid),
        resource_version: node.resource_version.clone(),
        manager: op.manager().to_string(),
        lock: None,
        cordon: keep.then(|| op.holder().to_string()),
        ..NodeApply::default()
    };
    let message = if keep { "let go of the node, which stays cordoned" } else { "let go of the node" };
    Some(op.step(&node.name, Reason::Releasing, message, Action::ApplyNode(apply)))
}

/// Takes the existing operator's mark off a node, and its cordon where nobody else has cordoned the node.
pub fn take_over(node: &Node) -> Action {
    Action::TakeOver(TakeOver {
        node: Reference::new("Node", "", &node.name, &node.uid),
        resource_version: node.resource_version.clone(),
        uncordon: node.is_cordoned_by_foreign_only(),
    })
}

/// Whether nothing of ours is on the node that is not to stay there. What stands under another field manager (a person
/// copied it, or the existing operator put it there) is not ours to give up by an apply.
pub fn is_released(op: &Operation<'_>, node: &Node, entry: Option<&NodeStatus>) -> bool {
    let ours = |holder: &crate::snapshot::views::Holder| holder.manager.is_empty() || holder.manager == op.manager();
    let lock = op.locks(node) && node.lock.as_ref().is_some_and(ours);
    let cordon = op.has_cordoned(node) && node.cordoned_by.as_ref().is_some_and(ours);
    !lock && (!cordon || keeps_cordon(op, node, entry))
}

/// Whether the existing operator has left its mark on the node for this operation, and is not at work any more.
fn left_by_foreign(op: &Operation<'_>, node: &Node) -> bool {
    op.has_cordoned(node) && node.foreign_mark().is_some() && op.snapshot.lease.is_none()
}

/// Whether the cordon outlives the operation: the command failed and the user did not ask for uncordonOnFailure, or a
/// person asked to keep it. Where nothing ran, the node is given back as it was.
fn keeps_cordon(op: &Operation<'_>, node: &Node, entry: Option<&NodeStatus>) -> bool {
    if !op.has_cordoned(node) || !node.unschedulable {
        return false;
    }
    if node.keep_cordoned {
        return true;
    }
    let ran = |entry: &NodeStatus| {
        // Compact entries name no Job, but where the time was up: there it tells whether there was one.
        entry.is_because(Reason::CommandFailed)
            || entry.is_because(Reason::JobLost)
            || entry.is_because(Reason::NotRebooted)
            || entry.is_because(Reason::WrongVersion)
            || entry.is_because(Reason::FallbackBoot)
            || entry.is_because(Reason::NodeTimeout) && entry.job_name.is_some()
    };
    let failed = entry.is_some_and(|entry| entry.phase == NodePhase::Failed && ran(entry));
    failed && op.spec.cordons() && !op.spec.uncordon_on_failure.unwrap_or(false)
}
