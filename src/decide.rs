//! From what a round saw to what it wants: folds over all resources in a fixed order, sharing budgets and nodes. Pure.

use std::collections::HashSet;

use crate::artifact;
use crate::channel;
use crate::labels;
use crate::nodeop;
use crate::nodeop::adopt;
use crate::nodeop::api::{NodeOpSpec, NodeOpStatus};
use crate::nodeop::drain;
use crate::nodeop::pending::Others;
use crate::plan::{Action, Decision, Plan};
use crate::reason::Reason;
use crate::settings::Settings;
use crate::snapshot::views::Job;
use crate::snapshot::{Meta, Resource, Snapshot, Unreadable};
use crate::sweep;
use crate::upgrade::child::Upgrade;
use crate::upgrade::{self, bond};

/// What is said of a resource that is somebody else's to act on.
const OTHER_NAMESPACE: &str = "this runner acts on other namespaces only (--namespace)";

/// Decides one idempotent step per resource: the older one goes first. What an upgrade has made is as old as the upgrade.
pub fn decide(snapshot: &Snapshot, settings: &Settings) -> Plan {
    let mut resources: Vec<_> = snapshot.nodeops.iter().collect();
    resources
        .sort_by_key(|resource| bond::upgrade_of(snapshot, &resource.meta).map_or(resource.meta.order(), |upgrade| upgrade.meta.order()));

    let mut others = Others::default();
    for resource in &resources {
        others.in_flight.extend(nodes_in_flight(snapshot, resource).map(|node| (node, &resource.meta)));
    }

    let mut allowance = drain::allowance(snapshot);
    // The channels come first, then the upgrades: what comes of them is decided on what they say.
    let channels =
        each(&snapshot.channels, settings, |channel| channel::decide::decide(snapshot, settings, channel), channel::decide::untouched);
    let mut plan = Plan { decisions: channels };
    let changing: HashSet<String> = plan.decisions.iter().flat_map(changes).collect();
    let decide_upgrade = |upgrade: &Upgrade| match changing.contains(&upgrade.meta.uid) {
        true => upgrade::decide::untouched(&upgrade.meta, Reason::Moved, "its UpdateChannel changes it; the next round goes on"),
        false => upgrade::decide::decide(snapshot, upgrade),
    };
    plan.decisions.extend(each(&snapshot.upgrades, settings, decide_upgrade, upgrade::decide::untouched));
    let changing: HashSet<String> = plan.decisions.iter().flat_map(changes).collect();
    let last = resources.len().saturating_sub(1);
    for (at, resource) in resources.into_iter().enumerate() {
        others.is_last = at == last;
        if !settings.acts_on(&resource.meta.namespace) {
            let mut decision = nodeop::decide::untouched(&resource.meta, Reason::OtherNamespace, OTHER_NAMESPACE);
            decision.settled = true;
            plan.decisions.push(decision);
            continue;
        }
        let upgrade = bond::upgrade_of(snapshot, &resource.meta);
        let moved = |upgrade: &Upgrade| upgrade.meta.moved || changing.contains(&upgrade.meta.uid);
        let channel = channel::bond::channel_of(snapshot, &resource.meta);
        if upgrade.is_some_and(moved) || channel.is_some_and(|channel| channel.meta.moved) || changing.contains(&resource.meta.uid) {
            let message = "what has made it has changed; the next round goes on with what that wants now";
            plan.decisions.push(nodeop::decide::untouched(&resource.meta, Reason::Moved, message));
            continue;
        }
        let mut terms = bond::terms(snapshot, settings, resource);
        channel::bond::add(snapshot, resource, &mut terms);
        plan.decisions.push(nodeop::decide::decide(snapshot, settings, resource, terms, &mut others, &mut allowance));
    }
    let decide_artifact = |artifact: &_| artifact::decide::decide(snapshot, settings, artifact);
    plan.decisions.extend(each(&snapshot.artifacts, settings, decide_artifact, artifact::decide::untouched));
    plan.decisions.extend(snapshot.unreadable.iter().filter(|unreadable| settings.acts_on(&unreadable.what.namespace)).map(unreadable));
    plan.decisions.extend(labels::decide::decide(snapshot, settings));
    plan.decisions.extend(sweep::decide(snapshot, settings));
    plan
}

/// Decides resources that know nothing of each other, the older ones first, where this runner acts on them.
fn each<Spec, Status>(
    resources: &[Resource<Spec, Status>],
    settings: &Settings,
    decide: impl Fn(&Resource<Spec, Status>) -> Decision,
    untouched: fn(&Meta, Reason, &str) -> Decision,
) -> Vec<Decision> {
    let mut resources: Vec<_> = resources.iter().collect();
    resources.sort_by_key(|resource| resource.meta.order());
    let decide = |resource: &Resource<Spec, Status>| match settings.acts_on(&resource.meta.namespace) {
        true => decide(resource),
        false => Decision { settled: true, ..untouched(&resource.meta, Reason::OtherNamespace, OTHER_NAMESPACE) },
    };
    resources.into_iter().map(decide).collect()
}

/// The objects, by uid, that a decision changes in what they are to do.
fn changes(decision: &Decision) -> impl Iterator<Item = String> {
    let patched = |action: &Action| match action {
        Action::Patch { what, .. } => Some(what.uid.clone()),
        _ => None,
    };
    decision.steps.iter().flat_map(|step| &step.actions).filter_map(patched)
}

/// The nodes that a resource is on. A Job may run where no claim stands any more: its removal was lost on the way, or the
/// existing operator has made it and not named it yet. The existing operator's statuses have no steps, either.
fn nodes_in_flight<'a>(snapshot: &'a Snapshot, resource: &'a Resource<NodeOpSpec, NodeOpStatus>) -> impl Iterator<Item = &'a str> {
    let foreign = resource.status.spec_hash.is_none();
    let entries = resource.status.node_statuses.iter();
    let flying = entries.filter(move |(_, entry)| entry.step.is_some() || foreign && adopt::is_in_flight(entry)).map(|(node, _)| &**node);
    let live = move |job: &&Job| job.may_run() || foreign && job.run.is_none() && !job.is_finished();
    let meta = &resource.meta;
    let own = |job: &&Job| job.namespace == meta.namespace && job.owner.as_ref().is_some_and(|owner| owner.uid == meta.uid);
    flying.chain(snapshot.jobs.iter().filter(live).filter(own).map(|job| job.node.as_str()))
}

/// A resource that cannot be read is named and left alone: its status may hold what we must not lose.
fn unreadable(what: &Unreadable) -> Decision {
    Decision {
        subject: what.what.clone(),
        reason: Reason::Unreadable,
        message: what.error.clone(),
        settled: true,
        failed: true,
        status: None,
        steps: Vec::new(),
        nodes: std::collections::BTreeMap::new(),
    }
}
