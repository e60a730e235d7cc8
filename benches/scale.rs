//! `make scale`: what decisions and rounds take where a fleet is large. Three parts: decide, in memory, over one NodeOp with
//! 10,000 nodes; a simulated rollout over as many; and a whole `rounds run` over NODES=5000 nodes with 50 images each and as many finished Jobs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark that cannot go on says so by panicking")]
#![allow(dead_code, reason = "it shares the harness with the tests and needs a part of it")]

#[path = "../tests/it/fleet.rs"]
mod fleet;
#[path = "../tests/it/harness/mod.rs"]
mod harness;
mod measure;

use std::process::Stdio;
use std::time::Duration;

use harness::Corner;
use measure::{many_nodes, now, peak_mib};
use rounds::decide::decide;
use rounds::settings::Settings;
use rounds::simulate::fleet::{Fleet, Size};
use rounds::simulate::model::Model;
use rounds::simulate::rollout::{Limits, Rollout};
use rounds::simulate::world::World;
use rounds::snapshot::Snapshot;
use serde_json::json;

fn main() {
    decisions(10_000);
    simulation(10_000);
    let nodes = std::env::var_os("NODES").and_then(|text| text.to_str()?.parse().ok()).unwrap_or(5000);
    if nodes > 0 {
        rounds(nodes);
    }
}

/// Decide at every moment of a rollout in waves of 2,000: the median of 21 of each round, and the slowest of them.
fn decisions(nodes: usize) {
    let spec = json!({"command": ["sh", "-c", "true"], "cordon": true, "concurrency": 0});
    let mut snapshot = fleet::fleet(nodes, spec);
    let mut moments = Vec::new();
    loop {
        moments.push(median(&snapshot));
        if !fleet::round(&mut snapshot) {
            break;
        }
        fleet::finish(&mut snapshot, 0, "");
    }
    let slowest = moments.iter().max().unwrap();
    println!("decide, {nodes} nodes in one NodeOp, {} rounds from first claim to idle:", moments.len());
    println!("    first {:.1?}, slowest {slowest:.1?}, idle {:.1?}", moments[0], moments[moments.len() - 1]);
}

/// A whole rollout in memory, on one core: cordon, drain, command and reboot, 500 nodes at a time.
fn simulation(nodes: usize) {
    let begun = "2026-11-21T12:00:00Z".parse().unwrap();
    let made_up = Fleet::of(Size { nodes, control_planes: 5, zones: 3 }, begun);
    let drain = json!({"enabled": true, "deleteEmptyDirData": true, "timeoutSeconds": 600});
    let spec = json!({"command": ["x"], "concurrency": 500, "cordon": true, "drainOptions": drain, "rebootOnSuccess": true});
    let mut snapshot = Snapshot { now: begun, nodes: made_up.nodes, budgets: made_up.budgets, ..Snapshot::default() };
    snapshot.nodeops = fleet::fleet(1, spec).nodeops;
    let start = now();
    let world = World::new(snapshot, made_up.pods, Model::default(), 1);
    let (rollout, _) = Rollout::new(world, Settings::default(), Limits::of(nodes), Vec::new()).run(|_| {});
    let trace = rollout.trace();
    let taken = start.elapsed();
    assert!(trace.is_completed() && trace.operations[0].done == nodes, "{:?}", trace.operations);
    println!(
        "simulate, {nodes} nodes, concurrency 500, cordon, drain and reboot: {taken:.1?} for {} rounds, {} writes",
        trace.rounds, trace.writes
    );
}

fn median(snapshot: &Snapshot) -> Duration {
    let settings = Settings::default();
    let mut times: Vec<Duration> = (0..21)
        .map(|_| {
            let start = now();
            let plan = std::hint::black_box(decide(std::hint::black_box(snapshot), &settings));
            let taken = start.elapsed();
            drop(plan);
            taken
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

/// Idle rounds over nodes that have all run an operation.
fn rounds(nodes: usize) {
    let corner = Corner::alone("scale");
    many_nodes(&corner, nodes);
    corner.create(&corner.nodeop("op", json!({})));
    let start = now();
    let settled = corner.rounds(&["run", "--until-settled"]);
    assert_eq!(settled.code, 0, "{settled:#?}");
    println!("{nodes} nodes with 50 images each have run an operation in {:.0?}", start.elapsed());
    assert_eq!(corner.list("jobs").len(), nodes, "the finished Jobs are all there");
    let mut times = Vec::new();
    let mut peak = 0.0_f64;
    for _ in 0..5 {
        let start = now();
        let mut runner = corner.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while runner.try_wait().unwrap().is_none() {
            peak = peak_mib(runner.id()).unwrap_or(0.0).max(peak);
            std::thread::sleep(Duration::from_millis(5));
        }
        times.push(start.elapsed());
    }
    times.sort();
    println!("a round over {nodes} nodes and {nodes} finished Jobs: {:.2?} (median of 5), peak {peak:.0} MiB", times[2]);
}
