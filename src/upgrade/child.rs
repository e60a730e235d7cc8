//! The NodeOp that an upgrade makes, and how it follows the upgrade.
//!
//! What it executes is only written anew when the upgrade itself, or somebody's hand in the NodeOp, gives cause to: the
//! scripts of a newer Rounds are other ones, and must not upgrade a fleet again. An annotation tells from what it was made.

use serde_json::{Map, Value, json};

use super::api::{API_VERSION, KIND, NodeOpUpgradeSpec, NodeOpUpgradeStatus};
use super::script;
use crate::names;
use crate::nodeop::api::{DrainOptions, NodeOpSpec, NodeOpStatus, Preflight};
use crate::nodeop::{jobs, spec_hash};
use crate::rollout::{Reboot, Rollout};
use crate::snapshot::{Meta, Resource};

/// Seconds that the drain of a node may take.
const DRAIN: i32 = 600;
/// The tokens by which people ask for another run, or another try; the NodeOp is asked in the same words.
const TOKENS: [&str; 2] = [names::ANNOTATION_RERUN, names::ANNOTATION_RETRY_FAILED];

/// A NodeOpUpgrade as a round sees it.
pub type Upgrade = Resource<NodeOpUpgradeSpec, NodeOpUpgradeStatus>;
/// A NodeOp as a round sees it.
pub type Child = Resource<NodeOpSpec, NodeOpStatus>;

/// Hash of what an upgrade executes: another one begins another run on all nodes.
pub fn hash(spec: &NodeOpUpgradeSpec) -> String {
    let mut fields = Map::new();
    fields.insert("image".into(), json!(spec.image));
    let flags = [
        ("notActive", !spec.upgrades_active()),
        ("recovery", spec.upgrades_recovery()),
        ("force", spec.is_forced()),
        ("debug", spec.debug.unwrap_or(false)),
        ("noDowngrade", script::refuses_downgrades(spec)),
    ];
    fields.extend(flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| (name.to_string(), json!(true))));
    if !spec.exclude_paths.is_empty() {
        fields.insert("excludePaths".into(), json!(spec.exclude_paths));
    }
    let reboot = spec.rollout.as_ref().and_then(|rollout| rollout.reboot.as_ref());
    if let Some(reboot) = reboot.filter(|reboot| !reboot.command.is_empty()) {
        fields.insert("rebootCommand".into(), json!(reboot.command));
    }
    spec_hash::digest(fields)
}

/// From what a NodeOp was made: an upgrade, and what came of it.
pub fn made_from(upgrade: &NodeOpUpgradeSpec, child: &NodeOpSpec) -> String {
    format!("{}.{}", hash(upgrade), spec_hash::spec_hash(child))
}

/// The NodeOp's spec, made anew.
pub fn spec(upgrade: &NodeOpUpgradeSpec) -> NodeOpSpec {
    let preflight = script::preflight(upgrade).map(|command| Preflight { command, ..Preflight::default() });
    NodeOpSpec {
        node_selector: upgrade.node_selector.clone(),
        command: script::upgrade(upgrade),
        host_mount_path: Some("/host".into()),
        image: Some(upgrade.image.clone()),
        image_pull_secrets: upgrade.image_pull_secrets.clone(),
        cordon: Some(true),
        uncordon_on_failure: upgrade.uncordon_on_failure,
        drain_options: Some(DrainOptions {
            enabled: Some(true),
            delete_empty_dir_data: Some(true),
            timeout_seconds: Some(DRAIN),
            ..DrainOptions::default()
        }),
        reboot_on_success: Some(upgrade.upgrades_active()),
        // One that was broken off half-way is not begun again by itself.
        backoff_limit: Some(0),
        concurrency: upgrade.concurrency,
        stop_on_failure: upgrade.stop_on_failure,
        preflight,
        rollout: rollout(upgrade),
    }
}

/// The upgrade's own, and with a look at the version after the reboot, unless it says otherwise or is forced.
fn rollout(upgrade: &NodeOpUpgradeSpec) -> Option<Rollout> {
    if !upgrade.upgrades_active() || upgrade.is_forced() {
        return upgrade.rollout.clone();
    }
    let mut rollout = upgrade.rollout.clone().unwrap_or_default();
    rollout.reboot.get_or_insert_with(Reboot::default).verify_version.get_or_insert(true);
    Some(rollout)
}

