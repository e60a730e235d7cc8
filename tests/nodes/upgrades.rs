//! A new version on nodes: stand-ins for Kairos images, whose agent writes what the next boot makes active. The upgrade of
//! a whole cluster is in `shipped.rs`.

use serde_json::json;

use crate::scenario::Scenario;
use crate::seen::Seen;

/// An image whose agent fails on worker-1, and one of the same version that has it mended.
const BROKEN: &str = "quay.io/kairos/opensuse:leap-15.6-standard-amd64-generic-v3.6.1-k3sv1.30.11-k3s1";
const MENDED: &str = "quay.io/kairos/opensuse:leap-15.6-standard-amd64-generic-v3.6.1-k3sv1.30.11-k3s1-2";

#[test]
fn an_agent_that_fails_on_the_second_node_stops_the_upgrade_and_a_mended_image_finishes_it() {
    let scenario = Scenario::on_all("breaks");
    let world = scenario.world;
    scenario.set_version("v3.4.1");
    let calls = |node: &str| world.written(node, "/var/log/kairos-agent").unwrap_or_default().lines().count();
    let before: Vec<usize> = scenario.nodes.iter().map(|node| calls(node)).collect();
    let called = || scenario.nodes.iter().zip(&before).map(|(node, before)| calls(node) - before).collect::<Vec<_>>();
    let reboots = || scenario.nodes.iter().map(|node| scenario.reboots(node)).collect::<Vec<_>>();
    scenario.create(&json!({
        "apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOpUpgrade", "metadata": {"name": "kairos"},
        "spec": {
            "image": BROKEN, "nodeSelector": {"matchLabels": {"scenario": scenario.name}}, "concurrency": 1, "stopOnFailure": true,
            "rollout": {"reboot": {"timeoutSeconds": 180, "readySeconds": 0, "graceSeconds": 0}},
        },
    }));
    let probing = ["--probe-namespace", scenario.name.as_str()];
    assert_eq!(scenario.settle_with(&probing), 3);
    let status = scenario.upgrade_status("kairos");
    let entry = |node: &str| status["nodeStatuses"][node].clone();
    assert_eq!((&status["phase"], &entry("control-1")["rebootStatus"]), (&json!("Failed"), &json!("completed")), "{status:#}");
    let failed = entry("worker-1");
    assert_eq!((&failed["reason"], &failed["rebootStatus"]), (&json!("CommandFailed"), &json!("cancelled")), "{status:#}");
    let why = "kairos-agent upgrade failed with exit code 7";
    assert!(failed["message"].as_str().unwrap_or_default().contains(why), "{status:#}");
    assert!(status["message"].as_str().unwrap_or_default().contains("worker-1"), "{status:#}");
    assert_ne!(entry("worker-2")["phase"], "Completed");
    assert_eq!((called(), reboots()), (vec![1, 1, 0], vec![1, 0, 0]), "no further node was touched");
    let cordoned = |node: &str| world.get(&["node", node])["spec"]["unschedulable"] == true;
    assert!(cordoned("worker-1") && !cordoned("worker-2") && !cordoned("control-1"));

    let patch = json!({"spec": {"image": MENDED}}).to_string();
    world.kubectl(&["-n", &scenario.name, "patch", "nodeopupgrades.operator.kairos.io", "kairos", "--type=merge", "-p", &patch]);
    assert_eq!(scenario.settle_with(&probing), 0);
    let status = scenario.upgrade_status("kairos");
    assert_eq!(status["phase"], "Completed", "{status:#}");
    let skipped = &status["nodeStatuses"]["control-1"]["message"];
    assert!(skipped.as_str().unwrap_or_default().starts_with("Skipped by preflight: node is already at v3.6.1"), "{status:#}");
    assert_eq!((called(), reboots()), (vec![1, 2, 1], vec![1, 1, 1]), "what was done is not done again");
    for node in &scenario.nodes {
        scenario.assert_rebooted_once(node);
        assert_eq!(world.get(&["node", node])["metadata"]["annotations"]["kairos.io/version"], "v3.6.1", "{node}");
    }
    scenario.assert_given_back();
}

#[test]
#[ignore = "minutes of the patience that real hardware is given by default: `make nightly`"]
fn the_documented_canary_goes_over_real_nodes_with_only_image_and_selector_changed() {
    let scenario = Scenario::on_all("documented");
    scenario.set_version("v3.4.1");
    let apart = json!({"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"});
    let apart = json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}});
    scenario.deployment("web", 3, &apart);
    scenario.create(&json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
    }));
    scenario.manifest("tests/manifests/seeds/nodeopupgrade-canary.yaml", |upgrade| {
        upgrade["spec"]["image"] = json!("quay.io/kairos/opensuse:leap-15.6-standard-amd64-generic-v3.6.0-k3sv1.30.11-k3s1");
        upgrade["spec"]["nodeSelector"]["matchLabels"]["scenario"] = json!(scenario.name);
    });
    let seen = Seen::during(&scenario, || assert_eq!(scenario.settle_with(&["--probe-namespace", scenario.name.as_str()]), 0));
    let status = scenario.upgrade_status("kairos-upgrade");
    for node in &scenario.nodes {
        scenario.assert_rebooted_once(node);
        let entry = &status["nodeStatuses"][node];
        assert_eq!(entry["message"], "Job and reboot completed successfully", "its version was looked at: {status:#}");
        assert_eq!(scenario.world.get(&["node", node])["metadata"]["annotations"]["kairos.io/version"], "v3.6.0", "{node}");
    }
    assert_eq!((&status["phase"], &seen.order[0]), (&json!("Completed"), &"control-1".to_string()), "{status:#}");
    assert!(seen.fewest_available >= Some(2) && seen.most_cordoned == 1 && seen.most_down <= 1, "{seen:?}");
    scenario.assert_given_back();
}

#[test]
fn a_version_that_an_image_brings_is_active_after_the_reboot() {
    let scenario = Scenario::on_one("version");
    let node = scenario.node();
    scenario.set_version("v3.4.1");
    let release = || scenario.world.written(node, "/etc/kairos-release").unwrap_or_default();
    scenario.nodeop(
        "op",
        &json!({
            "image": "quay.io/kairos/opensuse:leap-15.6-standard-amd64-generic-v3.4.2-k3sv1.30.11-k3s1",
            "command": ["sh", "-ec", "mount --rbind /host/dev /dev; mount --rbind /host/run /run; kairos-agent upgrade --source dir:/"],
            "cordon": true, "rebootOnSuccess": true, "backoffLimit": 0, "rollout": {"reboot": {"graceSeconds": 0, "readySeconds": 2}},
        }),
    );
    assert_eq!(scenario.settle(), 0);
    scenario.assert_rebooted_once(node);
    assert!(release().contains("KAIROS_VERSION=\"v3.4.2\""), "{}", release());
    let called = scenario.world.written(node, "/var/log/kairos-agent").unwrap_or_default();
    assert!(called.ends_with("upgrade --source dir:/\n"), "{called}");
    scenario.assert_given_back();
}
