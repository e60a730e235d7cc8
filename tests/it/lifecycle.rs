//! What happens over time: edits, tokens, new nodes, and things that vanish in the middle.

use serde_json::{Value, json};

use crate::harness::Corner;
use crate::rollouts::{assert_all_given_back, started};

const NODEOP: &str = "nodeops.operator.kairos.io";

fn entry(corner: &Corner, node: &str) -> Value {
    corner.status("op")["nodeStatuses"][node].clone()
}

fn annotate(corner: &Corner, what: &str) {
    corner.kubectl(&["-n", &corner.name, "annotate", NODEOP, "op", what, "--overwrite"]);
}

#[test]
fn an_edit_runs_again_on_all_nodes_and_a_new_node_is_taken_up() {
    let corner = Corner::new("edits");
    corner.nodes(2, 0);
    corner.apply(&corner.nodeop("op", json!({"command": ["succeed", "one"]})));
    assert_eq!(corner.settle().code, 0);
    corner.apply(&corner.nodeop("op", json!({"command": ["succeed", "one"], "concurrency": 1})));
    assert_eq!(corner.settle().code, 0);
    assert_eq!(started(&corner.writes()).len(), 2, "how the rollout goes is no reason to run again");
    corner.apply(&corner.nodeop("op", json!({"command": ["succeed", "two"], "concurrency": 1})));
    assert_eq!(corner.settle().code, 0);
    assert_eq!(started(&corner.writes()).len(), 4);
    assert_eq!(corner.list("jobs").len(), 2, "the Jobs of the first run are superseded");
    assert_eq!(corner.status("op")["run"], 2);

    corner.create(&corner.node("edits-new", false));
    corner.wait_ready("edits-new");
    assert_eq!(corner.settle().code, 0);
    assert_eq!(corner.status("op")["progress"], "3/3");
    assert_eq!(started(&corner.writes()).len(), 5);

    // The same name, but another node.
    corner.kubectl(&["delete", "node", "edits-new", "--wait"]);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    corner.create(&corner.node("edits-new", false));
    corner.wait_ready("edits-new");
    assert_eq!(corner.settle().code, 0);
    assert_eq!(started(&corner.writes()).len(), 6);
}

#[test]
fn tokens_ask_for_a_rerun_and_for_a_retry_of_the_failed_nodes() {
    let corner = Corner::new("tokens");
    corner.nodes(2, 0);
    corner.create(&corner.nodeop("op", json!({"command": ["hang"], "backoffLimit": 0, "cordon": true})));
    corner.rounds_until("both run", || started(&corner.writes()).len() == 2 && running(&corner).len() == 2);
    for pod in running(&corner) {
        let good = pod["spec"]["nodeName"] == "tokens-0";
        finish(&corner, &pod, if good { 0 } else { 7 });
    }
    assert_eq!(corner.settle().code, 3);
    assert_eq!(entry(&corner, "tokens-1")["message"], "Job failed: exit code 7");

    annotate(&corner, "operator.kairos.io/retry-failed=1");
    corner.rounds_until("the failed node runs again", || !running(&corner).is_empty());
    assert_eq!(entry(&corner, "tokens-0")["phase"], "Completed", "the good one is left alone");
    finish(&corner, &running(&corner)[0], 0);
    assert_eq!(corner.settle().code, 0);
    assert_eq!(started(&corner.writes()).len(), 3);
    assert_all_given_back(&corner);

    annotate(&corner, "operator.kairos.io/rerun=monday");
    corner.rounds_until("both run again", || started(&corner.writes()).len() == 5);
}

/// The pods that run: a Job that was started has none yet.
fn running(corner: &Corner) -> Vec<Value> {
    corner.list("pods").into_iter().filter(|pod| pod["status"]["phase"] == "Running").collect()
}

