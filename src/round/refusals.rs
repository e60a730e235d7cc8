//! What the server says against creating a Job or Pod is told in the status within the same round: nothing else in the
//! cluster would tell of it, and the next round must find it there.

use std::collections::{BTreeMap, BTreeSet};

use super::{Mode, Round, Shutdown};
use crate::cluster::Cluster;
use crate::cluster::apply::apply;
use crate::cluster::kinds;
use crate::decide::decide;
use crate::nodeop::api::{NodeOpSpec, NodeOpStatus};
use crate::outcome::Verdict;
use crate::plan::Plan;
use crate::settings::Settings;
use crate::snapshot::{Reference, Resource, Snapshot, objects};

/// Decides once more, with what was refused as part of what the round saw, and writes the statuses that follow from it.
pub async fn note(cluster: &Cluster, settings: &Settings, round: &mut Round, mode: Mode, shutdown: &Shutdown) {
    let refused = refused(round);
    if refused.is_empty() || mode != Mode::Live {
        return;
    }
    let mut snapshot = Snapshot { refused, ..round.snapshot.clone() };
    let mut noted = BTreeSet::new();
    for decision in &round.plan.decisions {
        let concerned = round
            .outcome
            .actions
            .iter()
            .any(|action| action.on_behalf_of == decision.subject && snapshot.refused.contains_key(&unbound(&action.target)));
        if concerned
            && let Some(resource) = fresh(cluster, &decision.subject).await
            && resource.status == super::status_after(&round.snapshot, decision)
        {
            noted.insert(resource.meta.uid.clone());
            snapshot.nodeops.retain(|other| other.meta.uid != resource.meta.uid);
            snapshot.nodeops.push(resource);
        }
    }
    // All operations are decided, for they keep out of each other's way; only what was refused something is written.
    let mut plan: Plan = decide(&snapshot, settings);
    plan.decisions.retain(|decision| decision.status.is_some() && noted.contains(&decision.subject.uid));
    for decision in &mut plan.decisions {
        decision.steps.retain(|step| step.actions.iter().all(|action| action.target().kind == "Event"));
    }
    let outcome = apply(cluster, &plan, mode, usize::MAX, &|| shutdown.is_requested()).await;
    round.outcome.actions.extend(outcome.actions);
}

/// The objects that the server refused to create, and what it said.
fn refused(round: &Round) -> BTreeMap<Reference, String> {
    let created = round.outcome.actions.iter().filter(|action| action.action.starts_with("create "));
    let of_nodes = created.filter(|action| matches!(action.target.kind.as_str(), "Job" | "Pod"));
    let refused = of_nodes.filter_map(|action| match &action.verdict {
        Verdict::Failed(message) | Verdict::NotSetUp(message) => Some((unbound(&action.target), message.clone())),
        _ => None,
    });
    refused.collect()
}

fn unbound(target: &Reference) -> Reference {
    Reference { uid: String::new(), ..target.clone() }
}

/// The resource as it is now, if it is still the same.
async fn fresh(cluster: &Cluster, subject: &Reference) -> Option<Resource<NodeOpSpec, NodeOpStatus>> {
    let object: Option<serde_json::Value> = cluster.look(kinds::NODEOP, &subject.namespace, &subject.name, false).await.ok()?;
    objects::nodeop(object?).ok().filter(|resource| resource.meta.uid == subject.uid)
}
