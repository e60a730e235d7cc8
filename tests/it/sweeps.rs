//! `rounds sweep --all`: in the middle of everything, killed at any time, again, and after a removal in haste. These sweep
//! whole clusters, so they have control planes of their own.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Corner, Printed, feed, kubelet, wait_for};

const OTHERS_FINALIZER: &str = "rounds.test/keep";
const NO_FINALIZER: &str = r#"{"metadata":{"finalizers":null}}"#;

/// The binary as the administrator, who is who removes things.
fn command(corner: &Corner, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rounds"));
    command.arg("sweep").args(args);
    command.envs(corner.plane.admin().map(|path| ("KUBECONFIG", path)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn sweep(corner: &Corner, args: &[&str]) -> Printed {
    let output = command(corner, args).output().expect("the binary starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Printed { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// A command that was printed for people.
fn in_a_shell(corner: &Corner, line: &str) {
    let folder = corner.plane.kubectl_path().parent().unwrap().display().to_string();
    let mut command = Command::new("bash");
    command.args(["-euc", line]).env("PATH", format!("{folder}:/usr/bin:/bin"));
    let output = command.envs(corner.plane.admin().map(|path| ("KUBECONFIG", path))).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A pod with these labels and this owner.
fn pod(corner: &Corner, name: &str, labels: Value, owner: Value) -> Value {
    let metadata = json!({"name": name, "namespace": corner.name, "labels": labels, "ownerReferences": owner});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": corner.pod_spec(json!({}))})
}

/// Objects of ours, by our marks, in all namespaces.
fn objects(corner: &Corner) -> Vec<String> {
    let mut all = Vec::new();
    for mark in ["operator.kairos.io/owner-uid", "operator.kairos.io/probe"] {
        let found = corner.kubectl(&["get", "jobs,pods", "-A", "-l", mark, "-o", "name"]);
        all.extend(found.lines().map(String::from));
    }
    all
}

/// Annotations of ours on nodes, and who is cordoned.
fn marks(corner: &Corner) -> (Vec<String>, Vec<String>) {
    let (mut annotations, mut cordoned) = (Vec::new(), Vec::new());
    for node in corner.nodes_now() {
        let name = node["metadata"]["name"].as_str().unwrap();
        let on = node["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
        annotations.extend(on.keys().filter(|key| key.starts_with("operator.kairos.io/")).map(|key| format!("{name}: {key}")));
        if node["spec"]["unschedulable"] == true {
            cordoned.push(name.to_string());
        }
    }
    (annotations, cordoned)
}

fn on_host(corner: &Corner, name: &str, node: &str, more: Value) -> Value {
    let mut spec = json!({"cordon": true, "nodeSelector": {"matchLabels": {"kubernetes.io/hostname": node}}});
    crate::harness::merge(&mut spec, more);
    corner.nodeop(name, spec)
}

/// One operation whose drain is blocked, one whose command runs, and a build; each on a node of its own.
fn in_the_middle(corner: &Corner, nodes: &[String]) {
    let pin = json!({"nodeSelector": {"kubernetes.io/hostname": nodes[0]}});
    corner.create(&corner.deployment("web", 1, pin));
    corner.create(&corner.budget("strict", "web", 0));
    corner.wait_for_pods("app=web", 1);
    corner.wait_for_budget("strict");
    corner.create(&on_host(corner, "drains", &nodes[0], json!({"drainOptions": {"enabled": true, "timeoutSeconds": 0}})));
    corner.create(&on_host(corner, "runs", &nodes[1], json!({"command": ["hang"]})));
    let metadata = json!({"name": "iso", "namespace": corner.name});
    let spec = json!({"imageName": "kairos:1", "iso": true, "grubConfig": "set timeout=5"});
    corner.create(&json!({"apiVersion": "build.kairos.io/v1alpha2", "kind": "OSArtifact", "metadata": metadata, "spec": spec}));
    corner.rounds_until("everything is in the middle", || {
        let step = |op: &str, node: &str| corner.status(op)["nodeStatuses"][node]["reason"].clone();
        step("drains", &nodes[0]) == "DrainBlocked"
            && step("runs", &nodes[1]) == "Running"
            && corner.get("osartifacts.build.kairos.io", "iso")["status"]["phase"] == "Building"
    });
}

#[test]
fn whatever_is_in_flight_is_ended_and_every_node_given_back_and_then_nothing_is_left_to_do() {
    let corner = Corner::alone("sweeps");
    let nodes = corner.nodes(6, 0);
    in_the_middle(&corner, &nodes);
    corner.create(&corner.upgrade("up", json!({"nodeSelector": {"matchLabels": {"kubernetes.io/hostname": nodes[2]}}})));
    corner.rounds_until("the upgrade waits for its reboot", || corner.status("up")["nodeStatuses"][&nodes[2]]["step"] == "Rebooting");
    // One that is done, on a node that a person has cordoned, and one that leaves its node cordoned because a person wants it so.
    corner.kubectl(&["cordon", &nodes[3]]);
    corner.create(&on_host(&corner, "done", &nodes[3], json!({})));
    corner.kubectl(&["annotate", "node", &nodes[4], "operator.kairos.io/keep-cordoned=disk"]);
    corner.create(&on_host(&corner, "kept", &nodes[4], json!({})));
    corner.rounds_until("two are done", || ["done", "kept"].iter().all(|op| corner.status(op)["phase"] == "Completed"));
    // What a probe has told.
    let labels = json!({"kairos.io/boot-state": "active"});
    let annotations = json!({"operator.kairos.io/probed-boot": kubelet::boot_id(&corner, &nodes[5]), "kairos.io/version": "v3.6.0"});
    let told = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": nodes[5], "labels": labels, "annotations": annotations}});
    let apply = ["apply", "--server-side", "--field-manager=rounds-labels", "-f", "-"];
    assert!(corner.kubectl_with(&apply, Some(&told.to_string())).status.success());
    // One of ours that looks as if it did rounds: an exporter's template may have any label. It is swept, and not waited for.
    let runs = corner.get("nodeops.operator.kairos.io", "runs")["metadata"]["uid"].clone();
    let owner = json!([{"apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOp", "name": "runs", "uid": runs, "controller": true}]);
    let labels = json!({"app.kubernetes.io/name": "rounds", "operator.kairos.io/owner-uid": runs});
    corner.create(&pod(&corner, "labelled", labels, owner));
    let (before, cordoned) = marks(&corner);
    assert_eq!(cordoned.len(), 5, "{cordoned:?}");
    assert!(before.len() >= 8 && objects(&corner).len() >= 5, "{before:?} {:?}", objects(&corner));

    // Somebody who would begin it all anew: on a leap day, for a minute may end at any moment of this test.
    let cronjob = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/cronjob/runner/cronjob.yaml")).unwrap();
    let seldom = cronjob.replace(r#"schedule: "* * * * *""#, r#"schedule: "0 0 29 2 *""#);
    assert_ne!(seldom, cronjob);
    assert!(corner.kubectl_with(&["-n", "sweeps", "create", "-f", "-"], Some(&seldom)).status.success());
    let refused = sweep(&corner, &["--all", "--yes"]);
    let remedy = r#"kubectl -n sweeps patch cronjob rounds --type=merge -p '{"spec":{"suspend":true}}'"#;
    assert!(refused.code == 1 && refused.err.contains(remedy) && refused.err.contains("--ignore-runners"), "{refused:#?}");
    assert!(!refused.err.contains("labelled"), "{refused:#?}");
    assert_eq!(marks(&corner).0, before, "nothing was done");
    corner.kubectl(&["-n", "sweeps", "patch", "cronjob", "rounds", "--type=merge", "-p", r#"{"spec":{"suspend":true}}"#]);

    let asked = sweep(&corner, &["--all"]);
    assert!(asked.code == 64 && asked.err.contains("--yes"), "{asked:#?}");
    let shown = sweep(&corner, &["--all", "--dry-run"]);
    assert!(shown.code == 2 && shown.out.contains("delete Job sweeps/runs-") && shown.out.contains("then Node sweeps-1: "), "{shown:#?}");
    assert_eq!(marks(&corner).0, before, "nothing was done");

    // A pod that does not end keeps its node.
    let held = corner.list("pods").into_iter().find(|pod| pod["spec"]["nodeName"] == nodes[1].as_str()).unwrap();
    let held = held["metadata"]["name"].as_str().unwrap().to_string();
    corner.kubectl(&["-n", "sweeps", "annotate", "pod", &held, "rounds.test/terminates-after=600s"]);
    for instant in [20, 60, 120, 250] {
        let mut child = command(&corner, &["--all", "--yes"]).spawn().expect("the binary starts");
        std::thread::sleep(Duration::from_millis(instant));
        child.kill().expect("it is killed");
        child.wait().expect("it ends");
    }
    let waited = sweep(&corner, &["--all", "--yes", "--timeout", "15s"]);
    assert!(waited.code == 4 && waited.err.contains(&format!("Node sweeps-1: still on the node: pod sweeps/{held}")), "{waited:#?}");
    let (left, _) = marks(&corner);
    assert!(left.iter().all(|mark| mark.starts_with("sweeps-1: ") || mark.ends_with("keep-cordoned")), "{left:?}");
    assert!(left.contains(&"sweeps-1: operator.kairos.io/operation".to_string()), "{left:?}");
    corner.patch_status("pod", &held, &json!({"phase": "Failed"}));

    let printed = sweep(&corner, &["--all", "--yes", "-o", "json"]);
    assert_eq!(printed.code, 0, "{printed:#?}");
    let report: Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!(report["clean"], true);
    assert_eq!(objects(&corner), Vec::<String>::new());
    let persons = (vec!["sweeps-4: operator.kairos.io/keep-cordoned".to_string()], vec![nodes[3].clone(), nodes[4].clone()]);
    assert_eq!(marks(&corner), persons, "what persons wanted stays");
    let told = || corner.get("node", &nodes[5])["metadata"].clone();
    assert_eq!(told()["labels"]["kairos.io/boot-state"], "active");
    assert!(corner.get("pvc", "iso-artifacts")["metadata"]["uid"].is_string(), "what was built goes with its OSArtifact");

    // What the existing operator left on them would keep a removal waiting.
    let of_operator = [
        ("nodeops.operator.kairos.io", "done", "nodeop-reboot.kairos.io/clusterrolebinding"),
        ("osartifacts.build.kairos.io", "iso", "build.kairos.io/osbuilder-finalizer"),
    ];
    for (kind, name, finalizer) in of_operator {
        let patch = json!({"metadata": {"finalizers": [OTHERS_FINALIZER, finalizer]}}).to_string();
        corner.kubectl(&["-n", "sweeps", "patch", kind, name, "--type=merge", "-p", &patch]);
    }

    // Again: nothing.
    let versions = || corner.nodes_now().iter().map(|node| node["metadata"]["resourceVersion"].clone()).collect::<Vec<_>>();
    let present = versions();
    let again = sweep(&corner, &["--all", "--yes"]);
    assert!(again.code == 0 && again.out.starts_with("0 writes; nothing of Rounds is left"), "{again:#?}");
    let remedies: Vec<&str> = again.err.lines().filter_map(|line| line.split_once("operator: ").map(|(_, remedy)| remedy)).collect();
    assert_eq!(remedies.len(), of_operator.len(), "{again:#?}");
    remedies.into_iter().for_each(|remedy| in_a_shell(&corner, remedy));
    for (kind, name, _) in of_operator {
        assert_eq!(corner.get(kind, name)["metadata"]["finalizers"], json!([OTHERS_FINALIZER]), "somebody else's stays");
        corner.kubectl(&["-n", "sweeps", "patch", kind, name, "--type=merge", "-p", NO_FINALIZER]);
    }
    let shown = sweep(&corner, &["--all", "--dry-run"]);
    assert!(shown.code == 0 && !shown.err.contains("finalizer"), "{shown:#?}");
    assert_eq!(versions(), present);
    let labels = sweep(&corner, &["--all", "--yes", "--labels"]);
    assert_eq!(labels.code, 0, "{labels:#?}");
    assert!(told()["labels"]["kairos.io/boot-state"].is_null() && told()["annotations"]["kairos.io/version"].is_null());

    // Whoever does rounds again after all starts nothing twice.
    let starts = crate::rollouts::started(&corner.writes());
    corner.round();
    corner.round();
    let since: Vec<String> = crate::rollouts::started(&corner.writes()).split_off(starts.len());
    assert!(!since.iter().any(|job| starts.contains(job)), "{since:?} after {starts:?}");
    assert_eq!(corner.status("runs")["nodeStatuses"][&nodes[1]]["reason"], "JobLost");
}

#[test]
fn after_a_removal_in_haste_it_does_the_same() {
    let corner = Corner::alone("hasty");
    let nodes = corner.nodes(2, 0);
    let root = env!("CARGO_MANIFEST_DIR");
    let kustomization = format!("{root}/kustomize/default");
    let applied = corner.kubectl_with(&["apply", "--server-side", "--force-conflicts", "-k", &kustomization], None);
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    in_the_middle(&corner, &nodes);
    corner.kubectl(&["delete", "-k", &kustomization, "--timeout=120s"]);
    wait_for("the definitions are gone", Duration::from_secs(30), || !corner.kubectl(&["get", "crds", "-o", "name"]).contains("kairos"));
    let (left, cordoned) = marks(&corner);
    assert!(left.len() == 4 && cordoned == nodes, "the nodes are left as they were: {left:?} {cordoned:?}");

    let printed = sweep(&corner, &["--all", "--yes"]);
    assert_eq!(printed.code, 0, "{printed:#?}");
    assert_eq!(objects(&corner), Vec::<String>::new());
    assert_eq!(marks(&corner), (Vec::new(), Vec::new()));
    wait_for("what the build had is gone", Duration::from_secs(30), || {
        let left = corner.kubectl(&["-n", "hasty", "get", "pvc,configmaps", "-l", "build.kairos.io/artifact", "-o", "name"]);
        left.is_empty()
    });
    let again = sweep(&corner, &["--all", "--yes"]);
    assert!(again.code == 0 && again.out.starts_with("0 writes; "), "{again:#?}");

    // One more runner, from wherever, is waited for.
    corner.create(&pod(&corner, "runner", json!({"app.kubernetes.io/name": "rounds"}), json!([])));
    let waited = sweep(&corner, &["--all", "--yes", "--timeout", "2s"]);
    assert!(waited.code == 4 && waited.err.contains("Pod hasty/runner does rounds"), "{waited:#?}");
    assert_eq!(sweep(&corner, &["--all", "--yes", "--ignore-runners"]).code, 0);

    // What it leaves behind is seen, and asked for, only then.
    let mut asked = Asked::begin(&corner);
    asked.until("Pod hasty/runner does rounds still");
    corner.kubectl(&["annotate", "node", &nodes[0], "operator.kairos.io/operation=hasty/late@u"]);
    assert!(!asked.said().contains("type yes"), "{}", asked.said());
    corner.kubectl(&["-n", "hasty", "delete", "pod", "runner"]);
    asked.until("type yes to do that");
    assert!(asked.said().contains("patch Node hasty-0"), "{}", asked.said());
    assert_eq!(asked.answer("yes"), Some(0));
    assert_eq!(marks(&corner), (Vec::new(), Vec::new()));
}

/// `rounds sweep --all` at a terminal.
struct Asked {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Asked {
    fn begin(corner: &Corner) -> Self {
        let mut command = Command::new("script");
        command.args(["-qec", concat!(env!("CARGO_BIN_EXE_rounds"), " sweep --all"), "/dev/null"]);
        command.envs(corner.plane.admin().map(|path| ("KUBECONFIG", path)));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script starts");
        let (mut from, said) = (child.stdout.take().unwrap(), Arc::new(Mutex::new(String::new())));
        let into = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut bytes) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        Self { child, said }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    fn until(&mut self, what: &str) {
        wait_for(what, Duration::from_secs(60), || {
            assert!(self.child.try_wait().unwrap().is_none(), "it has ended: {}", self.said());
            self.said().contains(what)
        });
    }

    /// The exit code after that answer.
    fn answer(mut self, answer: &str) -> Option<i32> {
        feed(&mut self.child, &format!("{answer}\n"));
        self.child.wait().unwrap().code()
    }
}

#[test]
fn what_others_have_made_with_our_labels_on_it_is_named_and_left_alone() {
    let corner = Corner::alone("strangers");
    let nodes = corner.nodes(1, 0);
    let op = corner.nodeop("op", json!({"command": ["hang"], "cordon": true}));
    corner.create(&op);
    corner.rounds_until("the command runs", || corner.status("op")["nodeStatuses"][&nodes[0]]["reason"] == "Running");
    let uid = corner.get("nodeops.operator.kairos.io", "op")["metadata"]["uid"].clone();
    let marks = json!({"operator.kairos.io/owner-uid": uid});
    // A Job made from the manifest of one of our pods, and a pod of nobody's.
    let template = json!({"metadata": {"labels": marks}, "spec": corner.pod_spec(json!({"nodeName": nodes[0], "restartPolicy": "Never"}))});
    let metadata = json!({"name": "copy", "namespace": corner.name});
    corner.create(&json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template}}));
    let mut nobodys = pod(&corner, "nobodys", marks, json!([]));
    nobodys["spec"]["nodeName"] = json!(nodes[0]);
    corner.create(&nobodys);
    let living = || {
        let pods = corner.list("pods").into_iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        let names = pods.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_string());
        names.filter(|name| name.starts_with("copy-") || name == "nobodys").count()
    };
    wait_for("both pods are there", Duration::from_secs(30), || living() == 2);

    // It may be the very command that the lock is for: the node is kept until a person has looked at it.
    let waited = sweep(&corner, &["--all", "--yes", "--timeout", "20s"]);
    assert!(waited.code == 4 && waited.err.contains("Pod strangers/nobodys without an owner, which is left to you"), "{waited:#?}");
    assert!(waited.err.contains("Pod strangers/nobodys bears our labels and has no owner: it is left alone"), "{waited:#?}");
    assert_eq!(living(), 2);
    assert!(corner.list("jobs").iter().all(|job| job["metadata"]["name"] == "copy"), "the operation's own Job is gone");
    corner.kubectl(&["-n", "strangers", "delete", "pod", "nobodys"]);

    let swept = sweep(&corner, &["--all", "--yes"]);
    assert!(swept.code == 0 && swept.err.contains("bears our labels and was made by somebody else: it is left alone"), "{swept:#?}");
    assert_eq!(living(), 1);
    assert!(corner.get("node", &nodes[0])["spec"]["unschedulable"] != true);
}
