//! Runners that overlap and see the nodes of one channel a moment apart: both of its ways take a node. What is claimed twice
//! is let go of before anything on the nodes is moved or run.

use rounds::decide::decide;
use rounds::plan::{Action, Plan};

use super::shorthand::{Words, World};
use super::story::{apply, happen};

const WORLD: &str = "
nodes:
  a: {probedBoot: b1, kairosVersion: v0.9.0, labels: [\"kairos.io/managed=true\"], ready: false}
  k: {labels: [k3os.io/mode=local, k3os.io/version=v0.9.0], ready: false}
channels: {both: {spec: {version: v1.0.0, concurrency: 1}}}
workloads: {a: [web-a], k: [web-k]}
";

/// Both of the channel's ways are there, and no node was taken.
fn begun() -> World {
    let words: Words = rounds::yaml::from_str(WORLD).unwrap();
    let mut world = words.build().unwrap();
    for _ in 0..8 {
        world.look();
        let plan = decide(&world.snapshot, &world.settings);
        apply(&mut world, &plan);
    }
    assert_eq!(world.snapshot.nodeops.len(), 2);
    assert!(flying(&world).is_empty());
    happen(&mut world, "node a is Ready").unwrap();
    world
}

/// The nodes that are taken.
fn flying(world: &World) -> Vec<String> {
    let entries = world.snapshot.nodeops.iter().flat_map(|op| op.status.node_statuses.iter());
    entries.filter(|(_, entry)| entry.step.is_some()).map(|(name, _)| name.to_string()).collect()
}

/// The Jobs that run, and the evictions of a plan: what touches what is on a node.
fn touched(world: &World, plan: &Plan) -> usize {
    let evicts = |action: &&Action| matches!(action, Action::Evict { .. });
    let evictions = plan.decisions.iter().flat_map(|decision| &decision.steps).flat_map(|step| &step.actions).filter(evicts).count();
    evictions + world.snapshot.jobs.iter().filter(|job| job.may_run()).count()
}

#[test]
fn both_ways_of_a_channel_that_were_taken_at_once_never_get_beyond_its_slots() {
    let mut taken_twice = 0;
    // So many rounds ago the runner looked that is late.
    for late in 0..8 {
        let mut world = begun();
        // It sees the k3OS node Ready, and takes it.
        happen(&mut world, "node k is Ready").unwrap();
        world.look();
        let mut stale = decide(&world.snapshot, &world.settings);
        stale.decisions.retain(|decision| decision.subject.name == "both-k3os" && decision.status.is_some());
        assert_eq!(stale.decisions.len(), 1);
        // Everybody else sees that it is not, and goes on with the Kairos node.
        happen(&mut world, "node k is NotReady").unwrap();
        for round in 0..=late {
            world.look();
            let plan = decide(&world.snapshot, &world.settings);
            apply(&mut world, &plan);
            if round == 2 {
                happen(&mut world, "preflight both-a#1 passes").unwrap();
            }
        }
        happen(&mut world, "node k is Ready").unwrap();
        assert!(flying(&world).contains(&"a".to_string()), "round {late}: {:?}", flying(&world));
        // What it decided counts if the NodeOp, and the node, are still those that it saw.
        let write = stale.decisions[0].status.as_ref().unwrap();
        let op = world.snapshot.nodeops.iter().find(|op| op.meta.name == "both-k3os").unwrap();
        if op.meta.resource_version != write.resource_version {
            continue;
        }
        apply(&mut world, &stale);
        assert_eq!(flying(&world).len(), 2, "both are taken");
        taken_twice += 1;
        // From here on one of them at most is moved or run, and they come to their ends one after the other.
        let mut ended = Vec::new();
        for _ in 0..60 {
            world.look();
            let plan = decide(&world.snapshot, &world.settings);
            assert!(touched(&world, &plan) <= 1, "round {late}: {:?}", flying(&world));
            let running = world.snapshot.jobs.iter().find(|job| job.may_run()).map(|job| world.shown(&job.name));
            if plan.is_empty()
                && let Some(job) = running
            {
                ended.push(job.clone());
                happen(&mut world, &format!("job {job} fails 1")).unwrap();
                continue;
            }
            if plan.is_empty() && flying(&world) == ["a"] {
                happen(&mut world, "preflight both-a#1 passes").unwrap();
                continue;
            }
            apply(&mut world, &plan);
        }
        ended.sort();
        assert_eq!(ended, ["both-a#1", "both-k3os-k#1"], "round {late}: {:?}", flying(&world));
        assert!(flying(&world).is_empty());
    }
    assert!(taken_twice > 0, "no two rounds were as near to each other as this is about");
}
