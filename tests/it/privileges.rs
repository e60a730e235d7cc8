//! What the runner may do is the shipped ClusterRole, and every line of it is needed: without it a round says which one is
//! missing. That no further line is needed, and all are used, is looked up in `tests/least_privilege.rs` after this binary.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Corner, kubelet, wait_for};

fn shipped() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cronjob/rbac/clusterrole.yaml");
    let role: Value = rounds::yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    role["rules"].as_array().unwrap().clone()
}

/// Group, resource and verb of every permission.
fn permissions(rules: &[Value]) -> Vec<(String, String, String)> {
    let texts = |value: &Value| value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_string()).collect::<Vec<_>>();
    let mut all = Vec::new();
    for rule in rules {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                all.extend(texts(&rule["verbs"]).into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
            }
        }
    }
    all
}

#[test]
fn the_runner_reads_no_secret_grants_nothing_and_asks_for_nothing_by_wildcard() {
    for (group, resource, verb) in permissions(&shipped()) {
        let what = format!("{verb} {resource}.{group}");
        assert!(!what.contains('*') && !what.contains("secrets"), "{what}");
        assert!(group != "rbac.authorization.k8s.io" && resource != "serviceaccounts" && resource != "serviceaccounts/token", "{what}");
        assert!(["get", "list", "create", "patch", "delete"].contains(&verb.as_str()), "{what}");
    }
}

/// An artifact whose build has files of its own.
fn build(corner: &Corner) {
    let spec = json!({"imageName": "kairos:1", "iso": true, "grubConfig": "set timeout=5"});
    let metadata = json!({"name": "iso", "namespace": corner.name});
    corner.create(&json!({"apiVersion": "build.kairos.io/v1alpha2", "kind": "OSArtifact", "metadata": metadata, "spec": spec}));
}

/// A channel whose URL is nobody that may be asked.
fn follow(corner: &Corner, more: Value) {
    let mut spec = json!({"url": "http://127.0.0.1:9/stable", "image": "kairos:{{ version }}", "nodeSelector": {"matchLabels": {"corner": corner.name}}});
    crate::harness::merge(&mut spec, more);
    let metadata = json!({"name": "stable", "namespace": corner.name});
    corner.create(&json!({"apiVersion": "k3os.io/v1", "kind": "UpdateChannel", "metadata": metadata, "spec": spec}));
}

/// What must be going on for a permission to be needed.
fn need(corner: &Corner, node: &str, resource: &str, verb: &str) {
    let op = |name: &str, spec: Value| corner.create(&corner.nodeop(name, spec));
    let locked = || {
        corner.rounds_until("the node is locked", || {
            corner.get("node", node)["metadata"]["annotations"]["operator.kairos.io/operation"].is_string()
        })
    };
    match (resource, verb) {
        ("jobs", "delete") => {
            op("op", json!({}));
            corner.settle();
            corner.kubectl(&["-n", &corner.name, "annotate", "nodeops.operator.kairos.io", "op", "operator.kairos.io/rerun=again"]);
        }
        // An operation, a Job or a node that is gone is only believed to be when it was asked for.
        ("nodeops", "get") => {
            op("op", json!({"command": ["slow"]}));
            locked();
            corner.kubectl(&["-n", &corner.name, "delete", "nodeops.operator.kairos.io", "op"]);
        }
        // A channel makes an upgrade, and changes it.
        ("nodeopupgrades", "create") => follow(corner, json!({"version": "v1.0.0", "rollout": {"suspend": true}})),
        ("nodeopupgrades", "patch") => {
            follow(corner, json!({"version": "v1.0.0", "rollout": {"suspend": true}}));
            corner.settle();
            let faster = json!({"spec": {"concurrency": 2}}).to_string();
            corner.kubectl(&["-n", &corner.name, "patch", "updatechannels.k3os.io", "stable", "--type=merge", "-p", &faster]);
        }
        // A channel is looked at again once its slot for polling is taken.
        ("updatechannels" | "updatechannels/status", _) => follow(corner, json!({})),
        // An upgrade makes an operation, and changes it.
        ("nodeops", "create") | ("nodeopupgrades" | "nodeopupgrades/status", _) => corner.create(&corner.upgrade("up", json!({}))),
        ("nodeops", "patch") => {
            corner.create(&corner.upgrade("up", json!({"rollout": {"suspend": true}})));
            corner.settle();
            corner.patch_upgrade("up", &json!({"spec": {"concurrency": 1}}));
        }
        ("jobs", "get") => {
            op("op", json!({"command": ["hang"]}));
            corner.rounds_until("the Job runs", || corner.status("op")["nodeStatuses"][node]["jobUID"].is_string());
            corner.kubectl(&["-n", &corner.name, "delete", "jobs", "--all", "--wait=false"]);
        }
        ("nodes", "get") => {
            op("op", json!({"command": ["hang"]}));
            locked();
            corner.kubectl(&["delete", "node", node]);
        }
        ("pods", "patch") => {
            op("op", json!({"rebootOnSuccess": true}));
            let telling = || corner.list("pods").into_iter().find(kubelet::is_telling);
            corner.rounds_until("the command has succeeded", || telling().is_some());
            kubelet::tell(corner, telling().unwrap()["metadata"]["name"].as_str().unwrap(), &kubelet::boot_id(corner, node));
        }
        // What was refused is told in the status as it is by then.
        ("osartifacts", "get") => {
            let hard = json!({"hard": {"count/jobs.batch": "0"}});
            corner.create(
                &json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": corner.name}, "spec": hard}),
            );
            wait_for("the quota counts", Duration::from_secs(30), || corner.get("quota", "none")["status"]["hard"].is_object());
            build(corner);
        }
        ("osartifacts" | "osartifacts/status" | "persistentvolumeclaims" | "configmaps", _) => build(corner),
        ("events", "list") => op("op", json!({"command": ["no-image"]})),
        _ => {
            corner.create(&corner.deployment("web", 1, json!({})));
            corner.wait_for_pods("app=web", 1);
            op("op", json!({"cordon": true, "drainOptions": {"enabled": true}, "preflight": {"command": ["silent"]}}));
        }
    }
}

