//! A channel that brings nodes from one release to the next, by real reboots.

use serde_json::json;

use crate::scenario::Scenario;

#[test]
fn a_channel_brings_every_node_from_release_to_release_one_at_a_time() {
    let scenario = Scenario::on_all("channel");
    let world = scenario.world;
    scenario.set_version("v3.4.1");
    scenario.create(&json!({
        "apiVersion": "k3os.io/v1", "kind": "UpdateChannel", "metadata": {"name": "stable"},
        "spec": {
            "version": "v3.6.0", "concurrency": 1, "nodeSelector": {"matchLabels": {"scenario": scenario.name}},
            "image": "quay.io/kairos/opensuse:leap-15.6-standard-amd64-generic-{{ version }}-k3sv1.30.11-k3s1",
            "rollout": {"reboot": {"timeoutSeconds": 180, "readySeconds": 0, "graceSeconds": 0}},
        },
    }));
    assert_eq!(scenario.settle_with(&["--probe-namespace", scenario.name.as_str()]), 0);
    let status = world.get(&["-n", &scenario.name, "updatechannels.k3os.io", "stable"])["status"].clone();
    assert_eq!((&status["phase"], &status["progress"]), (&json!("Current"), &json!("3/3")), "{status:#}");
    assert!(status["updating"].is_null(), "{status:#}");
    for node in &scenario.nodes {
        scenario.assert_rebooted_once(node);
        assert_eq!(world.get(&["node", node])["metadata"]["annotations"]["kairos.io/version"], "v3.6.0", "{node}");
    }
    scenario.assert_given_back();
}
