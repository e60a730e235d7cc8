//! Tables: columns as wide as they must be, the last one unbounded.

use crate::nodeop::api::NodeStatus;
use crate::plan::Decision;
use crate::round::{Round, status_after};

/// Aligns rows under a header.
pub fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(header.get(column).map(|title| title.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_string() + "\n"
    };
    let head = line(header.to_vec());
    rows.iter().map(|row| line(row.iter().map(String::as_str).collect())).fold(head, |text, row| text + &row)
}

/// All NodeOps: where they stand and what they wait for.
pub fn nodeops(round: &Round) -> String {
    let rows: Vec<Vec<String>> = round
        .plan
        .decisions
        .iter()
        .filter(|decision| decision.subject.kind == "NodeOp")
        .map(|decision| {
            let status = status_after(&round.snapshot, decision);
            vec![
                decision.subject.namespace.clone(),
                decision.subject.name.clone(),
                status.phase.map_or_else(|| "-".into(), |phase| format!("{phase:?}")),
                status.progress.clone().unwrap_or_else(|| "-".into()),
                decision.reason.to_string(),
                status.current.clone().filter(|now| *now != decision.reason.code()).unwrap_or_else(|| "-".into()),
                decision.message.clone(),
            ]
        })
        .collect();
    if rows.is_empty() {
        return "No NodeOps.\n".into();
    }
    render(&["NAMESPACE", "NAME", "PHASE", "DONE", "REASON", "NOW", "MESSAGE"], &rows)
}

/// The nodes of one NodeOp, those that have not been started included.
pub fn nodes(round: &Round, decision: &Decision) -> String {
    let status = status_after(&round.snapshot, decision);
    let rows: Vec<Vec<String>> = decision
        .nodes
        .iter()
        .map(|(name, why)| {
            let entry = status.node_statuses.get(name).cloned().unwrap_or_default();
            let started = status.node_statuses.contains_key(name);
            vec![
                name.clone(),
                if started { format!("{:?}", entry.phase) } else { "-".into() },
                entry.step.map_or_else(|| "-".into(), |step| format!("{step:?}")),
                why.reason.to_string(),
                since(&entry),
                why.message.clone(),
            ]
        })
        .collect();
    render(&["NODE", "PHASE", "STEP", "REASON", "SINCE", "MESSAGE"], &rows)
}

fn since(entry: &NodeStatus) -> String {
    let since = entry.reason_since.as_ref().or(entry.last_updated.as_ref());
    since.map_or_else(|| "-".into(), |since| since.0.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_do_not_trail() {
        let rows = vec![vec!["long-name".into(), "x".into()], vec!["é".into(), String::new()]];
        assert_eq!(render(&["NAME", "MESSAGE"], &rows), "NAME       MESSAGE\nlong-name  x\né\n");
    }
}
