//! `rounds simulate`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use super::output;
use super::{Exit, Failure, Global};
use crate::artifact;
use crate::channel::{Channel, image, poll};
use crate::report::simulation::{gantt, markdown, summary, timeline};
use crate::report::words::count;
use crate::settings::Settings;
use crate::simulate::fleet::{Fleet, Size};
use crate::simulate::model::{Model, Spread};
use crate::simulate::rollout::{Limits, Rollout};
use crate::simulate::trace::Trace;
use crate::simulate::world::World;
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{self, Loaded};
use crate::snapshot::views::Owner;
use crate::text;

/// Run a whole rollout in memory, before it happens.
///
/// The very same decisions and steps as in `rounds run`, against a cluster in memory and in virtual time: what takes hours
/// takes a moment. It takes manifests (operations; nodes, pods and disruption budgets if there are any) or a file of
/// `rounds snapshot`; without nodes, a fleet is made up. Nothing is asked of any cluster.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rounds simulate examples/nodeop-reboot.yaml --nodes 30 --control-planes 3 --zones 3
  rounds simulate fleet.json nodeop.yaml                  over the cluster that rounds snapshot has seen
  rounds simulate nodeop.yaml --nodes 30 --fail worker-07 what if the command fails there?
  rounds simulate nodeop.yaml --nodes 30 --kill worker-07@12m --svg rollout.svg
  rounds simulate nodeop.yaml --nodes 30 -o markdown      for a pull request

Exit code 0: the rollout completes; 3: it does not, or an operation's selector matches no node.")]
pub struct Simulate {
    /// Manifests (folders, files, or - for stdin), files of rounds snapshot among them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Make up a fleet of so many nodes, with pods and disruption budgets
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    nodes: Option<u32>,
    /// How many of them are control-plane nodes
    #[arg(long, value_name = "NUMBER", requires = "nodes", default_value = "0")]
    control_planes: u32,
    /// Over how many zones they are spread
    #[arg(long, value_name = "NUMBER", requires = "nodes", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1000))]
    zones: u32,
    /// How long a command takes
    #[arg(long, value_name = "DURATION", default_value = "2m±30s")]
    job: Spread,
    /// How long a preflight takes
    #[arg(long, value_name = "DURATION", default_value = "5s±2s")]
    preflight: Spread,
    /// How long a node takes to reboot
    #[arg(long, value_name = "DURATION", default_value = "90s±20s")]
    reboot: Spread,
    /// How long an evicted pod takes to leave
    #[arg(long, value_name = "DURATION", default_value = "20s±10s")]
    eviction: Spread,
    /// How long its replacement takes to be Ready
    #[arg(long, value_name = "DURATION", default_value = "20s±10s")]
    ready: Spread,
    /// A node on which the command fails (repeatable, or a,b)
    #[arg(long, value_name = "NODE", value_delimiter = ',')]
    fail: Vec<String>,
    /// The share of nodes on which it fails, drawn by the seed
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = percent)]
    fail_rate: f64,
    /// A node that dies so long after the beginning, and does not come back (repeatable, or a,b)
    #[arg(long, value_name = "NODE@AFTER", value_delimiter = ',', value_parser = kill)]
    kill: Vec<(String, Duration)>,
    /// What is drawn: the same seed gives the same rollout
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    seed: u64,
    /// When it begins, for maintenance windows; unset: now, or when the snapshot was taken
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// How far rounds are apart; unset: one second, and more from a thousand nodes on
    #[arg(long, value_name = "DURATION", value_parser = super::run::duration)]
    every: Option<Duration>,
    /// Give up after so much virtual time
    #[arg(long, value_name = "DURATION", value_parser = super::run::duration, default_value = "14days")]
    limit: Duration,
    /// What to print
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    output: Format,
    /// Draw a Gantt picture into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// On a terminal, show the rollout in so much time before it is summed up; 0s: not at all
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = humantime::parse_duration)]
    replay: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: a timeline and a summary
    Text,
    /// One JSON document with a schemaVersion
    Json,
    /// The summary for a pull request
    Markdown,
}

/// A share such as `5%`, from 0 to 1.
fn percent(text: &str) -> Result<f64, String> {
    let number: f64 = text.trim_end_matches('%').parse().map_err(|_| format!("{text:?} is not a share: write for example 5%"))?;
    if (0.0..=100.0).contains(&number) { Ok(number / 100.0) } else { Err("must be from 0% to 100%".into()) }
}

