//! Rounds in a row. The drivers know when to stop and how long to wait; what a round is, they do not.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::pace::Pace;
use super::{Mode, Round, RoundError, Shutdown, interruptible};
use crate::cluster::Cluster;
use crate::settings::Settings;

/// How a row of rounds ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing will change any more unless somebody changes something.
    Settled {
        /// Whether a resource failed, or cannot go on.
        failed: bool,
    },
    /// The time was up before everything had settled.
    TimedOut,
    /// A shutdown was asked for.
    Stopped,
}

/// How many writes a round in a row makes before it leaves the rest to the next one. A thousand nodes are then locked while
/// the commands on the first of them run already; a round that locked them all would leave the control plane idle meanwhile.
const WRITES: usize = 500;

/// What is told of every finished round.
pub type Tell<'a> = &'a mut dyn FnMut(&Result<Round, RoundError>);

/// Rounds until a shutdown is asked for, an interval apart when all is quiet. A round that fails is told and tried again.
pub async fn run_loop(cluster: &Cluster, settings: &Settings, mode: Mode, interval: Duration, shutdown: &Shutdown, tell: Tell<'_>) {
    let next = async || interruptible(cluster, settings, mode, WRITES, shutdown).await;
    let mut pace = Pace::new(interval);
    while !shutdown.is_requested() {
        let begun = Instant::now();
        let round = next().await;
        let took = begun.elapsed();
        tell(&round);
        wait(pace.after(&round, took), shutdown).await;
    }
}

/// Rounds until everything has settled or this much time has passed, whichever comes first: for a CronJob, whose next run
/// goes on with what is left.
///
/// # Errors
/// When the last round could not do its work.
pub async fn run_for(
    cluster: &Cluster,
    settings: &Settings,
    mode: Mode,
    limit: Duration,
    shutdown: &Shutdown,
    tell: Tell<'_>,
) -> Result<Ending, RoundError> {
    settle(async || interruptible(cluster, settings, mode, WRITES, shutdown).await, Some(limit), shutdown, tell).await
}

/// Rounds until everything has settled; None: however long that takes.
///
/// # Errors
/// When the time is up and the last round could not do its work.
pub async fn run_until_settled(
    cluster: &Cluster,
    settings: &Settings,
    mode: Mode,
    limit: Option<Duration>,
    shutdown: &Shutdown,
    tell: Tell<'_>,
) -> Result<Ending, RoundError> {
    settle(async || interruptible(cluster, settings, mode, WRITES, shutdown).await, limit, shutdown, tell).await
}

/// Nothing settles by itself sooner than this, so nobody looks more seldom while waiting for it.
const QUIET: Duration = Duration::from_secs(5);

async fn settle<R>(next: R, limit: Option<Duration>, shutdown: &Shutdown, tell: Tell<'_>) -> Result<Ending, RoundError>
where
    R: AsyncFn() -> Result<Round, RoundError>,
{
    let begun = Instant::now();
    let mut pace = Pace::new(QUIET);
    loop {
        let started = Instant::now();
        let round = next().await;
        let took = started.elapsed();
        tell(&round);
        if let Ok(round) = &round
            && round.is_settled()
        {
            return Ok(Ending::Settled { failed: round.is_failed() });
        }
        if shutdown.is_requested() {
            return Ok(Ending::Stopped);
        }
        let pause = pace.after(&round, took);
        let left = limit.map(|limit| limit.saturating_sub(begun.elapsed()));
        if left.is_some_and(|left| left <= pause) {
            return round.map(|_| Ending::TimedOut);
        }
        wait(pause, shutdown).await;
        if shutdown.is_requested() {
            return Ok(Ending::Stopped);
        }
    }
}

/// Waits, but not longer than until a shutdown is asked for.
async fn wait(pause: Duration, shutdown: &Shutdown) {
    let _ = timeout(pause, shutdown.requested()).await;
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::cluster::errors::ObserveError;
    use crate::plan::Decision;
    use crate::reason::Reason;
    use crate::snapshot::Reference;

    fn round(settled: bool, failed: bool) -> Result<Round, RoundError> {
        let mut round = Round::default();
        round.plan.decisions.push(Decision {
            subject: Reference::default(),
            reason: Reason::Progressing,
            message: String::new(),
            settled,
            failed,
            status: None,
            steps: Vec::new(),
            nodes: Default::default(),
        });
        Ok(round)
    }

    fn trouble() -> Result<Round, RoundError> {
        Err(RoundError::Observe(ObserveError::Unauthorized("no".into())))
    }

    /// Runs the given rounds, the first of them last, and tells how many were told.
    async fn run(
        rounds: Vec<Result<Round, RoundError>>,
        limit: Option<Duration>,
        shutdown: &Shutdown,
    ) -> (Result<Ending, RoundError>, usize) {
        let rounds = RefCell::new(rounds);
        let mut told = 0;
        let ending = settle(async || rounds.borrow_mut().pop().unwrap(), limit, shutdown, &mut |_| told += 1).await;
        (ending, told)
    }

    #[tokio::test]
    async fn rounds_end_when_all_has_settled() {
        for failed in [false, true] {
            let (ending, told) = run(vec![round(true, failed), trouble()], Some(Duration::from_secs(60)), &Shutdown::never()).await;
            assert_eq!((ending.unwrap(), told), (Ending::Settled { failed }, 2));
        }
    }

    #[tokio::test]
    async fn rounds_end_when_the_time_is_up_with_the_last_error_if_there_is_one() {
        let (ending, told) = run(vec![round(false, true)], Some(Duration::ZERO), &Shutdown::never()).await;
        assert_eq!((ending.unwrap(), told), (Ending::TimedOut, 1));
        let (ending, _) = run(vec![trouble()], Some(Duration::from_millis(10)), &Shutdown::never()).await;
        assert!(ending.is_err());
    }

    #[tokio::test]
    async fn a_shutdown_ends_the_wait_at_once() {
        let shutdown = Shutdown::never();
        let asker = shutdown.clone();
        let ask = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            asker.request();
        };
        let begun = Instant::now();
        let ((ending, told), ()) = futures::future::join(run(vec![round(false, false)], None, &shutdown), ask).await;
        assert_eq!((ending.unwrap(), told), (Ending::Stopped, 1));
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
}
