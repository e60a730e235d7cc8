//! The Pod that waits on a node to reboot it: what it looks like, when it is there, and when it may.
//!
//! It is made before the Job, so that a node where it cannot run is not touched. It does nothing but wait until its own
//! annotation names the boot that the node is in, and ends as soon as the node is in another one.

use serde_json::{Value, json};

use super::jobs::Claim;
use super::place::{Advance, Place};
use super::rebooting;
use super::running;
use super::verdict;
use crate::names;
use crate::plan::Action;
use crate::reason::Reason;
use crate::settings::Settings;
use crate::snapshot::Reference;
use crate::snapshot::views::{Node, Pod};

impl Claim<'_> {
    /// Name of the claim's reboot Pod.
    pub fn reboot_name(&self) -> String {
        names::reboot_name(&self.meta.name, &self.meta.uid, &self.node.name, &self.node.uid, self.run, self.attempt)
    }

    /// Where on the host the Job tells that its command succeeded: a reboot clears it, and no other Job has it.
    pub(super) fn sentinel(&self) -> String {
        format!("/run/rounds/{}", self.job_name())
    }

    /// The container that comes after a command which succeeded, and tells in which boot that was.
    pub(super) fn sentinel_container(&self, settings: &Settings) -> Value {
        let host = self.spec.host_mount_path();
        json!({
            "name": names::CONTAINER_SENTINEL,
            "image": settings.runner_image,
            "command": [names::PROGRAM, "node", "sentinel", "--host", host, "--sentinel", self.sentinel()],
            // The image's own user may not write there, and SELinux lets nobody else.
            "securityContext": {"privileged": true, "runAsUser": 0},
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [{"name": names::VOLUME_HOST_ROOT, "mountPath": host}],
        })
    }

    /// The reboot Pod: the host's processes, so that pid 1's namespaces can be entered, and nothing of the API but its own
    /// annotation, which arrives as a file.
    pub fn reboot_pod(&self, settings: &Settings) -> Value {
        let mut labels = self.labels();
        labels.insert(names::LABEL_REBOOT.into(), json!("true"));
        let mut annotations = self.annotations();
        annotations.insert(names::ANNOTATION_BOOT_ID.into(), json!(self.node.boot_id));
        let approval = format!("metadata.annotations['{}']", names::ANNOTATION_REBOOT_APPROVED);
        let mut spec = json!({
            "nodeName": self.node.name,
            "hostPID": true,
            "restartPolicy": "OnFailure",
            "tolerations": [{"operator": "Exists"}],
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": names::CONTAINER_REBOOT,
                "image": settings.runner_image,
                "command": self.reboot_command(),
                "securityContext": {"privileged": true, "runAsUser": 0},
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [{"name": "approval", "mountPath": "/approval", "readOnly": true}, {"name": "mark", "mountPath": "/mark"}],
            }],
            "volumes": [
                {"name": "approval", "downwardAPI": {"items": [{"path": "boot-id", "fieldRef": {"fieldPath": approval}}]}},
                {"name": "mark", "emptyDir": {}},
            ],
        });
        if !settings.runner_pull_secrets.is_empty() {
            spec["imagePullSecrets"] = settings.runner_pull_secrets.iter().map(|name| json!({"name": name})).collect();
        }
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod"});
        pod["metadata"] = self.object_meta(&self.reboot_name(), labels, annotations);
        pod["spec"] = spec;
        pod
    }

    fn reboot_command(&self) -> Vec<String> {
        let reboot = self.spec.rollout().reboot();
        let grace = reboot.grace().to_string();
        let sentinel = self.sentinel();
        let fixed = [names::PROGRAM, "node", "reboot", "--host", "/proc/1/root", "--sentinel", &sentinel, "--grace-seconds", &grace];
        let files = ["--approval", "/approval/boot-id", "--mark", "/mark/boot-id"];
        let command = fixed.into_iter().chain(files).map(String::from);
        let own = (!reboot.command.is_empty()).then(|| "--".to_string());
        command.chain(own).chain(reboot.command).collect()
    }
}

