//! Evictions: always by the Eviction API, so that disruption budgets hold, and bound to the pod's uid.

use http::Request;
use kube::core::Status;
use kube::core::params::PostParams;
use serde_json::json;

use super::call::CallError;
use super::request::bound;
use crate::outcome::Verdict;
use crate::snapshot::Reference;

/// The request for an eviction. Made by hand: kube 5.0 sends its delete options under a key that the apiserver ignores.
pub(super) fn request(pod: &Reference, grace_seconds: Option<i64>, dry_run: bool) -> Result<Request<Vec<u8>>, CallError> {
    let kind = bound(pod)?;
    let mut body = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": { "name": pod.name, "namespace": pod.namespace },
        "deleteOptions": { "preconditions": { "uid": pod.uid } },
    });
    if let Some(seconds) = grace_seconds {
        body["deleteOptions"]["gracePeriodSeconds"] = json!(seconds.max(0));
    }
    let body = serde_json::to_vec(&body).map_err(|error| CallError::Unsent(error.to_string()))?;
    let params = PostParams { dry_run, field_manager: None };
    Ok(kube::core::Request::new(kind.path(&pod.namespace)).create_subresource("eviction", &pod.name, &params, body)?)
}

/// What a refused eviction means, where that differs from any other write.
pub(super) fn refused(status: &Status) -> Option<Verdict> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let budget = causes.into_iter().find(|cause| cause.reason == "DisruptionBudget");
    match (status.code, budget) {
        (429, Some(cause)) => Some(Verdict::Blocked(if cause.message.is_empty() { status.message.clone() } else { cause.message.clone() })),
        (500, _) if status.message.contains("more than one PodDisruptionBudget") => Some(Verdict::Blocked(status.message.clone())),
        _ => None,
    }
}
