//! YAML in and out. The only user of the YAML crate, so that it can be swapped.
//!
//! serde-saphyr stands in serde_yaml's place: that one is deprecated, and writes strings such as `yes`, `on` or `1_000`
//! without quotes, which kubectl then reads back as booleans and numbers.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What is wrong with a text, and where.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(String);

/// One value from a text.
///
/// # Errors
/// With line, column and the lines around it.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| YamlError(error.to_string()))
}

/// All documents of a text; empty ones are left out, the items of a List take its place.
///
/// # Errors
/// With line, column and the lines around it.
pub fn documents(text: &str) -> Result<Vec<Value>, YamlError> {
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options()).map_err(|error| YamlError(error.to_string()))?;
    Ok(documents.into_iter().flat_map(flatten).collect())
}

/// A value as YAML.
///
/// # Errors
/// When the value has no YAML form.
pub fn to_string(value: &impl Serialize) -> Result<String, YamlError> {
    serde_saphyr::to_string(value).map_err(|error| YamlError(error.to_string()))
}

/// Octal numbers as in YAML 1.1, which is what kubectl reads: `defaultMode: 0644` is 420.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! { legacy_octal_numbers: true }
}

/// The items of a `List`; anything else is itself.
fn flatten(document: Value) -> Vec<Value> {
    let is_list = document["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
    match document {
        Value::Null => Vec::new(),
        Value::Object(mut fields) if is_list && fields.get("items").is_some_and(Value::is_array) => match fields.remove("items") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        },
        document => vec![document],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn strings_that_look_like_something_else_stay_strings() {
        for text in
            ["yes", "No", "on", "OFF", "y", "n", "1_000", "1__2", "true", "null", "~", "0644", "1e3", "", " x", "a: b", "# c", "é\n"]
        {
            let value = json!({"a": text});
            let written = to_string(&value).unwrap();
            assert_eq!(from_str::<Value>(&written).unwrap(), value, "{written}");
        }
    }

    #[test]
    fn numbers_and_merges_are_read_as_kubectl_reads_them() {
        assert_eq!(from_str::<Value>("mode: 0644").unwrap(), json!({"mode": 420}));
        assert_eq!(from_str::<Value>("x: &x {a: 1}\ny: {<<: *x, b: 2}").unwrap()["y"], json!({"a": 1, "b": 2}));
    }

    #[test]
    fn several_documents_and_lists_become_one_row_of_objects() {
        let text = "---\nkind: A\n---\n\n---\nkind: NodeList\nitems: [{kind: B}, {kind: C}]\n";
        let kinds: Vec<Value> = documents(text).unwrap().into_iter().map(|document| document["kind"].clone()).collect();
        assert_eq!(kinds, [json!("A"), json!("B"), json!("C")]);
    }

    #[test]
    fn an_error_says_where() {
        let error = documents("a: 1\nb: [1,\n").unwrap_err().to_string();
        assert!(error.contains("line"), "{error}");
        assert!(from_str::<Value>("a: 1\na: 2").is_err(), "a key given twice is a mistake, not a choice");
    }
}
