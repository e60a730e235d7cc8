//! What people and controllers do to Jobs, nodes and operations in the middle of a rollout.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::proxy::{Asked, Fate};
use crate::harness::{Corner, Proxy, wait_for};
use crate::rollouts::{assert_all_given_back, started};

const NODEOP: &str = "nodeops.operator.kairos.io";

/// A rollout over one node, `<corner>-0`.
fn one_node(name: &str, spec: Value) -> Corner {
    let corner = Corner::new(name);
    corner.nodes(1, 0);
    corner.create(&corner.nodeop("op", spec));
    corner
}

fn entry(corner: &Corner) -> Value {
    corner.status("op")["nodeStatuses"][format!("{}-0", corner.name)].clone()
}

/// Rounds whose writes are lost from the first one on that `is_fatal` names.
fn rounds_until_lost(corner: &Corner, is_fatal: fn(&Asked) -> bool) {
    rounds_until_dead(corner, is_fatal, |_| Fate::Pass);
}

/// The same, with a rule for what comes before.
fn rounds_until_dead(corner: &Corner, is_fatal: fn(&Asked) -> bool, mut rule: impl FnMut(&Asked) -> Fate + Send + 'static) {
    let mut dead = false;
    let proxy = Proxy::start(corner, move |asked| {
        dead |= is_fatal(asked);
        if dead { Fate::Drop } else { rule(asked) }
    });
    let through = corner.through(&proxy);
    wait_for("the write that is lost", Duration::from_secs(60), || through.rounds(&["run"]).code != 0 || was_lost(&through));
}

/// Whether nothing passes any more.
fn was_lost(through: &Corner) -> bool {
    through.rounds(&["plan"]).code == 1
}

fn records_uid(asked: &Asked) -> bool {
    asked.path.ends_with("/status") && asked.body.to_string().contains("\"jobUID\"")
}

fn toggle(corner: &Corner, suspend: bool) {
    let patch = json!({"spec": {"rollout": {"suspend": suspend}}}).to_string();
    corner.kubectl(&["-n", &corner.name, "patch", NODEOP, "op", "--type=merge", "-p", &patch]);
}

#[test]
fn a_job_deleted_before_its_uid_is_recorded_is_made_again() {
    let corner = one_node("unrecorded", json!({"cordon": true}));
    rounds_until_lost(&corner, records_uid);
    assert_eq!(corner.list("jobs").len(), 1);
    corner.kubectl(&["-n", "unrecorded", "delete", "jobs", "--all", "--wait"]);
    assert_eq!(corner.settle().code, 0);
    assert_eq!(started(&corner.writes()).len(), 1);
    assert_all_given_back(&corner);
}

#[test]
fn a_job_deleted_between_its_record_and_its_start_is_lost_and_nothing_runs() {
    let corner = one_node("unstarted", json!({"cordon": true, "uncordonOnFailure": true}));
    rounds_until_lost(&corner, Asked::starts);
    corner.kubectl(&["-n", "unstarted", "delete", "jobs", "--all", "--wait"]);
    assert_eq!(corner.settle().code, 3);
    assert_eq!(entry(&corner)["reason"], "JobLost");
    assert!(started(&corner.writes()).is_empty());
    assert_all_given_back(&corner);
}

#[test]
fn a_job_whose_labels_were_taken_off_is_found_by_its_name() {
    let corner = one_node("stripped", json!({"cordon": true}));
    rounds_until_lost(&corner, records_uid);
    // The one by which Jobs are listed; a Job without any label is given those of its pods by the apiserver.
    corner.kubectl(&["-n", "stripped", "label", "jobs", "--all", "kairos.io/nodeop-"]);
    let printed = corner.settle();
    assert_eq!(printed.code, 0, "{printed:#?}");
    assert_eq!(started(&corner.writes()).len(), 1);
    assert_all_given_back(&corner);
}

