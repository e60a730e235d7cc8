//! The servers that people may put beside Rounds: what `kubectl apply -k` makes of them, and what the apiserver says to that.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::harness::Corner;

/// A kustomization with components, as somebody who wants them would write it.
pub fn build(corner: &Corner, base: &str, components: &[&str]) -> Vec<Value> {
    static BUILDS: AtomicUsize = AtomicUsize::new(0);
    let root = env!("CARGO_MANIFEST_DIR");
    let number = BUILDS.fetch_add(1, Ordering::SeqCst);
    let folder = std::env::temp_dir().join(format!("rounds-kustomize-{}-{number}", std::process::id()));
    // kustomize takes no absolute paths, and resolves links before it takes relative ones.
    std::fs::create_dir_all(&folder).unwrap();
    let up = "../".repeat(folder.canonicalize().unwrap().components().count() - 1);
    let path = |name: &str| format!("{up}{}", Path::new(root).join("kustomize").join(name).strip_prefix("/").unwrap().display());
    let components: Vec<String> = components.iter().map(|name| path(&format!("components/{name}"))).collect();
    let kustomization = json!({"resources": [path(base)], "components": components}).to_string();
    std::fs::write(folder.join("kustomization.yaml"), kustomization).unwrap();
    let printed = corner.kubectl(&["kustomize", folder.to_str().unwrap()]);
    std::fs::remove_dir_all(&folder).unwrap();
    rounds::yaml::documents(&printed).expect("kustomize prints YAML")
}

pub fn find<'o>(objects: &'o [Value], kind: &str, name: &str) -> &'o Value {
    let found = objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// Takes them all in a namespace of any name, and their pods under the strictest standard.
