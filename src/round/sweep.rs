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
use crate::snapshot::Reference;
use crate::sweep::all::{self, Runner};

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

/// What one look came to.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// What would be done.
    pub plan: Plan,
    /// Who does rounds.
    pub runners: Vec<Runner>,
    /// NodeOps whose deletion would wait for the existing operator.
    pub finalizers: Vec<Reference>,
}

/// Looks, and writes nothing.
///
/// # Errors
/// When a list cannot be had.
pub async fn look(cluster: &Cluster, settings: &Settings, wish: Wish) -> Result<Look, ObserveError> {
    let left = leftovers(cluster, settings).await?;
    let runners = if wish.beside_runners { Vec::new() } else { left.runners.clone() };
    let plan = all::decide(&left, settings, wish.labels);
    let finalizers = left.finalizers.into_iter().filter(|what| settings.acts_on(&what.namespace)).collect();
    Ok(Look { plan, runners, finalizers })
}

/// Takes everything away. `tell` is told of each look and what came of it.
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
) -> Result<Swept, ObserveError> {
    let begun = Instant::now();
    loop {
        let looked = Instant::now();
        let look = look(cluster, settings, wish).await?;
        let took = looked.elapsed();
        if look.runners.iter().any(|runner| !runner.is_ending()) {
            return Ok(Swept::Runners(look.runners));
        }
        let waits = !look.runners.is_empty();
        if !waits && look.plan.decisions.is_empty() {
            tell(&look, &Outcome::default());
            return Ok(Swept::Clean);
        }
        if begun.elapsed() >= limit || shutdown.is_requested() {
            return Ok(if waits { Swept::Runners(look.runners) } else { Swept::Left(look.plan) });
        }
        let mut outcome = Outcome::default();
        if !waits {
            outcome = apply(cluster, &look.plan, Mode::Live, usize::MAX, &|| shutdown.is_requested()).await;
        }
        tell(&look, &outcome);
        if let Some(message) = outcome.not_set_up() {
            return Ok(Swept::Refused(message.to_string()));
        }
        let _ = timeout(took.clamp(PAUSE.0, PAUSE.1), shutdown.requested()).await;
    }
}
