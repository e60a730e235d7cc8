//! `rounds status`.

use clap::Args;

use super::output::{self, Format};
use super::{Exit, Failure, Global};
use crate::plan::Decision;
use crate::report::{SCHEMA_VERSION, table};

/// Show where the operations stand and what they wait for.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rounds status                                 all operations, a line each
  rounds status -n default kernel-args          one operation, node by node
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
        let mut round = global.look().await?;
        round.plan.decisions.retain(|decision| self.wants(global, decision));
        if let (Some(name), true) = (&self.name, round.plan.decisions.is_empty()) {
            return Err(Failure::new(format!("there is no operation {name}")).hint("rounds status lists all of them"));
        }
        match self.output {
            Format::Json => {
                let resources: Vec<_> = round
                    .plan
                    .decisions
                    .iter()
                    .map(|decision| {
                        serde_json::json!({
                            "resource": decision.subject, "reason": decision.reason, "message": decision.message,
                            "settled": decision.settled, "failed": decision.failed,
                            "status": crate::round::status_after(&round.snapshot, decision), "nodes": decision.nodes,
                        })
                    })
                    .collect();
                output::print_json(
                    &serde_json::json!({"schemaVersion": SCHEMA_VERSION, "time": round.snapshot.now, "resources": resources}),
                )?;
            }
            Format::Text => {
                output::print(&table::nodeops(&round))?;
                if self.name.is_some() {
                    for decision in &round.plan.decisions {
                        output::print(&format!("\n{}", table::nodes(&round, decision)))?;
                    }
                }
            }
        }
        Ok(Exit::Done)
    }

    fn wants(&self, global: &Global, decision: &Decision) -> bool {
        let subject = &decision.subject;
        let named =
            self.name.as_ref().is_none_or(|name| *name == subject.name || *name == format!("{}/{}", subject.namespace, subject.name));
        subject.kind == "NodeOp" && named && global.settings().acts_on(&subject.namespace)
    }
}
