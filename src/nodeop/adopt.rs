//! What the existing operator has recorded and left running: nothing is run twice, nothing is lost.
//!
//! A status without our hash is its work. It counts as having run the present spec: what has ended stands as recorded,
//! what runs is awaited, and only what it had merely begun (a preflight, which changes nothing) is begun again.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::api::{NodePhase, NodeStatus, NodeStatuses, NodeStep, Phase};
use super::entries::{Entries, Entry};
use crate::reason::Reason;
use crate::snapshot::views::Job;
use crate::snapshot::{Meta, Snapshot};

/// The rebootStatus of a node that the existing operator's reboot pod is to reboot, or reboots.
pub const REBOOT_PENDING: &str = "pending";
/// The rebootStatus of a node that will not be rebooted.
pub const REBOOT_CANCELLED: &str = "cancelled";
/// The rebootStatus of a node that was rebooted.
pub const REBOOT_COMPLETED: &str = "completed";

/// The entries of a status of the existing operator, as they count for us.
pub fn adopt<'a>(snapshot: &'a Snapshot, meta: &Meta, entries: &'a NodeStatuses) -> Entries<'a> {
    let by_name: BTreeMap<&str, &Job> = jobs(snapshot, meta).map(|job| (job.name.as_str(), job)).collect();
    let adopt = |(node, entry): (&'a Arc<str>, &Arc<NodeStatus>)| {
        let job = entry.job_name.as_deref().and_then(|name| by_name.get(name).copied());
        Some((&**node, Entry::made(adopt_entry(snapshot, node, NodeStatus::clone(entry), job)?)))
    };
    let mut adopted: Entries<'a> = entries.iter().filter_map(adopt).collect();
    // It makes the Job before it writes the status: one that was killed in between has a Job that no status names.
    let mut unnamed: Vec<&Job> = jobs(snapshot, meta).filter(|job| !adopted.contains_key(job.node.as_str())).collect();
    unnamed.sort_by_key(|job| (!job.is_finished(), job.created, &job.name));
    for job in unnamed {
        adopted.insert(&job.node, Entry::made(awaited(snapshot, &job.node, job_entry(job), Some(job))));
    }
    adopted.sort_unstable_keys();
    adopted
}

/// The Jobs that the existing operator has made for a resource: ours carry the number of their run.
pub fn jobs<'a>(snapshot: &'a Snapshot, meta: &Meta) -> impl Iterator<Item = &'a Job> {
    let owned = |job: &&Job| job.namespace == meta.namespace && job.owner.as_ref().is_some_and(|owner| owner.uid == meta.uid);
    snapshot.jobs.iter().filter(|job| job.run.is_none()).filter(owned)
}

/// Whether an entry of the existing operator speaks of a node that it was not done with.
pub fn is_in_flight(entry: &NodeStatus) -> bool {
    match entry.phase {
        NodePhase::Completed => entry.reboot_status.as_deref() == Some(REBOOT_PENDING),
        NodePhase::Failed => false,
        _ => true,
    }
}

fn adopt_entry(snapshot: &Snapshot, node: &str, mut entry: NodeStatus, job: Option<&Job>) -> Option<NodeStatus> {
    entry.job_name = entry.job_name.filter(|name| !name.is_empty());
    match entry.phase {
        NodePhase::Completed if is_in_flight(&entry) => {
            let mut entry = awaited(snapshot, node, entry, job);
            entry.step = Some(NodeStep::Rebooting);
            Some(entry)
        }
        // It calls a Job lost that its cache does not know yet.
        NodePhase::Failed if job.is_some_and(|job| !job.is_finished() && !job.deleting) => Some(awaited(snapshot, node, entry, job)),
        NodePhase::Completed | NodePhase::Failed => {
            let reason = finished_reason(&entry);
            entry.reason.get_or_insert_with(|| reason.code().into());
            // A node that was made anew since then is one that it would not have come back to; our arrival does not, either.
            let created = snapshot.nodes.get(node).and_then(|node| node.created).map(Time);
            entry.last_updated = entry.last_updated.max(created);
            if entry.reboot_status.as_deref() == Some(REBOOT_PENDING) {
                entry.reboot_status = Some(REBOOT_CANCELLED.into());
            }
            Some(entry)
        }
        NodePhase::Pending | NodePhase::Running => entry.job_name.is_some().then(|| awaited(snapshot, node, entry, job)),
        NodePhase::Preflight => None,
    }
}

