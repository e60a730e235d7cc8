//! `rounds run`.

use std::time::Duration;

use clap::Args;

use super::output::{self, Format};
use super::{Exit, Failure, Global};
use crate::report::progress::Progress;
use crate::report::summary;
use crate::round::{self, Ending, Mode, Round, RoundError, Shutdown};

/// Do rounds: one, or as many as it takes.
///
/// Without a flag it does one round and is over. Nothing is remembered between rounds but what is in the cluster, so any
/// number of runners may overlap, and each may be killed at any time.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rounds run                                    one round
  rounds run --for 50s                          what the CronJob does every minute
  rounds run --loop 30s                         what the Deployment does
  rounds run --until-settled --timeout 30m      in CI: exit 3 if something failed, 4 if the time was up
  rounds run --dry-run                          ask the server what it would say to each write")]
pub struct Run {
    /// Do rounds for ever: quickly while something is in flight, this far apart when nothing is
    #[arg(long = "loop", value_name = "INTERVAL", value_parser = duration, conflicts_with_all = ["for", "until_settled"])]
    interval: Option<Duration>,
    /// Do rounds until everything is settled, or for this long
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "until_settled")]
    r#for: Option<Duration>,
    /// Do rounds until everything is settled
    #[arg(long)]
    until_settled: bool,
    /// With --until-settled: give up after this long
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "until_settled", default_value_if("until_settled", "true", "30m"))]
    timeout: Option<Duration>,
    /// Send every write with dryRun=All
    #[arg(long)]
    dry_run: bool,
    /// What to print on stdout when it is over
    #[arg(long, short, value_name = "FORMAT")]
    output: Option<Format>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| format!("{error}; give a duration such as 30s, 5m or 1h30m"))?;
    if duration.is_zero() { Err("must be longer than nothing, for example 30s".into()) } else { Ok(duration) }
}

impl Run {
    /// Runs the verb.
    pub async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let cluster = global.connect().await?;
        let settings = global.settings();
        let mode = if self.dry_run { Mode::DryRun } else { Mode::Live };
        let shutdown = Shutdown::on_signals().map_err(|error| Failure::new(format!("signals cannot be listened for: {error}")))?;
        let mut progress = Progress::new(global.log_format == super::global::LogFormat::Text && super::logging::colour());
        let mut last: Option<Round> = None;
        let mut rounds = 0_u64;
        let mut tell = |result: &Result<Round, RoundError>| {
            rounds += 1;
            match result {
                Ok(round) => {
                    progress.tell(round);
                    last = Some(round.clone());
                }
                Err(error) => tracing::error!(hint = error.hint(), "{error}"),
            }
        };
        let ending = if let Some(interval) = self.interval {
            round::run_loop(&cluster, &settings, mode, interval, &shutdown, &mut tell).await;
            Ok(Some(Ending::Stopped))
        } else if let Some(limit) = self.r#for {
            round::run_for(&cluster, &settings, mode, limit, &shutdown, &mut tell).await.map(Some)
        } else if self.until_settled {
            round::run_until_settled(&cluster, &settings, mode, self.timeout, &shutdown, &mut tell).await.map(Some)
        } else {
            let result = round::interruptible(&cluster, &settings, mode, &shutdown).await;
            if result.is_ok() {
                tell(&result);
            }
            result.map(|_| None)
        };
        progress.finish();
        let ending = ending?;
        let exit = self.exit(ending, last.as_ref());
        if let Some(round) = &last {
            self.conclude(round, ending, rounds)?;
        }
        Ok(exit)
    }

    /// A resource that failed does not fail a round: a CronJob must not turn Degraded because a node did. Only who asked
    /// for the end of it is told how it ended.
    fn exit(&self, ending: Option<Ending>, last: Option<&Round>) -> Exit {
        if last.is_some_and(|round| round.outcome.not_set_up().is_some()) {
            return Exit::Failed;
        }
        match ending {
            Some(Ending::Settled { failed: true }) if self.until_settled => Exit::NotCompleted,
            Some(Ending::TimedOut) if self.until_settled => Exit::TimedOut,
            _ => Exit::Done,
        }
    }

    fn conclude(&self, round: &Round, ending: Option<Ending>, rounds: u64) -> Result<(), Failure> {
        eprintln!("{}", summary::line(round, ending, rounds));
        match self.output {
            None => Ok(()),
            Some(Format::Text) => output::print(&crate::report::table::nodeops(round)),
            Some(Format::Json) => output::print_json(&summary::report(round, ending, rounds)),
        }
    }
}