#[test]
fn a_delete_that_arrives_late_does_not_meet_the_job_of_a_new_claim() {
    let corner = one_node("overdue", json!({"cordon": true}));
    rounds_until_lost(&corner, records_uid);
    toggle(&corner, true);
    let (seen, is_seen) = std::sync::mpsc::channel();
    let slow = Proxy::start(&corner, move |asked| {
        if asked.method == http::Method::DELETE {
            let _ = seen.send(());
            return Fate::Hold;
        }
        Fate::Pass
    });
    let mut runner = corner.through(&slow).command(&["run"]).spawn().expect("the binary starts");
    is_seen.recv_timeout(Duration::from_secs(30)).expect("the Job of the dropped claim is deleted");
    runner.kill().expect("it is killed");
    runner.wait().expect("it is dead");

    toggle(&corner, false);
    // The next runner's own deletes are lost, so that it meets the Job again and again.
    let mut deletes = 0;
    rounds_until_dead(&corner, Asked::starts, move |asked| {
        deletes += usize::from(asked.method == http::Method::DELETE);
        if asked.method == http::Method::DELETE && deletes <= 2 { Fate::Drop } else { Fate::Pass }
    });
    slow.deliver();
    let printed = corner.settle();
    assert_eq!(printed.code, 0, "{printed:#?} {:#}", entry(&corner));
    assert_eq!(started(&corner.writes()).len(), 1);
    assert_all_given_back(&corner);
}

#[test]
fn a_node_that_comes_anew_under_its_name_mid_way_runs_the_command_itself() {
    let corner = one_node("anew", json!({"command": ["slow", "5s"], "cordon": true}));
    corner.rounds_until("the command runs", || entry(&corner)["step"] == "Running");
    corner.kubectl(&["delete", "node", "anew-0", "--wait"]);
    corner.create(&corner.node("anew-0", false));
    corner.wait_ready("anew-0");
    corner.rounds_until("it is noticed", || entry(&corner)["reason"] != "Running");
    let printed = corner.settle();
    assert_eq!(printed.code, 0, "{printed:#?} {:#}", corner.status("op"));
    let jobs = started(&corner.writes());
    assert_eq!(jobs.len(), 2, "once on each of the two machines: {jobs:?}");
    assert_ne!(jobs[0], jobs[1]);
    assert_all_given_back(&corner);
}

#[test]
fn a_plain_cordon_during_ours_leaves_no_trace() {
    let corner = one_node("plain", json!({"command": ["slow", "3s"], "cordon": true}));
    corner.rounds_until("the command runs", || entry(&corner)["step"] == "Running");
    corner.kubectl(&["cordon", "plain-0"]);
    assert_eq!(corner.settle().code, 0);
    assert_all_given_back(&corner);
}

#[test]
fn a_node_relabelled_mid_way_is_seen_through_to_its_end() {
    let corner = one_node("moved", json!({"command": ["slow", "3s"], "cordon": true, "nodeSelector": {"matchLabels": {"role": "worker"}}}));
    corner.kubectl(&["label", "node", "moved-0", "role=worker"]);
    corner.rounds_until("the command runs", || entry(&corner)["step"] == "Running");
    corner.kubectl(&["label", "node", "moved-0", "role-"]);
    assert_eq!(corner.settle().code, 0);
    assert_eq!(started(&corner.writes()).len(), 1);
    assert_all_given_back(&corner);
}

#[test]
fn an_operation_deleted_in_the_foreground_mid_way_leaves_nothing() {
    let corner = one_node("foreground", json!({"command": ["hang"], "cordon": true}));
    corner.rounds_until("the command runs", || corner.list("pods").iter().any(|pod| pod["status"]["phase"] == "Running"));
    corner.kubectl(&["-n", "foreground", "delete", NODEOP, "op", "--cascade=foreground", "--wait=false"]);
    assert_eq!(corner.settle().code, 0);
    corner.rounds_until("it is gone", || corner.get(NODEOP, "op").is_null());
    assert_eq!(corner.settle().code, 0);
    assert!(corner.list("jobs,pods").is_empty());
    assert_all_given_back(&corner);
}
