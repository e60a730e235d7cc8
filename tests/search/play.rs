//! Plays a scenario: runners take rounds side by side, people meddle, machines die, writes get lost; the witness looks on.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rounds::decide::decide;
use rounds::outcome::Verdict;
use rounds::plan::Action;
use rounds::rollout::RunPolicy;
use rounds::selector::NodeSelector;
use rounds::settings::Settings;
use rounds::simulate::model::{Model, Spread};
use rounds::simulate::world::World;
use rounds::simulate::writes::{What as Writing, Writes};
use rounds::snapshot::Snapshot;
use rounds::snapshot::nodes::Nodes;
use rounds::snapshot::views::{Budget, Node, Owner, Pod};

use crate::scenario::{Deed, Fate, Machine, Scenario, What};
use crate::witness::{Violation, Witness};

/// For so long things go wrong.
const ROUGH: i64 = 700;
/// After that, so many rounds must be enough to come to rest.
const CALM: usize = 400;

/// What a scenario came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Rounds that decided.
    pub rounds: usize,
    /// Writes that were tried.
    pub writes: usize,
    /// Commands that were started.
    pub starts: usize,
}

/// A runner: it looks, one list after the other, decides, and writes.
#[derive(Debug)]
enum Doing {
    Rests,
    /// It had nothing to write, and rests longer.
    Idle,
    /// It has seen the versions of the resources.
    Versions(BTreeMap<String, String>),
    /// It has seen Nodes and Jobs as well.
    Lists(BTreeMap<String, String>, Box<Snapshot>),
    /// It has seen Pods as well.
    Pods(BTreeMap<String, String>, Box<Snapshot>),
    Writes(Writes),
}

impl Doing {
    /// What comes next.
    fn name(&self) -> &'static str {
        match self {
            Self::Rests => "begins a round",
            Self::Idle => "rests",
            Self::Versions(_) => "lists nodes and Jobs",
            Self::Lists(..) => "lists pods",
            Self::Pods(..) => "decides",
            Self::Writes(_) => "writes",
        }
    }
}

struct Play<'a> {
    scenario: &'a Scenario,
    world: World,
    witness: Witness,
    settings: Settings,
    dice: fastrand::Rng,
    begun: Timestamp,
    runners: Vec<(Timestamp, Doing)>,
    late: Vec<(Timestamp, Writing)>,
    figures: Figures,
    /// Whether to print what happens.
    tell: bool,
    told: usize,
}

/// Plays a scenario to its end.
pub fn play(scenario: &Scenario, tell: bool) -> Result<Figures, Violation> {
    let mut play = Play::new(scenario);
    play.tell = tell;
    play.rough()?;
    play.calm()?;
    play.figures.starts = play.world.history.iter().filter(|record| record.exit.is_none()).count();
    Ok(play.figures)
}

