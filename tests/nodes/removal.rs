//! Rounds removed in the middle of its work, as README.md says and in haste: nothing of it is left, and every node works on.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::installed::Installed;
use crate::scenario::{LONG, Scenario};
use crate::wait::wait_for;

const FOLDER: &str = "kustomize/default";

/// One node that waits for its reboot, which is approved, one whose command runs, and one whose drain is blocked.
fn in_the_middle(scenario: &Scenario) {
    let on = |node: &str, more: Value| {
        let mut spec = json!({"cordon": true, "nodeSelector": {"matchLabels": {"kubernetes.io/hostname": node}}});
        crate::scenario::merge(&mut spec, &more);
        spec
    };
    scenario.deployment("web", 1, &json!({"nodeSelector": {"kubernetes.io/hostname": "worker-2"}}));
    let strict = json!({"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}});
    scenario.create(&json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"}, "spec": strict}));
    scenario.nodeop("reboots", &on("control-1", json!({"rebootOnSuccess": true, "rollout": {"reboot": {"graceSeconds": 600}}})));
    let command = "trap 'exit 1' TERM; sleep 600 & wait";
    scenario.nodeop("runs", &on("worker-1", json!({"command": ["sh", "-c", command], "backoffLimit": 3})));
    scenario.nodeop("drains", &on("worker-2", json!({"drainOptions": {"enabled": true, "timeoutSeconds": 0}})));
    scenario.wait_entry("runs", "worker-1", "reason", "Running");
    scenario.wait_entry("drains", "worker-2", "reason", "DrainBlocked");
    let approved = |pod: &Value| pod["metadata"]["annotations"]["kairos.io/reboot-approved"].is_string();
    wait_for("the reboot is approved", LONG, || scenario.pods("kairos.io/reboot").iter().any(approved));
    assert!(scenario.nodes.iter().all(|node| scenario.world.get(&["node", node])["spec"]["unschedulable"] == true));
}

/// `rounds sweep --all`, by an administrator, from outside of the cluster.
fn sweep(scenario: &Scenario) {
    let args = ["sweep", "--all", "--yes", "--labels"];
    let output = scenario.world.command(env!("CARGO_BIN_EXE_rounds"), &args).stdin(Stdio::null()).output().expect("the binary starts");
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

/// No object, lock, annotation, label or cordon of ours, anywhere.
fn nothing_is_left(scenario: &Scenario) {
    let world = scenario.world;
    for mark in ["operator.kairos.io/owner-uid", "operator.kairos.io/probe", "build.kairos.io/artifact"] {
        assert_eq!(world.kubectl(&["get", "jobs,pods,configmaps,persistentvolumeclaims", "-A", "-l", mark, "-o", "name"]), "", "{mark}");
    }
    let kinds = "namespaces,clusterroles,clusterrolebindings,customresourcedefinitions";
    let names = world.kubectl(&["get", kinds, "-o", "name"]);
    let ours = |line: &&str| line.contains("/rounds") || line.ends_with("kairos.io") || line.ends_with("k3os.io");
    assert_eq!(names.lines().filter(ours).collect::<Vec<_>>(), Vec::<&str>::new());
    for node in &scenario.nodes {
        let object = world.get(&["node", node, "--show-managed-fields"]);
        for place in ["labels", "annotations"] {
            let keys = object["metadata"][place].as_object().cloned().unwrap_or_default();
            let left: Vec<&String> = keys.keys().filter(|key| key.contains("kairos.io/")).collect();
            assert!(left.is_empty(), "{node}: {place} {left:?}");
        }
        assert!(object["metadata"]["managedFields"].as_array().is_some_and(|all| {
            !all.iter().any(|entry| entry["manager"].as_str().is_some_and(|manager| manager.starts_with("rounds")))
        }));
    }
    scenario.assert_given_back();
}

/// Whoever was in the way of a drain still runs, and every node takes pods again.
fn every_node_works_on(scenario: &Scenario, web: &Value) {
    assert_eq!(scenario.pods("app=web").remove(0)["metadata"]["uid"], web["metadata"]["uid"], "nobody has moved it");
    let apart = json!({"labelSelector": {"matchLabels": {"app": "after"}}, "topologyKey": "kubernetes.io/hostname"});
    scenario.deployment("after", 3, &json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}}));
    for node in &scenario.nodes {
        assert!(scenario.ends(node).is_empty() && scenario.reboots(node) == 0, "{node} has rebooted after all");
    }
}

#[test]
fn swept_and_then_deleted_in_the_middle_of_its_work_it_leaves_nothing() {
    let scenario = Scenario::on_all("removed");
    let installed = Installed::from(&scenario, FOLDER);
    installed.begin();
    in_the_middle(&scenario);
    let web = scenario.pods("app=web").remove(0);
    installed.suspend();
    sweep(&scenario);
    installed.remove(FOLDER);
    nothing_is_left(&scenario);
    every_node_works_on(&scenario, &web);
}

#[test]
#[ignore = "nightly: tests/it/sweeps.rs shows the same without nodes, and the other way of removal is shown here"]
fn deleted_in_haste_and_swept_afterwards_it_leaves_nothing_either() {
    let scenario = Scenario::on_all("hasty");
    let installed = Installed::from(&scenario, FOLDER);
    installed.begin();
    in_the_middle(&scenario);
    let web = scenario.pods("app=web").remove(0);
    installed.remove(FOLDER);
    sweep(&scenario);
    nothing_is_left(&scenario);
    every_node_works_on(&scenario, &web);
}
