//! What a channel needs now: its URL asked, what updates its nodes made or changed, and a status that says where it stands.

use std::collections::BTreeMap;

use super::api::{API_VERSION, DEFINITION, KIND, UpdateChannelStatus};
use super::nodes::{Fleet, Kind, Named, newer};
use super::poll::{self, Wants};
use super::status::{self, Standing};
use super::{Channel, answer, events, k3os, kairos};
use crate::crds;
use crate::nodeop::{self, jobs};
use crate::plan::{Action, Decision, StatusWrite, Step};
use crate::reason::Reason;
use crate::resolve::order::{compare, parse};
use crate::settings::Settings;
use crate::snapshot::{Meta, Reference, Snapshot};
use crate::upgrade;

/// Decides one channel.
pub fn decide(snapshot: &Snapshot, settings: &Settings, channel: &Channel) -> Decision {
    let meta = &channel.meta;
    if let Some(message) = meta.waits_for_operator(KIND) {
        return untouched(meta, Reason::Deleting, &message);
    }
    if meta.deleting {
        return untouched(meta, Reason::Deleting, "it is being deleted, and what it has made goes with it; nothing new is started");
    }
    if meta.moved {
        return untouched(meta, Reason::Moved, "it changed while the round was looking");
    }
    if [DEFINITION, upgrade::api::DEFINITION, nodeop::api::DEFINITION].iter().any(|definition| snapshot.older.contains(*definition)) {
        let message = format!("an installed CustomResourceDefinition is an older one; install this version's: {}", crds::INSTALL);
        return Decision { settled: true, failed: true, ..untouched(meta, Reason::OlderDefinition, &message) };
    }
    let fleet = Fleet::of(snapshot, channel).with_awaited(snapshot, settings, channel);
    let polling = || Standing::polling(&fleet, channel, format!("{} is being asked for versions", url(channel)));
    match poll::wants(snapshot, channel, &fleet) {
        Wants::Nothing => settle(snapshot, channel, &fleet),
        Wants::Ask => untouched(meta, Reason::Polling, &format!("{} is due to be asked for versions", url(channel))),
        Wants::Claim => {
            let mut next = channel.status.clone();
            poll::claim(&mut next, snapshot.now);
            conclude(snapshot, channel, &fleet, next, &polling(), None)
        }
        Wants::Held(_) => conclude(snapshot, channel, &fleet, channel.status.clone(), &polling(), None),
    }
}

/// The version that nodes are to run; None: it is not known yet.
///
/// # Errors
/// What is wrong with what the channel says.
pub fn target(channel: &Channel) -> Result<Option<String>, String> {
    if let Some(version) = channel.spec.pinned() {
        return Ok(Some(version.to_string()));
    }
    poll::check(&channel.spec)?;
    Ok(poll::stands(&channel.spec, &channel.status))
}

/// Why a version is not to be installed, if it is older than what was brought to the nodes before, or than what they run.
pub fn downgrade(channel: &Channel, fleet: &Fleet<'_>, version: &str) -> Option<String> {
    let wanted = parse(version).filter(|_| !channel.spec.allows_downgrade())?;
    let remedy = "set rollout.allowDowngrade: true to install it all the same";
    let source = if channel.spec.pinned().is_some() { "spec.version" } else { url(channel) };
    let stands = [Kind::K3os, Kind::Kairos].into_iter().filter_map(|kind| fleet.version_of(kind));
    let mut newer_ones = stands.filter(|stands| parse(stands).is_some_and(|stands| compare(&stands, &wanted).is_gt()));
    if let Some(stands) = newer_ones.next() {
        return Some(format!("{source} names {version}, which is older than {stands}, the version that stands; {remedy}"));
    }
    let (node, runs) = fleet.k3os.iter().chain(&fleet.kairos).find_map(|node| Some((node, newer(node, version)?)))?;
    Some(format!("{source} names {version}, which is older than {runs}, the version that node {} runs; {remedy}", node.name))
}

/// Nothing is to be asked, or the answer is there: the nodes are brought to the version.
fn settle(snapshot: &Snapshot, channel: &Channel, fleet: &Fleet<'_>) -> Decision {
    let mut next = channel.status.clone();
    if let Some(told) = snapshot.answers.get(&channel.meta.uid) {
        answer::note(channel, &mut next, told, snapshot.now);
    }
    if channel.spec.pinned().is_some() {
        next.conditions.retain(|condition| condition.type_ != poll::POLLED);
    }
    // Nobody polls: whoever has said so has died, or was none of us.
    if channel.spec.pinned().is_some() || poll::is_stale(&next, snapshot.now) {
        (next.polling, next.polling_since) = (None, None);
    }
    let known = Channel { status: next.clone(), meta: channel.meta.clone(), spec: channel.spec.clone() };
    let version = match target(&known) {
        Ok(Some(version)) => version,
        Ok(None) => {
            let standing = Standing::unknown(&known, poll::left_alone(snapshot, &known));
            return conclude(snapshot, channel, fleet, next, &standing, None);
        }
        Err(message) => return conclude(snapshot, channel, fleet, next, &Standing::stalled(Reason::InvalidSpec, message), None),
    };
    let slots = channel.spec.slots();
    if let Some(message) = downgrade(&known, fleet, &version) {
        return conclude(snapshot, channel, fleet, next, &Standing::stalled(Reason::Downgrade, message), None);
    }
    let (standing, action) = match work(&known, fleet, &version) {
        Err(standing) => (standing, None),
        Ok(action) if slots < 1 => {
            let is_done = action.is_none() && fleet.slots().is_empty();
            let idle = || Standing::idle(Reason::NoSlots, format!("spec.concurrency is 0, so that no node is brought to {version}"));
            (Some(status::standing(fleet, &version)).filter(|standing| is_done && standing.is_current()).unwrap_or_else(idle), None)
        }
        Ok(Some((what, action))) => {
            (Standing::underway(what, format!("{} to bring the nodes to {version}", step_message(&action))), Some(action))
        }
        Ok(None) => (status::standing(fleet, &version), None),
    };
    conclude(snapshot, channel, fleet, next, &standing, action)
}

