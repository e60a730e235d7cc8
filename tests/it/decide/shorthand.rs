//! From the few words of a case to a whole snapshot: what a case does not say is as it is in a quiet cluster.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rounds::names;
use rounds::nodeop::api::{NodeOpSpec, NodeOpStatus};
use rounds::nodeop::spec_hash::spec_hash;
use rounds::settings::Settings;
use rounds::snapshot::views::{Job, Lease, Pod};
use rounds::snapshot::{Meta, Reference, Resource, Snapshot, Unreadable};
use rounds::upgrade::api::{NodeOpUpgradeSpec, NodeOpUpgradeStatus};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::nodes::{node, workload};

/// Times in cases are seconds from here.
const START: &str = "2026-11-21T12:00:00Z";
const TIMES: &[&str] = &[
    "created",
    "deleted",
    "lastUpdated",
    "stepSince",
    "reasonSince",
    "startedAt",
    "completedAt",
    "lastPolled",
    "nextPoll",
    "retryAfter",
    "pollingSince",
    "latestVersionTime",
];

/// A world in the words of a case.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Words {
    now: i64,
    own_node: Option<String>,
    namespaces: Vec<String>,
    nodes: Value,
    /// `spec`, `status`, and metadata of the NodeOp "op".
    op: Value,
    /// More of them, by name.
    ops: Map<String, Value>,
    /// `spec`, `status`, and metadata of NodeOpUpgrades, by name. `madeBy: up` among the fields of an operation makes it the
    /// NodeOp of the upgrade "up".
    upgrades: Map<String, Value>,
    /// `spec`, `status`, and metadata of OSArtifacts, by name.
    artifacts: Map<String, Value>,
    /// `spec`, `status`, and metadata of UpdateChannels, by name.
    channels: Map<String, Value>,
    /// What their URLs have answered in this very round, by name.
    answers: BTreeMap<String, String>,
    /// The claims that are seen when a build begins: views of them.
    claims: Vec<Value>,
    jobs: Vec<Value>,
    pods: Vec<Value>,
    /// Pods on nodes, by node; listed for nodes that drain.
    workloads: BTreeMap<String, Vec<Value>>,
    /// Nodes whose pods were not listed although they drain.
    unlisted: Vec<String>,
    /// How many nodes are probed at a time; none are where a case does not say.
    probing: Option<usize>,
    probes: Vec<Value>,
    budgets: Vec<Value>,
    /// Probes that the server has refused in this very round; "all": none is taken.
    refused_probes: Vec<String>,
    /// What the server said in this very round against making an object, by `Kind name`.
    refused: BTreeMap<String, String>,
    /// `Kind name`; "auto": whatever a GET would confirm.
    absent: Vec<String>,
    unreadable: Vec<String>,
    /// The existing operator holds its lease.
    lease: bool,
    /// The installed definition is an older one.
    older: bool,
}

/// A snapshot, the runner's settings, and what the shorthand stands for.
pub struct World {
    pub snapshot: Snapshot,
    pub settings: Settings,
    pub aliases: BTreeMap<String, String>,
    pub workloads: BTreeMap<String, Vec<Pod>>,
    pub unlisted: Vec<String>,
    /// Claims that were made.
    pub made: std::collections::BTreeSet<String>,
}

