//! Manifests of the documents and examples, verbatim but for namespace and node: images by the names that people write,
//! from registries that ask for credentials.

use serde_json::json;

use crate::scenario::{LONG, Scenario};
use crate::wait::wait_for;

/// A Secret as the documents make it.
fn secret(scenario: &Scenario, name: &str, server: &str, password: &str) {
    let password = format!("--docker-password={password}");
    let server = format!("--docker-server={server}");
    let args = ["-n", &scenario.name, "create", "secret", "docker-registry", name, &server, "--docker-username=puller", &password];
    scenario.world.kubectl(&args);
}

#[test]
fn images_of_private_registries_are_pulled_with_the_credentials_that_are_named() {
    let scenario = Scenario::on_one("private");
    let node = scenario.node();
    secret(&scenario, "private-registry-secret", "private-registry.example.com", "wrong");
    scenario.manifest("tests/manifests/seeds/nodeop-private-registry.yaml", |nodeop| {
        nodeop["spec"]["rollout"]["reboot"] = json!({"graceSeconds": 1, "readySeconds": 2});
    });
    scenario.world.kubectl(&["label", "node", node, "kairos.io/managed=true"]);
    let runner = scenario.runner();
    let name = "operation-with-private-image";
    let entry = scenario.wait_entry(name, node, "reason", "CannotStart");
    let message = entry["message"].as_str().unwrap();
    // The kubelet says so in an Event before it does in the pod's status, and a round may come in between.
    let says = ["ImagePull", "Failed to pull image"].iter().any(|words| message.contains(words));
    assert!(message.contains("private-registry.example.com") && says, "{message}");
    scenario.world.kubectl(&["-n", "private", "delete", "secret", "private-registry-secret"]);
    secret(&scenario, "private-registry-secret", "private-registry.example.com", "correct");
    scenario.wait_phase(name, "Completed");
    runner.kill();
    scenario.assert_rebooted_once(node);

    // The example, with the credentials in a file.
    let file = json!({"auths": {"registry.example.com": {"username": "puller", "password": "correct"}}}).to_string();
    let literal = format!("--from-literal=.dockerconfigjson={file}");
    let kind = "--type=kubernetes.io/dockerconfigjson";
    scenario.world.kubectl(&["-n", "private", "create", "secret", "generic", "registry-example", kind, &literal]);
    scenario.manifest("examples/nodeop-private-image.yaml", |_| ());
    assert_eq!(scenario.settle(), 0);
    assert_eq!(scenario.world.written(node, "/var/log/node-check").as_deref(), Some("checked\n"));
    scenario.assert_given_back();
}

#[test]
fn the_firmware_operation_of_the_documents_installs_runs_and_reboots() {
    let scenario = Scenario::on_one("firmware");
    let node = scenario.node();
    scenario.world.kubectl(&["label", "node", node, "kairos.io/managed=true"]);
    scenario.manifest("tests/manifests/seeds/nodeop-firmware.yaml", |nodeop| {
        nodeop["spec"]["rollout"]["reboot"] = json!({"graceSeconds": 1, "readySeconds": 2});
    });
    assert_eq!(scenario.settle(), 0);
    let done = scenario.world.written(node, "/var/log/alpine").unwrap_or_default();
    let expected = [
        "apk add --no-cache dbus udisks2 fwupd",
        "mount --make-rprivate /",
        "mount --rbind /host/dev /dev",
        "mount --make-rslave /dev",
        "mount --rbind /host/sys /sys",
        "mount --make-rslave /sys",
        "mount --rbind /host/run/udev /run/udev",
        "mount --make-rslave /run/udev",
        "mount -t vfat /dev/vda1 /boot/efi",
        "dbus-daemon --system --fork",
        "fwupdtool refresh",
        "fwupdtool get-devices",
        "fwupdtool update --force",
    ];
    // This one is started beside the others.
    let (beside, done): (Vec<&str>, Vec<&str>) = done.lines().partition(|line| line.starts_with("udisksd"));
    assert_eq!((beside, done), (vec!["udisksd --no-debug"], expected.to_vec()));
    scenario.assert_rebooted_once(node);
    wait_for("the node is as it was", LONG, || scenario.world.get(&["node", node])["spec"]["unschedulable"] != true);
    scenario.assert_given_back();
}
