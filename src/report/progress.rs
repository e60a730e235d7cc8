//! Progress while rounds run: a few lines that are rewritten on a terminal, a log line per thing that happened elsewhere.

use std::collections::BTreeMap;
use std::io::Write;

use crate::nodeop::api::NodeOpStatus;
use crate::outcome::{ActionOutcome, Verdict};
use crate::plan::Decision;
use crate::reason::Reason;
use crate::round::Round;

/// Tells what happens.
#[derive(Debug)]
pub struct Progress {
    live: bool,
    drawn: usize,
    said: BTreeMap<String, String>,
}

impl Progress {
    /// Live lines, or log lines.
    pub fn new(live: bool) -> Self {
        Self { live, drawn: 0, said: BTreeMap::new() }
    }

    /// Tells of a round.
    pub fn tell(&mut self, round: &Round) {
        let news = self.news(round);
        if !self.live {
            for line in news {
                tracing::info!("{line}");
            }
            for action in &round.outcome.actions {
                log(action);
            }
            return;
        }
        let shown = round.plan.decisions.iter().filter(|decision| is_ours(decision));
        let lines: Vec<String> = shown.map(|decision| bar(round, decision)).collect();
        let mut text = self.erase();
        for action in round.outcome.failures() {
            text.push_str(&format!("! {}: {}\n", action.action, message(&action.verdict)));
        }
        for line in &lines {
            text.push_str(line);
            text.push('\n');
        }
        self.drawn = lines.len();
        // Progress that cannot be shown is no reason to stop working.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    /// Leaves the last lines standing.
    pub fn finish(&mut self) {
        self.drawn = 0;
    }

    fn erase(&self) -> String {
        if self.drawn == 0 { String::new() } else { format!("\x1b[{}A\x1b[J", self.drawn) }
    }

    /// What is said now and was not said before.
    fn news(&mut self, round: &Round) -> Vec<String> {
        let mut news = Vec::new();
        for decision in round.plan.decisions.iter().filter(|decision| is_ours(decision)) {
            let say = format!("{}: {} ({})", decision.subject, decision.message, decision.reason);
            if self.said.get(&decision.subject.uid) != Some(&say) {
                self.said.insert(decision.subject.uid.clone(), say.clone());
                news.push(say);
            }
        }
        news
    }
}

/// Whether this runner acts on the resource; of the others there is nothing to tell.
fn is_ours(decision: &Decision) -> bool {
    decision.reason != Reason::OtherNamespace
}

fn log(action: &ActionOutcome) {
    let ActionOutcome { on_behalf_of, action, verdict, .. } = action;
    let of = on_behalf_of.to_string();
    match verdict {
        Verdict::Done => tracing::info!(of, "{action}"),
        Verdict::Already | Verdict::Skipped => tracing::debug!(of, "{action}: {}", message(verdict)),
        Verdict::Moved(why) => tracing::info!(of, "{action}: the world moved, the next round decides again ({why})"),
        Verdict::Blocked(why) => tracing::info!(of, "{action}: blocked ({why})"),
        Verdict::Throttled(why) | Verdict::Unknown(why) => tracing::warn!(of, "{action}: {why}"),
        Verdict::Failed(why) | Verdict::NotSetUp(why) => tracing::error!(of, "{action}: {why}"),
    }
}

fn message(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Done => "done",
        Verdict::Already => "so already",
        Verdict::Skipped => "skipped",
        Verdict::Moved(why) | Verdict::Blocked(why) | Verdict::Throttled(why) => why,
        Verdict::Unknown(why) | Verdict::Failed(why) | Verdict::NotSetUp(why) => why,
    }
}

/// One line for a resource: name, bar, counts, where it is now.
fn bar(round: &Round, decision: &Decision) -> String {
    const WIDTH: usize = 24;
    let status: NodeOpStatus = crate::round::status_after(&round.snapshot, decision);
    let counts = status.nodes.unwrap_or_default();
    let share = |nodes: i64| usize::try_from(nodes).unwrap_or(0) * WIDTH / usize::try_from(counts.total).unwrap_or(0).max(1);
    let done = share(counts.completed + counts.failed);
    let flying = share(counts.in_flight).max(usize::from(counts.in_flight > 0)).min(WIDTH - done);
    let drawing = format!("{}{}{}", "#".repeat(done), ">".repeat(flying), ".".repeat(WIDTH - done - flying));
    let failed = if counts.failed > 0 { format!(" {} failed", counts.failed) } else { String::new() };
    let progress = status.progress.as_deref().unwrap_or("-");
    let now = status.current.as_deref().unwrap_or(decision.reason.code());
    let line = format!("{:<28} [{drawing}] {progress:>7}{failed}  {now}  {}", decision.subject.to_string(), decision.message);
    // A line that wraps could not be erased.
    crate::nodeop::verdict::clip(&line, 150)
}
