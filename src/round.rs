//! One round: observe, decide, apply. And rounds in a row: for ever, for some time, or until nothing is left to do.

pub mod drive;
pub mod pace;
pub mod polls;
mod probes;
mod refusals;
pub mod shutdown;
pub mod sweep;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::artifact::api::ArtifactPhase;
use crate::artifact::decide::Artifact;
use crate::cluster::Cluster;
use crate::cluster::apply::apply;
use crate::cluster::errors::ObserveError;
use crate::cluster::observe::observe;
use crate::decide::decide;
use crate::labels::probed::is_live;
use crate::outcome::{ActionOutcome, Outcome, Verdict};
use crate::plan::{Decision, Plan};
use crate::settings::Settings;
use crate::snapshot::{Resource, Snapshot, views::Job};

pub use crate::cluster::apply::Mode;
pub use drive::{Ending, run_for, run_loop, run_until_settled};
pub use shutdown::Shutdown;

/// What one round saw, wanted and did.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// What it saw.
    pub snapshot: Snapshot,
    /// What it wanted.
    pub plan: Plan,
    /// What became of it.
    pub outcome: Outcome,
    /// Permissions that were missing, also those whose lack only makes a round see or say less.
    pub denied: BTreeSet<String>,
    /// How long it took.
    pub took: Duration,
}

impl Round {
    /// What keeps Rounds from doing all of its work, and what to do about it: by the name of what is not as it should be.
    pub fn warnings(&self) -> Vec<(&str, String)> {
        let message = format!(
            "it is an older one, which cannot hold what Rounds records: its resources are shown and what runs is watched, but nothing is \
             started, recorded or given back for them, and spec.rollout is lost; install this version's: {}",
            crate::crds::INSTALL
        );
        self.snapshot.older.iter().map(|name| (name.as_str(), message.clone())).collect()
    }

    /// Whether the server took a write.
    pub fn wrote(&self) -> bool {
        self.outcome.done() > 0
    }

    /// Whether nothing will change any more unless somebody changes something.
    pub fn is_settled(&self) -> bool {
        self.plan.is_empty() && self.plan.decisions.iter().all(|decision| decision.settled)
    }

    /// Whether a resource failed, or cannot go on.
    pub fn is_failed(&self) -> bool {
        self.plan.decisions.iter().any(|decision| decision.failed)
    }

    /// Whether a node is in flight, or being probed, or a Job of an artifact is about to be started.
    pub fn is_in_flight(&self) -> bool {
        self.snapshot.artifacts.iter().any(is_starting)
            || self.snapshot.probes.iter().any(is_live)
            || self.snapshot.nodeops.iter().any(|resource| resource.status.node_statuses.values().any(|entry| entry.step.is_some()))
    }

    /// Whether the control plane is at work on what was asked of it: a Job runs, or more was asked for than to give back a node.
    pub fn is_at_work(&self) -> bool {
        let asked = |action: &ActionOutcome| matches!(action.verb, "create" | "patch" | "evict") && action.verdict == Verdict::Done;
        self.outcome.actions.iter().any(asked) || self.snapshot.jobs.iter().any(Job::may_run)
    }

    /// What keeps the runner from doing its work: a definition of another version, or a missing permission.
    pub fn not_set_up(&self) -> Option<&str> {
        self.outcome.not_set_up().or_else(|| self.denied.first().map(String::as_str))
    }

    /// Whether it left something that it could have done to the next round.
    pub fn is_cut_short(&self) -> bool {
        self.outcome.actions.iter().any(|action| action.verdict == Verdict::Postponed)
    }

    /// Whether the server asked to slow down.
    pub fn is_throttled(&self) -> bool {
        self.outcome.actions.iter().any(|action| matches!(action.verdict, Verdict::Throttled(_)))
    }
}

/// Why a round could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// The cluster could not be observed.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// The existing operator is at work here, and two would work against each other.
    #[error("another operator is active: {holder} holds the lease in namespace {namespace}")]
    OtherOperator {
        /// Namespace of its lease.
        namespace: String,
        /// Who holds it.
        holder: String,
    },
    /// A shutdown was asked for before anything was decided; nothing was written.
    #[error("stopped before anything was decided")]
    Stopped,
}

impl RoundError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Observe(error) => error.hint(),
            Self::OtherOperator { namespace, .. } => {
                format!("scale the operator in namespace {namespace} to 0 and wait until its lease runs out (15 s), or pass --ignore-lease")
            }
            Self::Stopped => "run it again: it goes on where it stopped".into(),
        }
    }
}

/// Runs one round.
///
/// # Errors
/// When the cluster cannot be observed, or another operator holds its lease.
pub async fn round(cluster: &Cluster, settings: &Settings, mode: Mode) -> Result<Round, RoundError> {
    interruptible(cluster, settings, mode, usize::MAX, &Shutdown::never()).await
}

