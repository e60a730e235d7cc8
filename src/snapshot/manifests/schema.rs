//! What is wrong with an object of ours, by the schema of its own definition: what the server would refuse or drop.
//! Patterns and the definition's rules are left to the server; what they guard, the decision checks again.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::crds;
use crate::nodeop::verdict::clip;
use crate::yaml::place::Segment;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The way to the field.
    pub field: Vec<Segment>,
    /// What is wrong with it, and what would be right.
    pub message: String,
}

/// So many mistakes in one object are told.
const MOST: usize = 100;
/// Longest quoted value, and longest name for which one like it is looked for.
const LONGEST: usize = 80;

/// The definitions: making them takes longer than reading an object.
static DEFINITIONS: LazyLock<Vec<Value>> = LazyLock::new(|| crds::all().unwrap_or_default());

/// The first mistakes in an object, compared with the definition of its kind; none if the kind is not one of ours.
pub fn check(object: &Value) -> Vec<Mistake> {
    let Some(schema) = schema(object) else { return Vec::new() };
    let mut checker = Checker::default();
    checker.value(object, &schema);
    checker.mistakes
}

/// The schema of an object's kind and version, with what every object has.
fn schema(object: &Value) -> Option<Value> {
    let (group, version) = object["apiVersion"].as_str()?.split_once('/')?;
    let is_of = |crd: &&Value| crd["spec"]["names"]["kind"] == object["kind"] && crd["spec"]["group"] == group;
    let versions = DEFINITIONS.iter().find(is_of)?["spec"]["versions"].as_array()?;
    let mut schema = versions.iter().find(|one| one["name"] == version)?.pointer("/schema/openAPIV3Schema")?.clone();
    let properties = schema.get_mut("properties")?.as_object_mut()?;
    for (key, kind) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
        properties.insert(key.into(), serde_json::json!({"type": kind}));
    }
    Some(schema)
}

/// A value in a message: short, and never more than a line.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "a mapping".into(),
        Value::Array(_) => "a list".into(),
        Value::Null => "nothing".into(),
        Value::String(text) => Value::from(clip(text, LONGEST)).to_string(),
        other => other.to_string(),
    }
}

#[derive(Default)]
struct Checker {
    way: Vec<Segment>,
    mistakes: Vec<Mistake>,
}

impl Checker {
    fn wrong(&mut self, message: String) {
        if !self.is_full() {
            self.mistakes.push(Mistake { field: self.way.clone(), message });
        }
    }

    fn is_full(&self) -> bool {
        self.mistakes.len() >= MOST
    }

    fn inside(&mut self, segment: Segment, look: impl FnOnce(&mut Self)) {
        self.way.push(segment);
        look(self);
        self.way.pop();
    }

    fn value(&mut self, value: &Value, schema: &Value) {
        if value.is_null() && (schema["nullable"] == true || self.way.len() < 2) {
            return;
        }
        let Some(wanted) = self.typed(value, schema) else { return };
        if let Some(choices) = schema["enum"].as_array()
            && !choices.contains(value)
        {
            let list = choices.iter().filter_map(Value::as_str).collect::<Vec<_>>();
            let near = value.as_str().and_then(|given| nearest(given, list.iter().copied()));
            let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            return self.wrong(format!("must be one of {}, not {}{near}", list.join(", "), shown(value)));
        }
        match (wanted, value) {
            ("object", Value::Object(fields)) => self.fields(fields, schema),
            ("array", Value::Array(items)) => {
                self.limits(Some(items.len()), schema, "minItems", "maxItems", "items");
                for (index, item) in items.iter().enumerate() {
                    if self.is_full() {
                        return;
                    }
                    self.inside(Segment::Index(index), |checker| checker.value(item, &schema["items"]));
                }
            }
            ("string", Value::String(text)) => self.limits(Some(text.chars().count()), schema, "minLength", "maxLength", "characters"),
            (_, Value::Number(number)) => self.bounds(number.as_f64(), schema, value),
            _ => {}
        }
    }

