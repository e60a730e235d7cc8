//! Artifacts in cases: what they are called, the Jobs `build-iso#1` and `export-iso-0#1`, and their pods.

use rounds::artifact::api::{OSArtifactSpec, OSArtifactStatus};
use rounds::artifact::spec_hash::spec_hash;
use rounds::names;
use rounds::snapshot::views::{Job, Pod};
use rounds::snapshot::{Meta, Resource, doubts};
use serde_json::{Value, json};

use super::shorthand::{World, typed};

/// What stands before the name of an artifact in the name of a Job.
const KINDS: [&str; 2] = ["build-", "export-"];

/// Whether a Job or pod of a case is an artifact's.
pub fn is_of_artifact(words: &Value) -> bool {
    let is = words.as_str().or_else(|| words["is"].as_str()).unwrap_or_default();
    KINDS.iter().any(|kind| is.starts_with(kind))
}

/// `{spec, status, …}` of an artifact. `foreign: true` in the status: the existing operator wrote it.
pub fn artifact(world: &World, name: &str, fields: &Value) -> Result<Resource<OSArtifactSpec, OSArtifactStatus>, String> {
    let mut meta = fields.clone();
    let parts = meta.as_object_mut().ok_or("must be a map")?;
    let (spec, status) = (parts.remove("spec").unwrap_or(json!({})), parts.remove("status"));
    let defaults = json!({
        "namespace": "default", "name": name, "uid": format!("{name}-uid"), "resourceVersion": "1", "generation": 1, "created": -3600,
    });
    let spec: OSArtifactSpec = match spec.get("image").is_some() || spec.get("baseImageName").is_some() || spec.get("sourceless").is_some()
    {
        true => {
            let mut spec = spec;
            spec.as_object_mut().unwrap().remove("sourceless");
            typed(json!({}), spec)?
        }
        false => typed(json!({"imageName": "kairos:1", "iso": true}), spec)?,
    };
    let meta: Meta = typed(defaults, meta)?;
    let status = match status {
        None => OSArtifactStatus::default(),
        Some(mut status) => {
            let parts = status.as_object_mut().ok_or("status: must be a map")?;
            let foreign = parts.remove("foreign").is_some();
            for (key, uid) in [("jobName", "jobUID")] {
                if let Some(job) = parts.get(key).and_then(Value::as_str).map(String::from) {
                    parts.insert(uid.into(), json!(format!("{job}-uid")));
                    parts.insert(key.into(), json!(world.real(&job)));
                }
            }
            for entry in parts.get_mut("exporters").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(job) = entry["jobName"].as_str().map(String::from) {
                    entry["jobUID"] = json!(format!("{job}-uid"));
                    entry["jobName"] = json!(world.real(&job));
                }
            }
            let defaults = if foreign { json!({}) } else { json!({"specHash": spec_hash(&spec), "run": 1, "startedAt": -60}) };
            typed(defaults, status)?
        }
    };
    Ok(Resource { meta, spec, status })
}

impl World {
    /// What a case calls the Jobs that an artifact may have.
    pub fn name_builds(&mut self, artifact: &str) {
        let uid = format!("{artifact}-uid");
        for run in 1..=4 {
            self.aliases.insert(format!("build-{artifact}#{run}"), names::build_name(artifact, &uid, run));
            for index in 0..3 {
                self.aliases.insert(format!("export-{artifact}-{index}#{run}"), names::export_name(artifact, &uid, index, run));
            }
        }
    }

    /// `build-iso#1 held`; see [`World::job`].
    pub fn build_job(&self, words: &Value) -> Result<Job, String> {
        let is = words.as_str().or_else(|| words["is"].as_str()).ok_or("a Job without a name")?;
        let mut is = is.split(' ');
        let name = is.next().unwrap_or_default();
        let (artifact, run) = of(name)?;
        let mut job = json!({
            "namespace": "default", "name": self.real(name), "uid": format!("{name}-uid"), "resourceVersion": "1", "run": run,
            "owner": {"kind": "OSArtifact", "name": artifact, "uid": format!("{artifact}-uid")}, "created": -50,
        });
        for state in is {
            match state {
                "running" => {}
                "held" | "deleting" | "complete" => job[state] = json!(true),
                "failed" => job["failed"] = json!({"reason": "BackoffLimitExceeded", "message": "over"}),
                "late" => job["failed"] = json!({"reason": "DeadlineExceeded", "message": "over"}),
                other => return Err(format!("{other} is no state of a Job")),
            }
        }
        let mut more = words.as_object().cloned().unwrap_or_default();
        more.remove("is");
        typed(job, Value::Object(more))
    }

