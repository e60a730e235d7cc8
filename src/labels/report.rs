//! What a probe tells: one line of JSON, its termination message.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::release::{ANNOTATIONS, Found, LABELS, label_value};

/// A kubelet takes 4096 bytes of a termination message, of all containers of a pod together 12 KiB.
const LONGEST: usize = 4000;

/// What a probe has found, and in which boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The boot that was looked at.
    pub boot_id: String,
    /// Labels of a Kairos node; else none.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl Report {
    /// A report of what was found.
    pub fn new(boot_id: String, found: Found) -> Self {
        Self { boot_id, labels: found.labels, annotations: found.annotations }
    }

    /// The report in a termination message. Keys that no probe has to say anything about are left out, whoever wrote them.
    pub fn parse(message: &str) -> Option<Self> {
        let mut report: Self = serde_json::from_str(message.trim()).ok()?;
        report.labels.retain(|key, value| LABELS.contains(&key.as_str()) && !value.is_empty() && label_value(value) == *value);
        report.annotations.retain(|key, value| ANNOTATIONS.contains(&key.as_str()) && !value.trim().is_empty());
        Some(report).filter(|report| !report.boot_id.is_empty())
    }

    /// The report as a termination message: annotations that are too long for it are cut.
    pub fn message(&self) -> String {
        let mut shorter = self.clone();
        let mut most = 512;
        loop {
            shorter.annotations.values_mut().for_each(|value| value.truncate(value.floor_char_boundary(most)));
            let text = serde_json::to_string(&shorter).unwrap_or_default();
            if text.len() <= LONGEST || most == 0 {
                return text;
            }
            most /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect()
    }

    #[test]
    fn what_is_told_is_what_is_read_and_nothing_that_was_not_asked_for() {
        let report = Report {
            boot_id: "b1".into(),
            labels: map(&[("kairos.io/flavor", "ubuntu"), (names::LABEL_MANAGED, "true")]),
            annotations: map(&[("kairos.io/version", "v3.5.0 \"x\"")]),
        };
        assert_eq!(Report::parse(&report.message()), Some(report.clone()));
        let mut more = report.clone();
        more.labels.extend(map(&[("node-role.kubernetes.io/control-plane", ""), ("kairos.io/arch", "a b"), ("kairos.io/own", "x")]));
        more.annotations.extend(map(&[(names::ANNOTATION_LOCK, "x/y@z"), ("kairos.io/name", " ")]));
        assert_eq!(Report::parse(&more.message()), Some(report));
        for message in ["", "{}", "b1", r#"{"bootId": ""}"#, r#"{"bootId": "b1", "labels": 3}"#] {
            assert_eq!(Report::parse(message), None, "{message}");
        }
    }

    #[test]
    fn a_message_never_exceeds_what_a_kubelet_takes() {
        let long = "\"\u{1}é".repeat(3000);
        let report = Report {
            boot_id: "5d1b7c1a-9a56-4a6e-8a3b-0123456789ab".into(),
            labels: LABELS.iter().map(|key| ((*key).to_string(), "v".repeat(63))).collect(),
            annotations: ANNOTATIONS.iter().map(|key| ((*key).to_string(), long.clone())).collect(),
        };
        let message = report.message();
        assert!(message.len() < 4096 && !message.contains('\n'), "{}", message.len());
        assert_eq!(Report::parse(&message).unwrap().labels, report.labels);
    }
}
