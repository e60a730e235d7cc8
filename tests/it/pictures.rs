//! The picture of a simulated rollout, at the size of a real fleet. `ROUNDS_PICTURES=<folder>` keeps the files, to be looked at.

use jiff::Timestamp;
use rounds::reason::Reason;
use rounds::report::simulation::{gantt, markdown, summary, timeline};
use rounds::simulate::trace::{NodeTrace, OperationTrace, Span, State, Trace};

const BEGUN: i64 = 1_800_000_000;

/// Nodes of three zones that are upgraded with reboots, so many at a time: one drain is blocked, one node fails, and that
/// stops the rest or does not.
fn rollout(nodes: usize, at_a_time: usize, stops: bool) -> Trace {
    let mut trace = Trace { begun: at(0), rounds: nodes * 7, writes: nodes * 9, ..Trace::default() };
    let mut free = vec![0_i64; at_a_time];
    let (fails, blocked) = (nodes * 6 / 10, nodes * 4 / 10);
    let mut stopped = None;
    for number in 0..nodes {
        let control_plane = number < 3 && nodes > 3;
        let name =
            if control_plane { format!("cp-{}", number + 1) } else { format!("worker-{:03}", number + 1 - if nodes > 3 { 3 } else { 0 }) };
        // One node of the control plane at a time.
        let slot = if control_plane { 0 } else { (0..at_a_time).min_by_key(|slot| free[*slot]).unwrap() };
        let mut node =
            NodeTrace { name, zone: Some(format!("eu-west-1{}", ["a", "b", "c"][number % 3])), control_plane, spans: Vec::new() };
        let start = free[slot] + 5;
        if stopped.is_none_or(|moment| start < moment) {
            free[slot] = work(&mut node, number, start, number == fails, number == blocked);
            if control_plane {
                let all = free[slot];
                free.fill(all);
            }
            if number == fails && stops {
                stopped = Some(free[slot]);
            }
        }
        trace.nodes.push(node);
    }
    let end = free.into_iter().max().unwrap_or(0) + 20;
    trace.ended = at(end);
    trace.nodes.iter_mut().for_each(|node| fill(node, end));
    let count = |state| trace.nodes.iter().filter(|node| node.spans.last().unwrap().state == state).count();
    let (done, failed, left) = (count(State::Done) + count(State::Skipped), count(State::Failed), count(State::Waiting));
    let (reason, message) = match (failed, left) {
        (0, _) => (Reason::Completed, String::new()),
        (_, 0) => (Reason::NodesFailed, format!("{failed} of {nodes} nodes failed")),
        _ => (Reason::StoppedOnFailure, format!("{} failed, and stopOnFailure starts no further node", trace.nodes[fails].name)),
    };
    let (kind, name) = ("NodeOp".into(), "kairos-system/upgrade-to-v3-5".into());
    trace.operations.push(OperationTrace { kind, name, completed: failed == 0, reason, message, done, failed, left, windows_missed: 1 });
    trace.disturbed = (0..nodes).map(|pod| (format!("shop/web-{pod}"), 1 + pod % 7 / 6)).collect();
    trace.blocked = [("shop/web".to_string(), 540)].into();
    trace
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(BEGUN + second).unwrap()
}

/// What a node does from a second on, and when its slot is free again.
fn work(node: &mut NodeTrace, number: usize, start: i64, fails: bool, blocked: bool) -> i64 {
    let jitter = i64::try_from(number * 37 % 50).unwrap();
    let mut steps = vec![(State::Preflight, 15)];
    if number % 11 == 7 && !fails {
        steps.push((State::Skipped, 0));
    } else {
        steps.extend([(State::Draining, 60 + jitter), (State::Blocked, if blocked { 540 } else { 0 })]);
        steps.push((State::Running, 120 + 2 * jitter));
        steps.extend(if fails { vec![(State::Failed, 0)] } else { vec![(State::Rebooting, 90 + jitter), (State::Done, 0)] });
    }
    let mut now = start;
    node.spans.push(span(State::Waiting, 0, start));
    for (state, seconds) in steps.into_iter().filter(|(state, seconds)| *seconds > 0 || *state > State::Rebooting) {
        node.spans.push(span(state, now, now + seconds));
        now += seconds;
    }
    now
}

fn span(state: State, from: i64, to: i64) -> Span {
    let (reason, message) = match state {
        State::Failed => (Some(Reason::CommandFailed), "exit code 1: kairos-agent: no space left on device"),
        State::Blocked => (Some(Reason::DrainBlocked), "budget shop/web allows no disruption"),
        _ => (None, ""),
    };
    Span { state, from: at(from), to: at(to), operation: None, reason, message: message.into() }
}

/// The last thing that a node did lasts to the end.
fn fill(node: &mut NodeTrace, end: i64) {
    match node.spans.last_mut() {
        Some(last) => last.to = at(end),
        None => node.spans.push(span(State::Waiting, 0, end)),
    }
}

#[test]
fn pictures_of_small_and_large_fleets_are_small_files_that_are_well_formed() {
    for (nodes, at_a_time, stops) in
        [(1, 1, false), (10, 1, true), (10, 2, false), (30, 3, true), (100, 5, true), (500, 20, false), (500, 20, true)]
    {
        let trace = rollout(nodes, at_a_time, stops);
        let picture = gantt::svg(&trace);
        assert!(picture.len() < 1 << 20, "{nodes} nodes: {} bytes", picture.len());
        assert_well_formed(&picture);
        let name = format!("{nodes}-nodes-{at_a_time}-at-a-time{}", if stops { "-stopped" } else { "" });
        let plain = |text: String| anstream::adapter::strip_str(&text).to_string();
        keep(&format!("{name}.svg"), &picture);
        keep(&format!("{name}.md"), &markdown::markdown(&trace));
        keep(&format!("{name}.txt"), &format!("{}\n{}", plain(summary::text(&trace)), plain(timeline::timeline(&trace, 120, 40))));
        keep(&format!("{name}-live.txt"), &plain(timeline::live(&trace, at(2000), 100, 30).join("\n")));
    }
}

fn keep(name: &str, text: &str) {
    if let Some(folder) = std::env::var_os("ROUNDS_PICTURES") {
        std::fs::write(std::path::Path::new(&folder).join(name), text).unwrap();
    }
}

/// Every element is closed by its own name, and no text has a bare bracket or an unknown reference.
fn assert_well_formed(document: &str) {
    let mut open: Vec<&str> = Vec::new();
    let body = document.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").unwrap();
    for part in body.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap();
        let name = tag.split([' ', '/']).find(|word| !word.is_empty()).unwrap();
        match (tag.starts_with('/'), tag.ends_with('/')) {
            (true, _) => assert_eq!(open.pop(), Some(name), "{part}"),
            (false, true) => {}
            (false, false) => open.push(name),
        }
        assert!(!text.contains('>'), "{part}");
        for reference in part.split('&').skip(1) {
            assert!(["lt;", "gt;", "amp;", "quot;"].iter().any(|known| reference.starts_with(known)), "{part}");
        }
    }
    assert!(open.is_empty(), "{open:?}");
}
