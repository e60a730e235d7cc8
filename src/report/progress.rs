//! What is told while rounds run: bars for a terminal, and news for a log.

use std::collections::{BTreeMap, BTreeSet};

use super::paint::Tone;
use super::words::{self, clip_to};
use crate::nodeop::api::NodeOpStatus;
use crate::outcome::{ActionOutcome, Verdict};
use crate::plan::{Decision, NodeReason};
use crate::reason::Reason;
use crate::round::{Round, status_after};
use crate::text;

/// Nodes that are listed in one line.
const LISTED: usize = 5;

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something is wrong.
    Error,
    /// Somebody may have to do something.
    Warn,
    /// Something happened.
    Info,
    /// For who looks closely.
    Debug,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// How loud.
    pub level: Level,
    /// The resource that it is about.
    pub resource: String,
    /// Its nodes that it is about; empty: the resource as a whole.
    pub nodes: Vec<String>,
    /// The reason; None for a write.
    pub reason: Option<Reason>,
    /// What happened.
    pub message: String,
}

impl News {
    /// The whole line.
    pub fn line(&self) -> String {
        let nodes: Vec<&str> = self.nodes.iter().map(String::as_str).collect();
        let reason = self.reason.map(|reason| format!("{reason}: ")).unwrap_or_default();
        match nodes.is_empty() {
            true => format!("{}: {reason}{}", self.resource, self.message),
            false => format!("{}: {}: {reason}{}", self.resource, words::names(&nodes, LISTED), self.message),
        }
    }
}

/// Remembers what was said, so that nothing is said twice.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    resources: BTreeMap<String, String>,
    nodes: BTreeMap<String, BTreeMap<String, Reason>>,
    denied: BTreeSet<String>,
}

impl Memory {
    /// What is to be said after a round and was not said before.
    pub fn news(&mut self, round: &Round) -> Vec<News> {
        let mut news: Vec<News> = round.warnings().into_iter().filter_map(|(name, message)| self.warning(name, message)).collect();
        news.extend(round.outcome.actions.iter().map(write));
        news.extend(round.denied.difference(&self.denied).map(|permission| denied(permission)));
        self.denied.clone_from(&round.denied);
        for decision in round.plan.decisions.iter().filter(|decision| !super::status::is_mirror(round, decision)) {
            news.extend(self.nodes(round, decision));
            let said = format!("{} {}", decision.reason, decision.message);
            let before = self.resources.insert(decision.subject.uid.clone(), said.clone());
            if before.as_ref() != Some(&said) {
                let level = match (decision.settled, decision.failed) {
                    (true, true) => Level::Warn,
                    // It was so before anybody looked.
                    (true, false) if before.is_none() => Level::Debug,
                    _ => Level::Info,
                };
                let message = decision.message.clone();
                news.push(News {
                    level,
                    resource: decision.subject.to_string(),
                    nodes: Vec::new(),
                    reason: Some(decision.reason),
                    message,
                });
            }
        }
        let living: BTreeSet<&str> = round.plan.decisions.iter().map(|decision| decision.subject.uid.as_str()).collect();
        self.resources.retain(|uid, _| living.contains(uid.as_str()) || round.snapshot.older.contains(uid));
        self.nodes.retain(|uid, _| living.contains(uid.as_str()));
        news
    }

    /// What keeps all resources of a kind from being worked on is told once, not once per resource.
    fn warning(&mut self, name: &str, message: String) -> Option<News> {
        let before = self.resources.insert(name.to_string(), message.clone());
        let resource = format!("CustomResourceDefinition {name}");
        let reason = Some(Reason::OlderDefinition);
        (before.as_ref() != Some(&message)).then(|| News { level: Level::Warn, resource, nodes: Vec::new(), reason, message })
    }

    /// Nodes whose reason is another one than before.
    fn nodes(&mut self, round: &Round, decision: &Decision) -> Vec<News> {
        let reasons = decision.nodes.iter().map(|(node, why)| (node.clone(), why.reason)).collect();
        let before = self.nodes.insert(decision.subject.uid.clone(), reasons);
        let resource = round.snapshot.nodeops.iter().find(|resource| resource.meta.uid == decision.subject.uid);
        // What had finished before anybody looked is no news.
        let is_old = |node: &str| {
            before.is_none() && resource.and_then(|resource| resource.status.of(node)).is_some_and(|entry| entry.is_finished())
        };
        let known = |node: &str| before.as_ref().and_then(|before| before.get(node)).copied();
        let is_news = |(node, why): &(&String, &NodeReason)| known(node) != Some(why.reason) && !is_old(node);
        let news = words::groups(decision.nodes.iter().filter(is_news)).into_iter().map(|group| News {
            level: match Tone::of(group.reason) {
                Tone::Bad | Tone::Wait => Level::Warn,
                _ => Level::Info,
            },
            resource: decision.subject.to_string(),
            nodes: group.nodes.iter().map(ToString::to_string).collect(),
            reason: Some(group.reason),
            message: if group.message.is_empty() { group.reason.meaning().into() } else { group.message.into() },
        });
        news.collect()
    }
}

