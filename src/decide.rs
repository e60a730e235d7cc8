//! From what a round saw to what it wants: folds over all resources in a fixed order. Pure.

use crate::plan::Plan;
use crate::settings::Settings;
use crate::snapshot::Snapshot;

/// Decides one idempotent step per resource.
pub fn decide(snapshot: &Snapshot, settings: &Settings) -> Plan {
    let _ = (snapshot, settings);
    Plan::default()
}
