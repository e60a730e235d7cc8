//! Sweeps in a row, until nothing of Rounds is left. Each looks at what there is and does what can be done now, so that one
//! may be killed at any time, and the next one goes on.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{Mode, Shutdown};
use crate::cluster::Cluster;
use crate::cluster::apply::apply;
use crate::cluster::errors::ObserveError;
use crate::cluster::leftovers::leftovers;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::settings::Settings;
use crate::sweep::all::{self, Held, Runner, Stranger};

/// Between two looks: what was asked to end takes its time. Large clusters are asked more seldom.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// What is to be taken away, and beside whom.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// The labels and annotations that tell what probes have found, too.
    pub labels: bool,
    /// Even while somebody does rounds, who begins anew what is ended here.
    pub beside_runners: bool,
}

/// Why not all of it was swept.
#[derive(Clone, Debug)]
pub enum Unswept {
    /// Somebody starts who does rounds: nothing, or nothing more, was done.
    Runners(Vec<Runner>),
    /// The time was up, or a shutdown was asked for, while somebody still did a round: nothing, or nothing more, was done.
    Busy(Vec<Runner>),
    /// The time was up, or a shutdown was asked for: what was left, and waited for.
    Left(Plan),
    /// The server does not let us: what it said.
    Refused(String),
}

/// What one look came to.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// What would be done.
    pub plan: Plan,
    /// Who does rounds.
    pub runners: Vec<Runner>,
    /// What only looks as if it were ours, and is left alone.
    pub strangers: Vec<Stranger>,
    /// Resources whose deletion would wait for another operator.
    pub finalizers: Vec<Held>,
}

impl Look {
    /// Why nothing can be done now, or ever as long as nobody does something about that.
    fn hindered(&self) -> Option<Unswept> {
        match self.runners.iter().all(Runner::is_ending) {
            _ if self.runners.is_empty() => None,
            true => Some(Unswept::Busy(self.runners.clone())),
            false => Some(Unswept::Runners(self.runners.clone())),
        }
    }
}

/// Looks, and writes nothing.
///
/// # Errors
/// When a list cannot be had.
pub async fn look(cluster: &Cluster, settings: &Settings, wish: Wish) -> Result<Look, ObserveError> {
    let left = leftovers(cluster, settings).await?;
    let runners = if wish.beside_runners { Vec::new() } else { left.runners.clone() };
    let plan = all::decide(&left, settings, wish.labels);
    let finalizers = left.finalizers.into_iter().filter(|held| settings.acts_on(&held.what.namespace)).collect();
    let strangers = left.strangers.into_iter().filter(|stranger| settings.acts_on(&stranger.what.namespace)).collect();
    Ok(Look { plan, runners, strangers, finalizers })
}

/// Looks until nobody does a round any more: what one makes while it ends is seen, too. The error within tells why that
/// does not come about. Writes nothing, so that it may be ended in any way.
///
/// # Errors
/// When a list cannot be had.
pub async fn settle(
    cluster: &Cluster,
    settings: &Settings,
    wish: Wish,
    limit: Duration,
    tell: &mut dyn FnMut(&Look, &Outcome),
) -> Result<Result<Look, Unswept>, ObserveError> {
    let begun = Instant::now();
    loop {
        let look = look(cluster, settings, wish).await?;
        match look.hindered() {
            None => return Ok(Ok(look)),
            Some(Unswept::Busy(_)) if begun.elapsed() < limit => tell(&look, &Outcome::default()),
            Some(unswept) => return Ok(Err(unswept)),
        }
        sleep(PAUSE.0).await;
    }
}

/// Takes everything away; the error within tells why not all of it. `tell` is told of each look and what came of it.
///
/// # Errors
/// When a list cannot be had.
pub async fn sweep(
    cluster: &Cluster,
    settings: &Settings,
    wish: Wish,
    limit: Duration,
    shutdown: &Shutdown,
    tell: &mut dyn FnMut(&Look, &Outcome),
) -> Result<Result<(), Unswept>, ObserveError> {
    let begun = Instant::now();
    loop {
        let looked = Instant::now();
        let look = look(cluster, settings, wish).await?;
        let took = looked.elapsed();
        let hindered = look.hindered();
        if let Some(starts @ Unswept::Runners(_)) = hindered {
            return Ok(Err(starts));
        }
        let waits = hindered.is_some();
        if !waits && look.plan.decisions.is_empty() {
            tell(&look, &Outcome::default());
            return Ok(Ok(()));
        }
        if begun.elapsed() >= limit || shutdown.is_requested() {
            return Ok(Err(hindered.unwrap_or(Unswept::Left(look.plan))));
        }
        let mut outcome = Outcome::default();
        if !waits {
            outcome = apply(cluster, &look.plan, Mode::Live, usize::MAX, &|| shutdown.is_requested()).await;
        }
        tell(&look, &outcome);
        if let Some(message) = outcome.not_set_up() {
            return Ok(Err(Unswept::Refused(message.to_string())));
        }
        let _ = timeout(took.clamp(PAUSE.0, PAUSE.1), shutdown.requested()).await;
    }
}
