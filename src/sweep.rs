//! Releases nodes that a deleted resource has left locked or cordoned.

use std::collections::BTreeMap;

use crate::names;
use crate::nodeop::jobs::KIND;
use crate::plan::{Action, Decision, NodeApply, Step};
use crate::reason::Reason;
use crate::settings::Settings;
use crate::snapshot::views::{Holder, Node};
use crate::snapshot::{Reference, Snapshot};

/// One decision per node that somebody who is gone still holds.
pub fn decide(snapshot: &Snapshot, settings: &Settings) -> Vec<Decision> {
    snapshot.nodes.values().filter_map(|node| orphan(snapshot, settings, node)).collect()
}

fn orphan(snapshot: &Snapshot, settings: &Settings, node: &Node) -> Option<Decision> {
    let holder = [&node.lock, &node.cordoned_by].into_iter().flatten().find(|holder| is_gone(snapshot, settings, holder))?;
    let uid = holder.uid();
    let subject = Reference::new("Node", "", &node.name, &node.uid);
    let mut decision = Decision {
        subject: subject.clone(),
        reason: Reason::Orphaned,
        message: format!("{} is gone and still holds the node", holder.path()),
        settled: false,
        failed: false,
        status: None,
        steps: Vec::new(),
        nodes: BTreeMap::new(),
    };
    if is_busy(snapshot, uid, &node.name) {
        decision.message = format!("{}; what it ran on the node has not ended yet", decision.message);
        return Some(decision);
    }
    let apply = NodeApply {
        node: subject.clone(),
        resource_version: node.resource_version.clone(),
        manager: names::node_manager(uid),
        ..NodeApply::default()
    };
    let message = "give the node back".to_string();
    decision.steps.push(Step { subject, reason: Reason::Orphaned, message, actions: vec![Action::ApplyNode(apply)] });
    Some(decision)
}

/// Whether a lock was put on by us for a resource that a GET confirmed to be gone. What another field manager wrote
/// there is not given up by us: an apply without the fields gives up only what its own manager owns.
fn is_gone(snapshot: &Snapshot, settings: &Settings, holder: &Holder) -> bool {
    let Some((namespace, name, uid)) = holder.parts() else { return false };
    settings.acts_on(namespace)
        && holder.manager == names::node_manager(uid)
        && !snapshot.nodeops.iter().any(|op| op.meta.uid == uid)
        && snapshot.is_absent(&Reference::new(KIND, namespace, name, uid))
}

/// Whether a Job or Pod of a resource that is gone may still do something on a node.
fn is_busy(snapshot: &Snapshot, uid: &str, node: &str) -> bool {
    let pods =
        snapshot.pods.iter().filter(|pod| pod.node == node && pod.labels.get(names::LABEL_OWNER_UID).is_some_and(|owner| owner == uid));
    let jobs = snapshot.jobs.iter().filter(|job| job.node == node && job.owner.as_ref().is_some_and(|owner| owner.uid == uid));
    pods.into_iter().any(|pod| !pod.is_terminal()) || jobs.into_iter().any(|job| !job.suspended && !job.is_finished())
}