/// What became of a write. Those that only tell, statuses and Events, are for who looks closely.
fn write(outcome: &ActionOutcome) -> News {
    let quiet = outcome.target == outcome.on_behalf_of || outcome.target.kind == "Event";
    let done = if quiet { Level::Debug } else { Level::Info };
    let (level, message) = match &outcome.verdict {
        Verdict::Done => (done, outcome.action.clone()),
        Verdict::Already => (Level::Debug, format!("{}: so already", outcome.action)),
        Verdict::Skipped => (Level::Debug, format!("{}: skipped", outcome.action)),
        Verdict::Postponed => (Level::Debug, format!("{}: left to the next round", outcome.action)),
        Verdict::Moved(why) => (Level::Info, format!("{}: the world moved, the next round decides again ({why})", outcome.action)),
        Verdict::Blocked(why) => (Level::Info, format!("{}: blocked ({why})", outcome.action)),
        Verdict::Throttled(why) => (Level::Warn, format!("{}: the server asks to slow down ({why})", outcome.action)),
        Verdict::Unknown(why) => (Level::Warn, format!("{}: no answer, the next round sees ({why})", outcome.action)),
        Verdict::Failed(why) | Verdict::NotSetUp(why) => (Level::Error, format!("{}: {why}", outcome.action)),
    };
    News { level, resource: outcome.on_behalf_of.to_string(), nodes: Vec::new(), reason: None, message }
}

/// A look that was not allowed.
fn denied(permission: &str) -> News {
    News { level: Level::Error, resource: "Rounds".into(), nodes: Vec::new(), reason: None, message: permission.into() }
}

/// One line per resource that fits into a terminal: name, bar, counts, and the nodes in flight with their step.
pub fn bars(round: &Round, columns: usize, rows: usize) -> Vec<String> {
    let mut decisions: Vec<&Decision> =
        round.plan.decisions.iter().filter(|decision| is_resource(decision) && !super::status::is_mirror(round, decision)).collect();
    // What moves is on the screen first, if not everything fits.
    decisions.sort_by_key(|decision| decision.settled);
    let name = decisions.iter().map(|decision| path(decision).chars().count()).max().unwrap_or(0).min(40);
    let rows = rows.max(2);
    let more = if decisions.len() > rows { decisions.len() - (rows - 1) } else { 0 };
    let shown = decisions.len() - more;
    let mut lines: Vec<String> = decisions[..shown].iter().map(|decision| bar(round, decision, name, columns)).collect();
    if more > 0 {
        lines.push(clip_to(&format!("and {more} more"), columns));
    }
    lines
}

/// Nodes, and the labels of all of them, are no resources of which something is done.
fn is_resource(decision: &Decision) -> bool {
    !matches!(decision.subject.kind.as_str(), "Node" | "Namespace")
}

fn path(decision: &Decision) -> String {
    format!("{}/{}", decision.subject.namespace, decision.subject.name)
}

fn bar(round: &Round, decision: &Decision, name: usize, columns: usize) -> String {
    const WIDTH: usize = 20;
    let status: NodeOpStatus = status_after(&round.snapshot.nodeops, decision);
    let counts = status.nodes.unwrap_or_default();
    let number = |nodes: i64| usize::try_from(nodes).unwrap_or(0);
    let share = |nodes: i64| number(nodes) * WIDTH / number(counts.total).max(1);
    let done = share(counts.completed + counts.failed).min(WIDTH);
    let flying = share(counts.in_flight).max(usize::from(counts.in_flight > 0)).min(WIDTH - done);
    let drawing = format!("{}{}{}", "#".repeat(done), ">".repeat(flying), ".".repeat(WIDTH - done - flying));
    let progress = status.progress.as_deref().unwrap_or("-");
    let failed = if counts.failed > 0 { format!(" {} failed", counts.failed) } else { String::new() };
    let head = format!("{:<name$} [{drawing}] {progress:>7}{failed}  ", clip_to(&path(decision), name));
    let rest = match in_flight(&status) {
        nodes if nodes.is_empty() => format!("{}: {}", decision.reason, decision.message),
        nodes => nodes,
    };
    // A line that wraps could not be erased: it is cut before it is painted.
    let room = columns.saturating_sub(head.chars().count() + 1);
    let rest = Tone::of_decision(decision).paint(&clip_to(&text::one_line(&rest), room));
    if room == 0 { clip_to(&head, columns.saturating_sub(1)) } else { head + &rest }
}

