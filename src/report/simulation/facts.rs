//! What a trace comes down to: how it ended and why, and the figures that people ask for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::clock;
use crate::reason::Reason;
use crate::report::words::count;
use crate::simulate::trace::{NodeTrace, OperationTrace, Span, State, Trace};
use crate::text::one_line;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Ending {
    /// There was no operation.
    Nothing,
    /// Every operation completed.
    Completed,
    /// At least one did not.
    NotCompleted,
}

/// A node on which an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedNode<'a> {
    /// Its name.
    pub name: &'a str,
    /// `<namespace>/<name>` of the operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<&'a str>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// One sentence.
    pub message: &'a str,
}

/// What a trace comes down to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts<'a> {
    /// How it ended.
    pub ending: Ending,
    /// The same in a few words.
    pub verdict: String,
    /// And why: what stopped it, or what it came to.
    pub why: String,
    /// How long it took.
    pub seconds: i64,
    /// See [`Trace::rounds`].
    pub rounds: usize,
    /// See [`Trace::writes`].
    pub writes: usize,
    /// How many nodes there are.
    pub nodes: usize,
    /// Most nodes that were away at once.
    pub most_away: usize,
    /// The same per zone; nodes without a zone under "".
    pub most_away_by_zone: BTreeMap<String, usize>,
    /// How many pods were evicted.
    pub pods_disturbed: usize,
    /// Those of them that were evicted more than once, the most often first.
    pub pods_disturbed_again: Vec<DisturbedPod<'a>>,
    /// See [`Trace::blocked`].
    pub budgets_blocked_seconds: &'a BTreeMap<String, i64>,
    /// How often a maintenance window closed too early, over all operations.
    pub windows_missed: usize,
    /// See [`Trace::operations`].
    pub operations: &'a [OperationTrace],
    /// The nodes that failed, in the order of the trace.
    pub failed_nodes: Vec<FailedNode<'a>>,
}

/// A pod, and how often it was evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DisturbedPod<'a> {
    /// `<namespace>/<name>`.
    pub name: &'a str,
    /// How often.
    pub times: usize,
}

impl<'a> Facts<'a> {
    /// The facts of a trace.
    pub fn of(trace: &'a Trace) -> Self {
        let ending = match trace.operations.is_empty() {
            true => Ending::Nothing,
            false if trace.is_completed() => Ending::Completed,
            false => Ending::NotCompleted,
        };
        let seconds = clock::seconds(trace.begun, trace.ended);
        let (most_away, most_away_by_zone) = trace.most_away();
        let again = trace.disturbed.iter().filter(|(_, times)| **times > 1);
        let mut pods_disturbed_again: Vec<_> = again.map(|(name, times)| DisturbedPod { name, times: *times }).collect();
        pods_disturbed_again.sort_by_key(|pod| std::cmp::Reverse(pod.times));
        let (verdict, why) = match ending {
            Ending::Nothing => ("There is nothing to roll out".into(), "no operation was given".into()),
            Ending::Completed => (format!("The rollout completes in {}", clock::duration(seconds)), came_to(trace, most_away)),
            Ending::NotCompleted => ("The rollout does not complete".into(), stopped_by(trace)),
        };
        Self {
            ending,
            verdict,
            why,
            seconds,
            rounds: trace.rounds,
            writes: trace.writes,
            nodes: trace.nodes.len(),
            most_away,
            most_away_by_zone,
            pods_disturbed: trace.disturbed.len(),
            pods_disturbed_again,
            budgets_blocked_seconds: &trace.blocked,
            windows_missed: trace.operations.iter().map(|operation| operation.windows_missed).sum(),
            operations: &trace.operations,
            failed_nodes: trace.nodes.iter().flat_map(failures).collect(),
        }
    }

    /// How it ended and why, in one sentence.
    pub fn sentence(&self) -> String {
        format!("{}: {}.", self.verdict, self.why.trim_end_matches('.'))
    }
}

