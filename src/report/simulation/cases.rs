//! Traces for the tests of this room.

use jiff::Timestamp;

use crate::reason::Reason;
use crate::simulate::trace::{NodeTrace, OperationTrace, Span, State, Trace};

/// So many seconds after the beginning.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A node that did one thing after the other, each until a second.
pub fn node(name: &str, zone: &str, did: &[(State, i64)]) -> NodeTrace {
    let mut from = 0;
    let spans = did.iter().map(|(state, to)| {
        let operation = (*state != State::Waiting).then(|| "default/op".to_string());
        let (reason, message) = match state {
            State::Failed => (Some(Reason::CommandFailed), "exit code 1: no <space> left"),
            State::Blocked => (Some(Reason::DrainBlocked), "budget default/web allows no disruption"),
            _ => (None, ""),
        };
        let span = Span { state: *state, from: at(from), to: at(*to), operation, reason, message: message.into() };
        from = *to;
        span
    });
    let zone = (!zone.is_empty()).then(|| zone.to_string());
    NodeTrace { name: name.into(), zone, control_plane: name.starts_with("cp"), spans: spans.collect() }
}

/// An operation.
pub fn operation(completed: bool, reason: Reason, message: &str, done: usize, failed: usize, left: usize) -> OperationTrace {
    let (kind, name, message) = ("NodeOp".into(), "default/op".into(), message.into());
    OperationTrace { kind, name, completed, reason, message, done, failed, left, windows_missed: 0 }
}

/// Twenty minutes: one node is done, one was blocked for a while, one failed, one was never reached.
pub fn failed() -> Trace {
    use State::*;
    let mut operation = operation(false, Reason::StoppedOnFailure, "w-2 failed", 2, 1, 1);
    operation.windows_missed = 2;
    Trace {
        begun: at(0),
        ended: at(1200),
        rounds: 40,
        writes: 31,
        nodes: vec![
            node("cp-1", "a", &[(Preflight, 60), (Draining, 120), (Running, 240), (Rebooting, 360), (Done, 1200)]),
            node("w-1", "a", &[(Waiting, 360), (Draining, 420), (Blocked, 720), (Running, 840), (Done, 1200)]),
            node("w-2", "b", &[(Waiting, 840), (Draining, 900), (Running, 1080), (Failed, 1200)]),
            node("w-3", "b", &[(Waiting, 1200)]),
        ],
        operations: vec![operation],
        disturbed: [("default/web-1".to_string(), 3), ("default/web-2".to_string(), 1)].into(),
        blocked: [("default/web".to_string(), 300)].into(),
    }
}

/// So many nodes, one after the other, a minute each; all done.
pub fn staircase(nodes: i64) -> Trace {
    use State::*;
    let one = |number: i64| {
        let (from, end) = (number * 60, nodes * 60);
        let did = [(Waiting, from), (Draining, from + 20), (Running, from + 60), (Done, end)];
        node(&format!("w-{number:03}"), ["a", "b", "c"][usize::try_from(number % 3).unwrap()], &did)
    };
    let done = usize::try_from(nodes).unwrap();
    Trace {
        begun: at(0),
        ended: at(nodes * 60),
        rounds: done,
        nodes: (0..nodes).map(one).collect(),
        operations: vec![operation(true, Reason::Completed, "", done, 0, 0)],
        ..Trace::default()
    }
}
