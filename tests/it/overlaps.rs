//! Three runners at once over operations that share nodes, while people edit, re-run and delete them.

use std::collections::BTreeSet;
use std::process::Child;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Corner, wait_for};
use crate::rollouts::{Hold, assert_all_given_back, holds, most_at_once};

const NODEOP: &str = "nodeops.operator.kairos.io";

/// Runners that end with the test, however it ends.
struct Runners(Vec<Child>);

impl Runners {
    fn start(corner: &Corner, count: usize) -> Self {
        let start = |_| {
            let mut command = corner.command(&["run", "--loop", "1s"]);
            // Nobody reads what they say, and a full pipe would stop them.
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            command.spawn().expect("the binary starts")
        };
        Self((0..count).map(start).collect())
    }
}

impl Drop for Runners {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A NodeOp over some nodes of the corner.
fn over(corner: &Corner, name: &str, indices: std::ops::Range<usize>, spec: Value) -> Value {
    let mut op = corner.nodeop(name, spec);
    let nodes: Vec<String> = indices.map(|index| format!("{}-{index}", corner.name)).collect();
    let expression = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": nodes});
    op["spec"]["nodeSelector"] = json!({"matchExpressions": [expression]});
    op
}

fn is_done(corner: &Corner, name: &str, progress: &str, run: i64) -> bool {
    let status = corner.status(name);
    status["phase"] == "Completed" && status["progress"] == progress && status["run"] == json!(run)
}

/// A pod of this operation's command is there.
fn is_running(corner: &Corner, name: &str) -> bool {
    corner.list("jobs").iter().any(|job| job["metadata"]["ownerReferences"][0]["name"] == name && job["status"]["active"] == 1)
}

/// No node is held by two at a time.
fn assert_one_at_a_time(holds: &[Hold]) {
    for (index, first) in holds.iter().enumerate() {
        for second in holds[index + 1..].iter().filter(|second| second.node == first.node) {
            assert!(!first.to.is_empty() && first.to <= second.from, "{first:#?} overlaps {second:#?}");
        }
    }
}

#[test]
fn three_runners_at_once_run_every_command_once_and_one_operation_per_node() {
    let corner = Corner::new("overlaps");
    corner.nodes(5, 1);
    let first = |word: &str| over(&corner, "first", 0..4, json!({"command": ["slow", "1s", word], "cordon": true, "concurrency": 2}));
    corner.apply(&first("one"));
    corner.apply(&over(&corner, "second", 1..5, json!({"command": ["slow", "1s"], "cordon": true, "concurrency": 2})));
    corner.apply(&over(&corner, "third", 3..5, json!({"command": ["hang"], "cordon": true, "concurrency": 1})));
    let runners = Runners::start(&corner, 3);

    // Mid-way one is edited, and another one asked for again.
    wait_for("the first is on its way", Duration::from_secs(60), || corner.status("first")["nodes"]["completed"].as_i64() >= Some(1));
    corner.apply(&first("two"));
    wait_for("the second is on its way", Duration::from_secs(90), || corner.status("second")["nodes"]["completed"].as_i64() >= Some(1));
    corner.kubectl(&["-n", "overlaps", "annotate", NODEOP, "second", "operator.kairos.io/rerun=now"]);
    // A claim alone is in flight as well, and may yet be given up to another operation's lock.
    wait_for("the third hangs on a node", Duration::from_secs(120), || is_running(&corner, "third"));
    corner.kubectl(&["-n", "overlaps", "delete", NODEOP, "third", "--wait"]);
    wait_for("both are done", Duration::from_secs(120), || is_done(&corner, "first", "4/4", 2) && is_done(&corner, "second", "4/4", 2));
    wait_for("all nodes are given back", Duration::from_secs(30), || {
        corner.nodes_now().iter().all(|node| !node["metadata"]["annotations"].to_string().contains("operator.kairos.io/"))
    });
    drop(runners);
    assert_all_given_back(&corner);
    assert_eq!(corner.list("jobs").len(), 8, "one Job per node of the last run of each");

    let writes = corner.writes();
    let all = holds(&writes);
    assert_one_at_a_time(&all);
    for (operation, budget) in [("overlaps/first@", 2), ("overlaps/second@", 2), ("overlaps/third@", 1)] {
        let of: Vec<Hold> = all.iter().filter(|hold| hold.operation.starts_with(operation)).cloned().collect();
        assert!(!of.is_empty() && most_at_once(&of) <= budget, "{operation} {of:#?}");
    }
    // A Job's name says operation, node, run and attempt; each that was let run had one pod.
    let started: BTreeSet<&str> =
        writes.iter().filter(|entry| entry.succeeded() && entry.starts()).map(|entry| entry.name.as_str()).collect();
    let pods = corner.writes_of("system:serviceaccount:kube-system:job-controller");
    let pods = pods.iter().filter(|entry| entry.namespace == corner.name && entry.resource == "pods");
    let made = pods.filter(|entry| entry.verb == "create" && entry.succeeded()).count();
    assert_eq!(made, started.len(), "{started:#?}");
}