    /// The type of the schema, if the value is of it.
    fn typed<'s>(&mut self, value: &Value, schema: &'s Value) -> Option<&'s str> {
        let wanted = schema["type"].as_str()?;
        let (fits, name) = match wanted {
            "object" => (value.is_object(), "a mapping"),
            "array" => (value.is_array(), "a list"),
            "string" => (value.is_string(), "a text"),
            "boolean" => (value.is_boolean(), "true or false"),
            "integer" => (value.is_i64() || value.is_u64(), "a whole number"),
            "number" => (value.is_number(), "a number"),
            _ => (true, ""),
        };
        if fits {
            return Some(wanted);
        }
        let quoted = wanted == "string" && (value.is_boolean() || value.is_number());
        let remedy = if quoted { format!("; put it in quotes: \"{value}\"") } else { String::new() };
        self.wrong(format!("must be {name}, not {}{remedy}", shown(value)));
        None
    }

    fn fields(&mut self, fields: &Map<String, Value>, schema: &Value) {
        let Some(properties) = schema["properties"].as_object() else {
            for (key, value) in fields.iter().filter(|_| schema["additionalProperties"].is_object()) {
                self.inside(Segment::Key(key.clone()), |checker| checker.value(value, &schema["additionalProperties"]));
            }
            return;
        };
        for (key, value) in fields {
            if self.is_full() {
                return;
            }
            let known = properties.get(key);
            self.inside(Segment::Key(key.clone()), |checker| match known {
                Some(schema) => checker.value(value, schema),
                None if schema["x-kubernetes-preserve-unknown-fields"] == true => {}
                None => checker.wrong(unknown(key, properties)),
            });
        }
        for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if fields.get(key).is_none_or(Value::is_null) {
                self.inside(Segment::Key(key.into()), |checker| checker.wrong("must be given".into()));
            }
        }
    }

    fn limits(&mut self, length: Option<usize>, schema: &Value, least: &str, most: &str, what: &str) {
        let length = length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
        if let Some(least) = schema[least].as_u64().filter(|least| length < *least) {
            self.wrong(if length == 0 { "must not be empty".into() } else { format!("must have at least {least} {what}, not {length}") });
        }
        if let Some(most) = schema[most].as_u64().filter(|most| length > *most) {
            self.wrong(format!("must have at most {most} {what}, not {length}"));
        }
    }

    fn bounds(&mut self, number: Option<f64>, schema: &Value, value: &Value) {
        let Some(number) = number else { return };
        if let Some(least) = schema["minimum"].as_f64().filter(|least| number < *least) {
            self.wrong(format!("must be at least {least}, not {value}"));
        }
        if let Some(most) = schema["maximum"].as_f64().filter(|most| number > *most) {
            self.wrong(format!("must be at most {most}, not {value}"));
        }
    }
}

fn unknown(key: &str, properties: &Map<String, Value>) -> String {
    match nearest(key, properties.keys().map(String::as_str)) {
        Some(near) => format!("there is no such field; did you mean {near}?"),
        None => format!("there is no such field; there are {}", properties.keys().map(String::as_str).collect::<Vec<_>>().join(", ")),
    }
}

/// The name most like one that does not exist, if one is at all like it.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    let lower = name.to_lowercase();
    let ratio = |other: &str| similar::TextDiff::from_chars(&*lower, &*other.to_lowercase()).ratio();
    known.map(|other| (ratio(other), other)).filter(|(ratio, _)| *ratio >= 0.6).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::yaml::place;

    fn mistakes(spec: Value) -> Vec<String> {
        let object = json!({"apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOp", "metadata": {"name": "op"}, "spec": spec});
        check(&object).into_iter().map(|mistake| format!("{}: {}", place::path(&mistake.field), mistake.message)).collect()
    }

    #[test]
    fn what_the_server_takes_is_no_mistake() {
        for spec in [
            json!({"command": ["true"]}),
            json!({"command": ["true"], "cordon": null, "nodeSelector": {"matchLabels": {"a": "b"}}}),
            json!({"command": ["true"], "rollout": {"windows": [{"start": "22:00", "duration": "4h", "days": ["Mon"]}]}}),
        ] {
            assert_eq!(mistakes(spec.clone()), Vec::<String>::new(), "{spec}");
        }
    }

    #[test]
    fn what_the_server_refuses_or_drops_is_named_with_what_would_be_right() {
        for (spec, expected) in [
            (json!({}), "spec.command: must be given"),
            (json!({"command": []}), "spec.command: must not be empty"),
            (json!({"command": "true"}), "spec.command: must be a list, not \"true\""),
            (json!({"command": ["x", 1]}), "spec.command[1]: must be a text, not 1; put it in quotes: \"1\""),
            (json!({"command": ["x"], "concurrency": -1}), "spec.concurrency: must be at least 0, not -1"),
            (json!({"command": ["x"], "concurency": 1}), "spec.concurency: there is no such field; did you mean concurrency?"),
            (
                json!({"command": ["x"], "nodeSelector": {"matchLabels": {"a": true}}}),
                "spec.nodeSelector.matchLabels.a: must be a text, not true; put it in quotes: \"true\"",
            ),
            (
                json!({"command": ["x"], "rollout": {"runPolicy": "once"}}),
                "spec.rollout.runPolicy: must be one of OnChange, Once, not \"once\"; did you mean Once?",
            ),
            (
                json!({"command": ["x"], "nodeSelector": {"zone": "a"}}),
                "spec.nodeSelector.zone: there is no such field; there are matchExpressions, matchLabels",
            ),
        ] {
            assert_eq!(mistakes(spec.clone()), [expected], "{spec}");
        }
        let typo = json!({"apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOp", "sepc": {}});
        assert_eq!(check(&typo).len(), 2, "an unknown field, and no spec");
    }
}
