//! How it ended: one line for people, one document for programs.

use serde_json::{Value, json};

use super::SCHEMA_VERSION;
use crate::round::{Ending, Round};

/// One line on how a run of rounds ended.
pub fn line(round: &Round, ending: Option<Ending>, rounds: u64) -> String {
    let how = match ending {
        None => "one round".to_string(),
        Some(Ending::Settled { failed: false }) => "settled".into(),
        Some(Ending::Settled { failed: true }) => "settled, with failures".into(),
        Some(Ending::TimedOut) => "not settled when the time was up".into(),
        Some(Ending::Stopped) => "stopped".into(),
    };
    let open = round.plan.decisions.iter().filter(|decision| !decision.settled).count();
    let times = if rounds == 1 { String::new() } else { format!(" after {rounds} rounds") };
    format!(
        "{how}{times}: {} resources, {open} not settled; last round: {} writes, {} refused",
        round.plan.decisions.len(),
        round.outcome.done(),
        round.outcome.failures().count()
    )
}

/// The same for programs, with the last round's decisions and what became of its writes.
pub fn report(round: &Round, ending: Option<Ending>, rounds: u64) -> Value {
    json!({
        "schemaVersion": SCHEMA_VERSION,
        "settled": matches!(ending, Some(Ending::Settled { .. })) || ending.is_none() && round.is_settled(),
        "failed": round.is_failed(),
        "rounds": rounds,
        "time": round.snapshot.now,
        "resources": round.plan.decisions.iter().map(|decision| json!({
            "resource": decision.subject,
            "reason": decision.reason,
            "message": decision.message,
            "settled": decision.settled,
            "failed": decision.failed,
            "nodes": decision.nodes,
        })).collect::<Vec<_>>(),
        "writes": round.outcome.actions,
    })
}
