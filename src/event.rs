//! Kubernetes Events about our resources. Their names are the same however often a round is repeated: at most one with each
//! suffix.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::names;
use crate::snapshot::Meta;

/// What an Event is about.
#[derive(Clone, Copy, Debug)]
pub struct Regarding<'a> {
    /// Its API version.
    pub api_version: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Its metadata.
    pub meta: &'a Meta,
}

impl Regarding<'_> {
    /// An Event: Normal or Warning, a code, and a sentence.
    pub fn event(&self, now: Timestamp, suffix: &str, kind: &str, reason: &str, text: &str) -> Value {
        let Self { api_version, kind: of, meta } = self;
        json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": format!("{}.{suffix}", names::shorten(&meta.name, 200)), "namespace": meta.namespace},
            "eventTime": micro_time(now),
            "reportingController": "rounds",
            "reportingInstance": "rounds",
            "reason": reason,
            "type": kind,
            "note": note(text),
            "regarding": {"apiVersion": api_version, "kind": of, "name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
        })
    }
}

/// An Event's note has at most 1,024 bytes.
fn note(text: &str) -> String {
    let end = text.floor_char_boundary(1000);
    if end == text.len() { text.to_string() } else { format!("{}…", &text[..end]) }
}

/// An Event's time has microseconds.
fn micro_time(at: Timestamp) -> String {
    format!("{at:.6}")
}
