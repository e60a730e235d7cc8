//! Every text in an OSArtifact; see [`super::walk`]. Its specification has blocks of Kubernetes' own types in it, of which we
//! do not know every field, so that it is gone through as what it is on the wire: every text is somebody's own, unless it is
//! known not to be.

use serde_json::Value as Json;

use super::dictionary::Class::{self, Argument, Image, Uid, Value};
use super::resource::{condition, meta};
use super::walk::{Visit, label_key};
use super::words::text;
use crate::artifact::api::{BuiltArtifact, ExporterStatus, OSArtifactSpec, OSArtifactStatus};
use crate::snapshot::Resource;

/// Texts that mean something to what is decided.
const KEPT: [&str; 5] = ["artifacts", "amd64", "arm64", "OnChange", "Once"];
/// Fields whose own fields are called as somebody likes.
const MAPS: [&str; 9] = [
    "templateValues",
    "dockerfileTemplateValues",
    "nodeSelector",
    "podLabels",
    "podAnnotations",
    "labels",
    "annotations",
    "matchLabels",
    "volumeAttributes",
];

/// An OSArtifact.
pub fn artifact(resource: &mut Resource<OSArtifactSpec, OSArtifactStatus>, visit: &mut Visit<'_>) {
    let Resource { meta: of, spec: wanted, status: written } = resource;
    meta(of, visit);
    spec(wanted, visit);
    status(written, visit);
}

fn spec(spec: &mut OSArtifactSpec, visit: &mut Visit<'_>) {
    let Ok(mut json) = serde_json::to_value(&*spec) else { return };
    walk("", &mut json, visit);
    // What was a text is one still, and nothing else has changed.
    if let Ok(read) = serde_json::from_value(json) {
        *spec = read;
    }
}

fn walk(field: &str, json: &mut Json, visit: &mut Visit<'_>) {
    match json {
        Json::String(text) if !KEPT.contains(&text.as_str()) => visit(class(field), text),
        Json::Array(items) => items.iter_mut().for_each(|item| walk(field, item, visit)),
        Json::Object(fields) if MAPS.contains(&field) => {
            let renamed = std::mem::take(fields).into_iter().map(|(mut key, mut value)| {
                label_key(&mut key, visit);
                walk(field, &mut value, visit);
                (key, value)
            });
            *fields = renamed.collect();
        }
        Json::Object(fields) => fields.iter_mut().for_each(|(key, value)| walk(key, value, visit)),
        _ => {}
    }
}

fn class(field: &str) -> Class {
    match field {
        "image" | "imageName" | "baseImageName" | "baseImage" | "ref" | "bundles" | "kairosInitImage" => Image,
        "nodeSelector" | "podLabels" | "labels" | "matchLabels" => Value,
        _ => Argument,
    }
}

fn status(status: &mut OSArtifactStatus, visit: &mut Visit<'_>) {
    let OSArtifactStatus {
        observed_generation: _,
        phase: _,
        message,
        progress,
        current,
        artifacts,
        omitted: _,
        image,
        job_name,
        job_uid,
        exporters,
        conditions,
        spec_hash,
        run: _,
        rerun,
        started_at: _,
        completed_at: _,
        last_updated: _,
    } = status;
    [message, progress, current].into_iter().flatten().for_each(|one| text(one, visit));
    for BuiltArtifact { name, size: _, digest } in artifacts {
        visit(Argument, name);
        digest.iter_mut().for_each(|one| visit(Uid, one));
    }
    image.iter_mut().for_each(|one| visit(Image, one));
    for ExporterStatus { job_name, job_uid, result: _, message } in exporters {
        job_name.iter_mut().for_each(|one| visit(Class::Job, one));
        job_uid.iter_mut().for_each(|one| visit(Uid, one));
        message.iter_mut().for_each(|one| text(one, visit));
    }
    job_name.iter_mut().for_each(|one| visit(Class::Job, one));
    [job_uid, spec_hash].into_iter().flatten().for_each(|one| visit(Uid, one));
    rerun.iter_mut().for_each(|token| visit(Value, token));
    conditions.iter_mut().for_each(|one| condition(one, visit));
}
