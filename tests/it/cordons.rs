//! Cordons: a person's word stands, ours is given back, and nobody is locked out.

use serde_json::{Value, json};

use crate::harness::Corner;
use crate::rollouts::{assert_all_given_back, holds, started};

fn unschedulable(corner: &Corner, node: &str) -> bool {
    corner.get("node", node)["spec"]["unschedulable"] == json!(true)
}

fn annotation(corner: &Corner, node: &str, key: &str) -> Value {
    corner.get("node", node)["metadata"]["annotations"][key].clone()
}

#[test]
fn a_persons_earlier_cordon_survives() {
    let corner = Corner::new("human");
    corner.nodes(1, 0);
    corner.kubectl(&["cordon", "human-0"]);
    corner.create(&corner.nodeop("op", json!({"cordon": true})));
    assert_eq!(corner.settle().code, 0);
    assert!(unschedulable(&corner, "human-0"), "the person's cordon still stands");
    assert_eq!(annotation(&corner, "human-0", "operator.kairos.io/cordoned-by"), Value::Null);
    assert_eq!(annotation(&corner, "human-0", "operator.kairos.io/operation"), Value::Null);
}

#[test]
fn lifting_our_cordon_before_the_command_starts_fails_the_node_and_evicts_nothing_more() {
    let corner = Corner::new("lifted");
    corner.nodes(1, 0);
    corner.create(&corner.deployment("web", 1, json!({})));
    corner.create(&corner.budget("strict", "web", 0));
    corner.wait_for_pods("app=web", 1);
    corner.wait_for_budget("strict");
    corner.create(&corner.nodeop("op", json!({"cordon": true, "drainOptions": {"enabled": true}})));
    corner.rounds_until("the drain is blocked", || corner.status("op")["nodeStatuses"]["lifted-0"]["reason"] == "DrainBlocked");
    corner.kubectl(&["uncordon", "lifted-0"]);
    assert_eq!(corner.settle().code, 3);
    assert_eq!(corner.status("op")["nodeStatuses"]["lifted-0"]["reason"], "CordonRemoved");
    assert!(started(&corner.writes()).is_empty());
    assert_all_given_back(&corner);
}

#[test]
fn lifting_our_cordon_while_the_command_runs_changes_nothing() {
    let corner = Corner::new("running");
    corner.nodes(1, 0);
    corner.create(&corner.nodeop("op", json!({"cordon": true, "command": ["slow", "4s"]})));
    corner.rounds_until("the command runs", || corner.status("op")["nodeStatuses"]["running-0"]["step"] == "Running");
    corner.kubectl(&["uncordon", "running-0"]);
    assert_eq!(corner.settle().code, 0);
    assert_all_given_back(&corner);
}

#[test]
fn a_failed_node_stays_cordoned_until_told_otherwise_or_the_operation_is_deleted() {
    let corner = Corner::new("failed");
    corner.nodes(1, 0);
    let op = |more: Value| {
        let mut spec = json!({"cordon": true, "command": ["fail"], "backoffLimit": 0});
        crate::harness::merge(&mut spec, more);
        corner.nodeop("op", spec)
    };
    corner.apply(&op(json!({})));
    assert_eq!(corner.settle().code, 3);
    assert!(unschedulable(&corner, "failed-0"));
    assert_eq!(annotation(&corner, "failed-0", "operator.kairos.io/operation"), Value::Null, "the lock is off");

    // Another operation that would cordon waits, and says for whom.
    corner.create(&corner.nodeop("other", json!({"cordon": true})));
    corner.round();
    let message = corner.status("other")["message"].clone();
    assert!(message.as_str().unwrap().contains("failed/op has cordoned the node"), "{message}");

    // An edit gives it back at once, without another run.
    corner.apply(&op(json!({"uncordonOnFailure": true})));
    let jobs = started(&corner.writes()).len();
    corner.rounds_until("the cordon is off", || !unschedulable(&corner, "failed-0") || corner.status("other")["phase"] == "Completed");
    corner.settle();
    assert_eq!(corner.status("other")["phase"], "Completed");
    assert_eq!(started(&corner.writes()).len(), jobs + 1, "only the other operation has run something");
    assert_all_given_back(&corner);
}

