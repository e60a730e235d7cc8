//! The status of an artifact: where it stands, in words and as conditions.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::api::{ArtifactPhase, OSArtifactStatus};
use crate::nodeop::verdict::clip;
use crate::reason::Reason;
use crate::snapshot::Meta;

/// The longest message of a status.
const LONGEST: usize = 1200;

/// Where an artifact stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The phase.
    pub phase: ArtifactPhase,
    /// The code.
    pub reason: Reason,
    /// One sentence.
    pub message: String,
    /// What is going on now, in a word or two; None: nothing.
    pub current: Option<String>,
    /// Finished containers and exporters, and all of them.
    pub progress: (usize, usize),
    conditions: [(&'static str, &'static str); 3],
}

impl Standing {
    /// Something is to be done, or being done.
    pub fn underway(phase: ArtifactPhase, reason: Reason, message: impl Into<String>) -> Self {
        let conditions = [("Ready", "False"), ("Reconciling", "True"), ("Stalled", "False")];
        Self { phase, reason, message: message.into(), current: Some(reason.code().into()), progress: (0, 0), conditions }
    }

    /// All is done.
    pub fn ready(reason: Reason, message: impl Into<String>) -> Self {
        let conditions = [("Ready", "True"), ("Reconciling", "False"), ("Stalled", "False")];
        Self { phase: ArtifactPhase::Ready, reason, message: message.into(), current: None, progress: (0, 0), conditions }
    }

    /// Nothing will be done until somebody changes something.
    pub fn stalled(phase: ArtifactPhase, reason: Reason, message: impl Into<String>) -> Self {
        let conditions = [("Ready", "False"), ("Reconciling", "False"), ("Stalled", "True")];
        Self { phase, reason, message: message.into(), current: Some(reason.code().into()), progress: (0, 0), conditions }
    }

    /// How much of the work is done.
    pub fn at(self, progress: (usize, usize)) -> Self {
        Self { progress, ..self }
    }

    /// The container that runs, if one does.
    pub fn in_container(self, container: Option<String>) -> Self {
        Self { current: container.or(self.current), ..self }
    }

    /// Whether it will not change any more by itself.
    pub fn is_settled(&self) -> bool {
        self.conditions.contains(&("Reconciling", "False"))
    }

    /// Whether it failed, or cannot be carried out.
    pub fn is_failed(&self) -> bool {
        self.conditions.contains(&("Stalled", "True"))
    }

    /// The whole status, if it is another one than before. `next` has what is recorded of the run.
    pub fn status(&self, meta: &Meta, before: &OSArtifactStatus, next: OSArtifactStatus, now: Timestamp) -> Option<OSArtifactStatus> {
        let message = clip(&self.message, LONGEST);
        let over = matches!(self.phase, ArtifactPhase::Ready | ArtifactPhase::Error);
        let (done, all) = self.progress;
        let status = OSArtifactStatus {
            observed_generation: Some(meta.generation),
            phase: Some(self.phase),
            progress: Some(format!("{done}/{all}")).filter(|_| all > 0),
            current: self.current.clone(),
            conditions: self.conditions(meta, before, &message, now),
            completed_at: over.then(|| next.completed_at.clone().unwrap_or(Time(now))),
            last_updated: before.last_updated.clone(),
            message: Some(message),
            ..next
        };
        let changed = status != *before;
        changed.then_some(OSArtifactStatus { last_updated: Some(Time(now)), ..status })
    }

    fn conditions(&self, meta: &Meta, before: &OSArtifactStatus, message: &str, now: Timestamp) -> Vec<Condition> {
        let make = |(type_, status): &(&str, &str)| {
            let since = before.conditions.iter().find(|condition| condition.type_ == *type_ && condition.status == *status);
            Condition {
                type_: (*type_).into(),
                status: (*status).into(),
                reason: self.reason.code().into(),
                message: message.to_string(),
                observed_generation: Some(meta.generation),
                last_transition_time: since.map_or(Time(now), |condition| condition.last_transition_time.clone()),
            }
        };
        self.conditions.iter().map(make).collect()
    }
}
