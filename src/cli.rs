//! The command line: one file per verb, arguments and printing, no rules.

mod crds;
mod failure;
mod global;
mod logging;
mod output;
mod plan;
mod reference;
mod run;
mod status;
mod why;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use failure::{Exit, Failure};
pub use global::Global;

/// Day-2 work on immutable Kubernetes nodes, one declarative round at a time.
///
/// A round lists the cluster, decides one idempotent step per resource, applies it, and is over. Nothing is remembered:
/// kill it whenever you like, the next round goes on.
#[derive(Debug, Parser)]
#[command(name = "rounds", version, max_term_width = 110, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done, or nothing to do; 1 could not do its work; 2 plan has changes; 3 something failed or cannot go on
(run --until-settled); 4 timed out; 64 wrong usage. stdout is data, stderr is talk.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Do rounds: one, or as many as it takes
    Run(run::Run),
    /// Show what a round would do, without doing it
    Plan(plan::Plan),
    /// Show where the operations stand and what they wait for
    Status(status::Status),
    /// Explain why a node stands where it stands
    Why(why::Why),
    /// Print the CustomResourceDefinitions
    Crds(crds::Crds),
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
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print();
            failure.exit.into()
        }
    }
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the runtime does not start: {error}")))?;
    runtime.block_on(async {
        match cli.verb {
            Verb::Run(verb) => verb.run(&cli.global).await,
            Verb::Plan(verb) => verb.run(&cli.global).await,
            Verb::Status(verb) => verb.run(&cli.global).await,
            Verb::Why(verb) => verb.run(&cli.global).await,
            Verb::Crds(verb) => verb.run(),
            Verb::Docs => {
                let text = reference::markdown(&Cli::command()).map_err(|error| Failure::new(error.to_string()))?;
                output::print(&text).map(|()| Exit::Done)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_verb_has_help_with_an_example() {
        let mut command = Cli::command();
        command.clone().debug_assert();
        command.build();
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
            let help = verb.clone().render_long_help().to_string();
            assert!(help.contains("Example"), "{} has no example:\n{help}", verb.get_name());
        }
    }
}
