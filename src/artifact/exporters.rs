//! The Jobs that take away what was built. They are the user's own, but for the volume `artifacts`, labels, and limits that
//! they do not set.

use serde_json::{Map, Value, json};

use super::build::Run;
use super::volumes;
use crate::names;

/// Seconds for which a finished exporter's Job stays at least.
const SHORTEST: i64 = 3600;

impl Run<'_> {
    /// Name of an exporter's Job.
    pub fn export_name(&self, index: usize) -> String {
        names::export_name(&self.meta.name, &self.meta.uid, index, self.number)
    }

    /// An exporter's Job, held. None if there is no such exporter.
    pub fn export_job(&self, index: usize) -> Option<Value> {
        let mut spec = self.spec.exporters.get(index)?.raw().clone();
        let fields = spec.as_object_mut()?;
        fields.insert("parallelism".into(), json!(0));
        fields.entry("backoffLimit").or_insert(json!(0));
        // One that goes before a round has seen its end would count as lost.
        if let Some(ttl) = fields.get("ttlSecondsAfterFinished").and_then(Value::as_i64) {
            fields.insert("ttlSecondsAfterFinished".into(), json!(ttl.max(SHORTEST)));
        }
        let mut annotations = self.annotations();
        annotations.insert(names::ANNOTATION_EXPORT_INDEX.into(), json!(index.to_string()));
        let template = spec.get("template").cloned().unwrap_or_default();
        spec["template"] = json!({
            "metadata": {
                "labels": joined(&template["metadata"]["labels"], self.labels()),
                "annotations": joined(&template["metadata"]["annotations"], annotations.clone()),
            },
            "spec": self.export_pod(template["spec"].clone()),
        });
        let mut metadata = self.object_meta(&self.export_name(index));
        metadata["annotations"] = annotations.into();
        Some(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}))
    }

    fn export_pod(&self, mut pod: Value) -> Value {
        let Some(fields) = pod.as_object_mut() else { return pod };
        fields.entry("restartPolicy").or_insert_with(|| json!("Never"));
        // Who names a service account wants to talk to the API; nobody else gets a token.
        if !["serviceAccountName", "serviceAccount"].iter().any(|key| fields.contains_key(*key)) {
            fields.entry("automountServiceAccountToken").or_insert(json!(false));
        }
        for key in ["initContainers", "containers"] {
            for container in fields.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
                container.entry("terminationMessagePolicy").or_insert_with(|| json!("FallbackToLogsOnError"));
            }
        }
        let mut all = fields.get("volumes").and_then(Value::as_array).cloned().unwrap_or_default();
        all.retain(|volume| !is_artifacts(volume));
        all.insert(0, volumes::artifacts(self.spec, self.plan, true));
        fields.insert("volumes".into(), all.into());
        pod
    }

    /// How many pods of an exporter may run at once.
    pub fn export_parallelism(&self, index: usize) -> i64 {
        let exporter = self.spec.exporters.get(index);
        exporter.and_then(|exporter| exporter.raw()["parallelism"].as_i64()).filter(|pods| *pods > 0).unwrap_or(1)
    }

    /// What an exporter's own volume `artifacts` names, which is replaced.
    pub fn replaced_volume(&self, index: usize) -> Option<String> {
        let volumes = self.spec.exporters.get(index)?.raw().pointer("/template/spec/volumes")?.as_array()?;
        let own = volumes.iter().find(|volume| is_artifacts(volume))?;
        let claim = own.pointer("/persistentVolumeClaim/claimName").and_then(Value::as_str);
        let what = claim.map(|claim| format!("claim {claim}"));
        Some(what.unwrap_or_else(|| "a volume of its own".into()))
    }
}

fn is_artifacts(volume: &Value) -> bool {
    volume["name"] == "artifacts"
}

/// Ours go before the user's.
fn joined(users: &Value, ours: Map<String, Value>) -> Map<String, Value> {
    let mut all = users.as_object().cloned().unwrap_or_default();
    all.extend(ours);
    all
}
