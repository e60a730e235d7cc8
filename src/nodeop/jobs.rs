//! Renders what runs on a node: the Job with the command, and the preflight Pod.

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

    /// The Job, suspended: it may only run once its uid stands in the claim.
    pub fn job(&self, settings: &Settings) -> Value {
        let labels = self.labels();
        let annotations = self.annotations();
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": self.object_meta(&self.job_name(), &labels, &annotations),
            "spec": {
                "suspend": true,
                "backoffLimit": self.spec.backoff_limit.unwrap_or(6),
                // With the default two pods of one Job were seen running at once on one node.
                "podReplacementPolicy": "Failed",
                "template": {
                    "metadata": {"labels": labels, "annotations": annotations},
                    "spec": self.pod_spec("Never", json!([{
                        "name": names::CONTAINER_NODEOP,
                        "image": self.image(settings),
                        "command": self.spec.command,
                        "securityContext": {"privileged": true},
                        "env": [{"name": "HOST_DIR", "value": self.spec.host_mount_path()}],
                        "volumeMounts": [{"name": names::VOLUME_HOST_ROOT, "mountPath": self.spec.host_mount_path()}],
                    }])),
                },
            },
        })
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
                "volumeMounts": [{"name": names::VOLUME_HOST_ROOT, "mountPath": self.spec.host_mount_path(), "readOnly": true}],
            }]),
        );
        spec["activeDeadlineSeconds"] = json!(preflight.active_deadline_seconds.unwrap_or(120));
        Some(json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": self.object_meta(&self.preflight_name(), &labels, &self.annotations()),
            "spec": spec,
        }))
    }

    fn image(&self, settings: &Settings) -> String {
        self.spec.image.clone().filter(|image| !image.is_empty()).unwrap_or_else(|| settings.default_image.clone())
    }

    /// Nothing of the NodeOp's own labels: a copied tracking label would have GitOps tools prune the Job.
    fn labels(&self) -> Map<String, Value> {
        let mut labels = Map::new();
        labels.insert(names::LABEL_NODEOP.into(), json!(names::label_value(&self.meta.name)));
        labels.insert(names::LABEL_NODE.into(), json!(names::label_value(&self.node.name)));
        labels.insert(names::LABEL_OWNER_UID.into(), json!(self.meta.uid));
        labels.insert(names::LABEL_RUN.into(), json!(self.run.to_string()));
        labels
    }

    /// The real names, where a label cannot hold them.
    fn annotations(&self) -> Map<String, Value> {
        let mut annotations = Map::new();
        for (key, name) in [(names::ANNOTATION_NODEOP, &self.meta.name), (names::ANNOTATION_NODE, &self.node.name)] {
            if name.len() > names::MAX_LABEL {
                annotations.insert(key.into(), json!(name));
            }
        }
        annotations
    }

    fn object_meta(&self, name: &str, labels: &Map<String, Value>, annotations: &Map<String, Value>) -> Value {
        json!({
            "name": name,
            "namespace": self.meta.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": self.meta.name,
                "uid": self.meta.uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        })
    }

    fn pod_spec(&self, restart_policy: &str, containers: Value) -> Value {
        let mut spec = json!({
            "nodeName": self.node.name,
            "restartPolicy": restart_policy,
            "tolerations": [{"operator": "Exists"}],
            "automountServiceAccountToken": false,
            "containers": containers,
            "volumes": [{"name": names::VOLUME_HOST_ROOT, "hostPath": {"path": "/"}}],
        });
        let secrets: Vec<&str> =
            self.spec.image_pull_secrets.iter().map(|secret| secret.name.as_str()).filter(|name| !name.is_empty()).collect();
        if !secrets.is_empty() {
            spec["imagePullSecrets"] = secrets.iter().map(|name| json!({"name": name})).collect();
        }
        spec
    }
}