fn is_accepted(corner: &Corner, namespace: &str, objects: &[Value]) {
    for object in objects {
        let what = format!("{} {}", object["kind"], object["metadata"]["name"]);
        assert!(object["metadata"].get("namespace").is_none(), "{what} has a fixed namespace");
        let mut all = vec![object.clone()];
        let template = &object["spec"]["template"];
        if object["kind"] == "Deployment" {
            let metadata = json!({"name": "pod", "labels": template["metadata"]["labels"]});
            all.push(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}));
            let container = &template["spec"]["containers"][0];
            let tag = container["image"].as_str().unwrap().rsplit_once(':').expect("a pinned image").1;
            assert!(tag.starts_with(|c: char| c.is_ascii_digit()) && tag.matches('.').count() == 2, "{what}: {tag} is no version");
            assert!(container["resources"]["limits"]["memory"].is_string(), "{what} has no limits");
            assert_eq!(template["spec"]["automountServiceAccountToken"], false, "{what} has a token");
        }
        for object in all {
            let output = corner.kubectl_with(&["-n", namespace, "apply", "--dry-run=server", "-f", "-"], Some(&object.to_string()));
            assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

/// Runs the container's command on a folder, with something else in nginx's place.
fn begins_without_what_was_cut_off(container: &Value, config: &str) {
    let root = "/usr/share/nginx/html";
    assert!(config.contains(&format!("client_body_temp_path {root}/.incoming;")), "{config}");
    assert!(container["volumeMounts"].as_array().unwrap().contains(&json!({"name": "public", "mountPath": root})), "{container}");
    let folder = std::env::temp_dir().join(format!("rounds-nginx-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("bin")).unwrap();
    std::fs::create_dir_all(folder.join(".incoming/0")).unwrap();
    std::fs::write(folder.join(".incoming/0/0000000001"), "half").unwrap();
    std::fs::write(folder.join("kairos.iso"), "whole").unwrap();
    std::fs::write(folder.join("bin/nginx"), "#!/bin/sh\nprintf '<%s>' \"$@\"\n").unwrap();
    std::fs::set_permissions(folder.join("bin/nginx"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let command: Vec<String> = serde_json::from_value(container["command"].clone()).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.join("bin").display());
    for round in ["with what was left", "with nothing left"] {
        let arguments = command[1..].iter().map(|argument| argument.replace(root, folder.to_str().unwrap()));
        let output = std::process::Command::new(&command[0]).args(arguments).env("PATH", &path).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "<-g><daemon off;>", "{round}");
        assert!(!folder.join(".incoming").exists() && folder.join("kairos.iso").exists(), "{round}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_servers_for_artifacts_are_accepted_in_any_namespace_and_open_to_pods_of_artifacts_only() {
    let corner = Corner::new("kustomize");
    corner.kubectl(&["create", "namespace", "kustomize-strict"]);
    corner.kubectl(&["label", "namespace", "kustomize-strict", "pod-security.kubernetes.io/enforce=restricted"]);

    let nginx = build(&corner, "nginx", &[]);
    is_accepted(&corner, "kustomize-strict", &nginx);
    let service = find(&nginx, "Service", "kairos-operator-nginx");
    assert_eq!((&service["spec"]["type"], &service["spec"]["ports"][0]["port"]), (&json!("NodePort"), &json!(80)));
    let deployment = find(&nginx, "Deployment", "nginx");
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    let policy = find(&nginx, "NetworkPolicy", "kairos-operator-nginx");
    for (what, selector) in [
        ("the Service", &service["spec"]["selector"]),
        ("the Deployment", &deployment["spec"]["selector"]["matchLabels"]),
        ("the policy", &policy["spec"]["podSelector"]["matchLabels"]),
    ] {
        assert_eq!(selector, labels, "{what} selects other pods");
    }
    let artifact_pods = json!([{
        "namespaceSelector": {},
        "podSelector": {"matchExpressions": [{"key": "build.kairos.io/artifact", "operator": "Exists"}]},
    }]);
    let ingress = policy["spec"]["ingress"].as_array().unwrap();
    assert_eq!(*ingress, [json!({"ports": [{"port": "download"}]}), json!({"ports": [{"port": "upload"}], "from": artifact_pods})]);
    let config = find(&nginx, "ConfigMap", "nginx-upload-config")["data"]["default.conf"].as_str().unwrap();
    let (upload, download) = config.split_once("listen 8081").unwrap();
    assert!(upload.contains("listen 8080") && upload.contains("dav_methods PUT") && !download.contains("dav"), "{config}");
    find(&nginx, "Role", "artifactCopier");
    begins_without_what_was_cut_off(&deployment["spec"]["template"]["spec"]["containers"][0], upload);

    let guarded = build(&corner, "nginx", &["nginx-htpasswd"]);
    is_accepted(&corner, "kustomize-strict", &guarded);
    let mounts = find(&guarded, "Deployment", "nginx")["spec"]["template"]["spec"]["containers"][0]["volumeMounts"].to_string();
    assert!(mounts.contains("/etc/nginx/upload") && mounts.contains("/usr/share/nginx/html"), "{mounts}");
    assert!(config.contains("include /etc/nginx/upload/*.conf;"), "{config}");

    let registry = build(&corner, "registry", &["registry-noauth"]);
    is_accepted(&corner, "kustomize-strict", &registry);
    let port = |name| find(&registry, "Service", name)["spec"]["ports"][0]["port"].clone();
    assert_eq!((port("registry"), port("registry-noauth")), (json!(5000), json!(5001)));
    assert_eq!(find(&registry, "NetworkPolicy", "registry-noauth")["spec"]["ingress"][0]["from"], artifact_pods);
    corner.kubectl(&["delete", "namespace", "kustomize-strict", "--wait=false"]);
}

/// As docs/gitops.md tells: the namespace in one kustomization, and around it the component that adds another one.
#[test]
fn it_can_be_installed_in_any_namespace_and_by_pod_security_even_then() {
    let corner = Corner::new("renamed");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::temp_dir().join(format!("rounds-renamed-{}", std::process::id()));
    for part in ["rounds", "all"] {
        std::fs::create_dir_all(folder.join(part)).unwrap();
    }
    let up = "../".repeat(folder.join("all").canonicalize().unwrap().components().count() - 1);
    let path = |name: &str| format!("{up}{}", root.join("kustomize").join(name).strip_prefix("/").unwrap().display());
    let write = |part: &str, text: Value| std::fs::write(folder.join(part).join("kustomization.yaml"), text.to_string()).unwrap();
    for base in ["default", "loop"] {
        write("rounds", json!({"resources": [path(base)], "namespace": "fleet"}));
        write("all", json!({"resources": ["../rounds"], "components": [path("components/pod-security")]}));
        let objects = rounds::yaml::documents(&corner.kubectl(&["kustomize", folder.join("all").to_str().unwrap()])).unwrap();
        let subject = &find(&objects, "ClusterRoleBinding", "rounds")["subjects"][0];
        assert_eq!(
            (&subject["namespace"], &find(&objects, "ServiceAccount", "rounds")["metadata"]["namespace"]),
            (&json!("fleet"), &json!("fleet"))
        );
        let enforced = |name: &str| find(&objects, "Namespace", name)["metadata"]["labels"]["pod-security.kubernetes.io/enforce"].clone();
        assert_eq!((enforced("fleet"), enforced("rounds-probes")), (json!("restricted"), json!("privileged")), "{base}");
        assert!(!objects.iter().any(|object| object.to_string().contains("rounds-system")), "{base}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_channel_that_the_k3os_operators_agent_made_is_accepted() {
    let corner = Corner::new("agent");
    let folder = format!("{}/kustomize/k3os", env!("CARGO_MANIFEST_DIR"));
    let objects = rounds::yaml::documents(&corner.kubectl(&["kustomize", &folder])).expect("kustomize prints YAML");
    find(&objects, "Namespace", "k3os-system");
    let mut channel = find(&objects, "UpdateChannel", "github-releases").clone();
    assert_eq!((&channel["spec"]["concurrency"], &channel["spec"]["url"]), (&json!(1), &json!("github-releases://rancher/k3os")));
    assert_eq!(channel["metadata"]["namespace"], "k3os-system");
    channel["metadata"]["namespace"] = json!(corner.name);
    corner.create(&channel);
    let mut example = rounds::yaml::documents(include_str!("../../examples/updatechannel-k3os.yaml")).unwrap().remove(0);
    example["metadata"]["namespace"] = json!(corner.name);
    corner.apply(&example);
}
