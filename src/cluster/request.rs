//! From an action to the one HTTP request that carries it out. Pure: what is sent can be tested without a server.

use http::Request;
use kube::core::params::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde::Serialize;
use serde_json::{Value, json};

use super::call::CallError;
use super::evict;
use super::kinds::{self, Kind};
use crate::names;
use crate::plan::{Action, Document, NodeApply, NodeLabels, StatusWrite, TakeOver};
use crate::snapshot::Reference;

/// The request for one action.
///
/// # Errors
/// When the action cannot be expressed; nothing must be sent then.
pub fn request(action: &Action, dry_run: bool) -> Result<Request<Vec<u8>>, CallError> {
    match action {
        Action::Create { object } => create(object, dry_run),
        Action::ApplyNode(apply) => apply_node(apply, dry_run),
        Action::LabelNode(write) => label_node(write, dry_run),
        Action::TakeOver(take) => take_over(take, dry_run),
        Action::Patch { what, patch } => merge(what, patch, dry_run),
        Action::Evict { pod, grace_seconds } => evict::request(pod, *grace_seconds, dry_run),
        Action::Delete { what, resource_version, grace_seconds } => delete(what, resource_version.clone(), *grace_seconds, dry_run),
    }
}

/// The request for a new status: the whole of it, if the resource is still the one that was decided on. A status apply
/// ignores `metadata.uid`, so the resourceVersion is a must.
///
/// # Errors
/// When the write cannot be expressed.
pub fn status(write: &StatusWrite, dry_run: bool) -> Result<Request<Vec<u8>>, CallError> {
    let kind = kind(&write.of.kind)?;
    if write.resource_version.is_empty() {
        return Err(CallError::Unsent("a status needs the resourceVersion that it was decided on".into()));
    }
    let body = StatusBody {
        api_version: &write.api_version,
        kind: &write.of.kind,
        metadata: json!({ "name": write.of.name, "namespace": write.of.namespace, "resourceVersion": write.resource_version }),
        status: &write.status,
    };
    let params = PatchParams { dry_run, ..PatchParams::apply(names::STATUS_MANAGER).force() };
    let at = kube::core::Request::new(kind.path(&write.of.namespace));
    Ok(at.patch_subresource("status", &write.of.name, &params, &Patch::Apply(body))?)
}

/// A resource with nothing but a status; the document goes out as it is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusBody<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: Value,
    status: &'a Document,
}

fn create(object: &Value, dry_run: bool) -> Result<Request<Vec<u8>>, CallError> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (name, api_version) = (text("/kind"), text("/apiVersion"));
    let kind = Kind::created(name, api_version).ok_or_else(|| not_ours(name))?;
    let body = serde_json::to_vec(object).map_err(|error| CallError::Unsent(error.to_string()))?;
    let params = PostParams { dry_run, field_manager: Some(names::MANAGER.into()) };
    Ok(kube::core::Request::new(kind.path(text("/metadata/namespace"))).create(&params, body)?)
}

/// What one manager owns on a Node. With uid and resourceVersion: an apply to a deleted Node would make it again.
fn apply_node(apply: &NodeApply, dry_run: bool) -> Result<Request<Vec<u8>>, CallError> {
    let NodeApply { node, resource_version, manager, lock, cordon, keep_cordoned } = apply;
    let mut body = node_body(node, resource_version)?;
    for (key, value) in [(names::ANNOTATION_LOCK, lock), (names::ANNOTATION_CORDONED_BY, cordon)] {
        if let Some(value) = value {
            body["metadata"]["annotations"][key] = json!(value);
        }
    }
    if cordon.is_some() || *keep_cordoned {
        body["spec"]["unschedulable"] = json!(true);
    }
    send_node(&node.name, manager, body, dry_run)
}

/// What a probe has found, as the whole of what one manager owns on a Node.
fn label_node(write: &NodeLabels, dry_run: bool) -> Result<Request<Vec<u8>>, CallError> {
    let NodeLabels { node, resource_version, labels, annotations } = write;
    let mut body = node_body(node, resource_version)?;
    for (field, values) in [("labels", labels), ("annotations", annotations)] {
        if !values.is_empty() {
            body["metadata"][field] = json!(values);
        }
    }
    send_node(&node.name, names::LABELS_MANAGER, body, dry_run)
}

