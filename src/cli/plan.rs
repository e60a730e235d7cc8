//! `rounds plan`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Exit, Failure, Global, output};
use crate::decide::decide;
use crate::report::words::count;
use crate::report::{diff, plan_markdown, plan_text};
use crate::round::{Round, polls};
use crate::snapshot::manifests;
use crate::text;

/// Show what a round would do, without doing it.
///
/// The very same decision as in `rounds run`, with every step and its reason. It is made about the cluster, or with
/// --offline about a folder of manifests: the resources, and the nodes (kubectl get nodes -o yaml > nodes.yaml). What
/// rounds snapshot has written stands for a whole cluster at its own time; manifests beside it add to it or edit it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rounds plan                                   what the next round would do, and why
  rounds plan -o diff                           the same as changes to objects
  rounds plan -o json | jq '.decisions[].reason'
  rounds plan -o markdown >> $GITHUB_STEP_SUMMARY
  rounds plan --resolve                         the same, with the versions that channels would find now
  rounds plan --offline manifests/              what would happen, without a cluster
  kubectl get nodes -o json | rounds plan --offline nodeop.yaml -
  rounds plan --offline fleet.json new.yaml     what would happen, were new.yaml merged (see rounds snapshot)

Exit code 0: nothing to do; 2: a round would write something.")]
pub struct Plan {
    /// What to print
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    output: Format,
    /// Ask the servers of channels that are due, as a round would; without this, nobody is asked
    #[arg(long)]
    resolve: bool,
    /// Decide about these manifests and snapshots (folders, files, or - for stdin) instead of a cluster
    #[arg(long, value_name = "PATH", num_args = 1..)]
    offline: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON document with a schemaVersion
    Json,
    /// For a pull request, or the summary of a workflow
    Markdown,
    /// A unified diff of each object
    Diff,
    /// One JSON document with an RFC 6902 patch per object
    JsonPatch,
}

impl Plan {
    /// Runs the verb.
    pub async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (mut round, settings) = if self.offline.is_empty() { global.look().await? } else { (self.offline(global)?, global.settings()) };
        if self.resolve {
            round.snapshot.answers = polls::look(&settings, &round.snapshot).await;
            round.plan = decide(&round.snapshot, &settings);
        }
        match self.output {
            Format::Text => output::print(&plan_text::render(&round.plan))?,
            Format::Json => output::print_json(&plan_text::json(&round.plan))?,
            Format::Markdown => output::print(&plan_markdown::markdown(&round.plan))?,
            Format::Diff => {
                let text = diff::unified(&round.snapshot, &round.plan).map_err(|error| Failure::new(error.to_string()))?;
                output::print(&text)?;
            }
            Format::JsonPatch => output::print_json(&diff::json_patches(&round.snapshot, &round.plan))?,
        }
        Ok(if round.plan.is_empty() { Exit::Done } else { Exit::Changes })
    }

    fn offline(&self, global: &Global) -> Result<Round, Failure> {
        #[expect(clippy::disallowed_methods, reason = "manifests carry no clock, so the user's counts; a snapshot carries its own")]
        let now = jiff::Timestamp::now();
        let sources = manifests::read(&self.offline).map_err(Failure::all)?;
        let loaded = manifests::load(&sources, now).map_err(Failure::all)?;
        if !loaded.passed_over.is_empty() {
            let kinds: Vec<String> = loaded.passed_over.iter().map(|(kind, number)| format!("{number} {kind}")).collect();
            let objects = count(loaded.passed_over.values().sum(), "object");
            tracing::info!("{objects} of kinds that no decision reads: {}", text::one_line(&kinds.join(", ")));
        }
        // Images are built wherever there is room: for those alone no Node is needed.
        let seen = &loaded.snapshot;
        let builds_only = !seen.artifacts.is_empty() && seen.nodeops.is_empty() && seen.upgrades.is_empty() && seen.channels.is_empty();
        if seen.nodes.is_empty() && !builds_only {
            let hint = "add them: kubectl get nodes -o yaml > nodes.yaml, and pass nodes.yaml as well; or pass what rounds snapshot writes";
            return Err(Failure::new("there is no Node among the manifests, so nothing can be decided").hint(hint));
        }
        let plan = decide(&loaded.snapshot, &global.settings());
        Ok(Round { snapshot: loaded.snapshot, plan, ..Round::default() })
    }
}
