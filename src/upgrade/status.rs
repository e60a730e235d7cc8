//! The status of a NodeOpUpgrade: what its NodeOp says, once that has been looked at as it is.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::api::{NodeOpUpgradeStatus, UpgradePhase};
use super::child::{self, Child, Upgrade};
use crate::names;
use crate::nodeop::api::{NodeOpStatus, Phase};
use crate::reason::Reason;

/// Where an upgrade stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The phase.
    pub phase: UpgradePhase,
    /// The code.
    pub reason: Reason,
    /// One sentence.
    pub message: String,
    /// Ready, Reconciling and Stalled.
    pub conditions: [(&'static str, &'static str); 3],
}

impl Standing {
    /// Something is to be done, or being done.
    pub fn underway(phase: UpgradePhase, reason: Reason, message: impl Into<String>) -> Self {
        let conditions = [("Ready", "False"), ("Reconciling", "True"), ("Stalled", "False")];
        Self { phase, reason, message: message.into(), conditions }
    }

    /// Nothing will be done until somebody changes something.
    pub fn stalled(reason: Reason, message: impl Into<String>) -> Self {
        let conditions = [("Ready", "False"), ("Reconciling", "False"), ("Stalled", "True")];
        Self { phase: UpgradePhase::Pending, reason, message: message.into(), conditions }
    }

    /// What a NodeOp says of itself.
    pub fn mirrored(child: &Child) -> Self {
        let status = &child.status;
        let said = |kind: &str| status.conditions.iter().find(|condition| condition.type_ == kind);
        let is = |kind: &str| match said(kind).map(|condition| condition.status.as_str()) {
            Some("True") => "True",
            Some("False") => "False",
            _ => "Unknown",
        };
        Self {
            phase: phase(status),
            reason: said("Ready").and_then(|ready| Reason::parse(&ready.reason)).unwrap_or(Reason::Progressing),
            message: status.message.clone().unwrap_or_default(),
            conditions: [("Ready", is("Ready")), ("Reconciling", is("Reconciling")), ("Stalled", is("Stalled"))],
        }
    }

    /// Whether it will not change any more by itself.
    pub fn is_settled(&self) -> bool {
        self.conditions.contains(&("Reconciling", "False"))
    }

    /// Whether something failed, or cannot go on.
    pub fn is_failed(&self) -> bool {
        self.conditions.contains(&("Stalled", "True"))
    }
}

/// The phase of a NodeOp, for its upgrade.
pub fn phase(status: &NodeOpStatus) -> UpgradePhase {
    match status.phase {
        None => UpgradePhase::Initializing,
        Some(Phase::Pending) => UpgradePhase::Pending,
        Some(Phase::Running) => UpgradePhase::Running,
        Some(Phase::Completed) => UpgradePhase::Completed,
        Some(Phase::Failed) => UpgradePhase::Failed,
    }
}

/// Whether the status of a NodeOp speaks of its present spec, and has answered what it was asked.
pub fn is_current(child: &Child) -> bool {
    let (meta, status) = (&child.meta, &child.status);
    let answered = |key: &str, answer: &Option<String>| {
        meta.annotations.get(key).is_none_or(|token| token.is_empty() || answer.as_ref() == Some(token))
    };
    status.observed_generation == Some(meta.generation)
        && status.spec_hash.is_some()
        && answered(names::ANNOTATION_RERUN, &status.rerun)
        && answered(names::ANNOTATION_RETRY_FAILED, &status.retry_failed)
}

/// The whole status, if it is another one than before.
pub fn status(upgrade: &Upgrade, child: Option<&Child>, standing: &Standing, now: Timestamp) -> Option<NodeOpUpgradeStatus> {
    let before = &upgrade.status;
    let told = child.map(|child| &child.status);
    let status = NodeOpUpgradeStatus {
        observed_generation: Some(upgrade.meta.generation),
        phase: Some(standing.phase),
        message: Some(standing.message.clone()),
        node_op_name: Some(upgrade.meta.name.clone()).filter(|_| !standing.is_failed() || child.is_some()),
        progress: told.and_then(|told| told.progress.clone()),
        current: told.and_then(|told| told.current.clone()),
        conditions: conditions(upgrade, standing, now),
        node_statuses: told.map_or_else(|| before.node_statuses.clone(), |told| told.node_statuses.clone()),
        spec_hash: Some(child::hash(&upgrade.spec)),
        last_updated: before.last_updated.clone(),
    };
    let changed = status != *before;
    changed.then_some(NodeOpUpgradeStatus { last_updated: Some(Time(now)), ..status })
}

fn conditions(upgrade: &Upgrade, standing: &Standing, now: Timestamp) -> Vec<Condition> {
    let make = |(type_, status): &(&str, &str)| {
        let before = &upgrade.status.conditions;
        let since = before.iter().find(|condition| condition.type_ == *type_ && condition.status == *status);
        Condition {
            type_: (*type_).into(),
            status: (*status).into(),
            reason: standing.reason.code().into(),
            message: standing.message.clone(),
            observed_generation: Some(upgrade.meta.generation),
            last_transition_time: since.map_or(Time(now), |condition| condition.last_transition_time.clone()),
        }
    };
    standing.conditions.iter().map(make).collect()
}
