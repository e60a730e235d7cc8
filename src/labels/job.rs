//! The probe Job: unprivileged, without a token, with the host's /etc and /usr/lib to read and nothing else of it.

use serde_json::{Value, json};

use crate::names;
use crate::settings::Settings;
use crate::snapshot::views::Node;

/// In which a probe must be done: image pull included.
pub const DEADLINE_SECONDS: i64 = 120;
/// After which a finished Job that no round has removed is gone by itself. A failed one tells when to try again: longer than
/// any pause.
pub const TTL_SECONDS: i64 = 7200;
/// The host's /etc in the container.
const ETC: &str = "/host/etc";
/// The host's /usr/lib: /etc/os-release is a link to ../usr/lib/os-release nearly everywhere.
const LIB: &str = "/host/usr/lib";

/// The Job that looks at a node in its present boot.
pub fn job(node: &Node, attempt: i64, namespace: &str, settings: &Settings) -> Value {
    let labels = json!({names::LABEL_PROBE: "true", names::LABEL_NODE: names::label_value(&node.name)});
    let annotations = json!({
        names::ANNOTATION_BOOT_ID: node.boot_id,
        names::ANNOTATION_ATTEMPT: attempt.to_string(),
        names::ANNOTATION_NODE: node.name,
    });
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names::probe_name(&node.name, &node.uid, &node.boot_id, attempt),
            "namespace": namespace,
            "labels": labels,
            "annotations": annotations,
            // The garbage collector removes the probes of a node that is gone.
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": node.name, "uid": node.uid, "controller": true}],
        },
        "spec": {
            // The next round decides on another try, and when.
            "backoffLimit": 0,
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "ttlSecondsAfterFinished": TTL_SECONDS,
            "template": {"metadata": {"labels": labels, "annotations": {names::ANNOTATION_BOOT_ID: node.boot_id}}, "spec": pod(node, settings)},
        },
    })
}

fn pod(node: &Node, settings: &Settings) -> Value {
    let mut spec = json!({
        "nodeName": node.name,
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 1,
        "tolerations": [{"operator": "Exists"}],
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [{
            "name": names::CONTAINER_PROBE,
            "image": settings.runner_image,
            "command": [names::PROGRAM, "node", "probe"],
            "env": [{"name": "HOST_ETC_PATH", "value": ETC}],
            "resources": {"requests": {"cpu": "5m", "memory": "8Mi"}, "limits": {"cpu": "100m", "memory": "32Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
            },
            "terminationMessagePolicy": "FallbackToLogsOnError",
            // What is mounted below is read-only as well, where the runtime can do that.
            "volumeMounts": [
                {"name": names::VOLUME_HOST_ETC, "mountPath": ETC, "readOnly": true, "recursiveReadOnly": "IfPossible"},
                {"name": names::VOLUME_HOST_LIB, "mountPath": LIB, "readOnly": true, "recursiveReadOnly": "IfPossible"},
            ],
        }],
        "volumes": [
            {"name": names::VOLUME_HOST_ETC, "hostPath": {"path": "/etc", "type": "Directory"}},
            {"name": names::VOLUME_HOST_LIB, "hostPath": {"path": "/usr/lib", "type": "Directory"}},
        ],
    });
    if !settings.runner_pull_secrets.is_empty() {
        spec["imagePullSecrets"] = settings.runner_pull_secrets.iter().map(|name| json!({"name": name})).collect();
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_reads_two_folders_of_one_host_and_may_do_nothing_else() {
        let node = Node { name: "n".repeat(100), uid: "u".into(), boot_id: "b1".into(), ..Node::default() };
        let settings = Settings { runner_image: "rounds:1".into(), runner_pull_secrets: vec!["r".into()], ..Settings::default() };
        let job = job(&node, 2, "rounds-system", &settings);
        let metadata = &job["metadata"];
        assert!(metadata["name"].as_str().unwrap().len() <= names::MAX_LABEL);
        assert!(metadata["labels"][names::LABEL_NODE].as_str().unwrap().len() <= names::MAX_LABEL);
        assert_eq!(metadata["labels"].get(names::LABEL_NODEOP), None, "it is no part of an operation");
        let told = [names::ANNOTATION_NODE, names::ANNOTATION_BOOT_ID, names::ANNOTATION_ATTEMPT].map(|key| &metadata["annotations"][key]);
        assert_eq!(told, [&json!(node.name), &json!("b1"), &json!("2")]);
        let pod = &job["spec"]["template"]["spec"];
        assert_eq!((&pod["automountServiceAccountToken"], &pod["nodeName"]), (&json!(false), &json!(node.name)));
        assert!(pod["hostPID"].is_null() && pod["hostNetwork"].is_null() && pod["serviceAccountName"].is_null());
        assert_eq!(pod["imagePullSecrets"], json!([{"name": "r"}]));
        let paths: Vec<&Value> = pod["volumes"].as_array().unwrap().iter().map(|volume| &volume["hostPath"]["path"]).collect();
        assert_eq!(paths, ["/etc", "/usr/lib"]);
        let container = &pod["containers"][0];
        let mounts = container["volumeMounts"].as_array().unwrap();
        assert!(mounts.len() == 2 && mounts.iter().all(|mount| mount["readOnly"] == true && mount["recursiveReadOnly"] == "IfPossible"));
        assert_eq!((&pod["securityContext"]["runAsNonRoot"], &container["securityContext"]["privileged"]), (&json!(true), &Value::Null));
        assert_eq!(job["spec"]["backoffLimit"], 0);
    }
}
