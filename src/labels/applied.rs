//! What the apiserver makes of a label write, on the view of a Node: for clusters in memory, and for a diff.

use crate::names;
use crate::plan::NodeLabels;
use crate::snapshot::views::{Mark, Node};

/// Server-side apply without force. What only this manager owned and does not name any more goes.
///
/// # Errors
/// The other manager, when one owns a field with another value: nothing is written then.
pub fn apply(node: &mut Node, write: &NodeLabels) -> Result<(), String> {
    for (key, value) in write.labels.iter().chain(&write.annotations) {
        let others = node.marks.get(key).filter(|mark| mark.value != *value);
        if let Some(other) = others.and_then(Mark::stranger) {
            return Err(other.to_string());
        }
    }
    let named = |key: &String| write.labels.contains_key(key) || write.annotations.contains_key(key);
    let given_up: Vec<String> = node.marks.keys().filter(|key| !named(key)).cloned().collect();
    for key in given_up {
        let Some(mark) = node.marks.get_mut(&key).filter(|mark| mark.is_ours()) else { continue };
        mark.managers.retain(|manager| manager != names::LABELS_MANAGER);
        if mark.managers.is_empty() {
            node.marks.remove(&key);
            set(node, &key, None);
        }
    }
    for (key, value) in write.labels.iter().chain(&write.annotations) {
        let mark = node.marks.entry(key.clone()).or_default();
        mark.value.clone_from(value);
        if !mark.is_ours() {
            mark.managers.push(names::LABELS_MANAGER.into());
        }
        set(node, key, Some(value.clone()));
    }
    Ok(())
}

fn set(node: &mut Node, key: &str, value: Option<String>) {
    match key {
        names::ANNOTATION_PROBED_BOOT => node.probed_boot = value,
        names::ANNOTATION_VERSION => node.kairos_version = value,
        key if !super::release::LABELS.contains(&key) => {}
        key => match value {
            Some(value) => drop(node.labels.insert(key.to_string(), value)),
            None => drop(node.labels.remove(key)),
        },
    }
}
