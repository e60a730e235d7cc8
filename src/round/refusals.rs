//! What the server says against creating a Job or Pod is told in the status within the same round: nothing else in the
//! cluster would tell of it, and the next round must find it there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Mode, Round, Shutdown, status_after};
use crate::artifact;
use crate::cluster::Cluster;
use crate::cluster::apply::apply;
use crate::cluster::kinds::{self, Kind};
use crate::decide::decide;
use crate::outcome::Verdict;
use crate::plan::{Decision, Plan};
use crate::settings::Settings;
use crate::snapshot::{Reference, Snapshot, objects};

/// Decides once more, with what was refused as part of what the round saw, and writes the statuses that follow from it.
pub async fn note(cluster: &Cluster, settings: &Settings, round: &mut Round, mode: Mode, shutdown: &Shutdown) {
    let mut refused = refused(round);
    // The probes were told of already.
    refused.retain(|what, _| !round.snapshot.refused.contains_key(what));
    if refused.is_empty() || mode != Mode::Live {
        return;
    }
    refused.extend(round.snapshot.refused.clone());
    let mut snapshot = Snapshot { refused, ..round.snapshot.clone() };
    let mut noted = BTreeSet::new();
    for decision in &round.plan.decisions {
        let concerned = round
            .outcome
            .actions
            .iter()
            .any(|action| action.on_behalf_of == decision.subject && snapshot.refused.contains_key(&unbound(&action.target)));
        if concerned && look_again(cluster, &mut snapshot, decision).await {
            noted.insert(decision.subject.uid.clone());
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

/// Puts the resource as it is now in the place of the one that was decided on, if its status is what the decision wrote.
async fn look_again(cluster: &Cluster, snapshot: &mut Snapshot, decision: &Decision) -> bool {
    let subject = &decision.subject;
    if subject.kind == artifact::KIND {
        let read = |object| objects::artifact(object).ok();
        let Some(fresh) = fresh(cluster, kinds::ARTIFACT, subject).await.and_then(read) else { return false };
        let expected = status_after(&snapshot.artifacts, decision);
        let Some(place) = snapshot.artifacts.iter_mut().find(|seen| seen.meta.uid == fresh.meta.uid) else { return false };
        let same = fresh.status == expected;
        if same {
            *place = fresh;
        }
        return same;
    }
    let read = |object| objects::nodeop(object).ok();
    let Some(fresh) = fresh(cluster, kinds::NODEOP, subject).await.and_then(read) else { return false };
    let same = fresh.meta.uid == subject.uid && fresh.status == status_after(&snapshot.nodeops, decision);
    if same {
        snapshot.nodeops.retain(|other| other.meta.uid != fresh.meta.uid);
        snapshot.nodeops.push(fresh);
    }
    same
}

/// The objects that the server refused to create, and what it said.
fn refused(round: &Round) -> BTreeMap<Reference, String> {
    let created = round.outcome.actions.iter().filter(|action| action.action.starts_with("create "));
    let of_nodes = created.filter(|action| matches!(action.target.kind.as_str(), "Job" | "Pod" | "PersistentVolumeClaim" | "ConfigMap"));
    let refused = of_nodes.filter_map(|action| match &action.verdict {
        Verdict::Failed(message) | Verdict::NotSetUp(message) => Some((unbound(&action.target), message.clone())),
        _ => None,
    });
    refused.collect()
}

/// An object by its name, as it is known before the server has given it a uid.
pub(super) fn unbound(target: &Reference) -> Reference {
    Reference { uid: String::new(), ..target.clone() }
}

/// The object as it is now.
async fn fresh(cluster: &Cluster, kind: Kind, subject: &Reference) -> Option<Value> {
    cluster.look(kind, &subject.namespace, &subject.name, false).await.ok().flatten()
}
