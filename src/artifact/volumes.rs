//! The volumes of the build's pod: its own, and then the user's.

use serde_json::{Value, json};

use super::containers::{mount, read_only};
use super::normalise::{BuildPlan, volume};
use super::{api::OSArtifactSpec, dockerfile};
use crate::names;

/// The volume with what the object itself says: files from its ConfigMap.
pub const CONFIG: &str = "config";
/// The volume with the Secret that holds the user's Dockerfile.
pub const RENDERED_BY: &str = "rounds-template";
/// The volume with the Secret that holds values for it.
pub const VALUES: &str = "rounds-values";
/// The volume that is as old as the pod: what is older on the volume with what is built comes from an earlier one.
pub const BEGUN: &str = "rounds-begun";
/// The volume with registry credentials.
const CREDENTIALS: &str = "image-credentials";

/// All volumes, in order. `config` is the name of the ConfigMap.
pub fn of(spec: &OSArtifactSpec, plan: &BuildPlan<'_>, config: &str) -> Vec<Value> {
    let uid = json!([{"path": "uid", "fieldRef": {"fieldPath": "metadata.uid"}}]);
    let mut all = vec![artifacts(spec, plan, false), json!({"name": "rootfs", "emptyDir": {}})];
    all.push(json!({"name": BEGUN, "downwardAPI": {"items": uid}}));
    if !files(plan).is_empty() {
        all.push(json!({"name": CONFIG, "configMap": {"name": config}}));
    }
    if let Some(recipe) = &plan.recipe {
        all.push(match recipe.template {
            Some(_) => json!({"name": recipe.volume, "emptyDir": {}}),
            None => {
                let items = json!([{"key": dockerfile::FILE, "path": dockerfile::FILE}]);
                json!({"name": recipe.volume, "configMap": {"name": config, "items": items}})
            }
        });
        // Optional: what is missing is told by who reads it, and not by a pod that hangs.
        let secrets = [(RENDERED_BY, recipe.template.map(|of| of.secret)), (VALUES, recipe.values_from)];
        let secret =
            |(name, secret): (&str, Option<&str>)| Some(json!({"name": name, "secret": {"secretName": secret?, "optional": true}}));
        all.extend(secrets.into_iter().filter_map(secret));
    }
    if let Some(of) = plan.credentials {
        let items = json!([{"key": of.key, "path": "config.json"}]);
        all.push(json!({"name": CREDENTIALS, "secret": {"secretName": of.secret, "items": items}}));
    }
    if let Some(of) = plan.cloud_config {
        let items = json!([{"key": of.key, "path": of.key}]);
        all.push(json!({"name": "cloudconfig", "secret": {"secretName": of.secret, "items": items}}));
    }
    all.extend(spec.volumes.iter().map(|volume| volume.raw().clone()));
    all
}

/// The volume that takes what is built: the object's own claim, or a copy of the user's volume.
pub fn artifacts(spec: &OSArtifactSpec, plan: &BuildPlan<'_>, read_only: bool) -> Value {
    let mut artifacts = match plan.output.and_then(|name| volume(spec, name)) {
        Some(volume) => volume.raw().clone(),
        None => json!({"persistentVolumeClaim": {"claimName": names::claim_name(plan.name)}}),
    };
    artifacts["name"] = json!("artifacts");
    if let Some(claim) = artifacts.get_mut("persistentVolumeClaim").filter(|_| read_only) {
        claim["readOnly"] = json!(true);
    }
    artifacts
}

/// The files of the ConfigMap, by name: what the object says in so many words.
pub fn files<'a>(plan: &BuildPlan<'a>) -> Vec<(&'static str, &'a str)> {
    let files = [("grub.cfg", plan.grub_config), ("os-release", plan.os_release), ("kairos-release", plan.kairos_release)];
    files.into_iter().filter_map(|(name, content)| Some((name, content?))).collect()
}

pub(super) fn credentials_mount() -> Value {
    read_only(mount(CREDENTIALS, "/root/.docker"))
}
