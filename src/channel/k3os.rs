//! The NodeOp that a channel makes for k3OS nodes: it runs the host's own `k3os ops upgrade`, and reboots.
//!
//! As with the NodeOp of an upgrade, what it executes is only written anew when the channel, or somebody's hand in the
//! NodeOp, gives cause to: the script of a newer Rounds must not run again on a fleet that is done.

use serde_json::{Map, Value, json};

use super::Channel;
use super::api::{API_VERSION, KIND};
use super::nodes::Kind;
use crate::names;
use crate::nodeop::api::{DrainOptions, NodeOpSpec};
use crate::nodeop::{jobs, spec_hash};
use crate::upgrade::child::{self, Child};

/// What runs on the node.
pub const UPGRADE: &str = include_str!("upgrade.sh");
/// Seconds that the drain of a node may take, as for an upgrade.
const DRAIN: i32 = 600;

/// The name of the NodeOp: the channel's own belongs to that of its NodeOpUpgrade.
pub fn name(channel: &str) -> String {
    names::shorten(&format!("{channel}-k3os"), 253)
}

/// The NodeOp's spec, made anew.
pub fn spec(channel: &Channel, version: &str) -> NodeOpSpec {
    let wanted = &channel.spec;
    let words = ["/bin/sh", "-c", UPGRADE, "k3os", version].map(String::from);
    let url = url(channel).map(String::from);
    NodeOpSpec {
        node_selector: Some(Kind::K3os.selector(wanted)),
        command: words.into_iter().chain(url).collect(),
        host_mount_path: None,
        image: None,
        image_pull_secrets: Vec::new(),
        cordon: Some(true),
        uncordon_on_failure: None,
        drain_options: Some(DrainOptions {
            enabled: Some(true),
            delete_empty_dir_data: Some(true),
            timeout_seconds: Some(DRAIN),
            ..DrainOptions::default()
        }),
        reboot_on_success: Some(true),
        backoff_limit: Some(0),
        concurrency: Some(wanted.slots().max(1)),
        stop_on_failure: None,
        preflight: None,
        rollout: wanted.rollout.clone(),
    }
}

/// Where the node's own k3os looks for the version.
fn url(channel: &Channel) -> Option<&str> {
    channel.spec.url.as_deref().filter(|url| !url.is_empty())
}

/// From what a NodeOp was made: a version and where it is found, and what came of it.
pub fn made_from(channel: &Channel, version: &str, child: &NodeOpSpec) -> String {
    let mut fields = Map::new();
    fields.insert("version".into(), json!(version));
    fields.extend(url(channel).map(|url| ("url".to_string(), json!(url))));
    let reboot = channel.spec.rollout.as_ref().and_then(|rollout| rollout.reboot.as_ref());
    if let Some(reboot) = reboot.filter(|reboot| !reboot.command.is_empty()) {
        fields.insert("rebootCommand".into(), json!(reboot.command));
    }
    format!("{}.{}", spec_hash::digest(fields), spec_hash::spec_hash(child))
}

/// The spec that a NodeOp should have: what it executes stays as it is where the version has not changed since.
fn wanted(channel: &Channel, version: &str, child: &Child) -> NodeOpSpec {
    let anew = spec(channel, version);
    if child.meta.annotations.get(names::ANNOTATION_MADE_FROM) != Some(&made_from(channel, version, &child.spec)) {
        return anew;
    }
    let NodeOpSpec { command, image, host_mount_path, cordon, drain_options, reboot_on_success, .. } = child.spec.clone();
    NodeOpSpec { command, image, host_mount_path, cordon, drain_options, reboot_on_success, ..anew }
}

fn annotations(channel: &Channel, version: &str, spec: &NodeOpSpec) -> Map<String, Value> {
    let mut annotations = child::tokens(&channel.meta);
    annotations.insert(names::ANNOTATION_MADE_FROM.into(), json!(made_from(channel, version, spec)));
    annotations.insert(names::ANNOTATION_CHANNEL_VERSION.into(), json!(version));
    annotations
}

