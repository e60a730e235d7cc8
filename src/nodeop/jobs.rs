//! Renders what runs on a node: the Job with the command, and the preflight Pod. See [`super::reboot_pod`] for the third.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::api::NodeOpSpec;
use crate::names;
use crate::settings::Settings;
use crate::snapshot::{Meta, views::Node};

/// API version of a NodeOp.
pub const API_VERSION: &str = "operator.kairos.io/v1alpha1";
/// Kind of a NodeOp.
pub const KIND: &str = "NodeOp";

/// Whose Job or Pod, on which node, for which run.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    /// The NodeOp.
    pub meta: &'a Meta,
    /// Its spec.
    pub spec: &'a NodeOpSpec,
    /// The node.
    pub node: &'a Node,
    /// The run of the claim.
    pub run: i64,
    /// The attempt within the run.
    pub attempt: i64,
    /// Whether a reboot follows the command.
    pub reboots: bool,
}

impl Claim<'_> {
    /// Name of the claim's Job.
    pub fn job_name(&self) -> String {
        names::job_name(&self.meta.name, &self.meta.uid, &self.node.name, &self.node.uid, self.run, self.attempt)
    }

    /// Name of the claim's preflight Pod.
    pub fn preflight_name(&self) -> String {
        names::preflight_name(&self.meta.name, &self.meta.uid, &self.node.name, &self.node.uid, self.run)
    }

    /// The Job, held: it may only run once its uid stands in the claim. `parallelism: 0` holds it as `suspend` would, for a
    /// third of what that costs the Job controller (docs/scale.md).
    pub fn job(&self, settings: &Settings) -> Value {
        let (labels, annotations) = (self.labels(), self.annotations());
        let pod = self.pod_spec(
            "Never",
            json!([{
                "name": names::CONTAINER_NODEOP,
                "image": self.image(settings),
                "command": self.spec.command,
                "securityContext": {"privileged": true},
                "env": [{"name": "HOST_DIR", "value": self.spec.host_mount_path()}],
                "volumeMounts": [{"name": names::VOLUME_HOST_ROOT, "mountPath": self.spec.host_mount_path()}],
            }]),
        );
        let mut job = json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "spec": {
                "parallelism": 0,
                "backoffLimit": self.spec.backoff_limit.unwrap_or(6),
                // With the default two pods of one Job were seen running at once on one node.
                "podReplacementPolicy": "Failed",
                "template": {"metadata": {}},
            },
        });
        // Moved in: the macro would copy them, and there are hundreds in a round.
        let template = &mut job["spec"]["template"];
        template["metadata"]["labels"] = labels.clone().into();
        template["metadata"]["annotations"] = annotations.clone().into();
        template["spec"] = pod;
        job["metadata"] = self.object_meta(&self.job_name(), labels, annotations);
        if self.reboots {
            self.tell_the_boot(&mut job["spec"], settings);
        }
        job
    }

    /// The command becomes an init container: what tells of its success only starts after it.
    fn tell_the_boot(&self, job: &mut Value, settings: &Settings) {
        // Were that to fail, another pod would run the command again.
        let rule = json!({"containerName": names::CONTAINER_SENTINEL, "operator": "NotIn", "values": [0]});
        job["podFailurePolicy"] = json!({"rules": [{"action": "FailJob", "onExitCodes": rule}]});
        let pod = &mut job["template"]["spec"];
        let command = pod["containers"].take();
        pod["initContainers"] = command;
        pod["containers"] = json!([self.sentinel_container(settings)]);
        let own = self.pull_secrets().chain(settings.runner_pull_secrets.iter().map(String::as_str));
        let secrets: BTreeSet<&str> = own.collect();
        if !secrets.is_empty() {
            pod["imagePullSecrets"] = secrets.iter().map(|name| json!({"name": name})).collect();
        }
    }

    /// The preflight Pod, if the operation has a preflight: the host read-only, nothing privileged.
    pub fn preflight_pod(&self, settings: &Settings) -> Option<Value> {
        let preflight = self.spec.preflight.as_ref()?;
        let mut labels = self.labels();
        labels.insert(names::LABEL_PREFLIGHT.into(), json!("true"));
        let image = preflight.image.clone().filter(|image| !image.is_empty()).unwrap_or_else(|| self.image(settings));
        let mut spec = self.pod_spec(
            "OnFailure",
            json!([{
                "name": names::CONTAINER_PREFLIGHT,
                "image": image,
                "command": preflight.command,
                "terminationMessagePolicy": "File",
                "env": [{"name": "HOST_DIR", "value": self.spec.host_mount_path()}],
                // What is mounted below the root is read-only as well, where the runtime can do that.
                "volumeMounts": [{
                    "name": names::VOLUME_HOST_ROOT, "mountPath": self.spec.host_mount_path(),
                    "readOnly": true, "recursiveReadOnly": "IfPossible",
                }],
            }]),
        );
        spec["activeDeadlineSeconds"] = json!(preflight.active_deadline_seconds.unwrap_or(120));
        Some(json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": self.object_meta(&self.preflight_name(), labels, self.annotations()),
            "spec": spec,
        }))
    }

    fn image(&self, settings: &Settings) -> String {
        self.spec.image.clone().filter(|image| !image.is_empty()).unwrap_or_else(|| settings.default_image.clone())
    }

    /// Nothing of the NodeOp's own labels: a copied tracking label would have GitOps tools prune the Job.
    pub(super) fn labels(&self) -> Map<String, Value> {
        let mut labels = Map::new();
        labels.insert(names::LABEL_NODEOP.into(), json!(names::label_value(&self.meta.name)));
        labels.insert(names::LABEL_NODE.into(), json!(names::label_value(&self.node.name)));
        labels.insert(names::LABEL_OWNER_UID.into(), json!(self.meta.uid));
        labels.insert(names::LABEL_RUN.into(), json!(self.run.to_string()));
        labels
    }

    /// The real names, where a label cannot hold them.
    pub(super) fn annotations(&self) -> Map<String, Value> {
        let mut annotations = Map::new();
        for (key, name) in [(names::ANNOTATION_NODEOP, &self.meta.name), (names::ANNOTATION_NODE, &self.node.name)] {
            if name.len() > names::MAX_LABEL {
                annotations.insert(key.into(), json!(name));
            }
        }
        annotations
    }

    pub(super) fn object_meta(&self, name: &str, labels: Map<String, Value>, annotations: Map<String, Value>) -> Value {
        let mut meta = json!({"name": name, "namespace": self.meta.namespace});
        meta["labels"] = labels.into();
        meta["annotations"] = annotations.into();
        meta["ownerReferences"] = vec![self.meta.owner_reference(API_VERSION, KIND)].into();
        meta
    }

    fn pod_spec(&self, restart_policy: &str, containers: Value) -> Value {
        let mut spec = json!({
            "nodeName": self.node.name,
            "restartPolicy": restart_policy,
            "tolerations": [{"operator": "Exists"}],
            "automountServiceAccountToken": false,
            "volumes": [{"name": names::VOLUME_HOST_ROOT, "hostPath": {"path": "/"}}],
        });
        spec["containers"] = containers;
        let secrets: Vec<Value> = self.pull_secrets().map(|name| json!({"name": name})).collect();
        if !secrets.is_empty() {
            spec["imagePullSecrets"] = secrets.into();
        }
        spec
    }

    /// The secrets for the operation's own image.
    fn pull_secrets(&self) -> impl Iterator<Item = &str> {
        self.spec.image_pull_secrets.iter().map(|secret| secret.name.as_str()).filter(|name| !name.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        Meta { namespace: "ops".into(), name: "op".into(), uid: "op-uid".into(), ..Meta::default() }
    }

    fn node(name: &str) -> Node {
        Node { name: name.into(), uid: format!("{name}-uid"), ..Node::default() }
    }

    fn spec(more: Value) -> NodeOpSpec {
        let mut spec = json!({"command": ["sh", "-c", "date"]});
        if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
            spec.extend(more);
        }
        serde_json::from_value(spec).unwrap()
    }

    fn job(more: Value) -> Value {
        let (meta, spec, node) = (meta(), spec(more), node("n1"));
        Claim { meta: &meta, spec: &spec, node: &node, run: 3, attempt: 0, reboots: false }.job(&Settings::default())
    }

    #[test]
    fn a_job_is_what_people_know_from_the_existing_operator_but_held_and_without_a_token() {
        let job = job(json!({"imagePullSecrets": [{"name": "a"}, {"name": ""}, {"name": "b"}]}));
        let labels = json!({
            "kairos.io/nodeop": "op", "kairos.io/node": "n1",
            "operator.kairos.io/owner-uid": "op-uid", "operator.kairos.io/run": "3",
        });
        let owner = json!([{
            "apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOp", "name": "op", "uid": "op-uid",
            "controller": true, "blockOwnerDeletion": true,
        }]);
        assert_eq!(job["metadata"]["labels"], labels);
        assert_eq!(job["metadata"]["ownerReferences"], owner);
        assert_eq!(job["metadata"]["namespace"], "ops");
        let name = job["metadata"]["name"].as_str().unwrap();
        assert!(name.starts_with("op-n1-") && name.len() == 11, "{name}");
        let mut job_spec = job["spec"].clone();
        let pod = job_spec.as_object_mut().unwrap().remove("template").unwrap();
        assert_eq!(job_spec, json!({"parallelism": 0, "backoffLimit": 6, "podReplacementPolicy": "Failed"}));
        assert_eq!(pod["metadata"]["labels"], labels);
        let expected = json!({
            "nodeName": "n1",
            "restartPolicy": "Never",
            "tolerations": [{"operator": "Exists"}],
            "automountServiceAccountToken": false,
            "imagePullSecrets": [{"name": "a"}, {"name": "b"}],
            "containers": [{
                "name": "nodeop",
                "image": "busybox:latest",
                "command": ["sh", "-c", "date"],
                "securityContext": {"privileged": true},
                "env": [{"name": "HOST_DIR", "value": "/host"}],
                "volumeMounts": [{"name": "host-root", "mountPath": "/host"}],
            }],
            "volumes": [{"name": "host-root", "hostPath": {"path": "/"}}],
        });
        assert_eq!(pod["spec"], expected);
    }

    #[test]
    fn image_mount_path_and_backoff_limit_are_the_users() {
        let job = job(json!({"image": "tool:2", "hostMountPath": "/mnt/root", "backoffLimit": 0}));
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "tool:2");
        assert_eq!(container["env"][0]["value"], "/mnt/root");
        assert_eq!(container["volumeMounts"][0]["mountPath"], "/mnt/root");
        assert_eq!(job["spec"]["backoffLimit"], 0);
    }

    #[test]
    fn a_preflight_sees_the_host_read_only_and_is_not_privileged() {
        let (meta, node) = (meta(), node("n1"));
        let spec = spec(json!({"image": "tool:2", "preflight": {"command": ["check"]}, "hostMountPath": "/mnt"}));
        let pod = Claim { meta: &meta, spec: &spec, node: &node, run: 1, attempt: 0, reboots: false }
            .preflight_pod(&Settings::default())
            .unwrap();
        assert_eq!(pod["metadata"]["labels"]["kairos.io/preflight"], "true");
        assert_eq!((&pod["spec"]["restartPolicy"], &pod["spec"]["activeDeadlineSeconds"]), (&json!("OnFailure"), &json!(120)));
        assert_eq!(pod["spec"]["automountServiceAccountToken"], false);
        let container = &pod["spec"]["containers"][0];
        assert_eq!((&container["name"], &container["image"]), (&json!("preflight"), &json!("tool:2")));
        let mount = json!({"name": "host-root", "mountPath": "/mnt", "readOnly": true, "recursiveReadOnly": "IfPossible"});
        assert_eq!(container["volumeMounts"], json!([mount]));
        assert!(container.get("securityContext").is_none());
    }

    #[test]
    fn names_that_no_label_holds_stand_in_annotations() {
        let long = "n".repeat(200);
        let (meta, spec, node) = (meta(), spec(json!({})), node(&long));
        let job = Claim { meta: &meta, spec: &spec, node: &node, run: 1, attempt: 0, reboots: false }.job(&Settings::default());
        assert_eq!(job["metadata"]["annotations"], json!({"operator.kairos.io/node": long}));
        assert!(job["metadata"]["labels"]["kairos.io/node"].as_str().unwrap().len() <= 63);
    }
}