/// What a rollout that completes came to.
fn came_to(trace: &Trace, most_away: usize) -> String {
    let standing = Standing::at(trace, trace.ended);
    let skipped = match standing.of(State::Skipped) {
        0 => String::new(),
        skipped => format!(", {skipped} of them skipped"),
    };
    format!("{} done{skipped}, at most {most_away} away at once", count(standing.done(), "node"))
}

/// The first operation that does not complete, and what it says.
fn stopped_by(trace: &Trace) -> String {
    let mut stopped = trace.operations.iter().filter(|operation| !operation.completed);
    let first = stopped.next().map(|operation| format!("{}: {}", title(operation), explained(Some(operation.reason), &operation.message)));
    let more = match stopped.count() {
        0 => String::new(),
        1 => "; 1 more operation does not complete".into(),
        more => format!("; {more} more operations do not complete"),
    };
    first.unwrap_or_default() + &more
}

/// An operation's kind and name.
pub fn title(operation: &OperationTrace) -> String {
    one_line(&format!("{} {}", operation.kind, operation.name))
}

/// A reason with its message, or with its meaning where there is none.
pub fn explained(reason: Option<Reason>, message: &str) -> String {
    match (reason, one_line(message)) {
        (Some(reason), message) if message.is_empty() => format!("{reason}: {}", reason.meaning().trim_end_matches('.')),
        (Some(reason), message) => format!("{reason}: {message}"),
        (None, message) => message,
    }
}

/// The operations that failed on a node and did not go on there: their last spans are failures.
fn failures(node: &NodeTrace) -> Vec<FailedNode<'_>> {
    let mut last: BTreeMap<Option<&str>, &Span> = BTreeMap::new();
    for span in node.spans.iter().filter(|span| span.operation.is_some() || span.state == State::Failed) {
        last.insert(span.operation.as_deref(), span);
    }
    let mut failed: Vec<&Span> = last.into_values().filter(|span| span.state == State::Failed).collect();
    failed.sort_by_key(|span| span.from);
    failed
        .into_iter()
        .map(|span| FailedNode { name: &node.name, operation: span.operation.as_deref(), reason: span.reason, message: &span.message })
        .collect()
}

/// What a node does at a time: its last span that has begun.
pub fn state_at(node: &NodeTrace, now: Timestamp) -> State {
    let begun = node.spans.partition_point(|span| span.from <= now);
    node.spans[..begun].last().map_or(State::Waiting, |span| span.state)
}

/// How many nodes do what at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing([usize; State::ALL.len()]);

impl Standing {
    /// At a time.
    pub fn at(trace: &Trace, now: Timestamp) -> Self {
        let states: Vec<State> = trace.nodes.iter().map(|node| state_at(node, now)).collect();
        Self(State::ALL.map(|state| states.iter().filter(|one| **one == state).count()))
    }

    /// Those that do this.
    pub fn of(&self, state: State) -> usize {
        State::ALL.iter().zip(self.0).find(|(one, _)| **one == state).map_or(0, |(_, nodes)| nodes)
    }

    /// Those with which nothing is left to do.
    pub fn done(&self) -> usize {
        self.of(State::Done) + self.of(State::Skipped)
    }

    /// Those that do not do their ordinary work.
    pub fn away(&self) -> usize {
        State::ALL.into_iter().filter(|state| state.is_away()).map(|state| self.of(state)).sum()
    }
}

/// Where it stands at a time: `12m 30s  9 of 30 done, 1 failed, 1 away`.
pub fn standing(trace: &Trace, now: Timestamp) -> String {
    let standing = Standing::at(trace, now);
    let elapsed = clock::duration(clock::seconds(trace.begun, now));
    let mut words = format!("{elapsed}  {} of {} done", standing.done(), trace.nodes.len());
    for (number, word) in [(standing.of(State::Failed), "failed"), (standing.away(), "away"), (standing.of(State::Blocked), "blocked")] {
        if number > 0 {
            words += &format!(", {number} {word}");
        }
    }
    words
}