/// Why the command must not run yet, if a reboot is to follow: its Pod does not wait on the node.
pub fn unready<'a>(place: &Place<'_, 'a>, node: &'a Node) -> Option<Advance> {
    let name = rebooting::follows(place.entry).then(|| place.op.claim(node, place.entry).reboot_name())?;
    let Some(pod) = place.op.pod_named(&name, place.name) else { return Some(running::make(place, node)) };
    if let Some(hindered) = hindered(place, pod, Reason::Starting) {
        return Some(hindered);
    }
    match verdict::start_trouble(pod) {
        Some(trouble) => Some(place.stay(Reason::CannotStart, &format!("pod {}: {}", pod.name, verdict::sentence(&trouble)))),
        None if pod.phase == "Running" => None,
        None => Some(place.stay(Reason::Starting, "the pod that is to reboot the node is being started")),
    }
}

/// Lets the Pod end the boot that is recorded; one that was lost is made again, and waits for the same.
pub fn approve<'a>(place: &Place<'_, 'a>, node: &'a Node, boot_id: &str) -> Advance {
    let claim = place.op.claim(node, place.entry);
    let Some(pod) = place.op.pod_named(&claim.reboot_name(), place.name) else {
        let create = Action::Create { object: claim.reboot_pod(place.op.settings) };
        let mut advance = running::refused(place, std::slice::from_ref(&create), Reason::Rebooting);
        advance.steps.push(place.step(Reason::Rebooting, "make the reboot pod again", create));
        return advance;
    };
    if let Some(hindered) = hindered(place, pod, Reason::Rebooting) {
        return hindered;
    }
    let message = rebooting::TO_REBOOT;
    let mut advance = match verdict::start_trouble(pod) {
        Some(trouble) => {
            // Why a reboot command failed stands in how the container ended the last time.
            let last = pod.containers.iter().find_map(|container| container.last_exit.as_ref());
            let last = last.map_or_else(String::new, |exit| format!(" (last: {})", verdict::describe(exit)));
            place.stay(Reason::CannotStart, &format!("{message}; pod {}: {}{last}", pod.name, verdict::sentence(&trouble)))
        }
        None => place.stay(Reason::Rebooting, message),
    };
    if pod.approved.as_deref() != Some(boot_id) && !pod.is_terminal() {
        let what = Reference::new("Pod", &pod.namespace, &pod.name, &pod.uid);
        let patch = json!({"metadata": {"annotations": {names::ANNOTATION_REBOOT_APPROVED: boot_id}}});
        advance.steps.push(place.step(Reason::Rebooting, "the command succeeded", Action::Patch { what, patch }));
    }
    advance
}

