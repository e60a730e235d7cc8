//! The commands as people and scripts use them.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Corner, wait_for};

#[test]
fn a_plan_says_what_a_round_then_does_and_changes_nothing_itself() {
    let corner = Corner::new("plans");
    corner.nodes(2, 1);
    corner.create(&corner.nodeop("op", json!({"cordon": true, "concurrency": 1})));
    let text = corner.rounds(&["plan"]);
    assert_eq!(text.code, 2, "{text:#?}");
    assert!(text.out.contains("lock and cordon Node plans-0") && text.out.contains("plans-1: WaitingForSlot"), "{}", text.out);
    let diff = corner.rounds(&["plan", "-o", "diff"]).out;
    assert!(
        diff.contains("+++ b/Node/plans-0") && diff.contains("+  unschedulable: true") && diff.contains("-  unschedulable: false"),
        "{diff}"
    );
    let patches: Value = serde_json::from_str(&corner.rounds(&["plan", "-o", "json-patch"]).out).unwrap();
    let node = patches["objects"].as_array().unwrap().iter().find(|object| object["object"]["kind"] == "Node").unwrap().clone();
    assert!(node["patch"].as_array().unwrap().iter().any(|op| op["path"] == "/spec/unschedulable" && op["value"] == true), "{node:#}");
    assert!(corner.writes().is_empty(), "a plan writes nothing");
    let dry = corner.rounds(&["run", "--dry-run"]);
    assert_eq!(dry.code, 0, "{dry:#?}");
    assert!(corner.status("op").get("phase").is_none() && corner.get("node", "plans-0")["spec"]["unschedulable"].is_null());
    assert_eq!(corner.settle().code, 0);
    let done = corner.rounds(&["plan"]);
    assert_eq!(done.code, 0, "{done:#?}");
    assert!(done.out.contains("No changes"), "{}", done.out);
}

