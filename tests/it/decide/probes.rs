//! From the few words of a case to the probe of a node.

use std::collections::BTreeMap;

use rounds::names;
use rounds::snapshot::views::Probe;
use serde_json::{Map, Value, json};

use super::shorthand::{World, typed};

/// Where cases probe nodes.
pub const NAMESPACE: &str = "default";
/// The boots that nodes of cases are in.
const BOOTS: [&str; 3] = ["b1", "b2", "b9"];

impl World {
    /// What a case calls the probes that a round may make: `probe-n1@b1`, and `probe-n1@b1+1` after one that failed.
    pub fn name_probes(&mut self) {
        let nodes: Vec<String> = self.snapshot.nodes.keys().cloned().collect();
        for (node, boot, attempt) in nodes.iter().flat_map(|node| BOOTS.iter().flat_map(move |boot| (0..8).map(move |at| (node, boot, at))))
        {
            for (uid, shown) in [(format!("{node}-uid"), node.clone()), (format!("{node}-uid2"), format!("{node}'"))] {
                self.aliases.insert(called(&shown, boot, attempt), names::probe_name(node, &uid, boot, attempt));
            }
        }
    }

    /// `n1 running`, pending, pulling, complete, failed, deleting, `exit 1`, or `told` with labels and annotations; or a map
    /// with that under `is`, and with `boot`, `attempt`, `tells` (another boot) and `created` where they differ.
    pub fn probe(&self, words: &Value) -> Result<Probe, String> {
        let is = words.as_str().or_else(|| words["is"].as_str()).ok_or("a probe of no node")?;
        let (node, state) = is.split_once(' ').unwrap_or((is, "running"));
        let boot = words["boot"].as_str().unwrap_or("b1");
        let attempt = words["attempt"].as_i64().unwrap_or(0);
        let name = called(node, boot, attempt);
        let uid = self.snapshot.nodes.get(node).map_or_else(|| format!("{node}-uid"), |node| node.uid.clone());
        let mut job = json!({
            "namespace": NAMESPACE, "name": self.real(&name), "uid": format!("{name}-uid"), "resourceVersion": "1", "node": node,
            "owner": {"kind": "Node", "name": node, "uid": uid}, "created": words.get("created").cloned().unwrap_or(json!(-30)),
        });
        let map = |key: &str| words.get(key).cloned().unwrap_or(json!({}));
        let told = json!({"bootId": words["tells"].as_str().unwrap_or(boot), "labels": map("labels"), "annotations": map("annotations")});
        let ended = |code: i64, message: &str| json!({"ended": {"code": code, "message": message}});
        let (phase, container) = match state {
            "running" => ("Running", json!("running")),
            "pending" => ("Pending", json!("unknown")),
            "pulling" => ("Pending", json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})),
            "told" => ("Succeeded", ended(0, &told.to_string())),
            "babbled" => ("Succeeded", ended(0, "hello")),
            "exit 1" => ("Failed", ended(1, "permission denied")),
            _ => ("", Value::Null),
        };
        match state {
            "complete" => job["complete"] = json!(true),
            "failed" => job["failed"] = json!({"reason": "DeadlineExceeded", "message": "Job was active longer than specified deadline"}),
            "refused" => job["warnings"] = json!([{"reason": "FailedCreate", "message": "violates PodSecurity"}]),
            "deleting" => job["deleting"] = json!(true),
            _ if phase.is_empty() => return Err(format!("{state} is no state of a probe")),
            _ => {}
        }
        let pod = json!({
            "namespace": NAMESPACE, "name": format!("{name}-pod"), "uid": format!("{name}-pod-uid"), "node": node, "phase": phase,
            "owner": {"kind": "Job", "name": self.real(&name), "uid": format!("{name}-uid")}, "labels": {names::LABEL_PROBE: "true"},
            "containers": [{"name": names::CONTAINER_PROBE, "state": container}],
        });
        let pod = if phase.is_empty() { None } else { Some(typed(pod, json!({}))?) };
        Ok(Probe { job: typed(job, json!({}))?, boot_id: boot.into(), attempt, pod })
    }

    /// The probe of a node that was made last says so.
    pub fn probe_is(&mut self, node: &str, state: &str, more: &Value) -> Result<(), String> {
        let of_node = |probe: &&mut Probe| probe.job.node == node;
        let last =
            self.snapshot.probes.iter().filter(|probe| probe.job.node == node).map(|probe| (probe.attempt, probe.boot_id.clone())).max();
        let (attempt, boot) = last.ok_or_else(|| format!("there is no probe of {node}"))?;
        let mut words = json!({"is": format!("{node} {state}"), "attempt": attempt, "boot": boot});
        json_patch::merge(&mut words, more);
        let said = self.probe(&words)?;
        let probe = self.snapshot.probes.iter_mut().filter(of_node).find(|probe| probe.attempt == attempt && probe.boot_id == boot);
        let probe = probe.ok_or("it is gone")?;
        let (created, uid) = (probe.job.created, probe.job.uid.clone());
        *probe = said;
        (probe.job.created, probe.job.uid) = (created, uid);
        Ok(())
    }
}

fn called(node: &str, boot: &str, attempt: i64) -> String {
    if attempt == 0 { format!("probe-{node}@{boot}") } else { format!("probe-{node}@{boot}+{attempt}") }
}

/// What stands on a node: `key=value manager…` under `marks`.
pub fn marks(words: &[Value]) -> Map<String, Value> {
    let mark = |words: &Value| {
        let mut parts = words.as_str().unwrap_or_default().split(' ');
        let (key, value) = parts.next().unwrap_or_default().split_once('=').unwrap_or_default();
        (key.to_string(), json!({"value": value, "managers": parts.collect::<Vec<_>>()}))
    };
    words.iter().map(mark).collect()
}

/// What a plan writes on nodes as labels and annotations, by node and key.
pub fn written(plan: &rounds::plan::Plan) -> BTreeMap<String, BTreeMap<String, String>> {
    let actions = plan.decisions.iter().flat_map(|decision| &decision.steps).flat_map(|step| &step.actions);
    let writes = actions.filter_map(|action| match action {
        rounds::plan::Action::LabelNode(write) => {
            let all = write.labels.iter().chain(&write.annotations).map(|(key, value)| (key.clone(), value.clone())).collect();
            Some((write.node.name.clone(), all))
        }
        _ => None,
    });
    writes.collect()
}
