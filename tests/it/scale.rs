//! What only a real apiserver tells about large operations.

use std::time::Duration;

use rounds::cluster::Cluster;
use rounds::cluster::apply::{Mode, apply};
use rounds::cluster::connect::Connection;
use rounds::decide::decide;
use rounds::nodeop::pending::REBOOTING_WAVE;
use rounds::outcome::Verdict;
use rounds::plan::{Document, StatusWrite};
use rounds::settings::Settings;
use rounds::simulate::fleet::{Fleet, Size};
use rounds::simulate::model::{Model, Spread};
use rounds::simulate::rollout::{Limits, Rollout};
use rounds::simulate::world::World;
use rounds::snapshot::{Meta, Resource, Snapshot};
use serde_json::{Value, json};

use crate::fleet::{finish, fleet, round};
use crate::harness::{Corner, Entry, wait_for};

/// The status that a rollout over so many nodes has when it is largest.
fn largest(nodes: usize, spec: &Value) -> Value {
    let mut snapshot = fleet(nodes, spec.clone());
    let mut largest = (0, Value::Null);
    while round(&mut snapshot) {
        let status = json!(snapshot.nodeops[0].status);
        let size = status.to_string().len();
        if size > largest.0 {
            largest = (size, status);
        }
        finish(&mut snapshot, 0, "");
    }
    largest.1
}

#[test]
fn ten_thousand_nodes_at_the_worst_moment_are_stored_in_less_than_a_mebibyte() {
    let corner = Corner::new("scale");
    let spec = json!({"command": ["sh", "-c", "true"], "cordon": true, "concurrency": 0});
    let status = largest(10_000, &spec);
    corner.create(&corner.nodeop("op", json!({"nodeSelector": {"matchLabels": {"corner": "none-of-them"}}, "cordon": true})));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cluster = Cluster::connect(&Connection { kubeconfig: Some(corner.kubeconfig.clone()), ..Connection::default() }).await.unwrap();
        // Rounds' own write, with the status of the large fleet in it.
        let snapshot = rounds::cluster::observe::observe(&cluster, &Settings::default()).await.unwrap();
        let mut plan = decide(&snapshot, &Settings::default());
        plan.decisions.retain(|decision| decision.subject.namespace == corner.name);
        let write: &mut StatusWrite = plan.decisions[0].status.as_mut().unwrap();
        write.status = Document::of(status.clone());
        plan.decisions[0].steps.clear();
        let outcome = apply(&cluster, &plan, Mode::Live, usize::MAX, &|| false).await;
        assert_eq!(outcome.actions[0].verdict, Verdict::Done);
    });

    // A custom resource is stored as the JSON that it is shown as.
    let text = corner.kubectl(&["-n", "scale", "get", "nodeops.operator.kairos.io", "op", "-o", "json", "--show-managed-fields"]);
    // Every round of every other test would ask for its two thousand nodes and Jobs that are not there.
    corner.kubectl(&["-n", "scale", "delete", "nodeops.operator.kairos.io", "op"]);
    let object: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(object["status"], status);
    let managed = object["metadata"]["managedFields"].to_string();
    assert!(
        managed.contains("rounds-status") && managed.len() < 4096,
        "the nodes are not listed in managedFields: {} bytes",
        managed.len()
    );
    let stored = object.to_string().len();
    assert!(stored < 1024 * 1024, "{stored} bytes");
}

#[test]
fn a_wave_that_reboots_leaves_room_for_ten_thousand_nodes() {
    let spec = json!({"command": ["sh", "-c", "true"], "cordon": true, "concurrency": 0, "rebootOnSuccess": true});
    // From so many on, entries are compact.
    const NODES: usize = 1800;
    let mut snapshot = fleet(NODES, spec);
    for node in snapshot.nodes.values_mut() {
        node.boot_id = format!("1c9a4f0e-7a34-4be0-9c0e-{:012}", node.name.len());
    }
    let model = Model { job: Spread::around(120_000, 90_000), reboot: Spread::seconds(90), ..Model::default() };
    let world = World::new(snapshot, Vec::new(), model, 1);
    let limits = Limits { every: jiff::SignedDuration::from_secs(15), ..Limits::of(NODES) };
    let (mut whole, mut compact) = (0, 0);
    let (rollout, _) = Rollout::new(world, Settings::default(), limits, Vec::new()).run(|rollout| {
        let status = &rollout.world.seen.nodeops[0].status;
        let largest = if status.node_statuses.len() < 1500 { &mut whole } else { &mut compact };
        *largest = json!(status).to_string().len().max(*largest);
    });
    assert!(rollout.trace().is_completed());
    // The others are done: their entries are a name and a phase. New boot ids and uids of Jobs are shorter here than real ones.
    let others = (10_000 - NODES) * r#""worker-00000-eu-west":{"phase":"Completed"},"#.len();
    let shorter = REBOOTING_WAVE * (36 - "boot-00000000".len() + 36 - "job-00000000".len());
    let more = shorter + 8192;
    assert!(whole + more < 1024 * 1024, "{whole} bytes before entries are compact");
    assert!(compact + others + more < 1024 * 1024, "{compact} bytes, and {others} of the others");
}

