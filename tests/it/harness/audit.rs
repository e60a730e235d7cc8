//! The apiserver's audit log: the witness of who wrote what, and when.

use std::time::Duration;

use serde_json::{Value, json};

use super::ControlPlane;

/// One request, as the apiserver logged it when it answered.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When the request arrived, RFC 3339 with microseconds.
    pub at: String,
    /// When it was answered.
    pub done: String,
    /// Verb, as RBAC names it.
    pub verb: String,
    /// Resource, with its subresource behind a slash.
    pub resource: String,
    /// Namespace, or "".
    pub namespace: String,
    /// Name, or "".
    pub name: String,
    /// HTTP status.
    pub code: u64,
    /// What was sent, where the audit policy keeps it.
    pub body: Value,
}

impl Entry {
    fn new(event: &Value) -> Self {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_string();
        let resource = match text("/objectRef/subresource").as_str() {
            "" => text("/objectRef/resource"),
            sub => format!("{}/{sub}", text("/objectRef/resource")),
        };
        let body = event["requestObject"].clone();
        let name = match text("/objectRef/name") {
            name if name.is_empty() => body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_string(),
            name => name,
        };
        Self {
            at: text("/requestReceivedTimestamp"),
            done: text("/stageTimestamp"),
            verb: text("/verb"),
            resource,
            namespace: text("/objectRef/namespace"),
            name,
            code: event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default(),
            body,
        }
    }

    /// Whether the request was one that writes.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch" | "")
    }

    /// Whether it lets a Job run.
    pub fn starts(&self) -> bool {
        self.resource == "jobs" && self.verb == "patch" && self.body.pointer("/spec/parallelism") == Some(&json!(1))
    }

    /// Whether it was taken.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.code)
    }
}

/// The requests of one user, in the order in which they arrived. The log lags a little: it is read until it stands still.
pub fn of_user(plane: &ControlPlane, user: &str) -> Vec<Entry> {
    let mut lines = lines_of(plane, user);
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let again = lines_of(plane, user);
        if lines.len() == again.len() {
            break;
        }
        lines = again;
    }
    let events = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut entries: Vec<Entry> = events.filter(|event| event["user"]["username"] == user).map(|event| Entry::new(&event)).collect();
    entries.sort_by(|a, b| a.at.cmp(&b.at));
    entries
}

/// The lines that speak of a user. All tests share the log, so that it is long, and few lines of it are one test's.
fn lines_of(plane: &ControlPlane, user: &str) -> Vec<String> {
    let quoted = format!("\"{user}\"");
    read(plane).lines().filter(|line| line.contains(&quoted)).map(ToString::to_string).collect()
}

fn read(plane: &ControlPlane) -> String {
    let path = plane.audit_log.display();
    std::fs::read_to_string(&plane.audit_log).unwrap_or_else(|error| panic!("the audit log {path:?} (ROUNDS_AUDIT_LOG): {error}"))
}
