//! `rounds crds`.

use clap::Args;

use super::output::{self, Format};
use super::{Exit, Failure};
use crate::{crds, yaml};

/// Print the CustomResourceDefinitions.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rounds crds | kubectl apply --server-side -f -    install or update them
  rounds crds --kind NodeOp > nodeop-crd.yaml")]
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
        let kind = |crd: &serde_json::Value| crd["spec"]["names"]["kind"].as_str().unwrap_or_default().to_string();
        let kinds: Vec<String> = all.iter().map(kind).collect();
        let is_wanted = |crd: &serde_json::Value| self.kind.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(&kind(crd)));
        let some: Vec<_> = all.into_iter().filter(is_wanted).collect();
        if let (Some(wanted), true) = (&self.kind, some.is_empty()) {
            return Err(Failure::new(format!("there is no kind {wanted}")).hint(format!("there are: {}", kinds.join(", "))).usage());
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
