//! A snapshot as a file: what `rounds snapshot` writes, and what `--offline` reads beside manifests.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Snapshot;
use super::manifests::schema::{self, Mistake};
use super::views::Pod;
use crate::nodeop::verdict::said;
use crate::yaml::place::Segment;

/// What a snapshot file calls itself.
pub const KIND: &str = "RoundsSnapshot";

/// The version of the format that this version writes and reads. Fields may be added to it; one that is renamed, removed or
/// comes to mean something else makes another version.
pub const SCHEMA_VERSION: u64 = 1;

/// What to do about a file that cannot be read.
const REMEDY: &str =
    "a snapshot file is not made to be edited: write it anew with rounds snapshot, and give what is to differ as manifests";

/// What one round saw, and what else runs in the cluster.
///
/// One JSON document:
///
/// - `kind`: always `RoundsSnapshot`. It has no `apiVersion`: it is no object of a cluster.
/// - `schemaVersion`: [`SCHEMA_VERSION`].
/// - `version`: the version of Rounds that wrote it, for people.
/// - `snapshot`: the [`Snapshot`], its time included. Other than in a round, it always holds the budgets.
/// - `workload`: the pods of all namespaces that have not finished. Who drains a node later needs to know what is on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotFile {
    /// Always [`KIND`].
    pub kind: String,
    /// [`SCHEMA_VERSION`].
    pub schema_version: u64,
    /// The version of Rounds that wrote it.
    #[serde(default)]
    pub version: String,
    /// What a round sees.
    pub snapshot: Snapshot,
    /// The pods that have not finished, on whatever node.
    #[serde(default)]
    pub workload: Vec<Pod>,
}

impl SnapshotFile {
    /// A file of this version.
    pub fn new(snapshot: Snapshot, workload: Vec<Pod>) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_string();
        Self { kind: KIND.into(), schema_version: SCHEMA_VERSION, version, snapshot, workload }
    }

    /// Reads a document of this kind.
    ///
    /// # Errors
    /// The first field that is not as it should be, and what to do about it.
    pub fn read(document: &Value) -> Result<Self, Mistake> {
        let wrong = |key: &str, message: String| Err(Mistake { field: vec![Segment::Key(key.into())], message });
        match &document["schemaVersion"] {
            Value::Null => return wrong("schemaVersion", format!("must be given, here {SCHEMA_VERSION}; {REMEDY}")),
            version if *version != SCHEMA_VERSION => {
                let (shown, writer) = (schema::shown(version), schema::shown(&document["version"]));
                let message = format!(
                    "must be {SCHEMA_VERSION}, not {shown}: the file was written by version {writer} of Rounds; read it with that one, or \
                     write it anew with this one ({})",
                    env!("CARGO_PKG_VERSION")
                );
                return wrong("schemaVersion", message);
            }
            _ => {}
        }
        serde_path_to_error::deserialize(document).map_err(|error| {
            let field = error.path().iter().filter_map(segment).collect();
            Mistake { field, message: format!("{}; {REMEDY}", said(&error.inner().to_string())) }
        })
    }
}

fn segment(part: &serde_path_to_error::Segment) -> Option<Segment> {
    match part {
        serde_path_to_error::Segment::Seq { index } => Some(Segment::Index(*index)),
        serde_path_to_error::Segment::Map { key } => Some(Segment::Key(key.clone())),
        serde_path_to_error::Segment::Enum { variant } => Some(Segment::Key(variant.clone())),
        serde_path_to_error::Segment::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::snapshot::views::{Budget, Node};
    use crate::yaml::place;

    #[test]
    fn what_is_written_is_what_is_read() {
        let node = Node { name: "n1".into(), uid: "u".into(), ready: true, ..Node::default() };
        let snapshot = Snapshot { nodes: [("n1".to_string(), node)].into(), budgets: vec![Budget::default()], ..Snapshot::default() };
        let file = SnapshotFile::new(snapshot, vec![Pod { name: "web".into(), ..Pod::default() }]);
        let document = serde_json::to_value(&file).unwrap();
        assert_eq!((&document["kind"], &document["schemaVersion"]), (&json!("RoundsSnapshot"), &json!(1)));
        assert!(document["snapshot"]["budgets"][0].get("minAvailable").is_none());
        assert_eq!(SnapshotFile::read(&document).unwrap(), file);
    }

    #[test]
    fn what_cannot_be_read_is_named_with_field_and_remedy() {
        let with = |key: &str, value: Value| {
            let mut document = serde_json::to_value(SnapshotFile::new(Snapshot::default(), Vec::new())).unwrap();
            document[key] = value;
            let mistake = SnapshotFile::read(&document).unwrap_err();
            format!("{}: {}", place::path(&mistake.field), mistake.message)
        };
        for (key, value, expected) in [
            (
                "schemaVersion",
                json!(2),
                "schemaVersion: must be 1, not 2: the file was written by version \"0.1.0\" of Rounds; read it with",
            ),
            ("schemaVersion", json!(null), "schemaVersion: must be given, here 1; a snapshot file is not made to be edited: write it anew"),
            ("snapshot", json!(null), "snapshot: invalid type: null"),
            (
                "snapshot",
                json!({"nodes": {"n1": {"ready": "yes"}}}),
                "snapshot.nodes.n1.ready: invalid type: string \"yes\", expected a boolean; a snap",
            ),
            ("workload", json!([{}, {"labels": 3}]), "workload[1].labels: invalid type: integer `3`, expected a map; a snapshot file"),
        ] {
            let told = with(key, value);
            assert!(told.starts_with(expected), "{told}");
        }
    }
}
