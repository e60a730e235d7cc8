//! A new version on nodes: stand-ins for Kairos images, whose agent writes what the next boot makes active.

use std::time::Duration;

use serde_json::json;

use crate::scenario::Scenario;
use crate::wait::wait_for;

#[test]
fn a_whole_cluster_is_upgraded_by_the_example_of_four_keys() {
    let scenario = Scenario::on_all("upgrade");
    let world = scenario.world;
    scenario.deployment("web", 4, 1);
    scenario.create(&json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"minAvailable": 3, "selector": {"matchLabels": {"app": "web"}}},
    }));
    scenario.manifest("examples/upgrade.yaml", |upgrade| {
        upgrade["spec"]["image"] = json!("quay.io/kairos/opensuse:leap-15.6-standard-amd64-generic-v3.6.0-k3sv1.30.11-k3s1");
        upgrade["spec"]["nodeSelector"]["matchLabels"]["scenario"] = json!(scenario.name);
        upgrade["spec"]["rollout"] = json!({"reboot": {"timeoutSeconds": 180, "readySeconds": 2, "graceSeconds": 1}});
    });
    let runner = scenario.runner_with(&["--probe-namespace", &scenario.name]);
    let upgrade = || world.get(&["-n", &scenario.name, "nodeopupgrades.operator.kairos.io", "kairos"])["status"].clone();
    wait_for("the upgrade is settled", Duration::from_secs(420), || {
        ["Completed", "Failed"].iter().any(|phase| upgrade()["phase"] == *phase)
    });
    assert_eq!(upgrade()["phase"], "Completed", "{:#}", upgrade());
    for node in &scenario.nodes {
        scenario.assert_rebooted_once(node);
        let entry = &upgrade()["nodeStatuses"][node];
        assert_eq!((&entry["phase"], &entry["rebootStatus"]), (&json!("Completed"), &json!("completed")), "{node}: {entry:#}");
        assert!(!entry["message"].as_str().unwrap_or_default().contains("not checked"), "{node}: {entry:#}");
        assert_eq!(world.get(&["node", node])["metadata"]["annotations"]["kairos.io/version"], "v3.6.0", "{node}");
        let called = world.written(node, "/var/log/kairos-agent").unwrap_or_default();
        assert!(called.ends_with("upgrade --source dir:/ --exclude-path /etc/hostname --exclude-path /etc/hosts\n"), "{node}: {called}");
    }
    runner.kill();
    scenario.assert_given_back();
}

#[test]
fn a_version_that_an_image_brings_is_active_after_the_reboot() {
    let scenario = Scenario::on_one("version");
    let node = scenario.node();
    let release = || scenario.world.written(node, "/etc/kairos-release").unwrap_or_default();
    assert!(!release().contains("KAIROS_VERSION=\"v3.4.2\""), "{}", release());
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
    assert_eq!(scenario.world.written(node, "/var/log/kairos-agent").as_deref(), Some("upgrade --source dir:/\n"));
    scenario.assert_given_back();
}
