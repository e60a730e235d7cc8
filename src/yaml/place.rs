//! Where in a text a field stands: what an error about a value, and not about the text, needs.

use std::collections::BTreeMap;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Location, Spanned};

/// A line and a column, both counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: u64,
    /// Column.
    pub column: u64,
}

/// One step into a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A key of a mapping.
    Key(String),
    /// A position in a sequence, from 0.
    Index(usize),
}

/// The way to a field as people write it: `spec.rollout.windows[0].start`.
pub fn path(segments: &[Segment]) -> String {
    segments.iter().fold(String::new(), |path, segment| match segment {
        Segment::Key(key) if path.is_empty() => key.clone(),
        Segment::Key(key) if key.contains(['.', '/']) => format!("{path}[{key:?}]"),
        Segment::Key(key) => format!("{path}.{key}"),
        Segment::Index(index) => format!("{path}[{index}]"),
    })
}

/// The places of all fields of a document. Finding them takes as long as reading it, so it is done once.
#[derive(Debug)]
pub struct Places(Option<Located>);

impl Places {
    /// The places in a text.
    pub fn of(text: &str) -> Self {
        Self(super::from_str(text).ok())
    }

    /// Where a field stands, or the deepest part of the way to it that is there; None if the text is no YAML.
    pub fn find(&self, segments: &[Segment]) -> Option<Place> {
        self.0.as_ref().map(|document| find(document, segments))
    }
}

fn find(document: &Located, segments: &[Segment]) -> Place {
    let mut at = document.place;
    let mut inside = &document.inside;
    for segment in segments {
        let next = match (segment, inside) {
            (Segment::Key(key), Inside::Fields(fields)) => fields.get(key).map(|(at, value)| (*at, value)),
            (Segment::Index(index), Inside::Items(items)) => items.get(*index).map(|item| (item.place, item)),
            _ => None,
        };
        let Some((place, value)) = next else { break };
        at = place;
        inside = &value.inside;
    }
    at
}

/// A value of which only the places are kept.
#[derive(Debug)]
struct Located {
    place: Place,
    inside: Inside,
}

#[derive(Debug)]
enum Inside {
    Leaf,
    Fields(BTreeMap<String, (Place, Located)>),
    Items(Vec<Located>),
}

fn place(location: Location) -> Place {
    Place { line: location.line(), column: location.column() }
}

impl<'de> Deserialize<'de> for Located {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Inside>::deserialize(deserializer)?;
        Ok(Self { place: place(spanned.referenced), inside: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Inside {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InsideVisitor)
    }
}

struct InsideVisitor;

macro_rules! leaves {
    ($($visit:ident($type:ty),)*) => {
        $(fn $visit<E: de::Error>(self, _: $type) -> Result<Inside, E> { Ok(Inside::Leaf) })*
    };
}

impl<'de> Visitor<'de> for InsideVisitor {
    type Value = Inside;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }

    leaves! {
        visit_bool(bool), visit_i64(i64), visit_i128(i128), visit_u64(u64), visit_u128(u128), visit_f64(f64), visit_str(&str), visit_bytes(&[u8]),
    }

    fn visit_unit<E: de::Error>(self) -> Result<Inside, E> {
        Ok(Inside::Leaf)
    }

    fn visit_none<E: de::Error>(self) -> Result<Inside, E> {
        Ok(Inside::Leaf)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Inside, D::Error> {
        Inside::deserialize(deserializer)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Inside, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            fields.insert(key.value, (place(key.referenced), map.next_value()?));
        }
        Ok(Inside::Fields(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Inside, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Inside::Items(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Segment {
        Segment::Key(name.into())
    }

    #[test]
    fn a_field_is_found_at_its_key_and_an_item_at_its_value() {
        let text = "kind: X\nspec:\n  command:\n  - a\n  - b\n  rollout: {suspended: true}\n";
        for (way, line, column) in [
            (vec![key("spec")], 2, 1),
            (vec![key("spec"), key("command"), Segment::Index(1)], 5, 5),
            (vec![key("spec"), key("rollout"), key("suspended")], 6, 13),
            (vec![key("spec"), key("absent")], 2, 1),
            (vec![], 1, 1),
        ] {
            assert_eq!(Places::of(text).find(&way), Some(Place { line, column }), "{}", path(&way));
        }
        assert_eq!(Places::of("a: [").find(&[]), None);
    }

    #[test]
    fn a_way_reads_as_people_write_it() {
        assert_eq!(path(&[key("spec"), key("windows"), Segment::Index(0), key("start")]), "spec.windows[0].start");
        assert_eq!(path(&[key("labels"), key("kairos.io/managed")]), "labels[\"kairos.io/managed\"]");
    }
}
