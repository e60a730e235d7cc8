//! `docs/moving.md`, as somebody who follows it: every command, in order, in a cluster of the existing operator's.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Foreign, NODEOP, install_its_own, is_cordoned, is_marked, made};
use crate::harness::{Corner, wait_for};

/// What the operator puts on a resource, and something of somebody else's before it.
const FINALIZERS: [&str; 2] = ["rounds.test/keep", "nodeop-reboot.kairos.io/clusterrolebinding"];

/// The commands of the guide, by the headings that they stand under.
fn guide() -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(format!("{}/docs/moving.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let section = |section: &str| {
        let (heading, rest) = section.split_once('\n').unwrap();
        let blocks = rest.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap().to_string());
        (heading.to_string(), blocks.collect())
    };
    text.split("\n## ").skip(1).map(section).collect()
}

/// What the guide's reader has: a checkout, kubectl, and the binary.
fn follow(corner: &Corner, commands: &str) -> String {
    let folder = |program: &std::path::Path| program.parent().unwrap().display().to_string();
    let (kubectl, rounds) = (folder(corner.plane.kubectl_path()), folder(env!("CARGO_BIN_EXE_rounds").as_ref()));
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", commands]).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.env("PATH", format!("{kubectl}:{rounds}:/usr/bin:/bin"));
    command.envs(corner.plane.admin().iter().map(|path| ("KUBECONFIG", path)));
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{commands}{said}");
    said
}

/// The operator's installation, as far as the guide touches it.
fn installation(corner: &Corner) {
    corner.kubectl(&["create", "namespace", "operator-system"]);
    let labels = json!({"app.kubernetes.io/name": "kairos-operator", "app.kubernetes.io/component": "operator"});
    let object = |version: &str, kind: &str, name: &str, spec: Value| {
        let metadata = json!({"name": name, "namespace": "operator-system"});
        corner.create(&json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}));
    };
    let template = json!({"metadata": {"labels": labels}, "spec": corner.pod_spec(json!({}))});
    object("apps/v1", "Deployment", "operator-kairos-operator", json!({"selector": {"matchLabels": labels}, "template": template}));
    let labels = json!({"app": "kairos-node-labeler"});
    let template = json!({"metadata": {"labels": labels}, "spec": corner.pod_spec(json!({}))});
    object("apps/v1", "DaemonSet", "kairos-node-labeler", json!({"selector": {"matchLabels": labels}, "template": template}));
    #[expect(clippy::disallowed_methods, reason = "the operator that holds the lease has just renewed it")]
    let now = format!("{:.6}", jiff::Timestamp::now());
    let lease = json!({"holderIdentity": "operator-1", "leaseDurationSeconds": 3600, "renewTime": now});
    object("coordination.k8s.io/v1", "Lease", "ce9721c3.kairos.io", lease);
    for role in ["operator-manager-role", "nodeop-reboot", "kairos-node-labeler"] {
        corner.kubectl(&["create", "clusterrole", role, "--verb=get", "--resource=pods"]);
    }
    for (binding, role) in [
        ("operator-kairos-operator-rolebinding", "operator-manager-role"),
        ("kairos-node-labeler", "kairos-node-labeler"),
        ("nodeop-reboot-op", "nodeop-reboot"),
    ] {
        corner.kubectl(&["create", "clusterrolebinding", binding, &format!("--clusterrole={role}"), "--user=nobody"]);
    }
    wait_for("the operator runs", Duration::from_secs(60), || {
        let deployment = corner.kubectl(&["-n", "operator-system", "get", "deployment", "operator-kairos-operator", "-o", "json"]);
        serde_json::from_str::<Value>(&deployment).unwrap()["status"]["readyReplicas"] == 1
    });
}

/// What somebody keeps in the operator's namespace is there after the operator's own is gone, and is shown to who looks.
fn looked_into(corner: &Corner, blocks: &[String]) {
    corner.kubectl(&["-n", "operator-system", "create", "configmap", "theirs", "--from-literal=a=b"]);
    follow(corner, &blocks[0]);
    let shown = follow(corner, &blocks[1]);
    assert!(shown.contains("configmap/theirs") && !shown.contains("operator-kairos-operator"), "{shown}");
    corner.kubectl(&["-n", "operator-system", "delete", "configmap", "theirs"]);
}

