//! A whole rollout: rounds over a world, until nothing is left to do, and what it looked like.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::doing::{Running, doing};
use super::trace::{NodeTrace, OperationTrace, Span, Trace};
use super::world::World;
use super::writes::What;
use crate::channel;
use crate::decide::decide;
use crate::nodeop::jobs::KIND;
use crate::nodeop::order;
use crate::plan::{Action, Decision};
use crate::reason::Reason;
use crate::settings::Settings;
use crate::upgrade;

/// When a simulation gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From round to round.
    pub every: SignedDuration,
    /// Virtual time after which it is given up.
    pub longest: SignedDuration,
}

impl Limits {
    /// For a fleet of so many nodes. A real round over many nodes takes longer, and the next one waits for it.
    pub fn of(nodes: usize) -> Self {
        let every = SignedDuration::from_secs(i64::try_from(nodes / 330).unwrap_or(i64::MAX).clamp(1, 60));
        Self { every, longest: SignedDuration::from_hours(24 * 14) }
    }
}

/// A rollout under way.
#[derive(Debug)]
pub struct Rollout {
    /// The cluster.
    pub world: World,
    settings: Settings,
    limits: Limits,
    begun: Timestamp,
    /// Machines that stop at a time.
    kills: Vec<(Timestamp, String)>,
    rounds: usize,
    writes: usize,
    taken: Vec<String>,
    spans: BTreeMap<String, Vec<Span>>,
    blocked: BTreeMap<String, i64>,
    missed: BTreeMap<String, usize>,
    shut: BTreeSet<String>,
    last: Vec<Decision>,
}

/// Where a rollout stands after a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Something is still to be done.
    Underway,
    /// Nothing will change any more by itself.
    Settled,
    /// It waits for something that never comes, or took too long.
    Stuck,
}

impl Rollout {
    /// A rollout over a world. Machines may stop, so long after the beginning.
    pub fn new(world: World, settings: Settings, limits: Limits, kills: Vec<(SignedDuration, String)>) -> Self {
        let begun = world.now();
        let at = |distance: SignedDuration| begun.checked_add(distance).unwrap_or(Timestamp::MAX);
        let mut kills: Vec<_> = kills.into_iter().map(|(distance, node)| (at(distance), node)).collect();
        kills.sort();
        kills.reverse();
        Self {
            settings,
            limits,
            begun,
            kills,
            rounds: 0,
            writes: 0,
            taken: Vec::new(),
            spans: BTreeMap::new(),
            blocked: BTreeMap::new(),
            missed: BTreeMap::new(),
            shut: BTreeSet::new(),
            last: Vec::new(),
            world,
        }
    }

    /// Rounds until nothing is left to do; `tell` is called after each.
    pub fn run(mut self, mut tell: impl FnMut(&Self)) -> (Self, Standing) {
        loop {
            let standing = self.round();
            tell(&self);
            if standing != Standing::Underway {
                return (self, standing);
            }
        }
    }

    /// One round, and time passes until the next.
    pub fn round(&mut self) -> Standing {
        let plan = decide(self.world.look(), &self.settings);
        let (idle, settled) = (plan.is_empty(), plan.is_empty() && plan.decisions.iter().all(|decision| decision.settled));
        self.last = plan.decisions.iter().filter(|decision| is_told(&plan.decisions, decision)).map(outline).collect();
        self.rounds += 1;
        let taken = &mut self.taken;
        self.writes += self.world.carry_out(plan, |what, verdict| {
            if let What::Action(Action::ApplyNode(apply)) = what
                && apply.lock.is_some()
                && *verdict == crate::outcome::Verdict::Done
            {
                taken.push(apply.node.name.clone());
            }
        });
        self.record();
        if settled {
            return Standing::Settled;
        }
        if self.world.now().duration_since(self.begun) > self.limits.longest {
            return Standing::Stuck;
        }
        self.pass(idle);
        Standing::Underway
    }

    /// Time passes. Where the round wrote nothing, nothing can change before the next thing happens by itself; a limit that
    /// runs out in between is looked at once a minute.
    fn pass(&mut self, idle: bool) {
        let now = self.world.now();
        let next = now.checked_add(self.limits.every).unwrap_or(Timestamp::MAX);
        let until = match self.world.next() {
            _ if !idle => next,
            Some(when) => next.max(when.min(now.checked_add(SignedDuration::from_secs(60)).unwrap_or(next))),
            None => now.checked_add(SignedDuration::from_secs(60)).unwrap_or(next),
        };
        while let Some((when, node)) = self.kills.pop_if(|(when, _)| *when <= until) {
            self.world.run_until(when);
            self.world.kill_node(&node);
        }
        self.world.run_until(until);
    }

