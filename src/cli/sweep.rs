//! `rounds sweep`.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::output::{self, Format};
use super::{Exit, Failure, Global};
use crate::cluster::Cluster;
use crate::outcome::{ActionOutcome, Outcome, Verdict};
use crate::plan::Plan;
use crate::report::{SCHEMA_VERSION, plan_text, words::count};
use crate::round::sweep::{self, Look, Unswept, Wish};
use crate::round::{RoundError, Shutdown};
use crate::settings::Settings;
use crate::sweep::all::Runner;
use crate::text;

/// Give everything back, before Rounds is removed or after it was.
///
/// Ends what is in flight (Jobs and Pods of operations, builds and probes are deleted, with their pods' grace), waits until
/// nothing of it is left on a node, and takes locks, cordons and annotations of ours off the nodes. What stands in the
/// resources stays. It can be killed and repeated, and works without the definitions, too. It takes the rights of an
/// administrator, which the runner does not have.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl -n rounds-system patch cronjob rounds --type=merge -p '{\"spec\":{\"suspend\":true}}'
  rounds sweep --all                            shows what it would do, and asks
  rounds sweep --all --yes --labels             what nodes tell of themselves goes, too
  rounds sweep --all --dry-run                  only shows it
  kubectl delete -k kustomize/default

Exit code 0: nothing is left; 1: somebody starts who does rounds; 2: --dry-run: something would be done; 4: the time was up,
also if that was while somebody still did a round.")]
pub struct Sweep {
    /// Of all resources, also of those that are there and go on to say what they want
    #[arg(long, required = true)]
    all: bool,
    /// Do not ask; needed where nobody can be asked
    #[arg(long, short)]
    yes: bool,
    /// Take off the labels and annotations that probes have put on nodes, too
    #[arg(long)]
    labels: bool,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Sweep even while somebody does rounds here, who begins anew what is ended
    #[arg(long)]
    ignore_runners: bool,
    /// Give up after this long, and exit 4
    #[arg(long, value_name = "DURATION", value_parser = super::run::duration, default_value = "10m")]
    timeout: Duration,
    /// What to print on stdout when it is over: a line, or a report
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

impl Sweep {
    /// Runs the verb.
    pub async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let cluster = global.connect().await?;
        let settings = global.settings();
        let wish = Wish { labels: self.labels, beside_runners: self.ignore_runners };
        if self.dry_run {
            return self.show(&sweep::look(&cluster, &settings, wish).await.map_err(RoundError::from)?);
        }
        let mut news = News::default();
        if !self.yes && !self.is_wanted(&cluster, &settings, wish, &mut news).await? {
            return Err(Failure::new("nothing was done"));
        }
        self.sweep(&cluster, &settings, wish, news).await
    }

    /// Asks whoever sits at the terminal. For all that there will be: once nobody does a round any more.
    async fn is_wanted(&self, cluster: &Cluster, settings: &Settings, wish: Wish, news: &mut News) -> Result<bool, Failure> {
        let look = sweep::look(cluster, settings, wish).await.map_err(RoundError::from)?;
        if look.runners.iter().any(|runner| !runner.is_ending()) {
            return Err(refused(&look.runners));
        }
        if look.plan.decisions.is_empty() && look.runners.is_empty() {
            return Ok(true);
        }
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Err(Failure::new("it ends what is in flight, and nobody can be asked here")
                .hint("say --yes, or look with --dry-run")
                .usage());
        }
        let mut tell = |look: &Look, outcome: &Outcome| news.tell(look, outcome);
        let settled = sweep::settle(cluster, settings, wish, self.timeout, &mut tell).await.map_err(RoundError::from)?;
        let look = settled.map_err(failed)?;
        Ok(look.plan.decisions.is_empty() || is_confirmed(cluster, &look.plan)?)
    }

    async fn sweep(&self, cluster: &Cluster, settings: &Settings, wish: Wish, mut news: News) -> Result<Exit, Failure> {
        let shutdown = Shutdown::on_signals().map_err(|error| Failure::new(format!("signals cannot be listened for: {error}")))?;
        let mut tell = |look: &Look, outcome: &Outcome| news.tell(look, outcome);
        let swept = sweep::sweep(cluster, settings, wish, self.timeout, &shutdown, &mut tell).await.map_err(RoundError::from)?;
        if self.output == Format::Json {
            let left = if let Err(Unswept::Left(plan)) = &swept { plan.decisions.clone() } else { Vec::new() };
            output::print_json(&json!({"schemaVersion": SCHEMA_VERSION, "clean": swept.is_ok(), "writes": news.done, "left": left}))?;
        }
        swept.map_err(failed)?;
        if self.output == Format::Text {
            let of = if settings.namespaces.is_empty() { "here".into() } else { settings.namespaces.join(", ") };
            output::print(&format!("{}; nothing of Rounds is left in flight, or on a node ({of})\n", count(news.done.len(), "write")))?;
        }
        Ok(Exit::Done)
    }

    fn show(&self, look: &Look) -> Result<Exit, Failure> {
        match self.output {
            Format::Json => output::print_json(&plan_text::json(&look.plan))?,
            Format::Text => output::print(&summary(&look.plan))?,
        }
        for runner in &look.runners {
            tracing::warn!("{} does rounds: stop it first: {}; if that is none of ours: --ignore-runners", runner.what, runner.remedy());
        }
        remarks(look).iter().for_each(|remark| tracing::warn!("{remark}"));
        Ok(if look.plan.decisions.is_empty() { Exit::Done } else { Exit::Changes })
    }
}

