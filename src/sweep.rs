//! Releases nodes that a deleted resource has left locked or cordoned. [`all`]: gives everything back, because a person said so.

pub mod all;
pub mod ours;

use std::collections::{BTreeMap, HashSet};

use crate::mutant::Mutant;
use crate::names;
use crate::nodeop::{jobs::KIND, release};
use crate::plan::{Action, Decision, NodeApply, Step};
use crate::reason::Reason;
use crate::settings::Settings;
use crate::snapshot::views::{Holder, Node, Pod};
use crate::snapshot::{Reference, Snapshot};

/// One decision per node that somebody who is gone still holds.
pub fn decide(snapshot: &Snapshot, settings: &Settings) -> Vec<Decision> {
    // Whoever is there keeps what it holds; of thousands of locks nearly all are theirs.
    let living: HashSet<String> = snapshot.nodeops.iter().map(|op| op.meta.holder()).collect();
    let is_living = |holder: &Option<Holder>| holder.as_ref().is_none_or(|holder| living.contains(&holder.value));
    let left =
        snapshot.nodes.values().filter(|node| Mutant::SweepAnything.lives() || !is_living(&node.lock) || !is_living(&node.cordoned_by));
    left.filter_map(|node| orphan(snapshot, settings, node)).collect()
}

fn orphan(snapshot: &Snapshot, settings: &Settings, node: &Node) -> Option<Decision> {
    // What a person wants to keep cordoned stays so, and with the mark that tells why.
    let kept = node.cordoned_by.as_ref().filter(|_| node.keep_cordoned && node.unschedulable);
    let cordon = node.cordoned_by.as_ref().filter(|_| kept.is_none());
    // The existing operator takes no locks: what stands there under its name is not its own.
    let lock = node.lock.as_ref().filter(|lock| lock.is_ours());
    let foreign = node.foreign_mark().is_some() && snapshot.lease.is_none();
    let cordon = cordon.filter(|cordon| foreign || cordon.is_ours());
    let holder = [lock, cordon].into_iter().flatten().find(|holder| is_gone(snapshot, settings, holder))?;
    let (namespace, _, uid) = holder.parts()?;
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
    if is_busy(snapshot, namespace, uid, &node.name) {
        decision.message = format!("{}; what it ran on the node has not ended yet", decision.message);
        return Some(decision);
    }
    let message = "give the node back".to_string();
    if holder.manager == names::FOREIGN_MANAGER {
        let actions = vec![release::take_over(node)];
        decision.steps.push(Step { subject, reason: Reason::Orphaned, message, actions });
        return Some(decision);
    }
    let apply = NodeApply {
        node: subject.clone(),
        resource_version: node.resource_version.clone(),
        manager: names::node_manager(uid),
        cordon: kept.filter(|kept| kept.uid() == uid).map(|kept| kept.value.clone()),
        ..NodeApply::default()
    };
    decision.steps.push(Step { subject, reason: Reason::Orphaned, message, actions: vec![Action::ApplyNode(apply)] });
    Some(decision)
}

/// Whether a GET confirmed that the resource is gone.
fn is_gone(snapshot: &Snapshot, settings: &Settings, holder: &Holder) -> bool {
    let Some((namespace, name, uid)) = holder.parts() else { return false };
    settings.acts_on(namespace)
        && (Mutant::SweepAnything.lives() || !snapshot.nodeops.iter().any(|op| op.meta.uid == uid))
        && (Mutant::SweepAnything.lives() || snapshot.is_absent(&Reference::new(KIND, namespace, name, uid)))
}

/// Whether a Job or Pod of a resource that is gone may still do something on a node. It can only have been in the
/// resource's own namespace; what others write into theirs holds nothing back.
fn is_busy(snapshot: &Snapshot, namespace: &str, uid: &str, node: &str) -> bool {
    let pods = snapshot.pods.iter().filter(|pod| pod.node == node && pod.namespace == namespace);
    let owned = |pod: &&Pod| pod.owner.as_ref().is_some_and(|owner| owner.uid == uid);
    let pods = pods.filter(|pod| owned(pod) || pod.labels.get(names::LABEL_OWNER_UID).is_some_and(|owner| owner == uid));
    let jobs = snapshot.jobs.iter().filter(|job| job.node == node && job.namespace == namespace);
    let jobs = jobs.filter(|job| job.owner.as_ref().is_some_and(|owner| owner.uid == uid));
    pods.into_iter().any(|pod| !pod.is_terminal()) || jobs.into_iter().any(|job| !job.held && !job.is_finished())
}
