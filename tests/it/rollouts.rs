//! NodeOps over several nodes: which, in which order, how many at a time. The audit log is the witness, not our own status.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Corner, Entry};

/// A node between its lock and its release, as the apiserver saw it.
#[derive(Clone, Debug)]
pub struct Hold {
    pub node: String,
    pub operation: String,
    pub from: String,
    pub to: String,
}

/// The holds that the audit log tells of, in the order in which they began.
pub fn holds(writes: &[Entry]) -> Vec<Hold> {
    let mut holds: Vec<Hold> = Vec::new();
    for entry in writes.iter().filter(|entry| entry.resource == "nodes" && entry.verb == "patch" && entry.succeeded()) {
        let lock = entry.body.pointer("/metadata/annotations/operator.kairos.io~1operation").and_then(Value::as_str);
        match lock {
            Some(operation) => {
                holds.push(Hold { node: entry.name.clone(), operation: operation.into(), from: entry.done.clone(), to: String::new() });
            }
            None => {
                let open = holds.iter_mut().rev().find(|hold| hold.node == entry.name && hold.to.is_empty());
                if let Some(hold) = open {
                    hold.to = entry.at.clone();
                }
            }
        }
    }
    holds
}

/// Most holds that stood at the same time.
pub fn most_at_once(holds: &[Hold]) -> usize {
    let at = |moment: &str| {
        holds.iter().filter(|hold| hold.from.as_str() <= moment && (hold.to.is_empty() || moment < hold.to.as_str())).count()
    };
    holds.iter().map(|hold| at(&hold.from)).max().unwrap_or(0)
}

/// The nodes in the order in which they first stood in the status.
pub fn claimed(writes: &[Entry]) -> Vec<String> {
    let mut order: Vec<String> = Vec::new();
    for entry in writes.iter().filter(|entry| entry.resource == "nodeops/status" && entry.succeeded()) {
        let nodes = entry.body.pointer("/status/nodeStatuses").and_then(Value::as_object);
        let new: Vec<String> = nodes.into_iter().flat_map(|nodes| nodes.keys()).filter(|node| !order.contains(node)).cloned().collect();
        order.extend(new);
    }
    order
}

/// Every command ran exactly once per node: one Job each that was let run.
pub fn started(writes: &[Entry]) -> Vec<String> {
    let starts = writes.iter().filter(|entry| entry.resource == "jobs" && entry.verb == "patch" && entry.succeeded());
    starts.filter(|entry| entry.body.pointer("/spec/parallelism") == Some(&json!(1))).map(|entry| entry.name.clone()).collect()
}

