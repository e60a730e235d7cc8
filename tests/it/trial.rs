//! One rollout with all that a NodeOp can ask for, as crashes and faults are tried on it, and how it must have ended
//! whatever was done to it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::harness::{Corner, Entry};
use crate::rollouts::assert_all_given_back;

/// Held by a test for as long as it tries rollouts side by side: several such tests at once would starve all the others,
/// whose time limits are short.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A rollout over three nodes with preflight, cordon and drain.
pub struct Trial {
    /// What was done to it.
    pub what: String,
    /// Where it happened.
    pub corner: Corner,
}

impl Trial {
    /// Makes nodes with something to drain on them, and the NodeOp `op`. The corner is one of the root's user.
    pub fn new(root: &Corner, name: &str, what: String) -> Self {
        let corner = root.beside(&format!("{}-{name}", root.name));
        let mut items: Vec<Value> = (0..3).map(|index| corner.node(&format!("{}-{index}", corner.name), index == 0)).collect();
        items.push(corner.deployment("web", 2, json!({})));
        corner.create(&json!({"apiVersion": "v1", "kind": "List", "items": items}));
        corner.wait_for_pods("app=web", 2);
        let spec = json!({"cordon": true, "concurrency": 2, "drainOptions": {"enabled": true}, "preflight": {"command": ["silent"]}});
        corner.create(&corner.nodeop("op", spec));
        Self { what, corner }
    }

    /// What the cluster shows is what a rollout that nothing happened to would have left; clears it away.
    pub fn end(&self) {
        let Self { what, corner } = self;
        let all = corner.list("nodeops.operator.kairos.io,jobs,pods");
        let of = |kind: &'static str| all.iter().filter(move |object| object["kind"] == kind);
        let op = of("NodeOp").next().expect("the NodeOp");
        assert_eq!((&op["status"]["phase"], &op["status"]["progress"]), (&json!("Completed"), &json!("3/3")), "{what}: {op:#}");
        assert_all_given_back(corner);
        assert_eq!(of("Job").count(), 3, "{what}: one Job per node, and none left over");
        assert!(of("Job").all(|job| job["spec"]["parallelism"] == json!(1)), "{what}: none is left held");
        let made_of = |name: &str| of("Pod").filter(|pod| pod["spec"]["containers"][0]["name"] == name).count();
        assert_eq!((made_of("nodeop"), made_of("preflight")), (3, 0), "{what}: one pod per Job, and no preflight left over");
        corner.clear();
    }

    /// The audit log as witness: in each trial three Jobs were let run, and the Job controller made one pod for each.
    pub fn assert_started_once(root: &Corner, trials: &[Self]) {
        let is_start = |entry: &&Entry| entry.succeeded() && entry.starts();
        let ours = root.writes();
        let controllers = root.writes_of("system:serviceaccount:kube-system:job-controller");
        for Self { what, corner } in trials {
            let starts = ours.iter().filter(|entry| entry.namespace == corner.name).filter(is_start);
            let started: BTreeSet<&str> = starts.map(|entry| entry.name.as_str()).collect();
            assert_eq!(started.len(), 3, "{what}: {started:?}");
            let pods = controllers.iter().filter(|entry| entry.namespace == corner.name && entry.resource == "pods");
            let made = pods.filter(|entry| entry.verb == "create" && entry.succeeded()).count();
            assert_eq!(made, 3, "{what}: each command was started once");
        }
    }
}
