//! What the existing operator leaves behind, as its field manager writes it: nothing is run twice, nothing is lost, and
//! no node stays cordoned for it.

mod moving;

use std::time::Duration;

use rounds::cluster::Cluster;
use rounds::cluster::apply::apply;
use rounds::cluster::connect::Connection;
use rounds::outcome::Verdict;
use rounds::plan::{Action, Decision, Plan, Step, TakeOver};
use rounds::reason::Reason;
use rounds::round::Mode;
use rounds::snapshot::Reference;
use serde_json::{Value, json};

use crate::harness::{Corner, kubelet, wait_for};

const NODEOP: &str = "nodeops.operator.kairos.io";
const MARK: &str = "operator.kairos.io/cordoned-by";
/// Its binary, and so its field manager.
const MANAGER: &str = "--field-manager=manager";

/// The existing operator in a corner: it writes whole objects, under its own name.
struct Foreign<'a> {
    corner: &'a Corner,
    op: String,
    uid: String,
}

impl<'a> Foreign<'a> {
    fn nodeop(corner: &'a Corner, name: &str, spec: Value) -> Self {
        corner.create(&corner.nodeop(name, spec));
        let uid = corner.get(NODEOP, name)["metadata"]["uid"].as_str().unwrap().to_string();
        Self { corner, op: name.into(), uid }
    }

    fn put(&self, args: &[&str], object: &str) {
        let output = self.corner.kubectl_with(&[args, &[MANAGER, "-f", "-"]].concat(), Some(object));
        assert!(output.status.success(), "{args:?}: {}\n{object}", String::from_utf8_lossy(&output.stderr));
    }

    fn fixture(&self, file: &str, node: &str, command: &str) -> String {
        let path = format!("{}/tests/manifests/adoption/{file}", env!("CARGO_MANIFEST_DIR"));
        let mut text = std::fs::read_to_string(path).unwrap();
        let namespace = &self.corner.name;
        for (key, value) in [
            ("$JOB", self.job_name(node)),
            ("$NAMESPACE", namespace.clone()),
            ("$OP", self.op.clone()),
            ("$NODE", node.into()),
            ("$UID", self.uid.clone()),
        ] {
            text = text.replace(key, &value);
        }
        text.replace("$COMMAND", command)
    }

    /// Its suffixes are random, and so never those of ours.
    fn job_name(&self, node: &str) -> String {
        format!("{}-{node}-x7k2p", self.op)
    }

    fn job(&self, node: &str, command: &str) {
        self.put(&["create"], &self.fixture("job.yaml", node, command));
    }

    fn finished_job(&self, node: &str, command: &str, condition: &str) {
        self.job(node, command);
        let job = format!("job/{}", self.job_name(node));
        self.corner.kubectl(&["-n", &self.corner.name, "wait", &job, &format!("--for=condition={condition}"), "--timeout=30s"]);
    }

    fn status(&self, phase: &str, entries: Value) {
        let status = json!({"phase": phase, "lastUpdated": "2026-11-20T10:00:00Z", "nodeStatuses": entries});
        self.replace(&["--subresource=status"], NODEOP, &self.op, |object| object["status"] = status.clone());
    }

    /// Reads an object and writes it back whole, again if others have written in between: a node's taints go when it is Ready.
    fn replace(&self, args: &[&str], kind: &str, name: &str, change: impl Fn(&mut Value)) {
        wait_for("the object is replaced", Duration::from_secs(30), || {
            let mut object = self.corner.get(kind, name);
            change(&mut object);
            let output = self.corner.kubectl_with(&[&["replace", MANAGER, "-f", "-"], args].concat(), Some(&object.to_string()));
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() || said.contains("(Conflict)"), "{kind} {name}: {said}");
            output.status.success()
        });
    }

    fn entry(&self, node: &str, phase: &str, message: &str, reboot: &str) -> Value {
        let job = self.job_name(node);
        json!({"phase": phase, "jobName": job, "message": message, "rebootStatus": reboot, "lastUpdated": "2026-11-20T10:00:00Z"})
    }

    fn cordon(&self, node: &str) {
        self.replace(&[], "node", node, |object| {
            object["metadata"]["annotations"][MARK] = json!(format!("{}/{}@{}", self.corner.name, self.op, self.uid));
            object["spec"]["unschedulable"] = json!(true);
        });
        assert!(is_marked(self.corner, node) && is_cordoned(self.corner, node));
    }
}