/// A node and when it dies, such as `node-7@12m`.
fn kill(text: &str) -> Result<(String, Duration), String> {
    let remedy = "write a node and a time after the beginning, for example node-7@12m";
    let (node, after) = text.split_once('@').ok_or_else(|| remedy.to_string())?;
    let after = humantime::parse_duration(after).map_err(|error| format!("{after:?}: {error}; {remedy}"))?;
    Ok((node.to_string(), after))
}

impl Simulate {
    /// Runs the verb.
    pub async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let trace = self.rollout(global)?;
        if let Some(file) = &self.svg {
            std::fs::write(file, gantt::svg(&trace))
                .map_err(|error| Failure::new(format!("{} cannot be written: {error}", file.display())))?;
        }
        match self.output {
            Format::Json => output::print_json(&summary::json(&trace))?,
            Format::Markdown => output::print(&markdown::markdown(&trace))?,
            Format::Text => {
                self.replay(&trace).await;
                let (columns, rows) = size();
                output::print(&timeline::timeline(&trace, columns, rows))?;
                output::print(&format!("\n{}", summary::text(&trace)))?;
            }
        }
        Ok(if trace.is_completed() { Exit::Done } else { Exit::NotCompleted })
    }

    /// The whole rollout.
    fn rollout(&self, global: &Global) -> Result<Trace, Failure> {
        let loaded = self.loaded()?;
        let nodes: BTreeSet<&str> = loaded.snapshot.nodes.keys().map(String::as_str).collect();
        for name in self.fail.iter().chain(self.kill.iter().map(|(name, _)| name)) {
            if !nodes.contains(name.as_str()) {
                let (first, last) = (nodes.first().copied().unwrap_or_default(), nodes.last().copied().unwrap_or_default());
                let message = format!("there is no node {:?}", text::one_line(name));
                return Err(Failure::new(message)
                    .hint(format!("{} are there, from {first} to {last}", count(nodes.len(), "node")))
                    .usage());
            }
        }
        let mut limits = Limits::of(loaded.snapshot.nodes.len());
        limits.every = self.every.map_or(limits.every, signed);
        limits.longest = signed(self.limit);
        let world = World::new(loaded.snapshot, loaded.workload, self.model(), self.seed);
        let kills = self.kill.iter().map(|(node, after)| (signed(*after), node.clone())).collect();
        // No time is simulated in which nodes are looked at: they count as probed.
        let settings = Settings { probe_namespace: None, ..global.settings() };
        let (rollout, _) = Rollout::new(world, settings, limits, kills).run(|_| {});
        Ok(rollout.trace())
    }

    fn model(&self) -> Model {
        Model {
            job: self.job,
            preflight: self.preflight,
            reboot: self.reboot,
            eviction: self.eviction,
            ready: self.ready,
            failures: self.fail.iter().map(|node| (node.clone(), u32::MAX)).collect::<BTreeMap<_, _>>(),
            fail_rate: self.fail_rate,
            ..Model::default()
        }
    }

    /// What the files say, with a fleet made up where they have none.
    fn loaded(&self) -> Result<Loaded, Failure> {
        #[expect(clippy::disallowed_methods, reason = "manifests carry no clock; the user's is the one that counts")]
        let now = self.at.unwrap_or_else(Timestamp::now);
        let sources = manifests::read(&self.paths).map_err(Failure::all)?;
        let mut loaded = manifests::load(&sources, now).map_err(Failure::all)?;
        if let Some(at) = self.at {
            loaded.snapshot.now = at;
        }
        pass_over_artifacts(&mut loaded);
        pin(&mut loaded)?;
        if loaded.snapshot.nodeops.is_empty() && loaded.snapshot.upgrades.is_empty() && loaded.snapshot.channels.is_empty() {
            let hint = "pass one, for example examples/nodeop-reboot.yaml";
            let message = "there is no NodeOp, NodeOpUpgrade or UpdateChannel among the manifests, so nothing would happen";
            return Err(Failure::new(message).hint(hint));
        }
        match self.nodes {
            Some(_) if !loaded.snapshot.nodes.is_empty() => {
                let message = format!("the manifests have {} already", count(loaded.snapshot.nodes.len(), "node"));
                return Err(Failure::new(message).hint("leave --nodes out, or the nodes").usage());
            }
            None if loaded.snapshot.nodes.is_empty() => {
                let hint = "make some up with --nodes 30 --control-planes 3 --zones 3, or pass a file of rounds snapshot";
                return Err(Failure::new("there is no Node among the manifests").hint(hint));
            }
            Some(nodes) => {
                let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
                let size = Size { nodes: number(nodes), control_planes: number(self.control_planes), zones: number(self.zones) };
                let fleet = Fleet::of(size, loaded.snapshot.now);
                loaded.snapshot.nodes = fleet.nodes;
                loaded.snapshot.budgets.extend(fleet.budgets);
                loaded.workload.extend(fleet.pods);
            }
            None => {}
        }
        Ok(loaded)
    }

    /// Shows the rollout in a few seconds, where somebody watches.
    async fn replay(&self, trace: &Trace) {
        const FRAME: Duration = Duration::from_millis(80);
        if self.replay.is_zero() || !std::io::stderr().is_terminal() || !std::io::stdout().is_terminal() {
            return;
        }
        let frames = i64::try_from(self.replay.as_millis() / FRAME.as_millis()).unwrap_or(i64::MAX).max(1);
        let whole = trace.ended.duration_since(trace.begun);
        let (columns, rows) = size();
        let mut drawn = 0;
        for frame in 1..=frames {
            let now = trace.begun.checked_add(SignedDuration::from_secs(whole.as_secs() * frame / frames)).unwrap_or(trace.ended);
            let lines = timeline::live(trace, now, columns, rows);
            output::redraw(&format!("{}\n", lines.join("\n")), drawn);
            drawn = lines.len();
            tokio::time::sleep(FRAME).await;
        }
        output::redraw("", drawn);
    }
}

