//! What an upgrade says to the NodeOp that it has made: nothing new is started for one that is going, and of two upgrades
//! over one node, the one that was created later has it.

use std::collections::BTreeMap;

use super::api::KIND;
use super::child::{Child, Upgrade};
use super::decide::is_idle;
use crate::nodeop::terms::Terms;
use crate::plan::NodeReason;
use crate::reason::Reason;
use crate::snapshot::{Meta, Snapshot};

/// The upgrade that has made a NodeOp, if one has and is there.
pub fn upgrade_of<'a>(snapshot: &'a Snapshot, child: &Meta) -> Option<&'a Upgrade> {
    let owner = child.owner.as_ref().filter(|owner| owner.kind == KIND)?;
    snapshot.upgrades.iter().find(|upgrade| upgrade.meta.uid == owner.uid && upgrade.meta.namespace == child.namespace)
}

/// On what terms a NodeOp goes on.
pub fn terms<'a>(snapshot: &'a Snapshot, child: &Child) -> Terms<'a> {
    let Some(owner) = child.meta.owner.as_ref().filter(|owner| owner.kind == KIND) else { return Terms::default() };
    let closed = |message: &str| {
        let message = format!("NodeOpUpgrade {}, which has made it, {message}: nothing new is started", owner.name);
        Terms { closed: Some(NodeReason { reason: Reason::Deleting, message }), ..Terms::default() }
    };
    match upgrade_of(snapshot, &child.meta) {
        Some(upgrade) if upgrade.meta.deleting => closed("is being deleted"),
        Some(upgrade) => Terms { left: left(snapshot, upgrade), ..Terms::default() },
        // It is there, but cannot be read: what it has made is what it wanted when it could.
        None if snapshot.unreadable.iter().any(|one| one.what.uid == owner.uid) => Terms::default(),
        None => closed("is gone"),
    }
}

/// The nodes that a later upgrade takes.
fn left<'a>(snapshot: &'a Snapshot, upgrade: &Upgrade) -> BTreeMap<&'a str, NodeReason> {
    let covers = |other: &&Upgrade| {
        (other.spec.upgrades_active() || !upgrade.spec.upgrades_active())
            && (other.spec.upgrades_recovery() || !upgrade.spec.upgrades_recovery())
    };
    let later = |other: &&Upgrade| other.meta.order() > upgrade.meta.order() && !is_idle(snapshot, other);
    let mut later: Vec<&Upgrade> = snapshot.upgrades.iter().filter(covers).filter(later).collect();
    // Of several, the last one is named.
    later.sort_by_key(|other| other.meta.order());
    let mut left = BTreeMap::new();
    for other in later {
        let message = format!("NodeOpUpgrade {}, which was created later, upgrades it", other.meta.path());
        let why = NodeReason { reason: Reason::SupersededBy, message };
        let selected = |labels| other.spec.node_selector.as_ref().is_none_or(|selector| selector.matches(labels));
        let nodes = snapshot.nodes.values().filter(|node| selected(&node.labels));
        left.extend(nodes.map(|node| (node.name.as_str(), why.clone())));
    }
    left
}
