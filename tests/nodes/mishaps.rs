//! Nodes that die, stay away or are deleted at the worst moment. Each ends as README.md says, and what has succeeded once
//! never runs again.

use serde_json::{Value, json};

use crate::scenario::{LONG, Scenario};
use crate::wait::wait_for;

/// A NodeOp over one node that moves pods away, writes a line, and reboots.
fn rebooting(scenario: &Scenario, more: Value) {
    let mut spec = json!({
        "command": ["sh", "-c", format!("echo ran >>$HOST_DIR/var/log/{}", scenario.name)],
        "cordon": true, "drainOptions": {"enabled": true}, "rebootOnSuccess": true,
    });
    spec["rollout"]["reboot"] = more;
    scenario.nodeop("op", &spec);
}

fn ran(scenario: &Scenario) -> String {
    scenario.world.written(scenario.node(), &format!("/var/log/{}", scenario.name)).unwrap_or_default()
}

fn approved(scenario: &Scenario) -> bool {
    scenario.pods("kairos.io/reboot").iter().any(|pod| pod["metadata"]["annotations"]["kairos.io/reboot-approved"].is_string())
}

#[test]
fn a_node_that_dies_under_the_command_runs_it_again() {
    let scenario = Scenario::on_one("dies-running");
    let node = scenario.node();
    let log = "$HOST_DIR/var/log/dies-running";
    let command = format!("echo begun >>{log}; [ $(wc -l <{log}) -gt 1 ] || sleep 600; echo ended >>{log}");
    scenario.nodeop("op", &json!({"command": ["sh", "-c", command], "cordon": true, "backoffLimit": 2}));
    let _runner = scenario.runner();
    wait_for("the command runs", LONG, || ran(&scenario) == "begun\n");
    scenario.world.pull_the_plug(node);
    scenario.wait_phase("op", "Completed");
    assert_eq!(ran(&scenario), "begun\nbegun\nended\n");
    assert_eq!(scenario.ends(node), ["died"]);
    scenario.assert_given_back();
}

#[test]
fn a_node_that_dies_in_its_drain_is_drained_and_operated_once() {
    let scenario = Scenario::on_one("dies-draining");
    let node = scenario.node();
    scenario.deployment("slow", 1, &json!({"terminationGracePeriodSeconds": 600}));
    rebooting(&scenario, json!({"graceSeconds": 0, "readySeconds": 0}));
    let _runner = scenario.runner();
    wait_for("the pod is leaving", LONG, || scenario.pods("app").iter().any(|pod| pod["metadata"]["deletionTimestamp"].is_string()));
    assert_eq!(scenario.entry("op", node)["step"], "Draining");
    scenario.world.pull_the_plug(node);
    scenario.wait_phase("op", "Completed");
    assert_eq!(ran(&scenario), "ran\n");
    assert_eq!((scenario.ends(node), scenario.reboots(node)), (vec!["died".to_string(), "rebooted".to_string()], 1));
    scenario.assert_given_back();
}

#[test]
fn a_node_that_dies_before_its_approved_reboot_is_not_rebooted_again() {
    let scenario = Scenario::on_one("dies-approved");
    let node = scenario.node();
    rebooting(&scenario, json!({"graceSeconds": 60, "readySeconds": 2}));
    let _runner = scenario.runner();
    wait_for("the reboot is approved", LONG, || approved(&scenario));
    scenario.world.pull_the_plug(node);
    scenario.wait_phase("op", "Completed");
    assert_eq!((ran(&scenario), scenario.reboots(node)), ("ran\n".to_string(), 0));
    assert_eq!(scenario.ends(node), ["died"]);
    scenario.assert_given_back();
}

#[test]
fn a_node_that_dies_after_success_and_before_anybody_saw_it_is_not_operated_again() {
    let scenario = Scenario::on_one("dies-unseen");
    let node = scenario.node();
    rebooting(&scenario, json!({"graceSeconds": 0, "readySeconds": 2}));
    let runner = scenario.runner();
    scenario.wait_entry("op", node, "step", "Running");
    runner.kill();
    let told = |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"].is_string();
    wait_for("the pod has told the boot", LONG, || scenario.pods("batch.kubernetes.io/job-name").iter().any(told));
    scenario.world.pull_the_plug(node);
    scenario.wait_ready(node);
    assert_eq!(scenario.settle(), 0);
    assert_eq!(scenario.entry("op", node)["rebootStatus"], "completed");
    assert_eq!((ran(&scenario), scenario.reboots(node)), ("ran\n".to_string(), 0));
    assert_eq!(scenario.ends(node), ["died"]);
    scenario.assert_given_back();
}

#[test]
fn a_node_that_stays_away_fails_in_time_and_is_locked_until_it_is_back() {
    let scenario = Scenario::on_one("stays-away");
    let node = scenario.node();
    rebooting(&scenario, json!({"graceSeconds": 0, "readySeconds": 0, "timeoutSeconds": 12}));
    let _runner = scenario.runner();
    scenario.world.hold(node);
    scenario.wait_phase("op", "Failed");
    assert_eq!(scenario.entry("op", node)["reason"], "NotRebooted");
    let held = || scenario.world.get(&["node", node])["metadata"]["annotations"]["operator.kairos.io/operation"].is_string();
    assert!(held(), "its lock stays while it is away");
    scenario.world.release(node);
    scenario.wait_ready(node);
    wait_for("the lock is given back", LONG, || !held());
    assert_eq!(scenario.world.get(&["node", node])["spec"]["unschedulable"], true, "it stays cordoned for a person to look at");
    assert_eq!(ran(&scenario), "ran\n");
    scenario.assert_rebooted_once(node);
    scenario.delete("op");
    scenario.assert_given_back();
}

#[test]
fn a_node_that_is_deleted_under_the_command_has_failed_and_comes_back_as_a_new_one() {
    let scenario = Scenario::on_one("deleted");
    let node = scenario.node();
    let log = "$HOST_DIR/var/log/deleted";
    let command = format!("echo ran >>{log}; [ $(wc -l <{log}) -gt 1 ] || sleep 600");
    scenario.nodeop("op", &json!({"command": ["sh", "-c", command], "cordon": true}));
    let _runner = scenario.runner();
    wait_for("the command runs", LONG, || ran(&scenario) == "ran\n");
    let uid = scenario.world.get(&["node", node])["metadata"]["uid"].clone();
    scenario.world.kubectl(&["delete", "node", node]);
    scenario.wait_entry("op", node, "reason", "NodeGone");
    // A kubelet registers when it starts.
    scenario.world.pull_the_plug(node);
    scenario.wait_ready(node);
    scenario.world.restore_labels(node, &scenario.name);
    wait_for("the command has run on the new node", LONG, || ran(&scenario) == "ran\nran\n");
    scenario.wait_phase("op", "Completed");
    assert_ne!(scenario.world.get(&["node", node])["metadata"]["uid"], uid);
    assert_eq!(ran(&scenario), "ran\nran\n");
    scenario.assert_given_back();
}
