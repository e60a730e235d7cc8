//! A rolling reboot: control plane first, one node at a time, each once, and the pods that it moves stay available.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::scenario::Scenario;
use crate::world::is_ready;

/// What was seen while the nodes rebooted.
#[derive(Debug, Default)]
struct Seen {
    looks: usize,
    fewest_available: Option<usize>,
    most_cordoned: usize,
    most_down: usize,
    order: Vec<String>,
}

impl Seen {
    fn look(&mut self, scenario: &Scenario) {
        let list = scenario.world.get(&["nodes,pods", "-n", &scenario.name]);
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let nodes = items.iter().filter(|item| item["kind"] == "Node");
        let down = nodes.clone().filter(|node| !is_ready(node)).count();
        let cordoned: BTreeSet<&str> =
            nodes.filter(|node| node["spec"]["unschedulable"] == true).filter_map(|node| node["metadata"]["name"].as_str()).collect();
        let available =
            |pod: &&Value| pod["metadata"]["labels"]["app"] == "web" && is_ready(pod) && pod["metadata"]["deletionTimestamp"].is_null();
        let available = items.iter().filter(available).count();
        self.looks += 1;
        self.fewest_available = Some(self.fewest_available.unwrap_or(available).min(available));
        self.most_cordoned = self.most_cordoned.max(cordoned.len());
        self.most_down = self.most_down.max(down);
        for node in cordoned {
            if !self.order.iter().any(|name| name == node) {
                self.order.push(node.to_string());
            }
        }
    }
}

#[test]
fn nodes_reboot_one_by_one_and_a_disruption_budget_holds_throughout() {
    let scenario = Scenario::on_all("rolling");
    scenario.deployment("web", 4, 1);
    scenario.create(&json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"minAvailable": 3, "selector": {"matchLabels": {"app": "web"}}},
    }));
    let boot_ids = || scenario.nodes.iter().map(|node| scenario.world.boot_id(node)).collect::<Vec<_>>();
    let before = boot_ids();
    // The example that people copy, in less time.
    scenario.manifest("examples/nodeop-reboot.yaml", |nodeop| {
        nodeop["spec"]["nodeSelector"] = json!({});
        nodeop["spec"]["rollout"]["reboot"] = json!({"timeoutSeconds": 180, "readySeconds": 2, "graceSeconds": 1});
    });
    let (mut seen, over) = (Seen::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                seen.look(&scenario);
                std::thread::sleep(Duration::from_millis(300));
            }
        });
        let code = scenario.settle();
        over.store(true, Ordering::SeqCst);
        assert_eq!(code, 0);
    });
    assert_eq!(scenario.status("reboot")["phase"], "Completed");
    assert!(seen.looks > 50, "{seen:?}");
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
