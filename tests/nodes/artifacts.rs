//! OSArtifacts that are really built: by buildah and by a tool that makes genuine ISOs, from and to real registries, with
//! what `kustomize/` installs, on a node that may die.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::scenario::{LONG, Scenario, merge};
use crate::site::Site;
use crate::wait::wait_for;

/// The Dockerfile of the document.
const DOCKERFILE: &str =
    "FROM {{ .BaseImage }}\n\nRUN zypper install -y {{ .ExtraPackages }}\nRUN echo \"Version: {{ .Version }}\" > /etc/build-info\n";

/// A Secret with some keys.
fn secret(site: &Site<'_>, name: &str, values: &[(&str, &str)]) {
    let values: serde_json::Map<_, _> = values.iter().map(|(key, value)| (key.to_string(), json!(value))).collect();
    let metadata = json!({"name": name, "namespace": site.scenario.name});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values});
    site.scenario.world.feed(&["apply", "-f", "-"], &secret.to_string());
}

/// An artifact in the nested shape, of the Dockerfile in a Secret of its name.
fn artifact(site: &Site<'_>, name: &str, image: &Value, more: &Value) {
    let mut spec = json!({"image": {"ociSpec": {"ref": {"name": name}}}, "artifacts": {"iso": true}});
    merge(&mut spec["image"], image);
    merge(&mut spec, more);
    site.volume(&format!("{name}-artifacts"));
    site.scenario
        .create(&json!({"apiVersion": "build.kairos.io/v1alpha2", "kind": "OSArtifact", "metadata": {"name": name}, "spec": spec}));
}

/// The exporter of the document, to another address.
fn exporter(url: &str) -> Value {
    let text = include_str!("../manifests/seeds/osartifact-nginx.yaml");
    let mut exporter = rounds::yaml::documents(text).expect("YAML")[0]["spec"]["exporters"][0].clone();
    exporter["template"]["spec"]["containers"][0]["env"][0]["value"] = json!(url);
    exporter
}

fn rerun(site: &Site<'_>, name: &str) {
    site.kubectl(&["annotate", "--overwrite", "osartifacts.build.kairos.io", name, "operator.kairos.io/rerun=fixed"]);
}

/// A file of an image, as it was built; the image is what the status tells.
fn downloaded(site: &Site<'_>, address: &str, status: &Value, name: &str) -> PathBuf {
    let artifacts = status["artifacts"].as_array().expect("files");
    let told = artifacts.iter().find(|file| file["name"] == name).unwrap_or_else(|| panic!("{name} is not in {status:#}"));
    let file = site.scenario.world.dir().join(format!("{}-{name}", site.scenario.name));
    assert!(site.fetch(&format!("http://{address}:8080/{name}"), &[], &file), "{name} was not uploaded");
    let sum = Command::new("sha256sum").arg(&file).output().expect("sha256sum starts");
    let sum = String::from_utf8_lossy(&sum.stdout).split(' ').next().map(|sum| format!("sha256:{sum}"));
    assert_eq!(sum.as_deref(), told["digest"].as_str(), "{name}");
    assert_eq!(file.metadata().expect("its size").len(), told["size"].as_u64().expect("a size"), "{name}");
    file
}

/// What a file in an ISO says.
fn inside(iso: &PathBuf, path: &str) -> String {
    let into = iso.with_extension("extracted");
    let _ = std::fs::remove_file(&into);
    let mut xorriso = Command::new("xorriso");
    let output = xorriso.args(["-osirrox", "on", "-indev"]).arg(iso).args(["-extract", path]).arg(&into).output().expect("xorriso starts");
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::read_to_string(&into).expect("text")
}

