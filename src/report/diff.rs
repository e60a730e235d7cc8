//! A plan as changes to objects: a unified diff of their YAML, or RFC 6902 patches.

use serde_json::{Value, json};
use similar::TextDiff;

use super::SCHEMA_VERSION;
use crate::names;
use crate::plan::{Action, NodeApply, Plan};
use crate::snapshot::{Reference, Snapshot};
use crate::yaml::{self, YamlError};

/// One object before and after the round, as far as Rounds writes it.
#[derive(Debug)]
struct Change {
    object: Reference,
    before: Value,
    after: Value,
}

/// The plan as a unified diff over all objects.
///
/// # Errors
/// When an object has no YAML form.
pub fn unified(snapshot: &Snapshot, plan: &Plan) -> Result<String, YamlError> {
    let mut text = String::new();
    for change in changes(snapshot, plan) {
        let yaml = |value: &Value| if value.is_null() { Ok(String::new()) } else { yaml::to_string(value) };
        let (before, after) = (yaml(&change.before)?, yaml(&change.after)?);
        let old = if change.before.is_null() { "/dev/null".to_string() } else { format!("a/{}", path(&change.object)) };
        let new = if change.after.is_null() { "/dev/null".to_string() } else { format!("b/{}", path(&change.object)) };
        text += &TextDiff::from_lines(&before, &after).unified_diff().context_radius(3).header(&old, &new).to_string();
    }
    Ok(text)
}

/// The plan as one RFC 6902 patch per object.
pub fn json_patches(snapshot: &Snapshot, plan: &Plan) -> Value {
    let patches = changes(snapshot, plan).into_iter().map(|change| {
        let patch = json_patch::diff(&change.before, &change.after);
        json!({"object": change.object, "patch": patch})
    });
    json!({"schemaVersion": SCHEMA_VERSION, "objects": patches.collect::<Vec<_>>()})
}

fn path(object: &Reference) -> String {
    [object.kind.as_str(), &object.namespace, &object.name].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

fn changes(snapshot: &Snapshot, plan: &Plan) -> Vec<Change> {
    let mut changes = Vec::new();
    for decision in &plan.decisions {
        if let Some(write) = &decision.status {
            let whole = |status: &Value| json!({"apiVersion": write.api_version, "kind": write.of.kind, "status": status});
            changes.push(Change { object: write.of.clone(), before: whole(&write.before), after: whole(&write.status) });
        }
        let actions = decision.steps.iter().flat_map(|step| &step.actions);
        changes.extend(actions.map(|action| change(snapshot, action)));
    }
    changes
}

fn change(snapshot: &Snapshot, action: &Action) -> Change {
    let object = action.target();
    let named = |rest: Value| {
        let mut whole = json!({"kind": object.kind, "metadata": {"name": object.name}});
        if let (Value::Object(whole), Value::Object(rest)) = (&mut whole, rest) {
            whole.extend(rest);
        }
        whole
    };
    let (before, after) = match action {
        Action::Create { object } => (Value::Null, object.clone()),
        Action::ApplyNode(apply) => node(snapshot, apply),
        Action::Patch { patch, .. } => (named(opposite(patch)), named(patch.clone())),
        Action::Evict { .. } | Action::Delete { .. } => (named(json!({})), Value::Null),
    };
    Change { object, before, after }
}

/// What Rounds owns on a node, before and after.
fn node(snapshot: &Snapshot, apply: &NodeApply) -> (Value, Value) {
    let view = |lock: Option<&str>, cordon: Option<&str>, unschedulable: bool| {
        json!({
            "kind": "Node",
            "metadata": {"name": apply.node.name, "annotations": {names::ANNOTATION_LOCK: lock, names::ANNOTATION_CORDONED_BY: cordon}},
            "spec": {"unschedulable": unschedulable},
        })
    };
    let present = snapshot.nodes.get(&apply.node.name);
    let holder = |holder: Option<&crate::snapshot::views::Holder>| holder.map(|holder| holder.value.clone());
    let lock = holder(present.and_then(|node| node.lock.as_ref()));
    let cordon = holder(present.and_then(|node| node.cordoned_by.as_ref()));
    let unschedulable = present.is_some_and(|node| node.unschedulable);
    let shared = present.is_some_and(|node| node.cordon_managers.iter().any(|manager| *manager != apply.manager));
    let after = apply.cordon.is_some() || unschedulable && shared;
    (view(lock.as_deref(), cordon.as_deref(), unschedulable), view(apply.lock.as_deref(), apply.cordon.as_deref(), after))
}

/// What a patch replaces, as far as it is known: a flag's opposite.
fn opposite(patch: &Value) -> Value {
    match patch {
        Value::Object(fields) => Value::Object(fields.iter().map(|(key, value)| (key.clone(), opposite(value))).collect()),
        Value::Bool(flag) => Value::Bool(!flag),
        _ => Value::Null,
    }
}