/// How many nodes are away from when on. At one moment, who comes back is back before the next one goes.
pub fn away_over_time(trace: &Trace) -> Vec<(Timestamp, usize)> {
    let mut changes: BTreeMap<Timestamp, i64> = BTreeMap::new();
    changes.insert(trace.begun, 0);
    for span in trace.nodes.iter().flat_map(|node| &node.spans).filter(|span| span.state.is_away()) {
        *changes.entry(span.from).or_default() += 1;
        *changes.entry(span.to).or_default() -= 1;
    }
    let mut away = 0_i64;
    let mut steps: Vec<(Timestamp, usize)> = changes
        .into_iter()
        .map(|(time, change)| {
            away += change;
            (time, usize::try_from(away).unwrap_or_default())
        })
        .collect();
    steps.dedup_by_key(|(_, away)| *away);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::simulation::cases::{self, at, node, operation};

    #[test]
    fn the_first_sentence_says_how_it_ended_and_why() {
        let trace = cases::failed();
        let stopped = "The rollout does not complete: NodeOp default/op: StoppedOnFailure: w-2 failed.";
        assert_eq!(Facts::of(&trace).sentence(), stopped);
        let trace = cases::staircase(30);
        assert_eq!(Facts::of(&trace).sentence(), "The rollout completes in 30m: 30 nodes done, at most 1 away at once.");
        assert_eq!(Facts::of(&Trace::default()).sentence(), "There is nothing to roll out: no operation was given.");
    }

    #[test]
    fn several_operations_that_stop_are_counted_and_a_missing_message_is_explained() {
        let stopped = operation(false, Reason::WindowClosed, "", 0, 0, 1);
        let trace = Trace { operations: vec![stopped.clone(), stopped.clone(), stopped], ..Trace::default() };
        let why = "NodeOp default/op: WindowClosed: No maintenance window is open; 2 more operations do not complete";
        assert_eq!(Facts::of(&trace).why, why);
    }

    #[test]
    fn a_node_that_failed_and_was_retried_has_not_failed() {
        use State::*;
        let failed = node("a", "", &[(Running, 5), (Failed, 10), (Waiting, 20)]);
        let retried = node("b", "", &[(Running, 5), (Failed, 10), (Running, 15), (Done, 20)]);
        let trace = Trace { nodes: vec![failed, retried], ..Trace::default() };
        let names: Vec<&str> = Facts::of(&trace).failed_nodes.iter().map(|node| node.name).collect();
        assert_eq!(names, ["a"]);
    }

    #[test]
    fn the_standing_is_that_of_a_moment() {
        let trace = cases::failed();
        let standing = Standing::at(&trace, at(700));
        assert_eq!((standing.done(), standing.away(), standing.of(State::Blocked), standing.of(State::Waiting)), (1, 1, 1, 2));
        let standing = Standing::at(&trace, at(720));
        assert_eq!((standing.of(State::Blocked), standing.of(State::Running)), (0, 1), "a boundary belongs to what begins there");
        assert_eq!(super::standing(&trace, at(700)), "11m 40s  1 of 4 done, 1 away, 1 blocked");
    }

    #[test]
    fn the_curve_and_the_most_that_were_away_agree() {
        let trace = cases::failed();
        let steps: Vec<(i64, usize)> =
            away_over_time(&trace).into_iter().map(|(time, away)| (clock::seconds(trace.begun, time), away)).collect();
        assert_eq!(steps, [(0, 0), (60, 1), (1080, 0)]);
        assert_eq!(steps.iter().map(|step| step.1).max(), Some(trace.most_away().0));
    }

    #[test]
    fn pods_that_were_disturbed_more_than_once_are_named() {
        let trace = cases::failed();
        let facts = Facts::of(&trace);
        assert_eq!((facts.pods_disturbed, facts.windows_missed), (2, 2));
        assert_eq!(facts.pods_disturbed_again, [DisturbedPod { name: "default/web-1", times: 3 }]);
    }
}
