//! A Git repository of operations, applied as Flux and Argo CD do it: what Rounds writes is no drift.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::text;
use crate::harness::Corner;

const MANAGER: &str = "--field-manager=kustomize-controller";

fn git(folder: &Path, args: &[&str]) {
    let person = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com", "-c", "commit.gpgsign=false"];
    let output = Command::new("git").current_dir(folder).args(person).args(args).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", text(&output.stderr));
}

/// Applies what is checked out, and twice, as a reconciliation that finds nothing new does.
fn sync(corner: &Corner, folder: &str) {
    for _ in 0..2 {
        corner.kubectl(&["apply", "--server-side", MANAGER, "-f", folder]);
    }
}

/// What kubectl finds to be other than in Git.
fn no_drift(corner: &Corner, folder: &str) {
    let output = corner.kubectl_with(&["diff", "--server-side", MANAGER, "-f", folder], None);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// Rounds until both operations are done, with a look for drift after each.
fn roll_out(corner: &Corner, folder: &str) {
    let done = |object: Value| {
        let status = &object["status"];
        status["observedGeneration"] == object["metadata"]["generation"] && status["phase"] == "Completed"
    };
    corner.rounds_until("both are done", || {
        no_drift(corner, folder);
        done(corner.get("nodeops.operator.kairos.io", "op")) && done(corner.get("nodeopupgrades.operator.kairos.io", "upgrade"))
    });
}

#[test]
fn a_commit_that_is_applied_twice_reverted_and_applied_again_shows_no_drift_over_whole_rollouts() {
    let corner = Corner::new("drift");
    corner.nodes(2, 0);
    let repository = std::env::temp_dir().join(format!("rounds-git-{}", std::process::id()));
    let manifests = repository.join("nodes");
    std::fs::create_dir_all(&manifests).unwrap();
    let folder = manifests.to_str().unwrap();
    let write = |command: &str| {
        let mut op = corner.nodeop("op", json!({"command": ["succeed", command], "cordon": true}));
        op["metadata"]["annotations"] = json!({"argocd.argoproj.io/tracking-id": "operations:operator.kairos.io/NodeOp:drift/op"});
        op["metadata"]["labels"] = json!({"app.kubernetes.io/instance": "operations", "kustomize.toolkit.fluxcd.io/name": "operations"});
        let upgrade = corner.upgrade("upgrade", json!({"upgradeActive": false, "upgradeRecovery": true}));
        std::fs::write(manifests.join("op.yaml"), rounds::yaml::to_string(&op).unwrap()).unwrap();
        std::fs::write(manifests.join("upgrade.yaml"), rounds::yaml::to_string(&upgrade).unwrap()).unwrap();
    };
    git(&repository, &["init", "--quiet"]);
    write("first");
    git(&repository, &["add", "."]);
    git(&repository, &["commit", "--quiet", "--message=first"]);
    sync(&corner, folder);
    roll_out(&corner, folder);

    write("second");
    git(&repository, &["commit", "--quiet", "--all", "--message=second"]);
    sync(&corner, folder);
    roll_out(&corner, folder);
    for _ in ["back", "and forth"] {
        git(&repository, &["revert", "--no-edit", "HEAD"]);
        sync(&corner, folder);
        roll_out(&corner, folder);
    }
    assert_eq!(corner.status("op")["run"], 4, "each commit ran once");

    let jobs = corner.list("jobs");
    assert!(!jobs.is_empty());
    for job in jobs.iter().chain(&corner.list("pods")) {
        let metadata = job["metadata"].to_string();
        let tracked = ["argocd.argoproj.io", "app.kubernetes.io/instance", "kustomize.toolkit.fluxcd.io"];
        assert!(tracked.iter().all(|key| !metadata.contains(key)), "a tracking label is copied: {metadata}");
    }
    let writes = corner.writes().len();
    sync(&corner, folder);
    corner.round();
    assert_eq!(corner.writes().len(), writes, "nothing is written about what has not changed");
    std::fs::remove_dir_all(&repository).unwrap();
}