/// A Node by uid and resourceVersion, and nothing else of it yet.
fn node_body(node: &Reference, resource_version: &str) -> Result<Value, CallError> {
    if node.uid.is_empty() || resource_version.is_empty() {
        return Err(CallError::Unsent("a Node is only written to by uid and resourceVersion".into()));
    }
    Ok(json!({
        "apiVersion": kinds::NODE.api_version(),
        "kind": kinds::NODE.name,
        "metadata": { "name": node.name, "uid": node.uid, "resourceVersion": resource_version },
    }))
}

/// An apply without force of what one manager owns.
fn send_node(name: &str, manager: &str, body: Value, dry_run: bool) -> Result<Request<Vec<u8>>, CallError> {
    let params = PatchParams { dry_run, ..PatchParams::apply(manager) };
    Ok(kube::core::Request::new(kinds::NODE.path("")).patch(name, &params, &Patch::Apply(body))?)
}

/// Null takes a field away from all of its owners. With uid and resourceVersion: what was seen is what is taken.
fn take_over(take: &TakeOver, dry_run: bool) -> Result<Request<Vec<u8>>, CallError> {
    let TakeOver { node, resource_version, uncordon } = take;
    if node.uid.is_empty() || resource_version.is_empty() {
        return Err(CallError::Unsent("a Node is only written to by uid and resourceVersion".into()));
    }
    let mut body = json!({
        "metadata": { "uid": node.uid, "resourceVersion": resource_version, "annotations": { names::ANNOTATION_CORDONED_BY: null } },
    });
    if *uncordon {
        body["spec"]["unschedulable"] = Value::Null;
    }
    let params = PatchParams { dry_run, field_manager: Some(names::MANAGER.into()), ..PatchParams::default() };
    Ok(kube::core::Request::new(kinds::NODE.path("")).patch(&node.name, &params, &Patch::Merge(body))?)
}

fn merge(what: &Reference, patch: &Value, dry_run: bool) -> Result<Request<Vec<u8>>, CallError> {
    let kind = bound(what)?;
    let mut body = patch.clone();
    match body.as_object_mut() {
        Some(fields) => json_patch::merge(fields.entry("metadata").or_insert(Value::Null), &json!({ "uid": what.uid })),
        None => return Err(CallError::Unsent("a merge patch is an object".into())),
    }
    let params = PatchParams { dry_run, field_manager: Some(names::MANAGER.into()), ..PatchParams::default() };
    Ok(kube::core::Request::new(kind.path(&what.namespace)).patch(&what.name, &params, &Patch::Merge(body))?)
}

fn delete(
    what: &Reference,
    resource_version: Option<String>,
    grace_seconds: Option<i64>,
    dry_run: bool,
) -> Result<Request<Vec<u8>>, CallError> {
    let kind = bound(what)?;
    let params = DeleteParams {
        dry_run,
        grace_period_seconds: grace_seconds.map(|seconds| u32::try_from(seconds.max(0)).unwrap_or(u32::MAX)),
        preconditions: Some(Preconditions { uid: Some(what.uid.clone()), resource_version }),
        ..DeleteParams::background()
    };
    Ok(kube::core::Request::new(kind.path(&what.namespace)).delete(&what.name, &params)?)
}

/// The kind of an object that is written to by its uid.
pub(super) fn bound(what: &Reference) -> Result<Kind, CallError> {
    if what.uid.is_empty() {
        return Err(CallError::Unsent(format!("{what} is only written to by its uid")));
    }
    kind(&what.kind)
}

fn kind(name: &str) -> Result<Kind, CallError> {
    Kind::written(name).ok_or_else(|| not_ours(name))
}

fn not_ours(name: &str) -> CallError {
    CallError::Unsent(format!("Rounds writes to no object of kind {name:?}"))
}
