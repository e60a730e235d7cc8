//! From the few words of a case to a pod of an operation: its command's, its preflight's, or the one that reboots.

use rounds::names;
use rounds::snapshot::views::Pod;
use serde_json::{Value, json};

use super::shorthand::{World, typed};

impl World {
    /// `op-n1#1 running`, pending, `exit 3`, `told b1`, `telling`; `preflight-op-n1#1 succeeded already there`;
    /// `reboot-op-n1#1 running`; or a map as for Jobs. `reboot-op-n1#9 rebooted`, with a run that is none of ours, is the
    /// existing operator's.
    pub fn pod(&self, words: &Value) -> Result<Pod, String> {
        let is = words.as_str().or_else(|| words["is"].as_str()).ok_or("a Pod without a name")?;
        let mut is = is.splitn(3, ' ');
        let name = is.next().unwrap_or_default();
        let preflight = name.strip_prefix("preflight-");
        let reboot = name.strip_prefix("reboot-");
        let (op, node, run, _) = self.parse(preflight.or(reboot).unwrap_or(name))?;
        let mut labels = json!({
            names::LABEL_NODEOP: op, names::LABEL_NODE: node, names::LABEL_OWNER_UID: format!("{op}-uid"), names::LABEL_RUN: run.to_string(),
        });
        let mut owner = json!({"kind": "Job", "name": self.real(name), "uid": format!("{name}-uid")});
        if preflight.is_some() {
            labels[names::LABEL_PREFLIGHT] = json!("true");
            owner = json!({"kind": "NodeOp", "name": op, "uid": format!("{op}-uid")});
        }
        let ours = self.aliases.contains_key(name);
        if reboot.is_some() {
            if !ours {
                labels = json!({names::LABEL_NODEOP: op, names::LABEL_NODE: node});
            }
            labels[names::LABEL_REBOOT] = json!("true");
            owner = json!({"kind": "NodeOp", "name": op, "uid": format!("{op}-uid")});
        }
        let state = is.next().unwrap_or("running");
        let rest = is.next().unwrap_or_default();
        let container = match (preflight, reboot) {
            (Some(_), _) => "preflight",
            (_, Some(_)) => "reboot",
            _ => "nodeop",
        };
        let ended = |code: i64, message: &str| json!([{"name": container, "state": {"ended": {"code": code, "message": message}}}]);
        let (phase, containers) = match state {
            "running" => ("Running", json!([{"name": container, "state": "running"}])),
            "pending" => ("Pending", json!([{"name": container}])),
            "succeeded" | "rebooted" => ("Succeeded", ended(0, rest)),
            "exit" if rest == "0" => ("Succeeded", ended(0, "")),
            "exit" => ("Failed", ended(rest.parse().map_err(|_| format!("exit {rest}"))?, "")),
            // The command succeeded, and the next container tells of which boot.
            "told" | "telling" => {
                let told = state == "told";
                let sentinel = if told { json!({"ended": {"code": 0, "message": rest}}) } else { json!("unknown") };
                let containers =
                    json!([{"name": "nodeop", "state": {"ended": {"code": 0}}}, {"name": "sentinel-creator", "state": sentinel}]);
                (if told { "Succeeded" } else { "Pending" }, containers)
            }
            "refused" => ("Failed", json!([{"name": container}])),
            "pulling" => {
                ("Pending", json!([{"name": container, "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]))
            }
            other => return Err(format!("{other} is no state of a Pod")),
        };
        let mut pod = json!({
            "namespace": "default", "name": if preflight.is_some() || reboot.is_some() && ours { self.real(name) } else { format!("{name}-pod") }, "uid": format!("{name}-pod-uid"),
            "owner": owner, "labels": labels, "node": node.trim_end_matches('\''), "phase": phase, "containers": containers,
        });
        if state == "rebooted" {
            pod["rebooted"] = json!(true);
        }
        if state == "refused" {
            pod["trouble"] = json!({"reason": "NodeAffinity", "message": "Pod was rejected"});
        }
        let mut more = words.as_object().cloned().unwrap_or_default();
        more.remove("is");
        typed(pod, Value::Object(more))
    }
}
