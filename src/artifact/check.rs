//! What a specification must be to be carried out. The definition refuses most of this as well; an object may be older than
//! the definition, and some of it no definition can tell.

use std::collections::BTreeSet;

use super::api::OSArtifactSpec;
use super::api::flat::{FIELDS, Flat};
use super::normalise::{BuildPlan, filled};
use super::volumes::{BEGUN, CONFIG, RENDERED_BY, VALUES};

/// Volumes of the build's own in both shapes.
const RESERVED: [&str; 7] = ["artifacts", "rootfs", CONFIG, "cloudconfig", BEGUN, RENDERED_BY, VALUES];

/// One shape, and a source.
pub(super) fn shape(spec: &OSArtifactSpec) -> Result<(), String> {
    let flat = flat_fields(&spec.flat);
    if let Some(field) = flat.first().filter(|_| !spec.is_flat()) {
        return Err(format!(
            "spec.{field} is a field of the flat shape, and image or artifacts of the nested one: move it below image or artifacts"
        ));
    }
    let Some(image) = &spec.image else { return flat_source(spec) };
    if filled(image.reference.as_deref()).is_some() {
        return match &spec.artifacts {
            Some(_) => Ok(()),
            None => Err("spec.artifacts must be given when image.ref is set, for example artifacts: {iso: true}".into()),
        };
    }
    let template = image.oci_spec.as_ref().is_some_and(|oci| oci.reference.is_some());
    match &image.build_options {
        None if !template => Err("spec.image has no source: set ref, buildOptions, or ociSpec with a ref".into()),
        Some(options) if filled(options.version.as_deref()).is_none() => {
            Err("spec.image.buildOptions.version is required, for example v3.6.0".into())
        }
        Some(options) if filled(options.base_image.as_deref()).is_none() => {
            Err("spec.image.buildOptions.baseImage is required, for example ubuntu:24.04".into())
        }
        _ => Ok(()),
    }
}

fn flat_source(spec: &OSArtifactSpec) -> Result<(), String> {
    if spec.artifacts.is_some() {
        return Err("spec.artifacts needs spec.image, the system to make them of: set image.ref, for example".into());
    }
    let flat = &spec.flat;
    let base = filled(flat.base_image_name.as_deref()).is_some();
    match flat.base_image_dockerfile.is_some() || base || filled(flat.image_name.as_deref()).is_some() {
        true => Ok(()),
        false => Err("spec has no source: set image, or one of imageName, baseImageName and baseImageDockerfile".into()),
    }
}

/// The fields of the flat shape that an object has.
fn flat_fields(flat: &Flat) -> Vec<&'static str> {
    let Ok(written) = serde_json::to_value(flat) else { return Vec::new() };
    FIELDS.iter().copied().filter(|field| !written[*field].is_null()).collect()
}

/// Every volume has a name of its own, and what is asked for is there.
pub(super) fn volumes(spec: &OSArtifactSpec, plan: &BuildPlan<'_>) -> Result<(), String> {
    let recipe = plan.recipe.as_ref();
    let reserved = |name: &str| {
        RESERVED.contains(&name)
            || recipe.is_some_and(|recipe| recipe.volume == name)
            || plan.credentials.is_some() && name == "image-credentials"
    };
    let mut names = BTreeSet::new();
    for volume in &spec.volumes {
        let name = volume.raw()["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            return Err("spec.volumes: every volume must have a name".into());
        }
        if reserved(name) {
            return Err(format!("spec.volumes: the name {name} is reserved for the build: choose another one"));
        }
        if !names.insert(name) {
            return Err(format!("spec.volumes: there are two volumes called {name}: rename one of them"));
        }
    }
    let (iso, rootfs, context) = match spec.is_flat() {
        true => ("volumeBindings.overlayISO", "volumeBindings.overlayRootfs", "volumeBindings.buildContext"),
        false => ("artifacts.overlayISOVolume", "artifacts.overlayRootfsVolume", "image.ociSpec.buildContextVolume"),
    };
    let named = [
        (iso, plan.overlay_iso),
        (rootfs, plan.overlay_rootfs),
        (context, recipe.and_then(|recipe| recipe.context)),
        ("image.caCertificatesVolume", recipe.and_then(|recipe| recipe.certificates)),
        ("artifacts.volume", plan.output),
        ("artifacts.uki.keysVolume", plan.keys),
    ];
    match named.into_iter().find_map(|(field, name)| Some((field, name.filter(|name| !names.contains(name))?))) {
        Some((field, name)) => {
            Err(format!("spec.{field} is {name:?}, and there is no such entry of volumes: add that volume, or correct the name"))
        }
        None => Ok(()),
    }
}

/// How long a word of a command line may be, with its end: Linux' MAX_ARG_STRLEN.
const WORD: usize = 128 * 1024;