/// On a control plane of its own: definitions and the lease are everybody's.
#[test]
fn the_guide_moves_a_cluster_over_step_by_step_and_leaves_nothing_of_the_operator() {
    let corner = Corner::alone("moving");
    corner.nodes(3, 0);
    install_its_own(&corner);
    installation(&corner);
    let op = Foreign::nodeop(&corner, "op", json!({"cordon": true, "concurrency": 1, "backoffLimit": 0}));
    op.finished_job("moving-0", "[succeed]", "Complete");
    op.job("moving-1", "[slow, 20s]");
    op.cordon("moving-0");
    op.cordon("moving-1");
    op.status(
        "Running",
        json!({
            "moving-0": op.entry("moving-0", "Completed", "Job completed successfully", "not-requested"),
            "moving-1": op.entry("moving-1", "Running", "Job is running", "not-requested"),
        }),
    );
    let patch = json!({"metadata": {"finalizers": FINALIZERS}}).to_string();
    corner.kubectl(&["-n", "moving", "patch", NODEOP, "op", "--type=merge", "-p", &patch]);
    let refused = corner.rounds(&["run"]);
    assert!(refused.code == 1 && refused.err.contains("operator-1 holds the lease"), "{refused:#?}");

    let before = corner.get(NODEOP, "op")["status"].clone();
    let steps = guide();
    let titles: Vec<&str> = steps.iter().map(|(title, _)| title.as_str()).collect();
    assert_eq!(steps.iter().map(|(_, blocks)| blocks.len()).collect::<Vec<_>>(), [1, 1, 1, 1, 2, 1, 3, 0], "{titles:?}");
    for (title, blocks) in &steps {
        if title.starts_with("4.") {
            assert_eq!(corner.get(NODEOP, "op")["status"], before, "nothing is written before it is installed");
            wait_for("the published schema has caught up", Duration::from_secs(60), || {
                !corner.rounds(&["status"]).err.contains("older one")
            });
        }
        if title.starts_with("6.") {
            let metadata = json!({
                "name": "iso", "namespace": "moving", "finalizers": ["build.kairos.io/osbuilder-finalizer", FINALIZERS[0]],
            });
            let spec = json!({"imageName": "kairos:1", "iso": true});
            corner.create(&json!({"apiVersion": "build.kairos.io/v1alpha2", "kind": "OSArtifact", "metadata": metadata, "spec": spec}));
        }
        if title.starts_with("7.") {
            looked_into(&corner, blocks);
        }
        let said: Vec<String> = blocks.iter().map(|block| follow(&corner, block)).collect();
        match &title[..1] {
            "1" => assert!(said[0].contains("operator-kairos-operator") && said[0].contains("op"), "{said:?}"),
            "4" => {
                assert!(said[0].contains("moving-1") || said[0].contains("op"), "{said:?}");
                assert_eq!(corner.get(NODEOP, "op")["status"], before, "a preview writes nothing");
            }
            "5" => assert_eq!(corner.status("op")["phase"], "Completed", "{said:?}"),
            "6" => {
                let patched = ["nodeop.operator.kairos.io/op patched", "osartifact.build.kairos.io/iso patched"];
                assert!(patched.iter().all(|one| said[0].contains(one)), "{said:?}");
                for (kind, name) in [(NODEOP, "op"), ("osartifacts.build.kairos.io", "iso")] {
                    assert_eq!(corner.get(kind, name)["metadata"]["finalizers"], json!([FINALIZERS[0]]), "somebody else's stays");
                    let patch = r#"{"metadata":{"finalizers":null}}"#;
                    corner.kubectl(&["-n", "moving", "patch", kind, name, "--type=merge", "-p", patch]);
                }
                let again = follow(&corner, &blocks[0]);
                assert!(!again.contains("patched"), "{again}");
            }
            _ => {}
        }
    }

    let status = corner.status("op");
    assert_eq!(status["progress"], "3/3", "{status:#}");
    let jobs = corner.list("jobs");
    let ran = |node: &str| jobs.iter().filter(|job| job["metadata"]["labels"]["kairos.io/node"] == node).count();
    assert_eq!(["moving-0", "moving-1", "moving-2"].map(ran), [1, 1, 1], "nothing is run again");
    assert_eq!(made(&corner), 0, "the test's own user has done nothing");
    for node in ["moving-0", "moving-1", "moving-2"] {
        assert!(!is_cordoned(&corner, node) && !is_marked(&corner, node), "{node}");
    }
    let left = corner.kubectl(&["get", "clusterrole,clusterrolebinding", "-o", "name"]);
    let ours = |line: &&str| ["operator-", "kairos-node-labeler", "nodeop-reboot"].iter().any(|name| line.contains(name));
    let left: Vec<&str> = left.lines().filter(|line| !line.contains("rounds") && !line.contains("system:")).filter(ours).collect();
    assert!(left.is_empty(), "{left:?}");
    let namespace = corner.get("namespace", "operator-system");
    assert!(namespace.is_null() || namespace["metadata"]["deletionTimestamp"].is_string(), "{namespace:#}");
    assert!(!corner.get("namespace", "rounds-system").is_null(), "Rounds is installed");
}
