//! Draining: what leaves, what stays, what blocks, and that nothing goes past a disruption budget.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Corner, wait_for};
use crate::rollouts::assert_all_given_back;

/// A draining NodeOp with a limit.
fn draining(corner: &Corner, more: Value, options: Value) -> Value {
    let mut spec = json!({"cordon": true, "drainOptions": {"enabled": true}});
    crate::harness::merge(&mut spec["drainOptions"], options);
    crate::harness::merge(&mut spec, more);
    corner.nodeop("op", spec)
}

/// uid by name of the pods with a label.
fn uids(corner: &Corner) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let pods = corner.list("pods");
    let apps = pods.iter().filter(|pod| pod["metadata"]["labels"]["app"].is_string() && pod["metadata"]["deletionTimestamp"].is_null());
    apps.map(|pod| (text(&pod["metadata"]["name"]), text(&pod["metadata"]["uid"]))).collect()
}

#[test]
fn a_budget_that_allows_nothing_is_named_times_out_and_the_node_is_as_before() {
    let corner = Corner::new("budget");
    corner.nodes(1, 0);
    corner.create(&corner.deployment("web", 2, json!({})));
    corner.create(&corner.budget("strict", "web", 0));
    corner.wait_for_pods("app=web", 2);
    corner.wait_for_budget("strict");
    let before = uids(&corner);
    corner.create(&draining(&corner, json!({}), json!({"timeoutSeconds": 10})));
    corner.rounds_until("the drain is blocked", || corner.status("op")["nodeStatuses"]["budget-0"]["reason"] == "DrainBlocked");
    let status = corner.status("op");
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("pod budget/web-") && message.contains("disruption budget budget/strict allows no disruption"), "{message}");
    assert!(status["conditions"].as_array().unwrap().iter().any(|c| c["type"] == "Reconciling" && c["reason"] == "DrainBlocked"));
    let why = corner.rounds(&["why", "budget-0"]);
    assert!(why.out.contains("DrainBlocked") && why.out.contains("budget/strict"), "{why:#?}");

    assert_eq!(corner.settle().code, 3);
    let entry = corner.status("op")["nodeStatuses"]["budget-0"].clone();
    assert_eq!(entry["reason"], "DrainTimeout", "{entry:#}");
    let message = entry["message"].as_str().unwrap();
    assert!(message.contains("within 10 seconds") && message.contains("budget/strict"), "{message}");
    assert_all_given_back(&corner);
    assert_eq!(uids(&corner), before, "nothing was deleted past the budget");
    assert!(corner.list("jobs").is_empty(), "nothing ran");
}

#[test]
fn with_on_drain_timeout_wait_it_goes_on_waiting_and_completes_when_the_budget_allows() {
    let corner = Corner::new("patience");
    corner.nodes(2, 0);
    corner.create(&corner.deployment("web", 1, json!({})));
    corner.create(&corner.budget("strict", "web", 0));
    corner.wait_for_pods("app=web", 1);
    corner.wait_for_budget("strict");
    corner.create(&draining(&corner, json!({"concurrency": 1, "rollout": {"onDrainTimeout": "Wait"}}), json!({"timeoutSeconds": 1})));
    corner.rounds_until("the drain is blocked", || corner.status("op")["message"].as_str().unwrap_or_default().contains("patience/strict"));
    std::thread::sleep(std::time::Duration::from_secs(2));
    corner.round();
    assert_eq!(corner.status("op")["phase"], "Running");
    corner.kubectl(&["-n", "patience", "patch", "pdb", "strict", "--type=merge", "-p", r#"{"spec":{"maxUnavailable":1}}"#]);
    assert_eq!(corner.settle().code, 0);
    assert_all_given_back(&corner);
}

#[test]
fn a_pod_that_is_not_ready_is_foretold_as_the_server_decides() {
    let corner = Corner::new("unready");
    corner.nodes(1, 0);
    corner.create(&corner.deployment("web", 2, json!({})));
    corner.create(&corner.budget("strict", "web", 0));
    corner.wait_for_pods("app=web", 2);
    corner.wait_for_budget("strict");
    for name in uids(&corner).keys() {
        corner.patch_status("pod", name, &json!({"conditions": [{"type": "Ready", "status": "False"}]}));
    }
    wait_for("nobody is healthy", Duration::from_secs(30), || corner.get("pdb", "strict")["status"]["currentHealthy"] == 0);
    corner.create(&draining(&corner, json!({}), json!({"timeoutSeconds": 3600})));
    let message = || corner.status("op")["nodeStatuses"]["unready-0"]["message"].to_string();
    let blocks = "is not Ready, and disruption budget unready/strict wants 2 healthy pods, of which 0 are";
    corner.rounds_until("what blocks is named", || message().contains(blocks));
    let writes = corner.writes().len();
    corner.round();
    assert_eq!(corner.writes().len(), writes, "what the server would refuse is not asked for");
    let evict = |name: &str| {
        let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}).to_string();
        let path = format!("/api/v1/namespaces/unready/pods/{name}/eviction");
        corner.kubectl_with(&["create", "--raw", &path, "-f", "-"], Some(&body)).status.success()
    };
    assert!(uids(&corner).keys().all(|name| !evict(name)), "the server refuses them all");

    corner.kubectl(&[
        "-n",
        "unready",
        "patch",
        "pdb",
        "strict",
        "--type=merge",
        "-p",
        r#"{"spec":{"unhealthyPodEvictionPolicy":"AlwaysAllow"}}"#,
    ]);
    assert_eq!(corner.settle().code, 0);
    assert_all_given_back(&corner);
}

