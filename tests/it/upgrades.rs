//! Upgrades on a real control plane, with nodes that are played: they reboot, and somebody looks at what they run then.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Corner, Entry, kubelet, wait_for};
use crate::rollouts::{assert_all_given_back, holds, most_at_once};

const QUICK: &str = r#"{"reboot": {"readySeconds": 0}}"#;

fn quick() -> Value {
    serde_json::from_str(QUICK).unwrap()
}

fn documented(corner: &Corner) -> Value {
    let path = format!("{}/tests/manifests/seeds/nodeopupgrade-canary.yaml", env!("CARGO_MANIFEST_DIR"));
    let mut object = rounds::yaml::documents(&std::fs::read_to_string(path).unwrap()).unwrap().remove(0);
    object["metadata"]["namespace"] = json!(corner.name);
    // Onto this corner's nodes only; and how long they are watched after a reboot.
    object["spec"]["nodeSelector"]["matchLabels"]["corner"] = json!(corner.name);
    object["spec"]["rollout"] = quick();
    object
}

/// Rounds until everything is settled, and well, with nodes that are played.
fn settle(corner: &Corner) {
    let printed = kubelet::beside(corner, || corner.settle());
    assert_eq!(printed.code, 0, "{printed:#?}");
}

/// Nodes that somebody has looked at since they booted, and will again.
fn nodes(corner: &Corner, count: usize, control_planes: usize) -> Vec<String> {
    let nodes = corner.nodes(count, control_planes);
    nodes.iter().for_each(|node| kubelet::look_at(corner, node, "v3.5.0-k3sv1.32.1-k3s1", "active"));
    nodes
}

fn nodeop(corner: &Corner, name: &str) -> Value {
    corner.get("nodeops.operator.kairos.io", name)
}

fn nodes_of(status: &Value) -> Vec<(String, Value)> {
    status["nodeStatuses"].as_object().into_iter().flatten().map(|(node, entry)| (node.clone(), entry.clone())).collect()
}

