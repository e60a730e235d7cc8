//! Sweeps in a row, until nothing of Rounds is left. Each looks at what there is and does what can be done now, so that one
//! may be killed at any time, and the next one goes on.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{Mode, Shutdown};
use crate::cluster::Cluster;
use crate::cluster::apply::apply;
use crate::cluster::errors::ObserveError;
use crate::cluster::leftovers::leftovers;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::settings::Settings;
use crate::sweep::all::{self, Runner};

/// Between two looks: what was asked to end takes its time.
const PAUSE: Duration = Duration::from_millis(500);

/// What is to be taken away, and beside whom.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// The labels and annotations that tell what probes have found, too.
    pub labels: bool,
    /// Even while somebody does rounds, who begins anew what is ended here.
    pub beside_runners: bool,
}

/// How far a sweep came.
#[derive(Clone, Debug)]
pub enum Swept {
    /// Nothing of Rounds is left.
    Clean,
    /// Somebody does rounds, or starts who does: nothing, or nothing more, was done.
    Runners(Vec<Runner>),
    /// The time was up, or a shutdown was asked for: what was left, and waited for.
    Left(Plan),
    /// The server does not let us: what it said.
    Refused(String),
}

/// One look, without a write: who does rounds, and what would be done.
///
/// # Errors
/// When a list cannot be had.
pub async fn look(cluster: &Cluster, settings: &Settings, wish: Wish) -> Result<(Vec<Runner>, Plan), ObserveError> {
    let left = leftovers(cluster, settings).await?;
    let plan = all::decide(&left, settings, wish.labels);
    Ok((left.runners, plan))
}

/// Takes everything away.
///
/// # Errors
/// When a list cannot be had.
pub async fn sweep(
    cluster: &Cluster,
    settings: &Settings,
    wish: Wish,
    limit: Duration,
    shutdown: &Shutdown,
    tell: &mut dyn FnMut(&Plan, &Outcome),
) -> Result<Swept, ObserveError> {
    let begun = Instant::now();
    loop {
        let (runners, plan) = look(cluster, settings, wish).await?;
        let runners = if wish.beside_runners { Vec::new() } else { runners };
        if runners.iter().any(|runner| !runner.is_ending()) {
            return Ok(Swept::Runners(runners));
        }
        if runners.is_empty() {
            if plan.decisions.is_empty() {
                return Ok(Swept::Clean);
            }
            let outcome = apply(cluster, &plan, Mode::Live, usize::MAX, &|| shutdown.is_requested()).await;
            tell(&plan, &outcome);
            if let Some(message) = outcome.not_set_up() {
                return Ok(Swept::Refused(message.to_string()));
            }
        }
        let _ = timeout(PAUSE, shutdown.requested()).await;
        if begun.elapsed() >= limit || shutdown.is_requested() {
            return Ok(if runners.is_empty() { Swept::Left(plan) } else { Swept::Runners(runners) });
        }
    }
}
