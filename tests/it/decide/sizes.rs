//! How large a NodeOp gets: what is stored must stay below 1 MiB, for the apiserver refuses 2 MiB.

use std::collections::BTreeMap;

use rounds::decide::decide;
use rounds::nodeop::api::{NodeOpSpec, NodeOpStatus, NodePhase};
use rounds::settings::Settings;
use rounds::snapshot::views::{Container, ContainerState, Exit, Job, Node, Owner, Pod};
use rounds::snapshot::{Meta, Resource, Snapshot};
use serde_json::json;

use super::shorthand::time;
use super::story;

const MIB: usize = 1024 * 1024;

fn fleet(count: usize, spec: serde_json::Value) -> Snapshot {
    let node = |index: usize| {
        // Twenty characters.
        let name = format!("worker-{index:05}-eu-west");
        assert_eq!(name.len(), 20);
        let uid = format!("5d1b7c1a-9a56-4a6e-8a3b-{index:012}");
        let node =
            Node { name: name.clone(), uid, resource_version: "1".into(), ready: true, created: Some(time(-86_400)), ..Node::default() };
        (name, node)
    };
    let meta = Meta {
        namespace: "operator-system".into(),
        name: "upgrade-to-v4-1-0".into(),
        uid: "0c9e1f60-5a0e-4c58-a4ef-b3dd9f4e2c11".into(),
        resource_version: "1".into(),
        generation: 1,
        ..Meta::default()
    };
    let spec: NodeOpSpec = serde_json::from_value(spec).unwrap();
    Snapshot {
        now: time(0),
        nodes: (0..count).map(node).collect(),
        nodeops: vec![Resource { meta, spec, status: NodeOpStatus::default() }],
        ..Snapshot::default()
    }
}

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

/// One round; the locks and Jobs are there in the next. Whether anything was written.
fn round(snapshot: &mut Snapshot) -> bool {
    let plan = decide(snapshot, &Settings::default());
    story::write_statuses(snapshot, &plan);
    let op = snapshot.nodeops[0].meta.clone();
    let entries = snapshot.nodeops[0].status.node_statuses.clone();
    let index: BTreeMap<String, usize> = snapshot.jobs.iter().enumerate().map(|(at, job)| (job.uid.clone(), at)).collect();
    for action in plan.decisions.iter().flat_map(|decision| &decision.steps).flat_map(|step| &step.actions) {
        match action {
            rounds::plan::Action::ApplyNode(apply) => story::apply_node(snapshot, apply),
            rounds::plan::Action::Create { object } if object["kind"] == "Job" => {
                let text = |pointer: &str| object.pointer(pointer).unwrap().as_str().unwrap().to_string();
                let node = text("/spec/template/spec/nodeName");
                assert_eq!(text("/metadata/name").len(), 63.min(text("/metadata/name").len()));
                snapshot.jobs.push(Job {
                    namespace: op.namespace.clone(),
                    name: text("/metadata/name"),
                    uid: format!("7e4c2b90-1f6d-4f6e-9a70-{}", &entries[&node].node_uid.clone().unwrap()[24..]),
                    owner: Some(Owner { kind: "NodeOp".into(), name: op.name.clone(), uid: op.uid.clone() }),
                    run: Some(1),
                    node,
                    suspended: true,
                    resource_version: "1".into(),
                    ..Job::default()
                });
            }
            rounds::plan::Action::Patch { what, .. } => {
                snapshot.jobs[index[&what.uid]].suspended = false;
            }
            _ => {}
        }
    }
    !plan.is_empty()
}

/// Every Job that runs ends.
fn finish(snapshot: &mut Snapshot, code: i32, message: &str) {
    // What is recorded is of no more interest.
    snapshot.pods.clear();
    for job in snapshot.jobs.iter_mut().filter(|job| !job.suspended && !job.is_finished()) {
        job.complete = code == 0;
        job.failed = (code != 0).then(Default::default);
        let exit = Exit { code, message: message.into(), ..Exit::default() };
        snapshot.pods.push(Pod {
            namespace: job.namespace.clone(),
            name: job.name.clone(),
            owner: Some(Owner { kind: "Job".into(), name: job.name.clone(), uid: job.uid.clone() }),
            labels: [(rounds::names::LABEL_OWNER_UID.to_string(), snapshot.nodeops[0].meta.uid.clone())].into(),
            node: job.node.clone(),
            phase: if code == 0 { "Succeeded" } else { "Failed" }.into(),
            containers: vec![Container { name: "nodeop".into(), state: ContainerState::Ended(exit), ..Container::default() }],
            ..Pod::default()
        });
    }
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
        for _ in 0..6 {
            round(&mut snapshot);
            finish(&mut snapshot, 0, "");
        }
        let entries = &snapshot.nodeops[0].status.node_statuses;
        assert_eq!(entries.len(), count);
        assert!(entries.values().all(|entry| entry.phase == NodePhase::Completed && entry.job_name.is_none() == compact), "{count}");
    }
}

#[test]
fn why_nodes_failed_is_kept_for_some_of_many() {
    let mut snapshot = fleet(1600, json!({"command": ["true"]}));
    for _ in 0..6 {
        round(&mut snapshot);
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
