//! What a case expects of a plan, and how the difference is told.

use std::collections::BTreeMap;

use rounds::plan::{Action, Decision, Plan};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shorthand::{World, with_times};

/// What is expected; what is not said is not looked at.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Expect {
    /// All actions of the plan, in sorted order.
    actions: Option<Vec<String>>,
    /// Of the NodeOp "op".
    #[serde(flatten)]
    op: Subject,
    /// Of others, by name.
    ops: BTreeMap<String, Subject>,
    /// Of NodeOpUpgrades, by name.
    upgrades: BTreeMap<String, Subject>,
    /// Of OSArtifacts, by name.
    artifacts: BTreeMap<String, Subject>,
    /// Of UpdateChannels, by name.
    channels: BTreeMap<String, Subject>,
    /// Reasons of the sweep, by node.
    sweep: Option<BTreeMap<String, String>>,
    /// Reasons of the labelling, by node; none if nothing is decided about labels.
    labelling: Option<BTreeMap<String, String>>,
    /// Parts of its messages, by node.
    said: BTreeMap<String, String>,
    /// Whether it is settled.
    labelled: Option<bool>,
    /// All labels and annotations that are written, by node.
    written: Option<BTreeMap<String, BTreeMap<String, String>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Subject {
    reason: Option<String>,
    phase: Option<String>,
    settled: Option<bool>,
    failed: Option<bool>,
    /// A part of the message.
    message: Option<String>,
    /// Whether a status is written.
    write: Option<bool>,
    /// All reasons by node.
    nodes: Option<BTreeMap<String, String>>,
    /// Parts of entries; null: there is none.
    entries: BTreeMap<String, Value>,
    /// Parts of the status.
    status: Value,
    /// `Ready=True Reconciling=False Stalled=False`
    conditions: Option<String>,
}

impl Expect {
    pub fn check(&self, world: &World, plan: &Plan) -> Result<(), String> {
        let mut differences = Vec::new();
        if let Some(expected) = &self.actions {
            let mut actual: Vec<String> = plan.decisions.iter().flat_map(|decision| summaries(world, decision)).collect();
            actual.sort();
            let mut expected = expected.clone();
            expected.sort();
            if actual != expected {
                let differ = similar::TextDiff::from_lines(lines(&expected).as_str(), lines(&actual).as_str()).unified_diff().to_string();
                differences.push(format!("actions (- expected, + decided):\n{differ}"));
            }
        }
        let op = [("op".to_string(), &self.op)].into_iter().filter(|_| !self.op.is_silent());
        for (name, subject) in op.chain(self.ops.iter().map(|(name, subject)| (name.clone(), subject))) {
            subject.check(world, plan, "NodeOp", &name, &mut differences);
        }
        for (name, subject) in &self.upgrades {
            subject.check(world, plan, "NodeOpUpgrade", name, &mut differences);
        }
        for (name, subject) in &self.artifacts {
            subject.check(world, plan, "OSArtifact", name, &mut differences);
        }
        for (name, subject) in &self.channels {
            subject.check(world, plan, "UpdateChannel", name, &mut differences);
        }
        if let Some(expected) = &self.sweep {
            let swept = plan.decisions.iter().filter(|decision| decision.subject.kind == "Node");
            let actual: BTreeMap<String, String> =
                swept.map(|decision| (decision.subject.name.clone(), decision.reason.to_string())).collect();
            compare("sweep", expected, &actual, &mut differences);
        }
        self.check_labels(plan, &mut differences);
        if differences.is_empty() { Ok(()) } else { Err(differences.join("\n")) }
    }
}

impl Expect {
    fn check_labels(&self, plan: &Plan, differences: &mut Vec<String>) {
        let decision = plan.decisions.iter().find(|decision| decision.subject.kind == "Namespace");
        if let Some(expected) = &self.labelling {
            let nodes = decision.iter().flat_map(|decision| &decision.nodes);
            compare("labelling", expected, &nodes.map(|(node, why)| (node.clone(), why.reason.to_string())).collect(), differences);
        }
        for (node, part) in &self.said {
            let said = decision.and_then(|decision| decision.nodes.get(node)).map(|why| &*why.message).unwrap_or_default();
            if !said.contains(part) {
                differences.push(format!("of {node} it is said {said:?}, expected {part:?} in it"));
            }
        }
        let settled = decision.is_none_or(|decision| decision.settled && !decision.failed);
        if self.labelled.is_some_and(|expected| expected != settled) {
            differences.push(format!("labelled is {settled}"));
        }
        let written = super::probes::written(plan);
        if self.written.as_ref().is_some_and(|expected| *expected != written) {
            differences.push(format!("written is {written:#?}"));
        }
    }
}

impl Subject {
    fn is_silent(&self) -> bool {
        let Self { reason, phase, settled, failed, message, write, nodes, entries, status, conditions } = self;
        reason.is_none()
            && phase.is_none()
            && settled.is_none()
            && failed.is_none()
            && message.is_none()
            && write.is_none()
            && nodes.is_none()
            && entries.is_empty()
            && status.is_null()
            && conditions.is_none()
    }

