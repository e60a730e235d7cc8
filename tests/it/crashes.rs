//! A runner that dies between any two writes: the next one ends where one that lived would have ended.

use std::sync::atomic::{AtomicUsize, Ordering};

use rounds::cluster::Cluster;
use rounds::cluster::apply::{Mode, apply};
use rounds::cluster::connect::Connection;
use rounds::cluster::observe::observe;
use rounds::decide::decide;
use rounds::settings::Settings;
use serde_json::{Value, json};

use crate::harness::Corner;
use crate::rollouts::assert_all_given_back;

/// More than a rollout over three nodes writes: the last ones do not die at all.
const LAST: usize = 44;
/// Rollouts side by side.
const ABREAST: usize = 6;

/// Rounds of a runner that dies when it has written so often; whether it lived to see everything settled.
fn live_for(corner: &Corner, writes: usize) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connection = Connection { kubeconfig: Some(corner.kubeconfig.clone()), context: None };
        let cluster = Cluster::connect(&connection).await.expect("the cluster answers");
        let settings = Settings { namespaces: vec![corner.name.clone()], ..Settings::default() };
        let written = AtomicUsize::new(0);
        // Asked before every write: from the one after the last on, the runner is dead.
        let is_dead = || written.fetch_add(1, Ordering::SeqCst) >= writes;
        loop {
            let snapshot = observe(&cluster, &settings).await.expect("the cluster is seen");
            let plan = decide(&snapshot, &settings);
            if plan.is_empty() && plan.decisions.iter().all(|decision| decision.settled) {
                return true;
            }
            apply(&cluster, &plan, Mode::Live, &is_dead).await;
            if written.load(Ordering::SeqCst) > writes {
                return false;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    })
}

/// One rollout whose first runner dies after so many writes.
fn rollout(root: &Corner, writes: usize) -> bool {
    let corner = root.beside(&format!("crash-{writes}"));
    corner.nodes(3, 1);
    corner.create(&corner.deployment("web", 2, json!({})));
    corner.wait_for_pods("app=web", 2);
    let spec = json!({"cordon": true, "concurrency": 2, "drainOptions": {"enabled": true}, "preflight": {"command": ["silent"]}});
    corner.create(&corner.nodeop("op", spec));

    let lived = live_for(&corner, writes);
    let printed = corner.settle();
    assert_eq!(printed.code, 0, "after {writes} writes: {printed:#?}");

    let status = corner.status("op");
    assert_eq!((&status["phase"], &status["progress"]), (&json!("Completed"), &json!("3/3")), "after {writes} writes: {status:#}");
    assert_all_given_back(&corner);
    let jobs = corner.list("jobs");
    assert_eq!(jobs.len(), 3, "after {writes} writes: one Job per node, and none left over");
    assert!(jobs.iter().all(|job| job["spec"]["suspend"] == json!(false)), "after {writes} writes: none is left suspended");
    let is_command = |pod: &&Value| pod["spec"]["containers"][0]["name"] == "nodeop";
    assert_eq!(corner.list("pods").iter().filter(is_command).count(), 3, "after {writes} writes: each command was started once");
    lived
}

#[test]
fn a_runner_that_dies_between_any_two_writes_leaves_nothing_undone_and_nothing_done_twice() {
    let root = Corner::new("crashes");
    let next = AtomicUsize::new(0);
    let lived = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..ABREAST {
            scope.spawn(|| {
                loop {
                    let writes = next.fetch_add(1, Ordering::SeqCst);
                    if writes > LAST {
                        return;
                    }
                    lived.fetch_add(usize::from(rollout(&root, writes)), Ordering::SeqCst);
                }
            });
        }
    });
    assert!(lived.load(Ordering::SeqCst) > 0, "a rollout writes more than {LAST} times: raise it, or some deaths are not tried");
}
