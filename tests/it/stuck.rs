//! Pods that cannot start are named with the cluster's own reason, within one round.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Corner, wait_for};

const NODEOP: &str = "nodeops.operator.kairos.io";

/// For so long nobody asks why an object has not started yet: `YOUNG` in `src/cluster/observe/explain.rs`.
const YOUNG: Duration = Duration::from_secs(2);

/// Runs until the Job may run, lets the cluster speak, and takes one more round.
fn reason_after_one_round(corner: &Corner, spoken: impl FnMut() -> bool) -> (Value, String) {
    let node = format!("{}-0", corner.name);
    let running = || corner.status("op")["nodeStatuses"][&node]["step"] == "Running";
    corner.rounds_until("the Job may run", running);
    wait_for("the cluster says what is wrong", Duration::from_secs(30), spoken);
    // Times in metadata, and the apiserver's own, are whole seconds.
    std::thread::sleep(YOUNG + Duration::from_secs(1));
    corner.round();
    let why = corner.rounds(&["why", &node]);
    (corner.status("op")["nodeStatuses"][&node].clone(), why.out)
}

fn has_event(corner: &Corner, reason: &str) -> bool {
    corner.list("events").iter().any(|event| event["reason"] == reason)
}

#[test]
fn a_missing_image_and_a_missing_pull_secret_are_named_and_the_time_limit_frees_the_slot() {
    let corner = Corner::new("image");
    corner.nodes(1, 0);
    let spec = json!({"command": ["no-image"], "image": "registry.example/none:1", "imagePullSecrets": [{"name": "absent"}], "rollout": {"nodeTimeoutSeconds": 45}});
    corner.create(&corner.nodeop("op", spec));
    let pulling = || corner.list("pods").iter().any(|pod| pod.to_string().contains("ImagePullBackOff"));
    // What the kubelet says about a Secret that is not there.
    corner.rounds_until("a pod is there", || !corner.list("pods").is_empty());
    wait_for("the pull fails", Duration::from_secs(20), pulling);
    let pod = corner.list("pods")[0].clone();
    corner.create(&json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "secret", "namespace": "image"}, "type": "Warning",
        "reason": "FailedToRetrieveImagePullSecret", "message": "Unable to retrieve some image pull secrets (absent)",
        "involvedObject": {"kind": "Pod", "namespace": "image", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]},
        "firstTimestamp": pod["metadata"]["creationTimestamp"], "lastTimestamp": pod["metadata"]["creationTimestamp"],
    }));
    let (entry, why) = reason_after_one_round(&corner, pulling);
    assert_eq!(entry["reason"], "CannotStart", "{entry:#}");
    let message = entry["message"].as_str().unwrap();
    assert!(
        message.contains("ImagePullBackOff") && message.contains("registry.example/none:1") && message.contains("(absent)"),
        "{message}"
    );
    assert!(why.contains("CannotStart") && why.contains("registry.example/none:1"), "{why}");

    assert_eq!(corner.settle().code, 3);
    let entry = corner.status("op")["nodeStatuses"]["image-0"].clone();
    assert_eq!(entry["reason"], "NodeTimeout", "{entry:#}");
    assert!(corner.list("jobs").is_empty(), "the Job is gone");
}

#[test]
fn a_quota_on_pods_is_named() {
    let corner = Corner::new("quota");
    corner.nodes(1, 0);
    corner.create(&json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": "quota"}, "spec": {"hard": {"pods": "0"}}}));
    wait_for("the quota is counted", Duration::from_secs(20), || corner.get("resourcequota", "none")["status"]["used"]["pods"] == "0");
    corner.create(&corner.nodeop("op", json!({})));
    let (entry, why) = reason_after_one_round(&corner, || has_event(&corner, "FailedCreate"));
    assert_eq!(entry["reason"], "CannotStart", "{entry:#}");
    assert!(entry["message"].as_str().unwrap().contains("exceeded quota: none"), "{entry:#}");
    assert!(why.contains("exceeded quota"), "{why}");
    // The remedy is enough: nothing has to be told to Rounds.
    corner.kubectl(&["-n", "quota", "delete", "resourcequota", "none"]);
    assert_eq!(corner.settle().code, 0);
}

#[test]
fn a_quota_on_jobs_is_named() {
    let corner = Corner::new("jobquota");
    corner.nodes(1, 0);
    corner.create(&json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": "jobquota"}, "spec": {"hard": {"count/jobs.batch": "0"}}}));
    wait_for("the quota is counted", Duration::from_secs(20), || {
        corner.get("resourcequota", "none")["status"]["used"]["count/jobs.batch"] == "0"
    });
    corner.create(&corner.nodeop("op", json!({"cordon": true})));
    corner.rounds_until("the refusal is named", || corner.status("op")["nodeStatuses"]["jobquota-0"]["reason"] == "CannotStart");
    let entry = corner.status("op")["nodeStatuses"]["jobquota-0"].clone();
    assert!(entry["message"].as_str().unwrap().contains("exceeded quota: none"), "{entry:#}");
    let version = |corner: &Corner| corner.get(NODEOP, "op")["metadata"]["resourceVersion"].clone();
    let before = version(&corner);
    corner.round();
    corner.round();
    assert_eq!(version(&corner), before, "the same refusal is not written again");
    corner.kubectl(&["-n", "jobquota", "delete", "resourcequota", "none"]);
    assert_eq!(corner.settle().code, 0);
}

#[test]
fn pod_security_is_named() {
    let corner = Corner::new("psa");
    corner.nodes(1, 0);
    corner.kubectl(&["label", "namespace", "psa", "pod-security.kubernetes.io/enforce=restricted"]);
    corner.create(&corner.nodeop("op", json!({})));
    let (entry, _) = reason_after_one_round(&corner, || has_event(&corner, "FailedCreate"));
    assert_eq!(entry["reason"], "CannotStart", "{entry:#}");
    assert!(entry["message"].as_str().unwrap().contains("violates PodSecurity"), "{entry:#}");
}
