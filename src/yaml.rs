//! YAML in and out. The only user of the YAML crate, so that it can be swapped.
//!
//! serde-saphyr stands in serde_yaml's place: that one is deprecated, and writes strings such as `yes`, `on` or `1_000`
//! without quotes, which kubectl then reads back as booleans and numbers.

pub mod place;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use place::Place;

/// What is wrong with a text, and where.
#[derive(Debug, thiserror::Error)]
#[error("{message}{}", .place.map(|place| format!(" (line {}, column {})", place.line, place.column)).unwrap_or_default())]
pub struct YamlError {
    /// What is wrong.
    pub message: String,
    /// Where, if that is known.
    pub place: Option<Place>,
}

impl YamlError {
    fn of(error: &serde_saphyr::Error) -> Self {
        let place = error.location().map(|at| Place { line: at.line(), column: at.column() }).filter(|place| place.line > 0);
        let whole = error.to_string();
        let suffix = place.map(|place| format!(" at line {}, column {}", place.line, place.column)).unwrap_or_default();
        Self { message: whole.strip_suffix(&suffix).unwrap_or(&whole).to_string(), place }
    }

    fn unwritable(error: &dyn std::fmt::Display) -> Self {
        Self { message: error.to_string(), place: None }
    }
}

/// One value from a text.
///
/// # Errors
/// With line, column and the lines around it.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    serde_saphyr::from_str_with_options(text, options(text)).map_err(|error| YamlError::of(&error))
}

/// All documents of a text; empty ones are left out, the items of a List take its place.
///
/// # Errors
/// With line, column and the lines around it.
pub fn documents(text: &str) -> Result<Vec<Value>, YamlError> {
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options(text)).map_err(|error| YamlError::of(&error))?;
    Ok(documents.into_iter().flat_map(flatten).collect())
}

/// A value as YAML.
///
/// # Errors
/// When the value has no YAML form.
pub fn to_string(value: &impl Serialize) -> Result<String, YamlError> {
    serde_saphyr::to_string(value).map_err(|error| YamlError::unwritable(&error))
}

/// Octal numbers as in YAML 1.1, which is what kubectl reads: `defaultMode: 0644` is 420. A text without tricks has no
/// more values than bytes, so a long list of nodes is read, and a small text that aliases blow up is not.
fn options(text: &str) -> serde_saphyr::Options {
    let bytes = text.len();
    serde_saphyr::options! {
        legacy_octal_numbers: true,
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_nodes: bytes.max(250_000),
            max_events: bytes.saturating_mul(2).max(1_000_000),
            max_total_scalar_bytes: bytes.max(64 << 20),
        },
    }
}

/// The documents of a text, each with the line before it; a line `---` stands between them. Nothing is parsed, so that a
/// document that cannot be does not hide the others.
pub fn split(text: &str) -> Vec<(usize, &str)> {
    let mut documents = Vec::new();
    let (mut begin, mut first, mut at) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            documents.push((first, &text[begin..at]));
            (begin, first) = (at, number);
        }
        at += line.len();
    }
    documents.push((first, &text[begin..]));
    documents
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
        let error = documents("a: 1\nb: [1,\n").unwrap_err();
        assert_eq!(error.to_string(), "unclosed bracket '[' (line 2, column 4)");
        assert!(from_str::<Value>("a: 1\na: 2").is_err(), "a key given twice is a mistake, not a choice");
    }

    #[test]
    fn a_text_is_split_where_a_line_says_so_and_nowhere_else() {
        let text = "a: 1\n--- # second\nb: |\n  ---\n  x\n---\nc: ----\n";
        let parts: Vec<(usize, String)> = split(text).into_iter().map(|(line, part)| (line, part.replace('\n', "/"))).collect();
        assert_eq!(parts, [(0, "a: 1/".into()), (1, "--- # second/b: |/  ---/  x/".into()), (5, "---/c: ----/".into())]);
    }

    #[test]
    fn a_long_list_is_read_and_a_bomb_is_not() {
        let long = "- {a: [1, 2, 3, 4, 5, 6, 7, 8]}\n".repeat(30_000);
        assert_eq!(from_str::<Vec<Value>>(&long).unwrap().len(), 30_000);
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_string();
        for level in 1..9 {
            let last = level - 1;
            bomb += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{last}"); 10].join(", "));
        }
        assert!(from_str::<Value>(&bomb).is_err());
    }
}
