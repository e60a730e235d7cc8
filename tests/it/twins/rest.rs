//! When a corner of the real control plane is at rest: controllers and kwok have done all that they do.

use std::collections::BTreeSet;

use serde_json::Value;

/// The objects of a corner as the apiserver shows them.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    pub nodes: Vec<Value>,
    pub operations: Vec<Value>,
    pub jobs: Vec<Value>,
    pub pods: Vec<Value>,
    pub budgets: Vec<Value>,
    pub deployments: Vec<Value>,
}

impl Objects {
    /// What tells one moment from another.
    pub fn versions(&self) -> BTreeSet<(&str, &str)> {
        let all = [&self.nodes, &self.operations, &self.jobs, &self.pods, &self.budgets].into_iter().flatten();
        all.map(|object| (text(object, "/metadata/uid"), text(object, "/metadata/resourceVersion"))).collect()
    }

    /// What is still going to happen by itself before long; None: nothing.
    pub fn busy(&self) -> Option<String> {
        let nodes = self.nodes.iter().find_map(|node| (!is_ready(node)).then(|| "is not Ready".to_string()).map(|what| said(node, &what)));
        let operations = self.operations.iter().find_map(|op| is_deleting(op).then(|| said(op, "is being deleted")));
        let jobs = || self.jobs.iter().find_map(|job| self.job(job).map(|what| said(job, what)));
        let pods = || self.pods.iter().find_map(|pod| self.pod(pod).map(|what| said(pod, what)));
        nodes.or(operations).or_else(jobs).or_else(pods).or_else(|| self.workload())
    }

    fn job(&self, job: &Value) -> Option<&'static str> {
        let held = job["spec"]["parallelism"] == 0;
        let finished = conditions(job).any(|condition| is_true(condition, &["Complete", "Failed"]));
        let own = |pod: &&Value| owner(pod) == uid(job);
        let live = self.pods.iter().filter(own).any(|pod| !is_terminal(pod));
        if is_deleting(job) || !self.operations.iter().any(|op| uid(op) == owner(job)) {
            return Some("is going to be removed");
        }
        if finished && job["spec"]["ttlSecondsAfterFinished"].as_i64().is_some_and(|ttl| ttl < 10) {
            return Some("is going to expire");
        }
        if !held && !finished && !live { Some("is going to get a pod, or to end") } else { None }
    }

    fn pod(&self, pod: &Value) -> Option<&'static str> {
        let node = text(pod, "/spec/nodeName");
        if !node.is_empty() && !self.nodes.iter().any(|there| name(there) == node) {
            // The pod garbage collector comes by in a minute or so.
            return None;
        }
        if is_deleting(pod) {
            return Some("is ending");
        }
        let owners = [&self.jobs, &self.operations].into_iter().flatten();
        let ours = is_ours(pod);
        if ours && !owners.into_iter().any(|there| uid(there) == owner(pod)) {
            return Some("is going to be removed");
        }
        if node.is_empty() {
            let takes = |node: &&Value| node["spec"]["unschedulable"] != true && is_ready(node);
            return self.nodes.iter().any(|node| takes(&node)).then_some("is going to be scheduled");
        }
        if pod["status"]["startTime"].is_null() {
            return Some("is going to start");
        }
        if !ours {
            return (!is_ready(pod)).then_some("is going to be Ready");
        }
        (!is_terminal(pod) && !is_lasting(pod)).then_some("is going to end")
    }

    /// Deployments have their pods, and budgets have counted them.
    fn workload(&self) -> Option<String> {
        let pods = |name: &str| self.pods.iter().filter(|pod| text(pod, "/metadata/labels/app") == name && !is_deleting(pod)).count();
        let replicas = |deployment: &Value| usize::try_from(deployment["spec"]["replicas"].as_u64().unwrap_or(0)).unwrap_or(0);
        let short = self.deployments.iter().find(|deployment| pods(name(deployment)) != replicas(deployment));
        let healthy = |budget: &Value| {
            let app = text(budget, "/spec/selector/matchLabels/app");
            self.pods.iter().filter(|pod| text(pod, "/metadata/labels/app") == app && is_ready(pod)).count()
        };
        let is_stale = |budget: &&Value| {
            budget["status"]["observedGeneration"] != budget["metadata"]["generation"]
                || budget["status"]["currentHealthy"].as_u64() != u64::try_from(healthy(budget)).ok()
        };
        let stale = self.budgets.iter().find(is_stale);
        short.map(|deployment| said(deployment, "lacks pods")).or_else(|| stale.map(|budget| said(budget, "has not been counted")))
    }
}

/// Whether a pod of ours goes on until somebody does something: it was told to hang, or waits to reboot its node.
fn is_lasting(pod: &Value) -> bool {
    let containers = ["initContainers", "containers"].into_iter().flat_map(|field| pod["spec"][field].as_array().into_iter().flatten());
    let words = containers.filter_map(|container| container["command"][0].as_str());
    text(pod, "/spec/containers/0/name") == "reboot" || words.into_iter().any(|word| word == "hang" || word == "no-image")
}

/// Whether a pod belongs to an operation.
pub fn is_ours(pod: &Value) -> bool {
    !text(pod, "/metadata/labels/kairos.io~1nodeop").is_empty()
}

/// Whether a pod has ended.
pub fn is_terminal(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// An object's name.
pub fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// What stands somewhere in an object; "" if nothing does.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

fn owner(object: &Value) -> &str {
    text(object, "/metadata/ownerReferences/0/uid")
}

fn is_deleting(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

fn conditions(object: &Value) -> impl Iterator<Item = &Value> {
    object["status"]["conditions"].as_array().into_iter().flatten()
}

fn is_true(condition: &Value, types: &[&str]) -> bool {
    condition["status"] == "True" && condition["type"].as_str().is_some_and(|kind| types.contains(&kind))
}

fn is_ready(object: &Value) -> bool {
    conditions(object).any(|condition| is_true(condition, &["Ready"]))
}

fn said(object: &Value, what: &str) -> String {
    format!("{} {} {what}", text(object, "/kind"), name(object))
}
