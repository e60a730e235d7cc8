//! `rounds status`.

use clap::Args;

use super::output::{self, Format};
use super::{Exit, Failure, Global};
use crate::plan::Decision;
use crate::report::status;

/// Show where the operations stand and what they wait for.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rounds status                                 all operations, a line each
  rounds status default/kernel-args             one operation, node by node
  rounds status -n default kernel-args          the same
  rounds status -o json | jq '.resources[] | select(.failed)'")]
pub struct Status {
    /// One operation, node by node: its name, or namespace/name
    name: Option<String>,
    /// What to print
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

impl Status {
    /// Runs the verb.
    pub async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (mut round, settings) = global.look().await?;
        if settings.probes > 0 && settings.probe_namespace.is_none() {
            tracing::info!("nodes are not labelled from here: name a namespace to probe them from with --probe-namespace");
        }
        let acts_on = |namespace: &str| namespace.is_empty() || settings.acts_on(namespace);
        round.plan.decisions.retain(|decision| self.wants(decision) && acts_on(&decision.subject.namespace));
        if let (Some(name), true) = (&self.name, round.plan.decisions.is_empty()) {
            return Err(Failure::new(format!("there is no operation {name}")).hint("rounds status lists all of them"));
        }
        match (self.output, &self.name) {
            (Format::Json, _) => output::print_json(&status::json(&round))?,
            (Format::Text, None) => output::print(&status::overview(&round))?,
            (Format::Text, Some(_)) => {
                let details: Vec<String> = round.plan.decisions.iter().map(|decision| status::details(&round, decision)).collect();
                output::print(&details.join("\n"))?;
            }
        }
        Ok(Exit::Done)
    }

    fn wants(&self, decision: &Decision) -> bool {
        let subject = &decision.subject;
        let is_named = |name: &String| {
            !matches!(subject.kind.as_str(), "Node" | "Namespace")
                && (*name == subject.name || *name == format!("{}/{}", subject.namespace, subject.name))
        };
        self.name.as_ref().is_none_or(is_named)
    }
}
