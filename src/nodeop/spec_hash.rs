//! The hash of what an operation executes: another hash is another operation and starts a new run.
//!
//! It covers what the user wrote as far as it changes what happens on a node. It does not cover how the rollout goes
//! (concurrency, selection, windows, limits), nor anything that Rounds adds, so that neither a new version of Rounds nor
//! another default image runs anything again. A field at its default counts as absent.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::api::{DrainOptions, NodeOpSpec};

/// Sixteen hexadecimal digits.
pub fn spec_hash(spec: &NodeOpSpec) -> String {
    digest(executed(spec))
}

/// Sixteen hexadecimal digits of a few fields.
pub(crate) fn digest(fields: Map<String, Value>) -> String {
    let text = canonical(&Value::Object(fields));
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// JSON with sorted keys, whatever order serde_json's map was built to keep.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, String> = fields.iter().map(|(key, value)| (key, canonical(value))).collect();
            let members: Vec<String> = sorted.iter().map(|(key, value)| format!("{}:{value}", json!(key))).collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        scalar => scalar.to_string(),
    }
}

/// What is executed, without defaults.
fn executed(spec: &NodeOpSpec) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_string(), value);
        }
    };
    put("command", Some(json!(spec.command)));
    put("image", text(spec.image.as_deref()));
    put("hostMountPath", Some(spec.host_mount_path()).filter(|path| *path != "/host").map(|path| json!(path)));
    put("cordon", flag(spec.cordons()));
    put("drain", spec.drain().map(drain));
    put("rebootOnSuccess", flag(spec.reboots()));
    let reboot = spec.rollout.as_ref().and_then(|rollout| rollout.reboot.as_ref()).filter(|_| spec.reboots());
    put("rebootCommand", reboot.map(|reboot| &reboot.command).filter(|command| !command.is_empty()).map(|command| json!(command)));
    put(
        "preflight",
        spec.preflight.as_ref().map(|preflight| json!({"command": preflight.command, "image": text(preflight.image.as_deref())})),
    );
    fields
}

fn drain(options: &DrainOptions) -> Value {
    json!({
        "force": options.force.unwrap_or(false),
        "gracePeriodSeconds": options.grace_period_seconds.filter(|seconds| *seconds >= 0),
        "ignoreDaemonSets": options.ignores_daemon_sets(),
        "deleteEmptyDirData": options.delete_empty_dir_data.unwrap_or(false),
    })
}

fn text(value: Option<&str>) -> Option<Value> {
    value.filter(|value| !value.is_empty()).map(|value| json!(value))
}

fn flag(set: bool) -> Option<Value> {
    set.then_some(Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodeop::api::Preflight;
    use crate::rollout::{Reboot, Rollout};

    fn spec() -> NodeOpSpec {
        serde_json::from_value(json!({"command": ["true"]})).unwrap()
    }

    #[test]
    fn the_hash_of_a_spec_never_changes_from_one_version_to_the_next() {
        // Were this to change, every fleet would run every operation again on the day it installs the new version.
        assert_eq!(spec_hash(&spec()), "115438901f887201");
        let full: NodeOpSpec = serde_json::from_value(json!({
            "command": ["sh", "-c", "echo hello"], "image": "busybox:1", "hostMountPath": "/mnt", "cordon": true,
            "drainOptions": {"enabled": true, "force": true, "gracePeriodSeconds": 5},
            "preflight": {"command": ["check"]},
        }))
        .unwrap();
        assert_eq!(spec_hash(&full), "cd576df349adb6b2");
    }

    #[test]
    fn what_changes_on_a_node_changes_the_hash() {
        let base = spec_hash(&spec());
        let edits: [fn(&mut NodeOpSpec); 7] = [
            |spec| spec.command = vec!["false".into()],
            |spec| spec.image = Some("other".into()),
            |spec| spec.host_mount_path = Some("/mnt".into()),
            |spec| spec.cordon = Some(true),
            |spec| spec.reboot_on_success = Some(true),
            |spec| {
                let reboot = Reboot { command: vec!["reboot".into()], ..Reboot::default() };
                spec.reboot_on_success = Some(true);
                spec.rollout = Some(Rollout { reboot: Some(reboot), ..Rollout::default() });
            },
            |spec| spec.preflight = Some(Preflight { command: vec!["x".into()], ..Preflight::default() }),
        ];
        for (index, edit) in edits.iter().enumerate() {
            let mut edited = spec();
            edit(&mut edited);
            assert_ne!(spec_hash(&edited), base, "edit {index}");
        }
    }

    #[test]
    fn how_the_rollout_goes_and_defaults_written_out_do_not_change_it() {
        let base = spec_hash(&spec());
        let edits: [fn(&mut NodeOpSpec); 8] = [
            |spec| spec.concurrency = Some(3),
            |spec| spec.stop_on_failure = Some(true),
            |spec| spec.backoff_limit = Some(1),
            |spec| spec.host_mount_path = Some("/host".into()),
            |spec| spec.cordon = Some(false),
            |spec| spec.drain_options = Some(DrainOptions { enabled: Some(true), ..DrainOptions::default() }),
            |spec| spec.rollout = Some(Rollout { suspend: Some(true), ..Rollout::default() }),
            |spec| spec.node_selector = Some(Default::default()),
        ];
        for (index, edit) in edits.iter().enumerate() {
            let mut edited = spec();
            edit(&mut edited);
            assert_eq!(spec_hash(&edited), base, "edit {index}");
        }
    }
}