/// The whole NodeOp, to be made.
pub fn object(channel: &Channel, version: &str) -> Value {
    let (meta, spec) = (&channel.meta, spec(channel, version));
    json!({
        "apiVersion": jobs::API_VERSION,
        "kind": jobs::KIND,
        "metadata": {
            "name": name(&meta.name),
            "namespace": meta.namespace,
            "labels": {names::LABEL_CHANNEL: names::label_value(&meta.name)},
            "annotations": annotations(channel, version, &spec),
            "ownerReferences": [meta.owner_reference(API_VERSION, KIND)],
        },
        "spec": spec,
    })
}

/// What has to change in the NodeOp, as a merge patch; None if it is as it should be.
pub fn edit(channel: &Channel, version: &str, child: &Child) -> Option<Value> {
    let wanted = wanted(channel, version, child);
    let annotations = annotations(channel, version, &wanted);
    child::patch(&child.meta, annotations, &json!(child.spec), &json!(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::api::UpdateChannelStatus;
    use crate::nodeop::api::NodeOpStatus;
    use crate::snapshot::{Meta, Resource};

    fn channel(spec: Value) -> Channel {
        let meta = Meta { namespace: "ops".into(), name: "stable".into(), uid: "u".into(), ..Meta::default() };
        Resource { meta, spec: serde_json::from_value(spec).unwrap(), status: UpdateChannelStatus::default() }
    }

    fn made(channel: &Channel, version: &str) -> Child {
        let object = object(channel, version);
        let annotations = serde_json::from_value(object["metadata"]["annotations"].clone()).unwrap();
        let meta = Meta { resource_version: "7".into(), annotations, ..Meta::default() };
        Resource { meta, spec: serde_json::from_value(object["spec"].clone()).unwrap(), status: NodeOpStatus::default() }
    }

    #[test]
    fn the_host_upgrades_itself_from_the_channel_and_reboots() {
        let channel = channel(json!({"url": "github-releases://dweomer/k3os", "concurrency": 2}));
        let spec = spec(&channel, "v0.7.0-dweomer2");
        assert_eq!(spec.command[3..], ["k3os", "v0.7.0-dweomer2", "github-releases://dweomer/k3os"]);
        assert_eq!((spec.reboots(), spec.cordons(), spec.concurrency), (true, true, Some(2)));
    }

    #[test]
    fn only_another_version_or_url_or_a_hand_in_it_changes_what_is_executed() {
        let stable = channel(json!({"url": "http://x/y", "concurrency": 1}));
        let mut child = made(&stable, "v1.0.0");
        assert_eq!(edit(&stable, "v1.0.0", &child), None);
        child.spec.command[2] = "an older script".into();
        let made_from = made_from(&stable, "v1.0.0", &child.spec);
        child.meta.annotations.insert(names::ANNOTATION_MADE_FROM.into(), made_from);
        let faster = channel(json!({"url": "http://x/y", "concurrency": 3}));
        let patch = edit(&faster, "v1.0.0", &child).unwrap();
        assert_eq!(patch, json!({"metadata": {"resourceVersion": "7"}, "spec": {"concurrency": 3}}));
        // A URL that was wrong is of no use to the node, whatever the version.
        let corrected = edit(&channel(json!({"url": "http://x/z", "concurrency": 1})), "v1.0.0", &child).unwrap();
        assert_eq!((&corrected["spec"]["command"][2], &corrected["spec"]["command"][5]), (&json!(UPGRADE), &json!("http://x/z")));
        let next = edit(&stable, "v1.1.0", &child).unwrap();
        assert_eq!(next["spec"]["command"][2], UPGRADE, "another version takes the script of today");
        assert_eq!(next["metadata"]["annotations"][names::ANNOTATION_CHANNEL_VERSION], "v1.1.0");
    }
}
