//! That no reboot leaves its node: what is to refuse does.

use crate::scenario::Scenario;

#[test]
fn a_nodes_reboot_command_refuses_outside_of_its_namespaces() {
    let scenario = Scenario::on_one("guards");
    let (world, node) = (scenario.world, scenario.node());
    // In the world, which is a pid namespace as well: should it not refuse, the machine goes on.
    let reboot = world.path_of(node, "/usr/sbin/reboot");
    for script in [format!("exec {reboot}"), format!("hostname {node}; exec {reboot}")] {
        let output = world.inside(&["unshare", "--uts", "sh", "-c", &script]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(&format!("is not the namespace of {node}")), "{script}: {said}");
    }
    assert!(scenario.ends(node).is_empty() && scenario.reboots(node) == 0);
}

#[test]
fn nothing_becomes_a_node_outside_of_a_pid_namespace_of_its_own() {
    let scenario = Scenario::on_one("boots");
    let boot = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/nodes/boot.sh");
    let dir = scenario.world.dir().to_string_lossy().into_owned();
    let output = scenario.world.inside(&[boot, &dir, "nowhere", scenario.node(), "0"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("is not the first one of a node"), "{said}");
    assert!(scenario.ends(scenario.node()).is_empty());
}