fn in_flight(status: &NodeOpStatus) -> String {
    let flying = status.node_statuses.iter().filter_map(|(node, entry)| Some((node, entry.step?, entry)));
    let words: Vec<String> = flying
        .map(|(node, step, entry)| {
            let step = format!("{step:?}");
            let reason = entry.reason.as_deref().filter(|reason| *reason != step).map(|reason| format!(" ({reason})"));
            format!("{node} {step}{}", reason.unwrap_or_default())
        })
        .collect();
    words::names(&words.iter().map(String::as_str).collect::<Vec<_>>(), LISTED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::cases::{self, plain};
    use crate::snapshot::Reference;

    fn lines(news: &[News]) -> Vec<String> {
        news.iter().map(News::line).collect()
    }

    #[test]
    fn a_bar_shows_what_is_done_and_in_flight_and_never_wraps() {
        let round = cases::planned();
        let bar = |columns| plain(&bars(&round, columns, 10)[0]);
        assert_eq!(bar(200), "default/op [#####>>>>>..........]     1/4 1 failed  n2 Locking");
        for columns in 1..100 {
            assert!(bar(columns).chars().count() <= columns.max(1), "{columns}: {}", bar(columns));
        }
    }

    #[test]
    fn of_more_resources_than_rows_the_rest_is_counted() {
        let mut round = cases::planned();
        let one = round.plan.decisions[0].clone();
        round.plan.decisions = vec![one; 10];
        let lines = bars(&round, 80, 4);
        assert_eq!((lines.len(), lines[3].as_str()), (4, "and 7 more"));
    }

    #[test]
    fn what_was_said_is_not_said_again() {
        let mut memory = Memory::default();
        let mut round = cases::planned();
        assert_eq!(
            lines(&memory.news(&round)),
            [
                "NodeOp default/op: n2: Locking: the lock is being taken",
                "NodeOp default/op: n3, n4: WaitingForSlot: 1 of 1 slots are taken",
                "NodeOp default/op: Progressing: 1 of 4 nodes in flight, 1 done",
            ]
        );
        assert!(memory.news(&round).is_empty());
        let nodes = &mut round.plan.decisions[0].nodes;
        nodes.insert("n2".into(), NodeReason::new(Reason::DrainBlocked, "budget web"));
        let news = memory.news(&round);
        assert_eq!(lines(&news), ["NodeOp default/op: n2: DrainBlocked: budget web"]);
        assert_eq!(news[0].level, Level::Warn);
        round.plan.decisions[0].nodes.insert("n2".into(), NodeReason::new(Reason::Succeeded, "done"));
        assert_eq!(lines(&memory.news(&round)), ["NodeOp default/op: n2: Succeeded: done"]);
    }

    #[test]
    fn what_had_settled_before_anybody_looked_is_for_who_looks_closely() {
        let mut round = cases::planned();
        round.plan.decisions[0].settled = true;
        assert!(Memory::default().news(&round).iter().all(|news| news.level == Level::Warn || !news.nodes.is_empty()));
        round.plan.decisions[0].failed = false;
        assert_eq!(Memory::default().news(&round).last().map(|news| news.level), Some(Level::Debug));
    }

    #[test]
    fn writes_are_told_as_loud_as_they_matter() {
        let of = Reference::new("NodeOp", "default", "op", "u");
        let outcome = |target: &Reference, verdict| ActionOutcome {
            on_behalf_of: of.clone(),
            target: target.clone(),
            verb: "patch",
            action: "do it".into(),
            verdict,
        };
        let node = Reference::new("Node", "", "n", "n");
        for (target, verdict, level) in [
            (&of, Verdict::Done, Level::Debug),
            (&node, Verdict::Done, Level::Info),
            (&node, Verdict::Skipped, Level::Debug),
            (&node, Verdict::Postponed, Level::Debug),
            (&node, Verdict::Blocked("b".into()), Level::Info),
            (&node, Verdict::Unknown("b".into()), Level::Warn),
            (&of, Verdict::Failed("b".into()), Level::Error),
        ] {
            assert_eq!(write(&outcome(target, verdict)).level, level);
        }
    }
}
