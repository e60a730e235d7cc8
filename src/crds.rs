//! The CustomResourceDefinitions, as `rounds crds` prints them and `crds/` holds them.
//!
//! They come from the types in the rooms' `api` modules. What those cannot say is added here.

use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::artifact::api::OSArtifact;
use crate::channel::api::UpdateChannel;
use crate::nodeop::api::NodeOp;
use crate::upgrade::api::NodeOpUpgrade;

/// How they are installed, in place of older ones as well: those that another tool has installed are its own until taken.
pub const INSTALL: &str = "rounds crds | kubectl apply --server-side --force-conflicts -f -";

/// All definitions, in a fixed order.
///
/// # Errors
/// When a definition has no JSON form.
pub fn all() -> Result<Vec<Value>, serde_json::Error> {
    let crds = [NodeOp::crd(), NodeOpUpgrade::crd(), OSArtifact::crd(), UpdateChannel::crd()];
    crds.into_iter().map(|crd| serde_json::to_value(crd).map(finish)).collect()
}

/// Name of the file in `crds/` that holds a definition: group and plural.
pub fn file_name(crd: &Value) -> String {
    let text = |pointer: &str| crd.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_string();
    format!("{}_{}.yaml", text("/spec/group"), text("/spec/names/plural"))
}

/// What the derived definition lacks.
fn finish(mut crd: Value) -> Value {
    if let Some(names) = crd.pointer_mut("/spec/names").and_then(Value::as_object_mut) {
        // An empty list makes GitOps tools apply the definition for ever.
        names.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
    }
    for version in crd.pointer_mut("/spec/versions").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(status) = version.pointer_mut("/schema/openAPIV3Schema/properties/status") {
            // On the object: a default on the field alone would give no status, and an object that no round has seen
            // would count as ready.
            status["default"] = json!({"observedGeneration": -1});
            if let Some(conditions) = status.pointer_mut("/properties/conditions") {
                conditions["x-kubernetes-list-type"] = json!("map");
                conditions["x-kubernetes-list-map-keys"] = json!(["type"]);
            }
            if let Some(nodes) = status.pointer_mut("/properties/nodeStatuses") {
                // managedFields must not list every node.
                nodes["x-kubernetes-map-type"] = json!("atomic");
            }
        }
    }
    whole_numbers(&mut crd);
    crd
}

/// The generator writes bounds as 1.0; the server gives them back as 1.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Number(number) => {
            let text = number.to_string();
            if let Some(whole) = text.strip_suffix(".0").and_then(|whole| whole.parse::<i64>().ok()) {
                *value = json!(whole);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_people_type() {
        let names = |crd: &Value| {
            let names = &crd["spec"]["names"];
            assert_eq!(names.get("categories"), None, "no category, least of all `all`");
            format!("{} {}", names["plural"].as_str().unwrap(), names["shortNames"])
        };
        let all: Vec<String> = all().unwrap().iter().map(names).collect();
        assert_eq!(
            all,
            [r#"nodeops ["nop"]"#, r#"nodeopupgrades ["nou"]"#, r#"osartifacts ["osa"]"#, r#"updatechannels ["upchan","upchans"]"#]
        );
    }

    /// Every value below, with its path; the names of properties are marked, so that a field may be called default.
    fn walk(value: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
        visit(path, value);
        match value {
            Value::Object(fields) => fields.iter().for_each(|(key, value)| {
                let mark = if path.ends_with("/properties") { ":" } else { "" };
                walk(value, &format!("{path}/{mark}{key}"), visit);
            }),
            Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| walk(item, &format!("{path}/{index}"), visit)),
            _ => {}
        }
    }

    #[test]
    fn nothing_is_null_and_nothing_is_empty() {
        for crd in all().unwrap() {
            walk(&crd, "", &mut |path, value| {
                assert!(!value.is_null(), "{path} is null");
                assert!(value.as_array().is_none_or(|list| !list.is_empty()), "{path} is empty");
            });
        }
    }

    #[test]
    fn every_rule_names_a_remedy_and_every_field_is_described() {
        for crd in all().unwrap() {
            walk(&crd, "", &mut |path, value| {
                if let Some(rules) = path.ends_with("/x-kubernetes-validations").then(|| value.as_array()).flatten() {
                    assert!(rules.iter().all(|rule| rule["message"].is_string()), "{path}");
                }
            });
            for block in ["spec", "status"] {
                let fields = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][block]["properties"];
                for (name, field) in fields.as_object().unwrap() {
                    assert!(field["description"].is_string(), "{block}.{name} has no description");
                }
            }
        }
    }

    #[test]
    fn the_description_of_a_choice_is_the_fields_own() {
        let nodeop = all().unwrap().swap_remove(0);
        let rollout = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/rollout/properties";
        let text = nodeop.pointer(&format!("{rollout}/drainMode/description")).unwrap().as_str().unwrap();
        assert!(text.starts_with("Lenient (default)"), "{text}");
        assert_eq!(nodeop.pointer(&format!("{rollout}/drainMode/enum")).unwrap(), &json!(["Lenient", "Strict"]));
    }
}
