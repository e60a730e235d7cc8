//! What is compared, in words that are the same on both sides: without uids, times, and the parts of names that are made up.

use std::collections::BTreeMap;

use http::Method;
use rounds::names;
use rounds::nodeop::api::{NodeOpSpec, NodeOpStatus};
use rounds::outcome::Verdict;
use rounds::plan::Action;
use rounds::simulate::writes::What;
use rounds::snapshot::Resource;
use rounds::snapshot::views::{Budget, Holder, Job, Node, Pod};
use serde_json::Value;

use crate::harness::proxy::Asked;

/// A cluster at rest.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub nodes: Vec<Node>,
    pub operations: Vec<Resource<NodeOpSpec, NodeOpStatus>>,
    pub jobs: Vec<Job>,
    /// Pods of ours.
    pub pods: Vec<Pod>,
    /// Everybody else's.
    pub others: Vec<Pod>,
    pub budgets: Vec<Budget>,
}

/// Short names: of nodes without the corner's, of uids those of the operations that had them.
#[derive(Clone, Debug, Default)]
pub struct Words {
    corner: String,
    operations: BTreeMap<String, String>,
}

impl Words {
    pub fn of(corner: &str) -> Self {
        Self { corner: corner.into(), operations: BTreeMap::new() }
    }

