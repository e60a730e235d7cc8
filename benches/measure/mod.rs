//! What the benchmarks measure with.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{Corner, wait_for};

/// Makes very many fake nodes, each with 50 images in its status, as a used one has; waits until they are Ready.
pub fn many_nodes(corner: &Corner, count: usize) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/nodes.sh");
    let label = format!("corner={}", corner.name);
    let list = Command::new(script).env("IMAGES", "50").args([&count.to_string(), "3", &corner.name, &label]).output().expect("nodes.sh");
    assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
    let output = corner.kubectl_with(&["create", "-f", "-"], Some(&String::from_utf8(list.stdout).expect("a list")));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    wait_for("all nodes are Ready", Duration::from_secs(600), || {
        let nodes = corner.kubectl(&["get", "nodes", "-l", &label, "--no-headers"]);
        nodes.lines().filter(|line| line.contains(" Ready ")).count() == count
    });
}

/// The most memory that a running process has had so far, in MiB.
pub fn peak_mib(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

/// CPU seconds that each server of the control plane has used so far: where the time goes.
pub fn servers(corner: &Corner) -> BTreeMap<String, f64> {
    let pids = std::fs::read_to_string(corner.plane.dir.join("pids")).unwrap_or_default();
    let server = |line: &str| {
        let (name, rest) = line.split_once(' ')?;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", rest.split(' ').next()?)).ok()?;
        Some((name.to_string(), cpu_seconds(&stat)?))
    };
    pids.lines().filter_map(server).filter(|(name, _)| name != "watcher").collect()
}

/// Waits until the control plane is at rest: it goes on with what came before (a note on each new node, objects that are
/// collected) for minutes, and would do so at the expense of what is measured next.
pub fn settle(corner: &Corner) {
    wait_for("the control plane is at rest", Duration::from_secs(600), || {
        let before = servers(corner);
        std::thread::sleep(Duration::from_secs(3));
        since(&before, servers(corner)).values().sum::<f64>() < 0.6
    });
}

/// What has come to it since.
pub fn since(before: &BTreeMap<String, f64>, after: BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    after.into_iter().map(|(name, seconds)| (name.clone(), seconds - before.get(&name).unwrap_or(&0.0))).collect()
}

/// The same, for people.
pub fn spent(servers: &BTreeMap<String, f64>) -> String {
    let each: Vec<String> = servers.iter().map(|(name, seconds)| format!("{name} {seconds:.1}")).collect();
    format!("{} (all {:.1})", each.join(", "), servers.values().sum::<f64>())
}

/// utime and stime, fields 14 and 15, in ticks of 10 ms; the name in field 2 may hold anything but its closing bracket.
pub fn cpu_seconds(stat: &str) -> Option<f64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?) / 100.0)
}

/// How many cores there are for this process, and with it for the servers that it has started.
pub fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64)
}

/// The time on the wall.
#[expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock on the wall")]
pub fn now() -> Instant {
    Instant::now()
}
