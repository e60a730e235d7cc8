//! What a simulated rollout came to, as text and as JSON.

use serde_json::{Value, json};

use super::clock;
use super::facts::{Ending, Facts, explained};
use crate::report::SCHEMA_VERSION;
use crate::report::paint::Tone;
use crate::report::table::{self, Cell};
use crate::report::words::{count, names};
use crate::simulate::trace::{OperationTrace, Trace};
use crate::text::one_line;

/// Failed nodes that are listed, and pods, budgets and zones in a line.
pub const LISTED: usize = 10;
const FEW: usize = 5;

/// The facts for people: how it ended and why in one sentence, then the figures, operations, and failed nodes.
pub fn text(trace: &Trace) -> String {
    let facts = Facts::of(trace);
    let tone = match facts.ending {
        Ending::Completed => Tone::Good,
        Ending::NotCompleted => Tone::Bad,
        Ending::Nothing => Tone::Plain,
    };
    let mut text = tone.paint(&facts.sentence()) + "\n";
    for (name, value) in figures(&facts) {
        text += &format!("\n{}{value}", Tone::Strong.paint(&format!("{name:<9}")));
    }
    text += "\n";
    if !facts.operations.is_empty() {
        let rows: Vec<Vec<Cell>> = facts.operations.iter().map(operation).collect();
        text += "\n";
        text += &table::render(&["OPERATION", "COMPLETED", "DONE", "FAILED", "LEFT", "REASON", "MESSAGE"], &rows);
    }
    text + &failed_nodes(&facts)
}

/// The same for programs, with the whole trace.
pub fn json(trace: &Trace) -> Value {
    let mut document = json!(Facts::of(trace));
    document["schemaVersion"] = json!(SCHEMA_VERSION);
    document["completed"] = json!(trace.is_completed());
    document["sentence"] = json!(Facts::of(trace).sentence());
    document["trace"] = json!(trace);
    document
}

/// The figures that people ask for, each with its name; what did not happen is left out.
pub fn figures(facts: &Facts) -> Vec<(&'static str, String)> {
    let rounds = format!("{}, {}", count(facts.rounds, "round"), count(facts.writes, "write"));
    let mut figures = vec![("Time", format!("{}; {rounds}", clock::duration(facts.seconds)))];
    figures.push(("Nodes", format!("{}, at most {} away at once{}", facts.nodes, facts.most_away, zones(facts))));
    if facts.pods_disturbed > 0 {
        figures.push(("Pods", pods(facts)));
    }
    if !facts.budgets_blocked_seconds.is_empty() {
        figures.push(("Budgets", budgets(facts)));
    }
    if facts.windows_missed > 0 {
        let windows = count(facts.windows_missed, "maintenance window");
        figures.push(("Windows", format!("{windows} closed while nodes were still to be taken")));
    }
    figures
}

fn zones(facts: &Facts) -> String {
    if facts.most_away_by_zone.keys().all(String::is_empty) {
        return String::new();
    }
    let name = |zone: &str| if zone.is_empty() { "no zone".to_string() } else { one_line(zone) };
    let zones = facts.most_away_by_zone.iter().map(|(zone, most)| format!("{} {most}", name(zone)));
    format!(" ({})", listed(zones.collect(), LISTED))
}

fn pods(facts: &Facts) -> String {
    let disturbed = format!("{} disturbed", facts.pods_disturbed);
    if facts.pods_disturbed_again.is_empty() {
        return disturbed + ", none more than once";
    }
    let again = facts.pods_disturbed_again.iter().map(|pod| format!("{} ({} times)", one_line(pod.name), pod.times));
    format!("{disturbed}, {} more than once: {}", facts.pods_disturbed_again.len(), listed(again.collect(), FEW))
}

fn budgets(facts: &Facts) -> String {
    let mut blocked: Vec<(&String, i64)> = facts.budgets_blocked_seconds.iter().map(|(name, seconds)| (name, *seconds)).collect();
    blocked.sort_by_key(|(_, seconds)| std::cmp::Reverse(*seconds));
    let blocked = blocked.into_iter().map(|(name, seconds)| format!("{} for {}", one_line(name), clock::duration(seconds)));
    format!("blocked evictions: {}", listed(blocked.collect(), FEW))
}

fn listed(words: Vec<String>, most: usize) -> String {
    names(&words.iter().map(String::as_str).collect::<Vec<_>>(), most)
}

