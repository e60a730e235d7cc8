//! What an upgrade says to the NodeOp that it has made: nothing new is started for one that is going, and of two upgrades
//! over one node, the one that was created later has it.

use std::collections::BTreeMap;

use super::api::KIND;
use super::child::{Child, Upgrade};
use super::decide::is_idle;
use crate::nodeop::terms::Terms;
use crate::plan::NodeReason;
use crate::reason::Reason;
use crate::rollout::window::{self, WindowState};
use crate::settings::Settings;
use crate::snapshot::{Meta, Snapshot};

/// The upgrade that has made a NodeOp, if one has and is there.
pub fn upgrade_of<'a>(snapshot: &'a Snapshot, child: &Meta) -> Option<&'a Upgrade> {
    let owner = child.owner.as_ref().filter(|owner| owner.kind == KIND)?;
    snapshot.upgrades.iter().find(|upgrade| upgrade.meta.uid == owner.uid && upgrade.meta.namespace == child.namespace)
}

/// On what terms a NodeOp goes on.
pub fn terms<'a>(snapshot: &'a Snapshot, settings: &Settings, child: &Child) -> Terms<'a> {
    let Some(owner) = child.meta.owner.as_ref().filter(|owner| owner.kind == KIND) else { return Terms::default() };
    let closed = |message: &str| {
        let message = format!("NodeOpUpgrade {}, which has made it, {message}: nothing new is started", owner.name);
        Terms { closed: Some(NodeReason::new(Reason::Deleting, message)), ..Terms::default() }
    };
    match upgrade_of(snapshot, &child.meta) {
        Some(upgrade) if upgrade.meta.deleting => closed("is being deleted"),
        Some(upgrade) => Terms { left: left(snapshot, settings, upgrade), ..Terms::default() },
        // It is there, but cannot be read: what it has made is what it wanted when it could.
        None if snapshot.unreadable.iter().any(|one| one.what.uid == owner.uid) => Terms::default(),
        None => closed("is gone"),
    }
}

/// The nodes that a later upgrade takes. One that has taken none yet, and may not for now, takes nothing from an older one;
/// what one that was stopped midway has upgraded would be set back by that.
fn left<'a>(snapshot: &'a Snapshot, settings: &Settings, upgrade: &Upgrade) -> BTreeMap<&'a str, NodeReason> {
    let covers = |other: &&Upgrade| {
        (other.spec.upgrades_active() || !upgrade.spec.upgrades_active())
            && (other.spec.upgrades_recovery() || !upgrade.spec.upgrades_recovery())
    };
    let later = |other: &&Upgrade| {
        other.meta.order() > upgrade.meta.order() && !is_idle(snapshot, other) && (has_begun(other) || may_begin(snapshot, settings, other))
    };
    let mut later: Vec<&Upgrade> = snapshot.upgrades.iter().filter(covers).filter(later).collect();
    // Of several, the last one is named.
    later.sort_by_key(|other| other.meta.order());
    let mut left = BTreeMap::new();
    for other in later {
        let message = format!("NodeOpUpgrade {}, which was created later, upgrades it", other.meta.path());
        let why = NodeReason::new(Reason::SupersededBy, message);
        let selected = |labels| other.spec.node_selector.as_ref().is_none_or(|selector| selector.matches(labels));
        let nodes = snapshot.nodes.values().filter(|node| selected(&node.labels));
        left.extend(nodes.map(|node| (node.name.as_str(), why.clone())));
    }
    left
}

fn has_begun(upgrade: &Upgrade) -> bool {
    !upgrade.status.node_statuses.is_empty()
}

/// Whether an upgrade may take nodes now: it is not suspended, one of its windows is open, and this runner acts on it. Who may
/// only write where nobody acts must not bring other people's upgrades to their end.
fn may_begin(snapshot: &Snapshot, settings: &Settings, upgrade: &Upgrade) -> bool {
    let rollout = upgrade.spec.rollout.clone().unwrap_or_default();
    let is_open = matches!(window::state(&rollout.windows, snapshot.now), Ok(WindowState::Open(_)));
    settings.acts_on(&upgrade.meta.namespace) && is_open && !rollout.suspend.unwrap_or(false)
}
