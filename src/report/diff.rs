//! A plan as changes to objects: a unified diff of their YAML, or RFC 6902 patches.
//!
//! Of each object only that part is shown which Rounds writes; a round does not read the rest.

use serde::Serialize;
use serde_json::{Value, json};
use similar::TextDiff;

use super::SCHEMA_VERSION;
use super::paint::Tone;
use crate::labels::{applied, release};
use crate::names;
use crate::plan::{Action, NodeApply, NodeLabels, Plan, StatusWrite, TakeOver};
use crate::snapshot::views::{Holder, Mark, Node};
use crate::snapshot::{Reference, Snapshot};
use crate::yaml::{self, YamlError};

/// One object before and after the round, as far as Rounds writes it.
#[derive(Clone, Debug, PartialEq)]
struct Change {
    verb: Verb,
    object: Reference,
    before: Value,
    after: Value,
}

/// What happens to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Verb {
    Create,
    Update,
    Evict,
    Delete,
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
        let path = path(&change.object);
        let side = |prefix: &str, value: &Value| if value.is_null() { "/dev/null".into() } else { format!("{prefix}/{path}") };
        let (old, new) = (side("a", &change.before), side("b", &change.after));
        let diff = TextDiff::from_lines(&before, &after).unified_diff().context_radius(3).header(&old, &new).to_string();
        text.extend(diff.split_inclusive('\n').map(painted));
    }
    Ok(text)
}

/// The plan as one RFC 6902 patch per object. An object that is created or deleted is added or removed as a whole.
pub fn json_patches(snapshot: &Snapshot, plan: &Plan) -> Value {
    let patches = changes(snapshot, plan).into_iter().map(|change| {
        let patch = match change.verb {
            Verb::Update => json!(json_patch::diff(&change.before, &change.after)),
            Verb::Create => json!([{"op": "add", "path": "", "value": change.after}]),
            Verb::Evict | Verb::Delete => json!([{"op": "remove", "path": ""}]),
        };
        json!({"object": change.object, "change": change.verb, "patch": patch})
    });
    json!({"schemaVersion": SCHEMA_VERSION, "objects": patches.collect::<Vec<_>>()})
}

fn painted(line: &str) -> String {
    let tone = match line.get(..1) {
        _ if line.starts_with("--- ") || line.starts_with("+++ ") => Tone::Strong,
        Some("+") => Tone::Good,
        Some("-") => Tone::Bad,
        Some("@") => Tone::Dim,
        _ => return line.to_string(),
    };
    let bare = line.trim_end_matches('\n');
    format!("{}{}", tone.paint(bare), &line[bare.len()..])
}

