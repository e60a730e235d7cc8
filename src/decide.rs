//! From what a round saw to what it wants: folds over all resources in a fixed order, sharing budgets and nodes. Pure.

use crate::labels;
use crate::nodeop;
use crate::nodeop::adopt;
use crate::nodeop::api::{NodeOpSpec, NodeOpStatus};
use crate::nodeop::drain::Allowance;
use crate::nodeop::pending::Others;
use crate::plan::{Decision, Plan};
use crate::reason::Reason;
use crate::settings::Settings;
use crate::snapshot::{Resource, Snapshot, Unreadable};
use crate::sweep;

/// Decides one idempotent step per resource: the older one goes first.
pub fn decide(snapshot: &Snapshot, settings: &Settings) -> Plan {
    let mut resources: Vec<_> = snapshot.nodeops.iter().collect();
    resources.sort_by_key(|resource| resource.meta.order());

    let mut others = Others::default();
    for resource in &resources {
        others.in_flight.extend(nodes_in_flight(snapshot, resource).map(|node| (node.as_str(), &resource.meta)));
    }

    let mut allowance = Allowance::new();
    let mut plan = Plan::default();
    for resource in resources {
        if !settings.acts_on(&resource.meta.namespace) {
            let message = "this runner acts on other namespaces only (--namespace)";
            let mut decision = nodeop::decide::untouched(&resource.meta, Reason::OtherNamespace, message);
            decision.settled = true;
            plan.decisions.push(decision);
            continue;
        }
        plan.decisions.push(nodeop::decide::decide(snapshot, settings, resource, &mut others, &mut allowance));
    }
    plan.decisions.extend(snapshot.unreadable.iter().filter(|unreadable| settings.acts_on(&unreadable.what.namespace)).map(unreadable));
    plan.decisions.extend(labels::decide::decide(snapshot, settings));
    plan.decisions.extend(sweep::decide(snapshot, settings));
    plan
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
