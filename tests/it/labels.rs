//! Node labels: probes as Jobs, what they tell as labels, and nobody else's labels.
//!
//! They label whatever node there is, so they have control planes of their own.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Corner, Printed, kubelet, wait_for};

/// A corner whose runner probes nodes.
struct Labels(Corner);

impl Labels {
    fn new(name: &str) -> Self {
        Self(Corner::alone(name))
    }

    /// A node of which nobody has said anything yet.
    fn node(&self, name: &str) {
        self.0.create(&self.0.node_labelled(name, json!({"corner": self.0.name})));
        self.0.wait_ready(name);
    }

    fn run(&self, more: &[&str]) -> Printed {
        let args = ["run", "--probe-namespace", &self.0.name, "--runner-image", "played:1"];
        let printed = self.0.rounds(&[&args, more].concat());
        assert_eq!(printed.code, 0, "{printed:#?}");
        printed
    }

    /// The probe Jobs, or their pods.
    fn probes(&self, kind: &str) -> Vec<Value> {
        let mut all = self.0.list(kind);
        all.retain(|object| object["metadata"]["labels"]["operator.kairos.io/probe"] == "true");
        all
    }

    /// Rounds, with every probe played by the real one on these hosts, until there is no probe any more.
    fn play(&self, host: impl Fn(&str) -> Host) -> String {
        let mut told = String::new();
        wait_for("all nodes are labelled", Duration::from_secs(60), || {
            told += &self.run(&[]).err;
            for pod in self.probes("pods") {
                let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                if text("/status/phase") == "Running" {
                    let node = text("/spec/nodeName");
                    let boot = kubelet::boot_id(&self.0, node);
                    kubelet::report(&self.0, text("/metadata/name"), &host(node).probe(&boot));
                }
            }
            self.probes("jobs").is_empty() && self.0.nodes_now().iter().all(|node| !annotation(node, PROBED).is_empty())
        });
        told
    }
}

const PROBED: &str = "operator.kairos.io/probed-boot";

/// What a host has to tell.
#[derive(Clone, Copy)]
struct Host {
    kairos: &'static str,
    os: &'static str,
    cmdline: &'static str,
}

