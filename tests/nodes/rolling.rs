//! A rolling reboot: control plane first, one node at a time, each once, and the pods that it moves stay available.

use serde_json::json;

use crate::scenario::Scenario;
use crate::seen::Seen;

#[test]
#[ignore = "nightly: the upgrade of a whole cluster shows the same of its reboots"]
fn nodes_reboot_one_by_one_and_a_disruption_budget_holds_throughout() {
    let scenario = Scenario::on_all("rolling");
    scenario.protected("web", 4, 3);
    let boot_ids = || scenario.nodes.iter().map(|node| scenario.world.boot_id(node)).collect::<Vec<_>>();
    let before = boot_ids();
    // The example that people copy, in less time.
    scenario.manifest("examples/nodeop-reboot.yaml", |nodeop| {
        nodeop["spec"]["nodeSelector"] = json!({});
        nodeop["spec"]["rollout"]["reboot"] = json!({"timeoutSeconds": 180, "readySeconds": 2, "graceSeconds": 1});
    });
    let seen = Seen::during(&scenario, || assert_eq!(scenario.settle(), 0));
    assert_eq!(scenario.status("reboot")["phase"], "Completed");
    assert!(seen.fewest_available >= Some(3), "{seen:?}");
    assert!(seen.most_cordoned == 1 && seen.most_down <= 1, "{seen:?}");
    assert_eq!(seen.order, scenario.nodes, "control plane first");
    for (node, before) in scenario.nodes.iter().zip(before) {
        scenario.assert_rebooted_once(node);
        let entry = scenario.entry("reboot", node);
        assert_eq!((&entry["phase"], &entry["rebootStatus"]), (&json!("Completed"), &json!("completed")));
        assert_ne!(scenario.world.get(&["node", node])["status"]["nodeInfo"]["bootID"], before, "{node}");
        assert!(scenario.world.written(node, "/oem/99_rebooted.yaml").is_some(), "{node}");
    }
    scenario.assert_given_back();
}
