//! The command line: one file per verb, arguments and printing, no rules.

mod channels;
mod crds;
mod failure;
mod global;
mod live;
mod logging;
mod metrics;
mod node;
mod output;
mod plan;
mod reference;
mod render;
mod run;
mod serve;
mod simulate;
mod snapshot;
mod status;
mod sweep;
mod why;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use failure::{Exit, Failure};
pub use global::Global;

/// Day-2 work on immutable Kubernetes nodes, one declarative round at a time.
///
/// A round lists the cluster, decides one idempotent step per resource, applies it, and is over. Nothing is remembered
/// between rounds but what is in the cluster: kill it whenever you like, the next round goes on.
#[derive(Debug, Parser)]
#[command(name = "rounds", version, max_term_width = 110, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

const AFTER_HELP: &str = "\
Examples:
  rounds crds | kubectl apply --server-side -f -    install the definitions
  rounds simulate nodeop.yaml --nodes 30            the whole rollout, before it happens and without a cluster
  rounds plan                                       what would the next round do, and why?
  rounds run --until-settled                        do it, and tell how it ended
  rounds status                                     where do the operations stand?
  rounds why node-3                                 why does this node wait?
  rounds snapshot > fleet.json                      what a round sees, for bug reports and rounds plan --offline
  rounds sweep --all                                give everything back, before Rounds is removed

Exit codes:
  0   done, or nothing to do
  1   could not do its work
  2   plan: a round would write something
  3   run --until-settled, simulate: something failed or cannot go on
  4   run --until-settled, sweep: the time was up
  64  wrong usage

stdout is data, stderr is talk. A node that failed does not fail a round: see rounds status.";

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Run),
    Plan(plan::Plan),
    Simulate(simulate::Simulate),
    Status(status::Status),
    Why(why::Why),
    Snapshot(snapshot::Snapshot),
    Sweep(sweep::Sweep),
    Crds(crds::Crds),
    Render(render::Render),
    /// What Rounds runs on nodes
    #[command(hide = true, subcommand)]
    Node(node::Node),
    /// Print the reference of all commands as Markdown
    #[command(hide = true)]
    Docs,
}

/// Parses the arguments, runs the verb, and says how it went.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            // Nobody is left to tell when even this cannot be printed.
            let _ = error.print();
            return code.into();
        }
    };
    logging::init(&cli.global);
    let format = cli.global.log_format;
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print(format);
            failure.exit.into()
        }
    }
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    // Before any runtime: it may start threads, and namespaces are entered without.
    if let Verb::Node(verb) = cli.verb {
        return verb.run();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the runtime does not start: {error}")))?;
    runtime.block_on(async {
        match cli.verb {
            Verb::Run(verb) => verb.run(&cli.global).await,
            Verb::Plan(verb) => verb.run(&cli.global).await,
            Verb::Simulate(verb) => verb.run(&cli.global).await,
            Verb::Status(verb) => verb.run(&cli.global).await,
            Verb::Why(verb) => verb.run(&cli.global).await,
            Verb::Snapshot(verb) => verb.run(&cli.global).await,
            Verb::Sweep(verb) => verb.run(&cli.global).await,
            Verb::Crds(verb) => verb.run(),
            Verb::Render(verb) => verb.run(),
            Verb::Node(verb) => verb.run(),
            Verb::Docs => {
                let text = reference::markdown(&Cli::command()).map_err(|error| Failure::new(error.to_string()))?;
                output::print(&text).map(|()| Exit::Done)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_sound_and_every_verb_has_help_with_an_example() {
        let mut command = Cli::command();
        command.clone().debug_assert();
        command.build();
        let verbs: Vec<_> = command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help").collect();
        assert_eq!(verbs.len(), 9);
        for verb in verbs {
            for help in [verb.clone().render_help().to_string(), verb.clone().render_long_help().to_string()] {
                assert!(help.contains("Example"), "{} has no example:\n{help}", verb.get_name());
                assert!(help.contains(&format!("rounds {}", verb.get_name())), "{help}");
                assert!(help.contains("Flags of every command:"), "{help}");
            }
        }
    }

    #[test]
    fn every_flag_is_explained() {
        let mut command = Cli::command();
        command.build();
        for verb in command.get_subcommands() {
            for argument in verb.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", verb.get_name(), argument.get_id());
            }
        }
    }

    #[test]
    fn what_excludes_each_other_is_refused() {
        for line in [
            "rounds run --loop 30s --for 50s",
            "rounds run --loop 30s --until-settled",
            "rounds run --for 50s --until-settled",
            "rounds run --timeout 5m",
            "rounds run --loop 30s --timeout 5m",
            "rounds run --loop soon",
            "rounds run --metrics-address 127.0.0.1:8080",
            "rounds run --loop 30s --metrics-address 8080",
            "rounds run --for 0s",
            "rounds plan -o yaml",
            "rounds plan --offline",
            "rounds why",
            "rounds sweep",
            "rounds sweep --yes",
            "rounds",
        ] {
            let error = parse(line).err().unwrap_or_else(|| panic!("{line} is taken"));
            assert!(error.use_stderr(), "{line}");
        }
        for line in ["rounds --version", "rounds --help", "rounds help plan", "rounds run -h"] {
            let kind = parse(line).err().map(|error| error.kind());
            assert!(matches!(kind, Some(ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)), "{line}: {kind:?}");
        }
    }

    #[test]
    fn what_goes_together_is_taken_with_global_flags_on_either_side() {
        for line in [
            "rounds run",
            "rounds run --until-settled --timeout 30m --dry-run -o json",
            "rounds -n a,b --namespace c status a/op",
            "rounds plan --offline a.yaml b/ - -o json-patch --context prod",
            "rounds why node-3 -vv --color never",
            "rounds run --loop 30s --log-format json --ignore-existing-operator",
            "rounds run --loop 30s --metrics-address [::]:8080 --metrics-file rounds.prom",
            "rounds snapshot --hash-names --file bug.json --context prod",
            "rounds crds --kind nodeop -o json",
            "rounds sweep --all --yes --labels --timeout 5m -o json",
        ] {
            assert!(parse(line).is_ok(), "{line}: {}", parse(line).err().map(|error| error.to_string()).unwrap_or_default());
        }
        let global = parse("rounds -n a,b --namespace c status").unwrap().global;
        assert_eq!(global.settings().namespaces, ["a", "b", "c"]);
    }
}