#[test]
fn an_upgrade_takes_eight_writes_for_each_node_and_two_statuses_for_each_round() {
    const NODES: usize = 200;
    let now = "2026-11-21T12:00:00Z".parse().unwrap();
    let fleet = Fleet::of(Size { nodes: NODES, control_planes: 3, zones: 3 }, now);
    let meta = Meta {
        namespace: "default".into(),
        name: "kairos".into(),
        uid: "0c9e1f60-5a0e-4c58-a4ef-b3dd9f4e2c11".into(),
        resource_version: "1".into(),
        generation: 1,
        ..Meta::default()
    };
    let spec = json!({"image": "quay.io/kairos/ubuntu:24.04-standard-amd64-generic-v3.6.0-k3sv1.33.4-k3s1", "concurrency": 50});
    let upgrade = Resource { meta, spec: serde_json::from_value(spec).unwrap(), status: Default::default() };
    // Without pods: evictions are the workload's.
    let snapshot = Snapshot { now, nodes: fleet.nodes, upgrades: vec![upgrade], ..Snapshot::default() };
    let world = World::new(snapshot, Vec::new(), Model::default(), 1);
    let (rollout, _) = Rollout::new(world, Settings::default(), Limits::of(NODES), Vec::new()).run(|_| ());
    let trace = rollout.trace();
    assert!(trace.is_completed(), "{:#?}", trace.operations);
    // Preflight pod, made and removed; lock; reboot pod; Job, made and let run; approval of the reboot; unlock. And the NodeOp.
    let nodes = 8 * NODES + 1;
    assert!(
        (nodes + 1..=nodes + 2 * trace.rounds).contains(&trace.writes),
        "{} writes for {NODES} nodes in {} rounds",
        trace.writes,
        trace.rounds
    );
}

#[test]
#[ignore = "nightly: minutes of both cores"]
fn an_upgrade_of_a_thousand_nodes_keeps_its_books_as_an_operation_does() {
    const NODES: usize = 1000;
    let corner = Corner::alone("many");
    let nodes: Vec<Value> = (0..NODES).map(|at| corner.node(&format!("many-{at}"), at < 3)).collect();
    corner.create(&json!({"apiVersion": "v1", "kind": "List", "items": nodes}));
    let ready = "-o=jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}";
    wait_for("all nodes are Ready", Duration::from_secs(120), || {
        corner.kubectl(&["get", "nodes", ready]).split_whitespace().filter(|status| *status == "True").count() == NODES
    });
    // What takes no reboot: no kubelet is there to play one.
    corner.create(&corner.upgrade("up", json!({"upgradeActive": false, "upgradeRecovery": true})));
    let printed = corner.rounds(&["run", "--until-settled", "--timeout", "400s"]);
    assert_eq!(printed.code, 0, "{}", &printed.err[printed.err.len().saturating_sub(2000)..]);
    assert_eq!(corner.upgrade_status("up")["progress"], format!("{NODES}/{NODES}"));

    let all = corner.audit();
    let rounds = all.iter().filter(|entry| entry.verb == "list" && entry.resource == "nodeopupgrades").count();
    let writes = all.iter().filter(|entry| entry.is_write()).count();
    assert!(writes <= 5 * NODES + 4 * rounds, "{writes} writes in {rounds} rounds");
    let statuses = |of: &str| all.iter().filter(|entry: &&Entry| entry.is_write() && entry.resource == of).count();
    for of in ["nodeops/status", "nodeopupgrades/status"] {
        assert!(statuses(of) <= rounds, "{} {of} in {rounds} rounds", statuses(of));
    }
    for kind in ["nodeops.operator.kairos.io", "nodeopupgrades.operator.kairos.io"] {
        let stored = corner.kubectl(&["-n", &corner.name, "get", kind, "up", "-o", "json", "--show-managed-fields"]);
        let stored = serde_json::from_str::<Value>(&stored).unwrap().to_string().len();
        assert!(stored < 1024 * 1024 / 2, "{kind}: {stored} bytes");
    }
    let before = corner.writes().len();
    corner.round();
    assert_eq!(corner.writes().len(), before, "an idle round writes nothing");
}
