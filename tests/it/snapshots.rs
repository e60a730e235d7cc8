//! `rounds snapshot`: what a round sees, as a file, and what is decided about it without the cluster.

use std::path::PathBuf;
use std::process::Command;

use rounds::snapshot::file::SnapshotFile;
use serde_json::{Value, json};

use crate::harness::{Corner, Printed};

/// A place for files of a test.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("rounds-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// `rounds plan --offline` as this corner's runner would decide, without a cluster.
fn offline(namespace: &str, files: &[&PathBuf]) -> Printed {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rounds"));
    command.args(["plan", "-o", "json", "--namespace", namespace, "--offline"]).args(files).env_clear();
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Printed { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// The decisions about a namespace. Elsewhere other tests go on while we look.
fn decisions(printed: &Printed, namespace: &str) -> Vec<Value> {
    let plan: Value = serde_json::from_str(&printed.out).unwrap_or_else(|error| panic!("{error}: {printed:#?}"));
    let all = plan["decisions"].as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|decision| decision["subject"]["namespace"] == namespace).collect()
}

/// What is decided for whom and why, and the steps, without names and times.
fn shape(decisions: &[Value]) -> Vec<String> {
    let reasons = |nodes: &Value| nodes.as_object().map(|nodes| nodes.values().map(|node| node["reason"].clone()).collect::<Vec<_>>());
    let steps = |steps: &Value| {
        let steps = steps.as_array().into_iter().flatten();
        steps.map(|step| format!("{} {}", step["reason"], step["actions"].as_array().map_or(0, Vec::len))).collect::<Vec<_>>()
    };
    let one = |it: &Value| format!("{} {:?} {:?} {}", it["reason"], reasons(&it["nodes"]), steps(&it["steps"]), it["status"].is_object());
    decisions.iter().map(one).collect()
}

/// Without the time of the round, which is the only thing in which two looks at a quiet cluster differ.
fn timeless(decisions: &[Value]) -> Vec<Value> {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for key in ["lastUpdated", "stepSince", "reasonSince", "startedAt", "completedAt", "lastTransitionTime", "eventTime"] {
                    fields.remove(key);
                }
                fields.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut decisions = decisions.to_vec();
    decisions.iter_mut().for_each(strip);
    decisions
}

/// A corner where one node drains, and waits for a budget.
fn blocked(name: &str) -> Corner {
    let corner = Corner::new(name);
    corner.nodes(3, 1);
    corner.create(&corner.deployment("web", 2, json!({})));
    corner.create(&corner.budget("strict", "web", 0));
    corner.wait_for_pods("app=web", 2);
    corner.wait_for_budget("strict");
    let spec = json!({"cordon": true, "concurrency": 0, "drainOptions": {"enabled": true, "timeoutSeconds": 0}});
    corner.create(&corner.nodeop("op", spec));
    corner.rounds_until("the drain is blocked", || corner.status("op")["message"].as_str().unwrap_or_default().contains("strict"));
    corner
}

#[test]
fn a_snapshot_decides_what_the_round_that_saw_it_would_have_decided() {
    let corner = blocked("kept-view");
    let folder = folder("snapshot");
    let fleet = folder.join("fleet.json");
    let written = corner.rounds(&["snapshot", "--file", fleet.to_str().unwrap()]);
    assert!(written.code == 0 && written.out.is_empty(), "{written:#?}");
    let (live, file) = (corner.rounds(&["plan", "-o", "json"]), offline("kept-view", &[&fleet]));
    assert_eq!(live.code, file.code, "{live:#?} {file:#?}");
    assert_eq!(timeless(&decisions(&file, "kept-view")), timeless(&decisions(&live, "kept-view")));
    assert_eq!(decisions(&file, "kept-view")[0]["reason"], "DrainBlocked");

    let read: SnapshotFile = serde_json::from_str(&std::fs::read_to_string(&fleet).unwrap()).unwrap();
    let here = |namespace: &String| namespace == "kept-view";
    assert_eq!(read.workload.iter().filter(|pod| here(&pod.namespace) && pod.labels.get("app").is_some_and(|app| app == "web")).count(), 2);
    let budget = read.snapshot.budgets.iter().find(|budget| here(&budget.namespace)).unwrap();
    assert_eq!((budget.max_unavailable.as_deref(), &budget.min_available), (Some("0"), &None));

    // What would happen were this merged?
    let new = folder.join("new.yaml");
    let mut op = corner.nodeop("later", json!({"concurrency": 1}));
    op["metadata"]["labels"] = json!({"team": "x"});
    std::fs::write(&new, op.to_string()).unwrap();
    let merged = decisions(&offline("kept-view", &[&fleet, &new]), "kept-view");
    assert_eq!((&merged[0]["subject"]["name"], &merged[0]["reason"]), (&json!("op"), &json!("DrainBlocked")));
    assert_eq!((&merged[1]["subject"]["name"], &merged[1]["reason"]), (&json!("later"), &json!("WaitingForOther")), "{:#}", merged[1]);
    let edit =
        corner.nodeop("op", json!({"rollout": {"suspend": true}, "cordon": true, "drainOptions": {"enabled": true, "timeoutSeconds": 0}}));
    std::fs::write(&new, edit.to_string()).unwrap();
    let edited = decisions(&offline("kept-view", &[&fleet, &new]), "kept-view");
    let after = corner.get("nodeops.operator.kairos.io", "op")["metadata"]["uid"].clone();
    assert_eq!((&edited[0]["reason"], &edited[0]["subject"]["uid"]), (&json!("Suspended"), &after), "{:#}", edited[0]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_hashed_snapshot_names_nobody_and_decides_the_same() {
    let corner = blocked("nameless-view");
    let printed = corner.rounds(&["snapshot", "--hash-names"]);
    assert_eq!(printed.code, 0, "{printed:#?}");
    for word in ["nameless-view", "succeed\"", "strict", "\"web", "default/", "boot-nameless"] {
        assert!(!printed.out.contains(word), "{word} is in it");
    }
    let folder = folder("hashed");
    let bug = folder.join("bug.json");
    std::fs::write(&bug, &printed.out).unwrap();
    let file: SnapshotFile = serde_json::from_str(&printed.out).unwrap();
    // The one whose drain is blocked by a budget, of whatever name: others run beside us.
    let namespaces = file.snapshot.nodeops.iter().map(|resource| resource.meta.namespace.clone());
    let live = shape(&decisions(&corner.rounds(&["plan", "-o", "json"]), "nameless-view"));
    let found = namespaces.into_iter().any(|namespace| shape(&decisions(&offline(&namespace, &[&bug]), &namespace)) == live);
    assert!(found, "{live:#?} is not decided without names");
    std::fs::remove_dir_all(&folder).unwrap();
}
