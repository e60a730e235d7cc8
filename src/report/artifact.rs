//! Where artifacts stand: a line each, one of them with its files, and the same for programs.

use serde_json::{Value, json};

use super::paint::Tone;
use super::status;
use super::table::{self, Cell};
use super::words::age;
use crate::artifact::KIND;
use crate::artifact::api::{ExporterResult, OSArtifactStatus};
use crate::plan::Decision;
use crate::round::{Round, status_after};

/// The decisions about artifacts, each with its status as it will stand.
pub fn decisions(round: &Round) -> impl Iterator<Item = (&Decision, OSArtifactStatus)> {
    let decisions = round.plan.decisions.iter().filter(|decision| decision.subject.kind == KIND);
    decisions.map(|decision| (decision, status_after(&round.snapshot.artifacts, decision)))
}

/// All artifacts, a line each; nothing if there are none.
pub fn table(round: &Round, beneath: bool) -> String {
    let rows: Vec<Vec<Cell>> = decisions(round).map(|(decision, status)| row(decision, &status)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let title = if beneath { "\nArtifacts\n" } else { "Artifacts\n" };
    format!("{title}{}", table::render(&["NAMESPACE", "NAME", "PHASE", "DONE", "REASON", "NOW", "MESSAGE"], &rows))
}

fn row(decision: &Decision, of: &OSArtifactStatus) -> Vec<Cell> {
    let mut row = status::head(decision, of.phase, of.progress.as_deref());
    row.extend([status::reason(decision), status::now(decision, of.current.as_deref()), decision.message.as_str().into()]);
    row
}

/// One artifact: where it stands, its files, and its exporters.
pub fn details(round: &Round, decision: &Decision) -> String {
    let status = status_after(&round.snapshot.artifacts, decision);
    let title = Tone::Strong.paint(&decision.subject.to_string());
    let phase = status.phase.map_or_else(|| "-".into(), |phase| format!("{phase:?}"));
    let reason = Tone::of_decision(decision).paint(decision.reason.code());
    let mut text = format!("{title}: {phase} {}\n  {reason}: {}\n", status.progress.as_deref().unwrap_or("-"), decision.message);
    if let Some(now) = status.current.as_ref().filter(|now| **now != decision.reason.code()) {
        text += &format!("  now {now}\n");
    }
    if let Some(started) = &status.started_at {
        let ended = status.completed_at.as_ref().map(|at| format!(", settled {} ago", age(round.snapshot.now, at.0))).unwrap_or_default();
        text += &format!("  run {}, started {} ago{ended}\n", status.run.unwrap_or(1), age(round.snapshot.now, started.0));
    }
    if let Some(image) = &status.image {
        text += &format!("  pushed {image}\n");
    }
    if !status.artifacts.is_empty() {
        let size = |size: Option<i64>| size.map(|size| size.to_string()).unwrap_or_default();
        let files = status.artifacts.iter();
        let rows =
            files.map(|file| vec![file.name.as_str().into(), size(file.size).into(), file.digest.clone().unwrap_or_default().into()]);
        text += &format!("\n{}", table::render(&["FILE", "BYTES", "DIGEST"], &rows.collect::<Vec<Vec<Cell>>>()));
    }
    if let Some(more) = status.omitted {
        text += &format!("and {more} more\n");
    }
    if !status.exporters.is_empty() {
        let rows = status.exporters.iter().enumerate().map(|(index, exporter)| {
            let tone = match exporter.result {
                Some(ExporterResult::Failed) => Tone::Bad,
                Some(ExporterResult::Succeeded) => Tone::Good,
                None => Tone::Wait,
            };
            let result = exporter.result.map_or_else(|| "-".to_string(), |result| format!("{result:?}"));
            let message = exporter.message.clone().unwrap_or_default();
            vec![index.to_string().into(), exporter.job_name.clone().unwrap_or_default().into(), Cell::new(result, tone), message.into()]
        });
        text += &format!("\n{}", table::render(&["EXPORTER", "JOB", "RESULT", "MESSAGE"], &rows.collect::<Vec<Vec<Cell>>>()));
    }
    text
}

/// The same for programs.
pub fn json(round: &Round) -> Vec<Value> {
    let one = |(decision, status): (&Decision, OSArtifactStatus)| {
        json!({
            "resource": decision.subject, "reason": decision.reason, "message": decision.message,
            "settled": decision.settled, "failed": decision.failed, "status": status,
        })
    };
    decisions(round).map(one).collect()
}
