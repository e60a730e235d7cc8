//! What becomes of Jobs, preflight Pods and reboot Pods that are done with: they stay as the record until something newer takes their
//! place, or for as long as the user said.

use serde_json::json;

use super::api::{NodePhase, NodeStatus, NodeStep};
use super::entries::Entries;
use super::operation::Operation;
use super::rebooting::{follows, is_reboot};
use super::verdict;
use crate::names;
use crate::plan::{Action, Step};
use crate::reason::Reason;
use crate::snapshot::Reference;
use crate::snapshot::views::{Job, Pod};

/// Steps that tidy up after finished, superseded and never started Jobs and Pods, given the entries as they will stand.
pub fn steps(op: &Operation<'_>, entries: &Entries<'_>) -> Vec<Step> {
    // Of a Job that has ended, only a newer one on its node or a time to live makes anything (`job_step`): where there is
    // neither, ten thousand of them need not be looked up.
    let all = op.crowds() || op.rollout.job_ttl_seconds.is_some();
    let jobs = if all { op.jobs() } else { op.open_jobs() };
    let jobs = jobs.iter().filter(|job| !job.deleting);
    let jobs = jobs.filter_map(|job| job_step(op, job, entries.get(job.node.as_str()).map(|entry| &**entry)));
    let pods = op.pods().filter(|pod| op.made(pod) && pod.labels.contains_key(names::LABEL_PREFLIGHT) && pod.deleted.is_none());
    let pods = pods.filter_map(|pod| {
        let running = entries.get(pod.node.as_str()).is_some_and(|entry| entry.step == Some(NodeStep::Preflight));
        (!running).then(|| {
            let what = Reference::new("Pod", &pod.namespace, &pod.name, &pod.uid);
            let delete = Action::Delete { what, resource_version: None, grace_seconds: Some(0) };
            op.step(&pod.node, Reason::Superseded, "remove the preflight pod, its verdict is recorded", delete)
        })
    });
    jobs.chain(pods).chain(reboots(op, entries)).collect()
}

/// Pods that wait to reboot a node where nothing is awaited any more: they would wait for ever, and those of the existing
/// operator reboot it whenever they find what they look for. One of ours that has done its work is kept as a Job is.
fn reboots<'o>(op: &'o Operation<'_>, entries: &'o Entries<'_>) -> impl Iterator<Item = Step> + 'o {
    let idle = |pod: &Pod| {
        let entry = entries.get(pod.node.as_str()).map(|entry| &**entry);
        let step = entry.and_then(|entry| entry.step);
        if !pod.labels.contains_key(names::LABEL_RUN) {
            let awaited = matches!(step, Some(NodeStep::Running | NodeStep::Rebooting)) || op.has_live_job(&pod.node);
            return !awaited && !pod.is_terminal();
        }
        let superseded = step.is_some_and(|step| step < NodeStep::Releasing);
        (!pod.is_terminal() || superseded || op.rollout.job_ttl_seconds.is_some()) && !is_awaited(op, pod, entry)
    };
    let made = op.pods().filter(|pod| op.made(pod) && is_reboot(pod) && pod.deleted.is_none());
    made.filter(move |pod| idle(pod)).map(|pod| {
        let what = Reference::new("Pod", &pod.namespace, &pod.name, &pod.uid);
        let delete = Action::Delete { what, resource_version: None, grace_seconds: None };
        op.step(&pod.node, Reason::Superseded, "remove the reboot pod, nothing is left for it to wait for", delete)
    })
}

/// Whether this very reboot Pod belongs to the claim on its node: from the lock until the node is back.
fn is_awaited(op: &Operation<'_>, pod: &Pod, entry: Option<&NodeStatus>) -> bool {
    let (Some(entry), Some(node)) = (entry, op.snapshot.nodes.get(&pod.node)) else { return false };
    let flying = entry.step.is_some_and(|step| (NodeStep::Locking..NodeStep::Cancelling).contains(&step));
    flying && follows(entry) && entry.node_uid.as_ref() == Some(&node.uid) && op.claim(node, entry).reboot_name() == pod.name
}

fn job_step(op: &Operation<'_>, job: &Job, entry: Option<&NodeStatus>) -> Option<Step> {
    let what = || Reference::new("Job", &job.namespace, &job.name, &job.uid);
    let named = entry.is_some_and(|entry| match entry.step {
        // Made, but not in the claim yet: adopted in the next round.
        Some(NodeStep::Locking | NodeStep::Starting) => true,
        _ => entry.job_uid.as_ref() == Some(&job.uid),
    });
    if job.held && !job.is_finished() && !named && job.run.is_some() {
        // It has never run and never will. Bound to the resourceVersion: had anybody let it run meanwhile, it stays.
        let delete = Action::Delete { what: what(), resource_version: Some(job.resource_version.clone()), grace_seconds: None };
        return Some(op.step(&job.node, Reason::Superseded, "remove a Job that no status names", delete));
    }
    if is_left_behind(op, job, entry) {
        // Whatever has become of it meanwhile: its next pod is worse than the loss of a record.
        let delete = Action::Delete { what: what(), resource_version: None, grace_seconds: None };
        return Some(op.step(&job.node, Reason::Superseded, "remove a Job that would run its command once more", delete));
    }
    if !job.is_finished() || named {
        return None;
    }
    let newer = op.jobs_on(&job.node).iter().any(|other| !other.held && (other.created, &other.name) > (job.created, &job.name));
    if newer && job.run.is_some() {
        let delete = Action::Delete { what: what(), resource_version: None, grace_seconds: None };
        return Some(op.step(&job.node, Reason::Superseded, "remove the Job of an earlier run", delete));
    }
    let recorded = entry.is_some_and(NodeStatus::is_finished);
    let seconds = op.rollout.job_ttl_seconds.filter(|seconds| recorded && job.ttl_seconds != Some(*seconds))?;
    let patch = json!({"spec": {"ttlSecondsAfterFinished": seconds}});
    Some(op.step(&job.node, Reason::Completed, "let the Job expire", Action::Patch { what: what(), patch }))
}

/// Whether a Job may run a command that nobody awaits: again where it has succeeded, after a verdict that no Job gives, or on
/// the next machine that comes up under the name of its node.
fn is_left_behind(op: &Operation<'_>, job: &Job, entry: Option<&NodeStatus>) -> bool {
    // One of the existing operator's is ours to remove where an entry has taken it over.
    let ours = job.run.is_some() || entry.is_some_and(|entry| entry.job_name.as_ref() == Some(&job.name));
    if !ours || job.run.is_some() && job.held || job.is_finished() {
        return false;
    }
    let step = entry.and_then(|entry| entry.step);
    let has = |phase| entry.is_some_and(|entry| entry.phase == phase);
    let succeeded = has(NodePhase::Completed) || matches!(step, Some(NodeStep::Rebooting | NodeStep::Verifying));
    if succeeded && verdict::would_run_again(&op.pods_of(&job.uid, &job.node)) {
        return true;
    }
    let awaited = step.is_some_and(|step| step < NodeStep::Releasing);
    let anew = || op.snapshot.nodes.get(&job.node).is_none_or(|node| node.created.is_some() && node.created > job.created);
    !awaited && (has(NodePhase::Failed) || anew())
}