#[test]
fn a_templated_dockerfile_is_built_and_pushed_and_its_iso_is_uploaded_and_fetched() {
    let scenario = Scenario::on_one("images");
    let site = Site::of(&scenario);
    let (nginx, registry) = (site.nginx(), site.registry());
    site.credentials("registry", "correct");
    secret(&site, "acme", &[("ociSpec", DOCKERFILE)]);
    let values = [("BaseImage", "opensuse/leap:15.6"), ("ExtraPackages", "vim curl"), ("Version", "1.0.0")];
    secret(&site, "dockerfile-values", &values);
    secret(&site, "cloud-config", &[("cloud-config.yaml", "#cloud-config\n")]);
    let oci = json!({"templateValuesFrom": {"name": "dockerfile-values"}, "templateValues": {"Version": "2.0.0"}});
    let pushed = json!({
        "ociSpec": oci, "buildImage": {"registry": "registry:5000", "repository": "acme/os", "tag": "v2"},
        "push": true, "pushInsecureRegistry": true, "imageCredentialsSecretRef": {"name": "registry"},
    });
    let more = json!({
        "artifacts": {"cloudConfigRef": {"name": "cloud-config", "key": "cloud-config.yaml"}, "grubConfig": "set timeout=5\n"},
        "exporters": [exporter("http://kairos-operator-nginx.images.svc.cluster.local")],
    });
    artifact(&site, "acme", &pushed, &more);
    let _runner = scenario.runner();
    let status = site.wait_end("acme", 1, "Ready");

    let iso = downloaded(&site, &nginx, &status, "acme.iso");
    assert_eq!(inside(&iso, "/etc/build-info"), "Version: 2.0.0\n");
    assert_eq!(inside(&iso, "/var/log/zypper"), "zypper install -y vim curl\n");
    assert_eq!(inside(&iso, "/boot/cloud-config.yaml"), "#cloud-config\n");
    assert_eq!(inside(&iso, "/boot/grub2/grub.cfg"), "set timeout=5\n");
    downloaded(&site, &nginx, &status, "acme.iso.sha256");
    // The registry has what the status tells, for those who know its password.
    let manifest = scenario.world.dir().join("acme-manifest.json");
    let (image, digest) = status["image"].as_str().and_then(|image| image.split_once('@')).expect("an image with its digest");
    assert_eq!(image, "registry:5000/acme/os:v2");
    let url = format!("http://{registry}:5000/v2/acme/os/manifests/{digest}");
    let accept = ["-H", "Accept: application/vnd.oci.image.manifest.v1+json"];
    assert!(!site.fetch(&url, &accept, &manifest), "it asks for no password");
    assert!(site.fetch(&url, &[&accept[..], &["-u", "puller:correct"]].concat(), &manifest), "{url}");
}

#[test]
fn what_goes_wrong_is_told_and_the_next_run_after_its_fix_is_ready() {
    let scenario = Scenario::on_one("mended");
    let site = Site::of(&scenario);
    let (nginx, _) = (site.nginx(), site.registry());
    let dockerfile = "FROM opensuse/leap:15.6\nRUN echo {{ .Version }} > /etc/build-info\n";
    let given = json!({"ociSpec": {"templateValues": {"Version": "1"}}});
    // A template that is none; a Secret that is not there.
    secret(&site, "template", &[("ociSpec", "FROM opensuse/leap:15.6\nRUN echo {{ .Version | nosuch }}\n")]);
    artifact(&site, "template", &given, &json!({}));
    artifact(&site, "secret", &given, &json!({}));
    // A password that the registry does not take.
    secret(&site, "password", &[("ociSpec", dockerfile)]);
    site.credentials("registry", "wrong");
    let to = json!({"registry": "registry:5000", "repository": "acme/os", "tag": "v1"});
    let push = json!({"buildImage": to, "push": true, "pushInsecureRegistry": true, "imageCredentialsSecretRef": {"name": "registry"}});
    artifact(&site, "password", &push, &json!({}));
    // A volume that is too small.
    secret(&site, "volume", &[("ociSpec", dockerfile)]);
    let folder = format!("/var/lib/volumes/{}/volume-artifacts", scenario.name);
    artifact(&site, "volume", &given, &json!({}));
    scenario.world.on_node(scenario.node(), &["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", &folder]);
    // An exporter that finds nobody.
    secret(&site, "exporter", &[("ociSpec", dockerfile)]);
    artifact(&site, "exporter", &given, &json!({"exporters": [exporter("http://nobody")]}));

    let _runner = scenario.runner();
    for (name, reason, parts) in [
        ("template", "BuildFailed", &["container render failed", "Secret template, key ociSpec: 2:24: there is no function nosuch"][..]),
        ("secret", "BuildFailed", &["container render failed", "Secret secret"]),
        ("password", "BuildFailed", &["container buildah-build failed", "registry:5000", "uthoriz"]),
        ("volume", "BuildFailed", &["container buildah-build failed", "no space left on device"]),
        ("exporter", "ExportFailed", &["upload-to-nginx", "nobody"]),
    ] {
        let status = site.wait_end(name, 1, "Error");
        let message = status["message"].as_str().unwrap_or_default();
        assert!(parts.iter().all(|part| message.contains(part)), "{name}: {message}");
        let stalled = status["conditions"].as_array().unwrap().iter().find(|condition| condition["type"] == "Stalled").unwrap();
        assert_eq!(
            (&stalled["status"], &stalled["reason"], &stalled["message"]),
            (&json!("True"), &json!(reason), &json!(message)),
            "{name}"
        );
    }

    secret(&site, "template", &[("ociSpec", dockerfile)]);
    secret(&site, "secret", &[("ociSpec", dockerfile)]);
    site.kubectl(&["delete", "secret", "registry"]);
    site.credentials("registry", "correct");
    scenario.world.on_node(scenario.node(), &["mount", "-o", "remount,size=64m", &folder]);
    ["template", "secret", "password", "volume"].iter().for_each(|name| rerun(&site, name));
    let exporters = json!({"spec": {"exporters": [exporter("http://kairos-operator-nginx")]}}).to_string();
    site.kubectl(&["patch", "osartifacts.build.kairos.io", "exporter", "--type=merge", "-p", &exporters]);
    for name in ["template", "secret", "password", "volume", "exporter"] {
        site.wait_end(name, 2, "Ready");
    }
    let iso = downloaded(&site, &nginx, &site.status("exporter"), "exporter.iso");
    assert_eq!(inside(&iso, "/etc/build-info"), "1\n");
}

