//! What a channel says to the NodeOps that come of it: nothing new is started while it polls, is parked, has no slots, or is
//! going; nodes that run the version already are passed over; and of its two kinds of nodes, one is updated at a time, so
//! that both share the slots: the k3OS nodes first.
//!
//! Two rounds that see different nodes may each take one, in either way: the two NodeOps have two statuses, and none of them
//! guards the other. But nothing on a node is moved or run before another round has seen that it is taken, and that round sees
//! what the other way has taken as well: then both are let go of, and one is taken again.

use super::Channel;
use super::api::KIND;
use super::nodes::{Fleet, Kind, runs};
use super::poll::{self, Wants};
use super::{decide, kairos};
use crate::nodeop::terms::Terms;
use crate::plan::NodeReason;
use crate::reason::Reason;
use crate::rollout::window::{self, WindowState};
use crate::snapshot::views::Owner;
use crate::snapshot::{Meta, Snapshot};
use crate::upgrade::bond::upgrade_of;
use crate::upgrade::child::Child;

/// The channel that owns a NodeOp, directly or by way of an upgrade, and what kind of nodes it updates.
fn owner_of<'a>(snapshot: &'a Snapshot, child: &'a Meta) -> Option<(&'a Owner, Kind)> {
    let is_channel = |owner: &&Owner| owner.kind == KIND;
    if let Some(owner) = child.owner.as_ref().filter(is_channel) {
        return Some((owner, Kind::K3os));
    }
    let upgrade = upgrade_of(snapshot, child)?;
    upgrade.meta.owner.as_ref().filter(is_channel).map(|owner| (owner, Kind::Kairos))
}

/// The channel that a NodeOp came of, if one has made it and is there.
pub fn channel_of<'a>(snapshot: &'a Snapshot, child: &'a Meta) -> Option<&'a Channel> {
    let (owner, _) = owner_of(snapshot, child)?;
    snapshot.channels.iter().find(|channel| channel.meta.uid == owner.uid && channel.meta.namespace == child.namespace)
}

/// Adds to the terms of a NodeOp what the channel says that it came of.
pub fn add<'a>(snapshot: &'a Snapshot, child: &'a Child, terms: &mut Terms<'a>) {
    let Some((owner, kind)) = owner_of(snapshot, &child.meta) else { return };
    let close = |reason: Reason, message: String| {
        let message = format!("UpdateChannel {}, of which it came, {message}: nothing new is started", owner.name);
        Some(NodeReason::new(reason, message))
    };
    let Some(channel) = channel_of(snapshot, &child.meta) else {
        // It is there, but cannot be read: what it has made is what it wanted when it could.
        if !snapshot.unreadable.iter().any(|one| one.what.uid == owner.uid) {
            terms.closed = terms.closed.take().or_else(|| close(Reason::Deleting, "is gone".into()));
        }
        return;
    };
    let fleet = Fleet::of(snapshot, channel);
    let closed = closed(snapshot, channel, &fleet, kind).and_then(|(reason, message)| close(reason, message));
    terms.closed = terms.closed.take().or(closed);
    let Ok(Some(version)) = decide::target(channel) else { return };
    for node in fleet.nodes_of(kind).iter().filter(|node| runs(node, &version)) {
        let why = NodeReason::new(Reason::UpToDate, format!("it runs {version} already"));
        terms.left.entry(node.name.as_str()).or_insert(why);
    }
}

/// Whether it is suspended, or outside of its windows.
fn is_shut(snapshot: &Snapshot, channel: &Channel) -> bool {
    let rollout = channel.spec.rollout.clone().unwrap_or_default();
    rollout.suspend.unwrap_or(false) || matches!(window::state(&rollout.windows, snapshot.now), Ok(WindowState::Closed(_)))
}

/// Why nothing is to be started, if so.
fn closed(snapshot: &Snapshot, channel: &Channel, fleet: &Fleet<'_>, kind: Kind) -> Option<(Reason, String)> {
    if channel.meta.deleting {
        return Some((Reason::Deleting, "is being deleted".into()));
    }
    if channel.spec.slots() < 1 {
        return Some((Reason::NoSlots, "has no slots (spec.concurrency is 0)".into()));
    }
    match poll::wants(snapshot, channel, fleet) {
        // What starts nothing anyway has no need to say so for the moment that a poll takes.
        _ if is_shut(snapshot, channel) => {}
        Wants::Claim | Wants::Ask => return Some((Reason::Polling, "asks its url for versions".into())),
        Wants::Held(who) => return Some((Reason::Polling, format!("is being polled by {who}"))),
        Wants::Nothing => {}
    }
    let version = match decide::target(channel) {
        Ok(Some(version)) => version,
        Ok(None) => return Some((Reason::NoVersion, "knows no version yet".into())),
        Err(message) => return Some((Reason::InvalidSpec, format!("cannot be carried out ({message})"))),
    };
    if kind == Kind::Kairos {
        if channel.spec.image().is_none() {
            return Some((Reason::InvalidSpec, "names no image any more".into()));
        }
        if let Err(message) = kairos::spec(channel, &version) {
            return Some((Reason::InvalidSpec, format!("cannot be carried out ({message})")));
        }
    }
    if let Some(message) = decide::downgrade(channel, fleet, &version) {
        return Some((Reason::Downgrade, format!("is parked ({message})")));
    }
    if fleet.version_of(kind) != Some(&version) {
        return Some((Reason::Updating, format!("wants {version} now, and has not changed it yet")));
    }
    let other = if kind == Kind::K3os { Kind::Kairos } else { Kind::K3os };
    if let Some(node) = fleet.flying(other).next() {
        return Some((Reason::WaitingForOther, format!("is updating node {node} in the other of its two ways")));
    }
    // Who is not Ready is started by nobody, and must not keep the others waiting.
    let first = fleet.open(Kind::K3os, &version).find(|node| kind == Kind::Kairos && node.ready);
    first.map(|node| (Reason::WaitingForOther, format!("updates its k3OS nodes first, and {} is still to come", node.name)))
}
