//! A snapshot from manifest files: the same views, from the same conversions, as from the cluster.
//!
//! All mistakes are reported, not just the first: each with its file and the field that is wrong.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Snapshot, views::Node};
use crate::cluster::observe::convert;
use crate::names;
use crate::nodeop::api::NodeStep;
use crate::yaml;

/// The documents of one file.
#[derive(Clone, Debug)]
pub struct File {
    /// Its path, for messages.
    pub path: String,
    /// Its documents.
    pub documents: Vec<Value>,
}

/// Reads files, and folders with all below them; `-` is stdin.
///
/// # Errors
/// One line for every file that cannot be read.
pub fn read(paths: &[PathBuf]) -> Result<Vec<File>, Vec<String>> {
    let mut errors = Vec::new();
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files, &mut errors);
    }
    let mut read = Vec::new();
    for path in files {
        let text = if path == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(&path) };
        let name = path.display().to_string();
        match text.map_err(|error| error.to_string()).and_then(|text| yaml::documents(&text).map_err(|error| error.to_string())) {
            Ok(documents) => read.push(File { path: name, documents }),
            Err(error) => errors.push(format!("{name}: {error}")),
        }
    }
    if errors.is_empty() { Ok(read) } else { Err(errors) }
}

/// The files below a path, in a fixed order.
fn collect(path: &Path, files: &mut Vec<PathBuf>, errors: &mut Vec<String>) {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return;
    }
    let mut entries: Vec<PathBuf> = match std::fs::read_dir(path) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(error) => return errors.push(format!("{}: {error}", path.display())),
    };
    entries.sort();
    for entry in entries {
        let is_manifest = entry.extension().is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|known| ending == *known));
        if entry.is_dir() || is_manifest {
            collect(&entry, files, errors);
        }
    }
}

/// A snapshot of what the documents say, at a time. Kinds that no decision reads are passed over.
///
/// # Errors
/// One line for every document that is not what its kind says.
pub fn snapshot(files: &[File], now: Timestamp) -> Result<Snapshot, Vec<String>> {
    let mut snapshot = Snapshot { now, ..Snapshot::default() };
    let mut pods = Vec::new();
    let mut errors = Vec::new();
    for file in files {
        for (index, document) in file.documents.iter().enumerate() {
            let mut document = document.clone();
            complete(&mut document);
            let place = format!("{}, document {} ({})", file.path, index + 1, title(&document));
            if let Err(error) = add(&mut snapshot, &mut pods, document) {
                errors.push(format!("{place}: {error}"));
            }
        }
    }
    let draining: Vec<String> = draining(&snapshot);
    for node in draining {
        let on: Vec<_> = pods.iter().filter(|pod: &&super::views::Pod| pod.node == node).cloned().collect();
        snapshot.drains.insert(node, on);
    }
    snapshot.pods = pods.into_iter().filter(|pod| pod.labels.contains_key(names::LABEL_NODEOP)).collect();
    if errors.is_empty() { Ok(snapshot) } else { Err(errors) }
}

fn add(snapshot: &mut Snapshot, pods: &mut Vec<super::views::Pod>, document: Value) -> Result<(), String> {
    let group = document["apiVersion"].as_str().unwrap_or_default();
    match (group, document["kind"].as_str().unwrap_or_default()) {
        ("operator.kairos.io/v1alpha1", "NodeOp") => {
            unknown_field(&document)?;
            snapshot.nodeops.push(convert::nodeop(document)?);
        }
        ("v1", "Node") => {
            let mut node: Node = convert::node(document)?;
            // A node that was written by hand has no status; it is there to be planned with.
            node.ready |= node.boot_id.is_empty();
            snapshot.nodes.insert(node.name.clone(), node);
        }
        ("v1", "Pod") => pods.push(convert::pod(document)?),
        ("batch/v1", "Job") if document.pointer("/metadata/labels").is_some_and(|labels| labels.get(names::LABEL_NODEOP).is_some()) => {
            snapshot.jobs.push(convert::job(document)?);
        }
        ("policy/v1", "PodDisruptionBudget") => snapshot.budgets.push(convert::budget(document)?),
        ("", _) | (_, "") => return Err("apiVersion and kind must be given".into()),
        _ => {}
    }
    Ok(())
}