/// A Pod that is not the claim's, or will not do its work any more. One that was evicted is removed for another to come.
fn hindered(place: &Place<'_, '_>, pod: &Pod, otherwise: Reason) -> Option<Advance> {
    let name = &pod.name;
    if !place.op.made(pod) {
        return Some(place.stay(Reason::CannotStart, &format!("there is a Pod {name} already, which this operation has not made")));
    }
    if pod.deleted.is_some() {
        return Some(place.stay(otherwise, &format!("pod {name}, which is to reboot the node, is being deleted; another one follows")));
    }
    // Its exit 0 after the approval says that the node is in another boot: the Node object will tell.
    let ended = pod.phase == "Failed" || pod.is_terminal() && otherwise == Reason::Starting;
    ended.then(|| {
        let why = pod.trouble.as_ref().map_or_else(|| "it ended too early".to_string(), verdict::sentence);
        let mut advance = place.stay(Reason::CannotStart, &format!("pod {name}, which is to reboot the node: {why}"));
        let what = Reference::new("Pod", &pod.namespace, &pod.name, &pod.uid);
        let delete = Action::Delete { what, resource_version: None, grace_seconds: None };
        advance.steps.push(place.step(Reason::CannotStart, "remove the reboot pod, for another one to come", delete));
        advance
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodeop::api::NodeOpSpec;
    use crate::snapshot::Meta;

    fn with<T>(more: Value, look: impl Fn(Claim<'_>) -> T) -> T {
        let mut spec = json!({"command": ["sh", "-c", "date"], "image": "tool:2", "imagePullSecrets": [{"name": "a"}]});
        json_patch::merge(&mut spec, &more);
        let spec: NodeOpSpec = serde_json::from_value(spec).unwrap();
        let meta = Meta { namespace: "ops".into(), name: "op".into(), uid: "op-uid".into(), ..Meta::default() };
        let node = Node { name: "n1".into(), uid: "n1-uid".into(), boot_id: "b1".into(), ..Node::default() };
        look(Claim { meta: &meta, spec: &spec, node: &node, run: 3, attempt: 0, reboots: true })
    }

    fn settings() -> Settings {
        Settings { runner_image: "rounds:1".into(), runner_pull_secrets: vec!["r".into()], ..Settings::default() }
    }

    #[test]
    fn the_command_comes_first_and_then_what_tells_of_it() {
        let (job, name) = with(json!({"hostMountPath": "/mnt"}), |claim| (claim.job(&settings()), claim.job_name()));
        let pod = &job["spec"]["template"]["spec"];
        let command = &pod["initContainers"][0];
        assert_eq!(
            (&command["name"], &command["image"], &command["env"][0]["value"]),
            (&json!("nodeop"), &json!("tool:2"), &json!("/mnt"))
        );
        let sentinel = json!({
            "name": "sentinel-creator",
            "image": "rounds:1",
            "command": ["/rounds", "node", "sentinel", "--host", "/mnt", "--sentinel", format!("/run/rounds/{name}")],
            "securityContext": {"privileged": true, "runAsUser": 0},
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [{"name": "host-root", "mountPath": "/mnt"}],
        });
        assert_eq!(pod["containers"], json!([sentinel]));
        assert_eq!(pod["imagePullSecrets"], json!([{"name": "a"}, {"name": "r"}]));
        let rule = json!({"containerName": "sentinel-creator", "operator": "NotIn", "values": [0]});
        assert_eq!(job["spec"]["podFailurePolicy"], json!({"rules": [{"action": "FailJob", "onExitCodes": rule}]}));
        assert_eq!((&pod["restartPolicy"], &pod["automountServiceAccountToken"]), (&json!("Never"), &json!(false)));
    }

    #[test]
    fn a_reboot_pod_sees_the_hosts_processes_and_of_the_api_its_own_approval() {
        let (pod, name) = with(json!({}), |claim| (claim.reboot_pod(&settings()), claim.job_name()));
        let labels = json!({
            "kairos.io/nodeop": "op", "kairos.io/node": "n1", "kairos.io/reboot": "true",
            "operator.kairos.io/owner-uid": "op-uid", "operator.kairos.io/run": "3",
        });
        assert_eq!(pod["metadata"]["labels"], labels);
        assert_eq!(pod["metadata"]["annotations"], json!({"operator.kairos.io/boot-id": "b1"}));
        assert_eq!(pod["metadata"]["ownerReferences"][0]["uid"], "op-uid");
        let spec = &pod["spec"];
        assert_eq!((&spec["hostPID"], &spec["automountServiceAccountToken"]), (&json!(true), &json!(false)));
        assert_eq!((&spec["nodeName"], &spec["tolerations"]), (&json!("n1"), &json!([{"operator": "Exists"}])));
        assert_eq!((&spec["restartPolicy"], &spec["imagePullSecrets"]), (&json!("OnFailure"), &json!([{"name": "r"}])));
        let field = json!({"fieldPath": "metadata.annotations['kairos.io/reboot-approved']"});
        assert_eq!(spec["volumes"][0]["downwardAPI"]["items"], json!([{"path": "boot-id", "fieldRef": field}]));
        let container = &spec["containers"][0];
        assert_eq!(container["securityContext"], json!({"privileged": true, "runAsUser": 0}));
        let command: Vec<&str> = container["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        let sentinel = format!("/run/rounds/{name}");
        let expected = ["/rounds", "node", "reboot", "--host", "/proc/1/root", "--sentinel", &sentinel, "--grace-seconds", "5"];
        assert_eq!(command[..9], expected);
        assert_eq!(command[9..], ["--approval", "/approval/boot-id", "--mark", "/mark/boot-id"]);
    }

    #[test]
    fn the_reboot_command_and_its_grace_are_the_users() {
        let rollout = json!({"rollout": {"reboot": {"command": ["kexec", "-e"], "graceSeconds": 0}}});
        let command = with(rollout, |claim| claim.reboot_command());
        assert_eq!(command[7..9], ["--grace-seconds", "0"]);
        assert_eq!(command[13..], ["--", "kexec", "-e"]);
    }
}
