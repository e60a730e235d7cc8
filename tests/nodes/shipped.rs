//! Rounds as people install it, in pods on the very nodes that it drains and reboots: `kustomize/`, as it is.

use std::time::Duration;

use serde_json::json;

use crate::installed::Installed;
use crate::scenario::Scenario;
use crate::seen::Seen;
use crate::wait::wait_for;

/// How long an upgrade of all nodes may take.
const WHOLE: Duration = Duration::from_secs(420);

/// The example that people copy, to a version for these nodes, and in less time.
fn upgrade(scenario: &Scenario, version: &str) {
    scenario.manifest("examples/upgrade.yaml", |upgrade| {
        upgrade["spec"]["image"] = json!(format!("quay.io/kairos/opensuse:leap-15.6-standard-amd64-generic-{version}-k3sv1.30.11-k3s1"));
        upgrade["spec"]["nodeSelector"]["matchLabels"]["scenario"] = json!(scenario.name);
        upgrade["spec"]["rollout"] = json!({"reboot": {"timeoutSeconds": 180, "readySeconds": 2, "graceSeconds": 1}});
    });
}

fn wait_completed(scenario: &Scenario) {
    let phase = || scenario.upgrade_status("kairos")["phase"].clone();
    wait_for("the upgrade is settled", WHOLE, || ["Completed", "Failed"].iter().any(|end| phase() == *end));
    assert_eq!(phase(), "Completed", "{:#}", scenario.upgrade_status("kairos"));
}

/// The node has rebooted once, runs this version now, and that was looked at.
fn assert_upgraded(scenario: &Scenario, node: &str, version: &str) {
    scenario.assert_rebooted_once(node);
    let entry = &scenario.upgrade_status("kairos")["nodeStatuses"][node];
    assert_eq!((&entry["phase"], &entry["rebootStatus"]), (&json!("Completed"), &json!("completed")), "{node}: {entry:#}");
    assert_eq!(entry["message"], "Job and reboot completed successfully", "{node}: {entry:#}");
    assert_eq!(scenario.world.get(&["node", node])["metadata"]["annotations"]["kairos.io/version"], version, "{node}");
    let called = scenario.world.written(node, "/var/log/kairos-agent").unwrap_or_default();
    assert!(called.ends_with("upgrade --source dir:/ --exclude-path /etc/hostname --exclude-path /etc/hosts\n"), "{node}: {called}");
}

#[test]
fn the_shipped_loop_upgrades_the_whole_cluster_that_it_runs_on_by_four_keys() {
    let scenario = Scenario::on_all("upgrade");
    scenario.set_version("v3.4.1");
    scenario.protected("web", 4, 3);
    scenario.deployment("cache", 1, &json!({"volumes": [{"name": "cache", "emptyDir": {}}]}));
    scenario.bare_pod("bare", "worker-1");
    let pod = |label: &str| scenario.pods(label).remove(0);
    let (cache, bare) = (pod("app=cache"), pod("app=bare"));
    upgrade(&scenario, "v3.6.0");

    let mut own = String::new();
    let seen = Seen::during(&scenario, || {
        let installed = Installed::from(&scenario, "kustomize/loop");
        let before = installed.running();
        own = before["spec"]["nodeName"].as_str().unwrap_or_default().to_string();
        wait_completed(&scenario);
        scenario.assert_given_back();
        // Its node was drained and rebooted under it: the same pod goes on.
        let after = installed.running();
        assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
        assert!(after["status"]["containerStatuses"][0]["restartCount"].as_i64() >= Some(1), "{:#}", after["status"]);
    });
    scenario.nodes.iter().for_each(|node| assert_upgraded(&scenario, node, "v3.6.0"));

    assert!(seen.fewest_available >= Some(3), "{seen:?}");
    assert!(seen.most_cordoned == 1 && seen.most_down <= 1, "{seen:?}");
    // Control plane first, and the runner's own node last of its kind.
    let mut order = vec!["control-1", "worker-1", "worker-2"];
    order[1..].sort_by_key(|node| *node == own);
    assert_eq!(seen.order, order, "the runner is on {own}");
    // What somebody makes again has moved; what nobody does has stayed, and the reboot has only started it again.
    assert_ne!(pod("app=cache")["metadata"]["uid"], cache["metadata"]["uid"]);
    assert_eq!(pod("app=bare")["metadata"]["uid"], bare["metadata"]["uid"]);
    assert_eq!(pod("app=bare")["status"]["containerStatuses"][0]["restartCount"], 1);
}

#[test]
fn a_cluster_of_one_node_upgrades_itself_by_the_shipped_cronjob() {
    let scenario = Scenario::on_all("alone");
    scenario.set_version("v3.4.1");
    let [node, others @ ..] = scenario.nodes.as_slice() else { panic!("no nodes") };
    others.iter().for_each(|other| scenario.take_away(other));
    assert_eq!(scenario.world.kubectl(&["get", "nodes", "-o", "name"]).trim(), format!("node/{node}"));
    upgrade(&scenario, "v3.5.0");
    let installed = Installed::from(&scenario, "kustomize/default");
    // Nobody but the CronJob starts a round.
    wait_completed(&scenario);
    assert_upgraded(&scenario, node, "v3.5.0");
    // The first runner went down with the node, and another one has found it upgraded.
    let runners = installed.runners();
    assert!(runners.len() > 1 && runners[0]["status"]["phase"] == "Failed", "{runners:#?}");
    drop(installed);
    others.iter().for_each(|other| scenario.bring_back(other));
    scenario.assert_given_back();
}
