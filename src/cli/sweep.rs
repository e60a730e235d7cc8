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
use crate::round::sweep::{self, Look, Swept, Wish};
use crate::round::{RoundError, Shutdown};
use crate::settings::Settings;
use crate::snapshot::Reference;
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

Exit code 0: nothing is left; 2: --dry-run: something would be done; 4: the time was up.")]
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
        if self.dry_run || !self.yes {
            let look = sweep::look(&cluster, &settings, wish).await.map_err(RoundError::from)?;
            if self.dry_run {
                return self.show(&look);
            }
            if look.runners.iter().any(|runner| !runner.is_ending()) {
                return Err(refused(&look.runners));
            }
            if !look.plan.decisions.is_empty() && !self.is_confirmed(&cluster, &look.plan)? {
                return Err(Failure::new("nothing was done"));
            }
        }
        self.sweep(&cluster, &settings, wish).await
    }

    async fn sweep(&self, cluster: &Cluster, settings: &Settings, wish: Wish) -> Result<Exit, Failure> {
        let shutdown = Shutdown::on_signals().map_err(|error| Failure::new(format!("signals cannot be listened for: {error}")))?;
        let mut news = News::default();
        let mut tell = |look: &Look, outcome: &Outcome| news.tell(look, outcome);
        let swept = sweep::sweep(cluster, settings, wish, self.timeout, &shutdown, &mut tell).await.map_err(RoundError::from)?;
        if self.output == Format::Json {
            let left = if let Swept::Left(plan) = &swept { plan.decisions.clone() } else { Vec::new() };
            let clean = matches!(swept, Swept::Clean);
            output::print_json(&json!({"schemaVersion": SCHEMA_VERSION, "clean": clean, "writes": news.done, "left": left}))?;
        }
        match swept {
            Swept::Clean => {
                if self.output == Format::Text {
                    let of = if settings.namespaces.is_empty() { "here".into() } else { settings.namespaces.join(", ") };
                    output::print(&format!(
                        "{}; nothing of Rounds is left in flight, or on a node ({of})\n",
                        count(news.done.len(), "write")
                    ))?;
                }
                Ok(Exit::Done)
            }
            Swept::Runners(runners) => Err(refused(&runners)),
            Swept::Refused(message) => Err(Failure::new(message).hint("it takes the rights of an administrator")),
            Swept::Left(plan) => {
                let left = plan.decisions.iter().map(|decision| format!("{}: {}", decision.subject, decision.message)).collect();
                let hint = "run it again: it goes on where it stopped";
                Err(Failure { exit: Exit::TimedOut, ..Failure::all(left).hint(hint) })
            }
        }
    }

    fn show(&self, look: &Look) -> Result<Exit, Failure> {
        match self.output {
            Format::Json => output::print_json(&plan_text::json(&look.plan))?,
            Format::Text => output::print(&summary(&look.plan))?,
        }
        for runner in &look.runners {
            tracing::warn!("{} does rounds: stop it first: {}", runner.what, runner.remedy());
        }
        look.finalizers.iter().for_each(waits_for_operator);
        Ok(if look.plan.decisions.is_empty() { Exit::Done } else { Exit::Changes })
    }

    /// Asks whoever sits at the terminal.
    fn is_confirmed(&self, cluster: &Cluster, plan: &Plan) -> Result<bool, Failure> {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Err(Failure::new("it ends what is in flight, and nobody can be asked here")
                .hint("say --yes, or look with --dry-run")
                .usage());
        }
        let of = format!("{} ({})", cluster.server, cluster.source);
        output::talk(&format!("{}In {}: type yes to do that: ", summary(plan), text::one_line(&of)));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map_err(|error| Failure::new(format!("stdin cannot be read: {error}")))?;
        Ok(answer.trim().eq_ignore_ascii_case("yes"))
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
    Failure::all(messages).hint(format!("stop it first: {}", remedies.join("; ")))
}

/// What keeps a deletion of the resources waiting that comes after the sweep.
fn waits_for_operator(what: &Reference) {
    let Reference { namespace, name, .. } = what;
    tracing::warn!(
        "{what} has the existing operator's finalizer, so that its deletion waits for that operator: \
         kubectl -n {namespace} patch nodeop {name} --type=merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'"
    );
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
        if look.plan.decisions.is_empty() && look.runners.is_empty() {
            look.finalizers.iter().for_each(waits_for_operator);
        }
    }
}