#[test]
fn deleting_an_operation_that_left_a_cordon_or_a_lock_gives_the_node_back() {
    let corner = Corner::new("deleted");
    corner.nodes(2, 0);
    corner.create(&corner.nodeop("failed", json!({"cordon": true, "command": ["fail"], "backoffLimit": 0, "nodeSelector": {"matchLabels": {"kubernetes.io/hostname": "deleted-0"}}})));
    corner.create(&corner.nodeop(
        "midway",
        json!({"cordon": true, "command": ["hang"], "nodeSelector": {"matchLabels": {"kubernetes.io/hostname": "deleted-1"}}}),
    ));
    corner.rounds_until("one failed, one runs", || {
        corner.status("failed")["phase"] == "Failed" && corner.status("midway")["nodeStatuses"]["deleted-1"]["step"] == "Running"
    });
    assert!(unschedulable(&corner, "deleted-0") && unschedulable(&corner, "deleted-1"));
    corner.kubectl(&["-n", "deleted", "delete", "nodeops.operator.kairos.io", "failed", "midway", "--wait"]);
    corner.rounds_until("both nodes are back", || !unschedulable(&corner, "deleted-0") && !unschedulable(&corner, "deleted-1"));
    assert_all_given_back(&corner);
    assert!(corner.list("jobs").is_empty(), "its Jobs went with it");
}

#[test]
fn keep_cordoned_leaves_the_node_cordoned_for_as_long_as_it_is_there() {
    let corner = Corner::new("keep");
    corner.nodes(1, 0);
    corner.create(&corner.nodeop("op", json!({"cordon": true, "command": ["slow"]})));
    corner.rounds_until("the command runs", || corner.status("op")["nodeStatuses"]["keep-0"]["step"] == "Running");
    corner.kubectl(&["annotate", "node", "keep-0", "operator.kairos.io/keep-cordoned=disk"]);
    assert_eq!(corner.settle().code, 0);
    assert!(unschedulable(&corner, "keep-0"));
    corner.kubectl(&["annotate", "node", "keep-0", "operator.kairos.io/keep-cordoned-"]);
    assert_eq!(corner.settle().code, 0);
    assert_all_given_back(&corner);
}

#[test]
fn somebody_who_insists_on_schedulable_is_named_not_overruled() {
    let corner = Corner::new("insists");
    corner.nodes(1, 0);
    let patch = r#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"insists-0"},"spec":{"unschedulable":false}}"#;
    corner.kubectl_with(&["apply", "--server-side", "--field-manager=gitops", "-f", "-"], Some(patch));
    corner.create(&corner.nodeop("op", json!({"cordon": true})));
    corner.round();
    corner.round();
    let message = corner.status("op")["message"].clone();
    assert!(message.as_str().unwrap().contains("field manager gitops"), "{message}");
    assert!(holds(&corner.writes()).is_empty());
}

#[test]
fn with_all_nodes_cordoned_the_runners_pod_still_schedules() {
    let corner = Corner::new("cordoned");
    corner.nodes(1, 0);
    corner.kubectl(&["cordon", "cordoned-0"]);
    let kustomized = corner.kubectl(&["kustomize", &format!("{}/kustomize/default", env!("CARGO_MANIFEST_DIR"))]);
    let objects = rounds::yaml::documents(&kustomized).expect("kustomize prints YAML");
    let cronjob = objects.iter().find(|object| object["kind"] == "CronJob").expect("a CronJob");
    let mut spec = cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"].clone();
    // Only this corner's node, and the default service account: the rest is as shipped.
    spec["nodeSelector"] = json!({"corner": "cordoned"});
    spec["tolerations"].as_array_mut().unwrap().push(json!({"key": "corner", "operator": "Exists"}));
    spec["serviceAccountName"] = json!("default");
    corner.create(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "runner", "namespace": "cordoned"}, "spec": spec}));
    crate::harness::wait_for("the runner's pod is scheduled", std::time::Duration::from_secs(30), || {
        corner.get("pod", "runner")["spec"]["nodeName"] == json!("cordoned-0")
    });
}
