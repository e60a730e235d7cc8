//! The bundle that Kairos nodes install Rounds by, as far as files go.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{root, text};
use crate::harness::Corner;
use crate::kustomizations::{build, find};

const K3S: &str = "var/lib/rancher/k3s/server/manifests/kairos-operator.yaml";
const K0S: &str = "var/lib/k0s/manifests/kairos-operator/kairos-operator.yaml";

/// A node's file system, programs on its PATH, and a cloud-config.
struct Node {
    folder: PathBuf,
    bundle: PathBuf,
}

impl Node {
    fn new(bundle: &Path, name: &str, programs: &[&str], config: &str) -> Self {
        let folder = bundle.join("nodes").join(name);
        std::fs::create_dir_all(folder.join("bin")).unwrap();
        // What it does not know, kairos-agent calls null.
        let agent = format!("case \"$1 $2 $3\" in {config} *) echo null;; esac");
        for (program, script) in programs.iter().map(|program| (*program, "")).chain([("kairos-agent", agent.as_str())]) {
            let path = folder.join("bin").join(program);
            std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { folder, bundle: bundle.to_path_buf() }
    }

    /// Runs the bundle as kairos-agent does, in its folder.
    fn run(&self) -> Output {
        let path = format!("{}:/usr/bin:/bin", self.folder.join("bin").display());
        Command::new("./run.sh").current_dir(&self.bundle).env_clear().env("PATH", path).env("BUNDLE_ROOT", &self.folder).output().unwrap()
    }

    fn files(&self) -> Vec<String> {
        let found = Command::new("find").args([".", "-name", "*.yaml", "-printf", "%P\n"]).current_dir(&self.folder).output().unwrap();
        text(&found.stdout).lines().map(String::from).collect()
    }
}

#[test]
fn a_bundle_puts_all_that_kustomize_installs_where_k3s_and_k0s_apply_it_from() {
    let corner = Corner::new("bundles");
    let bundle = std::env::temp_dir().join(format!("rounds-bundle-{}", std::process::id()));
    let kubectl = corner.plane.kubectl_path();
    let made = Command::new(root().join("scripts/bundle.sh")).arg(&bundle).env("KUBECTL", kubectl).output().unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    let manifest = std::fs::read_to_string(bundle.join("assets/kairos-operator.yaml")).unwrap();
    assert_eq!(rounds::yaml::documents(&manifest).unwrap(), build(&corner, "default", &[]));

    let key = |key: &str, value: &str| format!("'config get kairosOperator.{key}') echo {value};;");
    let cases = [
        ("k3s", vec!["k3s"], String::new(), K3S),
        ("k0s", vec!["k0s"], String::new(), K0S),
        ("both", vec!["k0s", "k3s"], key("k3s", "true"), K3S),
        ("neither", vec![], key("k0s", "true"), K0S),
        ("elsewhere", vec!["k3s"], key("manifest_dir", "/opt/manifests"), "opt/manifests/kairos-operator.yaml"),
    ];
    for (name, programs, config, expected) in cases {
        let node = Node::new(&bundle, name, &programs, &config);
        for time in ["first", "second"] {
            let output = node.run();
            assert!(output.status.success(), "{name}, {time}: {}", text(&output.stderr));
        }
        assert_eq!(node.files(), [expected], "{name}");
        assert_eq!(std::fs::read_to_string(node.folder.join(expected)).unwrap(), manifest, "{name}");
    }
    let lost = Node::new(&bundle, "lost", &[], "");
    let output = lost.run();
    assert!(!output.status.success() && text(&output.stderr).contains("kairosOperator.manifest_dir"), "{output:?}");
    assert!(lost.files().is_empty());

    let container = std::fs::read_to_string(bundle.join("Containerfile")).unwrap();
    assert!(container.contains("FROM scratch\nCOPY assets /assets\nCOPY run.sh /\n"), "{container}");
    let image = find(&build(&corner, "default", &[]), "CronJob", "rounds")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        [0]["image"]
        .clone();
    let (_, version) = image.as_str().unwrap().rsplit_once(':').unwrap();
    let config = std::fs::read_to_string(root().join("kustomize/bundle/cloud-config.yaml")).unwrap();
    assert!(config.starts_with("#cloud-config\n"), "{config}");
    let config = rounds::yaml::documents(&config).unwrap().remove(0);
    assert_eq!(config["bundles"][0]["targets"][0], format!("run://ghcr.io/rounds-project/rounds-bundle:{version}"));
    std::fs::remove_dir_all(&bundle).unwrap();
}
