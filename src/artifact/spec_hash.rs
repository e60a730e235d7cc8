//! The hash of what an artifact is built from: another hash is another build. It covers what the user wrote as far as it
//! changes what is built or exported, and not how the build runs. A field at its default counts as absent.

use serde_json::{Map, Value, json};

use super::api::OSArtifactSpec;
use crate::nodeop::spec_hash::digest;

/// Fields that say how and where the build runs, or hold only when the claim is made.
const HOW: [&str; 9] =
    ["build", "imagePullSecrets", "volume", "nodeSelector", "tolerations", "affinity", "podLabels", "podAnnotations", "resources"];

/// Sixteen hexadecimal digits.
pub fn spec_hash(spec: &OSArtifactSpec) -> String {
    let Value::Object(mut fields) = pruned(json!(spec)) else { return digest(Map::new()) };
    fields.retain(|key, _| !HOW.contains(&key.as_str()));
    digest(fields)
}

/// Without members that say nothing.
fn pruned(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, value)| (key, pruned(value)));
            Value::Object(fields.filter(|(_, value)| !is_silent(value)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(pruned).collect()),
        scalar => scalar,
    }
}

fn is_silent(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(false)) || *value == json!("") || *value == json!([]) || *value == json!({})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(spec: Value) -> String {
        spec_hash(&serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn the_hash_of_a_spec_never_changes_from_one_version_to_the_next() {
        // Were this to change, everything would be built again on the day somebody installs the new version.
        assert_eq!(hash(json!({"imageName": "i:1", "iso": true})), "04b7674ef21beb0f");
        let full = json!({"image": {"buildOptions": {"version": "v1", "baseImage": "b"}}, "artifacts": {"iso": true}, "volumes": [{"name": "v", "emptyDir": {}}]});
        assert_eq!(hash(full), "2753a44ca0e202b8");
    }

    #[test]
    fn only_what_is_built_or_exported_counts() {
        let base = hash(json!({"imageName": "i", "iso": true}));
        for same in [
            json!({"imageName": "i", "iso": true, "netboot": false, "bundles": [], "diskSize": ""}),
            json!({"imageName": "i", "iso": true, "build": {"timeoutSeconds": 60}, "nodeSelector": {"a": "b"}}),
            json!({"imageName": "i", "iso": true, "volume": {"accessModes": ["ReadWriteMany"]}, "imagePullSecrets": [{"name": "s"}]}),
        ] {
            assert_eq!(hash(same.clone()), base, "{same}");
        }
        for other in [
            json!({"imageName": "j", "iso": true}),
            json!({"imageName": "i", "iso": true, "netboot": true}),
            json!({"imageName": "i", "iso": true, "exporters": [{"template": {"spec": {"containers": [{"name": "c"}]}}}]}),
            json!({"imageName": "i", "iso": true, "nameOverride": {"iso": "x"}}),
        ] {
            assert_ne!(hash(other.clone()), base, "{other}");
        }
    }
}
