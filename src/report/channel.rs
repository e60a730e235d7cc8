//! Where channels stand: a line each, one of them with what it knows of versions, and the same for programs.

use serde_json::{Value, json};

use super::paint::Tone;
use super::status;
use super::table::{self, Cell};
use super::words::age;
use crate::channel::api::{KIND, UpdateChannelStatus};
use crate::channel::poll::{self, POLLED};
use crate::plan::Decision;
use crate::round::{Round, status_after};

/// The decisions about channels, each with its status as it will stand.
pub fn decisions(round: &Round) -> impl Iterator<Item = (&Decision, UpdateChannelStatus)> {
    let decisions = round.plan.decisions.iter().filter(|decision| decision.subject.kind == KIND);
    decisions.map(|decision| (decision, status_after(&round.snapshot.channels, decision)))
}

/// All channels, a line each; nothing if there are none.
pub fn table(round: &Round, beneath: bool) -> String {
    let rows: Vec<Vec<Cell>> = decisions(round).map(|(decision, status)| row(round, decision, &status)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let title = if beneath { "\nChannels\n" } else { "Channels\n" };
    format!("{title}{}", table::render(&["NAMESPACE", "NAME", "PHASE", "DONE", "VERSION", "REASON", "NOW", "MESSAGE"], &rows))
}

fn row(round: &Round, decision: &Decision, of: &UpdateChannelStatus) -> Vec<Cell> {
    let mut row = status::head(decision, of.phase, of.progress.as_deref());
    row.push(version(round, decision, of).unwrap_or_default().into());
    row.extend([status::reason(decision), status::now(decision, of.current.as_deref()), decision.message.as_str().into()]);
    row
}

/// The version that is asked for by name, or the newest one.
fn version(round: &Round, decision: &Decision, of: &UpdateChannelStatus) -> Option<String> {
    let channel = round.snapshot.channels.iter().find(|channel| channel.meta.uid == decision.subject.uid)?;
    channel.spec.pinned().map(String::from).or_else(|| of.latest_version.clone())
}

/// One channel: where it stands, who is being updated, and what it knows of versions.
pub fn details(round: &Round, decision: &Decision) -> String {
    let status = status_after(&round.snapshot.channels, decision);
    let title = Tone::Strong.paint(&decision.subject.to_string());
    let phase = status.phase.map_or_else(|| "-".into(), |phase| format!("{phase:?}"));
    let reason = Tone::of_decision(decision).paint(decision.reason.code());
    let mut text = format!("{title}: {phase} {}\n  {reason}: {}\n", status.progress.as_deref().unwrap_or("-"), decision.message);
    if !status.updating.is_empty() {
        text += &format!("  slots: {}\n", status.updating.join(", "));
    }
    let now = round.snapshot.now;
    if let Some(version) = &status.latest_version {
        let since = status.latest_version_time.as_ref().map(|at| format!(", published {} ago", age(now, at.0))).unwrap_or_default();
        text += &format!("  newest version {version}{since}, by {}\n", status.latest_version_source.as_deref().unwrap_or("-"));
    }
    if let Some(polled) = status.conditions.iter().find(|condition| condition.type_ == POLLED) {
        let last = status.last_polled.as_ref().map(|at| format!(" {} ago", age(now, at.0))).unwrap_or_default();
        let tone = if polled.status == "True" { Tone::Good } else { Tone::Bad };
        text += &format!("  last answer{last}; {}: {}\n", tone.paint(&polled.reason), polled.message);
        let channel = round.snapshot.channels.iter().find(|channel| channel.meta.uid == decision.subject.uid);
        if let Some(next) = channel.and_then(|channel| poll::next(&channel.spec, &status)) {
            text += &format!("  asked again at {next:.0}\n");
        }
    }
    text
}

/// The same for programs.
pub fn json(round: &Round) -> Vec<Value> {
    let one = |(decision, status): (&Decision, UpdateChannelStatus)| {
        json!({
            "resource": decision.subject, "reason": decision.reason, "message": decision.message,
            "settled": decision.settled, "failed": decision.failed, "status": status,
        })
    };
    decisions(round).map(one).collect()
}