fn is_cordoned(corner: &Corner, node: &str) -> bool {
    corner.get("node", node)["spec"]["unschedulable"] == json!(true)
}

fn is_marked(corner: &Corner, node: &str) -> bool {
    !corner.get("node", node)["metadata"]["annotations"][MARK].is_null()
}

/// The Jobs that Rounds has made, by their NodeOp.
fn made(corner: &Corner) -> usize {
    corner.writes().iter().filter(|entry| entry.verb == "create" && entry.resource == "jobs").count()
}

/// Those that took effect: the control plane taints a node that was cordoned, and what was read before that is refused.
fn writes_to(corner: &Corner, node: &str) -> usize {
    corner.writes().iter().filter(|entry| entry.resource == "nodes" && entry.name == node && entry.succeeded()).count()
}

#[test]
fn what_has_ended_stands_what_runs_is_awaited_and_its_cordons_are_given_back() {
    let corner = Corner::new("adopt");
    corner.nodes(4, 0);
    let op = Foreign::nodeop(&corner, "op", json!({"cordon": true, "backoffLimit": 0}));
    op.finished_job("adopt-0", "[succeed]", "Complete");
    op.finished_job("adopt-1", "[fail]", "Failed");
    op.job("adopt-2", "[slow, 30s]");
    op.finished_job("adopt-3", "[succeed]", "Complete");
    for node in ["adopt-0", "adopt-1", "adopt-2", "adopt-3"] {
        op.cordon(node);
    }
    op.status(
        "Failed",
        json!({
            "adopt-0": op.entry("adopt-0", "Completed", "Job completed successfully", "not-requested"),
            "adopt-1": op.entry("adopt-1", "Failed", "Job failed", "not-requested"),
            "adopt-2": op.entry("adopt-2", "Running", "Job is running", "not-requested"),
            // It ended while the operator was being stopped.
            "adopt-3": op.entry("adopt-3", "Pending", "Job created", "not-requested"),
        }),
    );
    corner.rounds_until("what is over is given back", || !is_cordoned(&corner, "adopt-0"));
    assert!(is_cordoned(&corner, "adopt-2"), "its command still runs");
    assert!(!is_marked(&corner, "adopt-0"), "both go in one write");
    assert_eq!(corner.settle().code, 3);

    let status = corner.status("op");
    let phase = |node: &str| status["nodeStatuses"][node]["phase"].clone();
    assert_eq!(["adopt-0", "adopt-1", "adopt-2", "adopt-3"].map(phase), ["Completed", "Failed", "Completed", "Completed"].map(Value::from));
    assert_eq!(status["progress"], "4/4");
    assert_eq!(made(&corner), 0, "nothing is run by our arrival");
    for node in ["adopt-0", "adopt-2", "adopt-3"] {
        assert!(!is_cordoned(&corner, node) && !is_marked(&corner, node), "{node} is given back");
        assert_eq!(writes_to(&corner, node), 1, "{node} is given back in one write");
    }
    assert!(is_cordoned(&corner, "adopt-1") && is_marked(&corner, "adopt-1"), "as the operator would have left it");
    assert_eq!(writes_to(&corner, "adopt-1"), 0);

    // A person who cordons a node from now on keeps it cordoned; nobody owns a rest of the old cordon.
    corner.kubectl(&["cordon", "adopt-0"]);
    corner.kubectl(&["-n", "adopt", "patch", NODEOP, "op", "--type=merge", "-p", r#"{"spec":{"uncordonOnFailure":true}}"#]);
    corner.settle();
    assert!(is_cordoned(&corner, "adopt-0"));
    assert!(!is_cordoned(&corner, "adopt-1") && !is_marked(&corner, "adopt-1"));
    let writes = corner.writes().len();
    corner.round();
    assert_eq!(corner.writes().len(), writes, "at rest");
}

#[test]
fn a_job_that_no_status_names_has_run() {
    let corner = Corner::new("unnamed");
    corner.nodes(2, 0);
    let op = Foreign::nodeop(&corner, "op", json!({"cordon": true, "concurrency": 1}));
    op.cordon("unnamed-0");
    op.job("unnamed-0", "[hang]");
    wait_for("its pod runs", Duration::from_secs(30), || corner.list("pods").iter().any(|pod| pod["status"]["phase"] == "Running"));
    corner.round();
    assert_eq!(corner.status("op")["nodeStatuses"]["unnamed-0"]["jobName"], "op-unnamed-0-x7k2p");
    assert_eq!(made(&corner), 0);
    kubelet::finish(&corner, corner.list("pods")[0]["metadata"]["name"].as_str().unwrap(), 0);
    assert_eq!(corner.settle().code, 0);
    assert_eq!(made(&corner), 1, "only on the node that it had not come to");
    crate::rollouts::assert_all_given_back(&corner);
}

#[test]
fn why_its_pod_does_not_start_is_told_in_the_next_round() {
    let corner = Corner::new("pulls");
    corner.nodes(1, 0);
    let op = Foreign::nodeop(&corner, "op", json!({}));
    op.job("pulls-0", "[no-image]");
    op.status("Running", json!({"pulls-0": op.entry("pulls-0", "Running", "Job is running", "not-requested")}));
    corner.rounds_until("the pod's trouble is told", || corner.status("op")["nodeStatuses"]["pulls-0"]["reason"] == "CannotStart");
}

#[test]
fn a_reboot_that_it_has_prepared_is_awaited() {
    let corner = Corner::new("reboots");
    corner.nodes(2, 0);
    let spec =
        |node: &str| json!({"cordon": true, "rebootOnSuccess": true, "nodeSelector": {"matchLabels": {"kubernetes.io/hostname": node}}});
    let op = Foreign::nodeop(&corner, "op", spec("reboots-0"));
    op.put(&["create"], &op.fixture("reboot.yaml", "reboots-0", ""));
    op.cordon("reboots-0");
    op.finished_job("reboots-0", "[succeed]", "Complete");
    op.status("Running", json!({"reboots-0": op.entry("reboots-0", "Completed", "Job completed successfully", "pending")}));
    let lost = Foreign::nodeop(&corner, "lost", spec("reboots-1"));
    lost.finished_job("reboots-1", "[succeed]", "Complete");
    lost.status("Running", json!({"reboots-1": lost.entry("reboots-1", "Completed", "Job completed successfully", "pending")}));

    corner.round();
    corner.round();
    let entry = |op: &str, node: &str| corner.status(op)["nodeStatuses"][node].clone();
    assert_eq!((&entry("op", "reboots-0")["step"], &entry("op", "reboots-0")["rebootStatus"]), (&json!("Rebooting"), &json!("pending")));
    assert_eq!(entry("lost", "reboots-1")["reason"], "NotRebooted");
    assert!(is_cordoned(&corner, "reboots-0"));

    corner.kubectl(&["-n", "reboots", "annotate", "pod", "op-reboot-x7k2p", "kairos.io/reboot-state=completed"]);
    let ended = json!({"exitCode": 0, "reason": "Completed"});
    let container =
        json!({"name": "reboot", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": ended}});
    corner.patch_status("pod", "op-reboot-x7k2p", &json!({"phase": "Succeeded", "containerStatuses": [container]}));
    corner.settle();
    assert_eq!((&entry("op", "reboots-0")["phase"], &entry("op", "reboots-0")["rebootStatus"]), (&json!("Completed"), &json!("completed")));
    assert!(!is_cordoned(&corner, "reboots-0") && !is_marked(&corner, "reboots-0"));
    assert_eq!(made(&corner), 0);
}

#[test]
fn a_cordon_that_it_left_for_a_deleted_operation_is_given_back_but_never_a_persons() {
    let corner = Corner::new("left");
    corner.nodes(4, 0);
    let op = Foreign::nodeop(&corner, "op", json!({"cordon": true, "rollout": {"suspend": true}}));
    for node in ["left-0", "left-1", "left-2"] {
        op.cordon(node);
    }
    // A person has lifted its cordon and cordoned the node again.
    corner.kubectl(&["uncordon", "left-1"]);
    corner.kubectl(&["cordon", "left-1"]);
    // A person wants it to stay as it is.
    corner.kubectl(&["annotate", "node", "left-2", "operator.kairos.io/keep-cordoned=disk"]);
    corner.kubectl(&["cordon", "left-3"]);
    corner.kubectl(&["-n", "left", "delete", NODEOP, "op", "--wait"]);
    corner.rounds_until("both marks are gone", || ["left-0", "left-1"].iter().all(|node| !is_marked(&corner, node)));
    assert!(!is_cordoned(&corner, "left-0"));
    assert!(is_cordoned(&corner, "left-1"));
    assert!(is_cordoned(&corner, "left-2") && is_marked(&corner, "left-2"));
    assert!(is_cordoned(&corner, "left-3"));
    assert_eq!(["left-0", "left-1", "left-2", "left-3"].map(|node| writes_to(&corner, node)), [1, 1, 0, 0]);
    let writes = corner.writes().len();
    corner.round();
    assert_eq!(corner.writes().len(), writes, "at rest");
}

#[tokio::test]
async fn what_is_taken_over_is_what_was_seen() {
    let corner = Corner::new("seen");
    corner.nodes(2, 0);
    let op = Foreign::nodeop(&corner, "op", json!({"rollout": {"suspend": true}}));
    op.cordon("seen-0");
    let cluster = Cluster::connect(&Connection { kubeconfig: corner.plane.admin(), ..Connection::default() }).await.unwrap();
    let seen = corner.get("node", "seen-0");
    let take = |node: &str, uid: &Value, version: &Value| TakeOver {
        node: Reference::new("Node", "", node, uid.as_str().unwrap()),
        resource_version: version.as_str().unwrap().into(),
        uncordon: true,
    };
    let (uid, version) = (&seen["metadata"]["uid"], &seen["metadata"]["resourceVersion"]);
    let gone = corner.get("node", "seen-1")["metadata"].clone();
    corner.kubectl(&["delete", "node", "seen-1", "--wait"]);
    corner.kubectl(&["label", "node", "seen-0", "touched=yes"]);
    for (take, what) in [
        (take("seen-0", uid, version), "it has changed since"),
        (take("seen-0", &gone["uid"], &corner.get("node", "seen-0")["metadata"]["resourceVersion"]), "it is another node"),
        (take("seen-1", &gone["uid"], &gone["resourceVersion"]), "it is gone"),
    ] {
        let verdict = act(&cluster, take).await;
        assert!(matches!(verdict, Verdict::Moved(_)), "{what}: {verdict:?}");
    }
    assert!(is_cordoned(&corner, "seen-0") && is_marked(&corner, "seen-0"));
    assert_eq!(corner.get("node", "seen-1"), Value::Null, "no ghost");
    assert_eq!(act(&cluster, take("seen-0", uid, &corner.get("node", "seen-0")["metadata"]["resourceVersion"])).await, Verdict::Done);
    let after = corner.kubectl(&["get", "node", "seen-0", "-o", "json", "--show-managed-fields"]);
    assert!(!after.contains("unschedulable") && !after.contains(MARK), "nothing of it is left, not even an owner: {after}");
}

async fn act(cluster: &Cluster, take: TakeOver) -> Verdict {
    let subject = take.node.clone();
    let step = Step { subject: subject.clone(), reason: Reason::Orphaned, message: String::new(), actions: vec![Action::TakeOver(take)] };
    let decision = Decision {
        subject,
        reason: Reason::Orphaned,
        message: String::new(),
        settled: false,
        failed: false,
        status: None,
        steps: vec![step],
        nodes: Default::default(),
    };
    apply(cluster, &Plan { decisions: vec![decision] }, Mode::Live, usize::MAX, &|| false).await.actions.remove(0).verdict
}

#[test]
fn a_finalizer_that_only_it_takes_off_is_named() {
    let corner = Corner::new("finalizer");
    Foreign::nodeop(&corner, "op", json!({"rollout": {"suspend": true}}));
    let patch = r#"{"metadata":{"finalizers":["nodeop-reboot.kairos.io/clusterrolebinding"]}}"#;
    corner.kubectl(&["-n", "finalizer", "patch", NODEOP, "op", "--type=merge", "-p", patch]);
    corner.kubectl(&["-n", "finalizer", "delete", NODEOP, "op", "--wait=false"]);
    let told = corner.rounds(&["status"]).out;
    assert!(told.contains("nodeop-reboot.kairos.io/clusterrolebinding"), "{told}");
    corner.kubectl(&["-n", "finalizer", "patch", NODEOP, "op", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]);
}

/// On a control plane of its own: the definition is everybody's.
#[test]
fn on_its_definitions_rounds_looks_warns_and_goes_on_once_ours_are_installed() {
    let corner = Corner::alone("older");
    corner.nodes(3, 0);
    install_its_own(&corner);

    let op = Foreign::nodeop(&corner, "op", json!({"cordon": true}));
    op.finished_job("older-0", "[succeed]", "Complete");
    op.finished_job("older-1", "[succeed]", "Complete");
    op.cordon("older-0");
    let mut unknown = op.entry("older-2", "Soaking", "a word of some other version", "not-requested");
    unknown["jobName"] = Value::Null;
    op.status(
        "Running",
        json!({
            "older-0": op.entry("older-0", "Completed", "Job completed successfully", "not-requested"),
            "older-1": op.entry("older-1", "Running", "Job is running", "not-requested"),
            "older-2": unknown,
        }),
    );
    let fresh = corner.nodeop("fresh", json!({}));
    wait_for("the published schema has caught up", Duration::from_secs(60), || corner.rounds(&["status"]).err.contains("older one"));
    corner.kubectl_with(&["create", "--validate=false", "-f", "-"], Some(&fresh.to_string()));

    let printed = corner.rounds(&["run", "-o", "json"]);
    assert_eq!(printed.code, 0, "{printed:#?}");
    assert_eq!(printed.err.matches("it is an older one").count(), 1, "{}", printed.err);
    let report: Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!(report["warnings"][0]["name"], NODEOP);
    assert!(report["warnings"][0]["message"].as_str().unwrap().contains("rounds crds | kubectl apply --server-side"), "{report:#}");
    let told = corner.rounds(&["status"]);
    assert_eq!(told.code, 0);
    assert!(told.out.contains("OlderDefinition") && told.out.contains("fresh"), "{}", told.out);
    assert_eq!(corner.rounds(&["run", "--until-settled", "--timeout", "300s"]).code, 3, "what cannot go on is told to who waits for it");
    assert!(corner.writes().is_empty(), "{:#?}", corner.writes());
    assert!(is_cordoned(&corner, "older-0"));

    install_ours(&corner);
    corner.rounds_until("both are taken over", || ["op", "fresh"].iter().all(|op| !corner.status(op)["specHash"].is_null()));
    assert_eq!(corner.settle().code, 3);
    let entries = corner.status("op")["nodeStatuses"].clone();
    assert_eq!((&entries["older-0"]["phase"], &entries["older-1"]["phase"]), (&json!("Completed"), &json!("Completed")));
    assert_eq!((&entries["older-2"]["phase"], &entries["older-2"]["reason"]), (&json!("Failed"), &json!("Unreadable")));
    assert_eq!(made(&corner), 3, "the new operation, once on each node");
    assert_eq!(corner.status("fresh")["phase"], "Completed");
    assert!(!is_cordoned(&corner, "older-0") && !is_marked(&corner, "older-0"));
}

/// The command that the warning tells.
fn install_ours(corner: &Corner) {
    let ours = corner.rounds(&["crds"]).out;
    let output = corner.kubectl_with(&["apply", "--server-side", "--force-conflicts", "-f", "-"], Some(&ours));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Its definition of NodeOps in the place of ours.
fn install_its_own(corner: &Corner) {
    let definition = format!("{}/tests/manifests/adoption/nodeops-crd.yaml", env!("CARGO_MANIFEST_DIR"));
    corner.kubectl(&["delete", "crd", NODEOP, "--wait"]);
    corner.kubectl(&["apply", "-f", &definition]);
    corner.kubectl(&["wait", "crd", NODEOP, "--for=condition=Established", "--timeout=30s"]);
    wait_for("NodeOps are served", Duration::from_secs(30), || corner.kubectl_with(&["get", NODEOP, "-A"], None).status.success());
}