#[test]
fn a_plan_needs_no_cluster() {
    let folder = std::env::temp_dir().join(format!("rounds-offline-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("more")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write(
        "op.yaml",
        "apiVersion: operator.kairos.io/v1alpha1\nkind: NodeOp\nmetadata: {name: op}\nspec: {command: [\"true\"], concurrency: 1}\n",
    );
    let with = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rounds"));
        command.args(["plan", "--offline"]).arg(&folder).args(more).env_clear().output().unwrap()
    };
    let run = || with(&[]);
    let output = run();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("kubectl get nodes -o yaml"));
    // A build goes to whatever node has room: which ones there are decides nothing.
    let builds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/osartifact-iso.yaml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_rounds"));
    let output = command.args(["plan", "--offline"]).arg(builds).env_clear().output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(2) && text.contains("OSArtifact "), "{output:?}");
    write(
        "more/nodes.yaml",
        "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Node, metadata: {name: a}}, {apiVersion: v1, kind: Node, metadata: {name: b}}]\n",
    );
    let output = run();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("lock Node a") && text.contains("b: WaitingForSlot"), "{text}");
    let output = with(&["-o", "markdown"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text.starts_with("### A round would write 1 status and ") && text.contains("\n- `NodeOp default/op`: "), "{text}");
    write("bad.yaml", "kind: [\n");
    write("worse.yaml", "apiVersion: operator.kairos.io/v1alpha1\nkind: NodeOp\nmetadata: {name: x}\nspec: {comand: [a]}\n");
    let error = String::from_utf8_lossy(&run().stderr).into_owned();
    assert!(error.contains("bad.yaml") && error.contains("line"), "{error}");
    std::fs::remove_file(folder.join("bad.yaml")).unwrap();
    let error = String::from_utf8_lossy(&run().stderr).into_owned();
    assert!(error.contains("worse.yaml") && error.contains("spec.comand: there is no such field") && error.contains("command"), "{error}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_loop_works_until_it_is_asked_to_stop_and_then_stops_cleanly() {
    let corner = Corner::new("loops");
    corner.nodes(2, 0);
    let mut runner = corner.command(&["run", "--loop", "1s", "--log-format", "json"]).stdout(Stdio::null()).spawn().unwrap();
    corner.create(&corner.nodeop("op", json!({})));
    wait_for("the operation is done", Duration::from_secs(60), || corner.status("op")["phase"] == "Completed");
    Command::new("kill").args(["-TERM", &runner.id().to_string()]).status().unwrap();
    let mut err = String::new();
    runner.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(runner.wait().unwrap().code(), Some(0), "{err}");
    let lines: Vec<Value> = err.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(lines.iter().any(|line| line["message"].as_str().unwrap_or_default().starts_with("create Job loops/op-")), "{err}");
    assert!(lines.iter().all(|line| line["level"].is_string() && line["timestamp"].is_string()), "{err}");
}

#[test]
fn for_ends_when_the_time_is_up_and_the_next_one_goes_on() {
    let corner = Corner::new("bounded");
    corner.nodes(1, 0);
    corner.create(&corner.nodeop("op", json!({"command": ["slow", "4s"]})));
    let printed = corner.rounds(&["run", "--for", "2s"]);
    assert_eq!(printed.code, 0, "{printed:#?}");
    assert_eq!(corner.status("op")["phase"], "Running");
    let printed = corner.rounds(&["run", "--until-settled", "--timeout", "1s"]);
    assert_eq!(printed.code, 4, "{printed:#?}");
    let printed = corner.rounds(&["run", "--for", "60s", "-o", "json"]);
    let report: Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!((&report["settled"], &report["failed"], &report["schemaVersion"]), (&json!(true), &json!(false), &json!(1)));
    assert_eq!(corner.status("op")["phase"], "Completed");
}

#[test]
fn errors_say_what_is_wrong_and_what_to_do() {
    let bare = |args: &[&str], env: &[(&str, &str)]| {
        let output = Command::new(env!("CARGO_BIN_EXE_rounds")).args(args).env_clear().envs(env.iter().copied()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, error) = bare(&["run", "--loop", "soon"], &[]);
    assert!(code == 64 && error.contains("30s"), "{code} {error}");
    let (code, error) = bare(&["run", "--loop", "30s", "--until-settled"], &[]);
    assert!(code == 64 && error.contains("cannot be used with"), "{code} {error}");
    let (code, error) = bare(&["run"], &[("HOME", "/nonexistent")]);
    assert!(code == 1 && error.contains("hint:"), "{code} {error}");
    let corner = Corner::new("mistakes");
    let printed = corner.rounds(&["--context", "nope", "run"]);
    assert!(printed.code == 1 && printed.err.contains("nope"), "{printed:#?}");
    let printed = corner.rounds(&["why", "mistakes-7"]);
    assert!(printed.code == 1 && printed.err.contains("there is no node mistakes-7"), "{printed:#?}");
    let printed = corner.rounds_with(&["run"], &[("SENTINEL_IMAGE", "busybox")]);
    assert!(printed.code == 0 && printed.err.contains("SENTINEL_IMAGE has no use here"), "{printed:#?}");
}

#[test]
fn status_tells_where_each_operation_and_node_stands() {
    let corner = Corner::new("tells");
    corner.nodes(2, 0);
    corner.create(&corner.nodeop("op", json!({"command": ["hang"], "concurrency": 1})));
    corner.rounds_until("one runs", || corner.status("op")["nodeStatuses"]["tells-0"]["step"] == "Running");
    let text = corner.rounds(&["status", "op"]).out;
    assert!(text.contains("tells-0: Running") && text.contains("WaitingForSlot") && text.contains("1 of 1 slots are taken"), "{text}");
    let json: Value = serde_json::from_str(&corner.rounds(&["status", "-o", "json"]).out).unwrap();
    assert_eq!(json["resources"][0]["nodes"]["tells-1"]["reason"], "WaitingForSlot", "{json:#}");
    assert_eq!(corner.rounds(&["status", "nothing"]).code, 1);
}

#[test]
fn nothing_is_done_while_another_operator_holds_its_lease_unless_told() {
    let corner = Corner::alone("lease");
    corner.nodes(1, 0);
    corner.create(&corner.nodeop("op", json!({})));
    let now = jiff_now();
    corner.create(&json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "ce9721c3.kairos.io", "namespace": "lease"},
        "spec": {"holderIdentity": "operator-1", "leaseDurationSeconds": 3600, "renewTime": now},
    }));
    let printed = corner.rounds(&["run"]);
    assert_eq!(printed.code, 1, "{printed:#?}");
    assert!(
        printed.err.contains("operator-1 holds the lease in namespace lease") && printed.err.contains("--ignore-lease"),
        "{}",
        printed.err
    );
    assert!(corner.writes().is_empty());
    assert_eq!(corner.rounds(&["status"]).code, 0, "looking is always possible");
    let printed = corner.rounds(&["run", "--until-settled", "--ignore-lease"]);
    assert_eq!(printed.code, 0, "{printed:#?}");
    // A lease that was not renewed is nobody's.
    let gone = r#"{"spec":{"renewTime":"2020-01-01T00:00:00.000000Z"}}"#;
    corner.kubectl(&["-n", "lease", "patch", "lease", "ce9721c3.kairos.io", "--type=merge", "-p", gone]);
    assert_eq!(corner.rounds(&["run"]).code, 0);
}

fn jiff_now() -> String {
    #[expect(clippy::disallowed_methods, reason = "the operator that holds the lease has just renewed it")]
    let now = jiff::Timestamp::now();
    format!("{now:.6}")
}