fn path(object: &Reference) -> String {
    [object.kind.as_str(), &object.namespace, &object.name].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

fn changes(snapshot: &Snapshot, plan: &Plan) -> Vec<Change> {
    let mut changes = Vec::new();
    for decision in &plan.decisions {
        changes.extend(decision.status.as_ref().map(status));
        changes.extend(decision.steps.iter().flat_map(|step| &step.actions).map(|action| change(snapshot, action)));
    }
    changes
}

fn status(write: &StatusWrite) -> Change {
    let whole = |status: &Value| {
        let metadata = json!({"namespace": write.of.namespace, "name": write.of.name});
        json!({"apiVersion": write.api_version, "kind": write.of.kind, "metadata": metadata, "status": status})
    };
    Change { verb: Verb::Update, object: write.of.clone(), before: whole(&write.before.tree()), after: whole(&write.status.tree()) }
}

fn change(snapshot: &Snapshot, action: &Action) -> Change {
    let object = action.target();
    let (verb, before, after) = match action {
        Action::Create { object } => (Verb::Create, Value::Null, object.clone()),
        Action::ApplyNode(apply) => {
            let (before, after) = node(snapshot.nodes.get(&apply.node.name), apply);
            (Verb::Update, before, after)
        }
        Action::LabelNode(write) => {
            let (before, after) = labelled(snapshot.nodes.get(&write.node.name), write);
            (Verb::Update, before, after)
        }
        Action::TakeOver(take) => {
            let (before, after) = taken_over(snapshot.nodes.get(&take.node.name), take);
            (Verb::Update, before, after)
        }
        Action::Patch { what, patch } => {
            let before = named(what, known(snapshot, what, patch));
            let mut after = before.clone();
            json_patch::merge(&mut after, patch);
            (Verb::Update, before, after)
        }
        Action::Evict { pod, .. } => (Verb::Evict, named(pod, json!({})), Value::Null),
        Action::Delete { what, .. } => (Verb::Delete, named(what, json!({})), Value::Null),
    };
    Change { verb, object, before, after }
}

/// An object of which only the name and `rest` are known.
fn named(object: &Reference, rest: Value) -> Value {
    let mut whole = json!({"kind": object.kind, "metadata": {"name": object.name}});
    if !object.namespace.is_empty() {
        whole["metadata"]["namespace"] = json!(object.namespace);
    }
    json_patch::merge(&mut whole, &rest);
    whole
}

/// What stands now where a patch writes, as far as a round reads it.
fn known(snapshot: &Snapshot, what: &Reference, patch: &Value) -> Value {
    let job = snapshot.jobs.iter().find(|job| job.uid == what.uid);
    let op = snapshot.nodeops.iter().find(|op| op.meta.uid == what.uid);
    let seen = match (what.kind.as_str(), job) {
        ("NodeOp", _) => op.map(|op| json!({"metadata": {"resourceVersion": op.meta.resource_version, "annotations": op.meta.annotations}, "spec": op.spec})).unwrap_or_default(),
        ("Job", Some(job)) => json!({"spec": {"parallelism": i32::from(!job.held), "ttlSecondsAfterFinished": job.ttl_seconds}}),
        _ => Value::Null,
    };
    overlap(patch, &seen)
}

/// The part of a value that has the shape of a patch.
fn overlap(patch: &Value, seen: &Value) -> Value {
    let Value::Object(fields) = patch else { return seen.clone() };
    let inside = fields.iter().map(|(key, value)| (key.clone(), overlap(value, &seen[key]))).filter(|(_, value)| !value.is_null());
    Value::Object(inside.collect())
}

/// The part of a Node that tells who holds it.
fn hold(name: &str, lock: Option<&str>, cordon: Option<&str>, unschedulable: bool) -> Value {
    let mut annotations = json!({});
    for (key, value) in [(names::ANNOTATION_LOCK, lock), (names::ANNOTATION_CORDONED_BY, cordon)] {
        if let Some(value) = value {
            annotations[key] = json!(value);
        }
    }
    let metadata = json!({"name": name, "annotations": annotations});
    json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"unschedulable": unschedulable}})
}

/// What the existing operator has left on a node, before and after.
fn taken_over(present: Option<&Node>, take: &TakeOver) -> (Value, Value) {
    let value = |holder: Option<&Holder>| holder.map(|holder| holder.value.clone());
    let lock = value(present.and_then(|node| node.lock.as_ref()));
    let cordon = value(present.and_then(|node| node.cordoned_by.as_ref()));
    let unschedulable = present.is_some_and(|node| node.unschedulable);
    let name = &take.node.name;
    (hold(name, lock.as_deref(), cordon.as_deref(), unschedulable), hold(name, lock.as_deref(), None, unschedulable && !take.uncordon))
}

/// What a probe may have something to say about on a node, before and after.
fn labelled(present: Option<&Node>, write: &NodeLabels) -> (Value, Value) {
    let before = present.cloned().unwrap_or_default();
    let mut after = before.clone();
    // What is decided to be written is in nobody's way.
    let _ = applied::apply(&mut after, write);
    let view = |node: &Node| {
        let (labels, annotations): (Vec<_>, Vec<_>) = node.marks.iter().partition(|(key, _)| release::LABELS.contains(&key.as_str()));
        let values =
            |marks: Vec<(&String, &Mark)>| -> Value { marks.into_iter().map(|(key, mark)| (key.clone(), json!(mark.value))).collect() };
        let metadata = json!({"name": write.node.name, "labels": values(labels), "annotations": values(annotations)});
        json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata})
    };
    (view(&before), view(&after))
}