fn operation(operation: &OperationTrace) -> Vec<Cell> {
    let completed = if operation.completed { Cell::new("yes", Tone::Good) } else { Cell::new("no", Tone::Bad) };
    let failed = Cell::new(operation.failed.to_string(), if operation.failed > 0 { Tone::Bad } else { Tone::Plain });
    vec![
        format!("{} {}", operation.kind, operation.name).into(),
        completed,
        operation.done.to_string().into(),
        failed,
        operation.left.to_string().into(),
        Cell::new(operation.reason.code(), Tone::of(operation.reason)),
        operation.message.as_str().into(),
    ]
}

fn failed_nodes(facts: &Facts) -> String {
    if facts.failed_nodes.is_empty() {
        return String::new();
    }
    let rows = facts.failed_nodes.iter().take(LISTED).map(|node| {
        let reason = node.reason.map_or("", |reason| reason.code());
        vec![node.name.into(), node.operation.unwrap_or_default().into(), Cell::new(reason, Tone::Bad), message(node.reason, node.message)]
    });
    let table = table::render(&["NODE", "OPERATION", "REASON", "MESSAGE"], &rows.collect::<Vec<_>>());
    let more = facts.failed_nodes.len().saturating_sub(LISTED);
    let more = if more > 0 { format!("and {more} more\n") } else { String::new() };
    format!("\nFailed nodes\n{table}{more}")
}

/// What was said, or what the reason means.
fn message(reason: Option<crate::reason::Reason>, message: &str) -> Cell {
    let explained = explained(reason, message);
    let code = reason.map(|reason| format!("{reason}: ")).unwrap_or_default();
    explained.strip_prefix(&code).unwrap_or(&explained).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::cases::plain;
    use crate::report::simulation::cases;
    use crate::simulate::trace::State;

    #[test]
    fn a_failed_rollout_is_told_from_the_top() {
        assert_eq!(
            plain(&text(&cases::failed())),
            "\
The rollout does not complete: NodeOp default/op: StoppedOnFailure: w-2 failed.

Time     20m; 40 rounds, 31 writes
Nodes    4, at most 1 away at once (a 1, b 1)
Pods     2 disturbed, 1 more than once: default/web-1 (3 times)
Budgets  blocked evictions: default/web for 5m
Windows  2 maintenance windows closed while nodes were still to be taken

OPERATION          COMPLETED  DONE  FAILED  LEFT  REASON            MESSAGE
NodeOp default/op  no         2     1       1     StoppedOnFailure  w-2 failed

Failed nodes
NODE  OPERATION   REASON         MESSAGE
w-2   default/op  CommandFailed  exit code 1: no <space> left
"
        );
    }

    #[test]
    fn what_did_not_happen_is_not_told() {
        let text = plain(&text(&cases::staircase(3)));
        assert!(!text.contains("Pods") && !text.contains("Budgets") && !text.contains("Windows") && !text.contains("Failed"), "{text}");
        assert_eq!(plain(&super::text(&Trace::default())).lines().count(), 4);
    }

    #[test]
    fn of_many_failed_nodes_the_first_are_listed() {
        let mut trace = cases::staircase(30);
        trace.nodes = (0..30).map(|number| cases::node(&format!("n-{number}"), "", &[(State::Failed, 5)])).collect();
        let text = plain(&text(&trace));
        assert!(text.contains("n-9 ") && !text.contains("n-10 ") && text.ends_with("and 20 more\n"), "{text}");
    }

    #[test]
    fn programs_get_the_facts_and_the_trace() {
        let document = json(&cases::failed());
        assert_eq!((&document["schemaVersion"], &document["ending"]), (&json!(1), &json!("notCompleted")));
        assert_eq!((&document["completed"], &document["mostAway"]), (&json!(false), &json!(1)));
        assert_eq!(document["mostAwayByZone"], json!({"a": 1, "b": 1}));
        assert_eq!(document["podsDisturbedAgain"], json!([{"name": "default/web-1", "times": 3}]));
        assert_eq!(document["budgetsBlockedSeconds"], json!({"default/web": 300}));
        assert_eq!(document["operations"][0]["windowsMissed"], 2);
        assert_eq!(document["failedNodes"][0]["reason"], "CommandFailed");
        assert_eq!(document["trace"]["nodes"][3]["spans"][0]["state"], "waiting");
    }
}