impl<'a> Play<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let begun = Timestamp::from_second(1_795_000_000).unwrap();
        let mut dice = fastrand::Rng::with_seed(scenario.seed);
        let nodes: Nodes = scenario.nodes.iter().map(|machine| (machine.name.clone(), node(machine, begun))).collect();
        let pods = scenario.nodes.iter().flat_map(pods).collect();
        let selector = serde_json::from_value::<NodeSelector>(serde_json::json!({"matchLabels": {"app": "web"}})).ok();
        let budget =
            Budget { namespace: "web".into(), name: "web".into(), selector, allowed: scenario.budget, current: true, ..Budget::default() };
        let snapshot = Snapshot { now: begun, nodes, budgets: vec![budget], ..Snapshot::default() };
        let model = Model {
            job: Spread::around(20_000, 18_000),
            preflight: Spread::around(4_000, 3_000),
            eviction: Spread::around(10_000, 8_000),
            ready: Spread::around(10_000, 8_000),
            reboot: Spread::around(40_000, 30_000),
            failures: scenario.nodes.iter().filter(|node| node.failures > 0).map(|node| (node.name.clone(), node.failures)).collect(),
            untold: scenario.nodes.iter().map(|node| (node.name.clone(), node.untold)).collect(),
            refusals: scenario.nodes.iter().map(|node| (node.name.clone(), node.refusals)).collect(),
            skips: scenario.nodes.iter().filter(|node| node.skip).map(|node| (node.name.clone(), "nothing to do".to_string())).collect(),
            ..Model::default()
        };
        let world = World::new(snapshot, pods, model, dice.u64(..));
        let runners = (0..scenario.runners).map(|at| (seconds(begun, at as i64), Doing::Rests)).collect();
        let (witness, settings, late) = (Witness::default(), Settings::default(), Vec::new());
        Self { scenario, world, witness, settings, dice, begun, runners, late, figures: Figures::default(), tell: false, told: 0 }
    }

    /// Everything that goes wrong goes wrong.
    fn rough(&mut self) -> Result<(), Violation> {
        let mut deeds: Vec<Deed> = self.scenario.deeds.clone();
        deeds.extend(self.scenario.operations.iter().map(|op| Deed { at: op.at, what: What::Recreate(op.name.clone()) }));
        deeds.sort_by_key(|deed| std::cmp::Reverse(deed.at));
        let end = seconds(self.begun, ROUGH);
        loop {
            let deed = deeds.last().map(|deed| seconds(self.begun, deed.at as i64));
            let late = self.late.iter().map(|(when, _)| *when).min();
            let runner = (0..self.runners.len()).min_by_key(|at| self.runners[*at].0);
            let next = runner.map(|at| self.runners[at].0);
            let first = [deed, late, next].into_iter().flatten().min();
            let Some(when) = first.filter(|when| *when < end || deed.is_some() || late.is_some()) else { return Ok(()) };
            self.until(when)?;
            if deed == Some(when) {
                if let Some(deed) = deeds.pop() {
                    self.deed(&deed.what);
                }
            } else if late == Some(when) {
                let at = self.late.iter().position(|(at, _)| *at == when).unwrap();
                let (_, what) = self.late.remove(at);
                self.write(&what)?;
            } else if let Some(at) = runner {
                self.step(at)?;
            }
            self.witness.look(&self.world)?;
        }
    }

    /// Lets time pass, one happening at a time.
    fn until(&mut self, when: Timestamp) -> Result<(), Violation> {
        while let Some(next) = self.world.next().filter(|next| *next <= when) {
            self.world.run_until(next);
            self.witness.look(&self.world)?;
        }
        self.world.run_until(when);
        Ok(())
    }

    /// A runner's next step: one list, the decision, or one write.
    fn step(&mut self, at: usize) -> Result<(), Violation> {
        let (now, doing) = std::mem::replace(&mut self.runners[at], (self.begun, Doing::Rests));
        if !matches!(doing, Doing::Idle | Doing::Writes(_)) {
            self.tell(|| format!("runner {at}: {}", doing.name()));
        }
        let seen = &self.world.seen;
        let doing = match doing {
            Doing::Rests => {
                Doing::Versions(seen.nodeops.iter().map(|op| (op.meta.uid.clone(), op.meta.resource_version.clone())).collect())
            }
            Doing::Versions(versions) => {
                let jobs = seen.jobs.iter().filter(|job| !self.world.unlisted.contains(&job.uid)).cloned().collect();
                let lists = Snapshot { nodes: seen.nodes.clone(), jobs, ..Snapshot::default() };
                Doing::Lists(versions, Box::new(lists))
            }
            Doing::Lists(versions, lists) => Doing::Pods(versions, Box::new(Snapshot { pods: seen.pods.clone(), ..*lists })),
            Doing::Pods(versions, mut lists) => {
                lists.nodeops.clone_from(&seen.nodeops);
                for op in &mut lists.nodeops {
                    op.meta.moved = versions.get(&op.meta.uid) != Some(&op.meta.resource_version);
                }
                let plan = decide(&self.world.complete(*lists), &self.settings);
                self.figures.rounds += 1;
                if plan.is_empty() { Doing::Idle } else { Doing::Writes(Writes::of(plan)) }
            }
            Doing::Idle => Doing::Rests,
            Doing::Writes(writes) => self.writes(writes)?,
        };
        let stall = self.scenario.stalls.iter().find(|(round, _)| *round == self.figures.rounds).map(|(_, seconds)| *seconds);
        let pause = match doing {
            Doing::Rests => self.dice.i64(300..4000),
            Doing::Idle => self.dice.i64(1000..12_000),
            _ => self.dice.i64(5..300),
        };
        let stall = stall.filter(|_| self.dice.u8(..4) == 0).unwrap_or(0) as i64 * 1000;
        self.runners[at] = (now + SignedDuration::from_millis(pause + stall), doing);
        Ok(())
    }

    /// One write, and what becomes of it.
    fn writes(&mut self, mut writes: Writes) -> Result<Doing, Violation> {
        if writes.ready() == 0 {
            return Ok(Doing::Rests);
        }
        let Some(write) = writes.begin(self.dice.usize(..writes.ready())) else { return Ok(Doing::Rests) };
        let fate = self.scenario.fates.iter().find(|(number, _)| *number == self.figures.writes).map(|(_, fate)| *fate);
        self.figures.writes += 1;
        let unknown = || Verdict::Unknown("no answer".into());
        let verdict = match fate {
            None => self.write(&write.what)?,
            Some(Fate::DieBefore) => return Ok(Doing::Rests),
            Some(Fate::DieAfter) => {
                self.write(&write.what)?;
                return Ok(Doing::Rests);
            }
            Some(Fate::Lost) => unknown(),
            Some(Fate::Unanswered) => {
                self.write(&write.what)?;
                unknown()
            }
            Some(Fate::Late(seconds)) => {
                self.late.push((self.world.now() + SignedDuration::from_secs(seconds as i64), write.what.clone()));
                unknown()
            }
            Some(Fate::Conflict) => Verdict::Moved("conflict".into()),
            Some(Fate::Refused) => Verdict::Failed("internal error".into()),
        };
        writes.end(write, &verdict);
        Ok(Doing::Writes(writes))
    }

    /// A write arrives.
    fn write(&mut self, what: &Writing) -> Result<Verdict, Violation> {
        let target = match what {
            Writing::Action(Action::ApplyNode(apply)) => Some(&apply.node.name),
            Writing::Action(Action::TakeOver(take)) => Some(&take.node.name),
            _ => None,
        };
        let named = match what {
            _ if !self.tell => String::new(),
            Writing::Status(write) => {
                format!("status of {} at {}: {}", write.of.name, write.resource_version, write.status.tree()["nodeStatuses"])
            }
            Writing::Action(action) => action.summary(),
        };
        let before = target.and_then(|name| self.world.seen.nodes.get(name)).cloned();
        let verdict = self.world.take(what);
        self.tell(|| format!("{named}: {verdict:?}"));
        if verdict == Verdict::Done {
            self.witness.wrote(&self.world, what, before.as_ref())?;
        }
        Ok(verdict)
    }

    /// One clean runner, one round after the other, until nothing changes any more.
    fn calm(&mut self) -> Result<(), Violation> {
        let mut quiet = 0;
        for _ in 0..CALM {
            let plan = decide(self.world.look(), &self.settings);
            self.figures.rounds += 1;
            let idle = plan.is_empty();
            let mut writes = Writes::of(plan);
            while let Some(write) = writes.begin(0) {
                let verdict = self.write(&write.what)?;
                self.witness.look(&self.world)?;
                writes.end(write, &verdict);
            }
            quiet = if idle { quiet + 1 } else { 0 };
            let now = self.world.now();
            let until = match self.world.next() {
                _ if !idle => seconds(now, 2),
                Some(next) => next.max(seconds(now, 20)),
                // With nothing to come, only a limit can run out, and the longest are an hour.
                None => seconds(now, 600),
            };
            self.until(until)?;
            if quiet > 8 && self.world.next().is_none() {
                break;
            }
        }
        let seen = self.world.look().clone();
        let plan = decide(&seen, &self.settings);
        self.witness.end(&self.world, &plan, &seen)
    }

    /// Prints what happens, if asked to.
    fn tell(&mut self, what: impl FnOnce() -> String) {
        if !self.tell {
            return;
        }
        for record in &self.world.history[self.told..] {
            println!("{:>8.3} {} on {} {:?}", since(self.begun, record.at), record.job, record.node.0, record.exit);
        }
        self.told = self.world.history.len();
        println!("{:>8.3} {}", since(self.begun, self.world.now()), what());
    }

    fn deed(&mut self, what: &What) {
        self.tell(|| format!("{what:?}"));
        let world = &mut self.world;
        match what {
            What::Cordon(node) => world.cordon(node),
            What::Uncordon(node) => world.uncordon(node),
            What::Unlock(node) => {
                self.witness.meddled(world, Some(node));
                world.unlock(node);
            }
            What::Label(node, on) => world.label(node, "pool", on.then_some("a")),
            What::Cut(node) => world.cut_node(node),
            What::Mend(node) => world.mend_node(node),
            What::Kill(node) => world.kill_node(node),
            What::Boot(node) => world.boot_node_in(node, SignedDuration::from_secs(1)),
            What::DeleteNode(node) => world.delete_node(node),
            What::ReplaceNode(node) => {
                world.delete_node(node);
                world.join_node(node, [("pool".to_string(), "a".to_string())].into());
            }
            What::DeleteJobs(op, node) => {
                self.witness.destroyed(world, op, node);
                world.delete_jobs(op, node);
            }
            What::UnlabelJobs(node) => world.unlabel_jobs(node),
            What::Edit(op, version) => world.edit(op, |spec| spec.command = vec!["run".into(), version.to_string()]),
            What::Concurrency(op, limit) => {
                let now = world.seen.nodeops.iter().find(|there| there.meta.name == *op).and_then(|there| there.spec.concurrency);
                // A limit that is lowered ends nothing that runs.
                if now.is_some_and(|now| now != 0 && (*limit == 0 || *limit > now)) {
                    world.edit(op, |spec| spec.concurrency = Some(*limit));
                }
            }
            What::Rerun(op, token) => world.annotate(op, "operator.kairos.io/rerun", &token.to_string()),
            What::Retry(op, token) => {
                self.witness.retried(world, op);
                world.annotate(op, "operator.kairos.io/retry-failed", &token.to_string());
            }
            What::Suspend(op, suspend) => world.edit(op, |spec| {
                let mut rollout = spec.rollout.clone().unwrap_or_default();
                rollout.suspend = Some(*suspend);
                rollout.run_policy = rollout.run_policy.or(Some(RunPolicy::OnChange));
                spec.rollout = Some(rollout);
            }),
            What::Delete(op, foreground) => {
                self.witness.meddled(world, None);
                world.delete_operation(op, *foreground);
            }
            What::Recreate(op) => {
                if world.seen.nodeops.iter().any(|there| there.meta.name == *op) {
                    return;
                }
                let spec = self.scenario.operations.iter().find(|there| there.name == *op).map(|there| there.spec.clone());
                world.create_operation("ops", op, spec.unwrap_or_default()).expect("a spec");
            }
            What::Jump(seconds) => world.jump(*seconds),
        }
    }
}