/// What Rounds writes on a node, before and after.
fn node(present: Option<&Node>, apply: &NodeApply) -> (Value, Value) {
    let view = |lock: Option<&str>, cordon: Option<&str>, unschedulable| hold(&apply.node.name, lock, cordon, unschedulable);
    // What another manager owns stays when ours lets go of it.
    let kept = |holder: Option<&Holder>| holder.filter(|holder| holder.manager != apply.manager).map(|holder| holder.value.clone());
    let held = |holder: Option<&Holder>| holder.map(|holder| holder.value.clone());
    let (lock, cordon) = (present.and_then(|node| node.lock.as_ref()), present.and_then(|node| node.cordoned_by.as_ref()));
    let unschedulable = present.is_some_and(|node| node.unschedulable);
    let shared = present.is_some_and(|node| node.cordon_managers.iter().any(|manager| *manager != apply.manager));
    let next = (apply.lock.clone().or_else(|| kept(lock)), apply.cordon.clone().or_else(|| kept(cordon)));
    let after = apply.cordon.is_some() || unschedulable && shared;
    (view(held(lock).as_deref(), held(cordon).as_deref(), unschedulable), view(next.0.as_deref(), next.1.as_deref(), after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Step;
    use crate::reason::Reason;
    use crate::report::cases::{self, plain};
    use crate::round::Round;

    fn with(action: Action) -> Round {
        let mut round = cases::planned();
        let decision = &mut round.plan.decisions[0];
        decision.status = None;
        decision.steps =
            vec![Step { subject: Reference::default(), reason: Reason::Starting, message: String::new(), actions: vec![action] }];
        round
    }

    #[test]
    fn a_cordon_is_a_change_of_a_node() {
        let mut round = cases::planned();
        round.plan.decisions[0].status = None;
        assert_eq!(
            plain(&unified(&round.snapshot, &round.plan).unwrap()),
            "\
--- a/Node/n2
+++ b/Node/n2
@@ -1,7 +1,9 @@
 apiVersion: v1
 kind: Node
 metadata:
-  annotations: {}
+  annotations:
+    operator.kairos.io/cordoned-by: default/op@u
+    operator.kairos.io/operation: default/op@u
   name: n2
 spec:
-  unschedulable: false
+  unschedulable: true
"
        );
    }

    #[test]
    fn a_patch_shows_what_stands_there_now() {
        let job = Reference::new("Job", "default", "op-n1-x", "j");
        let round = with(Action::Patch { what: job.clone(), patch: json!({"spec": {"parallelism": 1}}) });
        let patches = json_patches(&round.snapshot, &round.plan);
        assert_eq!(patches["objects"][0]["patch"], json!([{"op": "replace", "path": "/spec/parallelism", "value": 1}]));
        let round = with(Action::Patch { what: job, patch: json!({"spec": {"ttlSecondsAfterFinished": 60}}) });
        let patches = json_patches(&round.snapshot, &round.plan);
        assert_eq!(patches["objects"][0]["patch"], json!([{"op": "add", "path": "/spec/ttlSecondsAfterFinished", "value": 60}]));
        let patch = json!({"metadata": {"annotations": {names::ANNOTATION_REBOOT_APPROVED: "b1"}}});
        let round = with(Action::Patch { what: Reference::new("Pod", "default", "op-reboot-n1-x", "p"), patch });
        let patches = json_patches(&round.snapshot, &round.plan);
        let added = json!([{"op": "add", "path": "/metadata/annotations/kairos.io~1reboot-approved", "value": "b1"}]);
        assert_eq!(patches["objects"][0]["patch"], added, "the other annotations of the pod stay");
    }

    #[test]
    fn what_is_created_and_deleted_stands_there_as_a_whole() {
        let object = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "default"}});
        let round = with(Action::Create { object: object.clone() });
        assert_eq!(
            json_patches(&round.snapshot, &round.plan)["objects"][0],
            json!({"object": {"kind": "Job", "namespace": "default", "name": "j", "uid": ""}, "change": "create", "patch": [{"op": "add", "path": "", "value": object}]})
        );
        assert!(unified(&round.snapshot, &round.plan).unwrap().contains("--- /dev/null"));
        let round = with(Action::Evict { pod: Reference::new("Pod", "a", "b", "c"), grace_seconds: None });
        assert_eq!(json_patches(&round.snapshot, &round.plan)["objects"][0]["change"], "evict");
        assert!(plain(&unified(&round.snapshot, &round.plan).unwrap()).contains("+++ /dev/null"));
    }

    #[test]
    fn patches_applied_to_what_was_give_what_will_be() {
        let round = cases::planned();
        for change in changes(&round.snapshot, &round.plan) {
            let mut value = change.before.clone();
            json_patch::patch(&mut value, &json_patch::diff(&change.before, &change.after)).unwrap();
            assert_eq!(value, change.after);
        }
    }
}