#[test]
fn the_documented_upgrade_goes_over_the_whole_cluster_masters_first() {
    let corner = Corner::alone("canary");
    let nodes = nodes(&corner, 4, 2);
    corner.create(&documented(&corner));
    let printed = kubelet::beside(&corner, || corner.settle());
    assert_eq!(printed.code, 0, "{printed:#?}");

    let status = corner.upgrade_status("kairos-upgrade");
    assert_eq!(
        (&status["phase"], &status["nodeOpName"], &status["progress"]),
        (&json!("Completed"), &json!("kairos-upgrade"), &json!("4/4"))
    );
    for (node, entry) in nodes_of(&status) {
        assert_eq!((&entry["phase"], &entry["rebootStatus"]), (&json!("Completed"), &json!("completed")), "{node}: {entry:#}");
        assert_eq!(entry["message"], "Job and reboot completed successfully", "{node}: its version was looked at");
    }
    for node in &nodes {
        assert_eq!(kubelet::boot_id(&corner, node), format!("boot-{node}-again"), "each has rebooted once");
    }
    let holds = holds(&corner.writes());
    let order: Vec<&str> = holds.iter().map(|hold| hold.node.rsplit('-').next().unwrap()).collect();
    assert_eq!((order, most_at_once(&holds)), (vec!["0", "1", "2", "3"], 1));

    let op = nodeop(&corner, "kairos-upgrade");
    let owner = &op["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["kind"], &owner["controller"], &owner["blockOwnerDeletion"]), (&json!("NodeOpUpgrade"), &json!(true), &json!(true)));
    assert_eq!(op["metadata"]["labels"], json!({"nodeopupgrade.kairos.io/name": "kairos-upgrade"}));
    let spec = &op["spec"];
    assert_eq!(spec["drainOptions"], json!({"enabled": true, "deleteEmptyDirData": true, "timeoutSeconds": 600}));
    assert_eq!((&spec["cordon"], &spec["rebootOnSuccess"], &spec["backoffLimit"]), (&json!(true), &json!(true), &json!(0)));
    assert_eq!(spec["imagePullSecrets"], json!([{"name": "private-registry-secret"}]));

    // At rest nothing is written, however often somebody looks or applies.
    let before = corner.writes().len();
    for _ in 0..3 {
        corner.round();
    }
    assert_eq!(corner.writes().len(), before, "{:#?}", &corner.writes()[before..]);
    assert_all_given_back(&corner);
}

#[test]
fn an_edit_in_git_upgrades_again_and_what_is_taken_out_is_taken_out() {
    let corner = Corner::new("revised");
    nodes(&corner, 2, 0);
    corner.kubectl(&["label", "node", "revised-1", "later=true"]);
    let rollout = json!({"reboot": {"readySeconds": 0}, "jobTTLSeconds": 3600});
    let selector = json!({"matchLabels": {"corner": "revised"}, "matchExpressions": [{"key": "later", "operator": "DoesNotExist"}]});
    corner.create(&corner.upgrade("up", json!({"nodeSelector": selector, "concurrency": 1, "rollout": rollout})));
    settle(&corner);
    assert_eq!(nodes_of(&corner.upgrade_status("up")).len(), 1);
    let first = nodeop(&corner, "up");

    // How it goes is not what it executes: nothing runs again on the node that is done, and the other one is taken up.
    corner.patch_upgrade(
        "up",
        &json!({"spec": {"nodeSelector": {"matchExpressions": null}, "concurrency": null, "rollout": {"jobTTLSeconds": null}}}),
    );
    settle(&corner);
    let second = nodeop(&corner, "up");
    assert_eq!(second["metadata"]["uid"], first["metadata"]["uid"]);
    assert_eq!(second["spec"]["nodeSelector"], json!({"matchLabels": {"corner": "revised"}}));
    assert!(second["spec"]["concurrency"].is_null() && second["spec"]["rollout"]["jobTTLSeconds"].is_null(), "{second:#}");
    assert_eq!((&second["status"]["run"], &second["status"]["specHash"]), (&first["status"]["run"], &first["status"]["specHash"]));
    assert_eq!(kubelet::boot_id(&corner, "revised-0"), "boot-revised-0-again");

    // Another image, and without checks: all of it runs again.
    let image = "quay.io/kairos/ubuntu:24.04-standard-amd64-generic-v3.7.0-k3sv1.34.0-k3s1";
    corner.patch_upgrade("up", &json!({"spec": {"image": image, "force": true}}));
    settle(&corner);
    let third = nodeop(&corner, "up");
    assert_eq!(third["spec"]["image"], image);
    assert!(third["spec"]["preflight"].is_null(), "{third:#}");
    let status = corner.upgrade_status("up");
    assert_eq!((&status["phase"], &status["observedGeneration"]), (&json!("Completed"), &json!(3)));
    for node in ["revised-0", "revised-1"] {
        assert_eq!(kubelet::boot_id(&corner, node), format!("boot-{node}-again-again"));
    }
    assert_all_given_back(&corner);
}

#[test]
fn a_node_that_comes_back_on_its_old_version_stops_the_upgrade() {
    let corner = Corner::new("fallen");
    nodes(&corner, 2, 0);
    let spec = json!({"concurrency": 1, "stopOnFailure": true, "rollout": {"reboot": {"readySeconds": 0, "timeoutSeconds": 600}}});
    corner.create(&corner.upgrade("up", spec));
    let entry = || corner.upgrade_status("up")["nodeStatuses"]["fallen-0"].clone();
    // This test plays the node itself: it reboots into its passive system.
    corner.rounds_until("the reboot is approved", || {
        for pod in corner.list("pods").iter().filter(|pod| kubelet::is_telling(pod)) {
            kubelet::play(&corner, pod);
        }
        let approved = |pod: &Value| pod["metadata"]["annotations"]["kairos.io/reboot-approved"].is_string();
        corner.list("pods").iter().any(approved)
    });
    assert_eq!(nodeop(&corner, "up")["status"]["nodeStatuses"]["fallen-0"]["expectedVersion"], "v3.6.0-k3sv1.33.4-k3s1");
    let reboot = corner.list("pods").into_iter().find(|pod| pod["spec"]["containers"][0]["name"] == "reboot").unwrap();
    kubelet::reboot(&corner, "fallen-0", reboot["metadata"]["name"].as_str().unwrap(), "another");
    corner.rounds_until("it is verified", || entry()["step"] == "Verifying");
    corner.round();
    assert_eq!(entry()["phase"], "Running", "nobody has looked at it yet");
    kubelet::look_at(&corner, "fallen-0", "v3.5.0-k3sv1.32.1-k3s1", "passive");

    let printed = corner.settle();
    assert_eq!(printed.code, 3, "{printed:#?}");
    let status = corner.upgrade_status("up");
    assert_eq!((&status["phase"], &entry()["reason"]), (&json!("Failed"), &json!("FallbackBoot")), "{status:#}");
    assert_eq!(nodes_of(&status).len(), 1, "no further node was taken");
    let node = corner.get("node", "fallen-0");
    assert_eq!(node["spec"]["unschedulable"], true, "it stays cordoned until somebody has looked at it");
    assert!(node["metadata"]["annotations"]["operator.kairos.io/operation"].is_null(), "but nobody holds it");
    let told = corner.rounds(&["status"]).out;
    assert!(told.contains("Upgrades") && told.contains("fallen-0") && told.contains("FallbackBoot"), "{told}");
    let why = corner.rounds(&["why", "fallen-0"]).out;
    // Other corners' resources have nothing to do with it, and say so.
    let why = why.split("Nothing to do with it").next().unwrap();
    assert!(why.contains("NodeOp fallen/up: FallbackBoot") && !why.contains("NodeOpUpgrade"), "{why}");
}

#[test]
fn a_foreground_deletion_starts_nothing_and_makes_nothing_again() {
    let corner = Corner::new("cascade");
    nodes(&corner, 2, 0);
    corner.create(&corner.upgrade("up", json!({"concurrency": 1, "force": true, "rollout": quick()})));
    corner.rounds_until("a node is taken", || !nodes_of(&corner.upgrade_status("up")).is_empty());
    // Something else keeps the NodeOp there for a while, so that rounds come in between.
    let keep = r#"{"metadata":{"finalizers":["rounds.test/keep"]}}"#;
    corner.kubectl(&["-n", "cascade", "patch", "nodeops.operator.kairos.io", "up", "--type=merge", "-p", keep]);
    corner.kubectl(&["-n", "cascade", "delete", "nodeopupgrades.operator.kairos.io", "up", "--cascade=foreground", "--wait=false"]);
    let deleted = corner.writes().len();
    for _ in 0..5 {
        corner.round();
    }
    let starts = |write: &Entry| write.verb == "create" && matches!(write.resource.as_str(), "jobs" | "pods" | "nodeops") || write.starts();
    let after = corner.writes().split_off(deleted);
    assert!(!after.iter().any(starts), "{after:#?}");
    corner.kubectl(&[
        "-n",
        "cascade",
        "patch",
        "nodeops.operator.kairos.io",
        "up",
        "--type=merge",
        "-p",
        r#"{"metadata":{"finalizers":null}}"#,
    ]);
    wait_for("both are gone", Duration::from_secs(30), || {
        corner.round();
        nodeop(&corner, "up").is_null() && corner.get("nodeopupgrades.operator.kairos.io", "up").is_null()
    });
    wait_for("the nodes are given back", Duration::from_secs(30), || {
        corner.round();
        corner.nodes_now().iter().all(|node| node["spec"]["unschedulable"].is_null())
    });
    assert!(!corner.writes().split_off(deleted).iter().any(starts));
    assert_all_given_back(&corner);
}

#[test]
fn a_name_that_is_taken_is_left_alone_until_it_is_free() {
    let corner = Corner::new("taken");
    nodes(&corner, 1, 0);
    corner.create(&corner.nodeop("up", json!({})));
    corner.create(&corner.upgrade("up", json!({"force": true, "rollout": quick()})));
    assert_eq!(corner.settle().code, 3);
    let status = corner.upgrade_status("up");
    let stalled = status["conditions"].as_array().unwrap().iter().find(|condition| condition["type"] == "Stalled").unwrap();
    assert_eq!((&stalled["status"], &stalled["reason"]), (&json!("True"), &json!("NameTaken")), "{status:#}");
    let foreign = nodeop(&corner, "up");
    assert_eq!((&foreign["spec"]["command"], &foreign["metadata"]["ownerReferences"]), (&json!(["succeed"]), &Value::Null));
    corner.kubectl(&["-n", "taken", "delete", "nodeops.operator.kairos.io", "up"]);
    settle(&corner);
    assert_eq!(corner.upgrade_status("up")["phase"], "Completed");
}

#[test]
fn an_upgrade_that_would_upgrade_nothing_is_refused() {
    let corner = Corner::new("neither");
    let object = corner.upgrade("up", json!({"upgradeActive": false}));
    let output = corner.kubectl_with(&["create", "-f", "-"], Some(&object.to_string()));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("upgradeActive: false takes upgradeRecovery: true, or nothing would be upgraded"), "{error}");
    for spec in [json!({"upgradeActive": false, "upgradeRecovery": true}), json!({"upgradeActive": null}), json!({"upgradeActive": true})] {
        let output = corner.kubectl_with(&["create", "--dry-run=server", "-f", "-"], Some(&corner.upgrade("up", spec).to_string()));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn of_two_upgrades_the_later_one_has_the_nodes() {
    let corner = Corner::new("later");
    nodes(&corner, 1, 0);
    corner.create(&corner.upgrade("old", json!({"rollout": {"suspend": true}})));
    assert_eq!(corner.settle().code, 0);
    // Ages are told in seconds.
    std::thread::sleep(Duration::from_millis(1100));
    let image = "quay.io/kairos/ubuntu:24.04-standard-amd64-generic-v3.7.0-k3sv1.34.0-k3s1";
    corner.create(&corner.upgrade("new", json!({"image": image, "rollout": quick()})));
    corner.patch_upgrade("old", &json!({"spec": {"rollout": {"suspend": null, "reboot": {"readySeconds": 0}}}}));
    settle(&corner);
    let ready = |name: &str| {
        let status = corner.upgrade_status(name);
        let ready = status["conditions"].as_array().unwrap().iter().find(|condition| condition["type"] == "Ready").unwrap();
        (ready["status"].clone(), ready["reason"].clone())
    };
    assert_eq!(ready("old"), (json!("True"), json!("SupersededBy")));
    assert_eq!(ready("new"), (json!("True"), json!("Completed")));
    assert_eq!(kubelet::boot_id(&corner, "later-0"), "boot-later-0-again", "it was upgraded once");
    assert_all_given_back(&corner);
}
