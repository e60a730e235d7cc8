//! What a node does in one word, and on whose behalf: by the statuses of the operations that concern it.

use std::sync::Arc;

use jiff::Timestamp;

use super::trace::{Span, State};
use crate::nodeop::api::{NodeOpSpec, NodeOpStatus, NodePhase, NodeStatus, NodeStep};
use crate::reason::Reason;
use crate::snapshot::Resource;
use crate::snapshot::views::Node;
use crate::walk::Walk;

/// An operation, and what is told of it again and again, of one node after the other in the order of their names.
pub(super) struct Running<'a> {
    of: &'a Resource<NodeOpSpec, NodeOpStatus>,
    path: &'a str,
    drains: bool,
    entries: Walk<'a, Arc<str>, Arc<NodeStatus>>,
}

impl<'a> Running<'a> {
    /// An operation as it stands, and its namespace and name.
    pub fn of(of: &'a Resource<NodeOpSpec, NodeOpStatus>, path: &'a str) -> Self {
        Self { of, path, drains: of.spec.drain().is_some(), entries: Walk::over(&of.status.node_statuses) }
    }

    /// What it says of a node; None if it does not concern it.
    fn says(&mut self, node: &Node) -> Option<(State, Option<&'a NodeStatus>)> {
        match self.entries.find(&node.name) {
            Some((_, entry)) => Some((state(entry, self.drains), Some(&**entry))),
            None => {
                let wanted = self.of.spec.node_selector.as_ref().is_none_or(|selector| selector.matches(&node.labels));
                wanted.then_some((State::Waiting, None))
            }
        }
    }
}

/// What a node does, and on whose behalf.
pub(super) struct Doing<'a> {
    state: State,
    operation: Option<&'a str>,
    entry: Option<&'a NodeStatus>,
}

/// What a node does: what the operation says that is on it, else the worst of what the others say.
pub(super) fn doing<'a>(operations: &mut [Running<'a>], node: &Node) -> Doing<'a> {
    let rank = |state: State| match state {
        State::Preflight | State::Draining | State::Blocked | State::Running | State::Rebooting => 0,
        State::Failed => 1,
        State::Waiting => 2,
        State::Done | State::Skipped => 3,
    };
    let said = operations.iter_mut().filter_map(|operation| {
        let (state, entry) = operation.says(node)?;
        Some(Doing { state, operation: Some(operation.path), entry })
    });
    let first = said.min_by_key(|doing| rank(doing.state));
    first.unwrap_or(Doing { state: State::Waiting, operation: None, entry: None })
}

impl Doing<'_> {
    /// Whether a span already tells of this.
    pub fn goes_on(&self, span: &Span) -> bool {
        span.state == self.state && span.operation.as_deref() == self.operation
    }

    /// A span that tells of this.
    pub fn span(&self, from: Timestamp, to: Timestamp) -> Span {
        let operation = self.operation.map(ToString::to_string);
        let mut span = Span { state: self.state, from, to, operation, reason: None, message: String::new() };
        self.tell(&mut span);
        span
    }

    /// Tells why, in the words of now.
    pub fn tell(&self, span: &mut Span) {
        let code = self.entry.and_then(|entry| entry.reason.as_deref());
        if code != span.reason.map(Reason::code) {
            span.reason = code.and_then(Reason::parse);
        }
        let message = self.entry.and_then(|entry| entry.message.as_deref()).unwrap_or_default();
        if message != span.message {
            message.clone_into(&mut span.message);
        }
    }
}

/// An entry in one word.
fn state(entry: &NodeStatus, drains: bool) -> State {
    let finished = |entry: &NodeStatus| match entry.phase {
        NodePhase::Completed if entry.message.as_deref().is_some_and(|message| message.starts_with("Skipped by preflight")) => {
            State::Skipped
        }
        NodePhase::Completed => State::Done,
        NodePhase::Failed => State::Failed,
        _ => State::Waiting,
    };
    match entry.step {
        None => finished(entry),
        Some(NodeStep::Preflight) => State::Preflight,
        Some(NodeStep::Draining) if entry.is_because(Reason::DrainBlocked) => State::Blocked,
        Some(NodeStep::Locking | NodeStep::Draining) if drains => State::Draining,
        Some(NodeStep::Locking | NodeStep::Draining | NodeStep::Starting | NodeStep::Running | NodeStep::Cancelling) => State::Running,
        Some(NodeStep::Rebooting | NodeStep::Verifying) => State::Rebooting,
        Some(NodeStep::Releasing) => finished(entry),
    }
}