    /// What every node does now, and what holds it up.
    fn record(&mut self) {
        let now = self.world.now();
        let seen = &self.world.seen;
        let paths: Vec<String> = seen.nodeops.iter().map(|op| op.meta.path()).collect();
        let mut operations: Vec<Running> = seen.nodeops.iter().zip(&paths).map(|(op, path)| Running::of(op, path)).collect();
        let mut known = self.spans.iter_mut().peekable();
        let mut new = Vec::new();
        for (name, node) in &seen.nodes {
            let doing = doing(&mut operations, node);
            // There are many nodes, and most do what they did.
            while known.next_if(|(there, _)| *there < name).is_some() {}
            let Some((_, spans)) = known.next_if(|(there, _)| *there == name) else {
                new.push((name.clone(), vec![doing.span(self.begun, now)]));
                continue;
            };
            match spans.last_mut() {
                Some(last) if doing.goes_on(last) => {
                    last.to = now;
                    doing.tell(last);
                }
                last => {
                    let from = last.map_or(self.begun, |last| {
                        last.to = now;
                        now
                    });
                    spans.push(doing.span(from, now));
                }
            }
        }
        self.spans.extend(new);
        self.note_windows();
        self.note_budgets();
    }

    /// A window that closes while nodes are still to be taken is missed.
    fn note_windows(&mut self) {
        for decision in &self.last {
            let name = path(decision);
            if decision.reason != Reason::WindowClosed {
                self.shut.remove(&name);
            } else if self.shut.insert(name.clone()) && self.rounds > 1 {
                *self.missed.entry(name).or_default() += 1;
            }
        }
    }

    /// Seconds that a budget holds nodes up.
    fn note_budgets(&mut self) {
        let every = self.limits.every.as_secs();
        let waits = self.world.seen.nodeops.iter().flat_map(|op| op.status.node_statuses.values());
        for entry in waits.filter(|entry| entry.is_because(Reason::DrainBlocked)) {
            let message = entry.message.as_deref().unwrap_or_default();
            for budget in self.world.workload.budgets() {
                let path = format!("{}/{}", budget.namespace, budget.name);
                if message.contains(&path) {
                    *self.blocked.entry(path).or_default() += every;
                }
            }
        }
    }

    /// What the rollout looks like so far.
    pub fn trace(&self) -> Trace {
        let seen = &self.world.seen;
        let mut order: Vec<String> = Vec::new();
        let mut known = BTreeSet::new();
        let control_plane = order::control_plane(seen);
        let targeted =
            seen.nodeops.iter().flat_map(|op| order::targets(seen, &control_plane, &op.spec, None)).map(|node| node.name.clone());
        for name in self.taken.iter().cloned().chain(targeted).chain(self.spans.keys().cloned()) {
            if known.insert(name.clone()) {
                order.push(name);
            }
        }
        let nodes = order.into_iter().filter_map(|name| {
            let node = seen.nodes.get(&name);
            Some(NodeTrace {
                zone: node.and_then(|node| node.labels.get("topology.kubernetes.io/zone").cloned()),
                control_plane: node.is_some_and(order::is_control_plane),
                spans: self.spans.get(&name)?.clone(),
                name,
            })
        });
        Trace {
            begun: self.begun,
            ended: self.world.now(),
            rounds: self.rounds,
            writes: self.writes,
            nodes: nodes.collect(),
            operations: self.last.iter().map(|last| self.ending(last)).collect(),
            disturbed: self.world.workload.disturbed.clone(),
            blocked: self.blocked.clone(),
        }
    }

    fn ending(&self, decision: &Decision) -> OperationTrace {
        let counts = self.world.seen.nodeops.iter().find(|op| op.meta.uid == decision.subject.uid).and_then(|op| op.status.nodes);
        let counts = counts.unwrap_or_default();
        let number = |count: i64| usize::try_from(count).unwrap_or_default();
        let name = path(decision);
        OperationTrace {
            kind: decision.subject.kind.clone(),
            // A selector that matches nothing may well be a typing error, over which nobody's gate should be green.
            completed: decision.settled
                && !decision.failed
                && decision.reason != Reason::NoMatchingNodes
                && counts.pending == 0
                && counts.in_flight == 0,
            reason: decision.reason,
            message: decision.message.clone(),
            done: number(counts.completed),
            failed: number(counts.failed),
            left: number(counts.pending + counts.in_flight),
            windows_missed: self.missed.get(&name).copied().unwrap_or_default(),
            name,
        }
    }
}

