//! The simulated side of a scenario.

use jiff::SignedDuration;
use rounds::decide::decide;
use rounds::outcome::Verdict;
use rounds::settings::Settings;
use rounds::simulate::model::{Model, Spread};
use rounds::simulate::world::World;
use rounds::simulate::writes::{What, Writes};
use rounds::snapshot::Snapshot;
use serde_json::Value;

use super::script::{Deed, Fate, Moment, Scenario};
use super::words::{Seen, Words};
use crate::harness::merge;

/// What happens within so many seconds is waited for; what takes longer is a timer that is left alone.
const NEAR: SignedDuration = SignedDuration::from_secs(15);

/// A world, and what is to become of it.
pub struct Simulated {
    pub words: Words,
    world: World,
    settings: Settings,
    corner: String,
    late: Vec<What>,
    plays: bool,
}

impl Simulated {
    /// A world that looks like the real corner at the beginning.
    pub fn new(scenario: &Scenario, corner: &str, settings: &Settings, now: jiff::Timestamp, seen: Seen) -> Self {
        let nodes = seen.nodes.into_iter().map(|node| (node.name.clone(), node)).collect();
        let snapshot = Snapshot { now, nodes, budgets: seen.budgets, ..Snapshot::default() };
        let quick = Spread::around(300, 0);
        let failures = scenario.failures.iter().map(|(node, times)| (format!("{corner}-{node}"), *times)).collect();
        let model = Model {
            job: quick,
            preflight: quick,
            start: Spread::around(50, 0),
            eviction: quick,
            ready: quick,
            reboot: quick,
            controller: Spread::around(50, 0),
            failures,
            ..Model::default()
        };
        let world = World::new(snapshot, seen.others, model, 1);
        let plays = !scenario.failures.is_empty();
        Self { words: Words::of(corner), world, settings: settings.clone(), corner: corner.into(), late: Vec::new(), plays }
    }

    /// One round, with what happens in it: its writes, and what never came to happen.
    pub fn round(&mut self, moments: &[Moment]) -> (Vec<String>, Vec<Moment>) {
        self.words.meet(&self.world.seen.nodeops);
        let plan = decide(self.world.look(), &self.settings);
        let mut lines: Vec<(What, Verdict)> = Vec::new();
        for decision in &plan.decisions {
            lines.extend(decision.status.clone().map(|status| (What::Status(Box::new(status)), Verdict::Skipped)));
            let actions = decision.steps.iter().flat_map(|step| &step.actions);
            lines.extend(actions.map(|action| (What::Action(action.clone()), Verdict::Skipped)));
        }
        let mut moments: Vec<&Moment> = moments.iter().collect();
        let mut dead = false;
        let mut writes = Writes::of(plan);
        while let Some(write) = writes.begin(0) {
            let verdict = self.write(&write.what, &mut moments, &mut dead);
            if let Some(line) = lines.iter_mut().find(|(what, verdict)| *what == write.what && *verdict == Verdict::Skipped) {
                line.1 = verdict.clone();
            }
            writes.end(write, &verdict);
        }
        let lines = lines.iter().map(|(what, verdict)| self.words.outcome(&self.words.planned(what), verdict));
        (lines.collect(), moments.into_iter().cloned().collect())
    }

    fn write(&mut self, what: &What, moments: &mut Vec<&Moment>, dead: &mut bool) -> Verdict {
        let unknown = || Verdict::Unknown("no answer".into());
        let words = self.words.planned(what);
        if *dead {
            return unknown();
        }
        let due = moments.iter().position(|moment| moment.at.as_ref().is_some_and(|at| words.starts_with(at)));
        let Some(moment) = due.map(|at| moments.remove(at)) else { return self.world.take(what) };
        if let Some(deed) = &moment.deed {
            self.deed(deed);
        }
        *dead = matches!(moment.fate, Some(Fate::Dies | Fate::DiesAfter));
        match moment.fate {
            None => self.world.take(what),
            Some(Fate::Lost | Fate::Dies) => unknown(),
            Some(Fate::Unanswered | Fate::DiesAfter) => {
                self.world.take(what);
                unknown()
            }
            Some(Fate::Conflict) => Verdict::Moved("conflict".into()),
            Some(Fate::Refused) => Verdict::Failed("internal error".into()),
            Some(Fate::Throttled) => Verdict::Throttled("too many requests".into()),
            Some(Fate::Late) => {
                self.late.push(what.clone());
                unknown()
            }
        }
    }

