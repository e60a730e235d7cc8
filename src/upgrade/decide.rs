//! What a NodeOpUpgrade needs now: its NodeOp made, or changed, and a status that says what the NodeOp says.

use std::collections::BTreeMap;

use super::api::{API_VERSION, DEFINITION, KIND, UpgradePhase};
use super::child::{self, Child, Upgrade};
use super::status::{self, Standing};
use crate::crds;
use crate::nodeop;
use crate::nodeop::jobs;
use crate::nodeop::verdict::said;
use crate::plan::{Action, Decision, StatusWrite, Step};
use crate::reason::Reason;
use crate::snapshot::{Meta, Reference, Snapshot};

/// What has the name of an upgrade among the NodeOps.
enum Named<'a> {
    /// Nothing.
    Nobody,
    /// What this upgrade has made.
    Own(&'a Child),
    /// What goes by itself, and why.
    Leaving(String),
    /// What stays, and whose it is.
    Foreign(String),
}

/// Decides one upgrade.
pub fn decide(snapshot: &Snapshot, upgrade: &Upgrade) -> Decision {
    let meta = &upgrade.meta;
    if meta.deleting {
        return untouched(meta, Reason::Deleting, "it is being deleted, and its NodeOp goes with it; nothing new is started");
    }
    if meta.moved {
        return untouched(meta, Reason::Moved, "it changed while the round was looking");
    }
    if [DEFINITION, nodeop::api::DEFINITION].iter().any(|definition| snapshot.older.contains(*definition)) {
        let message = format!("an installed CustomResourceDefinition is an older one; install this version's: {}", crds::INSTALL);
        return Decision { settled: true, failed: true, ..untouched(meta, Reason::OlderDefinition, &message) };
    }
    let named = named(snapshot, meta);
    if let Some(message) = invalid(upgrade) {
        let child = if let Named::Own(child) = named { Some(child) } else { None };
        return conclude(snapshot, upgrade, child, &Standing::stalled(Reason::InvalidSpec, message), None);
    }
    match named {
        Named::Nobody => {
            let standing = Standing::underway(UpgradePhase::Initializing, Reason::Creating, "the NodeOp is being made");
            conclude(snapshot, upgrade, None, &standing, Some(Action::Create { object: child::object(upgrade) }))
        }
        Named::Own(child) => follow(snapshot, upgrade, child),
        Named::Leaving(why) => {
            let standing = Standing::underway(UpgradePhase::Initializing, Reason::Creating, why);
            conclude(snapshot, upgrade, None, &standing, None)
        }
        Named::Foreign(whose) => {
            let message = format!(
                "there is a NodeOp {} already, which {whose}; an upgrade makes one of its own name: rename the upgrade, or delete that NodeOp",
                meta.path()
            );
            conclude(snapshot, upgrade, None, &Standing::stalled(Reason::NameTaken, message), None)
        }
    }
}

/// The NodeOp is there: it is made to follow, and what it says is said.
fn follow(snapshot: &Snapshot, upgrade: &Upgrade, child: &Child) -> Decision {
    let phase = match status::phase(&child.status) {
        UpgradePhase::Initializing => UpgradePhase::Initializing,
        _ => UpgradePhase::Running,
    };
    if let Some(patch) = child::edit(upgrade, child) {
        let what = Reference::new(jobs::KIND, &child.meta.namespace, &child.meta.name, &child.meta.uid);
        let standing = Standing::underway(phase, Reason::Updating, "the NodeOp is being changed as the upgrade was");
        return conclude(snapshot, upgrade, Some(child), &standing, Some(Action::Patch { what, patch }));
    }
    let standing = match status::is_current(child) {
        true => Standing::mirrored(child),
        false => Standing::underway(phase, Reason::Updating, "the NodeOp has not been looked at yet as it is now"),
    };
    conclude(snapshot, upgrade, Some(child), &standing, None)
}

/// What cannot be carried out, with field and remedy. The definition refuses it as well; an object may be older than that.
fn invalid(upgrade: &Upgrade) -> Option<String> {
    let spec = &upgrade.spec;
    if !spec.upgrades_active() && !spec.upgrades_recovery() {
        let message =
            "spec.upgradeActive is false and spec.upgradeRecovery is not true, so that nothing would be upgraded: set one of them to true";
        return Some(message.into());
    }
    let bad = spec.image.is_empty() || spec.image.contains(char::is_whitespace);
    bad.then(|| format!("spec.image is {:?}: it must be an image reference without blanks", spec.image))
}

/// Whether an upgrade can do nothing at all, so that it takes no node from another one.
pub(super) fn is_idle(snapshot: &Snapshot, upgrade: &Upgrade) -> bool {
    upgrade.meta.deleting || invalid(upgrade).is_some() || matches!(named(snapshot, &upgrade.meta), Named::Foreign(_))
}

fn named<'a>(snapshot: &'a Snapshot, meta: &Meta) -> Named<'a> {
    let has_name = |namespace: &str, name: &str| namespace == meta.namespace && name == meta.name;
    let unreadable = snapshot.unreadable.iter().find(|one| one.what.kind == jobs::KIND && has_name(&one.what.namespace, &one.what.name));
    if let Some(unreadable) = unreadable {
        return Named::Foreign(format!("cannot be read: {}", unreadable.error));
    }
    let Some(child) = snapshot.nodeops.iter().find(|op| has_name(&op.meta.namespace, &op.meta.name)) else { return Named::Nobody };
    match &child.meta.owner {
        _ if child.meta.deleting => Named::Leaving("the NodeOp of that name is being deleted; another one follows".into()),
        Some(owner) if owner.uid == meta.uid => Named::Own(child),
        // One of this name was here before; the garbage collector comes by.
        Some(owner) if owner.kind == KIND && owner.name == meta.name => Named::Leaving(
            "the NodeOp of an earlier upgrade of that name is still there; it goes by itself, and another one follows".into(),
        ),
        Some(owner) => Named::Foreign(format!("belongs to {} {}", said(&owner.kind), said(&owner.name))),
        None => Named::Foreign("was not made by an upgrade".into()),
    }
}

fn conclude(snapshot: &Snapshot, upgrade: &Upgrade, child: Option<&Child>, standing: &Standing, action: Option<Action>) -> Decision {
    let meta = &upgrade.meta;
    let subject = reference(meta);
    let after = status::status(upgrade, child, standing, snapshot.now);
    let status = after.map(|after| StatusWrite::new(API_VERSION, subject.clone(), &meta.resource_version, &upgrade.status, after));
    let message = match &action {
        Some(Action::Create { .. }) => "make the NodeOp that upgrades the nodes",
        _ => "bring the NodeOp up to date",
    };
    let step = |action| Step { subject: subject.clone(), reason: standing.reason, message: message.into(), actions: vec![action] };
    let steps: Vec<Step> = action.map(step).into_iter().collect();
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

/// An upgrade for which nothing is decided in this round.
pub fn untouched(meta: &Meta, reason: Reason, message: &str) -> Decision {
    Decision { subject: reference(meta), ..nodeop::decide::untouched(meta, reason, message) }
}

fn reference(meta: &Meta) -> Reference {
    Reference::new(KIND, &meta.namespace, &meta.name, &meta.uid)
}
