//! From a plan to requests. A decision's status goes first and its steps only follow if the apiserver took it; steps are
//! independent and go side by side; the actions of a step go one after the other, until one is refused.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use http::header::ACCEPT;
use http::{HeaderValue, Request};
use kube::core::Status;
use tokio::sync::Semaphore;

use super::call::CallError;
use super::{Cluster, PARALLEL, errors, evict, request};
use crate::mutant::Mutant;
use crate::outcome::{ActionOutcome, Outcome, Verdict};
use crate::plan::{Action, Decision, Plan, Step};
use crate::snapshot::Reference;

/// Nobody reads the object that a write is answered with: a Node with its images, or a status of thousands of entries.
const BRIEFLY: HeaderValue = HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json");

/// Whether a round writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Writes.
    Live,
    /// Sends every write with dryRun=All.
    DryRun,
    /// Writes nothing: the plan is all that is wanted.
    PlanOnly,
}

/// Carries out a plan. `cancelled` is asked before every write; what is not begun when it says yes is skipped. Once the
/// apiserver has taken `most` writes, no further step is begun: a round in a row leaves those to the next one.
pub async fn apply(cluster: &Cluster, plan: &Plan, mode: Mode, most: usize, cancelled: &(dyn Fn() -> bool + Sync)) -> Outcome {
    let writer = Writer { cluster, mode, most, cancelled, turns: Semaphore::new(PARALLEL), taken: AtomicUsize::new(0) };
    let actions = join_all(plan.decisions.iter().map(|decision| writer.decision(decision))).await;
    Outcome { actions: actions.into_iter().flatten().collect() }
}

struct Writer<'a> {
    cluster: &'a Cluster,
    mode: Mode,
    most: usize,
    cancelled: &'a (dyn Fn() -> bool + Sync),
    /// A status, or a step with all of its actions, asks whether to begin when it is its turn, not when it queues. A node is
    /// locked and its Job made before the next one is locked: the control plane is at work on the first while we go on.
    turns: Semaphore,
    taken: AtomicUsize,
}

impl Writer<'_> {
    async fn decision(&self, decision: &Decision) -> Vec<ActionOutcome> {
        let mut outcomes = Vec::new();
        let mut go = true;
        if let Some(write) = &decision.status {
            let _turn = self.turns.acquire().await;
            let verdict = self.send(request::status(write, self.dry_run()), refused_write).await;
            go = matches!(verdict, Verdict::Done | Verdict::Already) || Mutant::ActBeforeClaim.lives();
            outcomes.push(outcome(&decision.subject, &write.of, "status", format!("write the status of {}", write.of), verdict));
        }
        let steps = join_all(decision.steps.iter().map(|step| self.step(&decision.subject, step, go))).await;
        outcomes.extend(steps.into_iter().flatten());
        outcomes
    }

    async fn step(&self, on_behalf_of: &Reference, step: &Step, mut go: bool) -> Vec<ActionOutcome> {
        let mut outcomes = Vec::with_capacity(step.actions.len());
        let _turn = self.turns.acquire().await;
        let full = self.taken.load(Ordering::Relaxed) >= self.most;
        for action in &step.actions {
            let verdict = match go {
                true if full => Verdict::Postponed,
                true => self.action(action).await,
                false => Verdict::Skipped,
            };
            self.taken.fetch_add(usize::from(verdict == Verdict::Done), Ordering::Relaxed);
            go = go && matches!(verdict, Verdict::Done | Verdict::Already | Verdict::Blocked(_) | Verdict::Postponed);
            outcomes.push(outcome(on_behalf_of, &action.target(), action.verb(), action.summary(), verdict));
        }
        outcomes
    }

    async fn action(&self, action: &Action) -> Verdict {
        let refused = match action {
            Action::Create { .. } => refused_create,
            Action::Evict { .. } => evict::refused,
            Action::Delete { .. } => refused_delete,
            Action::ApplyNode(_) | Action::LabelNode(_) | Action::TakeOver(_) | Action::Patch { .. } => refused_write,
        };
        self.send(request::request(action, self.dry_run()), refused).await
    }

    async fn send(&self, request: Result<Request<Vec<u8>>, CallError>, special: fn(&Status) -> Option<Verdict>) -> Verdict {
        if self.mode == Mode::PlanOnly || (self.cancelled)() {
            return Verdict::Skipped;
        }
        let result = match request {
            Ok(mut request) => {
                request.headers_mut().insert(ACCEPT, BRIEFLY);
                self.cluster.call(request).await
            }
            Err(error) => Err(error),
        };
        match &result {
            Err(CallError::Refused(status)) => special(status).unwrap_or_else(|| errors::verdict(result)),
            _ => errors::verdict(result),
        }
    }

    fn dry_run(&self) -> bool {
        self.mode == Mode::DryRun
    }
}

fn outcome(on_behalf_of: &Reference, target: &Reference, verb: &'static str, action: String, verdict: Verdict) -> ActionOutcome {
    ActionOutcome { on_behalf_of: on_behalf_of.clone(), target: target.clone(), verb, action, verdict }
}

fn refused_write(_: &Status) -> Option<Verdict> {
    None
}

fn refused_create(status: &Status) -> Option<Verdict> {
    status.is_already_exists().then_some(Verdict::Already)
}

fn refused_delete(status: &Status) -> Option<Verdict> {
    (status.code == 404).then_some(Verdict::Already)
}

#[cfg(test)]
mod tests;
