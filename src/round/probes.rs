//! Probe Jobs are made before anything else is written: who waits for what they tell does not wait for those that the
//! server refuses. Nothing in the cluster would tell the next round of that, so each round asks again.

use std::collections::BTreeMap;

use super::refusals::unbound;
use super::{Mode, Shutdown};
use crate::cluster::Cluster;
use crate::cluster::apply::apply;
use crate::decide::decide;
use crate::outcome::{ActionOutcome, Outcome, Verdict};
use crate::plan::{Action, Decision, Plan};
use crate::settings::Settings;
use crate::snapshot::{Reference, Snapshot};

/// What was written first: the decision that is carried out with that, and its place in the plan.
pub struct First {
    /// What became of it.
    pub outcome: Outcome,
    decision: Option<(usize, Decision)>,
}

/// Takes the decision about probes out of the plan, if it makes any, and carries it out. What the server refused becomes
/// part of what the round saw, and the rest is decided on that.
pub async fn make(
    cluster: &Cluster,
    settings: &Settings,
    snapshot: &mut Snapshot,
    plan: &mut Plan,
    mode: Mode,
    most: usize,
    shutdown: &Shutdown,
) -> First {
    let Some(at) = plan.decisions.iter().position(makes_probes) else { return First { outcome: Outcome::default(), decision: None } };
    let only = Plan { decisions: vec![plan.decisions.remove(at)] };
    let outcome = apply(cluster, &only, mode, most, &|| shutdown.is_requested()).await;
    snapshot.refused = refused(&outcome);
    if snapshot.refused.is_empty() {
        return First { outcome, decision: only.decisions.into_iter().next().map(|decision| (at, decision)) };
    }
    *plan = decide(snapshot, settings);
    let at = plan.decisions.iter().position(|decision| decision.subject == only.decisions[0].subject);
    First { outcome, decision: at.map(|at| (at, plan.decisions.remove(at))) }
}

impl First {
    /// Puts the decision back into its place.
    pub fn join(self, plan: &mut Plan, outcome: &mut Outcome) {
        if let Some((at, decision)) = self.decision {
            plan.decisions.insert(at, decision);
        }
        outcome.actions.splice(0..0, self.outcome.actions);
    }
}

fn makes_probes(decision: &Decision) -> bool {
    let mut actions = decision.steps.iter().flat_map(|step| &step.actions);
    decision.subject.kind == "Namespace" && actions.any(|action| matches!(action, Action::Create { .. }))
}

/// The Jobs that the server refused to create, and what it said. Where it has taken none, that counts for those that were
/// not tried as well: then it is the namespace to which it was said.
fn refused(outcome: &Outcome) -> BTreeMap<Reference, String> {
    let tried: Vec<&ActionOutcome> = outcome.actions.iter().filter(|action| action.action.starts_with("create ")).collect();
    let mut refused = BTreeMap::new();
    for action in &tried {
        // A namespace that is not there is told by 404.
        if let Verdict::Failed(message) | Verdict::NotSetUp(message) | Verdict::Moved(message) = &action.verdict {
            refused.insert(unbound(&action.target), message.clone());
        }
    }
    let everything = refused.first_key_value().filter(|_| refused.len() == tried.len());
    let of_namespace = everything.map(|(job, message)| (Reference::new("Namespace", "", &job.namespace, ""), message.clone()));
    refused.extend(of_namespace);
    refused
}
