//! From what a round saw to what it wants: folds over all resources in a fixed order, sharing budgets and nodes. Pure.

use std::collections::HashSet;

use crate::artifact;
use crate::labels;
use crate::nodeop;
use crate::nodeop::adopt;
use crate::nodeop::api::{NodeOpSpec, NodeOpStatus};
use crate::nodeop::drain;
use crate::nodeop::pending::Others;
use crate::plan::{Action, Decision, Plan};
use crate::reason::Reason;
use crate::settings::Settings;
use crate::snapshot::{Resource, Snapshot, Unreadable};
use crate::sweep;
use crate::upgrade::{self, bond, child};

/// What is said of a resource that is somebody else's to act on.
const OTHER_NAMESPACE: &str = "this runner acts on other namespaces only (--namespace)";

/// Decides one idempotent step per resource: the older one goes first. What an upgrade has made is as old as the upgrade.
pub fn decide(snapshot: &Snapshot, settings: &Settings) -> Plan {
    let mut resources: Vec<_> = snapshot.nodeops.iter().collect();
    resources
        .sort_by_key(|resource| bond::upgrade_of(snapshot, &resource.meta).map_or(resource.meta.order(), |upgrade| upgrade.meta.order()));

    let mut others = Others::default();
    for resource in &resources {
        others.in_flight.extend(nodes_in_flight(snapshot, resource).map(|node| (node.as_str(), &resource.meta)));
    }

    let mut allowance = drain::allowance(snapshot);
    let mut plan = Plan { decisions: upgrades(snapshot, settings) };
    let changing: HashSet<String> = plan.decisions.iter().flat_map(changes).collect();
    for resource in resources {
        if !settings.acts_on(&resource.meta.namespace) {
            let mut decision = nodeop::decide::untouched(&resource.meta, Reason::OtherNamespace, OTHER_NAMESPACE);
            decision.settled = true;
            plan.decisions.push(decision);
            continue;
        }
        let moved = bond::upgrade_of(snapshot, &resource.meta).is_some_and(|upgrade| upgrade.meta.moved);
        if moved || changing.contains(&resource.meta.uid) {
            let message = "its NodeOpUpgrade has changed; the next round goes on with what it wants now";
            plan.decisions.push(nodeop::decide::untouched(&resource.meta, Reason::Moved, message));
            continue;
        }
        let terms = bond::terms(snapshot, settings, resource);
        plan.decisions.push(nodeop::decide::decide(snapshot, settings, resource, terms, &mut others, &mut allowance));
    }
    plan.decisions.extend(artifacts(snapshot, settings));
    plan.decisions.extend(snapshot.unreadable.iter().filter(|unreadable| settings.acts_on(&unreadable.what.namespace)).map(unreadable));
    plan.decisions.extend(labels::decide::decide(snapshot, settings));
    plan.decisions.extend(sweep::decide(snapshot, settings));
    plan
}

/// The upgrades come first: their NodeOps are decided on what they say.
fn upgrades(snapshot: &Snapshot, settings: &Settings) -> Vec<Decision> {
    let mut upgrades: Vec<_> = snapshot.upgrades.iter().collect();
    upgrades.sort_by_key(|upgrade| upgrade.meta.order());
    let decide = |upgrade: &child::Upgrade| match settings.acts_on(&upgrade.meta.namespace) {
        true => upgrade::decide::decide(snapshot, upgrade),
        false => Decision { settled: true, ..upgrade::decide::untouched(&upgrade.meta, Reason::OtherNamespace, OTHER_NAMESPACE) },
    };
    upgrades.into_iter().map(decide).collect()
}

/// The artifacts know nothing of each other, and nothing of nodes.
fn artifacts(snapshot: &Snapshot, settings: &Settings) -> Vec<Decision> {
    let mut artifacts: Vec<_> = snapshot.artifacts.iter().collect();
    artifacts.sort_by_key(|artifact| artifact.meta.order());
    let decide = |artifact: &artifact::decide::Artifact| match settings.acts_on(&artifact.meta.namespace) {
        true => artifact::decide::decide(snapshot, settings, artifact),
        false => Decision { settled: true, ..artifact::decide::untouched(&artifact.meta, Reason::OtherNamespace, OTHER_NAMESPACE) },
    };
    artifacts.into_iter().map(decide).collect()
}

/// The objects, by uid, that a decision changes in what they are to do.
fn changes(decision: &Decision) -> impl Iterator<Item = String> {
    let patched = |action: &Action| match action {
        Action::Patch { what, .. } => Some(what.uid.clone()),
        _ => None,
    };
    decision.steps.iter().flat_map(|step| &step.actions).filter_map(patched)
}

/// The nodes that a resource is on. The existing operator's statuses have no steps: what it began may still run when we
/// come, and so may a Job that no status names.
fn nodes_in_flight<'a>(snapshot: &'a Snapshot, resource: &'a Resource<NodeOpSpec, NodeOpStatus>) -> impl Iterator<Item = &'a String> {
    let foreign = resource.status.spec_hash.is_none();
    let entries = resource.status.node_statuses.iter();
    let flying = entries.filter(move |(_, entry)| entry.step.is_some() || foreign && adopt::is_in_flight(entry)).map(|(node, _)| node);
    flying.chain(adopt::jobs(snapshot, &resource.meta).filter(|job| !job.is_finished()).map(|job| &job.node))
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
