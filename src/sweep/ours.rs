//! Whether what bears our marks is ours. Marks are labels, and labels are copied: into a Deployment, or with the manifest of
//! a pod that somebody wants to look at. Whom an object is controlled by is written by its maker.

use std::collections::BTreeMap;

use crate::names;
use crate::snapshot::wire::{Metadata, OwnerReference};

/// Who has made an object with our marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Maker {
    /// A round: it is controlled by the resource that its marks name, or by the node that it probes.
    Round,
    /// A Job, of this name and uid.
    Job(String, String),
    /// Somebody else.
    Other,
    /// Nobody controls it.
    Nobody,
}

/// Who has made an object.
pub(crate) fn maker(metadata: &Metadata) -> Maker {
    let Some(owner) = metadata.controller() else { return Maker::Nobody };
    let named = metadata.labels.get(names::LABEL_OWNER_UID).is_some_and(|uid| *uid == owner.uid);
    let probes = metadata.labels.contains_key(names::LABEL_PROBE);
    match (group(owner), owner.kind.as_str()) {
        ("operator.kairos.io", "NodeOp") | ("build.kairos.io", "OSArtifact") if named => Maker::Round,
        ("", "Node") if probes => Maker::Round,
        ("batch", "Job") => Maker::Job(owner.name.clone(), owner.uid.clone()),
        _ => Maker::Other,
    }
}

/// The uid of the OSArtifact that controls an object. What outlives a run, as a claim does, has none of our marks.
pub(crate) fn artifact_of(metadata: &Metadata) -> Option<String> {
    let owner = metadata.controller().filter(|owner| (group(owner), owner.kind.as_str()) == ("build.kairos.io", "OSArtifact"))?;
    Some(owner.uid.clone())
}

/// Whether one of our marks is on an object.
pub fn is_marked(labels: &BTreeMap<String, String>) -> bool {
    MARKS.iter().any(|mark| labels.contains_key(*mark))
}

/// The labels that all Jobs and Pods of ours bear, one of them each.
pub const MARKS: [&str; 2] = [names::LABEL_OWNER_UID, names::LABEL_PROBE];

/// API group of an owner; empty for the core group. Versions come and go.
fn group(owner: &OwnerReference) -> &str {
    owner.api_version.split_once('/').map_or("", |(group, _)| group)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made_by(owner: serde_json::Value, labels: serde_json::Value) -> Maker {
        let owners = if owner.is_null() { json!([]) } else { json!([owner]) };
        maker(&serde_json::from_value(json!({"name": "x", "labels": labels, "ownerReferences": owners})).unwrap())
    }

    #[test]
    fn only_its_controller_tells_who_made_an_object() {
        let owner = |version: &str, kind: &str| json!({"apiVersion": version, "kind": kind, "name": "o", "uid": "u", "controller": true});
        let of = |uid: &str| json!({names::LABEL_OWNER_UID: uid});
        for (expected, owner, labels) in [
            (Maker::Round, owner("operator.kairos.io/v1alpha1", "NodeOp"), of("u")),
            (Maker::Round, owner("build.kairos.io/v1alpha2", "OSArtifact"), of("u")),
            (Maker::Round, owner("v1", "Node"), json!({names::LABEL_PROBE: "true"})),
            (Maker::Other, owner("operator.kairos.io/v1alpha1", "NodeOp"), of("another")),
            (Maker::Other, owner("example.com/v1", "NodeOp"), of("u")),
            (Maker::Other, owner("v1", "Node"), of("u")),
            (Maker::Other, owner("apps/v1", "ReplicaSet"), of("u")),
            (Maker::Other, owner("example.com/v1", "Job"), of("u")),
            (Maker::Job("o".into(), "u".into()), owner("batch/v1", "Job"), of("v")),
            (Maker::Nobody, json!({"apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOp", "name": "o", "uid": "u"}), of("u")),
            (Maker::Nobody, json!(null), of("u")),
        ] {
            assert_eq!(made_by(owner.clone(), labels.clone()), expected, "{owner} {labels}");
        }
    }
}