/// Columns and rows of the terminal.
fn size() -> (usize, usize) {
    terminal_size::terminal_size().map_or((100, 40), |(width, height)| (width.0.into(), usize::from(height.0).saturating_sub(2).max(8)))
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// Channels bring the version that they know: nobody is asked, and no time is simulated in which something is published.
fn pin(loaded: &mut Loaded) -> Result<(), Failure> {
    check(&loaded.snapshot)?;
    for channel in &mut loaded.snapshot.channels {
        if channel.spec.pinned().is_none() {
            channel.spec.version.clone_from(&channel.status.latest_version);
        }
        if channel.spec.pinned().is_none() {
            let message =
                format!("UpdateChannel {} wants the newest version, and a simulation asks nobody which that is", channel.meta.path());
            return Err(Failure::new(message).hint("set spec.version to a version, for example v3.6.0, or pass a file of rounds snapshot"));
        }
    }
    Ok(())
}

/// What is wrong with channels whatever their version is said first: a version to look for is not to be asked for in vain.
fn check(snapshot: &Snapshot) -> Result<(), Failure> {
    let said = |channel: &Channel| {
        let spec = &channel.spec;
        let poll = if spec.pinned().is_none() { poll::check(spec).err() } else { poll::terms(spec).err() };
        let image = spec.image().and_then(|image| image::check(image).err());
        let path = channel.meta.path();
        [poll, image].into_iter().flatten().map(move |message| format!("UpdateChannel {path}: {message}")).collect::<Vec<_>>()
    };
    let mistakes: Vec<String> = snapshot.channels.iter().flat_map(said).collect();
    if mistakes.is_empty() { Ok(()) } else { Err(Failure::all(mistakes)) }
}

/// A build has nothing to do with nodes, and how long it takes nobody knows: it is not simulated.
fn pass_over_artifacts(loaded: &mut Loaded) {
    let snapshot = &mut loaded.snapshot;
    if snapshot.artifacts.is_empty() {
        return;
    }
    let names: Vec<String> = snapshot.artifacts.iter().map(|artifact| artifact.meta.path()).collect();
    tracing::warn!("OSArtifacts are not simulated, and passed over: {}", names.join(", "));
    let builds = |owner: &Option<Owner>| owner.as_ref().is_some_and(|owner| owner.kind == artifact::KIND);
    let jobs: BTreeSet<String> = snapshot.jobs.iter().filter(|job| builds(&job.owner)).map(|job| job.uid.clone()).collect();
    snapshot.jobs.retain(|job| !builds(&job.owner));
    snapshot.pods.retain(|pod| pod.owner.as_ref().is_none_or(|owner| !jobs.contains(&owner.uid)));
    snapshot.artifacts.clear();
}
