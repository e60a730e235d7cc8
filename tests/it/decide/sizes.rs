//! How large a NodeOp gets: what is stored must stay below 1 MiB, for the apiserver refuses 2 MiB.

use std::collections::BTreeMap;

use rounds::decide::decide;
use rounds::nodeop::api::{NodeOpSpec, NodeOpStatus, NodePhase, NodeStep};
use rounds::settings::Settings;
use rounds::snapshot::Resource;
use serde_json::json;

use crate::fleet::{finish, fleet, round};

const MIB: usize = 1024 * 1024;

/// What etcd stores: the object as JSON, with managedFields as the server keeps them for an atomic map.
fn stored(resource: &Resource<NodeOpSpec, NodeOpStatus>) -> usize {
    let managed: BTreeMap<&str, serde_json::Value> = BTreeMap::from([
        ("f:spec", json!({"f:command": {}, "f:concurrency": {}, "f:cordon": {}, "f:drainOptions": {}, "f:nodeSelector": {}})),
        ("f:status", json!({"f:conditions": {}, "f:nodeStatuses": {}, "f:nodes": {}, "f:message": {}, "f:phase": {}})),
    ]);
    let object = json!({
        "apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOp",
        "metadata": {"name": resource.meta.name, "namespace": resource.meta.namespace, "uid": resource.meta.uid, "managedFields": managed},
        "spec": resource.spec, "status": resource.status,
    });
    serde_json::to_vec(&object).unwrap().len()
}

#[test]
fn ten_thousand_nodes_fit_into_one_object_at_the_worst_moment() {
    let spec = json!({"command": ["sh", "-c", "true"], "cordon": true, "concurrency": 0});
    let mut snapshot = fleet(10_000, spec);
    let mut largest = 0;
    while round(&mut snapshot) {
        let status = &snapshot.nodeops[0].status;
        let flying = status.node_statuses.values().filter(|entry| entry.step.is_some()).count();
        assert!(flying <= 2000, "{flying} in flight");
        largest = largest.max(stored(&snapshot.nodeops[0]));
        finish(&mut snapshot, 0, "");
    }
    let status = &snapshot.nodeops[0].status;
    assert!(status.node_statuses.values().all(|entry| entry.phase == NodePhase::Completed && entry.step.is_none()));
    assert_eq!(status.node_statuses.len(), 10_000);
    assert!(largest < MIB, "{largest} bytes at the worst moment");
    assert!(snapshot.nodes.values().all(|node| node.lock.is_none() && !node.unschedulable), "nobody is locked or cordoned any more");
}

#[test]
fn from_1500_entries_on_they_are_compact() {
    for (count, compact) in [(1499, false), (1500, true)] {
        let mut snapshot = fleet(count, json!({"command": ["true"]}));
        while round(&mut snapshot) {
            finish(&mut snapshot, 0, "");
        }
        let entries = &snapshot.nodeops[0].status.node_statuses;
        assert_eq!(entries.len(), count);
        assert!(entries.values().all(|entry| entry.phase == NodePhase::Completed && entry.job_name.is_none() == compact), "{count}");
    }
}

#[test]
fn what_blocks_is_told_of_many_nodes_for_as_long_as_it_stands() {
    let mut snapshot = fleet(2500, json!({"command": ["true"]}));
    while snapshot.nodeops[0].status.node_statuses.len() < 1750 {
        assert!(round(&mut snapshot));
    }
    let entries = &snapshot.nodeops[0].status.node_statuses;
    let taken = entries.iter().find(|(_, entry)| entry.step == Some(NodeStep::Locking));
    let name = taken.expect("some were taken in the last round").0.to_string();
    assert!(entries[&*name].message.is_none(), "the entries are compact");
    snapshot.nodes.get_mut(&name).unwrap().ready = false;
    for _ in 0..4 {
        round(&mut snapshot);
        let status = &snapshot.nodeops[0].status;
        assert_eq!(status.of(&name).unwrap().reason.as_deref(), Some("NotReady"));
        let expected = format!("node {name}: the node is not Ready; it is started when it is");
        assert_eq!(status.message.as_deref(), Some(&*expected));
    }
    assert!(decide(&snapshot, &Settings::default()).decisions[0].status.is_none(), "and nothing is written for it");
}

#[test]
fn why_nodes_failed_is_kept_for_some_of_many() {
    let mut snapshot = fleet(1600, json!({"command": ["true"]}));
    while round(&mut snapshot) {
        finish(&mut snapshot, 3, "disk full");
    }
    let entries = &snapshot.nodeops[0].status.node_statuses;
    assert!(entries.values().all(|entry| entry.reason.as_deref() == Some("CommandFailed")));
    let told = entries.values().filter(|entry| entry.message.as_deref() == Some("Job failed: exit code 3: disk full"));
    assert_eq!(told.count(), 200);
    assert!(decide(&snapshot, &Settings::default()).decisions[0].status.is_none());
}

#[test]
fn ten_thousand_failures_with_long_words_fit_and_keep_their_cordons() {
    let mut snapshot = fleet(10_000, json!({"command": ["true"], "cordon": true}));
    let mut largest = 0;
    while round(&mut snapshot) {
        largest = largest.max(stored(&snapshot.nodeops[0]));
        finish(&mut snapshot, 3, &"x".repeat(4000));
    }
    let entries = &snapshot.nodeops[0].status.node_statuses;
    assert!(entries.values().all(|entry| entry.phase == NodePhase::Failed && entry.step.is_none()));
    assert!(snapshot.nodes.values().all(|node| node.unschedulable && node.lock.is_none()), "failed nodes stay cordoned");
    assert!(largest < 3 * MIB / 2, "{largest} bytes at the worst moment");
}
