//! `rounds run`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use super::global::LogFormat;
use super::live::Live;
use super::metrics::Publisher;
use super::output::{self, Format};
use super::serve::{self, Board};
use super::{Exit, Failure, Global};
use crate::cluster::Cluster;
use crate::report::summary::Tally;
use crate::round::drive::Tell;
use crate::round::{self, Ending, Mode, RoundError, Shutdown};

/// Do rounds: one, or as many as it takes.
///
/// Without a flag it does one round and is over. Nothing is remembered between rounds but what is in the cluster, so any
/// number of runners may overlap, and each may be killed at any time. SIGTERM and SIGINT end it between two writes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rounds run                                    one round
  rounds run --for 50s                          what the CronJob does every minute
  rounds run --loop 30s                         what the Deployment does
  rounds run --until-settled --timeout 30m      in CI: exit 3 if something failed, 4 if the time was up
  rounds run --until-settled -o json            the same, with a report on stdout
  rounds run --metrics-file rounds.prom         tell Prometheus, by node-exporter's textfile collector
  rounds run --dry-run                          ask the server what it would say to each write")]
pub struct Run {
    /// Do rounds for ever: quickly while something is in flight, this far apart when nothing is
    #[arg(long = "loop", value_name = "INTERVAL", value_parser = duration, conflicts_with_all = ["for", "until_settled"])]
    interval: Option<Duration>,
    /// Do rounds until everything is settled, or for this long
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "until_settled")]
    r#for: Option<Duration>,
    /// Do rounds until everything is settled; exit 3 if something failed
    #[arg(long)]
    until_settled: bool,
    /// With --until-settled: give up after this long and exit 4 [default: 30m]
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "until_settled", conflicts_with_all = ["interval", "for"], default_value_if("until_settled", "true", "30m"))]
    timeout: Option<Duration>,
    /// Send every write with dryRun=All: the server checks it and changes nothing
    #[arg(long)]
    dry_run: bool,
    /// After each round, write metrics into this file, for the textfile collector of node-exporter
    #[arg(long, value_name = "FILE")]
    metrics_file: Option<PathBuf>,
    /// With --loop: answer /metrics, /healthz and /readyz here, for example on 0.0.0.0:8080
    #[arg(long, value_name = "ADDRESS", requires = "interval")]
    metrics_address: Option<SocketAddr>,
    /// What to print on stdout when it is over: nothing, or a report
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// A duration as people write it, longer than nothing.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| format!("{error}; give a duration such as 30s, 5m or 1h30m"))?;
    if duration.is_zero() { Err("must be longer than nothing, for example 30s".into()) } else { Ok(duration) }
}

impl Run {
    /// Runs the verb.
    pub async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let board = self.interval.filter(|_| self.metrics_address.is_some()).map(|interval| Arc::new(Board::new(interval)));
        let server = match (self.metrics_address, &board) {
            (Some(address), Some(board)) => Some(tokio::spawn(serve::serve(serve::listen(address).await?, board.clone()))),
            _ => None,
        };
        let mut publisher = Publisher::new(self.metrics_file.clone(), board);
        let result = self.publishing(global, &mut publisher).await;
        if let Some(server) = server {
            server.abort();
        }
        let exit = result?;
        publisher.finish().map(|()| exit)
    }

    /// Does the rounds and publishes what they come to.
    async fn publishing(&self, global: &Global, publisher: &mut Publisher) -> Result<Exit, Failure> {
        let begun = Instant::now();
        let cluster = global.connect().await.inspect_err(|_| publisher.failed())?;
        let shutdown = Shutdown::on_signals().map_err(|error| Failure::new(format!("signals cannot be listened for: {error}")))?;
        let mut live = Live::new(global);
        let mut tally = Tally::default();
        let detailed = self.output == Format::Json;
        let ending = self
            .drive(&cluster, global, &shutdown, &mut |round| {
                live.tell(round);
                tally.add(round, detailed);
                publisher.round(round);
            })
            .await;
        live.finish();
        // A single round that fails is told as the failure of the command, and not by the way.
        if matches!(&ending, Err(error) if tally.rounds == 0 && !matches!(error, RoundError::Stopped)) {
            publisher.failed();
        }
        let ending = ending?;
        let line = tally.line(ending, begun.elapsed());
        match global.log_format {
            LogFormat::Json => tracing::info!(rounds = tally.rounds, writes = tally.writes, refused = tally.refused, "{line}"),
            LogFormat::Text => output::talk(&format!("{line}\n")),
        }
        if detailed {
            output::print_json(&tally.report(ending))?;
        }
        if let Some(message) = tally.not_set_up {
            return Err(Failure::new(message));
        }
        Ok(self.exit(ending))
    }

    /// Does the rounds; None: it was one.
    async fn drive(&self, cluster: &Cluster, global: &Global, shutdown: &Shutdown, tell: Tell<'_>) -> Result<Option<Ending>, RoundError> {
        let settings = global.settings_in(cluster);
        let mode = if self.dry_run { Mode::DryRun } else { Mode::Live };
        if let Some(interval) = self.interval {
            round::run_loop(cluster, &settings, mode, interval, shutdown, tell).await;
            return Ok(Some(Ending::Stopped));
        }
        if let Some(limit) = self.r#for {
            return round::run_for(cluster, &settings, mode, limit, shutdown, tell).await.map(Some);
        }
        if self.until_settled {
            return round::run_until_settled(cluster, &settings, mode, self.timeout, shutdown, tell).await.map(Some);
        }
        let result = round::interruptible(cluster, &settings, mode, usize::MAX, shutdown).await;
        match result {
            Ok(_) => tell(&result),
            Err(error) => return Err(error),
        }
        Ok(None)
    }

    /// A resource that failed does not fail a round: a CronJob must not turn Degraded because a node did. Only who asked
    /// for the end of it is told how it ended.
    fn exit(&self, ending: Option<Ending>) -> Exit {
        match ending {
            Some(Ending::Settled { failed: true }) if self.until_settled => Exit::NotCompleted,
            Some(Ending::TimedOut) if self.until_settled => Exit::TimedOut,
            _ => Exit::Done,
        }
    }
}
