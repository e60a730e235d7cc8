//! `rounds crds`.

use clap::Args;

use super::output::{self, Format};
use super::{Exit, Failure};
use crate::{crds, yaml};

/// Print the CustomResourceDefinitions.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  rounds crds | kubectl apply --server-side -f -")]
pub struct Crds {
    /// Only this kind, for example NodeOp
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// YAML documents, or one JSON List
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

impl Crds {
    /// Runs the verb.
    pub fn run(self) -> Result<Exit, Failure> {
        let failure = |error: &dyn std::fmt::Display| Failure::new(error.to_string());
        let all = crds::all().map_err(|error| failure(&error))?;
        let wanted = |kind: &str| self.kind.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(kind));
        let some: Vec<_> = all.into_iter().filter(|crd| wanted(crd["spec"]["names"]["kind"].as_str().unwrap_or_default())).collect();
        if some.is_empty() {
            return Err(Failure { exit: Exit::Usage, ..Failure::new("there is no such kind").hint("rounds crds prints all of them") });
        }
        match self.output {
            Format::Json => output::print_json(&serde_json::json!({"apiVersion": "v1", "kind": "List", "items": some}))?,
            Format::Text => {
                for crd in &some {
                    output::print(&format!("---\n{}", yaml::to_string(crd).map_err(|error| failure(&error))?))?;
                }
            }
        }
        Ok(Exit::Done)
    }
}