/// The spec that a NodeOp should have: what it executes stays as it is where the upgrade has not changed since.
pub fn wanted(upgrade: &Upgrade, child: &Child) -> NodeOpSpec {
    let anew = spec(&upgrade.spec);
    let made_from = child.meta.annotations.get(names::ANNOTATION_MADE_FROM);
    // The existing operator has left no such annotation; what it has made counts as made from the upgrade as it is.
    if made_from.is_some_and(|made_from| *made_from != self::made_from(&upgrade.spec, &child.spec)) {
        return anew;
    }
    let NodeOpSpec { command, image, host_mount_path, cordon, drain_options, reboot_on_success, preflight, .. } = child.spec.clone();
    NodeOpSpec { command, image, host_mount_path, cordon, drain_options, reboot_on_success, preflight, ..anew }
}

/// The whole NodeOp, to be made.
pub fn object(upgrade: &Upgrade) -> Value {
    let (meta, spec) = (&upgrade.meta, spec(&upgrade.spec));
    let mut annotations = tokens(meta);
    annotations.insert(names::ANNOTATION_MADE_FROM.into(), json!(made_from(&upgrade.spec, &spec)));
    json!({
        "apiVersion": jobs::API_VERSION,
        "kind": jobs::KIND,
        "metadata": {
            "name": meta.name,
            "namespace": meta.namespace,
            "labels": {names::LABEL_UPGRADE: names::label_value(&meta.name)},
            "annotations": annotations,
            "ownerReferences": [meta.owner_reference(API_VERSION, KIND)],
        },
        "spec": spec,
    })
}

/// What has to change in a NodeOp, as a merge patch; None if it is as it should be. An apply would not do: it takes away
/// only what an earlier apply has given, and not what came with the object's creation.
pub fn edit(upgrade: &Upgrade, child: &Child) -> Option<Value> {
    let wanted = wanted(upgrade, child);
    let mut annotations = tokens(&upgrade.meta);
    annotations.insert(names::ANNOTATION_MADE_FROM.into(), json!(made_from(&upgrade.spec, &wanted)));
    patch(&child.meta, annotations, &json!(child.spec), &json!(wanted))
}

/// The merge patch of something that we have made, from its present annotations and spec to those that it should have; None
/// if there is no difference.
pub fn patch(present: &Meta, mut annotations: Map<String, Value>, from: &Value, to: &Value) -> Option<Value> {
    annotations.retain(|key, value| present.annotations.get(key).map(String::as_str) != value.as_str());
    let spec = difference(from, to);
    if spec.is_none() && annotations.is_empty() {
        return None;
    }
    // Bound to what was seen: a round that is late must not undo what a later one has made of a later edit.
    let mut patch = json!({"metadata": {"resourceVersion": present.resource_version}});
    if let Some(spec) = spec {
        patch["spec"] = spec;
    }
    if !annotations.is_empty() {
        patch["metadata"]["annotations"] = annotations.into();
    }
    Some(patch)
}

/// Nothing but these two is ever copied: they are how a person asks.
pub fn tokens(meta: &Meta) -> Map<String, Value> {
    TOKENS
        .iter()
        .filter_map(|key| Some(((*key).to_string(), json!(meta.annotations.get(*key).filter(|token| !token.is_empty())?))))
        .collect()
}

