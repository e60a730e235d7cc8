//! `make bench NODES=1000`: how long a NodeOp over all nodes takes, against the least that the control plane needs for the
//! same Jobs, and what it costs in requests, CPU and memory. Quote medians and ratios: the machine's speed drifts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark that cannot go on says so by panicking")]
#![allow(dead_code, reason = "it shares the harness with the tests and needs a part of it")]

#[path = "../tests/it/harness/mod.rs"]
mod harness;
mod measure;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use harness::{Corner, wait_for};
use measure::{cores, cpu_seconds, many_nodes, now, servers, settle, since, spent};
use rounds::cluster::{Cluster, apply::apply, connect::Connection};
use rounds::nodeop::jobs::Claim;
use rounds::plan::{Action, Decision, Plan, Step};
use rounds::reason::Reason;
use rounds::round::Mode;
use rounds::settings::Settings;
use rounds::snapshot::{Meta, Reference, views::Node};
use serde_json::json;

/// From this share of the cores on, taken by the servers alone, it is they that the floor waits for: a rollout then takes longer by
/// as much CPU time as it needs, and the ratio tells of the machine.
const BOUND: f64 = 0.8;
const BOUND_BY_CORES: &str = ", which is what the floor waited for: the ratio is one of CPU time (KCM= with lower limits, or more cores)";

/// What one rollout took.
struct Cost {
    seconds: f64,
    cpu: f64,
    peak_mib: f64,
    writes: BTreeMap<String, usize>,
    servers: BTreeMap<String, f64>,
}

fn main() {
    let nodes: usize = std::env::var_os("NODES").and_then(|text| text.to_str()?.parse().ok()).unwrap_or(1000);
    let runs: usize = std::env::var_os("RUNS").and_then(|text| text.to_str()?.parse().ok()).unwrap_or(3);
    let corner = Corner::alone("bench");
    many_nodes(&corner, nodes);
    println!("{nodes} nodes with 50 images each, {runs} runs, this binary in the bench profile");

    // In turn, for a machine is faster at one time than at another.
    let (mut floors, mut without, mut with) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs {
        floors.push(floor(&corner, nodes, run));
        without.push(rollout(&corner, &format!("op-{run}"), false));
        with.push(rollout(&corner, &format!("op-cordon-{run}"), true));
    }
    floors.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (floor, servers) = &floors[0];
    println!("floor: {nodes} identical Jobs, let run at once, by the same writer: {floor:.1} s (best of {runs})");
    println!("    cpu seconds meanwhile: {}", spent(servers));
    let busy = servers.values().sum::<f64>() / (floor * cores());
    println!("    {:.0} % of the cores{}", 100.0 * busy, if busy < BOUND { "" } else { BOUND_BY_CORES });
    for (title, mut costs) in [("without cordon", without), ("with cordon", with)] {
        costs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let each: Vec<String> = costs.iter().map(|cost| format!("{:.1}", cost.seconds)).collect();
        let median = &costs[runs / 2];
        let per_node = median.writes.values().sum::<usize>() as f64 / nodes as f64;
        println!(
            "{title}: {:.1} s (of {}), ratio {:.2}; cpu {:.1} s, peak {:.0} MiB, {per_node:.2} writes per node",
            median.seconds,
            each.join(", "),
            median.seconds / floor,
            median.cpu,
            median.peak_mib
        );
        println!("    cpu seconds meanwhile: {}", spent(&median.servers));
        for (what, count) in &median.writes {
            println!("    {count:>7}  {what}");
        }
    }
    println!("idle round: {:.2} s", idle(&corner));
}

/// The same Jobs, made by the same bounded-parallel writer, with nothing around them.
fn floor(corner: &Corner, nodes: usize, run: usize) -> (f64, BTreeMap<String, f64>) {
    let namespace = format!("floor-{run}");
    corner.kubectl(&["create", "namespace", &namespace]);
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner", "namespace": namespace}});
    corner.create(&owner);
    let uid = corner.kubectl(&["-n", &namespace, "get", "configmap", "owner", "-o", "jsonpath={.metadata.uid}"]);
    let meta = Meta { namespace: namespace.clone(), name: "floor".into(), uid, ..Meta::default() };
    let spec = serde_json::from_value(json!({"command": ["succeed"]})).unwrap();
    let names: Vec<String> =
        corner.kubectl(&["get", "nodes", "-o", "name"]).lines().map(|line| line.trim_start_matches("node/").to_string()).collect();
    let steps = names.iter().map(|name| {
        let node = Node { name: name.clone(), uid: name.clone(), ..Node::default() };
        let mut object = Claim { meta: &meta, spec: &spec, node: &node, run: 1, attempt: 0, reboots: false }.job(&Settings::default());
        object["spec"]["parallelism"] = json!(1);
        object["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": meta.uid}]);
        let subject = Reference::new("Node", "", name, name);
        Step { subject, reason: Reason::Starting, message: String::new(), actions: vec![Action::Create { object }] }
    });
    let subject = Reference::new("NodeOp", &namespace, "floor", "floor");
    let decision = Decision {
        subject,
        reason: Reason::Starting,
        message: String::new(),
        settled: false,
        failed: false,
        status: None,
        steps: steps.collect(),
        nodes: BTreeMap::new(),
    };
    let plan = Plan { decisions: vec![decision] };
    settle(corner);
    let kubeconfig = corner.plane.dir.join("kubeconfig");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (start, before) = (now(), servers(corner));
    runtime.block_on(async {
        let cluster =
            Cluster::connect(&Connection { kubeconfig: Some(kubeconfig), ..Connection::default() }).await.expect("the cluster answers");
        let outcome = apply(&cluster, &plan, Mode::Live, usize::MAX, &|| false).await;
        assert_eq!(outcome.done(), nodes, "all Jobs are made");
    });
    wait_for("all Jobs are complete", Duration::from_secs(600), || {
        let args = ["-n", &namespace, "get", "jobs", "--no-headers", "--field-selector", "status.successful=1"];
        corner.kubectl(&args).lines().count() == nodes
    });
    let taken = (start.elapsed().as_secs_f64(), since(&before, servers(corner)));
    corner.kubectl(&["delete", "namespace", &namespace, "--wait"]);
    taken
}

fn rollout(corner: &Corner, name: &str, cordon: bool) -> Cost {
    settle(corner);
    let before = corner.writes().len();
    corner.create(&corner.nodeop(name, json!({"cordon": cordon})));
    let (start, idle) = (now(), servers(corner));
    let mut runner = corner.command(&["run", "--until-settled"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (mut cpu, mut peak_mib) = (0.0, 0.0);
    while runner.try_wait().unwrap().is_none() {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", runner.id()));
        cpu = stat.ok().and_then(|text| cpu_seconds(&text)).unwrap_or(cpu);
        peak_mib = measure::peak_mib(runner.id()).unwrap_or(peak_mib);
        std::thread::sleep(Duration::from_millis(20));
    }
    let (seconds, servers) = (start.elapsed().as_secs_f64(), since(&idle, servers(corner)));
    assert_eq!(corner.status(name)["phase"], "Completed");
    let mut writes = BTreeMap::new();
    for entry in &corner.writes()[before..] {
        *writes.entry(format!("{} {} {}", entry.verb, entry.resource, entry.code)).or_default() += 1;
    }
    corner.kubectl(&["-n", "bench", "delete", "nodeops.operator.kairos.io", name, "--wait", "--cascade=foreground"]);
    Cost { seconds, cpu, peak_mib, writes, servers }
}

fn idle(corner: &Corner) -> f64 {
    let start = now();
    corner.round();
    start.elapsed().as_secs_f64()
}
