//! A node reboots once, whatever is lost, late or repeated: runners that die, pods that vanish, Node objects that lag.

use proptest::prelude::*;
use rounds::decide::decide;
use rounds::nodeop::api::NodePhase;
use rounds::plan::{Action, Plan};

use super::shorthand::{Words, World};
use super::story;
use crate::fleet;

/// What happens in a round and after it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// The runner dies before it writes.
    Dead,
    /// The runner dies when the status is written.
    StatusOnly,
    /// What it was going to do then is done after the next round.
    Late,
    /// The reboot pod is lost.
    PodLost,
    /// The Node object does not tell yet of what has happened to the node.
    Lag,
}

/// The node as it really is, its kubelet included.
struct Machine {
    boot: usize,
    sentinel: bool,
    commands: usize,
}

impl Machine {
    fn boot_id(&self) -> String {
        format!("b{}", self.boot)
    }

    /// What the machine does between two rounds.
    fn act(&mut self, world: &mut World, lags: bool) {
        let happen = |world: &mut World, event: &str| story::happen(world, event).unwrap();
        let job = world.snapshot.jobs.iter().find(|job| !job.held && !job.complete).map(|job| job.name.clone());
        if let Some(job) = job {
            let alias = world.shown(&job);
            if world.snapshot.pods.iter().any(|pod| pod.name == format!("{alias}-pod")) {
                self.sentinel = true;
                happen(world, &format!("job {alias} tells {}", self.boot_id()));
            } else {
                self.commands += 1;
                happen(world, &format!("pod of {alias} telling"));
            }
        }
        for pod in world.snapshot.pods.iter_mut().filter(|pod| pod.labels.contains_key("kairos.io/reboot") && pod.phase == "Running") {
            match pod.approved.as_ref() {
                Some(approved) if *approved != format!("b{}", self.boot) => pod.phase = "Succeeded".into(),
                Some(_) if self.sentinel => (self.boot, self.sentinel) = (self.boot + 1, false),
                _ => {}
            }
        }
        if !lags {
            happen(world, &format!("node n1 boots {}", self.boot_id()));
        }
        happen(world, "wait 5");
    }
}

fn carry_out(world: &mut World, plan: &Plan) {
    // A stale lock would be refused by its resourceVersion.
    let bound = |action: &&Action| !matches!(action, Action::ApplyNode(_));
    let actions: Vec<Action> =
        plan.decisions.iter().flat_map(|decision| &decision.steps).flat_map(|step| &step.actions).filter(bound).cloned().collect();
    actions.iter().for_each(|action| story::carry_out(world, action));
}

fn round(world: &mut World, machine: &mut Machine, late: &mut Vec<Plan>, fault: Fault) {
    world.look();
    let plan = decide(&world.snapshot, &world.settings);
    let due = std::mem::take(late);
    match fault {
        Fault::Dead => {}
        Fault::StatusOnly => fleet::write_statuses(&mut world.snapshot, &plan),
        Fault::Late => {
            fleet::write_statuses(&mut world.snapshot, &plan);
            late.push(plan);
        }
        _ => story::apply(world, &plan),
    }
    due.iter().for_each(|plan| carry_out(world, plan));
    if fault == Fault::PodLost {
        world.snapshot.pods.retain(|pod| !pod.labels.contains_key("kairos.io/reboot"));
    }
    machine.act(world, fault == Fault::Lag);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_node_reboots_once_and_its_command_runs_once(
        faults in proptest::collection::vec(
            proptest::sample::select(vec![Fault::None, Fault::None, Fault::Dead, Fault::StatusOnly, Fault::Late, Fault::PodLost, Fault::Lag]),
            0..25,
        )
    ) {
        let words: Words = rounds::yaml::from_str("{nodes: [n1], op: {spec: {cordon: true, rebootOnSuccess: true}}}").unwrap();
        let mut world = words.build().map_err(TestCaseError::fail)?;
        let (mut machine, mut late) = (Machine { boot: 1, sentinel: false, commands: 0 }, Vec::new());
        for fault in faults {
            round(&mut world, &mut machine, &mut late, fault);
        }
        (0..30).for_each(|_| round(&mut world, &mut machine, &mut late, Fault::None));
        let entry = &world.snapshot.nodeops[0].status.node_statuses["n1"];
        prop_assert_eq!((entry.phase, entry.step), (NodePhase::Completed, None), "{:?}", entry);
        prop_assert_eq!((machine.commands, machine.boot), (1, 2), "commands, boots");
        let node = &world.snapshot.nodes["n1"];
        prop_assert!(node.lock.is_none() && !node.unschedulable);
    }
}
