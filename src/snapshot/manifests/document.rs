//! From texts to objects, each of which knows where it stands.

use std::cell::OnceCell;
use std::rc::Rc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::beside::Identity;
use super::schema::{self, Mistake};
use super::source::Source;
use crate::nodeop::verdict::clip;
use crate::snapshot::Reference;
use crate::snapshot::file::{self, SnapshotFile};
use crate::yaml;
use crate::yaml::place::{self, Place, Places, Segment};

/// The kinds that decisions read, with the API version in which they are read.
const READ: [(&str, &str); 8] = [
    ("NodeOp", "operator.kairos.io/v1alpha1"),
    ("NodeOpUpgrade", "operator.kairos.io/v1alpha1"),
    ("OSArtifact", "build.kairos.io/v1alpha2"),
    ("UpdateChannel", "k3os.io/v1"),
    ("Node", "v1"),
    ("Pod", "v1"),
    ("Job", "batch/v1"),
    ("PodDisruptionBudget", "policy/v1"),
];

/// Most characters of a name that is told, or of a way to a field.
const LONGEST: usize = 600;

/// One object of a text.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    /// Where it stands.
    pub origin: Origin<'a>,
    value: Value,
}

/// Where an object stands. Lines are only counted when somebody asks: in a long list that takes a while.
#[derive(Clone, Debug)]
pub struct Origin<'a> {
    path: &'a str,
    /// The YAML document that it stands in, and the lines before that.
    text: &'a str,
    lines: u64,
    /// Where the fields of that document stand.
    places: Rc<OnceCell<Places>>,
    /// The way from that document to the object: `items[3]` of a List.
    way: Vec<Segment>,
}

/// All objects of a text, the items of Lists in their place, and a line for each part that is no YAML.
pub fn parse(source: &Source) -> (Vec<Document<'_>>, Vec<String>) {
    let (mut documents, mut mistakes) = (Vec::new(), Vec::new());
    for (before, text) in yaml::split(&source.text) {
        let lines = u64::try_from(before).unwrap_or(u64::MAX);
        match value(text) {
            Ok(Value::Null) => {}
            Ok(value) => {
                let origin = Origin { path: &source.path, text, lines, places: Rc::default(), way: Vec::new() };
                flatten(Document { origin, value }, &mut documents);
            }
            Err(error) => mistakes.push(format!("{}: {}", at(&source.path, lines, error.place), clip(&error.message, LONGEST))),
        }
    }
    (documents, mistakes)
}

/// JSON is read as JSON, which is much faster for a long list; where that fails, YAML knows better why.
fn value(text: &str) -> Result<Value, yaml::YamlError> {
    if text.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str(text)
    {
        return Ok(value);
    }
    yaml::from_str::<Option<Value>>(text).map(Option::unwrap_or_default)
}

fn flatten<'a>(mut document: Document<'a>, into: &mut Vec<Document<'a>>) {
    let is_list = document.kind().ends_with("List");
    let items = if is_list { document.value.get_mut("items").map(Value::take) } else { None };
    let Some(Value::Array(items)) = items else { return into.push(document) };
    // The items of a NodeList may leave out what the list says of all of them.
    let version = document.value.get("apiVersion").cloned();
    let kind = document.kind().strip_suffix("List").filter(|kind| !kind.is_empty()).map(Value::from);
    for (index, mut value) in items.into_iter().enumerate() {
        if let (Some(kind), Value::Object(fields)) = (&kind, &mut value) {
            fields.entry("kind").or_insert_with(|| kind.clone());
            fields.entry("apiVersion").or_insert_with(|| version.clone().unwrap_or_default());
        }
        let way = [&document.origin.way[..], &[Segment::Key("items".into()), Segment::Index(index)]].concat();
        flatten(Document { origin: Origin { way, ..document.origin.clone() }, value }, into);
    }
}

fn at(path: &str, lines: u64, place: Option<Place>) -> String {
    match place {
        Some(place) => format!("{path}:{}:{}", lines + place.line, place.column),
        None => format!("{path}:{}", lines + 1),
    }
}

impl Origin<'_> {
    /// `<file>:<line>:<column>` of the object.
    pub fn place(&self) -> String {
        at(self.path, self.lines, self.find(&[]))
    }

    fn find(&self, field: &[Segment]) -> Option<Place> {
        let way = [&self.way[..], field].concat();
        if !way.is_empty() {
            return self.places.get_or_init(|| Places::of(self.text)).find(&way);
        }
        // The separator belongs to the document, but nobody means it.
        let offset = self.text.lines().take_while(|line| line.starts_with("---") || line.trim().is_empty()).count();
        Some(Place { line: u64::try_from(offset).unwrap_or(0) + 1, column: 1 })
    }
}