    /// `build-iso#1 running build-iso`, `pending`, `pulling`, `hanging` after a container that has ended, `exit 3 build-iso no space left`, `told`: the last container tells two files.
    pub fn build_pod(&self, words: &Value) -> Result<Pod, String> {
        let is = words.as_str().or_else(|| words["is"].as_str()).ok_or("a Pod without a name")?;
        let parts: Vec<&str> = is.split(' ').collect();
        let name = parts[0];
        let (artifact, run) = of(name)?;
        let ended = |name: &str, code: i64, message: &str| json!({"name": name, "init": true, "state": {"ended": {"code": code, "message": message}}});
        let (phase, containers) = match parts.get(1).copied().unwrap_or("pending") {
            "pending" => ("Pending", json!([{"name": "pull-image-baseimage", "init": true}, {"name": "digest"}])),
            "pulling" => {
                let waiting = json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}});
                ("Pending", json!([{"name": "pull-image-baseimage", "init": true, "state": waiting}, {"name": "digest"}]))
            }
            "hanging" => {
                let waiting = json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}});
                ("Pending", json!([ended("render", 0, ""), {"name": "fetch", "init": true, "state": waiting}, {"name": "digest"}]))
            }
            "running" => {
                let container = parts.get(2).copied().unwrap_or("build-iso");
                let running = json!({"name": container, "init": true, "state": "running"});
                ("Pending", json!([ended("pull-image-baseimage", 0, ""), running, {"name": "digest"}]))
            }
            "exit" => {
                let code: i64 = parts[2].parse().map_err(|_| is.to_string())?;
                let container = parts.get(3).copied().unwrap_or("build-iso");
                ("Failed", json!([ended("pull-image-baseimage", 0, ""), ended(container, code, &parts[4.min(parts.len())..].join(" "))]))
            }
            "told" => {
                let file = |name: &str| format!("{} 7 {name}\n", "ab".repeat(32));
                let pushed = format!("sha256:{}", "cd".repeat(32));
                let told = [file("iso.iso"), file("iso.tar")].concat();
                ("Succeeded", json!([ended("buildah-build", 0, &pushed), ended("digest", 0, &told)]))
            }
            other => return Err(format!("{other} is no state of a Pod")),
        };
        let labels = json!({
            names::LABEL_ARTIFACT: artifact, names::LABEL_OWNER_UID: format!("{artifact}-uid"), names::LABEL_RUN: run.to_string(),
        });
        let pod = json!({
            "namespace": "default", "name": format!("{name}-pod"), "uid": format!("{name}-pod-uid"), "labels": labels,
            "owner": {"kind": "Job", "name": self.real(name), "uid": format!("{name}-uid")}, "phase": phase, "containers": containers,
        });
        let mut more = words.as_object().cloned().unwrap_or_default();
        more.remove("is");
        typed(pod, Value::Object(more))
    }

    /// Looks at what a round looks at: claims of builds that begin are there, unless a case says otherwise.
    pub fn look_at_builds(&mut self) {
        let wanted = doubts::wanted_claims(&self.snapshot);
        self.snapshot.claims.retain(|claim| wanted.contains(&(claim.namespace.clone(), claim.name.clone())));
        for (namespace, name) in wanted {
            if self.made.contains(&name) && !self.snapshot.claims.iter().any(|claim| claim.name == name) {
                self.snapshot.claims.push(rounds::snapshot::views::Claim { namespace, name, ..Default::default() });
            }
        }
        let doubts = doubts::absences(&self.snapshot);
        self.snapshot.absent.extend(doubts.into_iter().filter(|what| what.kind == "Job"));
    }
}

/// Artifact and run of a Job.
fn of(name: &str) -> Result<(String, i64), String> {
    let (path, run) = name.split_once('#').ok_or_else(|| format!("{name} is no Job of the case"))?;
    let artifact = path.strip_prefix("build-").map(String::from);
    let artifact = artifact.or_else(|| Some(path.strip_prefix("export-")?.rsplit_once('-')?.0.to_string()));
    Ok((artifact.ok_or(name)?, run.parse().map_err(|_| name.to_string())?))
}