    /// Remembers the corner's operations by their uids; a second one of the same name is `op#2`.
    pub fn meet<'a>(&mut self, operations: impl IntoIterator<Item = &'a Resource<NodeOpSpec, NodeOpStatus>>) {
        for op in operations.into_iter().filter(|op| op.meta.namespace == self.corner) {
            let name = &op.meta.name;
            let known = self.operations.values().filter(|known| known.split('#').next() == Some(name)).count();
            let word = if known == 0 { name.clone() } else { format!("{name}#{}", known + 1) };
            self.operations.entry(op.meta.uid.clone()).or_insert(word);
        }
    }

    /// A text without the corner's name.
    pub fn plain(&self, text: &str) -> String {
        text.replace(&format!("{0}-", self.corner), "").replace(&format!("{0}/", self.corner), "")
    }

    fn uid(&self, uid: &str) -> String {
        self.operations.get(uid).cloned().unwrap_or_else(|| format!("unknown {uid}"))
    }

    fn manager(&self, manager: &str) -> String {
        manager.strip_prefix("rounds-").map_or_else(|| manager.to_string(), |uid| format!("rounds of {}", self.uid(uid)))
    }

    /// A write, and what was answered.
    pub fn outcome(&self, write: &str, verdict: &Verdict) -> String {
        let class = serde_json::to_value(verdict).expect("a verdict")["verdict"].as_str().unwrap_or_default().to_string();
        format!("{write}: {class}")
    }

    /// A name without what was made up at its end: of our own objects a hash, of a Deployment's pods all but its name.
    fn name(&self, kind: &str, name: &str) -> String {
        let name = self.plain(name);
        match kind {
            "Job" | "Pod" => name.rsplit_once('-').map_or(name.clone(), |(base, _)| base.to_string()),
            _ => name,
        }
    }

    fn app(&self, pod: &str) -> String {
        self.plain(pod).split('-').next().unwrap_or_default().to_string()
    }

    /// A write that is planned.
    pub fn planned(&self, what: &What) -> String {
        let action = match what {
            What::Status(write) => return format!("status {}", write.of.name),
            What::Action(action) => action,
        };
        let target = action.target();
        let (kind, name) = (target.kind.as_str(), self.name(&target.kind, &target.name));
        match action {
            Action::Create { .. } if kind == "Event" => "create Event".into(),
            Action::Create { .. } => format!("create {kind} {name}"),
            Action::ApplyNode(apply) => match (&apply.lock, &apply.cordon) {
                (Some(_), Some(_)) => format!("lock and cordon {name}"),
                (Some(_), None) => format!("lock {name}"),
                (None, Some(_)) => format!("unlock {name} cordoned"),
                (None, None) => format!("unlock {name}"),
            },
            Action::LabelNode(_) => format!("label {name}"),
            Action::TakeOver(_) => format!("take over {name}"),
            Action::Patch { patch, .. } if patch.pointer("/spec/parallelism").is_some() => format!("start {name}"),
            Action::Patch { .. } if kind == "Pod" => format!("approve {name}"),
            Action::Patch { .. } => format!("patch {kind} {name}"),
            Action::Evict { pod, .. } => format!("evict {}", self.app(&pod.name)),
            Action::Delete { .. } => format!("delete {kind} {name}"),
        }
    }

    /// A write that arrives; None for Events.
    pub fn asked(&self, asked: &Asked) -> Option<String> {
        asked.write?;
        let path: Vec<&str> = asked.path.trim_matches('/').split('/').collect();
        let text = |pointer: &str| asked.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (kind, name) = match path.as_slice() {
            [.., "nodeops", name, "status"] => return Some(format!("status {name}")),
            [.., "pods", name, "eviction"] => return Some(format!("evict {}", self.app(name))),
            [.., "nodes", name] => {
                let node = self.plain(name);
                let cordon = asked.body.pointer("/spec/unschedulable").is_some();
                let lock = asked.body.pointer("/metadata/annotations/operator.kairos.io~1operation").is_some();
                return Some(match (lock, cordon) {
                    (true, true) => format!("lock and cordon {node}"),
                    (true, false) => format!("lock {node}"),
                    (false, true) => format!("unlock {node} cordoned"),
                    (false, false) => format!("unlock {node}"),
                });
            }
            [.., "jobs"] => ("Job", text("/metadata/name")),
            [.., "pods"] => ("Pod", text("/metadata/name")),
            [.., "jobs", name] => ("Job", *name),
            [.., "pods", name] => ("Pod", *name),
            _ => return Some(format!("{} {}", asked.method, asked.path)),
        };
        let name = self.name(kind, name);
        Some(match (&asked.method, kind) {
            (&Method::POST, _) => format!("create {kind} {name}"),
            (&Method::DELETE, _) => format!("delete {kind} {name}"),
            (_, "Job") if asked.body.pointer("/spec/parallelism").is_some() => format!("start {name}"),
            (_, "Pod") => format!("approve {name}"),
            _ => format!("patch {kind} {name}"),
        })
    }

    /// A cluster at rest, a line per object, in a fixed order.
    pub fn lines(&self, seen: &Seen) -> Vec<String> {
        let nodes = seen.nodes.iter().map(|node| self.node(node));
        let operations = seen.operations.iter().flat_map(|op| self.operation(op));
        let jobs = seen.jobs.iter().map(|job| self.job(job));
        let pods = seen.pods.iter().map(|pod| self.pod(pod));
        let others = seen.others.iter().map(|pod| {
            let node = if pod.node.is_empty() { "no node".into() } else { self.plain(&pod.node) };
            format!("pod of {} on {node}: ready {}", self.app(&pod.name), pod.ready)
        });
        let budgets = seen.budgets.iter().map(|budget| format!("budget {}: allows {}", budget.name, budget.allowed));
        let mut lines: Vec<String> = nodes.chain(operations).chain(jobs).chain(pods).chain(others).chain(budgets).collect();
        lines.sort();
        lines
    }

    fn node(&self, node: &Node) -> String {
        let holder = |holder: &Option<Holder>| {
            let word = |holder: &Holder| format!("{} by {}", self.uid(holder.uid()), self.manager(&holder.manager));
            holder.as_ref().map_or_else(|| "none".to_string(), word)
        };
        let managers: Vec<String> = node.cordon_managers.iter().map(|manager| self.manager(manager)).collect();
        format!(
            "node {}: ready {}, cordoned {} by {managers:?}, lock {}, mark {}",
            self.plain(&node.name),
            node.ready,
            node.unschedulable,
            holder(&node.lock),
            holder(&node.cordoned_by)
        )
    }

    fn operation(&self, op: &Resource<NodeOpSpec, NodeOpStatus>) -> Vec<String> {
        let (word, status) = (self.uid(&op.meta.uid), &op.status);
        let why: Vec<&str> = status.conditions.iter().map(|condition| condition.reason.as_str()).collect();
        let (phase, run) = (status.phase, status.run);
        let head = format!("operation {word}: {phase:?} {why:?} run {run:?} deleting {}", op.meta.deleting);
        let entries = status.node_statuses.iter().map(|(node, entry)| {
            let reason = entry.reason.as_deref().unwrap_or_default();
            let reboot = entry.reboot_status.as_deref().unwrap_or_default();
            let (job, run, attempt) = (entry.job_uid.is_some(), entry.run, entry.attempt);
            let (phase, step) = (entry.phase, entry.step);
            format!("operation {word} on {}: {phase:?} {step:?} {reason} {reboot} job {job} run {run:?} {attempt:?}", self.plain(node))
        });
        [head].into_iter().chain(entries).collect()
    }

    fn job(&self, job: &Job) -> String {
        let ended = match (&job.failed, job.complete) {
            (Some(trouble), _) => trouble.reason.as_str(),
            (None, true) => "complete",
            (None, false) => "not ended",
        };
        let run = job.run.unwrap_or_default();
        format!("job {}: run {run}, held {}, {ended}, deleting {}", self.name("Job", &job.name), job.held, job.deleting)
    }

    fn pod(&self, pod: &Pod) -> String {
        let operation = pod.labels.get(names::LABEL_NODEOP).map(String::as_str).unwrap_or_default();
        let kind = [names::LABEL_PREFLIGHT, names::LABEL_REBOOT].into_iter().find(|label| pod.labels.contains_key(*label));
        let kind = kind.unwrap_or("kairos.io/job");
        let ended: Vec<String> = pod.containers.iter().map(|container| format!("{} {:?}", container.name, code(container))).collect();
        format!("pod {kind} of {operation} on {}: {} {ended:?}, deleting {}", self.plain(&pod.node), pod.phase, pod.deleted.is_some())
    }
}

/// With what a container has ended.
fn code(container: &rounds::snapshot::views::Container) -> Option<i32> {
    match &container.state {
        rounds::snapshot::views::ContainerState::Ended(exit) => Some(exit.code),
        _ => None,
    }
}
