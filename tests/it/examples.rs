//! The manifests that people copy: each is carried out.

use serde_json::json;

use crate::harness::{Corner, kubelet};
use crate::rollouts::assert_all_given_back;

#[test]
fn every_example_operation_completes() {
    let corner = Corner::alone("examples");
    corner.nodes(4, 1);
    let folder = format!("{}/examples", env!("CARGO_MANIFEST_DIR"));
    corner.kubectl(&["label", "node", "examples-1", "canary=true"]);
    let (mut names, mut upgrades) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        // Dockerfiles have a folder of their own, and `render.rs`; images are built in `artifacts.rs`, and channels need a server, in `channels.rs`.
        if path.is_dir()
            || ["osartifact-", "updatechannel-"]
                .iter()
                .any(|kind| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(kind)))
        {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for mut object in rounds::yaml::documents(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())) {
            object["metadata"]["namespace"] = json!("examples");
            let is_upgrade = object["kind"] == "NodeOpUpgrade";
            if object["kind"] != "NodeOp" && !is_upgrade {
                if object["kind"] == "Deployment" {
                    // Onto this corner's nodes, and not onto those of other tests.
                    let spec = &mut object["spec"]["template"]["spec"];
                    spec["nodeSelector"] = json!({"corner": "examples"});
                    spec["tolerations"] = json!([{"key": "corner", "operator": "Exists"}]);
                }
                corner.create(&object);
                continue;
            }
            assert!(text.starts_with("# "), "{} does not say what it is for", path.display());
            object["spec"]["nodeSelector"]["matchLabels"]["corner"] = json!("examples");
            if object["spec"]["rebootOnSuccess"] == true || is_upgrade {
                object["spec"]["rollout"]["reboot"]["readySeconds"] = json!(1);
            }
            // The one that only works at night is carried out by day as well.
            if let Some(rollout) = object["spec"].get_mut("rollout").and_then(|rollout| rollout.as_object_mut()) {
                rollout.remove("windows");
            }
            corner.create(&object);
            let name = object["metadata"]["name"].as_str().unwrap().to_string();
            if is_upgrade { upgrades.push(name) } else { names.push(name) }
        }
    }
    assert!(names.len() >= 10 && upgrades.len() == 2, "{names:?} {upgrades:?}");
    // All of them take turns on the same few nodes, which reboot many times.
    let printed = kubelet::beside(&corner, || corner.rounds(&["run", "--until-settled", "--timeout", "360s"]));
    assert_eq!(printed.code, 0, "{printed:#?}");
    for name in names {
        assert_eq!(corner.status(&name)["phase"], "Completed", "{name}");
    }
    for name in upgrades {
        let status = corner.upgrade_status(&name);
        assert_eq!((&status["phase"], &status["nodeOpName"]), (&json!("Completed"), &json!(name)), "{status:#}");
    }
    assert_all_given_back(&corner);
}