#[test]
fn a_build_whose_node_dies_is_told_and_tried_again_as_often_as_it_may() {
    let scenario = Scenario::on_one("builder-dies");
    let site = Site::of(&scenario);
    let dockerfile = [("ociSpec", "FROM opensuse/leap:15.6\nRUN sleep {{ .Seconds }}\n")];
    let values = json!({"ociSpec": {"templateValuesFrom": {"name": "values"}}});
    for (name, retries) in [("once", 0), ("again", 1)] {
        secret(&site, name, &dockerfile);
        artifact(&site, name, &values, &json!({"build": {"backoffLimit": retries}}));
    }
    secret(&site, "values", &[("Seconds", "600")]);
    let _runner = scenario.runner();
    for name in ["once", "again"] {
        wait_for("buildah runs", LONG, || site.status(name)["current"] == "buildah-build");
    }
    scenario.world.hold(scenario.node());
    scenario.world.pull_the_plug(scenario.node());
    let silent = format!("node {}, which has pod ", scenario.node());
    wait_for("the silent node is named", LONG, || {
        ["once", "again"].iter().all(|name| site.status(name)["message"].as_str().is_some_and(|message| message.starts_with(&silent)))
    });
    secret(&site, "values", &[("Seconds", "0")]);
    scenario.world.release(scenario.node());
    let status = site.wait_end("once", 1, "Error");
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains("buildah-build"), "{message}");
    // Nobody asks for this one.
    site.wait_end("again", 1, "Ready");
    rerun(&site, "once");
    site.wait_end("once", 2, "Ready");
    assert_eq!(scenario.ends(scenario.node()), ["died"]);
}

#[test]
fn the_documents_own_manifests_build_what_they_say() {
    let scenario = Scenario::on_one("documents");
    let site = Site::of(&scenario);
    let nginx = site.nginx();
    for name in ["my-kairos-iso", "custom-build"] {
        site.volume(&format!("{name}-artifacts"));
    }
    secret(&site, "my-dockerfile", &[("Dockerfile", DOCKERFILE)]);
    scenario.manifest("tests/manifests/seeds/secret-template-values.yaml", |_| ());
    scenario.manifest("tests/manifests/seeds/osartifact-template-values-both.yaml", |_| ());
    scenario.manifest("tests/manifests/seeds/osartifact-nginx.yaml", |_| ());
    let _runner = scenario.runner();
    let status = site.wait_end("my-kairos-iso", 1, "Ready");
    let iso = downloaded(&site, &nginx, &status, "my-kairos-iso.iso");
    assert!(inside(&iso, "/etc/kairos-release").contains("KAIROS_VERSION=\"v3.6.0\""));
    let status = site.wait_end("custom-build", 1, "Ready");
    assert!(status["artifacts"].as_array().unwrap().iter().any(|file| file["name"] == "custom-build.iso"), "{status:#}");
}
