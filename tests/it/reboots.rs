//! Reboots on a real control plane, with nodes that are played: what is written in which order, by the audit log.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Corner, Entry, kubelet, wait_for};
use crate::rollouts::assert_all_given_back;

/// The only pod with a container of this name in front.
fn pod(corner: &Corner, container: &str) -> Option<Value> {
    let mut pods = corner.list("pods").into_iter().filter(|pod| pod["spec"]["containers"][0]["name"] == container);
    let first = pods.next();
    assert!(pods.next().is_none(), "more than one pod with a container {container}");
    first
}

fn approval(corner: &Corner) -> Value {
    pod(corner, "reboot").map_or(Value::Null, |pod| pod["metadata"]["annotations"]["kairos.io/reboot-approved"].clone())
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_string()
}

fn approves(write: &Entry) -> bool {
    write.resource == "pods" && write.verb == "patch"
}

/// Index of the first write of a kind that was taken.
fn first(writes: &[Entry], what: &str, is: impl Fn(&Entry) -> bool) -> usize {
    writes.iter().position(|write| write.succeeded() && is(write)).unwrap_or_else(|| panic!("nothing {what}: {writes:#?}"))
}

#[test]
fn a_node_reboots_once_after_success_and_boot_id_are_recorded() {
    let corner = Corner::new("boots");
    corner.nodes(1, 0);
    corner.create(&corner.nodeop("op", json!({"cordon": true, "rebootOnSuccess": true, "rollout": {"reboot": {"readySeconds": 2}}})));
    let entry = || corner.status("op")["nodeStatuses"]["boots-0"].clone();
    corner.rounds_until("the command's success is recorded", || entry()["step"] == "Rebooting");
    corner.round();
    assert!(entry()["bootID"].is_null() && approval(&corner).is_null(), "it waits for the boot id");

    // What the command's pod tells is the boot that may be ended.
    let telling = pod(&corner, "sentinel-creator").unwrap();
    assert!(kubelet::is_telling(&telling));
    kubelet::tell(&corner, &name(&telling), "boot-boots-0");
    corner.rounds_until("the reboot is approved", || approval(&corner) == "boot-boots-0");
    assert_eq!((&entry()["bootID"], &entry()["rebootStatus"]), (&json!("boot-boots-0"), &json!("pending")));
    corner.round();
    assert_eq!(entry()["step"], "Rebooting", "the node is still there");

    // Down, and up again: not Ready yet at first.
    let not_ready = json!({"conditions": [{"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "starting"}]});
    corner.patch_status("node", "boots-0", &not_ready);
    kubelet::reboot(&corner, "boots-0", &name(&pod(&corner, "reboot").unwrap()), "another");
    corner.rounds_until("the new boot is recorded", || entry()["newBootID"] == "another");
    std::thread::sleep(Duration::from_secs(3));
    corner.round();
    assert_eq!((&entry()["step"], &entry()["phase"]), (&json!("Verifying"), &json!("Running")), "it is not Ready");
    let ready = json!({"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "up"}]});
    corner.patch_status("node", "boots-0", &ready);
    let printed = corner.settle();
    assert_eq!(printed.code, 0, "{printed:#?}");
    assert_eq!((&entry()["phase"], &entry()["rebootStatus"]), (&json!("Completed"), &json!("completed")));
    assert_all_given_back(&corner);
    in_order(&corner.writes());
}

/// Pod before Job, Job's uid before its start, success and boot id before the one approval.
fn in_order(writes: &[Entry]) {
    let entry = |write: &Entry| write.body["status"]["nodeStatuses"]["boots-0"].clone();
    let records = |field: &'static str| move |write: &Entry| write.resource == "nodeops/status" && entry(write)[field].is_string();
    let reboot_pod = first(writes, "makes the reboot pod", |write| write.resource == "pods" && write.verb == "create");
    let job = first(writes, "makes the Job", |write| write.resource == "jobs" && write.verb == "create");
    let named = first(writes, "names the Job", records("jobUID"));
    let started = first(writes, "starts the Job", Entry::starts);
    let recorded = first(writes, "records the boot", records("bootID"));
    let approved = first(writes, "approves the reboot", approves);
    let order = [reboot_pod, job, named, started, recorded, approved];
    assert!(order.is_sorted(), "{order:?}");
    assert!(writes[recorded].done <= writes[approved].at, "the approval was not sent before the record was taken");
    assert_eq!(writes.iter().filter(|write| approves(write)).count(), 1);
    assert_eq!(writes[approved].body["metadata"]["annotations"]["kairos.io/reboot-approved"], "boot-boots-0");
    assert!(writes[approved].body["metadata"]["uid"].is_string());
}

#[test]
fn a_command_that_fails_reboots_nothing_and_leaves_nothing_that_could() {
    let corner = Corner::new("noboot");
    corner.nodes(1, 0);
    corner.create(&corner.nodeop("op", json!({"command": ["fail"], "backoffLimit": 0, "rebootOnSuccess": true})));
    assert_eq!(corner.settle().code, 3);
    let entry = corner.status("op")["nodeStatuses"]["noboot-0"].clone();
    assert_eq!((&entry["reason"], &entry["rebootStatus"]), (&json!("CommandFailed"), &json!("cancelled")));
    wait_for("the reboot pod is gone", Duration::from_secs(10), || pod(&corner, "reboot").is_none());
    assert!(!corner.writes().iter().any(approves));
    assert_all_given_back(&corner);
}

#[test]
fn control_plane_nodes_reboot_one_after_the_other_whatever_concurrency_says() {
    let corner = Corner::alone("planes");
    let nodes = corner.nodes(4, 2);
    corner.create(&corner.nodeop("op", json!({"rebootOnSuccess": true, "rollout": {"reboot": {"readySeconds": 0}}})));
    let printed = kubelet::beside(&corner, || corner.settle());
    assert_eq!(printed.code, 0, "{printed:#?}");
    for node in &nodes {
        assert_eq!(kubelet::boot_id(&corner, node), format!("boot-{node}-again"));
    }
    let holds = crate::rollouts::holds(&corner.writes());
    let of = |node: &str| holds.iter().find(|hold| hold.node == node).unwrap();
    assert!(of("planes-0").to <= of("planes-1").from, "the second one waited for the first");
    assert!(of("planes-2").from < of("planes-0").to, "a worker did not");
    assert_all_given_back(&corner);
}
