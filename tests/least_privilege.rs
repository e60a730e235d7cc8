//! What the runners of all integration tests have asked of the apiserver, by its audit logs, is what the shipped
//! ClusterRole allows: no more, and nothing in it is there for nothing. Runs after the binary `it`, as cargo orders them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// `verb resource.group` of every permission in the ClusterRole.
fn allowed() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cronjob/rbac/clusterrole.yaml");
    let role: Value = rounds::yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let texts = |value: &Value| value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_string()).collect::<Vec<_>>();
    let mut all = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                all.extend(texts(&rule["verbs"]).into_iter().map(|verb| format!("{verb} {resource}.{group}")));
            }
        }
    }
    all
}

/// What a line of an audit log says that a runner did: a request of our binary, by a user of the tests, that was not refused.
fn used(line: &str) -> Option<String> {
    // Most lines are the control plane's own; they need no parsing.
    if !line.contains("\"userAgent\":\"rounds/") {
        return None;
    }
    let event: Value = serde_json::from_str(line).ok()?;
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let by_runner = text("/user/username").starts_with("rounds-") || text("/user/username").ends_with(":runner");
    let refused = event.pointer("/responseStatus/code").and_then(Value::as_u64) == Some(403);
    if !by_runner || refused || text("/objectRef/resource").is_empty() {
        return None;
    }
    let sub = text("/objectRef/subresource");
    let slash = if sub.is_empty() { "" } else { "/" };
    Some(format!("{} {}{slash}{sub}.{}", text("/verb"), text("/objectRef/resource"), text("/objectRef/apiGroup")))
}

/// The lines of the audit logs that the last run of `it` has left.
fn lines() -> Vec<String> {
    let list = Path::new(env!("CARGO_TARGET_TMPDIR")).join("audit-logs");
    let logs = std::fs::read_to_string(&list).expect("no test run has left its audit logs: run the tests of `it` first (make test)");
    let read = |log: &str| std::fs::read_to_string(log).unwrap_or_else(|error| panic!("the audit log {log}: {error}; run make test"));
    logs.lines().flat_map(|log| read(log).lines().map(String::from).collect::<Vec<_>>()).collect()
}

#[test]
fn nothing_that_a_runner_made_in_the_whole_test_run_holds_a_token_or_a_secret() {
    let mut made = 0;
    for line in lines().iter().filter(|line| used(line).is_some_and(|what| what.starts_with("create "))) {
        let event: Value = serde_json::from_str(line).unwrap();
        let object = &event["requestObject"];
        let Some(pod) = [&object["spec"]["template"]["spec"], &object["spec"]].into_iter().find(|spec| spec["containers"].is_array())
        else {
            continue;
        };
        assert_eq!(pod["automountServiceAccountToken"], Value::Bool(false), "{}", object["metadata"]["name"]);
        assert!(pod["serviceAccountName"].is_null() && pod["serviceAccount"].is_null());
        // What builds an artifact mounts the Secrets that the artifact names: kubelets read them, and the runner does not.
        let builds = object["metadata"]["labels"]["build.kairos.io/artifact"].is_string();
        let volumes = pod["volumes"].as_array().into_iter().flatten();
        assert!(volumes.into_iter().all(|volume| (builds || volume["secret"].is_null()) && volume["projected"].is_null()));
        made += 1;
    }
    assert!(made > 100, "only {made} Jobs and Pods were made: was it a whole run?");
}

#[test]
fn what_the_runners_did_in_the_whole_test_run_is_what_the_shipped_cluster_role_allows() {
    let seen: BTreeSet<String> = lines().iter().filter_map(|line| used(line)).collect();
    let allowed = allowed();
    let missing: Vec<_> = seen.difference(&allowed).collect();
    let idle: Vec<_> = allowed.difference(&seen).collect();
    assert!(missing.is_empty(), "done, but not in the ClusterRole (how?): {missing:?}");
    assert!(idle.is_empty(), "in the ClusterRole, but never used in a whole run of the tests (was it a whole run?): {idle:?}");
}