/// The merge patch from one value to another; None if there is no difference.
fn difference(from: &Value, to: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (from, to) else { return (from != to).then(|| to.clone()) };
    let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = new.iter().filter_map(|(key, value)| Some((key.clone(), difference(old.get(key).unwrap_or(&Value::Null), value)?)));
    let patch: Map<String, Value> = gone.chain(changed).collect();
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upgrade(spec: Value) -> Upgrade {
        let spec = serde_json::from_value(spec).unwrap();
        let meta = Meta { namespace: "ops".into(), name: "up".into(), uid: "up-uid".into(), ..Meta::default() };
        Resource { meta, spec, status: NodeOpUpgradeStatus::default() }
    }

    fn child(of: &Upgrade) -> Child {
        let object = object(of);
        let annotations = serde_json::from_value(object["metadata"]["annotations"].clone()).unwrap();
        let meta = Meta { namespace: "ops".into(), name: "up".into(), resource_version: "7".into(), annotations, ..Meta::default() };
        Resource { meta, spec: serde_json::from_value(object["spec"].clone()).unwrap(), status: NodeOpStatus::default() }
    }

    #[test]
    fn the_hash_of_an_upgrade_never_changes_from_one_version_to_the_next() {
        // Were this to change, every fleet would upgrade again on the day it installs the new version.
        assert_eq!(hash(&upgrade(json!({"image": "kairos:1"})).spec), "92b8bd26e0b631e2");
        let full = json!({
            "image": "kairos:1", "upgradeActive": false, "upgradeRecovery": true, "force": true, "debug": true, "excludePaths": ["/a"],
            "rollout": {"allowDowngrade": false, "reboot": {"command": ["reboot"]}},
        });
        assert_eq!(hash(&upgrade(full).spec), "96c024a3b9184eab");
        let spelled_out = json!({"image": "kairos:1", "upgradeActive": true, "force": false, "concurrency": 3, "stopOnFailure": true});
        assert_eq!(hash(&upgrade(spelled_out).spec), "92b8bd26e0b631e2");
    }

    #[test]
    fn what_an_older_version_of_rounds_has_made_is_left_to_execute_what_it_did() {
        let up = upgrade(json!({"image": "kairos:1"}));
        let mut old = child(&up);
        old.spec.command[2] = "an older script".into();
        old.meta.annotations.insert(names::ANNOTATION_MADE_FROM.into(), made_from(&up.spec, &old.spec));
        assert_eq!(edit(&up, &old), None);

        let slower = upgrade(json!({"image": "kairos:1", "concurrency": 1}));
        assert_eq!(edit(&slower, &old), Some(json!({"metadata": {"resourceVersion": "7"}, "spec": {"concurrency": 1}})));
        let newer = upgrade(json!({"image": "kairos:2"}));
        assert_eq!(wanted(&newer, &old), spec(&newer.spec), "an edit takes the scripts of today");
        old.spec.command[2] = "edited by hand".into();
        assert_eq!(wanted(&up, &old), spec(&up.spec), "and so does what nobody has asked for");
    }

    #[test]
    fn what_is_taken_out_of_an_upgrade_is_taken_out_of_its_nodeop() {
        let before = upgrade(json!({
            "image": "kairos:1", "nodeSelector": {"matchLabels": {"a": "b"}}, "stopOnFailure": true, "imagePullSecrets": [{"name": "s"}],
            "rollout": {"suspend": true, "jobTTLSeconds": 60},
        }));
        let after = upgrade(json!({"image": "kairos:1", "nodeSelector": {"matchLabels": {"c": "d"}}, "rollout": {"jobTTLSeconds": 60}}));
        let child = child(&before);
        let patch = edit(&after, &child).unwrap();
        let nothing = Value::Null;
        assert_eq!(
            patch,
            json!({"metadata": {"resourceVersion": "7"}, "spec": {
                "nodeSelector": {"matchLabels": {"a": nothing, "c": "d"}}, "stopOnFailure": nothing, "imagePullSecrets": nothing,
                "rollout": {"suspend": nothing},
            }})
        );
        let mut patched = json!(child.spec);
        json_patch::merge(&mut patched, &patch["spec"]);
        assert_eq!(patched, json!(spec(&after.spec)));
    }

    #[test]
    fn tokens_are_handed_on_and_nothing_else_is() {
        let mut up = upgrade(json!({"image": "kairos:1"}));
        let child = child(&up);
        for (key, value) in [(names::ANNOTATION_RERUN, "7"), (names::ANNOTATION_RETRY_FAILED, ""), ("operator.kairos.io/other", "x")] {
            up.meta.annotations.insert(key.into(), value.into());
        }
        assert_eq!(edit(&up, &child), Some(json!({"metadata": {"resourceVersion": "7", "annotations": {names::ANNOTATION_RERUN: "7"}}})));
        assert_eq!(object(&up)["metadata"]["annotations"].as_object().unwrap().len(), 2);
    }
}
