//! Commands on all nodes: that they run, where, and what a failure stops.

use serde_json::json;

use crate::scenario::Scenario;

#[test]
fn a_command_runs_once_in_the_tree_of_every_node() {
    let scenario = Scenario::on_all("writes");
    scenario.nodeop("op", &json!({"command": ["sh", "-c", "cat /host/etc/hostname >>/host/var/log/writes"]}));
    assert_eq!(scenario.settle(), 0);
    assert_eq!(scenario.status("op")["phase"], "Completed");
    for node in &scenario.nodes {
        assert_eq!(scenario.world.written(node, "/var/log/writes").as_deref(), Some(format!("{node}\n").as_str()));
        assert!(scenario.ends(node).is_empty(), "{node} went down");
    }
    scenario.assert_given_back();
}

#[test]
fn the_usual_operations_of_the_examples_do_their_work_on_a_node() {
    let scenario = Scenario::on_one("usual");
    let (world, node) = (scenario.world, scenario.node());
    let before = world.written(node, "/var/log/kairos-agent").unwrap_or_default();
    for example in ["nodeop-write-file", "nodeop-sysctl", "nodeop-bundle"] {
        scenario.manifest(&format!("examples/{example}.yaml"), |nodeop| nodeop["spec"]["nodeSelector"] = json!({}));
    }
    assert_eq!(scenario.settle(), 0);
    let written = |path: &str| world.written(node, path).unwrap_or_default();
    assert!(written("/oem/90_mirror.yaml").contains("https://mirror.example.com"));
    assert_eq!(written("/etc/sysctl.d/90-inotify.conf"), "fs.inotify.max_user_instances = 1024\n");
    assert_eq!(world.volatile(node, "/proc/sys/fs/inotify/max_user_instances").unwrap_or_default().trim(), "1024");
    // The node's own agent was asked, in the node's own tree.
    let bundle = "install-bundle run://quay.io/kairos/community-bundles:qemu-guest-agent_latest\n";
    assert_eq!(written("/var/log/kairos-agent").strip_prefix(before.as_str()), Some(bundle));
    scenario.assert_given_back();
}

#[test]
#[ignore = "nightly: an upgrade whose agent fails on the second node shows the same"]
fn a_failure_on_the_second_node_cancels_its_reboot_and_spares_the_third() {
    let scenario = Scenario::on_all("fails");
    let command = "echo ran >>/host/var/log/fails; [ $(cat /host/etc/hostname) != worker-1 ]";
    scenario.nodeop(
        "op",
        &json!({
            "command": ["sh", "-c", command], "cordon": true, "rebootOnSuccess": true, "backoffLimit": 0, "concurrency": 1,
            "stopOnFailure": true, "rollout": {"reboot": {"graceSeconds": 0, "readySeconds": 0}},
        }),
    );
    assert_eq!(scenario.settle(), 3);
    let entry = |node: &str| scenario.entry("op", node);
    assert_eq!((&entry("control-1")["phase"], &entry("control-1")["rebootStatus"]), (&json!("Completed"), &json!("completed")));
    assert_eq!((&entry("worker-1")["reason"], &entry("worker-1")["rebootStatus"]), (&json!("CommandFailed"), &json!("cancelled")));
    scenario.assert_rebooted_once("control-1");
    assert!(scenario.ends("worker-1").is_empty() && scenario.ends("worker-2").is_empty());
    assert_eq!(scenario.world.written("worker-1", "/var/log/fails").as_deref(), Some("ran\n"));
    assert_eq!(scenario.world.written("worker-2", "/var/log/fails"), None);
    assert_ne!(entry("worker-2")["phase"], "Completed");
    assert_eq!(scenario.world.get(&["node", "worker-1"])["spec"]["unschedulable"], true);
    scenario.delete("op");
    assert_eq!(scenario.settle(), 0);
    scenario.assert_given_back();
}