    fn check(&self, world: &World, plan: &Plan, kind: &str, name: &str, differences: &mut Vec<String>) {
        let Some(decision) = plan.decisions.iter().find(|decision| decision.subject.kind == kind && decision.subject.name == name) else {
            return differences.push(format!("no decision about {kind} {name}"));
        };
        let status = status_of(world, decision);
        let mut check = |what: &str, expected: Option<String>, actual: String| {
            if let Some(expected) = expected
                && expected != actual
            {
                differences.push(format!("{name}: {what} is {actual}, expected {expected}"));
            }
        };
        check("reason", self.reason.clone(), decision.reason.to_string());
        check("phase", self.phase.clone(), status["phase"].as_str().unwrap_or("unset").to_string());
        check("settled", self.settled.map(|b| b.to_string()), decision.settled.to_string());
        check("failed", self.failed.map(|b| b.to_string()), decision.failed.to_string());
        check("write", self.write.map(|b| b.to_string()), decision.status.is_some().to_string());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let conditions: Vec<String> = conditions.map(|c| format!("{}={}", text(&c["type"]), text(&c["status"]))).collect();
        check("conditions", self.conditions.clone(), conditions.join(" "));
        if let Some(part) = &self.message
            && !decision.message.contains(part)
            && !world.shown(&decision.message).contains(part)
        {
            differences.push(format!("{name}: the message is {:?}, expected {part:?} in it", decision.message));
        }
        if let Some(expected) = &self.nodes {
            let actual: BTreeMap<String, String> =
                decision.nodes.iter().map(|(node, why)| (node.clone(), why.reason.to_string())).collect();
            compare(&format!("{name}: nodes"), expected, &actual, differences);
        }
        for (node, expected) in &self.entries {
            let actual = status.pointer(&format!("/nodeStatuses/{node}")).unwrap_or(&Value::Null);
            part(world, &format!("{name}: entries.{node}"), expected, actual, differences);
        }
        part(world, &format!("{name}: status"), &self.status, &status, differences);
    }
}

/// The status of a resource as it will stand; one that cannot be read has none that could be looked at.
fn status_of(world: &World, decision: &Decision) -> Value {
    if let Some(write) = &decision.status {
        return write.status.tree();
    }
    let (ops, upgrades) = (&world.snapshot.nodeops, &world.snapshot.upgrades);
    let op = ops.iter().find(|op| op.meta.uid == decision.subject.uid).map(|op| json!(op.status));
    let artifact = world.snapshot.artifacts.iter().find(|one| one.meta.uid == decision.subject.uid).map(|one| json!(one.status));
    let channel = world.snapshot.channels.iter().find(|one| one.meta.uid == decision.subject.uid).map(|one| json!(one.status));
    op.or(artifact)
        .or(channel)
        .or_else(|| upgrades.iter().find(|one| one.meta.uid == decision.subject.uid).map(|one| json!(one.status)))
        .unwrap_or_else(|| json!({}))
}

/// Whether what is expected is part of what is there. A text that ends in "…" is the beginning of one.
fn part(world: &World, place: &str, expected: &Value, actual: &Value, differences: &mut Vec<String>) {
    let mut expected = expected.clone();
    with_times(&mut expected);
    match (&expected, actual) {
        (Value::Object(fields), Value::Object(_)) => {
            for (key, value) in fields {
                let there = actual.get(key).unwrap_or(&Value::Null);
                if value.is_null() && !there.is_null() {
                    differences.push(format!("{place}.{key} is {there}, expected nothing"));
                } else if !value.is_null() {
                    part(world, &format!("{place}.{key}"), value, there, differences);
                }
            }
        }
        (Value::Array(items), Value::Array(there)) if items.len() == there.len() => {
            items
                .iter()
                .zip(there)
                .enumerate()
                .for_each(|(at, (item, there))| part(world, &format!("{place}[{at}]"), item, there, differences));
        }
        (Value::Null, Value::Object(_)) if place.ends_with("status") => {}
        (Value::String(expected), Value::String(actual)) => {
            let actual = world.shown(actual);
            let fits = match expected.strip_suffix('…') {
                Some(beginning) => actual.starts_with(beginning),
                None => actual == *expected,
            };
            if !fits {
                differences.push(format!("{place} is {actual:?}, expected {expected:?}"));
            }
        }
        (expected, actual) if expected == actual => {}
        (expected, actual) => differences.push(format!("{place} is {}, expected {expected}", world.shown(&actual.to_string()))),
    }
}

fn compare(what: &str, expected: &BTreeMap<String, String>, actual: &BTreeMap<String, String>, differences: &mut Vec<String>) {
    if expected != actual {
        let text = |map: &BTreeMap<String, String>| lines(&map.iter().map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>());
        let differ = similar::TextDiff::from_lines(text(expected).as_str(), text(actual).as_str()).unified_diff().to_string();
        differences.push(format!("{what} (- expected, + decided):\n{differ}"));
    }
}

fn lines(items: &[String]) -> String {
    items.iter().map(|item| format!("{item}\n")).collect()
}

/// The actions of a decision in the words of the case.
fn summaries(world: &World, decision: &Decision) -> Vec<String> {
    decision.steps.iter().flat_map(|step| &step.actions).map(|action| summary(world, action)).collect()
}

fn summary(world: &World, action: &Action) -> String {
    let target = world.shown(&action.target().to_string());
    match action {
        Action::Create { object } if object["kind"] == "Event" => {
            format!("event {} {}", object["reason"].as_str().unwrap(), object["related"]["name"].as_str().unwrap_or("of the operation"))
        }
        Action::Delete { resource_version: Some(_), .. } => format!("delete {target} if unchanged"),
        Action::Patch { patch, .. } if patch.pointer("/spec/ttlSecondsAfterFinished").is_some() => {
            format!("expire {target} in {}", patch["spec"]["ttlSecondsAfterFinished"])
        }
        Action::Evict { grace_seconds: Some(grace), .. } => format!("evict {target} in {grace}"),
        _ => world.shown(&action.summary()),
    }
}