/// What the server would have filled in: a namespace, a uid, an age.
fn complete(document: &mut Value) {
    let cluster_scoped = document["kind"] == "Node";
    let title = title(document);
    let kind = document["kind"].as_str().unwrap_or_default().to_string();
    let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if !cluster_scoped {
        metadata.entry("namespace").or_insert_with(|| Value::from("default"));
    }
    let digest = Sha256::digest(format!("{kind}/{title}"));
    let uid: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    metadata.entry("uid").or_insert_with(|| Value::from(uid));
    metadata.entry("resourceVersion").or_insert_with(|| Value::from("1"));
    metadata.entry("generation").or_insert_with(|| Value::from(1));
    metadata.entry("creationTimestamp").or_insert_with(|| Value::from("2020-01-01T00:00:00Z"));
}

fn title(document: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_string();
    let name = text(&document["metadata"]["name"]);
    match document["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{} {namespace}/{name}", text(&document["kind"])),
        None => format!("{} {name}", text(&document["kind"])),
    }
}

/// A field that the kind does not have: the server would refuse it, and a typo would go unseen here.
fn unknown_field(document: &Value) -> Result<(), String> {
    let Some(Value::Object(spec)) = document.get("spec") else { return Err("spec: must be given, with a command".into()) };
    let crds = crate::crds::all().map_err(|error| error.to_string())?;
    let definition = crds.iter().find(|crd| crd["spec"]["names"]["kind"] == document["kind"]);
    let schema = definition.and_then(|crd| crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec"));
    schema.map_or(Ok(()), |schema| known(&Value::Object(spec.clone()), schema, "spec"))
}

/// Compares a value with the schema's properties, all the way down.
fn known(value: &Value, schema: &Value, path: &str) -> Result<(), String> {
    match (value, schema.get("properties").and_then(Value::as_object), schema.get("items")) {
        (Value::Object(fields), Some(properties), _) => fields.iter().try_for_each(|(key, value)| match properties.get(key) {
            Some(schema) => known(value, schema, &format!("{path}.{key}")),
            None => Err(format!("{path}.{key}: there is no such field; {path} has {}", names_of(properties))),
        }),
        (Value::Array(items), _, Some(schema)) => {
            items.iter().enumerate().try_for_each(|(index, item)| known(item, schema, &format!("{path}[{index}]")))
        }
        _ => Ok(()),
    }
}

fn names_of(properties: &serde_json::Map<String, Value>) -> String {
    properties.keys().cloned().collect::<Vec<_>>().join(", ")
}

/// Nodes that some operation is draining, by its status.
fn draining(snapshot: &Snapshot) -> Vec<String> {
    let operations = snapshot.nodeops.iter().filter(|resource| resource.spec.drain().is_some());
    let entries = operations.flat_map(|resource| &resource.status.node_statuses);
    let drains = entries.filter(|(_, entry)| matches!(entry.step, Some(NodeStep::Locking | NodeStep::Draining)));
    drains.map(|(node, _)| node.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Snapshot, Vec<String>> {
        let documents = yaml::documents(text).unwrap();
        snapshot(&[File { path: "a.yaml".into(), documents }], Timestamp::UNIX_EPOCH)
    }

    const OP: &str = "apiVersion: operator.kairos.io/v1alpha1\nkind: NodeOp\nmetadata: {name: op}\nspec:\n";

    #[test]
    fn a_hand_written_node_and_operation_make_a_plan() {
        let snapshot = load(&format!("{OP}  command: [\"true\"]\n---\napiVersion: v1\nkind: Node\nmetadata: {{name: n1}}\n")).unwrap();
        let plan = crate::decide::decide(&snapshot, &crate::settings::Settings::default());
        assert_eq!(plan.decisions[0].subject.to_string(), "NodeOp default/op");
        assert_eq!(plan.decisions[0].nodes["n1"].reason, crate::reason::Reason::Locking);
    }

    #[test]
    fn every_mistake_is_named_with_file_document_and_field() {
        let text = format!(
            "{OP}  command: [x]\n  rollout: {{suspended: true}}\n---\n{OP}  command: 7\n---\nkind: Node\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\n"
        );
        let errors = load(&text).unwrap_err();
        assert_eq!(errors.len(), 3, "{errors:#?}");
        assert!(
            errors[0]
                .starts_with("a.yaml, document 1 (NodeOp default/op): spec.rollout.suspended: there is no such field; spec.rollout has"),
            "{}",
            errors[0]
        );
        assert!(errors[1].contains("document 2") && errors[1].contains("command"), "{}", errors[1]);
        assert!(errors[2].contains("document 3") && errors[2].contains("apiVersion"), "{}", errors[2]);
    }
}