#[test]
fn two_budgets_over_one_pod_block_and_both_are_named() {
    let corner = Corner::new("twice");
    corner.nodes(1, 0);
    corner.create(&corner.deployment("web", 1, json!({})));
    corner.create(&corner.budget("one", "web", 1));
    corner.create(&corner.budget("two", "web", 1));
    corner.wait_for_pods("app=web", 1);
    let before = uids(&corner);
    corner.create(&draining(&corner, json!({}), json!({"timeoutSeconds": 2})));
    assert_eq!(corner.settle().code, 3);
    let message = corner.status("op")["nodeStatuses"]["twice-0"]["message"].clone();
    assert!(message.as_str().unwrap().contains("more than one disruption budget (twice/one, twice/two)"), "{message}");
    assert_eq!(uids(&corner), before);
    assert_all_given_back(&corner);
}

#[test]
fn bare_and_empty_dir_pods_stay_and_are_named_unless_the_options_let_them_go() {
    let corner = Corner::new("kept");
    corner.nodes(1, 0);
    let bare = |name: &str| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "kept", "labels": {"app": name}}, "spec": corner.pod_spec(json!({}))});
    corner.create(&bare("bare"));
    corner.create(&corner.deployment("scratch", 1, json!({"volumes": [{"name": "data", "emptyDir": {}}]})));
    corner.wait_for_pods("app=bare", 1);
    corner.wait_for_pods("app=scratch", 1);
    let before = uids(&corner);
    corner.create(&draining(&corner, json!({}), json!({})));
    assert_eq!(corner.settle().code, 0);
    assert_eq!(uids(&corner), before, "both are still there");
    let drained: Vec<String> = corner
        .writes()
        .iter()
        .filter_map(|entry| entry.body.pointer("/status/nodeStatuses/kept-0/message").and_then(Value::as_str).map(str::to_string))
        .filter(|message| message.contains("left in place"))
        .collect();
    assert!(drained.iter().any(|message| message.contains("pod kept/bare") && message.contains("emptyDir")), "{drained:?}");
    corner.kubectl(&["-n", "kept", "delete", "nodeops.operator.kairos.io", "op", "--wait"]);

    corner.create(&draining(&corner, json!({"rollout": {"drainMode": "Strict"}}), json!({})));
    assert_eq!(corner.settle().code, 3);
    assert_eq!(corner.status("op")["nodeStatuses"]["kept-0"]["reason"], "DrainRefused");
    assert_eq!(uids(&corner), before, "Strict evicts nothing once it refuses");
    assert_all_given_back(&corner);
    corner.kubectl(&["-n", "kept", "delete", "nodeops.operator.kairos.io", "op", "--wait"]);

    corner.create(&draining(&corner, json!({}), json!({"force": true, "deleteEmptyDirData": true, "gracePeriodSeconds": 0})));
    assert_eq!(corner.settle().code, 0);
    let after = uids(&corner);
    assert!(!after.contains_key("bare") && before.values().all(|uid| !after.values().any(|now| now == uid)), "{after:?}");
    let graces: Vec<Value> = corner
        .writes()
        .iter()
        .filter(|entry| entry.resource == "pods/eviction")
        .map(|entry| entry.body["deleteOptions"]["gracePeriodSeconds"].clone())
        .collect();
    assert!(!graces.is_empty() && graces.iter().all(|grace| *grace == json!(0)), "{graces:?}");
}

#[test]
fn a_stateful_sets_pod_leaves_and_comes_back_once_the_node_is_given_back() {
    let corner = Corner::new("stateful");
    corner.nodes(1, 0);
    corner.create(&json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "stateful"},
        "spec": {
            "serviceName": "db", "replicas": 1, "selector": {"matchLabels": {"app": "db"}},
            "template": {"metadata": {"labels": {"app": "db"}}, "spec": corner.pod_spec(json!({}))},
        },
    }));
    corner.wait_for_pods("app=db", 1);
    let before = uids(&corner);
    corner.create(&draining(&corner, json!({}), json!({})));
    assert_eq!(corner.settle().code, 0);
    corner.wait_for_pods("app=db", 1);
    let after = uids(&corner);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    assert_ne!(before["db-0"], after["db-0"], "the pod was evicted and made again under its name");
    assert_all_given_back(&corner);
}

#[test]
fn pods_that_tolerate_the_cordon_are_moved_once_and_then_left_in_peace() {
    let corner = Corner::new("tolerant");
    corner.nodes(1, 0);
    corner.create(&corner.deployment("stubborn", 2, json!({"tolerations": [{"operator": "Exists"}]})));
    corner.wait_for_pods("app=stubborn", 2);
    corner.create(&draining(&corner, json!({}), json!({"timeoutSeconds": 30})));
    let printed = corner.settle();
    assert_eq!(printed.code, 0, "{printed:#?}");
    let evictions = corner.writes().iter().filter(|entry| entry.resource == "pods/eviction" && entry.succeeded()).count();
    assert!((2..=4).contains(&evictions), "{evictions} evictions for two pods that come back");
}
