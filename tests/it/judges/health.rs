//! What kstatus, Flux and Argo CD make of a resource: for every status that any case of `tests/decide` comes to, and for
//! objects as the server has them, before the first round too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::told;
use crate::decide::statuses;
use crate::harness::{Corner, wait_for};
use crate::kustomizations::{build, find};

/// Ready, Reconciling and Stalled, and what is made of them: by the kstatus library (Flux without expressions, `kpt`, …), by Flux with
/// ours, by Argo CD with ours.
const VERDICTS: [(&str, [&str; 3]); 4] = [
    ("True False False", ["Current", "Current", "Healthy"]),
    ("False True False", ["InProgress", "InProgress", "Progressing"]),
    ("False False True", ["Failed", "Failed", "Degraded"]),
    // Suspended, or with nothing to do for another such reason: settled, so that whoever applies it need not wait.
    ("Unknown False False", ["InProgress", "Current", "Suspended"]),
];
const READY: &str = "True False False";
const UNDERWAY: &str = "False True False";
const STALLED: &str = "False False True";
const SUSPENDED: &str = "Unknown False False";

/// The phases, and in which of these states each of them may be.
const PHASES: [(&str, &str, &[&str]); 19] = [
    ("NodeOp", "Pending", &[UNDERWAY, SUSPENDED, STALLED]),
    ("NodeOp", "Running", &[UNDERWAY, SUSPENDED, STALLED]),
    ("NodeOp", "Completed", &[READY]),
    ("NodeOp", "Failed", &[STALLED]),
    ("NodeOpUpgrade", "Initializing", &[UNDERWAY]),
    ("NodeOpUpgrade", "Pending", &[UNDERWAY, SUSPENDED, STALLED]),
    ("NodeOpUpgrade", "Running", &[UNDERWAY, SUSPENDED, STALLED]),
    ("NodeOpUpgrade", "Completed", &[READY]),
    ("NodeOpUpgrade", "Failed", &[STALLED]),
    ("OSArtifact", "Pending", &[UNDERWAY, STALLED]),
    ("OSArtifact", "Building", &[UNDERWAY]),
    ("OSArtifact", "Exporting", &[UNDERWAY]),
    // Built, and then edited to what cannot be.
    ("OSArtifact", "Ready", &[READY, STALLED]),
    ("OSArtifact", "Error", &[STALLED]),
    ("UpdateChannel", "Pending", &[UNDERWAY, SUSPENDED, STALLED]),
    ("UpdateChannel", "Polling", &[READY, UNDERWAY, STALLED, SUSPENDED]),
    ("UpdateChannel", "Updating", &[UNDERWAY, SUSPENDED, STALLED]),
    ("UpdateChannel", "Current", &[READY]),
    ("UpdateChannel", "Failed", &[STALLED]),
];

/// The three judges, with what we ship for them.
struct Judges {
    expressions: String,
    scripts: String,
}

impl Judges {
    fn new(corner: &Corner) -> Self {
        let flux = build(corner, "flux", &[]);
        let expressions = find(&flux, "Kustomization", "node-operations")["spec"]["healthCheckExprs"].to_string();
        let argo = build(corner, "argocd", &[]);
        let data = find(&argo, "ConfigMap", "argocd-cm")["data"].as_object().unwrap();
        let kind = |key: &str| key.strip_prefix("resource.customizations.health.").unwrap().replace('_', "/");
        let scripts: BTreeMap<String, &Value> = data.iter().map(|(key, script)| (kind(key), script)).collect();
        Self { expressions, scripts: json!(scripts).to_string() }
    }

    /// What each of them says of each object.
    fn ask(&self, objects: &[Value]) -> Vec<[String; 3]> {
        let all: String = objects.iter().map(|object| format!("{object}\n")).collect();
        let statuses = |args: &[&str]| -> Vec<String> {
            let lines = told("judge", args, &all);
            let said = |line: &str| serde_json::from_str::<Value>(line).unwrap()["status"].as_str().unwrap().to_string();
            lines.lines().map(said).collect()
        };
        let [kstatus, flux, argo] = [&["kstatus"][..], &["flux", &self.expressions], &["argo", &self.scripts]].map(statuses);
        assert_eq!([kstatus.len(), flux.len(), argo.len()], [objects.len(); 3]);
        kstatus.into_iter().zip(flux).zip(argo).map(|((kstatus, flux), argo)| [kstatus, flux, argo]).collect()
    }

    fn of(&self, object: &Value) -> [String; 3] {
        self.ask(std::slice::from_ref(object)).remove(0)
    }
}

fn state(status: &Value) -> String {
    let is = |kind: &str| {
        let all = status["conditions"].as_array().into_iter().flatten();
        all.filter(|condition| condition["type"] == kind).map(|condition| condition["status"].as_str().unwrap()).collect::<String>()
    };
    ["Ready", "Reconciling", "Stalled"].map(is).join(" ")
}