/// Ends a hanging pod as its kubelet would.
fn finish(corner: &Corner, pod: &Value, code: i32) {
    let ended = json!({"exitCode": code, "reason": if code == 0 { "Completed" } else { "Error" }});
    let status = json!({
        "phase": if code == 0 { "Succeeded" } else { "Failed" },
        "containerStatuses": [{"name": "nodeop", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": ended}}],
    });
    corner.patch_status("pod", pod["metadata"]["name"].as_str().unwrap(), &status);
}

#[test]
fn run_policy_once_takes_the_nodes_of_the_start_and_no_others() {
    let corner = Corner::new("once");
    corner.nodes(2, 0);
    let op =
        |command: &str| corner.nodeop("op", json!({"command": ["succeed", command], "concurrency": 1, "rollout": {"runPolicy": "Once"}}));
    corner.apply(&op("one"));
    corner.round();
    corner.create(&corner.node("once-new", false));
    corner.wait_ready("once-new");
    assert_eq!(corner.settle().code, 0);
    assert_eq!(corner.status("op")["progress"], "2/2");
    corner.apply(&op("two"));
    assert_eq!(corner.settle().code, 0);
    assert_eq!(started(&corner.writes()).len(), 2);
    annotate(&corner, "operator.kairos.io/rerun=now");
    assert_eq!(corner.settle().code, 0);
    assert_eq!(started(&corner.writes()).len(), 5, "a re-run is another start, with the nodes of now");
}

#[test]
fn a_finished_node_stays_finished_when_its_job_goes() {
    let corner = Corner::new("stays");
    corner.nodes(1, 0);
    corner.create(&corner.nodeop("op", json!({"rollout": {"jobTTLSeconds": 0}})));
    assert_eq!(corner.settle().code, 0);
    crate::harness::wait_for("the Job expires", std::time::Duration::from_secs(30), || corner.list("jobs").is_empty());
    assert_eq!(corner.settle().code, 0);
    assert_eq!(entry(&corner, "stays-0")["phase"], "Completed");
    assert_eq!(started(&corner.writes()).len(), 1);
}

#[test]
fn a_job_deleted_while_it_runs_is_lost_and_never_started_again() {
    let corner = Corner::new("lost");
    corner.nodes(1, 0);
    corner.create(&corner.nodeop("op", json!({"command": ["hang"], "cordon": true, "uncordonOnFailure": true})));
    corner.rounds_until("the command runs", || entry(&corner, "lost-0")["step"] == "Running");
    corner.kubectl(&["-n", "lost", "delete", "jobs", "--all", "--wait"]);
    assert_eq!(corner.settle().code, 3);
    assert_eq!(entry(&corner, "lost-0")["reason"], "JobLost");
    assert_eq!(started(&corner.writes()).len(), 1);
    assert_all_given_back(&corner);
}

#[test]
fn a_node_deleted_mid_way_frees_its_slot() {
    let corner = Corner::new("gone");
    corner.nodes(2, 0);
    corner.create(&corner.nodeop("op", json!({"command": ["hang"], "concurrency": 1})));
    corner.rounds_until("the command runs", || entry(&corner, "gone-0")["step"] == "Running");
    corner.kubectl(&["delete", "node", "gone-0", "--wait"]);
    corner.rounds_until("the next node runs", || entry(&corner, "gone-1")["step"] == "Running");
    assert_eq!(entry(&corner, "gone-0")["reason"], "NodeGone");
}

#[test]
fn an_edit_in_the_middle_lets_the_running_command_end_and_then_runs_the_new_one() {
    let corner = Corner::new("midway");
    corner.nodes(2, 0);
    corner.apply(&corner.nodeop("op", json!({"command": ["slow", "3s"], "concurrency": 1, "cordon": true})));
    corner.rounds_until("the command runs", || entry(&corner, "midway-0")["step"] == "Running");
    let first = corner.list("jobs")[0]["metadata"]["uid"].clone();
    corner.apply(&corner.nodeop("op", json!({"command": ["succeed"], "concurrency": 1, "cordon": true})));
    corner.round();
    assert_eq!(corner.list("jobs")[0]["metadata"]["uid"], first, "the running Job is left alone");
    assert_eq!(corner.settle().code, 0);
    assert_eq!(corner.status("op")["progress"], "2/2");
    assert_eq!(started(&corner.writes()).len(), 3, "once the old command on one node, the new one on both");
    assert_all_given_back(&corner);
}

#[test]
fn suspend_starts_nothing_kills_nothing_and_counts_as_settled() {
    let corner = Corner::new("suspend");
    corner.nodes(2, 0);
    let op = |suspend: bool| corner.nodeop("op", json!({"command": ["slow", "3s"], "concurrency": 1, "rollout": {"suspend": suspend}}));
    corner.apply(&op(false));
    corner.rounds_until("the command runs", || entry(&corner, "suspend-0")["step"] == "Running");
    corner.apply(&op(true));
    assert_eq!(corner.settle().code, 0);
    let status = corner.status("op");
    assert_eq!(entry(&corner, "suspend-0")["phase"], "Completed", "what ran has ended well");
    assert_eq!(started(&corner.writes()).len(), 1);
    let ready = status["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Ready").unwrap().clone();
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("Unknown"), &json!("Suspended")));
    corner.apply(&op(false));
    assert_eq!(corner.settle().code, 0);
    assert_eq!(started(&corner.writes()).len(), 2);
}

#[test]
fn a_closed_window_starts_nothing_and_says_when_it_opens() {
    let corner = Corner::new("window");
    corner.nodes(1, 0);
    // Open for one minute on a day of the week that is neither today nor yesterday nor tomorrow, by any clock.
    let day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][(weekday() + 3) % 7];
    let windows = json!([{"start": "12:00", "duration": "1m", "days": [day]}]);
    corner.apply(&corner.nodeop("op", json!({"rollout": {"windows": windows}})));
    corner.round();
    corner.round();
    let status = corner.status("op");
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("the next one opens at") && message.contains("T12:00:00Z"), "{message}");
    assert!(status["conditions"].as_array().unwrap().iter().any(|c| c["type"] == "Reconciling" && c["reason"] == "WindowClosed"));
    assert!(started(&corner.writes()).is_empty());
    corner.apply(&corner.nodeop("op", json!({"rollout": {"windows": [{"start": "00:00", "duration": "168h"}]}})));
    assert_eq!(corner.settle().code, 0);
}

/// Days since a Monday, by this machine's clock.
fn weekday() -> usize {
    #[expect(clippy::disallowed_methods, reason = "a test needs a window that is closed today")]
    let now = jiff::Timestamp::now();
    usize::try_from(now.to_zoned(jiff::tz::TimeZone::UTC).weekday().to_monday_zero_offset()).unwrap()
}

#[test]
fn a_node_that_is_not_ready_is_not_started_and_does_not_hold_the_others_up() {
    let corner = Corner::new("notready");
    corner.nodes(2, 0);
    let condition = |status: &str| json!({"conditions": [{"type": "Ready", "status": status, "reason": "Test", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}]});
    corner.patch_status("node", "notready-0", &condition("False"));
    corner.create(&corner.nodeop("op", json!({"concurrency": 1, "cordon": true})));
    corner.rounds_until("the other is done", || {
        entry(&corner, "notready-1")["phase"] == "Completed" && entry(&corner, "notready-1")["step"].is_null()
    });
    let status = corner.status("op");
    assert_eq!(status["phase"], "Running");
    assert!(status["message"].as_str().unwrap().contains("not Ready"), "{status:#}");
    corner.patch_status("node", "notready-0", &condition("True"));
    assert_eq!(corner.settle().code, 0);
}
