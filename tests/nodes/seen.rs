//! What can be seen from outside while nodes go through an operation one by one.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::scenario::Scenario;
use crate::world::is_ready;

/// Looks at the nodes and the pods with label `app: web`, as long as something goes on.
#[derive(Debug, Default)]
pub struct Seen {
    looks: usize,
    /// Pods that were Ready and not about to leave.
    pub fewest_available: Option<usize>,
    /// Nodes that were cordoned at a time.
    pub most_cordoned: usize,
    /// Nodes that were not Ready at a time.
    pub most_down: usize,
    /// In which order the nodes were cordoned.
    pub order: Vec<String>,
}

impl Seen {
    /// Looks while this goes on.
    pub fn during(scenario: &Scenario, what: impl FnOnce()) -> Self {
        let (mut seen, over) = (Self::default(), Over(AtomicBool::new(false)));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.0.load(Ordering::SeqCst) {
                    seen.look(scenario);
                    std::thread::sleep(Duration::from_millis(300));
                }
            });
            // Also when it panics: else the scope would wait for ever.
            let _ends = Ends(&over);
            what();
        });
        assert!(seen.looks > 50, "{seen:?}");
        seen
    }

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

struct Over(AtomicBool);

struct Ends<'a>(&'a Over);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::SeqCst);
    }
}