/// What is to be made or changed so that nodes are brought to the version: for k3OS nodes first.
fn work(channel: &Channel, fleet: &Fleet<'_>, version: &str) -> Result<Option<(Reason, Action)>, Standing> {
    if let Some(action) = for_k3os(channel, fleet, version)? {
        return Ok(Some(action));
    }
    for_kairos(channel, fleet, version)
}

fn for_k3os(channel: &Channel, fleet: &Fleet<'_>, version: &str) -> Result<Option<(Reason, Action)>, Standing> {
    let open = fleet.open(Kind::K3os, version).next().is_some();
    match &fleet.op {
        Named::Nobody if open => Ok(Some((Reason::Creating, Action::Create { object: k3os::object(channel, version) }))),
        Named::Own(op) if open || fleet.version_of(Kind::K3os).is_some_and(|brings| brings == version) => {
            let what = Reference::new(jobs::KIND, &op.meta.namespace, &op.meta.name, &op.meta.uid);
            Ok(k3os::edit(channel, version, op).map(|patch| (Reason::Updating, Action::Patch { what, patch })))
        }
        named => hindered(named, open, jobs::KIND, &k3os::name(&channel.meta.name)),
    }
}

fn for_kairos(channel: &Channel, fleet: &Fleet<'_>, version: &str) -> Result<Option<(Reason, Action)>, Standing> {
    if fleet.kairos.is_empty() && fleet.upgrade.own().is_none() {
        return Ok(None);
    }
    if channel.spec.image().is_none() {
        return Ok(None);
    }
    let spec = kairos::spec(channel, version).map_err(|message| Standing::stalled(Reason::InvalidSpec, message))?;
    let open = fleet.open(Kind::Kairos, version).next().is_some();
    match &fleet.upgrade {
        Named::Nobody if open => Ok(Some((Reason::Creating, Action::Create { object: kairos::object(channel, version, &spec) }))),
        Named::Own(own) if open || fleet.version_of(Kind::Kairos).is_some_and(|brings| brings == version) => {
            let what = Reference::new(upgrade::api::KIND, &own.meta.namespace, &own.meta.name, &own.meta.uid);
            Ok(kairos::edit(channel, version, &spec, own).map(|patch| (Reason::Updating, Action::Patch { what, patch })))
        }
        named => hindered(named, open, upgrade::api::KIND, &channel.meta.name),
    }
}

/// What is in the way of making something, where something is to be made.
fn hindered<T>(named: &Named<'_, T>, open: bool, kind: &str, name: &str) -> Result<Option<(Reason, Action)>, Standing> {
    match named {
        Named::Leaving(why) if open => Err(Standing::underway(Reason::Creating, why.clone())),
        Named::Foreign(whose) if open => {
            let message = format!(
                "there is a {kind} {name} already, which {whose}; a channel makes one of that name: rename the channel, or delete that {kind}"
            );
            Err(Standing::stalled(Reason::NameTaken, message))
        }
        _ => Ok(None),
    }
}

fn step_message(action: &Action) -> String {
    let target = action.target();
    let verb = if matches!(action, Action::Create { .. }) { "make" } else { "change" };
    format!("{verb} {} {}", target.kind, target.name)
}

fn conclude(
    snapshot: &Snapshot,
    channel: &Channel,
    fleet: &Fleet<'_>,
    next: UpdateChannelStatus,
    standing: &Standing,
    action: Option<Action>,
) -> Decision {
    let meta = &channel.meta;
    let subject = reference(meta);
    let after = status::status(channel, fleet, next, standing, snapshot.now);
    let step =
        |action: Action| Step { subject: subject.clone(), reason: standing.reason, message: step_message(&action), actions: vec![action] };
    let told = after.iter().flat_map(|after| events::steps(channel, after, standing, snapshot.now));
    let steps: Vec<Step> = action.map(step).into_iter().chain(told).collect();
    let status = after.map(|after| StatusWrite::new(API_VERSION, subject.clone(), &meta.resource_version, &channel.status, after));
    Decision {
        reason: standing.reason,
        message: standing.message.clone(),
        settled: standing.is_settled() && status.is_none() && steps.is_empty(),
        failed: standing.is_failed(),
        status,
        steps,
        subject,
        nodes: BTreeMap::new(),
    }
}

/// A channel for which nothing is decided in this round.
pub fn untouched(meta: &Meta, reason: Reason, message: &str) -> Decision {
    Decision { subject: reference(meta), ..nodeop::decide::untouched(meta, reason, message) }
}

/// The channel, as steps and decisions name it.
pub(super) fn reference(meta: &Meta) -> Reference {
    Reference::new(KIND, &meta.namespace, &meta.name, &meta.uid)
}

fn url(channel: &Channel) -> &str {
    channel.spec.url.as_deref().unwrap_or_default()
}