impl Host {
    /// What the real probe says of it.
    fn probe(&self, boot: &str) -> String {
        let folder: PathBuf = std::env::temp_dir().join(format!("rounds-probed-{}-{boot}", std::process::id()));
        let put = |path: &str, text: &str| {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("proc/sys/kernel/random/boot_id", boot);
        put("proc/cmdline", self.cmdline);
        if !self.kairos.is_empty() {
            put("etc/kairos-release", self.kairos);
        }
        put("etc/os-release", self.os);
        let mut command = Command::new(env!("CARGO_BIN_EXE_rounds"));
        command.args(["node", "probe", "--root"]).arg(&folder).arg("--message").arg(folder.join("message"));
        let output = command.env("HOST_ETC_PATH", folder.join("etc")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let message = std::fs::read_to_string(folder.join("message")).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        message
    }
}

const UBUNTU: Host = Host {
    kairos: "KAIROS_FLAVOR=\"ubuntu\"\nKAIROS_RELEASE=v3.5.0\nKAIROS_SOFTWARE_VERSION=v1.32.4+k3s1\nKAIROS_MODEL=generic\nKAIROS_VERSION=v3.5.0\n",
    os: "ID=ubuntu\n",
    cmdline: "root=LABEL=COS_ACTIVE quiet",
};
const UPGRADED: Host = Host {
    kairos: "KAIROS_FLAVOR=\"ubuntu\"\nKAIROS_RELEASE=v3.6.0\nKAIROS_VERSION=v3.6.0\n",
    os: "ID=ubuntu\n",
    cmdline: "root=LABEL=COS_PASSIVE quiet",
};
const OLD: Host = Host { kairos: "", os: "ID=\"kairos-alpine\"\n", cmdline: "netboot" };
const DEBIAN: Host = Host { kairos: "", os: "ID=debian\n", cmdline: "quiet" };

/// Labels and annotations of Kairos on a node.
fn said(node: &Value) -> Vec<String> {
    let pairs = |of: &Value| {
        let pairs =
            of.as_object().into_iter().flatten().filter_map(|(key, value)| Some((key.strip_prefix("kairos.io/")?, value.as_str()?)));
        pairs.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
    };
    [pairs(&node["metadata"]["labels"]), pairs(&node["metadata"]["annotations"])].concat()
}

fn annotation(node: &Value, key: &str) -> String {
    node["metadata"]["annotations"][key].as_str().unwrap_or_default().to_string()
}

#[test]
fn nodes_are_looked_at_once_per_boot_and_labelled_without_taking_anything_from_anybody() {
    let labels = Labels::new("labels");
    let corner = &labels.0;
    for node in ["new", "old", "other"] {
        labels.node(node);
    }
    let host = |node: &str| match node {
        "new" => UBUNTU,
        "old" => OLD,
        _ => DEBIAN,
    };
    corner.create(&corner.nodeop("op", json!({"nodeSelector": {"matchLabels": {"corner": corner.name, "kairos.io/flavor": "ubuntu"}}})));
    corner.create(&corner.nodeop("none", json!({"nodeSelector": {"matchLabels": {"kairos.io/flavor": "plan9"}}})));
    labels.run(&[]);
    for op in ["op", "none"] {
        let status = corner.status(op);
        assert_eq!((&status["phase"], &status["conditions"][0]["reason"]), (&json!("Pending"), &json!("NoMatchingNodes")), "{status:#}");
    }
    labels.play(host);
    let got = |node: &str| corner.get("node", node);
    let ubuntu = [
        "boot-state=active",
        "flavor=ubuntu",
        "managed=true",
        "model=generic",
        "release=v3.5.0",
        "software-version=v1.32.4-k3s1",
        "version=v3.5.0",
    ];
    assert_eq!(said(&got("new")), ubuntu);
    assert_eq!(said(&got("old")), ["boot-state=livecd", "managed=true"]);
    assert_eq!(said(&got("other")), [""; 0]);
    assert_eq!(annotation(&got("other"), PROBED), "boot-other");
    wait_for("probes are cleaned up", Duration::from_secs(20), || labels.probes("pods").is_empty());

    // Who waited for labels goes on, or is told that there is nothing to do.
    labels.run(&["--until-settled", "--timeout", "300s"]);
    assert_eq!(corner.status("op")["nodeStatuses"].as_object().unwrap().keys().collect::<Vec<_>>(), ["new"]);
    assert_eq!((&corner.status("op")["phase"], &corner.status("none")["phase"]), (&json!("Completed"), &json!("Completed")));
    let warned = |event: &Value| event["reason"] == "NoMatchingNodes" && event["regarding"]["name"] == "none" && event["type"] == "Warning";
    assert_eq!(corner.list("events.events.k8s.io").iter().filter(|event| warned(event)).count(), 1);

    // At rest nothing is written.
    let writes = corner.writes().len();
    for _ in 0..3 {
        labels.run(&[]);
    }
    assert_eq!(corner.writes().len(), writes, "{:#?}", &corner.writes()[writes..]);

    // Somebody's own labels, and somebody's own value of one of ours; then the node is upgraded.
    corner.kubectl(&["label", "node", "new", "--overwrite", "kairos.io/flavor=mine", "kairos.io/rack=7", "role=edge"]);
    corner.patch_status("node", "new", &json!({"nodeInfo": {"bootID": "boot-new-2"}}));
    let told = labels.play_upgraded();
    assert!(told.contains("kairos.io/flavor stays \"mine\", which is kubectl-label's"), "{told}");
    let node = got("new");
    assert_eq!(said(&node), ["boot-state=passive", "flavor=mine", "managed=true", "rack=7", "release=v3.6.0", "version=v3.6.0"]);
    assert_eq!((annotation(&node, PROBED), &node["metadata"]["labels"]["role"]), ("boot-new-2".into(), &json!("edge")));

    // Opting out takes off what is ours, and nothing else.
    corner.kubectl(&["label", "node", "new", "--overwrite", "kairos.io/managed=false"]);
    labels.run(&[]);
    let node = got("new");
    assert_eq!(
        (said(&node), annotation(&node, PROBED)),
        (vec!["flavor=mine".into(), "managed=false".into(), "rack=7".into()], String::new())
    );
    labels.run(&[]);
    assert!(labels.probes("jobs").is_empty());

    // Where Pod Security does not let a probe in, that is said, and who waited for labels does not wait for ever.
    let strict = corner.beside("strict");
    corner.kubectl(&["label", "namespace", "strict", "pod-security.kubernetes.io/enforce=restricted"]);
    corner.patch_status("node", "other", &json!({"nodeInfo": {"bootID": "boot-other-2"}}));
    assert_eq!(strict.rounds(&["run", "--probe-namespace", "strict"]).code, 0);
    wait_for("the refusal is told", Duration::from_secs(30), || {
        let status = strict.rounds(&["status", "--probe-namespace", "strict"]);
        assert_eq!(status.code, 0, "{status:?}");
        status.out.contains("other: CannotStart: FailedCreate:") && status.out.contains("violates PodSecurity")
    });
}

impl Labels {
    fn play_upgraded(&self) -> String {
        let mut told = self.run(&[]).err;
        wait_for("the probe runs", Duration::from_secs(30), || !self.probes("pods").is_empty());
        told += &self.play(|_| UPGRADED);
        told
    }
}

#[test]
#[ignore = "two minutes of both cores: `make nightly`"]
fn a_thousand_nodes_are_labelled_with_three_writes_each_and_so_many_at_a_time() {
    const NODES: usize = 1000;
    let corner = Corner::alone("thousand");
    let nodes: Vec<Value> = (0..NODES).map(|at| corner.node_labelled(&format!("thousand-{at}"), json!({"corner": "thousand"}))).collect();
    corner.create(&json!({"apiVersion": "v1", "kind": "List", "items": nodes}));
    let ready = "-o=jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}";
    wait_for("all nodes are Ready", Duration::from_secs(120), || {
        corner.kubectl(&["get", "nodes", ready]).split_whitespace().filter(|status| *status == "True").count() == NODES
    });
    let run = ["run", "--probe-namespace", "thousand", "--probes", "100", "--until-settled", "--timeout", "300s"];
    let printed = corner.rounds(&run);
    assert_eq!(printed.code, 0, "{}", &printed.err[printed.err.len().saturating_sub(2000)..]);
    let labelled = corner.kubectl(&["get", "nodes", "-l", "kairos.io/managed=true,kairos.io/flavor=ubuntu", "-o", "name"]);
    assert_eq!(labelled.lines().count(), NODES);
    assert!(corner.list("jobs").is_empty());

    let writes = corner.writes();
    let taken = writes.iter().filter(|entry| entry.code < 300).count();
    assert!(taken <= 3 * NODES && writes.len() <= 3 * NODES + NODES / 20, "{taken} writes were taken of {}", writes.len());
    let names: BTreeSet<&str> = writes.iter().map(|entry| entry.verb.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["create", "delete", "patch"]));
    // Whatever the order in which they are done: never more Jobs than may be.
    let (mut live, mut most) = (0_i64, 0);
    for entry in writes.iter().filter(|entry| entry.code < 300) {
        live += match entry.verb.as_str() {
            "create" => 1,
            "delete" => -1,
            _ => 0,
        };
        most = most.max(live);
    }
    assert!(most <= 200, "{most} Jobs at a time: those that are live, and those that have told");

    let before = writes.len();
    assert_eq!(corner.rounds(&["run", "--probe-namespace", "thousand"]).code, 0);
    assert_eq!(corner.writes().len(), before, "an idle round writes nothing");
}
