//! A claim whose node is being drained: evict, end the round, look again in the next.

use super::api::{NodePhase, NodeStep};
use super::drain::{self, Allowance, Drain, Orders};
use super::place::{Advance, Place};
use super::{rebooting, running};
use crate::plan::Action;
use crate::reason::Reason;
use crate::rollout::{DrainMode, OnDrainTimeout};
use crate::snapshot::Reference;
use crate::snapshot::views::Node;

/// Decides the next step of a draining node.
pub fn advance<'a>(place: &Place<'_, 'a>, node: &'a Node, allowance: &mut Allowance<'a>) -> Advance {
    let op = place.op;
    // With runPolicy Once an edit does not drop the claim, even one that asks for no drain any more.
    let Some(options) = op.spec.drain() else { return running::go_start(place, node, "no drain is asked for any more") };
    let Some(pods) = op.snapshot.drains.get(&node.name) else {
        // The node's pods were not looked at: it was not known to drain when the round began.
        return place.stay(Reason::Draining, "pods are leaving the node");
    };
    let since = place.entry.step_since.as_ref().map(|since| since.0);
    let reboots = rebooting::follows(place.entry);
    let orders = Orders { options, own_pod: op.settings.pod_uid.as_deref(), since, reboots };
    let drain = drain::assess(op.snapshot, pods, orders, allowance);
    if op.rollout.drain_mode == Some(DrainMode::Strict) && !drain.kept.is_empty() {
        return place.fail(Reason::DrainRefused, &format!("rollout.drainMode Strict: {}", drain.kept_text()));
    }
    if drain.is_done() {
        let message = match drain.kept_text() {
            kept if kept.is_empty() => "the node is drained".to_string(),
            kept => format!("the node is drained; left in place: {kept}"),
        };
        return running::go_start(place, node, &message);
    }
    let timed_out = options.timeout().is_some_and(|limit| op.seconds_since(place.entry.step_since.as_ref()) > limit);
    if timed_out && op.rollout.on_drain_timeout.unwrap_or_default() == OnDrainTimeout::Fail {
        let limit = options.timeout().unwrap_or_default();
        let message = format!("not drained within {limit} seconds (drainOptions.timeoutSeconds); {}", drain.waiting_for());
        return place.fail(Reason::DrainTimeout, &message);
    }
    evict(place, &drain, options.grace_period_seconds)
}

/// Evicts what may leave now, and says what the drain waits for.
fn evict(place: &Place<'_, '_>, drain: &Drain<'_>, grace: Option<i32>) -> Advance {
    let reason = if drain.blocked.is_empty() { Reason::Draining } else { Reason::DrainBlocked };
    let mut advance = place.go(NodeStep::Draining, NodePhase::Pending, reason, &drain.waiting_for());
    for pod in &drain.evict {
        let mut step = place.step(
            Reason::Draining,
            "move the pod away",
            Action::Evict {
                pod: Reference::new("Pod", &pod.namespace, &pod.name, &pod.uid),
                grace_seconds: grace.filter(|seconds| *seconds >= 0).map(i64::from),
            },
        );
        step.subject = Reference::new("Pod", &pod.namespace, &pod.name, &pod.uid);
        advance.steps.push(step);
    }
    advance
}