/// A time as a case writes it.
pub fn time(seconds: i64) -> Timestamp {
    START.parse::<Timestamp>().unwrap().checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

/// Numbers under the keys of times become times.
pub fn with_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_i64() {
                    Some(seconds) if TIMES.contains(&key.as_str()) => *value = json!(time(seconds)),
                    _ => with_times(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(with_times),
        _ => {}
    }
}

/// `{defaults, fields}` as a typed value; a field that the type does not know is a mistake in the case.
pub fn typed<T: DeserializeOwned + serde::Serialize>(mut defaults: Value, mut fields: Value) -> Result<T, String> {
    with_times(&mut fields);
    with_times(&mut defaults);
    json_patch::merge(&mut defaults, &fields);
    let typed: T = serde_json::from_value(defaults.clone()).map_err(|error| format!("{error} in {defaults}"))?;
    let back = serde_json::to_value(&typed).map_err(|error| error.to_string())?;
    for (key, value) in defaults.as_object().into_iter().flatten() {
        let empty = value.is_null() || *value == json!({}) || *value == json!([]) || *value == json!("");
        if back.get(key).is_none() && !empty {
            return Err(format!("there is no field {key:?} ({defaults})"));
        }
    }
    Ok(typed)
}

/// The name that a case gives to a Job: operation, node, run, and attempt if there was more than one.
fn alias(op: &str, node: &str, run: i64, attempt: i64) -> String {
    if attempt == 0 { format!("{op}-{node}#{run}") } else { format!("{op}-{node}#{run}+{attempt}") }
}

fn upgrade(name: &str, fields: &Value) -> Result<Resource<NodeOpUpgradeSpec, NodeOpUpgradeStatus>, String> {
    let mut meta = fields.clone();
    let parts = meta.as_object_mut().ok_or("must be a map")?;
    let (spec, status) = (parts.remove("spec").unwrap_or(json!({})), parts.remove("status").unwrap_or(json!({})));
    let defaults = json!({
        "namespace": "default", "name": name, "uid": format!("{name}-upgrade"), "resourceVersion": "1", "generation": 1, "created": -3600,
    });
    let spec = typed(json!({"image": "kairos:2"}), spec)?;
    Ok(Resource { meta: typed(defaults, meta)?, spec, status: typed(json!({}), status)? })
}

impl Words {
    pub fn build(&self) -> Result<World, String> {
        let mut snapshot = Snapshot { now: time(self.now), ..Snapshot::default() };
        snapshot.lease = self.lease.then(Lease::default);
        if self.older {
            snapshot.older.insert(rounds::nodeop::api::DEFINITION.into());
        }
        let nodes: Vec<(String, Value)> = match &self.nodes {
            Value::Array(names) => names.iter().map(|name| (name.as_str().unwrap().to_string(), json!({}))).collect(),
            Value::Object(nodes) => nodes.iter().map(|(name, fields)| (name.clone(), fields.clone())).collect(),
            Value::Null => Vec::new(),
            other => return Err(format!("nodes: {other}")),
        };
        for (name, fields) in nodes {
            snapshot.nodes.insert(name.clone(), node(&name, fields)?);
        }
        let mut ops = self.ops.clone();
        if !self.op.is_null() {
            ops.insert("op".into(), self.op.clone());
        }
        let mut world = World {
            aliases: BTreeMap::new(),
            settings: Settings {
                node_name: self.own_node.clone(),
                namespaces: self.namespaces.clone(),
                pod_uid: Some("runner-uid".into()),
                probe_namespace: self.probing.map(|_| super::probes::NAMESPACE.into()),
                probes: self.probing.unwrap_or(20),
                ..Settings::default()
            },
            workloads: BTreeMap::new(),
            unlisted: self.unlisted.clone(),
            made: Default::default(),
            snapshot,
        };
        for (name, fields) in &self.upgrades {
            world.name_jobs(name);
            let resource = upgrade(name, fields).map_err(|error| format!("NodeOpUpgrade {name}: {error}"))?;
            world.snapshot.upgrades.push(resource);
        }
        for (name, fields) in &ops {
            world.name_jobs(name);
            let resource = world.nodeop(name, fields).map_err(|error| format!("NodeOp {name}: {error}"))?;
            world.snapshot.nodeops.push(resource);
        }
        for (name, fields) in &self.channels {
            world.name_jobs(name);
            world.name_jobs(&format!("{name}-k3os"));
            let resource = super::channels::channel(name, fields).map_err(|error| format!("UpdateChannel {name}: {error}"))?;
            world.snapshot.channels.push(resource);
        }
        for (name, words) in &self.answers {
            world.answer(name, &words.split(' ').collect::<Vec<_>>())?;
        }
        for (name, fields) in &self.artifacts {
            world.name_builds(name);
            let resource = super::artifacts::artifact(&world, name, fields).map_err(|error| format!("OSArtifact {name}: {error}"))?;
            world.snapshot.artifacts.push(resource);
        }
        for fields in &self.claims {
            world.snapshot.claims.push(typed(json!({"namespace": "default"}), fields.clone())?);
        }
        world.name_jobs("gone");
        for words in &self.jobs {
            let job = if super::artifacts::is_of_artifact(words) { world.build_job(words)? } else { world.job(words)? };
            world.snapshot.jobs.push(job);
        }
        for words in &self.pods {
            let pod = if super::artifacts::is_of_artifact(words) { world.build_pod(words)? } else { world.pod(words)? };
            world.snapshot.pods.push(pod);
        }
        if self.probing.is_some() {
            world.name_probes();
        }
        for name in &self.refused_probes {
            let what = match name.as_str() {
                "all" => Reference::new("Namespace", "", super::probes::NAMESPACE, ""),
                job => Reference::new("Job", super::probes::NAMESPACE, &world.real(job), ""),
            };
            world.snapshot.refused.insert(what, "exceeded quota".into());
        }
        for (what, message) in &self.refused {
            let (kind, name) = what.split_once(' ').ok_or("refused: Kind name")?;
            let what = Reference::new(kind, "default", &world.real(name), "");
            world.snapshot.refused.insert(what, message.clone());
        }
        for words in &self.probes {
            let probe = world.probe(words)?;
            world.snapshot.probes.push(probe);
        }
        for (node, pods) in &self.workloads {
            let pods = pods.iter().map(|words| workload(node, words)).collect::<Result<Vec<_>, _>>()?;
            world.workloads.insert(node.clone(), pods);
        }
        for fields in &self.budgets {
            let defaults = json!({"namespace": "web", "selector": {}, "allowed": 0, "current": true});
            world.snapshot.budgets.push(typed(defaults, fields.clone())?);
        }
        for name in &self.unreadable {
            world.snapshot.unreadable.push(Unreadable {
                what: Reference::new("NodeOp", "default", name, &format!("{name}-uid")),
                error: "spec: missing field `command`".into(),
                ..Unreadable::default()
            });
        }
        world.list_drains();
        for what in &self.absent {
            match what.split_once(' ') {
                None if what == "auto" => world.look(),
                Some((kind, name)) => {
                    let namespace = if kind == "Node" { "" } else { "default" };
                    let real = world.real(name);
                    world.snapshot.absent.insert(Reference::new(kind, namespace, &real, &format!("{name}-uid")));
                }
                None => return Err(format!("absent: {what}")),
            }
        }
        Ok(world)
    }
}

impl World {
    /// What a case calls the Jobs and preflight pods that an operation may make.
    fn name_jobs(&mut self, op: &str) {
        let uid = format!("{op}-uid");
        let names: Vec<String> = self.snapshot.nodes.keys().cloned().chain((1..=3).map(|n| format!("n{n}"))).collect();
        for node in names {
            for (node_uid, shown) in [(format!("{node}-uid"), node.clone()), (format!("{node}-uid2"), format!("{node}'"))] {
                for run in 1..=6 {
                    let preflight = names::preflight_name(op, &uid, &node, &node_uid, run);
                    self.aliases.insert(format!("preflight-{}", alias(op, &shown, run, 0)), preflight);
                    for attempt in 0..=3 {
                        let name = names::job_name(op, &uid, &node, &node_uid, run, attempt);
                        self.aliases.insert(alias(op, &shown, run, attempt), name);
                        let reboot = names::reboot_name(op, &uid, &node, &node_uid, run, attempt);
                        self.aliases.insert(format!("reboot-{}", alias(op, &shown, run, attempt)), reboot);
                    }
                }
            }
        }
    }

    /// The name that stands in the cluster.
    pub fn real(&self, name: &str) -> String {
        self.aliases.get(name).cloned().unwrap_or_else(|| name.to_string())
    }

    /// A text with the names of the cluster replaced by those of the case.
    pub fn shown(&self, text: &str) -> String {
        let mut text = text.replace("default/", "");
        for (alias, real) in &self.aliases {
            text = text.replace(real.as_str(), alias);
        }
        text
    }

    fn nodeop(&self, name: &str, fields: &Value) -> Result<Resource<NodeOpSpec, NodeOpStatus>, String> {
        let mut meta = fields.clone();
        let parts = meta.as_object_mut().ok_or("must be a map")?;
        let (spec, status) = (parts.remove("spec").unwrap_or(json!({})), parts.remove("status"));
        let mut defaults = json!({
            "namespace": "default", "name": name, "uid": format!("{name}-uid"), "resourceVersion": "1", "generation": 1, "created": -3600,
        });
        let mut spec_defaults = json!({"command": ["run"]});
        if let Some(by) = parts.remove("madeBy") {
            let upgrade = self.snapshot.upgrades.iter().find(|upgrade| upgrade.meta.name == by).ok_or("there is no such upgrade")?;
            let object = rounds::upgrade::child::object(upgrade);
            spec_defaults = object["spec"].clone();
            defaults["annotations"] = object["metadata"]["annotations"].clone();
            let owner = &object["metadata"]["ownerReferences"][0];
            defaults["owner"] = json!({"kind": owner["kind"], "name": owner["name"], "uid": owner["uid"]});
        }
        let spec: NodeOpSpec = typed(spec_defaults, spec)?;
        let meta: Meta = typed(defaults, meta)?;
        let status = status.map(|status| self.status(name, &spec, status)).transpose()?.unwrap_or_default();
        Ok(Resource { meta, spec, status })
    }

    fn status(&self, op: &str, spec: &NodeOpSpec, mut fields: Value) -> Result<NodeOpStatus, String> {
        let parts = fields.as_object_mut().ok_or("status: must be a map")?;
        let entries = parts.remove("entries").unwrap_or(json!({}));
        let run = parts.get("run").and_then(Value::as_i64).unwrap_or(1);
        let foreign = parts.remove("foreign").is_some();
        let mut defaults = json!({"phase": "Running"});
        if !foreign {
            let more = json!({"specHash": spec_hash(spec), "run": run, "specRun": run, "startedAt": -600});
            json_patch::merge(&mut defaults, &more);
        }
        let mut built = Map::new();
        for (node, words) in entries.as_object().ok_or("entries: must be a map")? {
            built.insert(node.clone(), if foreign { self.named(words.clone()) } else { self.entry(op, node, run, words, spec.reboots()) });
        }
        defaults["nodeStatuses"] = built.into();
        typed(defaults, fields)
    }

    /// Names of Jobs in an entry, as they stand in the cluster.
    fn named(&self, mut entry: Value) -> Value {
        if let Some(name) = entry.get("jobName").and_then(Value::as_str) {
            entry["jobName"] = json!(self.real(name));
        }
        entry
    }

    /// An entry: `Completed`, `Failed NodeTimeout`, a step such as `Draining`, or `Releasing Failed CommandFailed`; or a
    /// map with that under `is` and what differs.
    fn entry(&self, op: &str, node: &str, run: i64, words: &Value, reboots: bool) -> Value {
        let more = words.as_object().cloned().unwrap_or_default();
        let run = more.get("run").and_then(Value::as_i64).unwrap_or(run);
        let is = words.as_str().or_else(|| words["is"].as_str()).unwrap_or("Completed");
        let mut is = is.split(' ');
        let first = is.next().unwrap_or_default();
        let job = alias(op, node, run, more.get("attempt").and_then(Value::as_i64).unwrap_or(0));
        let mut entry = json!({"rebootStatus": "not-requested", "lastUpdated": -60});
        if !matches!(first, "Completed" | "Failed" | "Pending") {
            let reason = match first {
                "Preflight" => "PreflightRunning",
                other => other,
            };
            let phase = match first {
                "Preflight" => "Preflight",
                "Running" | "Rebooting" | "Verifying" | "Cancelling" => "Running",
                _ => "Pending",
            };
            json_patch::merge(
                &mut entry,
                &json!({
                    "step": first, "stepSince": -60, "phase": phase, "reason": reason, "reasonSince": -60,
                    "nodeUID": format!("{node}-uid"), "run": run, "message": "as recorded",
                }),
            );
            if reboots && !matches!(first, "Preflight" | "Releasing") {
                entry["rebootStatus"] = json!("pending");
            }
            if matches!(first, "Running" | "Rebooting" | "Verifying" | "Cancelling" | "Releasing") {
                json_patch::merge(&mut entry, &json!({"jobName": self.real(&job), "jobUID": format!("{job}-uid")}));
            }
        }
        let phase = if first == "Releasing" { is.next() } else { Some(first).filter(|_| entry.get("step").is_none()) };
        if let Some(phase) = phase {
            entry["phase"] = json!(phase);
            let usual = if phase == "Failed" { "CommandFailed" } else { "Succeeded" };
            if phase != "Pending" {
                entry["jobName"] = json!(self.real(&job));
                entry["reason"] = json!(is.next().unwrap_or(usual));
                entry["message"] = json!("as recorded");
            }
        }
        let mut more = self.named(Value::Object(more));
        more.as_object_mut().unwrap().remove("is");
        json_patch::merge(&mut entry, &more);
        entry
    }

    /// Operation, node, run and attempt of a Job by the name that the case gives it.
    pub fn parse(&self, name: &str) -> Result<(String, String, i64, i64), String> {
        let (path, run) = name.split_once('#').ok_or_else(|| format!("{name} is no Job of the case"))?;
        // What a channel makes for k3OS nodes has a hyphen in its name.
        let of_channel = path.find("-k3os-").map(|at| (&path[..at + 5], &path[at + 6..]));
        let (op, node) = of_channel.or_else(|| path.split_once('-')).ok_or_else(|| format!("{name} is no Job of the case"))?;
        let (run, attempt) = run.split_once('+').unwrap_or((run, "0"));
        Ok((op.into(), node.into(), run.parse().map_err(|_| name.to_string())?, attempt.parse().map_err(|_| name.to_string())?))
    }

    /// `op-n1#1 running`, or held, complete, failed, deleting; or a map with that under `is` and what differs.
    pub fn job(&self, words: &Value) -> Result<Job, String> {
        let is = words.as_str().or_else(|| words["is"].as_str()).ok_or("a Job without a name")?;
        let mut is = is.split(' ');
        let name = is.next().unwrap_or_default();
        let (op, node, run, _) = self.parse(name)?;
        let mut job = json!({
            "namespace": "default", "name": self.real(name), "uid": format!("{name}-uid"), "resourceVersion": "1", "run": run,
            "owner": {"kind": "NodeOp", "name": op, "uid": format!("{op}-uid")}, "node": node.trim_end_matches('\''), "created": -50,
        });
        for state in is {
            match state {
                "running" => {}
                "held" => job["held"] = json!(true),
                "deleting" => job["deleting"] = json!(true),
                "complete" => job["complete"] = json!(true),
                "failed" => {
                    job["failed"] = json!({"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"})
                }
                other => return Err(format!("{other} is no state of a Job")),
            }
        }
        let mut more = words.as_object().cloned().unwrap_or_default();
        more.remove("is");
        typed(job, Value::Object(more))
    }
}
