//! What the server takes and refuses when objects are applied, not created (it then has other words for some mistakes), and
//! what the types keep of them.

use std::path::{Path, PathBuf};

use rounds::artifact::api::OSArtifact;
use rounds::channel::api::UpdateChannel;
use rounds::nodeop::api::NodeOp;
use rounds::upgrade::api::NodeOpUpgrade;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::harness::ControlPlane;

/// The files of a folder in `tests/manifests`.
fn manifests(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests").join(folder);
    let mut files: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Asks the server, without keeping anything: what it would store, and what it says.
fn ask(verb: &[&str], file: &Path) -> (Option<Value>, String) {
    let file = file.to_string_lossy();
    let plane = ControlPlane::shared();
    let output = plane.kubectl(&[verb, &["--dry-run=server", "--validate=strict", "-o", "json", "-f", &file]].concat(), None);
    (serde_json::from_slice(&output.stdout).ok(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn every_field_is_taken_as_it_is_written_and_without_a_warning() {
    for file in manifests("valid") {
        let manifest = rounds::yaml::documents(&std::fs::read_to_string(&file).unwrap()).unwrap().remove(0);
        for verb in [&["create"][..], &["apply", "--server-side"]] {
            let (object, errors) = ask(verb, &file);
            let object = object.filter(|_| errors.is_empty()).unwrap_or_else(|| panic!("{} {verb:?}: {errors}", file.display()));
            assert_eq!(object["spec"], manifest["spec"], "{}: nothing is added, nothing is lost", file.display());
            assert_eq!(object["status"], json!({"observedGeneration": -1}), "{}", file.display());
        }
    }
}

#[test]
fn a_refused_object_is_refused_on_apply_as_well_with_field_and_remedy() {
    for file in manifests("invalid") {
        let text = std::fs::read_to_string(&file).unwrap();
        let line = |prefix: &str| text.lines().take(2).find_map(|line| line.strip_prefix(prefix));
        // The second line, if what an apply says is not what a create says.
        let expected = line("# on apply: ").or_else(|| line("# refused: "));
        let (object, errors) = ask(&["apply", "--server-side"], &file);
        match expected {
            Some(expected) => assert!(object.is_none() && errors.contains(expected), "{}: {errors}", file.display()),
            None => assert!(object.is_some() && line("# stalled: ").is_some(), "{}: {errors}", file.display()),
        }
    }
}

/// Without what is empty: types need not tell an empty list from none.
fn pruned(value: &Value) -> Value {
    let kept = |value: &Value| !(value.is_null() || value == &json!([]) || value == &json!({}));
    match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), pruned(value))).filter(|(_, value)| kept(value)).collect(),
        Value::Array(items) => items.iter().map(pruned).collect(),
        value => value.clone(),
    }
}

fn there_and_back<T: DeserializeOwned + Serialize>(manifest: &Value) -> Value {
    serde_json::to_value(T::deserialize(manifest).unwrap()).unwrap()
}

#[test]
fn the_types_lose_nothing_of_what_people_write() {
    let mut seen = 0;
    for file in [manifests("seeds"), manifests("valid")].concat() {
        for manifest in rounds::yaml::documents(&std::fs::read_to_string(&file).unwrap()).unwrap() {
            let read = match manifest["kind"].as_str().unwrap() {
                "NodeOp" => there_and_back::<NodeOp>(&manifest),
                "NodeOpUpgrade" => there_and_back::<NodeOpUpgrade>(&manifest),
                "OSArtifact" => there_and_back::<OSArtifact>(&manifest),
                "UpdateChannel" => there_and_back::<UpdateChannel>(&manifest),
                _ => continue,
            };
            assert_eq!(pruned(&read), pruned(&manifest), "{}", file.display());
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} manifests");
}
