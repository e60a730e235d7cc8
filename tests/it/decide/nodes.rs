//! From the few words of a case to nodes and what runs on them.

use rounds::names;
use rounds::snapshot::views::{Node, Pod};
use serde_json::{Map, Value, json};

use super::shorthand::typed;

/// A node: `held: op` by us, `leftBy: op` cordoned by the existing operator, or fields.
pub fn node(name: &str, mut fields: Value) -> Result<Node, String> {
    if let Some(op) = fields.get("held").and_then(Value::as_str).map(str::to_string) {
        let held = json!({"lock": op, "cordonedBy": op, "unschedulable": true, "cordonManagers": [format!("rounds-{op}-uid")]});
        let said = fields.take();
        fields = held;
        json_patch::merge(&mut fields, &said);
        fields.as_object_mut().unwrap().remove("held");
    }
    if let Some(op) = fields.get("leftBy").and_then(Value::as_str).map(str::to_string) {
        let mark = json!({"value": format!("default/{op}@{op}-uid"), "manager": names::FOREIGN_MANAGER});
        let left = json!({"cordonedBy": mark, "unschedulable": true, "cordonManagers": [names::FOREIGN_MANAGER]});
        let said = fields.take();
        fields = left;
        json_patch::merge(&mut fields, &said);
        fields.as_object_mut().unwrap().remove("leftBy");
    }
    for key in ["lock", "cordonedBy"] {
        if let Some(op) = fields.get(key).and_then(Value::as_str) {
            fields[key] = json!({"value": format!("default/{op}@{op}-uid"), "manager": format!("rounds-{op}-uid")});
        }
    }
    if let Some(Value::Array(words)) = fields.get("marks") {
        fields["marks"] = super::probes::marks(words).into();
    }
    if let Some(Value::Array(labels)) = fields.get("labels") {
        let pairs = labels.iter().map(|label| label.as_str().unwrap()).map(|label| label.split_once('=').unwrap_or((label, "")));
        fields["labels"] = pairs.map(|(key, value)| (key.to_string(), json!(value))).collect::<Map<_, _>>().into();
    }
    let defaults =
        json!({"name": name, "uid": format!("{name}-uid"), "resourceVersion": "1", "ready": true, "bootId": "b1", "created": -86_400});
    typed(defaults, fields)
}

/// A pod of somebody else's.
pub fn workload(node: &str, words: &Value) -> Result<Pod, String> {
    let fields = if let Some(name) = words.as_str() { json!({"name": name}) } else { words.clone() };
    let name = fields["name"].as_str().ok_or("a pod without a name")?;
    let defaults = json!({
        "namespace": "web", "uid": format!("{name}-uid"), "node": node, "phase": "Running", "ready": true,
        "owner": {"kind": "ReplicaSet", "name": "web", "uid": "rs-uid"},
    });
    typed(defaults, fields)
}
