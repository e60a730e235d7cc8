//! One round: observe, decide, apply, report.

use crate::cluster::Cluster;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::settings::Settings;
use crate::snapshot::Snapshot;

/// What one round saw, wanted and did.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// What it saw.
    pub snapshot: Snapshot,
    /// What it wanted.
    pub plan: Plan,
    /// What became of it.
    pub outcome: Outcome,
}

/// Whether a round writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Writes.
    Live,
    /// Sends every write with dryRun=All.
    DryRun,
    /// Writes nothing: the plan is all that is wanted.
    PlanOnly,
}

/// Why a round could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {}

/// Runs one round.
///
/// # Errors
/// When the cluster cannot be observed, or another operator holds its lease.
pub async fn round(cluster: &Cluster, settings: &Settings, mode: Mode) -> Result<Round, RoundError> {
    let _ = (cluster, settings, mode);
    Ok(Round::default())
}