#[test]
fn without_any_one_permission_a_round_fails_and_names_the_line_to_add() {
    let root = Corner::new("privileges");
    let rules = shipped();
    let role = |without: Option<&(String, String, String)>| {
        let mut rules = rules.clone();
        for rule in &mut rules {
            if let Some((group, resource, verb)) = without
                && rule["apiGroups"] == json!([group])
                && rule["resources"] == json!([resource])
            {
                rule["verbs"].as_array_mut().unwrap().retain(|present| present != verb);
            }
        }
        rules.retain(|rule| rule["verbs"] != json!([]));
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "privileges"}, "rules": rules})
    };
    root.apply(&role(None));
    root.kubectl(&["delete", "clusterrolebinding", "privileges"]);
    root.kubectl(&["create", "clusterrolebinding", "privileges", "--clusterrole=privileges", &format!("--user={}", root.user)]);
    let may = |(group, resource, verb): &(String, String, String)| {
        let (resource, sub) = resource.split_once('/').unwrap_or((resource, ""));
        let what = if group.is_empty() { resource.to_string() } else { format!("{resource}.{group}") };
        let ask = [&format!("--as={}", root.user), "auth", "can-i", verb, &what, "-A", &format!("--subresource={sub}")];
        root.kubectl_with(&ask, None).status.success()
    };
    for (index, permission) in permissions(&rules).iter().enumerate() {
        let (group, resource, verb) = permission;
        wait_for("all is allowed", Duration::from_secs(20), || may(permission));
        let corner = root.beside(&format!("privileges-{index}"));
        let node = corner.nodes(1, 0).remove(0);
        need(&corner, &node, resource, verb);
        root.apply(&role(Some(permission)));
        wait_for("it is forbidden", Duration::from_secs(20), || !may(permission));
        let line = format!("{{apiGroups: [\"{group}\"], resources: [\"{resource}\"], verbs: [\"{verb}\"]}}");
        wait_for(&line, Duration::from_secs(60), || {
            let printed = corner.rounds(&["run"]);
            let named = printed.err.contains(&line);
            assert!(named || printed.code == 0, "without {line}: {printed:#?}");
            named && printed.code == 1
        });
        root.apply(&role(None));
        corner.kubectl(&["delete", "node", &node, "--ignore-not-found", "--wait=false"]);
        corner.kubectl(&["delete", "namespace", &corner.name, "--wait=false"]);
    }
}
