//! `rounds simulate`, as people and pipelines use it: no cluster anywhere.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

fn example(name: &str) -> String {
    format!("{}/examples/{name}.yaml", env!("CARGO_MANIFEST_DIR"))
}

fn simulate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rounds")).arg("simulate").args(args).env_clear().output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_rollout_that_stops_at_a_failing_node_says_where_and_why() {
    let path = example("nodeop-reboot");
    let args = [&*path, "--nodes", "30", "--control-planes", "3", "--zones", "3", "--fail", "worker-07"];
    let output = simulate(&args);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let text = out(&output);
    assert!(text.contains("The rollout does not complete: NodeOp default/reboot: NodesFailed"), "{text}");
    assert!(text.contains("worker-07") && text.contains("CommandFailed") && text.contains("exit code 1"), "{text}");
    assert!(text.contains("at most 1 away at once"), "{text}");
    let first = text.find("control-1").unwrap();
    assert!(first < text.find("worker-01").unwrap(), "control plane first");
    let good = simulate(&args[..args.len() - 2]);
    assert_eq!(good.status.code(), Some(0), "{}", out(&good));
    assert!(out(&good).contains("The rollout completes in") && out(&good).contains("30 nodes done"), "{}", out(&good));
}

#[test]
fn a_selector_that_matches_no_node_is_no_success() {
    let folder = std::env::temp_dir().join(format!("rounds-typo-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let typo = folder.join("typo.yaml");
    let selector = "nodeSelector: {matchLabels: {kuberntes.io/os: linux}}";
    for (kind, spec) in [
        ("NodeOp", "command: [date]"),
        ("NodeOpUpgrade", "image: quay.io/kairos/opensuse:leap-15.6-standard-amd64-generic-v3.6.0-k3sv1.30.11-k3s1"),
    ] {
        let text =
            format!("apiVersion: operator.kairos.io/v1alpha1\nkind: {kind}\nmetadata: {{name: typo}}\nspec: {{{spec}, {selector}}}\n");
        std::fs::write(&typo, text).unwrap();
        // Beside another one that completes.
        let output = simulate(&[typo.to_str().unwrap(), &example("nodeop-hello"), "--nodes", "3"]);
        assert_eq!(output.status.code(), Some(3), "{kind}: {output:?}");
        let text = out(&output);
        assert!(
            text.contains("The rollout does not complete: ") && text.contains("NoMatchingNodes: the selector matches no node"),
            "{text}"
        );
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_same_seed_gives_the_same_rollout_and_another_one_another() {
    let path = example("nodeop-careful");
    let run = |seed: &str| {
        let output = simulate(&[&path, "--nodes", "12", "--seed", seed, "--at", "2026-11-21T12:00:00Z", "-o", "json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        serde_json::from_str::<Value>(&out(&output)).unwrap()
    };
    let (one, again, other) = (run("1"), run("1"), run("2"));
    assert_eq!(one, again);
    assert_ne!(one, other);
    assert_eq!(one["schemaVersion"], 1);
}

#[test]
fn every_example_can_be_simulated() {
    for name in ["hello", "careful", "reboot", "script", "sysctl", "write-file", "private-image", "window"] {
        let path = example(&format!("nodeop-{name}"));
        let output = simulate(&[&path, "--nodes", "9", "--control-planes", "1", "--at", "2026-11-21T12:00:00Z"]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}{}", out(&output), error(&output));
    }
}

#[test]
fn a_channel_brings_the_version_that_it_knows_and_asks_nobody() {
    let channel = |version: &str| {
        format!(
            "apiVersion: k3os.io/v1\nkind: UpdateChannel\nmetadata: {{name: stable}}\nspec:\n  url: github-releases://kairos-io/kairos\n  \
             version: {version}\n  image: 'kairos:{{{{ version }}}}'\n  concurrency: 2\n"
        )
    };
    let path = std::env::temp_dir().join(format!("rounds-channel-{}.yaml", std::process::id()));
    std::fs::write(&path, channel("v3.6.0")).unwrap();
    let output = simulate(&[path.to_str().unwrap(), "--nodes", "6"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), error(&output));
    assert!(out(&output).contains("6 nodes done") && out(&output).contains("at most 2 away at once"), "{}", out(&output));
    std::fs::write(&path, channel("latest")).unwrap();
    let output = simulate(&[path.to_str().unwrap(), "--nodes", "6"]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", out(&output));
    assert!(error(&output).contains("UpdateChannel default/stable wants the newest version") && error(&output).contains("spec.version"));
}

#[test]
fn a_node_that_dies_is_told_and_the_others_go_on() {
    let path = example("nodeop-hello");
    let output = simulate(&[&path, "--nodes", "5", "--kill", "worker-03@30s"]);
    assert_eq!(output.status.code(), Some(3), "{}", out(&output));
    let text = out(&output);
    assert!(text.contains("worker-03") && text.contains("NodeTimeout") && text.contains("1 of 5 nodes failed"), "{text}");
}

#[test]
fn a_share_of_the_nodes_fails() {
    let path = example("nodeop-hello");
    let output = simulate(&[&path, "--nodes", "40", "--fail-rate", "10%", "-o", "json"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let report: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(report["trace"]["operations"][0]["failed"], 4, "{:#}", report["trace"]["operations"]);
}

#[test]
fn pictures_and_summaries_for_pull_requests() {
    let path = example("nodeop-careful");
    let svg: PathBuf = std::env::temp_dir().join(format!("rounds-simulate-{}.svg", std::process::id()));
    let output = simulate(&[&path, "--nodes", "20", "--svg", svg.to_str().unwrap(), "-o", "markdown"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let picture = std::fs::read_to_string(&svg).unwrap();
    std::fs::remove_file(&svg).unwrap();
    assert!(picture.starts_with("<svg") || picture.starts_with("<?xml"), "{}", &picture[..80]);
    assert!(out(&output).contains("```text") && out(&output).contains("completes"), "{}", out(&output));
}

#[test]
fn what_is_wrong_is_named_with_a_remedy() {
    let path = example("nodeop-hello");
    for (args, code, says) in [
        (vec![&*path], 1, "--nodes 30"),
        (vec![&*path, "--nodes", "3", "--fail", "worker-9"], 64, "worker-9"),
        (vec![&*path, "--nodes", "3", "--kill", "worker-1"], 64, "node-7@12m"),
        (vec![&*path, "--nodes", "3", "--job", "soon"], 64, "2m±30s"),
        (vec![&*path, "--nodes", "3", "--fail-rate", "200%"], 64, "from 0% to 100%"),
        (vec![&*path, "--zones", "3"], 64, "--nodes"),
        (vec!["/nowhere.yaml", "--nodes", "3"], 1, "/nowhere.yaml"),
    ] {
        let output = simulate(&args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        assert!(error(&output).contains(says), "{args:?}: {}", error(&output));
    }
}

#[test]
fn what_is_wrong_with_a_channel_is_said_before_a_version_is_asked_for() {
    let staged = std::fs::read_to_string(example("updatechannel-staged")).unwrap();
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("simulate-channels");
    std::fs::create_dir_all(&folder).unwrap();
    let run = |text: &str| {
        let path = folder.join("channels.yaml");
        std::fs::write(&path, text).unwrap();
        let output = simulate(&[path.to_str().unwrap(), "--nodes", "5"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        error(&output)
    };
    let told = run(&staged);
    assert!(told.contains("set spec.version to a version"), "{told}");
    let told = run(&staged.replace("minAge: 72h", "minAge: 3 fortnights").replace("-{{ version }}-", "-{{ verison }}-"));
    assert!(told.contains("default/releases-fleet: spec.minAge is \"3 fortnights\""), "{told}");
    assert!(told.matches("{{ verison }} is no variable").count() == 2 && !told.contains("set spec.version"), "{told}");
}