/// An entry whose Job is awaited from now on.
fn awaited(snapshot: &Snapshot, node: &str, mut entry: NodeStatus, job: Option<&Job>) -> NodeStatus {
    entry.phase = NodePhase::Running;
    entry.step = Some(NodeStep::Running);
    entry.step_since = Some(Time(snapshot.now));
    entry.run = Some(1);
    entry.job_uid = job.map(|job| job.uid.clone());
    entry.node_uid = snapshot.nodes.get(node).map(|node| node.uid.clone());
    entry
}

/// The entry that the existing operator would have written for its Job.
fn job_entry(job: &Job) -> NodeStatus {
    NodeStatus { job_name: Some(job.name.clone()), message: Some("Job created".into()), ..NodeStatus::default() }
}

/// Why an entry of the existing operator ended as it did: it left no reason but its words.
fn finished_reason(entry: &NodeStatus) -> Reason {
    let ran = entry.job_name.is_some();
    match (entry.phase, entry.message.as_deref()) {
        (NodePhase::Completed, _) if !ran => Reason::SkippedByPreflight,
        (NodePhase::Completed, _) => Reason::Succeeded,
        (_, Some("Job failed")) => Reason::CommandFailed,
        // It overwrites the reason of a failed preflight with that of a Job that was never made.
        _ if !ran => Reason::PreflightFailed,
        (_, Some("Job not found")) => Reason::JobLost,
        _ => Reason::CommandFailed,
    }
}

/// Makes a status of another program readable: words that this version does not know neither hide the resource nor count
/// as done or as not begun. Where a Job is named it decides; else the node is named and left alone. A status with our own
/// hash is not touched: words that we do not know are then those of a newer version, which knows more than we do.
pub fn read_words<Phases: DeserializeOwned>(status: &mut Value) {
    if status.get("specHash").is_some_and(|hash| !hash.is_null()) {
        return;
    }
    let known = |word: &Value| serde_json::from_value::<Phases>(word.clone()).is_ok();
    if let Some(phase) = status.get_mut("phase").filter(|phase| phase.is_string() && !known(phase)) {
        *phase = if phase == "" { Value::Null } else { json!(Phase::Running) };
    }
    let entries = status.get_mut("nodeStatuses").and_then(Value::as_object_mut);
    for entry in entries.into_iter().flat_map(|entries| entries.values_mut()).filter_map(Value::as_object_mut) {
        let Some(word) = entry.get("phase").and_then(Value::as_str).map(ToString::to_string) else { continue };
        if serde_json::from_value::<NodePhase>(json!(word)).is_ok() {
            continue;
        }
        let named = entry.get("jobName").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
        entry.insert("phase".into(), json!(if named { NodePhase::Running } else { NodePhase::Failed }));
        if !named {
            let message = format!(
                "recorded as {word:?}, a word that this version does not know; whether anything ran there is not known, so the node is \
                 left alone until {} asks for another try",
                crate::names::ANNOTATION_RETRY_FAILED
            );
            entry.insert("message".into(), json!(message));
            entry.insert("reason".into(), json!(Reason::Unreadable));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_of_another_program_are_read_as_the_job_says_or_left_alone() {
        let mut status = json!({"phase": "Initializing", "nodeStatuses": {
            "a": {"phase": "Draining", "jobName": "op-a-x"}, "b": {"phase": "Waiting"}, "c": {"phase": "Completed"}, "d": {"phase": 3},
        }});
        read_words::<Phase>(&mut status);
        assert_eq!(status["phase"], "Running");
        assert_eq!(
            (&status["nodeStatuses"]["a"]["phase"], &status["nodeStatuses"]["c"]["phase"]),
            (&json!("Running"), &json!("Completed"))
        );
        let left = &status["nodeStatuses"]["b"];
        assert_eq!((&left["phase"], &left["reason"]), (&json!("Failed"), &json!("Unreadable")));
        assert!(left["message"].as_str().unwrap().starts_with("recorded as \"Waiting\", a word"), "{left}");
        assert_eq!(status["nodeStatuses"]["d"]["phase"], 3, "what is no word at all stays unreadable");
    }

    #[test]
    fn the_words_of_a_newer_version_of_ours_are_not_guessed_at() {
        let status = json!({"specHash": "x", "phase": "Soaking", "nodeStatuses": {"a": {"phase": "Soaking"}}});
        let mut read = status.clone();
        read_words::<Phase>(&mut read);
        assert_eq!(read, status);
    }
}
