//! Which run of an operation this is: edits, tokens, and what the existing operator has done before us.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::adopt;
use super::api::{NodeOpSpec, NodeOpStatus, NodePhase, NodeStatus};
use super::entries::{Entries, Entry};
use super::spec_hash::spec_hash;
use crate::names;
use crate::rollout::RunPolicy;
use crate::snapshot::{Meta, Snapshot, views::Node};

/// The run that the present spec and tokens ask for, and the entries that still count in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Run<'a> {
    /// Counter: every start, edit, re-run and retry has a number of its own.
    pub number: i64,
    /// The run in which the present spec was first executed: a result of an older one does not count any more.
    pub spec_run: i64,
    /// Hash of the present spec.
    pub spec_hash: String,
    /// Token of the re-run that has been answered.
    pub rerun: Option<String>,
    /// Token of the retry that has been answered.
    pub retry_failed: Option<String>,
    /// When the run began.
    pub started_at: Time,
    /// Whether this round begins it.
    pub is_new: bool,
    /// Whether the status was written by the existing operator.
    pub adopted: bool,
    /// The entries of the status that still count.
    pub entries: Entries<'a>,
}

/// Compares the spec and the tokens with what the status has recorded.
pub fn current<'a>(snapshot: &'a Snapshot, meta: &Meta, spec: &NodeOpSpec, status: &'a NodeOpStatus) -> Run<'a> {
    let token = |key: &str| meta.annotations.get(key).filter(|token| !token.is_empty()).cloned();
    let mut run = Run {
        number: status.run.unwrap_or(1),
        spec_run: status.spec_run.unwrap_or(1),
        spec_hash: spec_hash(spec),
        rerun: token(names::ANNOTATION_RERUN).or_else(|| status.rerun.clone()),
        retry_failed: token(names::ANNOTATION_RETRY_FAILED).or_else(|| status.retry_failed.clone()),
        started_at: status.started_at.clone().unwrap_or(Time(snapshot.now)),
        is_new: false,
        adopted: false,
        entries: status.node_statuses.iter().map(|(node, entry)| (&**node, Entry::Kept(entry))).collect(),
    };
    if status.spec_hash.is_none() {
        run.is_new = true;
        run.adopted = status.phase.is_some() || !run.entries.is_empty() || adopt::jobs(snapshot, meta).next().is_some();
        if run.adopted {
            run.entries = adopt::adopt(snapshot, meta, &status.node_statuses);
        }
        return run;
    }
    let policy = spec.rollout().run_policy.unwrap_or_default();
    let edited = status.spec_hash.as_deref() != Some(&run.spec_hash) && policy == RunPolicy::OnChange;
    if edited || run.rerun != status.rerun {
        run.begin(snapshot);
        run.spec_run = run.number;
        run.entries.retain(|_, entry| !entry.is_finished());
    } else if run.retry_failed != status.retry_failed {
        run.begin(snapshot);
        run.entries.retain(|_, entry| !(entry.is_finished() && entry.phase == NodePhase::Failed));
        // One that has failed and still holds its node counts no more, either: it is dropped when the node is free.
        for entry in run.entries.values_mut().filter(|entry| entry.phase == NodePhase::Failed) {
            *entry = Entry::made(NodeStatus { run: Some(0), ..(**entry).clone() });
        }
    }
    if policy == RunPolicy::OnChange {
        let newest = snapshot.nodes.values().filter_map(|node| node.created).max();
        run.entries.retain(|name, entry| {
            let written = entry.last_updated.as_ref().or(status.started_at.as_ref()).map(|written| written.0);
            !entry.is_finished() || newest <= written || !is_recreated(snapshot.nodes.get(*name), written)
        });
    }
    run
}

impl Run<'_> {
    fn begin(&mut self, snapshot: &Snapshot) {
        self.number = self.number.saturating_add(1);
        self.started_at = Time(snapshot.now);
        self.is_new = true;
    }

    /// Whether what this entry ran, or was going to run, is not what the spec says now.
    pub fn is_outdated(&self, entry: &NodeStatus) -> bool {
        entry.run.is_some_and(|run| run < self.spec_run)
    }
}

/// Whether the node is another one than the one that finished under its name. Finished entries hold no uid (ten thousand
/// of them must fit into one object); a node that was created after the entry was written is another one. Compact
/// entries have no time of their own and are only written for nodes that are older than the run.
fn is_recreated(node: Option<&Node>, written: Option<Timestamp>) -> bool {
    node.and_then(|node| node.created).is_some_and(|created| written.is_some_and(|written| created > written))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_retry_counts_for_nodes_that_have_failed_and_are_still_held() {
        let spec: NodeOpSpec = serde_json::from_value(json!({"command": ["x"]})).unwrap();
        let entry = |phase: &str, step: Option<&str>| json!({"phase": phase, "step": step, "run": 1});
        let status: NodeOpStatus = serde_json::from_value(json!({
            "specHash": spec_hash(&spec), "run": 1, "specRun": 1,
            "nodeStatuses": {
                "held": entry("Failed", Some("Releasing")), "failed": entry("Failed", None),
                "done": entry("Completed", None), "runs": entry("Running", Some("Running")),
            },
        }))
        .unwrap();
        let annotations = BTreeMap::from([(names::ANNOTATION_RETRY_FAILED.to_string(), "again".to_string())]);
        let snapshot = Snapshot::default();
        let run = current(&snapshot, &Meta { annotations, ..Meta::default() }, &spec, &status);
        assert_eq!(run.entries.keys().copied().collect::<Vec<_>>(), ["done", "held", "runs"]);
        assert!(run.is_outdated(&run.entries["held"]) && !run.is_outdated(&run.entries["runs"]) && !run.is_outdated(&run.entries["done"]));
        assert_eq!((run.number, run.spec_run), (2, 1));
    }
}
