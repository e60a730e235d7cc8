//! Whole objects, as they stand in files, to the views: the very conversions that lists go through.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{resources, views};
use crate::cluster::kinds;
use crate::nodeop::api::{NodeOpSpec, NodeOpStatus};
use crate::snapshot::Resource;
use crate::snapshot::views::{Budget, Job, Node, Pod};

/// A NodeOp.
///
/// # Errors
/// What is wrong with it.
pub fn nodeop(object: Value) -> Result<Resource<NodeOpSpec, NodeOpStatus>, String> {
    resources::read(kinds::NODEOP, object).map_err(|unreadable| unreadable.error)
}

/// A Node.
///
/// # Errors
/// What is wrong with it.
pub fn node(object: Value) -> Result<Node, String> {
    decoded(object, views::node)
}

/// A Pod.
///
/// # Errors
/// What is wrong with it.
pub fn pod(object: Value) -> Result<Pod, String> {
    decoded(object, views::pod)
}

/// A Job.
///
/// # Errors
/// What is wrong with it.
pub fn job(object: Value) -> Result<Job, String> {
    decoded(object, views::job)
}

/// A PodDisruptionBudget.
///
/// # Errors
/// What is wrong with it.
pub fn budget(object: Value) -> Result<Budget, String> {
    decoded(object, views::budget)
}

fn decoded<Raw: DeserializeOwned, View>(object: Value, view: impl Fn(Raw) -> View) -> Result<View, String> {
    Raw::deserialize(object).map(view).map_err(|error| error.to_string())
}
