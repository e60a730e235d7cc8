//! Kubernetes Events about an artifact: when it is built, or has failed, when something first is in the way of that, and
//! when an exporter's own volume is replaced.

use serde_json::{Value, json};

use super::api::{ArtifactPhase, OSArtifactStatus};
use super::decide::reference;
use super::status::Standing;
use super::work::Work;
use super::{API_VERSION, KIND};
use crate::event::Regarding;
use crate::names;
use crate::plan::{Action, Step};
use crate::reason::Reason;

/// The Events that the change from one status to the next is worth.
pub fn steps(work: &Work<'_>, before: &OSArtifactStatus, standing: &Standing) -> Vec<Step> {
    let was = |reason: Reason| before.conditions.iter().any(|condition| condition.reason == reason.code());
    let over = |phase: Option<ArtifactPhase>| matches!(phase, Some(ArtifactPhase::Ready | ArtifactPhase::Error));
    let new_run = before.run != work.next.run;
    let mut events = Vec::new();
    if over(Some(standing.phase)) && (new_run || !over(before.phase)) && standing.reason != Reason::InvalidSpec {
        let kind = if standing.phase == ArtifactPhase::Ready { "Normal" } else { "Warning" };
        events.push(event(work, "settled", kind, standing.reason, &standing.message));
    } else if standing.reason == Reason::CannotStart && !was(Reason::CannotStart) {
        events.push(event(work, "hindered", "Warning", standing.reason, &standing.message));
    }
    if standing.phase == ArtifactPhase::Exporting && before.exporters.is_empty() {
        events.extend((0..work.next.exporters.len()).filter_map(|index| replaced(work, index)));
    }
    let step = |object| Step {
        subject: reference(work.run.meta),
        reason: standing.reason,
        message: "tell what happened".into(),
        actions: vec![Action::Create { object }],
    };
    events.into_iter().map(step).collect()
}

fn replaced(work: &Work<'_>, index: usize) -> Option<Value> {
    let what = work.run.replaced_volume(index)?;
    let message = format!(
        "exporter {index} has a volume artifacts, with {what}: it is given what was built in its place, read-only; leave that volume out"
    );
    Some(event(work, &format!("replaced-{index}"), "Warning", Reason::VolumeReplaced, &message))
}

fn event(work: &Work<'_>, what: &str, kind: &str, reason: Reason, message: &str) -> Value {
    let meta = work.run.meta;
    let run = work.next.run.unwrap_or(1).to_string();
    let suffix = names::suffix(&["event", &meta.uid, &run, what], 10);
    let mut event =
        Regarding { api_version: API_VERSION, kind: KIND, meta }.event(work.snapshot.now, &suffix, kind, reason.code(), message);
    event["action"] = json!("Build");
    event
}