fn is_confirmed(cluster: &Cluster, plan: &Plan) -> Result<bool, Failure> {
    let of = format!("{} ({})", cluster.server, cluster.source);
    output::talk(&format!("{}In {}: type yes to do that: ", summary(plan), text::one_line(&of)));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|error| Failure::new(format!("stdin cannot be read: {error}")))?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}

/// Why not all of it was swept.
fn failed(unswept: Unswept) -> Failure {
    match unswept {
        Unswept::Runners(runners) => refused(&runners),
        Unswept::Busy(runners) => Failure { exit: Exit::TimedOut, ..refused(&runners) },
        Unswept::Refused(message) => Failure::new(message).hint("it takes the rights of an administrator"),
        Unswept::Left(plan) => {
            let left = plan.decisions.iter().map(|decision| format!("{}: {}", decision.subject, decision.message)).collect();
            let hint = "run it again: it goes on where it stopped";
            Failure { exit: Exit::TimedOut, ..Failure::all(left).hint(hint) }
        }
    }
}

/// What would be done, a line each.
fn summary(plan: &Plan) -> String {
    if plan.decisions.is_empty() {
        return "Nothing of Rounds is left in flight, or on a node.\n".into();
    }
    let mut lines: Vec<String> = Vec::new();
    for decision in &plan.decisions {
        let actions = decision.steps.iter().flat_map(|step| &step.actions).map(|action| action.summary());
        lines.extend(actions);
        if decision.steps.is_empty() {
            lines.push(format!("then {}: {}", decision.subject, decision.message));
        }
    }
    lines.iter().map(|line| format!("{}\n", text::one_line(line))).collect()
}

fn refused(runners: &[Runner]) -> Failure {
    let messages = runners.iter().map(|runner| format!("{} does rounds, and would begin anew what is ended here", runner.what)).collect();
    let remedies: Vec<String> = runners.iter().map(|runner| text::one_line(&runner.remedy())).collect();
    Failure::all(messages)
        .hint(format!("stop it first: {}; what only bears the label of a runner is passed over by --ignore-runners", remedies.join("; ")))
}

/// What is not done, and people should know of: what only looks like ours, and what keeps a deletion of the resources
/// waiting that comes after the sweep.
fn remarks(look: &Look) -> Vec<String> {
    let strangers = look.strangers.iter().map(|stranger| {
        let why = if stranger.orphan_of.is_some() { "has no owner" } else { "was made by somebody else" };
        format!("{} bears our labels and {why}: it is left alone", stranger.what)
    });
    let finalizers = look.finalizers.iter().map(|held| {
        format!("{} has a finalizer of {}, and its deletion would wait for that operator: {}", held.what, held.by.operator, held.remedy())
    });
    strangers.chain(finalizers).map(|line| text::one_line(&line)).collect()
}

/// Tells what happens, and nothing twice.
#[derive(Default)]
struct News {
    done: Vec<ActionOutcome>,
    told: BTreeSet<String>,
}

impl News {
    fn tell(&mut self, look: &Look, outcome: &Outcome) {
        for action in &outcome.actions {
            let what = text::one_line(&action.action);
            match &action.verdict {
                Verdict::Done => {
                    tracing::info!("{what}");
                    self.done.push(action.clone());
                }
                Verdict::Failed(why) | Verdict::Unknown(why) | Verdict::Throttled(why) => {
                    let line = format!("{what}: {}", text::one_line(why));
                    if self.told.insert(line.clone()) {
                        tracing::warn!("{line}");
                    }
                }
                verdict => tracing::debug!(?verdict, "{what}"),
            }
        }
        let waits = look.plan.decisions.iter().filter(|decision| decision.steps.is_empty() && look.runners.is_empty());
        let waits = waits.map(|decision| format!("{}: {}", decision.subject, decision.message));
        let runners = look.runners.iter().map(|runner| format!("{} does rounds still: waiting until it ends", runner.what));
        for line in waits.chain(runners).map(|line| text::one_line(&line)) {
            if self.told.insert(line.clone()) {
                tracing::info!("{line}");
            }
        }
        for remark in remarks(look) {
            if self.told.insert(remark.clone()) {
                tracing::warn!("{remark}");
            }
        }
    }
}