fn since(begun: Timestamp, now: Timestamp) -> f64 {
    now.duration_since(begun).as_secs_f64()
}

fn seconds(begun: Timestamp, seconds: i64) -> Timestamp {
    begun + SignedDuration::from_secs(seconds)
}

fn node(machine: &Machine, begun: Timestamp) -> Node {
    let mut labels = BTreeMap::from([("pool".to_string(), "a".to_string())]);
    if machine.control_plane {
        labels.insert("node-role.kubernetes.io/control-plane".into(), String::new());
    }
    Node {
        name: machine.name.clone(),
        uid: format!("uid-{}", machine.name),
        ready: true,
        unschedulable: machine.cordoned,
        cordon_managers: if machine.cordoned { vec![rounds::simulate::people::PERSON.into()] } else { Vec::new() },
        created: Some(seconds(begun, -86_400)),
        labels,
        ..Node::default()
    }
}

fn pods(machine: &Machine) -> impl Iterator<Item = Pod> {
    (0..machine.pods + machine.bare).map(|at| Pod {
        namespace: "web".into(),
        name: format!("web-{}-{at}", machine.name),
        uid: format!("web-{}-{at}", machine.name),
        labels: [("app".to_string(), "web".to_string())].into(),
        owner: (at < machine.pods).then(|| Owner {
            kind: if at == 0 { "ReplicaSet" } else { "StatefulSet" }.into(),
            name: "web".into(),
            uid: "web".into(),
        }),
        node: machine.name.clone(),
        phase: "Running".into(),
        ready: true,
        created: Timestamp::from_second(1_794_000_000).ok(),
        ..Pod::default()
    })
}
