//! A plan for a pull request, or the summary of a workflow: a line per resource, and all of it to unfold.

use super::markup::{block, code, prose};
use super::plan_text;
use crate::plan::{Decision, Plan};

/// Resources that are listed one by one.
const LISTED: usize = 100;
/// Characters of the plan as text: a comment takes 65,536.
const LONGEST: usize = 40_000;

/// The plan as Markdown.
pub fn markdown(plan: &Plan) -> String {
    if plan.decisions.is_empty() {
        return format!("### {}", plan_text::render(plan));
    }
    let mut text = format!("### {}\n\n", plan_text::total(plan));
    // What is to be written first.
    let (changes, stays): (Vec<_>, Vec<_>) = plan.decisions.iter().partition(|decision| is_change(decision));
    text.extend(changes.iter().chain(&stays).take(LISTED).map(|decision| line(decision)));
    if let more @ 1.. = plan.decisions.len().saturating_sub(LISTED) {
        text += &format!("- and {more} more\n");
    }
    let whole = anstream::adapter::strip_str(&plan_text::render(plan)).to_string();
    text + &format!("\n<details><summary>Steps and reasons</summary>\n\n{}\n</details>\n", block(&cut(&whole)))
}

fn is_change(decision: &Decision) -> bool {
    decision.status.is_some() || !decision.steps.is_empty()
}

fn line(decision: &Decision) -> String {
    let sign = if decision.failed { "❌ " } else { "" };
    let actions: usize = decision.steps.iter().map(|step| step.actions.len()).sum();
    let writes = match (decision.status.is_some(), actions) {
        (false, 0) => "",
        (true, 0) => ", writes its status",
        (false, _) => ", writes objects",
        (true, _) => ", writes its status and objects",
    };
    format!("- {sign}{}: {}: {}{writes}\n", code(&decision.subject.to_string()), decision.reason.code(), prose(&decision.message))
}

/// As many whole lines as fit.
fn cut(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_string();
    }
    let end = text[..text.floor_char_boundary(LONGEST)].rfind('\n').map_or(0, |end| end + 1);
    format!("{}… and more: see rounds plan\n", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::cases;

    #[test]
    fn a_line_per_resource_and_all_of_it_to_unfold() {
        let mut plan = cases::planned().plan;
        let mut quiet = plan.decisions[0].clone();
        quiet.subject.name = "quiet".into();
        (quiet.failed, quiet.status) = (false, None);
        quiet.steps.clear();
        quiet.message = "asked by @team".into();
        plan.decisions.insert(0, quiet);
        let text = markdown(&plan);
        let expected = "\
### A round would write 1 status and 1 object (2 resources).

- ❌ `NodeOp default/op`: Progressing: 1 of 4 nodes in flight, 1 done, writes its status and objects
- `NodeOp default/quiet`: Progressing: `asked by @team`

<details><summary>Steps and reasons</summary>

```text
NodeOp default/quiet: Progressing
";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("        - lock and cordon Node n2\n") && text.ends_with("```\n\n</details>\n"), "{text}");
        assert_eq!(markdown(&Plan::default()), "### Nothing to decide: there are no resources.\n");
    }

    #[test]
    fn a_large_plan_fits_into_a_comment() {
        let mut plan = cases::planned().plan;
        let one = plan.decisions[0].clone();
        plan.decisions = vec![one; 500];
        let text = markdown(&plan);
        assert!(
            text.len() < 65_536 && text.contains("\n- and 400 more\n") && text.contains("\n… and more: see rounds plan\n"),
            "{}",
            text.len()
        );
    }
}
