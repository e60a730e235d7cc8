//! What a simulated rollout came to, for a comment on a pull request.

use super::facts::{Ending, Facts, explained};
use super::summary::{LISTED, figures};
use super::timeline::timeline;
use crate::report::markup::{block, code, prose};
use crate::simulate::trace::{OperationTrace, Trace};

/// Columns and rows of the timeline: as wide as a comment is.
const COLUMNS: usize = 100;
const ROWS: usize = 40;

/// The facts as Markdown, and the timeline to unfold.
pub fn markdown(trace: &Trace) -> String {
    let facts = Facts::of(trace);
    let sign = match facts.ending {
        Ending::Completed => "✅ ",
        Ending::NotCompleted => "❌ ",
        Ending::Nothing => "",
    };
    let mut text = format!("### {sign}{}\n\n", facts.verdict);
    text += &format!("{}\n\n", prose(&facts.why));
    for (name, value) in figures(&facts) {
        text += &format!("- **{name}**: {}\n", prose(&value));
    }
    if !facts.operations.is_empty() {
        text += "\n**Operations**\n\n";
        text.extend(facts.operations.iter().map(operation));
    }
    if !facts.failed_nodes.is_empty() {
        text += "\n**Failed nodes**\n\n";
        for node in facts.failed_nodes.iter().take(LISTED) {
            text += &format!("- {}: {}\n", code(node.name), code(&explained(node.reason, node.message)));
        }
        if let more @ 1.. = facts.failed_nodes.len().saturating_sub(LISTED) {
            text += &format!("- and {more} more\n");
        }
    }
    if !trace.nodes.is_empty() {
        text += &format!("\n<details><summary>Timeline</summary>\n\n{}\n</details>\n", block(&timeline(trace, COLUMNS, ROWS)));
    }
    text
}

fn operation(operation: &OperationTrace) -> String {
    let ended = if operation.completed { "completes" } else { "does not complete" };
    let counts = format!("{} done, {} failed, {} left", operation.done, operation.failed, operation.left);
    let name = code(&format!("{} {}", operation.kind, operation.name));
    format!("- {name} {ended} ({counts}): {}\n", code(&explained(Some(operation.reason), &operation.message)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::simulation::cases;

    #[test]
    fn a_comment_says_how_it_ended_and_why() {
        let text = markdown(&cases::failed());
        let expected = "\
### ❌ The rollout does not complete

NodeOp default/op: StoppedOnFailure: w-2 failed

- **Time**: 20m; 40 rounds, 31 writes
- **Nodes**: 4, at most 1 away at once (a 1, b 1)
- **Pods**: 2 disturbed, 1 more than once: default/web-1 (3 times)
- **Budgets**: blocked evictions: default/web for 5m
- **Windows**: 2 maintenance windows closed while nodes were still to be taken

**Operations**

- `NodeOp default/op` does not complete (2 done, 1 failed, 1 left): `StoppedOnFailure: w-2 failed`

**Failed nodes**

- `w-2`: `CommandFailed: exit code 1: no <space> left`

<details><summary>Timeline</summary>

```text
";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.ends_with("X failed\n```\n\n</details>\n"), "{text}");
    }

    #[test]
    fn what_others_wrote_stays_code() {
        let mut trace = cases::failed();
        trace.nodes[2].name = "```".into();
        let text = markdown(&trace);
        assert_eq!(text.matches("\n````text\n").count(), 1, "{text}");
    }
}
