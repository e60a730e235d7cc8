//! The manifests that people have: accepted as they stand, and carried out.

use serde_json::{Value, json};

use crate::harness::{Corner, kubelet};
use crate::rollouts::{assert_all_given_back, holds, most_at_once, started};

fn manifest(path: &str) -> Vec<Value> {
    let path = format!("{}/tests/manifests/{path}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    rounds::yaml::documents(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn files(folder: &str) -> Vec<String> {
    let path = format!("{}/tests/manifests/{folder}", env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<String> =
        std::fs::read_dir(&path).unwrap().map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy())).collect();
    names.sort();
    names
}

/// Into this corner, whatever namespace the manifest names.
fn moved(corner: &Corner, mut object: Value) -> Value {
    object["metadata"]["namespace"] = json!(corner.name);
    object
}

#[test]
fn every_manifest_of_the_documents_is_accepted_and_comes_back_as_it_went_in() {
    let corner = Corner::new("documents");
    let files = files("seeds");
    assert!(files.len() >= 10, "{files:?}");
    for file in files {
        for object in manifest(&file) {
            let mut object = moved(&corner, object);
            // Several documents use one name for different things.
            object["metadata"]["name"] = json!(file.replace("seeds/", "").replace(['.', '_'], "-"));
            if object["kind"] == "NodeOpUpgrade" {
                // It is over all nodes there are, and those of other tests' upgrades among them.
                let output = corner.kubectl_with(&["create", "--dry-run=server", "-o", "json", "-f", "-"], Some(&object.to_string()));
                let back: Value = serde_json::from_slice(&output.stdout)
                    .unwrap_or_else(|_| panic!("{file}: {}", String::from_utf8_lossy(&output.stderr)));
                assert_eq!(back["spec"], without_nulls(object["spec"].clone()), "{file}: the server changed the spec");
                continue;
            }
            corner.apply(&object);
            let name = object["metadata"]["name"].as_str().unwrap();
            let kind = object["kind"].as_str().unwrap();
            let back = match kind {
                "NodeOp" => corner.get("nodeops.operator.kairos.io", name),
                kind => corner.get(kind, name),
            };
            if !object["spec"].is_null() {
                assert_eq!(back["spec"], without_nulls(object["spec"].clone()), "{file}: the server changed the spec");
            }
            corner.kubectl(&["-n", "documents", "delete", kind_argument(kind), name, "--wait=false"]);
        }
    }
}

fn kind_argument(kind: &str) -> &str {
    match kind {
        "NodeOp" => "nodeops.operator.kairos.io",
        kind => kind,
    }
}

/// A key with nothing behind it, as people leave them, is no field.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, without_nulls(value))).collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        value => value,
    }
}

/// The example NodeOp of the documents, for this corner's nodes.
fn example(corner: &Corner) -> Value {
    let mut object = moved(corner, manifest("seeds/nodeop.yaml").remove(0));
    object["spec"]["nodeSelector"]["matchLabels"]["corner"] = json!(corner.name);
    object
}

#[test]
fn the_documented_nodeop_selects_the_control_plane_and_is_rebooted() {
    let corner = Corner::alone("verbatim");
    corner.nodes(5, 3);
    // One control plane with another value, one managed by nobody: both labels must have the very values.
    corner.kubectl(&["label", "node", "verbatim-1", "node-role.kubernetes.io/control-plane=", "--overwrite"]);
    corner.kubectl(&["label", "node", "verbatim-2", "kairos.io/managed=false", "--overwrite"]);
    corner.create(&example(&corner));
    let plan: Value = serde_json::from_str(&corner.rounds(&["plan", "-o", "json"]).out).unwrap();
    let decision = plan["decisions"].as_array().unwrap().iter().find(|d| d["subject"]["namespace"] == "verbatim").unwrap().clone();
    assert_eq!(decision["nodes"].as_object().unwrap().keys().collect::<Vec<_>>(), ["verbatim-0"]);
    // Nothing but how long it is watched after its reboot is another here.
    let quick = r#"{"spec":{"rollout":{"reboot":{"readySeconds":1}}}}"#;
    corner.kubectl(&["-n", "verbatim", "patch", "nodeops.operator.kairos.io", "example-nodeop", "--type=merge", "-p", quick]);
    let printed = kubelet::beside(&corner, || corner.settle());
    assert_eq!(printed.code, 0, "{printed:#?}");
    let status = corner.status("example-nodeop");
    assert_eq!(status["nodeStatuses"]["verbatim-0"]["rebootStatus"], "completed", "{status:#}");
    assert_eq!(corner.get("node", "verbatim-0")["status"]["nodeInfo"]["bootID"], "boot-verbatim-0-again");
    assert_all_given_back(&corner);
}

#[test]
fn the_documented_nodeop_completes_on_three_control_planes_and_five_workers() {
    let corner = Corner::new("documented");
    corner.nodes(8, 3);
    let mut object = example(&corner);
    object["spec"].as_object_mut().unwrap().remove("rebootOnSuccess");
    object["spec"]["nodeSelector"].as_object_mut().unwrap().remove("matchExpressions");
    corner.create(&object);
    let printed = corner.settle();
    assert_eq!(printed.code, 0, "{printed:#?}");
    let writes = corner.writes();
    let holds = holds(&writes);
    let order: Vec<&str> = holds.iter().map(|hold| hold.node.rsplit('-').next().unwrap()).collect();
    assert_eq!(order, ["0", "1", "2", "3", "4", "5", "6", "7"], "one at a time, control plane first, then by name");
    assert_eq!(most_at_once(&holds), 1);
    assert_eq!(started(&writes).len(), 8);
    assert_all_given_back(&corner);
}

#[test]
fn invalid_manifests_are_refused_or_stalled_with_field_value_and_remedy_and_the_others_go_on() {
    let corner = Corner::new("invalid");
    corner.nodes(1, 0);
    let files = files("invalid");
    assert!(files.len() >= 30, "{} invalid manifests", files.len());
    let mut stalled = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(format!("{}/tests/manifests/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let expected = text.lines().next().unwrap().trim_start_matches("# ").to_string();
        let (kind, rest) = expected.split_once(": ").unwrap_or_else(|| panic!("{file} does not say what is expected"));
        // The text as it stands, but for its namespace: what the YAML parser makes of it is part of the test.
        let text = text.replace("namespace: default", "namespace: invalid");
        let output = corner.kubectl_with(&["-n", "invalid", "create", "-f", "-"], Some(&text));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        match kind {
            "refused" => assert!(!output.status.success() && error.contains(rest), "{file}: expected {rest:?}, got {error:?}"),
            "stalled" => {
                assert!(output.status.success(), "{file}: {error}");
                let name = manifest(file)[0]["metadata"]["name"].as_str().unwrap().to_string();
                let (reason, message) = rest.split_once(": ").unwrap();
                stalled.push((file.clone(), name, reason.to_string(), message.to_string()));
            }
            other => panic!("{file}: {other}?"),
        }
    }
    corner.create(&corner.nodeop("good", json!({})));
    assert_eq!(corner.settle().code, 3);
    assert_eq!(corner.status("good")["phase"], "Completed", "a bad neighbour is no obstacle");
    for (file, name, reason, message) in stalled {
        let status = corner.status(&name);
        let condition = status["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Stalled").unwrap().clone();
        assert_eq!((&condition["status"], &condition["reason"]), (&json!("True"), &json!(reason)), "{file}: {condition:#}");
        assert!(condition["message"].as_str().unwrap().contains(&message), "{file}: {condition:#}");
    }
    assert_eq!(started(&corner.writes()).len(), 1, "nothing of the invalid ones ran");
}
