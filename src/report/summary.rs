//! How it ended: one line for people, one document for programs.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::SCHEMA_VERSION;
use super::words::count;
use crate::channel;
use crate::plan::Decision;
use crate::round::{Ending, Round, RoundError, status_after};

/// What is kept of all rounds of a run: sums, and a few words per resource of the last round.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Rounds, those that could not do their work included.
    pub rounds: u64,
    /// Rounds that could not do their work.
    pub troubles: u64,
    /// Writes that the server took.
    pub writes: usize,
    /// Writes that it refused.
    pub refused: usize,
    /// What kept the runner from doing all of its work, when it last did. What was refused once (an Event) may not be tried
    /// again, so that a later round does not make it good.
    pub not_set_up: Option<String>,
    /// What the last round that did its work saw.
    pub last: Option<Last>,
}

/// What is kept of one round.
#[derive(Clone, Debug, PartialEq)]
pub struct Last {
    /// Its time.
    pub time: Timestamp,
    /// Nothing will change any more by itself.
    pub settled: bool,
    /// Something failed, or cannot go on.
    pub failed: bool,
    /// What keeps Rounds from doing all of its work.
    pub warnings: Vec<Value>,
    /// One object per resource.
    pub resources: Vec<Value>,
    /// What became of its writes.
    pub outcome: Value,
}

impl Tally {
    /// Adds a round. What only programs read is left out unless `detailed`.
    pub fn add(&mut self, round: &Result<Round, RoundError>, detailed: bool) {
        self.rounds += 1;
        let round = match round {
            Ok(round) => round,
            Err(_) => {
                self.troubles += 1;
                return;
            }
        };
        self.writes += round.outcome.done();
        self.refused += round.outcome.failures().count();
        self.not_set_up = round.not_set_up().map(ToString::to_string).or(self.not_set_up.take());
        let resources = round.plan.decisions.iter().map(|decision| resource(round, decision, detailed)).collect();
        self.last = Some(Last {
            time: round.snapshot.now,
            settled: round.is_settled(),
            failed: round.is_failed(),
            warnings: super::status::warnings(round),
            resources,
            outcome: if detailed { json!(round.outcome.actions) } else { Value::Null },
        });
    }

    /// One line on how it ended.
    pub fn line(&self, ending: Option<Ending>, elapsed: Duration) -> String {
        let how = match ending {
            None => "done",
            Some(Ending::Settled { failed: false }) => "settled",
            Some(Ending::Settled { failed: true }) => "settled, with failures",
            Some(Ending::TimedOut) => "not settled when the time was up",
            Some(Ending::Stopped) => "stopped",
        };
        let number = |what: fn(&Value) -> bool| self.last.iter().flat_map(|last| &last.resources).filter(|one| what(one)).count();
        let standing = [
            (number(|one| one["settled"] == true && one["failed"] == false), "settled"),
            (number(|one| one["settled"] == false), "not settled"),
            (number(|one| one["settled"] == true && one["failed"] == true), "failed"),
        ];
        let standing: Vec<String> =
            standing.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}")).collect();
        let resources = if standing.is_empty() { "no resources".into() } else { format!("resources: {}", standing.join(", ")) };
        let refused = if self.refused > 0 { format!(", {} refused", self.refused) } else { String::new() };
        let troubles = if self.troubles > 0 { format!(", {} in trouble", self.troubles) } else { String::new() };
        let rounds = count(usize::try_from(self.rounds).unwrap_or(usize::MAX), "round");
        let elapsed = humantime::format_duration(Duration::from_secs_f64((elapsed.as_secs_f64() * 10.0).round() / 10.0));
        format!("{how}: {rounds}{troubles} in {elapsed}, {}{refused}; {resources}", count(self.writes, "write"))
    }

    /// The same for programs, with the last round's decisions and what became of its writes.
    pub fn report(&self, ending: Option<Ending>) -> Value {
        let word = match ending {
            None => "oneRound",
            Some(Ending::Settled { .. }) => "settled",
            Some(Ending::TimedOut) => "timedOut",
            Some(Ending::Stopped) => "stopped",
        };
        let last = self.last.as_ref();
        json!({
            "schemaVersion": SCHEMA_VERSION,
            "ending": word,
            "settled": last.is_some_and(|last| last.settled),
            "failed": last.is_some_and(|last| last.failed),
            "rounds": self.rounds,
            "roundsInTrouble": self.troubles,
            "writes": {"done": self.writes, "refused": self.refused},
            "time": last.map(|last| last.time),
            "warnings": last.map(|last| last.warnings.clone()).unwrap_or_default(),
            "resources": last.map(|last| last.resources.clone()).unwrap_or_default(),
            "lastWrites": last.map(|last| last.outcome.clone()).unwrap_or_else(|| json!([])),
        })
    }
}

fn resource(round: &Round, decision: &Decision, detailed: bool) -> Value {
    let mut value = json!({"resource": decision.subject, "settled": decision.settled, "failed": decision.failed});
    if detailed {
        let status = status_after(&round.snapshot.nodeops, decision);
        value["reason"] = json!(decision.reason);
        value["message"] = json!(decision.message);
        value["phase"] = json!(status.phase);
        if decision.subject.kind == channel::api::KIND {
            let status = status_after(&round.snapshot.channels, decision);
            (value["phase"], value["progress"], value["status"]) = (json!(status.phase), json!(status.progress), json!(status));
            return value;
        }
        value["progress"] = json!(status.progress);
        value["counts"] = json!(status.nodes);
        value["nodes"] = json!(decision.nodes);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{ActionOutcome, Verdict};
    use crate::report::cases;
    use crate::snapshot::Reference;

    fn tally(detailed: bool) -> Tally {
        let mut round = cases::planned();
        let one = |verdict| ActionOutcome {
            on_behalf_of: Reference::default(),
            target: Reference::default(),
            verb: "patch",
            action: "x".into(),
            verdict,
        };
        round.outcome.actions = vec![one(Verdict::Done), one(Verdict::Done), one(Verdict::Failed("no".into()))];
        let mut tally = Tally::default();
        tally.add(&Err(RoundError::Stopped), detailed);
        tally.add(&Ok(round), detailed);
        tally
    }

    #[test]
    fn one_line_says_how_it_ended() {
        assert_eq!(
            tally(false).line(Some(Ending::TimedOut), Duration::from_millis(1234)),
            "not settled when the time was up: 2 rounds, 1 in trouble in 1s 200ms, 2 writes, 1 refused; resources: 1 not settled"
        );
        assert_eq!(Tally::default().line(None, Duration::ZERO), "done: 0 rounds in 0s, 0 writes; no resources");
    }

    #[test]
    fn programs_get_the_last_round_in_detail() {
        let report = tally(true).report(Some(Ending::Settled { failed: true }));
        assert_eq!((&report["schemaVersion"], &report["ending"], &report["failed"]), (&json!(1), &json!("settled"), &json!(true)));
        assert_eq!(report["writes"], json!({"done": 2, "refused": 1}));
        assert_eq!(report["resources"][0]["counts"]["inFlight"], 1);
        assert_eq!(report["lastWrites"][2]["verdict"], "failed");
    }
}
