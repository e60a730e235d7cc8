//! Nodes are looked at once per boot, and labelled with what their release files tell.

use crate::scenario::{LONG, Scenario};
use crate::wait::wait_for;

#[test]
fn every_node_is_labelled_with_what_its_release_file_tells() {
    let scenario = Scenario::on_all("labels");
    let world = scenario.world;
    let runner = scenario.runner_with(&["--probe-namespace", &scenario.name]);
    for node in &scenario.nodes {
        wait_for(&format!("{node} is looked at in this boot"), LONG, || {
            world.get(&["node", node])["metadata"]["annotations"]["operator.kairos.io/probed-boot"] == world.boot_id(node)
        });
        let meta = world.get(&["node", node])["metadata"].clone();
        assert_eq!(meta["labels"]["kairos.io/managed"], "true", "{meta:#}");
        assert_eq!(meta["labels"]["kairos.io/software-version"], "v1.30.11-k3s1", "{meta:#}");
        let version = format!("KAIROS_VERSION={}", meta["annotations"]["kairos.io/version"]);
        let release = world.written(node, "/etc/kairos-release").unwrap_or_default();
        assert!(release.lines().any(|line| line == version), "{version} is not in {release}");
    }
    runner.kill();
    scenario.assert_given_back();
}