/// Runs one round that looks no further, and begins no further write, once a shutdown is asked for, and begins no further
/// step once so many writes were taken.
///
/// # Errors
/// As [`round`].
pub async fn interruptible(
    cluster: &Cluster,
    settings: &Settings,
    mode: Mode,
    most: usize,
    shutdown: &Shutdown,
) -> Result<Round, RoundError> {
    let begun = Instant::now();
    let mut snapshot = tokio::select! {
        biased;
        () = shutdown.requested() => return Err(RoundError::Stopped),
        snapshot = observe(cluster, settings) => snapshot?,
    };
    if let Some(lease) = snapshot.lease.as_ref().filter(|_| !settings.ignore_lease) {
        return Err(RoundError::OtherOperator { namespace: lease.namespace.clone(), holder: lease.holder.clone() });
    }
    let mut plan = decide(&snapshot, settings);
    let first = probes::make(cluster, settings, &mut snapshot, &mut plan, mode, most, shutdown).await;
    let mut outcome = apply(cluster, &plan, mode, most, &|| shutdown.is_requested()).await;
    first.join(&mut plan, &mut outcome);
    let mut round = Round { snapshot, plan, outcome, ..Round::default() };
    refusals::note(cluster, settings, &mut round, mode, shutdown).await;
    polls::ask(cluster, settings, &mut round, mode, shutdown).await;
    round.denied = cluster.denied();
    round.took = begun.elapsed();
    Ok(round)
}

/// Whether a Job is still to be recorded and let run. A build that runs takes its time, and no round makes it any faster.
fn is_starting(artifact: &Artifact) -> bool {
    let status = &artifact.status;
    match status.phase {
        Some(ArtifactPhase::Pending) => status.spec_hash.is_some() && status.job_uid.is_none(),
        Some(ArtifactPhase::Exporting) => status.exporters.iter().any(|exporter| exporter.job_uid.is_none() && exporter.result.is_none()),
        _ => false,
    }
}

/// The status of one of these resources as it stands after a decision: what the decision wants to write, or what is there.
pub fn status_after<Spec, Status>(resources: &[Resource<Spec, Status>], decision: &Decision) -> Status
where
    Status: DeserializeOwned + Clone + Default + 'static,
{
    let written = decision.status.as_ref().and_then(|write| write.status.read());
    let present = || resources.iter().find(|resource| resource.meta.uid == decision.subject.uid).map(|resource| resource.status.clone());
    written.or_else(present).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::fake::{Log, fake};
    use crate::reason::Reason;

    fn with_lease() -> (Cluster, Log) {
        fake(|seen| match seen.what.as_str() {
            "GET /apis/coordination.k8s.io/v1/leases" => {
                let spec = json!({ "holderIdentity": "op_1", "leaseDurationSeconds": 15, "renewTime": "2026-11-21T05:08:05.000000Z" });
                (200, json!({ "metadata": {}, "items": [{ "metadata": { "namespace": "ops" }, "spec": spec }] }))
            }
            _ => (200, json!({ "metadata": {}, "items": [] })),
        })
    }

    #[tokio::test]
    async fn nothing_is_done_beside_another_operator_unless_told_so() {
        let (cluster, _) = with_lease();
        let error = round(&cluster, &Settings::default(), Mode::Live).await.unwrap_err();
        assert_eq!(error.to_string(), "another operator is active: op_1 holds the lease in namespace ops");
        assert!(error.hint().contains("--ignore-lease"));
        let settings = Settings { ignore_lease: true, ..Settings::default() };
        let round = round(&cluster, &settings, Mode::Live).await.unwrap();
        assert!(round.is_settled() && !round.wrote() && !round.is_failed() && !round.is_in_flight());
    }

    #[tokio::test]
    async fn a_probe_that_the_server_refuses_is_told_in_its_round_and_keeps_nobody_from_being_done() {
        let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "NotFound", "code": 404,
            "message": "namespaces \"probes\" not found" });
        let nodes = ["n1", "n2"].map(|name| {
            let conditions = [json!({ "type": "Ready", "status": "True" })];
            json!({ "metadata": { "name": name, "uid": name, "resourceVersion": "1" },
                "status": { "conditions": conditions, "nodeInfo": { "bootID": "b1" } } })
        });
        let (cluster, log) = fake(move |seen| match seen.what.as_str() {
            "GET /api/v1/nodes" => (200, json!({ "metadata": {}, "items": nodes })),
            "POST /apis/batch/v1/namespaces/probes/jobs" => (404, status.clone()),
            _ => (200, json!({ "metadata": {}, "items": [] })),
        });
        let settings = Settings { probe_namespace: Some("probes".into()), probes: 1, ..Settings::default() };
        for _ in 0..2 {
            let round = round(&cluster, &settings, Mode::Live).await.unwrap();
            let reasons: Vec<_> =
                round.plan.decisions[0].nodes.values().map(|why| (why.reason, why.message.contains("not found"))).collect();
            // The second one was not tried: there is room for one at a time.
            assert_eq!(reasons, [(Reason::ProbeFailed, true); 2]);
            assert!(round.is_settled() && !round.wrote());
        }
        assert_eq!(log.lines().iter().filter(|line| line.starts_with("POST")).count(), 2, "each round asks again");
    }

    #[tokio::test]
    async fn a_shutdown_before_the_decision_leaves_everything_as_it_was() {
        let (cluster, _) = with_lease();
        let shutdown = Shutdown::never();
        shutdown.request();
        assert!(matches!(interruptible(&cluster, &Settings::default(), Mode::Live, usize::MAX, &shutdown).await, Err(RoundError::Stopped)));
    }
}
