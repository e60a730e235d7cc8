//! How long to wait between two rounds: hardly at all while they change something, longer and longer while something is in
//! flight, and the loop's interval when all is quiet.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::{Round, RoundError};

/// After a round that wrote something, the next one follows on its heels. While the control plane is busy with what was
/// asked of it, as much later as the round took: the next one finds more of it done.
const QUICK: Duration = Duration::from_millis(250);
const BREATH: Duration = Duration::from_secs(3);
/// The first wait for something in flight.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait for something in flight.
const LONGEST: Duration = Duration::from_secs(5);
/// The first wait after a round that could not do its work, and the least when the server asked to slow down.
const TROUBLE: Duration = Duration::from_secs(1);

/// The pace of rounds in a row.
#[derive(Clone, Debug)]
pub struct Pace {
    interval: Duration,
    waiting: Duration,
    trouble: Duration,
}

impl Pace {
    /// A pace that comes down to this interval.
    pub fn new(interval: Duration) -> Self {
        Self { interval, waiting: FIRST, trouble: TROUBLE }
    }

    /// How long to wait after this round, which took so long.
    pub fn after(&mut self, round: &Result<Round, RoundError>, took: Duration) -> Duration {
        let round = match round {
            Err(_) => return self.grow(|pace| &mut pace.trouble, self.interval.max(TROUBLE)),
            Ok(round) => round,
        };
        self.trouble = TROUBLE;
        if round.is_throttled() {
            return self.grow(|pace| &mut pace.waiting, LONGEST).max(TROUBLE);
        }
        if round.wrote() {
            self.waiting = FIRST;
            let took = if round.is_cut_short() || !round.is_at_work() { QUICK } else { took };
            return took.clamp(QUICK, BREATH).min(self.interval);
        }
        if round.is_in_flight() {
            return self.grow(|pace| &mut pace.waiting, LONGEST.min(self.interval));
        }
        self.waiting = FIRST;
        jittered(self.interval)
    }

    /// The present value of a growing wait, which is then doubled up to `longest`.
    fn grow(&mut self, which: fn(&mut Self) -> &mut Duration, longest: Duration) -> Duration {
        let next = which(self);
        let wait = (*next).min(longest);
        *next = next.saturating_mul(2).min(longest);
        wait
    }
}

/// A tenth more or less, so that runners that started together do not ask together for ever.
fn jittered(interval: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) % 2001;
    interval.mul_f64(0.9 + f64::from(u32::try_from(random).unwrap_or(1000)) / 10_000.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cluster::errors::ObserveError;
    use crate::nodeop::api::{NodeOpSpec, NodeOpStatus, NodeStatus, NodeStep};
    use crate::outcome::{ActionOutcome, Verdict};
    use crate::snapshot::{Meta, Reference, Resource, views::Job};

    const MINUTE: Duration = Duration::from_secs(60);

    fn round(verdict: Option<Verdict>, in_flight: bool) -> Result<Round, RoundError> {
        let mut round = Round::default();
        if let Some(verdict) = verdict {
            let what = Reference::default();
            round.outcome.actions.push(ActionOutcome {
                on_behalf_of: what.clone(),
                target: what,
                verb: "release",
                action: String::new(),
                verdict,
            });
        }
        if in_flight {
            let entry = NodeStatus { step: Some(NodeStep::Draining), ..Default::default() };
            let status = NodeOpStatus { node_statuses: Arc::new([("n1".into(), Arc::new(entry))].into()), ..Default::default() };
            let spec: NodeOpSpec = serde_json::from_value(serde_json::json!({ "command": ["true"] })).unwrap();
            round.snapshot.nodeops.push(Resource { meta: Meta::default(), spec, status });
        }
        Ok(round)
    }

    fn millis(pace: &mut Pace, rounds: &[Result<Round, RoundError>]) -> Vec<u128> {
        rounds.iter().map(|round| pace.after(round, Duration::ZERO).as_millis()).collect()
    }

    #[test]
    fn what_moves_is_followed_closely_and_what_hangs_less_and_less() {
        let mut pace = Pace::new(MINUTE);
        let hangs = || round(None, true);
        assert_eq!(millis(&mut pace, &[hangs(), hangs(), hangs(), hangs(), hangs(), hangs()]), [500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(millis(&mut pace, &[round(Some(Verdict::Done), true), hangs()]), [250, 500]);
        let blocked = || round(Some(Verdict::Blocked("web".into())), true);
        assert_eq!(millis(&mut pace, &[blocked(), blocked()]), [1000, 2000]);
        assert!(pace.after(&round(Some(Verdict::Throttled("slow".into())), true), Duration::ZERO) >= TROUBLE);
        // What is only given back keeps nobody busy.
        let mut busy = round(Some(Verdict::Done), true);
        if let Ok(round) = &mut busy {
            round.snapshot.jobs.push(Job::default());
        }
        for (took, wait) in [(100, 250), (1000, 1000), (60_000, 3000)] {
            assert_eq!(pace.after(&busy, Duration::from_millis(took)).as_millis(), wait);
        }
        if let Ok(round) = &mut busy {
            round.snapshot.jobs[0].complete = true;
        }
        assert_eq!(pace.after(&busy, Duration::from_secs(60)), QUICK);
        let mut cut_short = round(Some(Verdict::Done), true);
        if let (Ok(cut_short), Ok(rest)) = (&mut cut_short, round(Some(Verdict::Postponed), true)) {
            cut_short.outcome.actions.extend(rest.outcome.actions);
        }
        assert_eq!(pace.after(&cut_short, Duration::from_secs(60)), QUICK, "what is left is not left for long");
    }

    #[test]
    fn an_idle_loop_comes_down_to_its_interval_give_or_take_a_tenth() {
        let mut pace = Pace::new(MINUTE);
        for _ in 0..100 {
            let wait = pace.after(&round(None, false), Duration::ZERO).as_millis();
            assert!((54_000..=66_000).contains(&wait), "{wait}");
        }
    }

    #[test]
    fn trouble_is_backed_off_from_up_to_the_interval_and_forgotten_afterwards() {
        let mut pace = Pace::new(Duration::from_secs(5));
        let trouble = || Err(RoundError::Observe(ObserveError::Unauthorized("no".into())));
        assert_eq!(millis(&mut pace, &[trouble(), trouble(), trouble(), trouble(), trouble()]), [1000, 2000, 4000, 5000, 5000]);
        assert_eq!(millis(&mut pace, &[round(Some(Verdict::Done), true), trouble()]), [250, 1000]);
    }
}
