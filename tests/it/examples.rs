//! The manifests that people copy: each is carried out.

use serde_json::json;

use crate::harness::{Corner, kubelet};
use crate::rollouts::assert_all_given_back;

#[test]
fn every_example_operation_completes() {
    let corner = Corner::new("examples");
    corner.nodes(4, 1);
    let folder = format!("{}/examples", env!("CARGO_MANIFEST_DIR"));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for mut object in rounds::yaml::documents(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())) {
            object["metadata"]["namespace"] = json!("examples");
            if object["kind"] != "NodeOp" {
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
            if object["spec"]["rebootOnSuccess"] == true {
                object["spec"]["rollout"]["reboot"]["readySeconds"] = json!(1);
            }
            // The one that only works at night is carried out by day as well.
            if let Some(rollout) = object["spec"].get_mut("rollout").and_then(|rollout| rollout.as_object_mut()) {
                rollout.remove("windows");
            }
            corner.create(&object);
            names.push(object["metadata"]["name"].as_str().unwrap().to_string());
        }
    }
    assert!(names.len() >= 7, "{names:?}");
    let printed = kubelet::beside(&corner, || corner.settle());
    assert_eq!(printed.code, 0, "{printed:#?}");
    for name in names {
        assert_eq!(corner.status(&name)["phase"], "Completed", "{name}");
    }
    assert_all_given_back(&corner);
}