/// Nothing of ours is left on any node of the corner, and all are schedulable.
pub fn assert_all_given_back(corner: &Corner) {
    for node in corner.nodes_now() {
        let name = &node["metadata"]["name"];
        // That a node was looked at stays; nothing else does.
        let annotations = node["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
        let ours = |key: &&String| key.starts_with("operator.kairos.io/") && *key != rounds::names::ANNOTATION_PROBED_BOOT;
        assert_eq!(annotations.keys().find(ours), None, "on {name}");
        assert_ne!(node["spec"]["unschedulable"], json!(true), "{name} is still cordoned");
    }
}

#[test]
fn control_plane_first_never_more_than_concurrency_and_all_given_back() {
    let corner = Corner::new("order");
    corner.nodes(8, 3);
    corner.create(&corner.nodeop("op", json!({"cordon": true, "concurrency": 2, "drainOptions": {"enabled": true}})));
    let printed = corner.settle();
    assert_eq!(printed.code, 0, "{printed:#?}");

    let status = corner.status("op");
    assert_eq!(status["phase"], "Completed", "{status:#}");
    assert_eq!(status["progress"], "8/8");
    let writes = corner.writes();
    let holds = holds(&writes);
    // Two nodes of one wave may be locked in either order; claimed they are in the right one.
    assert_eq!(claimed(&writes), (0..8).map(|index| format!("order-{index}")).collect::<Vec<_>>());
    assert_eq!(holds.len(), 8, "each node is taken once: {holds:#?}");
    assert!(most_at_once(&holds) <= 2, "{holds:#?}");
    assert!(most_at_once(&holds) == 2, "two slots are used: {holds:#?}");
    let jobs = started(&writes);
    assert_eq!(jobs.len(), 8, "{jobs:?}");
    assert_eq!(jobs.iter().collect::<BTreeSet<_>>().len(), 8, "{jobs:?}");
    assert_all_given_back(&corner);
}

#[test]
fn nothing_happens_to_a_node_before_its_claim_is_recorded_and_its_lock_is_on() {
    let corner = Corner::new("protocol");
    corner.nodes(1, 0);
    corner.create(&corner.deployment("web", 1, json!({})));
    corner.wait_for_pods("app=web", 1);
    corner.create(&corner.nodeop("op", json!({"cordon": true, "drainOptions": {"enabled": true}, "preflight": {"command": ["silent"]}})));
    assert_eq!(corner.settle().code, 0);

    let steps: Vec<String> = corner
        .writes()
        .iter()
        .filter(|entry| entry.succeeded() && entry.resource != "events")
        .map(|entry| match entry.body.pointer("/status/nodeStatuses/protocol-0/step").and_then(Value::as_str) {
            Some(step) => format!("status {step}"),
            None if entry.resource == "nodeops/status" => "status done".into(),
            None => format!("{} {}", entry.verb, entry.resource),
        })
        .collect();
    let expected = [
        "status Preflight",
        "create pods",
        "status Locking",
        "patch nodes",
        "status Draining",
        "create pods/eviction",
        "status Starting",
        "create jobs",
        "status Running",
        "patch jobs",
        "status Releasing",
        "patch nodes",
        "status done",
    ];
    let mut in_order = steps.iter();
    for step in expected {
        assert!(in_order.any(|seen| seen == step), "{step} is missing or out of order: {steps:#?}");
    }
    assert_eq!(corner.status("op")["phase"], "Completed");
}

#[test]
fn a_failing_node_stops_the_rollout_if_asked_and_does_not_otherwise() {
    let corner = Corner::new("failing");
    corner.nodes(3, 1);
    corner.create(&corner.nodeop("stops", json!({"command": ["fail"], "concurrency": 1, "stopOnFailure": true, "backoffLimit": 0})));
    assert_eq!(corner.settle().code, 3);
    let status = corner.status("stops");
    assert_eq!(status["phase"], "Failed");
    assert_eq!(status["nodeStatuses"].as_object().unwrap().len(), 1, "{status:#}");
    assert_eq!(status["nodeStatuses"]["failing-0"]["reason"], "CommandFailed");
    assert_eq!(status["nodeStatuses"]["failing-0"]["message"], "Job failed: exit code 1: boom");
    corner.kubectl(&["-n", "failing", "wait", "--for=condition=Stalled", "nodeops.operator.kairos.io/stops", "--timeout=1s"]);
    corner.kubectl(&["-n", "failing", "delete", "nodeops.operator.kairos.io", "stops", "--wait"]);

    corner.create(&corner.nodeop("goes-on", json!({"command": ["fail"], "concurrency": 1, "backoffLimit": 1})));
    assert_eq!(corner.settle().code, 3);
    let status = corner.status("goes-on");
    assert_eq!(status["nodes"]["failed"], 3, "{status:#}");
    assert_eq!(status["nodeStatuses"]["failing-2"]["message"], "Job failed: exit code 1: boom, tried 2 times");
}

#[test]
fn a_preflight_skips_a_node_lets_it_pass_or_fails_it_before_anything_is_touched() {
    let corner = Corner::new("preflight");
    corner.nodes(1, 0);
    corner.create(&corner.nodeop("skips", json!({"cordon": true, "preflight": {"command": ["skip"]}})));
    corner.create(&corner.nodeop("fails", json!({"cordon": true, "preflight": {"command": ["fail"]}})));
    // A preflight that hangs is ended at its deadline, which the kubelet keeps.
    corner.create(&corner.nodeop("late", json!({"cordon": true, "preflight": {"command": ["hang"], "activeDeadlineSeconds": 3}})));
    let hanging = || {
        corner
            .list("pods")
            .into_iter()
            .find(|pod| pod["spec"]["containers"][0]["command"][0] == "hang" && pod["status"]["phase"] == "Running")
    };
    corner.rounds_until("its pod hangs", || hanging().is_some());
    let status = json!({"phase": "Failed", "reason": "DeadlineExceeded", "message": "Pod was active on the node longer than the specified deadline"});
    corner.patch_status("pod", hanging().unwrap()["metadata"]["name"].as_str().unwrap(), &status);
    assert_eq!(corner.settle().code, 3);
    let entry = corner.status("late")["nodeStatuses"]["preflight-0"].clone();
    assert_eq!((&entry["phase"], &entry["reason"]), (&json!("Failed"), &json!("PreflightFailed")), "{entry:#}");
    assert!(entry["message"].as_str().unwrap().starts_with("Preflight failed: DeadlineExceeded"), "{entry:#}");
    let entry = corner.status("skips")["nodeStatuses"]["preflight-0"].clone();
    assert_eq!(entry["phase"], "Completed");
    assert_eq!(entry["message"], "Skipped by preflight: node is already at v1.2.3");
    assert_eq!(entry["jobName"], Value::Null);
    let entry = corner.status("fails")["nodeStatuses"]["preflight-0"].clone();
    assert_eq!((&entry["phase"], &entry["reason"]), (&json!("Failed"), &json!("PreflightFailed")), "{entry:#}");
    assert!(entry["message"].as_str().unwrap().contains("boom"), "{entry:#}");
    let writes = corner.writes();
    assert!(holds(&writes).is_empty() && started(&writes).is_empty(), "nothing was touched");
    assert!(corner.list("pods").iter().all(|pod| pod["metadata"]["deletionTimestamp"].is_string()), "the preflight pods are removed");
}

#[test]
fn two_operations_over_the_same_nodes_run_one_after_the_other_and_say_so() {
    let corner = Corner::new("pair");
    corner.nodes(2, 0);
    corner.create(&corner.nodeop("older", json!({"cordon": true, "concurrency": 1})));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    corner.create(&corner.nodeop("younger", json!({"cordon": true})));
    corner.round();
    let why = corner.rounds(&["why", "pair-0"]);
    assert!(why.out.contains("WaitingForOther") && why.out.contains("pair/older"), "{why:#?}");
    assert!(corner.status("younger")["message"].as_str().unwrap().contains("pair/older"));
    assert_eq!(corner.settle().code, 0);
    let holds = holds(&corner.writes());
    assert_eq!(holds.len(), 4, "{holds:#?}");
    for node in ["pair-0", "pair-1"] {
        let on: Vec<_> = holds.iter().filter(|hold| hold.node == node).collect();
        assert!(on[0].operation.starts_with("pair/older@") && on[1].operation.starts_with("pair/younger@"), "{on:#?}");
        assert!(on[0].to <= on[1].from, "{on:#?}");
    }
    assert_all_given_back(&corner);
}

#[test]
fn names_of_any_length_work() {
    // Together they exceed every limit of a label or a Job name.
    let long = |prefix: &str, length: usize| format!("{prefix}{}", "x".repeat(length - prefix.len()));
    let corner = Corner::new(&long("long-", 63));
    let node = format!("{}.{}.{}", long("long-", 60), long("n", 60), long("m", 60));
    corner.create(&corner.node_labelled(&node, json!({"corner": "long"})));
    corner.wait_ready(&node);
    let mut op = corner.nodeop(&long("operation-", 253), json!({"cordon": true, "preflight": {"command": ["silent"]}}));
    op["spec"]["nodeSelector"] = json!({"matchLabels": {"corner": "long"}});
    corner.create(&op);
    let printed = corner.settle();
    assert_eq!(printed.code, 0, "{printed:#?}");
    let status = corner.status(op["metadata"]["name"].as_str().unwrap());
    assert_eq!(status["phase"], "Completed", "{status:#}");
    let job = &corner.list("jobs")[0];
    assert_eq!(job["metadata"]["annotations"]["operator.kairos.io/node"], json!(node));
}