#[test]
fn in_every_phase_that_decide_comes_to_each_of_them_says_what_the_table_says() {
    let corner = Corner::new("health");
    let judges = Judges::new(&corner);
    let mut objects = BTreeMap::new();
    for write in statuses() {
        let status = write.status.tree();
        let metadata = json!({"name": write.of.name, "namespace": write.of.namespace, "generation": status["observedGeneration"]});
        let object = json!({"apiVersion": write.api_version, "kind": write.of.kind, "metadata": metadata, "status": status});
        let phase = status["phase"].as_str().unwrap_or_default().to_string();
        let reason = status["conditions"][0]["reason"].to_string();
        // One of each that can be told apart.
        objects.insert((write.of.kind, phase, reason, state(&status)), object);
    }
    assert!(objects.len() >= 40, "only {} statuses were found", objects.len());
    let said = judges.ask(&objects.values().cloned().collect::<Vec<_>>());
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for ((kind, phase, reason, state), said) in objects.keys().zip(said) {
        let (kind, phase, state) = (kind.as_str(), phase.as_str(), state.as_str());
        let may = PHASES.iter().any(|(of, name, states)| *of == kind && *name == phase && states.contains(&state));
        let judged = VERDICTS.iter().any(|(of, expected)| *of == state && said == *expected);
        if !may || !judged || reason == "\"Suspended\"" && state != SUSPENDED {
            wrong.push(format!("{kind} {phase} {reason}: {state}: {said:?}"));
        }
        seen.insert((kind, phase));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A channel's phases are its poll's as well, which is not decided.
    for (kind, phase, _) in PHASES.iter().filter(|(kind, ..)| *kind != "UpdateChannel") {
        assert!(seen.contains(&(kind, phase)), "{kind} is never {phase}: {seen:?}");
    }
}

fn owned(verdicts: [&str; 3]) -> [String; 3] {
    verdicts.map(String::from)
}

#[test]
fn nothing_is_ready_before_a_round_has_seen_it_nor_after_an_edit_nor_while_it_goes() {
    let corner = Corner::new("unseen");
    let judges = Judges::new(&corner);
    let ready = owned(["Current", "Current", "Healthy"]);
    let waits = owned(["InProgress", "InProgress", "Progressing"]);
    let artifact = json!({"image": {"ref": "quay.io/kairos/opensuse:v1"}, "artifacts": {"iso": true}});
    let others = [
        ("build.kairos.io/v1alpha2", "OSArtifact", "osartifacts.build.kairos.io", artifact),
        ("k3os.io/v1", "UpdateChannel", "updatechannels.k3os.io", json!({"version": "v1.0.0"})),
    ];
    for (version, kind, plural, spec) in others {
        corner.create(&json!({"apiVersion": version, "kind": kind, "metadata": {"name": "one", "namespace": "unseen"}, "spec": spec}));
        let object = corner.get(plural, "one");
        assert_eq!(object["status"], json!({"observedGeneration": -1}), "{kind}");
        assert_eq!(judges.of(&object), waits, "{kind}");
        // What a status says in each state, on its way through the server.
        for (state, expected) in VERDICTS {
            let mut words = state.split(' ');
            let conditions: Vec<Value> =
                ["Ready", "Reconciling", "Stalled"].iter().map(|of| condition(of, words.next().unwrap(), state)).collect();
            corner.patch_status(plural, "one", &json!({"observedGeneration": 1, "conditions": conditions}));
            assert_eq!(judges.of(&corner.get(plural, "one")), owned(expected), "{kind} {state}");
        }
        corner.kubectl(&["-n", "unseen", "delete", plural, "one"]);
    }

    corner.nodes(1, 0);
    corner.create(&corner.nodeop("op", json!({})));
    corner.create(&corner.upgrade("upgrade", json!({"rollout": {"suspend": true}})));
    for (plural, name) in [("nodeops.operator.kairos.io", "op"), ("nodeopupgrades.operator.kairos.io", "upgrade")] {
        assert_eq!(judges.of(&corner.get(plural, name)), waits, "{plural}");
    }
    assert_eq!(corner.settle().code, 0);
    let op = || corner.get("nodeops.operator.kairos.io", "op");
    assert_eq!(judges.of(&op()), ready, "{:#}", op());
    assert_eq!(judges.of(&corner.get("nodeopupgrades.operator.kairos.io", "upgrade")), owned(["InProgress", "Current", "Suspended"]));

    corner.kubectl(&["-n", "unseen", "patch", "nodeop", "op", "--type=merge", "-p", r#"{"spec":{"concurrency":1}}"#]);
    assert_eq!(judges.of(&op()), waits, "an edit is not done because what was there before it is");
    corner.round();
    assert_eq!(judges.of(&op()), ready);

    corner.kubectl(&["-n", "unseen", "patch", "nodeop", "op", "--type=merge", "-p", r#"{"metadata":{"finalizers":["rounds.test/stay"]}}"#]);
    corner.kubectl(&["-n", "unseen", "delete", "nodeop", "op", "--wait=false"]);
    wait_for("it is being deleted", std::time::Duration::from_secs(10), || !op()["metadata"]["deletionTimestamp"].is_null());
    let [kstatus, _, argo] = judges.of(&op());
    assert_eq!([kstatus, argo], ["Terminating", "Progressing"]);
    corner.kubectl(&["-n", "unseen", "patch", "nodeop", "op", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]);
}

fn condition(kind: &str, status: &str, state: &str) -> Value {
    let reason = if state == SUSPENDED { "Suspended" } else { "Because" };
    json!({"type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": "2026-11-22T00:00:00Z", "observedGeneration": 1})
}
