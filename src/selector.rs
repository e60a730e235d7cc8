//! Which nodes a resource speaks of: a label selector over nodes.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A label selector over nodes; all of it must match. Empty: every node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeSelector {
    /// Labels that a node must carry with just these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64), transform = bound_values)]
    #[x_kube(validation = Rule::new(format!("self.all(key, self[key].matches('{VALUE}'))"))
        .message("a value in matchLabels is not a label value: up to 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"))]
    #[x_kube(validation = Rule::new(format!("self.all(key, key.matches('{KEY}'))"))
        .message("a key in matchLabels is not a label key, for example kairos.io/managed"))]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements on labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub match_expressions: Vec<Requirement>,
}

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("self.operator in ['In', 'NotIn'] ? has(self.values) && self.values.size() > 0 : !has(self.values) || self.values.size() == 0")
        .message("values must be given for In and NotIn, and must be absent for Exists and DoesNotExist")
        .field_path(".values")
)]
pub struct Requirement {
    /// The label's key.
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new(format!("self.matches('{KEY}')")).message("key is not a label key, for example kairos.io/managed"))]
    pub key: String,
    /// In, NotIn, Exists or DoesNotExist.
    pub operator: Operator,
    /// Values for In and NotIn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 63)))]
    #[x_kube(validation = Rule::new(format!("self.all(value, value.matches('{VALUE}'))"))
        .message("one of values is not a label value: up to 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"))]
    pub values: Vec<String>,
}

/// What a label's key looks like: a name, optionally behind a DNS name and a slash.
const KEY: &str = "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";

/// What a label's value looks like.
const VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$";

/// The length of a map's values must be bounded for a rule over them.
fn bound_values(schema: &mut schemars::Schema) {
    if let Some(values) = schema.pointer_mut("/additionalProperties").and_then(serde_json::Value::as_object_mut) {
        values.insert("maxLength".into(), 253.into());
    }
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Operator {
    /// The label is there with one of the values.
    In,
    /// The label is not there, or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
}

impl NodeSelector {
    /// Whether these labels satisfy the selector.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| requirement.matches(labels))
    }
}

impl Requirement {
    /// Whether these labels satisfy the requirement; NotIn is true of an absent label, as in Kubernetes.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let listed = value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            Operator::In => listed,
            Operator::NotIn => !listed,
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    fn requirement(key: &str, operator: Operator, values: &[&str]) -> Requirement {
        Requirement { key: key.into(), operator, values: values.iter().map(|v| v.to_string()).collect() }
    }

    #[test]
    fn all_four_operators_mean_what_they_mean_in_kubernetes() {
        let node = labels(&[("zone", "a"), ("empty", "")]);
        for (key, operator, values, expected) in [
            ("zone", Operator::In, &["a", "b"][..], true),
            ("zone", Operator::In, &["b"], false),
            ("absent", Operator::In, &["a"], false),
            ("zone", Operator::NotIn, &["a"], false),
            ("zone", Operator::NotIn, &["b"], true),
            ("absent", Operator::NotIn, &["a"], true),
            ("zone", Operator::Exists, &[], true),
            ("empty", Operator::Exists, &[], true),
            ("absent", Operator::Exists, &[], false),
            ("zone", Operator::DoesNotExist, &[], false),
            ("absent", Operator::DoesNotExist, &[], true),
        ] {
            assert_eq!(requirement(key, operator, values).matches(&node), expected, "{key} {operator:?} {values:?}");
        }
    }

    #[test]
    fn labels_and_expressions_must_all_match_and_an_empty_selector_matches_everything() {
        let node = labels(&[("kairos.io/managed", "true"), ("role", "cp")]);
        let selector = NodeSelector {
            match_labels: labels(&[("kairos.io/managed", "true")]),
            match_expressions: vec![requirement("role", Operator::In, &["cp"])],
        };
        assert!(selector.matches(&node));
        assert!(!selector.matches(&labels(&[("role", "cp")])));
        assert!(!selector.matches(&labels(&[("kairos.io/managed", "true")])));
        assert!(NodeSelector::default().matches(&labels(&[])));
    }
}
