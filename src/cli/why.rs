//! `rounds why`.

use clap::Args;

use super::output::{self, Format};
use super::{Exit, Failure, Global};
use crate::report::why;

/// Explain why a node stands where it stands: in every operation that has to do with it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rounds why node-3                             what each operation does with it, waits for, or holds against it
  rounds why node-3 -o json")]
pub struct Why {
    /// Name of the node
    node: String,
    /// What to print
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

impl Why {
    /// Runs the verb.
    pub async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (round, _) = global.look().await?;
        let unknown = || {
            let alike = why::similar(&round, &self.node);
            let hint = if alike.is_empty() {
                "kubectl get nodes lists all of them".to_string()
            } else {
                format!("did you mean {}?", alike.join(", "))
            };
            Failure::new(format!("there is no node {}", self.node)).hint(hint)
        };
        match self.output {
            Format::Text => output::print(&why::render(&round, &self.node).ok_or_else(unknown)?)?,
            Format::Json => output::print_json(&why::json(&round, &self.node).ok_or_else(unknown)?)?,
        }
        Ok(Exit::Done)
    }
}
