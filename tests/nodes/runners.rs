//! Runners that are killed, wherever they are in their work: the next one goes on, and nothing happens twice.

use serde_json::json;

use crate::scenario::{LONG, Scenario};
use crate::wait::wait_for;

#[test]
fn runners_that_are_killed_on_the_way_repeat_nothing() {
    let scenario = Scenario::on_one("killed");
    let node = scenario.node();
    scenario.deployment("slow", 1, &json!({"terminationGracePeriodSeconds": 8}));
    let command = "echo ran >>$HOST_DIR/var/log/killed; sleep 5";
    scenario.nodeop(
        "op",
        &json!({
            "command": ["sh", "-c", command], "cordon": true, "drainOptions": {"enabled": true}, "rebootOnSuccess": true,
            "rollout": {"reboot": {"graceSeconds": 6, "readySeconds": 2}},
        }),
    );
    let until = |step: &str| {
        let runner = scenario.runner();
        scenario.wait_entry("op", node, "step", step);
        runner.kill();
    };
    until("Draining");
    // The one pod that is in the way goes without a runner, too.
    until("Running");
    wait_for("the command has told of its success", LONG, || sentinel(&scenario).is_some());
    assert_eq!(scenario.entry("op", node)["step"], "Running", "nobody was there to record it");
    until("Rebooting");
    let runner = scenario.runner();
    wait_for("the reboot is approved", LONG, || {
        scenario.pods("kairos.io/reboot").iter().any(|pod| pod["metadata"]["annotations"]["kairos.io/reboot-approved"].is_string())
    });
    runner.kill();
    wait_for("the node has rebooted", LONG, || scenario.ends(node).len() == 1);
    until("Verifying");
    assert_eq!(scenario.settle(), 0);
    assert_eq!(scenario.entry("op", node)["rebootStatus"], "completed");
    assert_eq!(scenario.world.written(node, "/var/log/killed").as_deref(), Some("ran\n"));
    scenario.assert_rebooted_once(node);
    scenario.assert_given_back();
}

/// What the container after the command has left on the host.
fn sentinel(scenario: &Scenario) -> Option<String> {
    let jobs = scenario.world.get(&["jobs", "-n", &scenario.name]);
    let name = jobs["items"][0]["metadata"]["name"].as_str()?;
    scenario.world.volatile(scenario.node(), &format!("/run/rounds/{name}"))
}
