//! What other people's tools say of what people install and of what Rounds writes: kubeconform, Helm, kstatus, Flux, Argo CD
//! and Prometheus, built by `tests/judges/build.sh`.

mod bundle;
mod git;
mod health;
mod manifests;
mod metrics;
mod workflows;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use crate::harness::feed;

/// One of them.
fn judge(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let built = FOLDER.get_or_init(|| {
        let output = Command::new(root().join("tests/judges/build.sh")).output().expect("the judges' script starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().into()
    });
    built.join(name)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a judge on a text.
fn ask(name: &str, args: &[&str], stdin: &str) -> Output {
    let mut command = Command::new(judge(name));
    let mut child =
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the judge starts");
    feed(&mut child, stdin);
    child.wait_with_output().expect("the judge ends")
}

/// What a judge that is content prints.
fn told(name: &str, args: &[&str], stdin: &str) -> String {
    let output = ask(name, args, stdin);
    assert!(output.status.success(), "{name} {args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn prometheus_takes_the_alert_rules() {
    let rules = std::fs::read_to_string(root().join("docs/alerts.yaml")).unwrap();
    assert_eq!(told("judge", &["rules"], &rules).trim(), rules.matches("- alert:").count().to_string());
    // And the query that people are told to write themselves.
    let text = std::fs::read_to_string(root().join("docs/gitops.md")).unwrap();
    let query = text.lines().find(|line| line.contains("(rounds_nodes ")).expect("a query");
    let rule = serde_json::json!({"groups": [{"name": "told", "rules": [{"record": "nodes", "expr": query}]}]});
    assert_eq!(told("judge", &["rules"], &rule.to_string()).trim(), "1");
    for (right, wrong) in [("> 600", ">> 600"), ("{{ $value | humanizeDuration }}", "{{ $value | humanise }}"), ("for: 5m", "for: soon")] {
        assert!(rules.contains(right), "{right}");
        let refused = ask("judge", &["rules"], &rules.replace(right, wrong));
        assert!(!refused.status.success(), "{wrong} was taken");
    }
}

#[test]
fn the_commands_that_developers_of_kairos_operators_know_are_there() {
    let plan = |target: &str| {
        let output =
            Command::new("make").args(["-n", target, "CLUSTER_NAME=here", "KUBE_VERSION=v1.34.0"]).current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{target}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let image = "ghcr.io/rounds-project/rounds:v";
    for (target, expected) in [
        ("unit-tests", vec!["cargo test --lib"]),
        ("controller-tests", vec!["tests/cluster/build.sh", "cargo test --test it"]),
        ("test-e2e", vec!["cargo test --test nodes"]),
        ("kind-setup", vec!["kind create cluster --name here --image kindest/node:v1.34.0", "kind load docker-image --name here"]),
        ("kind-setup-image", vec!["docker build -f cronjob/Containerfile", image, "kind load docker-image --name here"]),
        ("kind-e2e-tests", vec!["kind create cluster --name here", "scripts/kind-e2e.sh kind-here"]),
    ] {
        let planned = plan(target);
        assert!(expected.iter().all(|line| planned.contains(line)), "{target}: {planned}");
    }
}