impl Document<'_> {
    /// The kind, or "?".
    pub fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or("?")
    }

    /// `<Kind> [<namespace>/]<name>` as it is written.
    pub fn title(&self) -> String {
        if self.is_snapshot() {
            return self.kind().into();
        }
        let name = self.value["metadata"]["name"].as_str().unwrap_or("?");
        match self.value["metadata"]["namespace"].as_str() {
            Some(namespace) => clip(&format!("{} {namespace}/{name}", self.kind()), LONGEST),
            None => clip(&format!("{} {name}", self.kind()), LONGEST),
        }
    }

    /// Whether decisions read objects of this kind.
    pub fn is_read(&self) -> bool {
        let version = self.value["apiVersion"].as_str().unwrap_or_default();
        READ.iter().any(|(kind, of)| *kind == self.kind() && *of == version)
    }

    /// Whether this is a snapshot file, and no object of a cluster.
    pub fn is_snapshot(&self) -> bool {
        self.kind() == file::KIND
    }

    /// The snapshot file that this is.
    pub fn snapshot(&self) -> Result<SnapshotFile, String> {
        SnapshotFile::read(&self.value).map_err(|mistake| self.told(self.origin.find(&mistake.field), &mistake))
    }

    /// The uid, if one is given.
    pub fn uid(&self) -> Option<&str> {
        self.value["metadata"]["uid"].as_str()
    }

    /// What identifies the object.
    pub fn reference(&self) -> Reference {
        let text = |key: &str| self.value["metadata"][key].as_str().unwrap_or_default().to_string();
        let namespace = match (self.kind(), text("namespace")) {
            ("Node" | file::KIND, _) => String::new(),
            (_, namespace) if namespace.is_empty() => "default".into(),
            (_, namespace) => namespace,
        };
        Reference { kind: self.kind().into(), namespace, name: text("name"), uid: String::new() }
    }

    /// Everything that is wrong with the object.
    pub fn mistakes(&self) -> Vec<String> {
        let placed = |mistake: Mistake| (self.origin.find(&mistake.field), mistake);
        let mut mistakes: Vec<(Option<Place>, Mistake)> = self.found().into_iter().map(placed).collect();
        mistakes.sort_by_key(|(place, _)| *place);
        mistakes.into_iter().map(|(place, mistake)| self.told(place, &mistake)).collect()
    }

    fn told(&self, place: Option<Place>, mistake: &Mistake) -> String {
        let field = clip(&place::path(&mistake.field), LONGEST);
        let field = if field.is_empty() { field } else { format!("{field}: ") };
        format!("{}: {}: {field}{}", at(self.origin.path, self.origin.lines, place), self.title(), mistake.message)
    }

    fn found(&self) -> Vec<Mistake> {
        let missing =
            |way: &[&str], message: String| vec![Mistake { field: way.iter().map(|key| Segment::Key((*key).into())).collect(), message }];
        if !self.value.is_object() {
            return missing(&[], format!("is no object but {}", schema::shown(&self.value)));
        }
        if self.value["kind"].as_str().is_none_or(str::is_empty) {
            return missing(&["kind"], "must be given, for example NodeOp".into());
        }
        let known = READ.iter().find(|(kind, _)| *kind == self.kind());
        if self.value["apiVersion"].as_str().is_none_or(str::is_empty) {
            return missing(&["apiVersion"], known.map_or("must be given".into(), |(_, version)| format!("must be given, here {version}")));
        }
        if !self.is_read() {
            let group = self.value["apiVersion"].as_str().unwrap_or_default();
            return match known {
                Some((_, version)) if ["operator.kairos.io", "build.kairos.io", "k3os.io"].iter().any(|ours| group.starts_with(ours)) => {
                    missing(&["apiVersion"], format!("must be {version}, not {group}"))
                }
                // Of ours, but not read yet: a mistake in it is a mistake all the same.
                _ => schema::check(&self.value),
            };
        }
        if self.value["metadata"]["name"].as_str().is_none_or(str::is_empty) {
            return missing(&["metadata", "name"], "must be given".into());
        }
        let bad = |key: &&str| self.value["metadata"][*key].as_str().is_some_and(|name| !is_name(name));
        if let Some(key) = ["name", "namespace"].into_iter().find(bad) {
            return missing(&["metadata", key], "must be a name of up to 253 lower-case letters, digits, '-' and '.'".into());
        }
        if matches!(self.kind(), "NodeOp" | "NodeOpUpgrade" | "OSArtifact" | "UpdateChannel") {
            schema::check(&self.value)
        } else {
            Vec::new()
        }
    }

    /// The object, with what the server would have filled in: a namespace, a uid, an age.
    pub fn complete(self, known: Identity) -> Value {
        let Reference { kind, namespace, name, .. } = self.reference();
        let mut value = self.value;
        let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else { return value };
        metadata.retain(|_, field| !field.is_null());
        if !namespace.is_empty() {
            metadata.insert("namespace".into(), Value::from(&*namespace));
        }
        let uid = known.uid.unwrap_or_else(|| made_up(&format!("{kind}/{namespace}/{name}")));
        let created = known.created.map_or_else(|| "2020-01-01T00:00:00Z".into(), |created| created.to_string());
        metadata.entry("uid").or_insert_with(|| Value::from(uid));
        metadata.entry("resourceVersion").or_insert_with(|| Value::from(known.resource_version.unwrap_or_else(|| "1".into())));
        metadata.entry("generation").or_insert_with(|| Value::from(1));
        metadata.entry("creationTimestamp").or_insert_with(|| Value::from(created));
        value
    }
}

