//! The NodeOpUpgrade that a channel makes for Kairos nodes. It is all data: what runs on the nodes is the upgrade's.

use serde_json::{Map, Value, json};

use super::Channel;
use super::api::{API_VERSION, KIND};
use super::image;
use super::nodes::Kind;
use crate::names;
use crate::rollout::Rollout;
use crate::upgrade;
use crate::upgrade::api::NodeOpUpgradeSpec;
use crate::upgrade::child::{Upgrade, patch, tokens};

/// The upgrade's spec.
///
/// # Errors
/// What is wrong with the template of its image.
pub fn spec(channel: &Channel, version: &str) -> Result<NodeOpUpgradeSpec, String> {
    let wanted = &channel.spec;
    let rollout = wanted.rollout.clone().unwrap_or_default();
    Ok(NodeOpUpgradeSpec {
        image: image::render(wanted.image().unwrap_or_default(), version)?,
        node_selector: Some(Kind::Kairos.selector(wanted)),
        image_pull_secrets: wanted.image_pull_secrets.clone(),
        concurrency: Some(wanted.slots().max(1)),
        stop_on_failure: None,
        upgrade_active: None,
        upgrade_recovery: None,
        force: None,
        debug: None,
        uncordon_on_failure: None,
        exclude_paths: Vec::new(),
        // The node itself looks as well: what a version is called says less than what is in the image.
        rollout: Some(Rollout { allow_downgrade: Some(wanted.allows_downgrade()), ..rollout }),
    })
}

fn annotations(channel: &Channel, version: &str) -> Map<String, Value> {
    let mut annotations = tokens(&channel.meta);
    annotations.insert(names::ANNOTATION_CHANNEL_VERSION.into(), json!(version));
    annotations
}

/// The whole NodeOpUpgrade, to be made.
pub fn object(channel: &Channel, version: &str, spec: &NodeOpUpgradeSpec) -> Value {
    let meta = &channel.meta;
    json!({
        "apiVersion": upgrade::api::API_VERSION,
        "kind": upgrade::api::KIND,
        "metadata": {
            "name": meta.name,
            "namespace": meta.namespace,
            "labels": {names::LABEL_CHANNEL: names::label_value(&meta.name)},
            "annotations": annotations(channel, version),
            "ownerReferences": [meta.owner_reference(API_VERSION, KIND)],
        },
        "spec": spec,
    })
}

/// What has to change in the upgrade, as a merge patch; None if it is as it should be.
pub fn edit(channel: &Channel, version: &str, spec: &NodeOpUpgradeSpec, child: &Upgrade) -> Option<Value> {
    patch(&child.meta, annotations(channel, version), &json!(child.spec), &json!(spec))
}
