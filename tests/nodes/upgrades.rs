//! A new version on a node: the stand-in for a Kairos image, whose agent writes what the next boot makes active.

use serde_json::json;

use crate::scenario::Scenario;

#[test]
fn a_version_that_an_image_brings_is_active_after_the_reboot() {
    let scenario = Scenario::on_one("version");
    let node = scenario.node();
    let release = || scenario.world.written(node, "/etc/kairos-release").unwrap_or_default();
    assert!(release().contains("KAIROS_VERSION=\"v3.4.1\""), "{}", release());
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