/// Values for a template are words of a command line, `--set=KEY=VALUE` each.
pub(super) fn values(spec: &OSArtifactSpec, plan: &BuildPlan<'_>) -> Result<(), String> {
    let field = if spec.is_flat() { "dockerfileTemplateValues" } else { "image.ociSpec.templateValues" };
    for (key, value) in plan.recipe.iter().flat_map(|recipe| &recipe.values) {
        if key.is_empty() || key.contains('=') {
            return Err(format!("spec.{field} has the key {key:?}: a name that is not empty and has no = in it is needed"));
        }
        if "--set==".len() + key.len() + value.len() >= WORD {
            return Err(format!("spec.{field}.{key} has {} bytes, and 128 KiB are the limit: put it into a Secret", value.len()));
        }
    }
    Ok(())
}

/// Blocks of Kubernetes' own types are what their types say.
pub(super) fn embedded(spec: &OSArtifactSpec) -> Result<(), String> {
    let wrong = |field: String, error: serde_json::Error| format!("spec.{field}: {error}");
    for (index, volume) in spec.volumes.iter().enumerate() {
        volume.typed().map_err(|error| wrong(format!("volumes[{index}]"), error))?;
    }
    for (index, importer) in spec.importers.iter().enumerate() {
        importer.typed().map_err(|error| wrong(format!("importers[{index}]"), error))?;
    }
    for (index, exporter) in spec.exporters.iter().enumerate() {
        let job = exporter.typed().map_err(|error| wrong(format!("exporters[{index}]"), error))?;
        if job.template.spec.as_ref().is_none_or(|pod| pod.containers.is_empty()) {
            return Err(format!("spec.exporters[{index}].template.spec.containers must have at least one container"));
        }
        let policy = job.template.spec.and_then(|pod| pod.restart_policy).unwrap_or_else(|| "Never".into());
        if !["Never", "OnFailure"].contains(&policy.as_str()) {
            return Err(format!("spec.exporters[{index}].template.spec.restartPolicy is {policy:?}: a Job's pods take Never or OnFailure"));
        }
    }
    if let Some(claim) = &spec.volume {
        claim.typed().map_err(|error| wrong("volume".into(), error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::normalise::normalise;
    use super::*;

    fn refused(spec: Value) -> String {
        let spec: OSArtifactSpec = serde_json::from_value(spec).unwrap();
        normalise("a", &spec).unwrap_err()
    }

    #[test]
    fn what_cannot_be_carried_out_is_named_with_field_and_remedy() {
        let values = |values: Value| json!({"baseImageDockerfile": {"name": "d"}, "dockerfileTemplateValues": values});
        let keyed = json!({"uki": {"iso": true, "keysVolume": "keys"}});
        for (spec, expected) in [
            (json!({}), "spec has no source: set image, or one of imageName"),
            (json!({"iso": true}), "spec has no source"),
            (json!({"artifacts": {"iso": true}}), "spec.artifacts needs spec.image"),
            (json!({"image": {}}), "spec.image has no source: set ref, buildOptions, or ociSpec with a ref"),
            (json!({"image": {"ref": "i"}}), "spec.artifacts must be given when image.ref is set"),
            (json!({"image": {"ref": "i"}, "iso": true, "artifacts": {}}), "spec.iso is a field of the flat shape"),
            (json!({"image": {"buildOptions": {"baseImage": "i"}}}), "spec.image.buildOptions.version is required"),
            (json!({"image": {"buildOptions": {"version": "v1"}}}), "spec.image.buildOptions.baseImage is required"),
            (json!({"image": {"ociSpec": {"ref": {"name": "d"}}, "push": true}}), "spec.image.push needs to know where to"),
            (json!({"image": {"ref": "i"}, "artifacts": keyed}), "spec.artifacts.uki.keysVolume is \"keys\", and there is no such entry"),
            (json!({"imageName": "i", "volumeBindings": {"overlayISO": "x"}}), "spec.volumeBindings.overlayISO is \"x\""),
            (json!({"imageName": "i", "volumes": [{"name": "rootfs"}]}), "the name rootfs is reserved for the build"),
            (json!({"imageName": "i", "volumes": [{"name": "a"}, {"name": "a"}]}), "two volumes called a"),
            (json!({"imageName": "i", "volumes": [{"name": "a", "emptyDir": 3}]}), "spec.volumes[0]: "),
            (json!({"imageName": "i", "exporters": [{"template": {"spec": {}}}]}), "spec.exporters[0]"),
            (values(json!({"a=b": "1"})), "spec.dockerfileTemplateValues has the key \"a=b\""),
            (values(json!({"": "1"})), "spec.dockerfileTemplateValues has the key \"\""),
            (values(json!({"a": "x".repeat(131_072)})), "spec.dockerfileTemplateValues.a has 131072 bytes"),
        ] {
            let told = refused(spec);
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn a_name_that_only_the_other_shape_reserves_is_free() {
        for spec in [
            json!({"baseImageName": "i", "volumes": [{"name": "ocispec"}]}),
            json!({"image": {"ociSpec": {"ref": {"name": "d"}}}, "volumes": [{"name": "dockerfile"}]}),
        ] {
            let spec: OSArtifactSpec = serde_json::from_value(spec).unwrap();
            normalise("a", &spec).unwrap();
        }
        assert!(refused(json!({"baseImageName": "i", "volumes": [{"name": "dockerfile"}]})).contains("reserved"));
    }
}