/// Whether a decision is about the NodeOp that a channel has made for its k3OS nodes.
fn is_of_channel(other: &Decision, channel: &Decision) -> bool {
    other.subject.kind == KIND
        && other.subject.namespace == channel.subject.namespace
        && other.subject.name == channel::k3os::name(&channel.subject.name)
}

/// Whether a decision is about an operation of its own: upgrades and channels are told of by the NodeOps that come of them.
fn is_told(all: &[Decision], decision: &Decision) -> bool {
    let is_its_nodeop = |other: &Decision| other.subject.kind == KIND && path(other) == path(decision);
    match decision.subject.kind.as_str() {
        "Node" => false,
        upgrade::api::KIND => !all.iter().any(is_its_nodeop),
        channel::api::KIND => !all.iter().any(|other| is_its_nodeop(other) || is_of_channel(other, decision)),
        _ => true,
    }
}

fn path(decision: &Decision) -> String {
    format!("{}/{}", decision.subject.namespace, decision.subject.name)
}

/// A decision without what it wants to write.
fn outline(decision: &Decision) -> Decision {
    Decision {
        subject: decision.subject.clone(),
        reason: decision.reason,
        message: decision.message.clone(),
        settled: decision.settled,
        failed: decision.failed,
        status: None,
        steps: Vec::new(),
        nodes: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::simulate::model::{Model, Spread};
    use crate::simulate::trace::State;
    use crate::snapshot::views::Node;
    use crate::snapshot::{Meta, Resource, Snapshot};

    fn rollout(nodes: usize, spec: serde_json::Value, model: Model) -> Rollout {
        let node = |at: usize| Node { name: format!("n{at:05}"), ready: true, ..Node::default() };
        let meta = Meta {
            namespace: "ops".into(),
            name: "op".into(),
            uid: "op-uid".into(),
            resource_version: "1".into(),
            generation: 1,
            ..Meta::default()
        };
        let snapshot = Snapshot {
            now: "2026-11-21T12:00:00Z".parse().unwrap(),
            nodes: (0..nodes).map(node).map(|node| (node.name.clone(), node)).collect(),
            nodeops: vec![Resource { meta, spec: serde_json::from_value(spec).unwrap(), status: Default::default() }],
            ..Snapshot::default()
        };
        Rollout::new(World::new(snapshot, Vec::new(), model, 1), Settings::default(), Limits::of(nodes), Vec::new())
    }

    #[test]
    fn a_rollout_runs_to_its_end_and_tells_what_each_node_did() {
        let model = Model { job: Spread::seconds(60), ..Model::default() };
        let (rollout, standing) = rollout(5, json!({"command": ["x"], "concurrency": 2, "cordon": true}), model).run(|_| {});
        let trace = rollout.trace();
        assert_eq!((standing, trace.is_completed()), (Standing::Settled, true), "{:#?}", trace.operations);
        assert_eq!(trace.most_away().0, 2);
        assert_eq!(trace.operations[0].done, 5);
        for node in &trace.nodes {
            assert_eq!(node.spans.last().map(|span| span.state), Some(State::Done), "{node:#?}");
            assert!(node.spans.windows(2).all(|pair| pair[0].to == pair[1].from), "no gaps");
        }
        assert!(rollout.world.seen.nodes.values().all(|node| node.lock.is_none() && !node.unschedulable));
        assert_eq!(rollout.world.history.iter().filter(|record| record.exit == Some(0)).count(), 5);
    }

    #[test]
    fn a_failing_node_stops_a_canary() {
        let model = Model { failures: [("n00001".to_string(), u32::MAX)].into(), ..Model::default() };
        let spec = json!({"command": ["x"], "concurrency": 1, "stopOnFailure": true, "backoffLimit": 0});
        let (rollout, standing) = rollout(4, spec, model).run(|_| {});
        let trace = rollout.trace();
        assert_eq!((standing, trace.is_completed()), (Standing::Settled, false));
        let operation = &trace.operations[0];
        assert_eq!((operation.done, operation.failed, operation.left), (1, 1, 2), "{operation:#?}");
    }
}
