//! A large fleet in memory, and rounds over it: what the tests of sizes and the benchmark of scale share.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rounds::decide::decide;
use rounds::names;
use rounds::nodeop::api::{NodeOpSpec, NodeOpStatus};
use rounds::plan::{Action, NodeApply, Plan};
use rounds::settings::Settings;
use rounds::snapshot::views::{Container, ContainerState, Exit, Holder, Job, Node, Owner, Pod};
use rounds::snapshot::{Meta, Resource, Snapshot};

/// The time at which nothing has happened yet.
fn start() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// So many nodes with names of twenty characters, and one NodeOp over all of them.
pub fn fleet(count: usize, spec: serde_json::Value) -> Snapshot {
    let node = |index: usize| {
        // Twenty characters.
        let name = format!("worker-{index:05}-eu-west");
        assert_eq!(name.len(), 20);
        let uid = format!("5d1b7c1a-9a56-4a6e-8a3b-{index:012}");
        let node = Node {
            name: name.clone(),
            uid,
            resource_version: "1".into(),
            ready: true,
            created: Some(start() - SignedDuration::from_hours(24)),
            ..Node::default()
        };
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
        now: start(),
        nodes: (0..count).map(node).collect(),
        nodeops: vec![Resource { meta, spec, status: NodeOpStatus::default() }],
        ..Snapshot::default()
    }
}

/// One round; the locks and Jobs are there in the next. Whether anything was written.
pub fn round(snapshot: &mut Snapshot) -> bool {
    let plan = decide(snapshot, &Settings::default());
    write_statuses(snapshot, &plan);
    let op = snapshot.nodeops[0].meta.clone();
    let entries = snapshot.nodeops[0].status.node_statuses.clone();
    let index: BTreeMap<String, usize> = snapshot.jobs.iter().enumerate().map(|(at, job)| (job.uid.clone(), at)).collect();
    for action in plan.decisions.iter().flat_map(|decision| &decision.steps).flat_map(|step| &step.actions) {
        match action {
            Action::ApplyNode(apply) => apply_node(snapshot, apply),
            Action::Create { object } if object["kind"] == "Job" => {
                let text = |pointer: &str| object.pointer(pointer).unwrap().as_str().unwrap().to_string();
                let node = text("/spec/template/spec/nodeName");
                assert_eq!(text("/metadata/name").len(), 63.min(text("/metadata/name").len()));
                snapshot.jobs.push(Job {
                    namespace: op.namespace.clone(),
                    name: text("/metadata/name"),
                    uid: format!("7e4c2b90-1f6d-4f6e-9a70-{}", &entries[node.as_str()].node_uid.clone().unwrap()[24..]),
                    owner: Some(Owner { kind: "NodeOp".into(), name: op.name.clone(), uid: op.uid.clone() }),
                    run: Some(1),
                    node,
                    held: true,
                    resource_version: "1".into(),
                    ..Job::default()
                });
            }
            Action::Patch { what, .. } => {
                snapshot.jobs[index[&what.uid]].held = false;
            }
            _ => {}
        }
    }
    !plan.is_empty()
}

/// Every Job that runs ends.
pub fn finish(snapshot: &mut Snapshot, code: i32, message: &str) {
    // What is recorded is of no more interest.
    snapshot.pods.clear();
    for job in snapshot.jobs.iter_mut().filter(|job| !job.held && !job.is_finished()) {
        job.complete = code == 0;
        job.failed = (code != 0).then(Default::default);
        let exit = Exit { code, message: message.into(), ..Exit::default() };
        snapshot.pods.push(Pod {
            namespace: job.namespace.clone(),
            name: job.name.clone(),
            owner: Some(Owner { kind: "Job".into(), name: job.name.clone(), uid: job.uid.clone() }),
            labels: [(names::LABEL_OWNER_UID.to_string(), snapshot.nodeops[0].meta.uid.clone())].into(),
            node: job.node.clone(),
            phase: if code == 0 { "Succeeded" } else { "Failed" }.into(),
            containers: vec![Container { name: "nodeop".into(), state: ContainerState::Ended(exit), ..Container::default() }],
            ..Pod::default()
        });
    }
}

/// Writes the statuses of a plan, and nothing else.
pub fn write_statuses(snapshot: &mut Snapshot, plan: &Plan) {
    for write in plan.decisions.iter().filter_map(|decision| decision.status.as_ref()) {
        if let Some(upgrade) = snapshot.upgrades.iter_mut().find(|upgrade| upgrade.meta.uid == write.of.uid) {
            assert_eq!(upgrade.meta.resource_version, write.resource_version);
            upgrade.status = write.status.read().unwrap();
            bump(&mut upgrade.meta.resource_version);
            continue;
        }
        if let Some(channel) = snapshot.channels.iter_mut().find(|channel| channel.meta.uid == write.of.uid) {
            assert_eq!(channel.meta.resource_version, write.resource_version);
            channel.status = write.status.read().unwrap();
            bump(&mut channel.meta.resource_version);
            continue;
        }
        if let Some(artifact) = snapshot.artifacts.iter_mut().find(|artifact| artifact.meta.uid == write.of.uid) {
            assert_eq!(artifact.meta.resource_version, write.resource_version);
            artifact.status = write.status.read().unwrap();
            bump(&mut artifact.meta.resource_version);
            continue;
        }
        let resource = snapshot.nodeops.iter_mut().find(|resource| resource.meta.uid == write.of.uid).unwrap();
        assert_eq!(resource.meta.resource_version, write.resource_version);
        resource.status = write.status.read().unwrap();
        bump(&mut resource.meta.resource_version);
    }
}

/// The next resourceVersion.
pub fn bump(version: &mut String) {
    *version = (version.parse::<u64>().unwrap() + 1).to_string();
}

/// What a server-side apply without force makes of a node.
pub fn apply_node(snapshot: &mut Snapshot, apply: &NodeApply) {
    let Some(node) = snapshot.nodes.get_mut(&apply.node.name).filter(|node| node.uid == apply.node.uid) else { return };
    assert_eq!(node.resource_version, apply.resource_version, "a stale apply is refused");
    let ours = |holder: &Option<Holder>| holder.as_ref().is_none_or(|holder| holder.manager == apply.manager);
    let holder = |value: &Option<String>| value.clone().map(|value| Holder { value, manager: apply.manager.clone() });
    if ours(&node.lock) {
        node.lock = holder(&apply.lock);
    }
    if ours(&node.cordoned_by) {
        node.cordoned_by = holder(&apply.cordon);
    }
    let owned = node.cordon_managers.contains(&apply.manager);
    node.cordon_managers.retain(|manager| *manager != apply.manager);
    if apply.cordon.is_some() {
        node.cordon_managers.push(apply.manager.clone());
        node.unschedulable = true;
    } else if owned && node.cordon_managers.is_empty() {
        node.unschedulable = false;
    }
    bump(&mut node.resource_version);
}
