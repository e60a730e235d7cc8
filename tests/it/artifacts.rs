//! OSArtifacts on a real control plane: what is made of each manifest that people have, by golden files, and how builds go,
//! fail, hang, are edited and exported. Pods are played: nothing is really built here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rounds::artifact::build::Run;
use rounds::artifact::decide::Artifact;
use rounds::artifact::normalise::normalise;
use rounds::settings::Settings;
use rounds::snapshot::objects;
use rounds::snapshot::views::Job;
use serde_json::{Value, json};

use crate::harness::{Corner, merge, wait_for};

const KIND: &str = "osartifacts.build.kairos.io";
/// The uid that golden files have.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The manifests of OSArtifacts in some folders, by the names of their files.
fn manifests(folders: &[&str]) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for folder in folders {
        for entry in root(folder).read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            let name = format!("{}-{}", folder.rsplit('/').next().unwrap(), stem.trim_start_matches("osartifact-"));
            let text = std::fs::read_to_string(&path).unwrap();
            let documents = rounds::yaml::documents(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            all.extend(documents.into_iter().filter(|document| document["kind"] == "OSArtifact").map(|document| (name.clone(), document)));
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// All that is made of a manifest, in the order in which it is made.
fn made(manifest: &Value) -> Vec<Value> {
    let mut manifest = manifest.clone();
    merge(&mut manifest, json!({"metadata": {"namespace": "default", "uid": NOBODY}}));
    let Artifact { meta, spec, .. } = objects::artifact(manifest).unwrap();
    let plan = normalise(&meta.name, &spec).unwrap();
    let run = Run { meta: &meta, spec: &spec, plan: &plan, number: 1 };
    let settings = Settings { runner_image: "rounds:test".into(), ..Settings::default() };
    let job = Job { name: run.job_name(), uid: "11111111-1111-1111-1111-111111111111".into(), ..Job::default() };
    let exporters = (0..spec.exporters.len()).filter_map(|index| run.export_job(index));
    run.claim().into_iter().chain([run.job(&settings)]).chain(run.config(&job)).chain(exporters).collect()
}

/// The golden file of a manifest. To write them anew: `GOLDEN=write cargo test --test it golden`, and read the difference.
#[test]
fn what_is_made_of_every_manifest_is_what_its_golden_file_says() {
    #[expect(clippy::disallowed_methods, reason = "a person who changes what is made writes the files anew")]
    let write = std::env::var("GOLDEN").is_ok_and(|what| what == "write");
    let manifests = manifests(&["tests/manifests/seeds", "tests/manifests/valid", "examples"]);
    assert!(manifests.len() >= 30, "{}", manifests.len());
    for (name, manifest) in &manifests {
        let path = root("tests/objects/artifact").join(format!("{name}.yaml"));
        let objects = made(manifest);
        if write {
            let text: Vec<String> = objects.iter().map(|object| rounds::yaml::to_string(object).unwrap()).collect();
            std::fs::write(&path, format!("---\n{}", text.join("---\n"))).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let golden = rounds::yaml::documents(&text).unwrap();
        assert_eq!(golden.len(), objects.len(), "{name}");
        for (golden, object) in golden.iter().zip(&objects) {
            let (golden, object) = (rounds::yaml::to_string(golden).unwrap(), rounds::yaml::to_string(object).unwrap());
            let differ = similar::TextDiff::from_lines(&golden, &object).unified_diff().to_string();
            assert!(differ.is_empty(), "{name} (- golden, + made):\n{differ}");
        }
    }
}

/// The commands of Rounds' own containers are those that the binary has, with folders of this machine in the pod's place.
#[test]
fn what_rounds_runs_in_a_build_renders_the_dockerfile_and_tells_what_was_built() {
    let manifest = manifests(&["tests/manifests/valid"]).into_iter().find(|(name, _)| name == "valid-nested-everything").unwrap().1;
    let pod = made(&manifest).into_iter().find(|object| object["kind"] == "Job").unwrap()["spec"]["template"]["spec"].clone();
    let folder = std::env::temp_dir().join(format!("rounds-build-{}", std::process::id()));
    for below in ["template", "values", "ocispec", "artifacts", "begun"] {
        std::fs::create_dir_all(folder.join(below)).unwrap();
    }
    std::fs::write(folder.join("template/ociSpec"), "RUN install {{ .Packages }} {{ .Extra }}\n").unwrap();
    std::fs::write(folder.join("values/Extra"), "htop").unwrap();
    std::fs::write(folder.join("artifacts/of-an-earlier-build.iso"), "old").unwrap();
    // Times of files are as coarse as the kernel's clock.
    std::thread::sleep(Duration::from_millis(20));
    std::fs::write(folder.join("begun/uid"), "").unwrap();
    std::fs::write(folder.join("artifacts/acme.iso"), "abc").unwrap();
    let message = folder.join("message");
    let run = |container: &Value| {
        let command: Vec<&str> = container["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        assert_eq!(command[0], "/rounds");
        let here = |word: &&str| match word {
            word if ["/template", "/values", "/ocispec", "/artifacts", "/begun"].iter().any(|path| word.starts_with(path)) => {
                format!("{}{word}", folder.display())
            }
            word => word.replace("$$", "$"),
        };
        let args: Vec<String> = command[1..].iter().map(here).collect();
        let mut runs = std::process::Command::new(env!("CARGO_BIN_EXE_rounds"));
        let output = runs.args(args).arg("--message").arg(&message).env_clear().output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&pod["initContainers"][0]);
    let dockerfile = std::fs::read_to_string(folder.join("ocispec/ociSpec")).unwrap();
    let order =
        ["FROM ${BASE_IMAGE} AS base-kairos\n", "RUN install vim curl htop\n", "COPY --from=kairos-init /kairos-init /kairos-init\n"];
    let places: Vec<usize> =
        order.iter().map(|part| dockerfile.find(part).unwrap_or_else(|| panic!("{part} is not in\n{dockerfile}"))).collect();
    assert!(places.is_sorted(), "{dockerfile}");
    run(&pod["containers"][0]);
    let told = std::fs::read_to_string(&message).unwrap();
    assert_eq!(told, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3 acme.iso\n");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A running control plane adds what it fills in by itself; all else must be there, and nothing besides in lists.
fn is_part(golden: &Value, real: &Value, place: &str) {
    match (golden, real) {
        (Value::Object(fields), Value::Object(_)) => {
            fields.iter().for_each(|(key, value)| is_part(value, &real[key], &format!("{place}.{key}")));
        }
        (Value::Array(items), Value::Array(there)) => {
            assert_eq!(items.len(), there.len(), "{place}: {there:#?}");
            items.iter().zip(there).enumerate().for_each(|(index, (item, there))| is_part(item, there, &format!("{place}[{index}]")));
        }
        // Quantities come back in another form; an empty map does not come back.
        (Value::Object(fields), Value::Null) if fields.is_empty() => {}
        (Value::Number(number), Value::String(text)) => assert_eq!(number.to_string(), *text, "{place}"),
        (golden, real) => assert_eq!(golden, real, "{place}"),
    }
}

/// Artifacts of the corner's namespace.
fn artifact(corner: &Corner, name: &str, spec: Value) -> Value {
    let toleration = json!([{"key": "corner", "operator": "Exists"}]);
    let mut whole = json!({"imageName": "kairos:1", "iso": true, "nodeSelector": {"corner": corner.name}, "tolerations": toleration});
    merge(&mut whole, spec);
    json!({"apiVersion": "build.kairos.io/v1alpha2", "kind": "OSArtifact", "metadata": {"name": name, "namespace": corner.name}, "spec": whole})
}

/// A volume for the claim of an artifact.
fn volume(corner: &Corner, artifact: &str) {
    let claim = json!({"namespace": corner.name, "name": format!("{artifact}-artifacts")});
    corner.create(&json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": format!("{}-{artifact}", corner.name)},
        "spec": {
            "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/nowhere"}, "claimRef": claim,
            "persistentVolumeReclaimPolicy": "Retain",
        },
    }));
}

fn status(corner: &Corner, name: &str) -> Value {
    corner.get(KIND, name)["status"].clone()
}

fn condition(status: &Value, kind: &str) -> (String, String) {
    let found = status["conditions"].as_array().into_iter().flatten().find(|condition| condition["type"] == kind);
    let text = |key: &str| found.and_then(|found| found[key].as_str()).unwrap_or_default().to_string();
    (text("status"), text("reason"))
}

fn patch(corner: &Corner, name: &str, patch: &Value) {
    corner.kubectl(&["-n", &corner.name, "patch", KIND, name, "--type=merge", "-p", &patch.to_string()]);
}

#[test]
fn every_documented_artifact_becomes_on_a_real_server_what_its_golden_file_says() {
    let corner = Corner::new("builds");
    let manifests = manifests(&["tests/manifests/seeds", "tests/manifests/valid", "examples"]);
    // Several documents use one name for different things: each has a namespace of its own.
    let mut corners = Vec::new();
    for (file, manifest) in &manifests {
        let corner = corner.beside(&format!("builds-{file}"));
        let mut manifest = manifest.clone();
        manifest["metadata"]["namespace"] = json!(corner.name);
        corner.create(&manifest);
        corners.push(corner);
    }
    let namespaces: Vec<&str> = corners.iter().map(|corner| corner.name.as_str()).collect();
    let recorded = |corner: &Corner, manifest: &Value| status(corner, manifest["metadata"]["name"].as_str().unwrap())["jobUID"].is_string();
    wait_for("every build is started", Duration::from_secs(120), || {
        let printed = corner.rounds(&["run", "--runner-image", "rounds:test", "--namespace", &namespaces.join(",")]);
        assert_eq!(printed.code, 0, "{printed:#?}");
        corners.iter().zip(&manifests).all(|(corner, (_, manifest))| recorded(corner, manifest))
    });
    for (corner, (file, manifest)) in corners.iter().zip(&manifests) {
        let name = manifest["metadata"]["name"].as_str().unwrap();
        let artifact = corner.get(KIND, name);
        let job_name = artifact["status"]["jobName"].as_str().unwrap();
        let text = std::fs::read_to_string(root("tests/objects/artifact").join(format!("{file}.yaml"))).unwrap();
        for mut golden in rounds::yaml::documents(&text).unwrap() {
            let golden_name = golden["metadata"]["name"].as_str().unwrap().to_string();
            if golden["metadata"]["annotations"].get("build.kairos.io/export-index").is_some() {
                continue;
            }
            if golden["kind"] == "Job" {
                // It was let run, and belongs to what is there.
                golden["spec"]["parallelism"] = json!(1);
                let uid = artifact["metadata"]["uid"].as_str().unwrap();
                let text = golden.to_string().replace(&golden_name, job_name).replace(NOBODY, uid);
                golden = serde_json::from_str(&text).unwrap();
            }
            let real = match golden["kind"].as_str().unwrap() {
                "PersistentVolumeClaim" => corner.get("pvc", &golden_name),
                "ConfigMap" => corner.get("configmap", job_name),
                _ => corner.get("job", job_name),
            };
            for part in ["spec", "data", "immutable"] {
                is_part(&golden[part], &real[part], &format!("{file}: {} {part}", golden["kind"]));
            }
            let labels = &real["metadata"]["labels"];
            assert_eq!(labels["build.kairos.io/artifact"], golden["metadata"]["labels"]["build.kairos.io/artifact"], "{file}");
        }
        corner.clear();
    }
}

#[test]
fn an_artifact_is_built_exported_and_told_and_at_rest_nothing_is_written() {
    let corner = Corner::new("exported");
    corner.nodes(1, 0);
    volume(&corner, "iso");
    let seed = manifests(&["tests/manifests/seeds"]).into_iter().find(|(name, _)| name == "seeds-iso-exporter").unwrap().1;
    let mut exporter = seed["spec"]["exporters"][0].clone();
    let there = json!({"nodeSelector": {"corner": "exported"}, "tolerations": [{"key": "corner", "operator": "Exists"}]});
    merge(&mut exporter["template"]["spec"], there);
    let mut thrice = exporter.clone();
    thrice["completions"] = json!(3);
    thrice["parallelism"] = json!(2);
    let grub = json!({"grubConfig": "set timeout=5", "exporters": [exporter, thrice]});
    corner.create(&artifact(&corner, "iso", grub));
    let printed = corner.settle();
    assert_eq!(printed.code, 0, "{printed:#?}");

    let status = status(&corner, "iso");
    assert_eq!((&status["phase"], condition(&status, "Ready")), (&json!("Ready"), ("True".into(), "Built".into())), "{status:#}");
    let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(status["artifacts"], json!([{"name": "played.iso", "size": 3, "digest": digest}]));
    assert_eq!(status["progress"], "6/6");
    assert_eq!(status["message"], "built played.iso, and exported");
    let results: Vec<&Value> = status["exporters"].as_array().unwrap().iter().map(|exporter| &exporter["result"]).collect();
    assert_eq!(results, [&json!("Succeeded"), &json!("Succeeded")]);
    let real = corner.get("job", status["exporters"][1]["jobName"].as_str().unwrap());
    assert_eq!((&real["spec"]["parallelism"], &real["status"]["succeeded"]), (&json!(2), &json!(3)));
    assert_eq!(real["spec"]["template"]["metadata"]["labels"]["build.kairos.io/artifact"], "iso");
    assert_eq!(
        real["spec"]["template"]["spec"]["volumes"][0]["persistentVolumeClaim"],
        json!({"claimName": "iso-artifacts", "readOnly": true})
    );
    let config = corner.get("configmap", status["jobName"].as_str().unwrap());
    assert_eq!(config["data"], json!({"grub.cfg": "set timeout=5"}));
    assert_eq!(config["metadata"]["ownerReferences"][0]["kind"], "Job");
    let told = corner.list("events.events.k8s.io");
    let told = |reason: &str, kind: &str| told.iter().any(|event| event["reason"] == reason && event["type"] == kind);
    assert!(told("Built", "Normal") && told("VolumeReplaced", "Warning"));

    let text = corner.rounds(&["status"]).out;
    assert!(text.contains("Artifacts") && text.contains("built played.iso, and exported"), "{text}");
    let text = corner.rounds(&["status", "iso"]).out;
    assert!(text.contains(digest) && text.contains("EXPORTER"), "{text}");
    corner.kubectl(&["-n", "exported", "wait", "--for=condition=Ready", &format!("{KIND}/iso"), "--timeout=5s"]);

    let before = corner.writes().len();
    for _ in 0..3 {
        corner.round();
    }
    assert_eq!(corner.writes().len(), before, "{:#?}", &corner.writes()[before..]);
}

#[test]
fn a_build_that_fails_is_told_with_the_end_of_its_log_and_a_token_builds_again() {
    let corner = Corner::new("broken");
    corner.nodes(1, 0);
    volume(&corner, "iso");
    // Played by its name: it fails, and says why.
    let importer = |word: &str| json!({"importers": [{"name": "preflight", "image": "git", "command": [word, "no such repository"]}]});
    corner.create(&artifact(&corner, "iso", importer("fail")));
    let printed = corner.settle();
    assert_eq!(printed.code, 3, "{printed:#?}");
    let failed = status(&corner, "iso");
    assert_eq!((&failed["phase"], condition(&failed, "Stalled")), (&json!("Error"), ("True".into(), "BuildFailed".into())));
    assert_eq!(failed["message"], "the build failed: container preflight failed with exit code 1: no such repository");
    assert_eq!(corner.list("pods").len(), 1, "it was tried once");

    corner.kubectl(&["-n", "broken", "annotate", KIND, "iso", "operator.kairos.io/rerun=again"]);
    assert_eq!(corner.settle().code, 3);
    let again = status(&corner, "iso");
    assert_eq!((&again["run"], &again["rerun"]), (&json!(2), &json!("again")));
    assert_ne!(again["jobName"], failed["jobName"]);
    wait_for("the Job of the first run is gone", Duration::from_secs(30), || corner.list("jobs").len() == 1);

    patch(&corner, "iso", &json!({"spec": importer("succeed")}));
    assert_eq!(corner.settle().code, 0);
    assert_eq!((&status(&corner, "iso")["phase"], &status(&corner, "iso")["run"]), (&json!("Ready"), &json!(3)));
}

#[test]
fn what_hangs_is_explained_and_an_edit_takes_its_place_but_not_that_of_what_runs() {
    let corner = Corner::new("hanging");
    corner.nodes(1, 0);
    volume(&corner, "iso");
    let importer = |word: &str| json!({"importers": [{"name": "preflight", "image": "git", "command": [word]}]});
    corner.create(&artifact(&corner, "iso", importer("no-image")));
    let is = |reason: &str| condition(&status(&corner, "iso"), "Ready").1 == reason;
    corner.rounds_until("the missing image is named", || is("CannotStart"));
    let message = status(&corner, "iso")["message"].as_str().unwrap().to_string();
    assert!(message.contains("ImagePullBackOff") && message.contains("git"), "{message}");

    patch(&corner, "iso", &json!({"spec": importer("hang")}));
    corner.rounds_until("the container that runs is named", || status(&corner, "iso")["current"] == "preflight");
    assert_eq!(status(&corner, "iso")["run"], 2, "what could not start was in nobody's way");
    let job = status(&corner, "iso")["jobName"].clone();
    patch(&corner, "iso", &json!({"spec": importer("succeed")}));
    for _ in 0..3 {
        corner.round();
    }
    let there = status(&corner, "iso");
    assert_eq!((&there["jobName"], &there["run"]), (&job, &json!(2)), "what runs is left to end");
    assert!(there["message"].as_str().unwrap().contains("an edit waits until it has ended"), "{there:#}");
    // Its time is up, say: whoever deletes the Job ends the build.
    corner.kubectl(&["-n", "hanging", "delete", "job", job.as_str().unwrap()]);
    assert_eq!(corner.settle().code, 0);
    assert_eq!((&status(&corner, "iso")["phase"], &status(&corner, "iso")["run"]), (&json!("Ready"), &json!(3)));
}

#[test]
fn what_no_node_and_no_quota_lets_start_is_explained_in_the_clusters_own_words() {
    let corner = Corner::new("refusing");
    corner.nodes(1, 0);
    volume(&corner, "iso");
    let quota = |of: &str, hard: &str| {
        corner.create(&json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": of, "namespace": "refusing"}, "spec": {"hard": {hard: "0"}},
        }));
        wait_for("the quota counts", Duration::from_secs(30), || corner.get("quota", of)["status"]["hard"].is_object());
    };
    quota("claims", "count/persistentvolumeclaims");
    corner.create(&artifact(&corner, "iso", json!({"nodeSelector": {"corner": "nowhere"}})));
    let told = |part: &str| status(&corner, "iso")["message"].as_str().is_some_and(|message| message.contains(part));
    corner.rounds_until("the claim's quota is named", || told("PersistentVolumeClaim iso-artifacts: ") && told("exceeded quota"));
    assert_eq!(condition(&status(&corner, "iso"), "Ready").1, "CannotStart");
    quota("jobs", "count/jobs.batch");
    corner.kubectl(&["-n", "refusing", "delete", "quota", "claims"]);
    corner.rounds_until("the Job's quota is named", || told("Job iso-") && told("exceeded quota"));
    quota("pods", "count/pods");
    corner.kubectl(&["-n", "refusing", "delete", "quota", "jobs"]);
    corner.rounds_until("the pod's quota is named", || told("FailedCreate") && told("pods"));
    corner.kubectl(&["-n", "refusing", "delete", "quota", "pods"]);
    corner.kubectl(&["-n", "refusing", "delete", "jobs", "--all"]);
    assert_eq!(corner.settle().code, 3);
    assert_eq!(condition(&status(&corner, "iso"), "Stalled").1, "JobLost");
    corner.kubectl(&["-n", "refusing", "annotate", KIND, "iso", "operator.kairos.io/rerun=again"]);
    corner.rounds_until("the scheduler is heard", || told("FailedScheduling"));
    patch(&corner, "iso", &json!({"spec": {"nodeSelector": {"corner": "refusing"}, "netboot": true}}));
    assert_eq!(corner.settle().code, 0);
}

#[test]
fn one_name_in_two_namespaces_is_two_artifacts_and_one_made_anew_waits_for_what_was() {
    let corner = Corner::new("same-a");
    corner.nodes(1, 0);
    let other = corner.beside("same-b");
    let here = json!({"nodeSelector": {"corner": "same-a"}});
    for corner in [&corner, &other] {
        volume(corner, "iso");
        corner.create(&artifact(corner, "iso", here.clone()));
    }
    let both = || corner.rounds(&["run", "--until-settled", "--timeout", "120s", "--namespace", "same-b"]);
    assert_eq!(both().code, 0);
    for corner in [&corner, &other] {
        assert_eq!(status(corner, "iso")["phase"], "Ready");
        assert_eq!(corner.list("jobs").len(), 1);
    }
    // Made anew under its name while the claim is still going.
    let keep = r#"{"metadata":{"finalizers":["rounds.test/keep"]}}"#;
    corner.kubectl(&["-n", "same-a", "patch", "pvc", "iso-artifacts", "--type=merge", "-p", keep]);
    let before = corner.get("pvc", "iso-artifacts")["metadata"]["uid"].clone();
    corner.kubectl(&["-n", "same-a", "delete", KIND, "iso"]);
    wait_for("the claim is going", Duration::from_secs(30), || {
        !corner.get("pvc", "iso-artifacts")["metadata"]["deletionTimestamp"].is_null()
    });
    corner.create(&artifact(&corner, "iso", here));
    corner.rounds_until("it waits for the claim", || {
        status(&corner, "iso")["message"].as_str().is_some_and(|message| message.contains("claim iso-artifacts is still being removed"))
    });
    assert!(corner.list("jobs").iter().all(|job| job["spec"]["parallelism"] == 0), "nothing runs yet");
    corner.kubectl(&["patch", "pv", "same-a-iso", "--type=merge", "-p", r#"{"spec":{"claimRef":{"uid":null,"resourceVersion":null}}}"#]);
    corner.kubectl(&["-n", "same-a", "patch", "pvc", "iso-artifacts", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]);
    assert_eq!(corner.settle().code, 0);
    assert_ne!(corner.get("pvc", "iso-artifacts")["metadata"]["uid"], before);
    assert_eq!(status(&corner, "iso")["phase"], "Ready");
    assert_eq!(status(&other, "iso")["phase"], "Ready");
}
