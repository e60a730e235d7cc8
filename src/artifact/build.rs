//! The objects of a build: the claim that holds what is built, the Job that builds it, and the ConfigMap that belongs to
//! that Job and goes with it.

use serde_json::{Map, Value, json};

use super::api::OSArtifactSpec;
use super::containers::Builder;
use super::normalise::BuildPlan;
use super::{API_VERSION, KIND, dockerfile, volumes};
use crate::names;
use crate::settings::Settings;
use crate::snapshot::Meta;
use crate::snapshot::views::Job;

/// One run of an artifact.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// The artifact.
    pub meta: &'a Meta,
    /// Its specification.
    pub spec: &'a OSArtifactSpec,
    /// What that comes to.
    pub plan: &'a BuildPlan<'a>,
    /// The number of the run.
    pub number: i64,
}

impl Run<'_> {
    /// Name of the Job, and of its ConfigMap.
    pub fn job_name(&self) -> String {
        names::build_name(&self.meta.name, &self.meta.uid, self.number)
    }

    /// The claim, unless a volume of the user's takes its place.
    pub fn claim(&self) -> Option<Value> {
        if self.plan.output.is_some() {
            return None;
        }
        let default = || json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}});
        let mut metadata = self.object_meta(&names::claim_name(&self.meta.name));
        // It outlives the run.
        metadata["labels"] = json!({names::LABEL_ARTIFACT: names::label_value(&self.meta.name)});
        let spec = self.spec.volume.as_ref().map_or_else(default, |volume| volume.raw().clone());
        Some(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}))
    }

    /// What the object says in so many words, for one run: an edit must not reach a build that runs.
    pub fn config(&self, job: &Job) -> Option<Value> {
        let mut data: Map<String, Value> = volumes::files(self.plan).into_iter().map(|(name, text)| (name.into(), json!(text))).collect();
        if let Some(text) = self.plan.recipe.as_ref().and_then(dockerfile::own) {
            data.insert(dockerfile::FILE.into(), json!(text));
        }
        if data.is_empty() {
            return None;
        }
        let mut metadata = self.object_meta(&job.name);
        metadata["ownerReferences"] = json!([{"apiVersion": "batch/v1", "kind": "Job", "name": job.name, "uid": job.uid}]);
        Some(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "immutable": true, "data": data}))
    }

    /// The Job, held: it may only run once its uid stands in the status.
    pub fn job(&self, settings: &Settings) -> Value {
        let build = self.spec.build.clone().unwrap_or_default();
        let name = self.job_name();
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": self.object_meta(&name),
            "spec": {
                "parallelism": 0,
                "backoffLimit": build.retries(),
                "activeDeadlineSeconds": build.timeout(),
                // Two pods at once would write into one volume.
                "podReplacementPolicy": "Failed",
                "template": {"metadata": self.pod_meta(), "spec": self.pod_spec(&name, settings)},
            },
        })
    }

    fn pod_meta(&self) -> Value {
        let mut labels: Map<String, Value> = self.spec.pod_labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        labels.extend(self.labels());
        let mut annotations: Map<String, Value> =
            self.spec.pod_annotations.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        annotations.extend(self.annotations());
        json!({"labels": labels, "annotations": annotations})
    }

    fn pod_spec(&self, config: &str, settings: &Settings) -> Value {
        let builder = Builder { plan: self.plan, spec: self.spec, settings };
        let init = builder.init_containers();
        let mut pod = json!({
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "containers": [builder.digest(init.len())],
            "initContainers": init,
            "volumes": volumes::of(self.spec, self.plan, config),
        });
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                pod[key] = value;
            }
        };
        put("imagePullSecrets", self.pull_secrets(settings));
        put("nodeSelector", Some(json!(self.spec.node_selector)).filter(|_| !self.spec.node_selector.is_empty()));
        put("tolerations", Some(json!(self.spec.tolerations)).filter(|_| !self.spec.tolerations.is_empty()));
        put("affinity", self.spec.affinity.as_ref().map(|affinity| affinity.raw().clone()));
        put("resources", self.spec.resources.as_ref().and_then(|resources| resources.pod.as_ref()).map(|pod| pod.raw().clone()));
        pod
    }

    /// Those of the user, the one with the credentials, and those for Rounds' own image.
    fn pull_secrets(&self, settings: &Settings) -> Option<Value> {
        let own = self.spec.image_pull_secrets.iter().map(|secret| secret.name.as_str());
        let all = own.chain(self.plan.credentials.map(|of| of.secret)).chain(settings.runner_pull_secrets.iter().map(String::as_str));
        let mut secrets: Vec<&str> = Vec::new();
        for name in all.filter(|name| !name.is_empty()) {
            if !secrets.contains(&name) {
                secrets.push(name);
            }
        }
        (!secrets.is_empty()).then(|| secrets.iter().map(|name| json!({"name": name})).collect())
    }

    /// Nothing of the object's own labels: a copied tracking label would have GitOps tools prune the Job.
    pub(super) fn labels(&self) -> Map<String, Value> {
        let mut labels = Map::new();
        labels.insert(names::LABEL_ARTIFACT.into(), json!(names::label_value(&self.meta.name)));
        labels.insert(names::LABEL_OWNER_UID.into(), json!(self.meta.uid));
        labels.insert(names::LABEL_RUN.into(), json!(self.number.to_string()));
        labels
    }

    /// The real name, where a label cannot hold it.
    pub(super) fn annotations(&self) -> Map<String, Value> {
        let long = self.meta.name.len() > names::MAX_LABEL;
        long.then(|| (names::LABEL_ARTIFACT.to_string(), json!(self.meta.name))).into_iter().collect()
    }

    pub(super) fn object_meta(&self, name: &str) -> Value {
        json!({
            "name": name,
            "namespace": self.meta.namespace,
            "labels": self.labels(),
            "annotations": self.annotations(),
            "ownerReferences": [self.meta.owner_reference(API_VERSION, KIND)],
        })
    }
}