    /// What somebody does; what was late, and what became of it.
    pub fn deed(&mut self, deed: &Deed) -> Vec<String> {
        let full = |node: &String| format!("{}-{node}", self.corner);
        let world = &mut self.world;
        match deed {
            Deed::Cordon(node) => world.cordon(&full(node)),
            Deed::Uncordon(node) => world.uncordon(&full(node)),
            Deed::Unlock(node) => world.unlock(&full(node)),
            Deed::Label(node, key, value) => world.label(&full(node), key, value.as_deref()),
            Deed::DeleteJobs(op, node) => world.delete_jobs(op, &full(node)),
            Deed::DeleteNode(node) => world.delete_node(&full(node)),
            Deed::JoinNode(node) => {
                let node = full(node);
                let labels = [("corner", self.corner.as_str()), ("kubernetes.io/hostname", &node), ("kairos.io/managed", "true")];
                world.join_node(&node, labels.map(|(key, value)| (key.to_string(), value.to_string())).into());
            }
            Deed::Edit(op, change) => world.edit(op, |spec| {
                let mut whole = serde_json::to_value(&*spec).expect("a spec");
                json_patch::merge(&mut whole, change);
                *spec = serde_json::from_value(whole).expect("a spec");
            }),
            Deed::Annotate(op, key, value) => world.annotate(op, key, value),
            Deed::Create(op, spec) => self.create(op, spec),
            Deed::Delete(op) => world.delete_operation(op, false),
            Deed::DeleteForeground(op) => world.delete_operation(op, true),
            Deed::Limit(budget, most) => world.workload.limit(&self.corner, budget, *most),
            Deed::Pass(seconds) => {
                let until = world.now() + SignedDuration::from_secs(i64::from(*seconds));
                world.run_until(until);
            }
            Deed::Deliver => {
                let late = std::mem::take(&mut self.late);
                let taken = late.iter().map(|what| if self.world.take(what) == Verdict::Done { "taken" } else { "refused" });
                return taken.map(|taken| format!("late: {taken}")).collect();
            }
        }
        Vec::new()
    }

    /// Creates an operation over the corner's nodes.
    pub fn create(&mut self, name: &str, spec: &Value) {
        let mut whole = serde_json::json!({"nodeSelector": {"matchLabels": {"corner": self.corner}}, "command": ["succeed"]});
        merge(&mut whole, spec.clone());
        self.world.create_operation(&self.corner, name, whole).expect("a spec");
    }

    /// Lets everything happen that happens before long, and looks.
    pub fn rest(&mut self) -> Vec<String> {
        self.behave();
        while let Some(next) = self.world.next().filter(|next| next.duration_since(self.world.now()) <= NEAR) {
            self.world.run_until(next);
        }
        self.world.run_until(self.world.now() + SignedDuration::from_secs(1));
        let seen = self.look();
        self.words.meet(&seen.operations);
        self.words.lines(&seen)
    }

    /// Commands do what their first word says, as kwok's do. An operation whose command hangs makes all commands hang.
    fn behave(&mut self) {
        let word = |at: &Option<Vec<String>>| at.as_ref().and_then(|command| command.first().cloned()).unwrap_or_default();
        let operations = &self.world.seen.nodeops;
        let commands: Vec<String> = operations.iter().map(|op| word(&Some(op.spec.command.clone()))).collect();
        let skips = operations
            .iter()
            .any(|op| op.spec.preflight.as_ref().is_some_and(|preflight| word(&Some(preflight.command.clone())) == "skip"));
        let nodes: Vec<String> = self.world.seen.nodes.keys().cloned().collect();
        let model = &mut self.world.model;
        let hangs = !self.plays && commands.iter().any(|word| word == "hang");
        model.job = if hangs { Spread::seconds(1_000_000) } else { Spread::around(300, 0) };
        if !self.plays {
            let fails = commands.iter().any(|word| word == "fail");
            model.failures = nodes.iter().filter(|_| fails).map(|node| (node.clone(), u32::MAX)).collect();
        }
        model.skips = nodes.into_iter().filter(|_| skips).map(|node| (node, "node is already at v1.2.3".into())).collect();
    }

    fn look(&self) -> Seen {
        let seen = &self.world.seen;
        let nodes = seen.nodes.keys().map(String::as_str).chain([""]);
        Seen {
            nodes: seen.nodes.values().cloned().collect(),
            operations: seen.nodeops.clone(),
            jobs: seen.jobs.clone(),
            pods: seen.pods.clone(),
            others: nodes.flat_map(|node| self.world.workload.on(node)).map(|pod| (**pod).clone()).collect(),
            budgets: self.world.workload.budgets(),
        }
    }
}
