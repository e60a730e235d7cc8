//! `rounds snapshot`.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure, Global, output};
use crate::cluster::observe::{observe, workload};
use crate::report::words::count;
use crate::round::RoundError;
use crate::snapshot::file::SnapshotFile;
use crate::snapshot::hashed;
use crate::text;

/// Write what a round sees to a file, for bug reports and for rounds plan --offline.
///
/// One JSON document: the nodes, the resources with their statuses, our Jobs and pods, and besides those the pods of all
/// namespaces that have not finished and the PodDisruptionBudgets, of each the few fields that a decision reads. Nothing
/// is written to the cluster, and no Secret is read; commands and messages stand in it as they are, unless --hash-names
/// is given. The same decision as in the round that saw it follows from it, without the cluster:
/// rounds plan --offline fleet.json.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rounds snapshot > fleet.json                  what a round sees now
  rounds plan --offline fleet.json              what it decides
  rounds plan --offline fleet.json new.yaml     what it would decide, were new.yaml merged
  rounds snapshot --hash-names --file bug.json  the same without names, for people outside")]
pub struct Snapshot {
    /// Write to this file instead of stdout
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Replace names, label values, commands, images and messages by hashes; the same decision follows from it
    #[arg(long)]
    hash_names: bool,
}

impl Snapshot {
    /// Runs the verb.
    pub async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let cluster = global.connect().await?;
        let mut snapshot = observe(&cluster, &global.settings_in(&cluster)).await.map_err(RoundError::from)?;
        let (pods, budgets) = workload(&cluster).await.map_err(RoundError::from)?;
        cluster.denied().iter().for_each(|permission| tracing::warn!("{permission}"));
        snapshot.budgets = budgets;
        let mut file = SnapshotFile::new(snapshot, pods);
        if self.hash_names {
            hashed::hash_names(&mut file);
        }
        match &self.file {
            None => output::print_json(&file)?,
            Some(path) => {
                let text = serde_json::to_string_pretty(&file).map_err(|error| Failure::new(error.to_string()))?;
                let failure = |error| Failure::new(format!("{} cannot be written: {error}", path.display()));
                std::fs::write(path, format!("{}\n", text::harmless_json(&text))).map_err(failure)?;
                let (nodes, pods) = (count(file.snapshot.nodes.len(), "node"), count(file.workload.len(), "pod"));
                tracing::info!("{nodes} and {pods} in {}", path.display());
            }
        }
        Ok(Exit::Done)
    }
}