/// The same uid for the same object every time.
fn made_up(object: &str) -> String {
    let hex: String = Sha256::digest(object).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// What a server takes as the name of an object of these kinds, or of a namespace.
fn is_name(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    name.len() <= 253 && edge(name.chars().next()) && edge(name.chars().last()) && name.chars().all(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_object_can_have_is_a_mistake() {
        for (name, good) in [("n-1.example", true), ("a\nError: forged", false), ("\u{1b}[2J", false), ("A", false), ("-a", false)] {
            let text = format!("apiVersion: v1\nkind: Node\nmetadata: {{name: {name:?}}}\n").replace("\\u{1b}", "\\e");
            let source = Source { path: "a.yaml".into(), text };
            let mistakes = parse(&source).0[0].mistakes();
            assert_eq!(mistakes.is_empty(), good, "{name:?}: {mistakes:?}");
            assert!(good || mistakes[0].starts_with("a.yaml:3:12: "), "{mistakes:?}");
        }
    }

    #[test]
    fn items_of_lists_are_found_where_they_stand_and_inherit_their_kind() {
        let text = "---\napiVersion: v1\nkind: NodeList\nitems:\n- metadata:\n    name: n1\n- metadata:\n    name: n2\n";
        let source = Source { path: "nodes.yaml".into(), text: text.into() };
        let (documents, mistakes) = parse(&source);
        assert!(mistakes.is_empty());
        let seen: Vec<_> = documents.iter().map(|document| (document.title(), document.origin.place(), document.is_read())).collect();
        assert_eq!(seen, [("Node n1".into(), "nodes.yaml:5:3".into(), true), ("Node n2".into(), "nodes.yaml:7:3".into(), true)]);
    }

    #[test]
    fn json_is_read_and_places_are_known_in_it_too() {
        let text = "{\n  \"kind\": \"NodeOp\",\n  \"apiVersion\": \"operator.kairos.io/v1\", \"metadata\": {\"name\": \"op\"}\n}\n";
        let source = Source { path: "op.json".into(), text: text.into() };
        let (documents, _) = parse(&source);
        assert_eq!(
            documents[0].mistakes(),
            ["op.json:3:3: NodeOp op: apiVersion: must be operator.kairos.io/v1alpha1, not operator.kairos.io/v1"]
        );
    }

    #[test]
    fn what_is_not_given_is_made_up_the_same_way_every_time() {
        let source =
            Source { path: "a".into(), text: "{apiVersion: batch/v1, kind: Job, metadata: {name: j, creationTimestamp: null}}".into() };
        let complete = || parse(&source).0.remove(0).complete(Identity::default());
        assert_eq!(complete(), complete());
        assert_eq!(complete()["metadata"]["namespace"], "default");
        assert_eq!(complete()["metadata"]["uid"].as_str().map(str::len), Some(36));
        assert_eq!(complete()["metadata"]["creationTimestamp"], "2020-01-01T00:00:00Z");
    }
}
