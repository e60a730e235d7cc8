//! What people install: kubeconform and the server take it, its containers are as they should be, and the chart is the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{ask, root, text, told};
use crate::harness::{Corner, merge};
use crate::kustomizations::{build, find};

/// Folders of `kustomize/` with components that go together. Those that are not named here are built as they are.
const BUILDS: [(&str, &[&str]); 9] = [
    ("default", &[]),
    ("default", &["metrics-textfile", "network-policy"]),
    ("default", &["pod-security", "network-policy"]),
    ("loop", &[]),
    ("loop", &["metrics", "network-policy", "pod-security"]),
    ("bundle", &[]),
    ("nginx", &[]),
    ("nginx", &["nginx-htpasswd"]),
    ("registry", &["registry-noauth"]),
];

fn folders(path: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(path)).unwrap().map(|entry| entry.unwrap());
    entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// The pods that an object makes, as pods.
fn pods(object: &Value) -> Vec<Value> {
    let templates = ["/spec/template", "/spec/jobTemplate/spec/template"];
    let templates = templates.iter().filter_map(|place| object.pointer(place)).filter(|template| template["spec"]["containers"].is_array());
    let pod = |template: &Value| {
        let metadata = json!({"name": "pod", "namespace": object["metadata"]["namespace"], "labels": template["metadata"]["labels"]});
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
    };
    templates.map(pod).collect()
}

/// Requests, limits, a security context and a pinned image, for every container.
fn is_well_made(what: &str, pod: &Value) {
    let security = &pod["spec"]["securityContext"];
    assert_eq!((&security["runAsNonRoot"], &security["seccompProfile"]["type"]), (&json!(true), &json!("RuntimeDefault")), "{what}");
    let containers = ["containers", "initContainers"].iter().flat_map(|field| pod["spec"][field].as_array().into_iter().flatten());
    for container in containers {
        let (_, tag) = container["image"].as_str().unwrap().rsplit_once(':').expect("a tag");
        let version = tag.strip_prefix('v').unwrap_or(tag);
        assert!(version.split('.').count() == 3 && version.starts_with(|c: char| c.is_ascii_digit()), "{what}: {tag} is no version");
        for (place, unit) in [("requests", "cpu"), ("requests", "memory"), ("limits", "cpu"), ("limits", "memory")] {
            assert!(container["resources"][place][unit].is_string(), "{what} has no {place}.{unit}");
        }
        let expected = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
        assert_eq!(container["securityContext"], expected, "{what}");
    }
}

/// Schemas of the server's own kinds, from the server, and of ours, from `crds/`, as kubeconform reads them; fields that are
/// not known are refused.
fn schemas(corner: &Corner, versions: &BTreeSet<String>) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("rounds-schemas-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |version: &str, kind: &str, mut schema: Value| {
        close(&mut schema);
        let (group, short) = version.split_once('/').unwrap_or((version, version));
        let name = format!("{group}_{short}_{}.json", kind.to_lowercase());
        std::fs::write(folder.join(name), schema.to_string()).unwrap();
    };
    let index: Value = serde_json::from_str(&corner.kubectl(&["get", "--raw", "/openapi/v3"])).unwrap();
    for version in versions {
        let path = if version.contains('/') { format!("apis/{version}") } else { format!("api/{version}") };
        let place = index["paths"][&path]["serverRelativeURL"].as_str().unwrap_or_else(|| panic!("the server does not know {version}"));
        let document: Value = serde_json::from_str(&corner.kubectl(&["get", "--raw", place])).unwrap();
        for schema in document["components"]["schemas"].as_object().unwrap().values() {
            for kind in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
                let group = kind["group"].as_str().filter(|group| !group.is_empty());
                let of = [group, kind["version"].as_str()].into_iter().flatten().collect::<Vec<_>>().join("/");
                if of == *version {
                    let mut whole = schema.clone();
                    // What it refers to.
                    whole["components"] = document["components"].clone();
                    write(version, kind["kind"].as_str().unwrap(), whole);
                }
            }
        }
    }
    for definition in std::fs::read_dir(root().join("crds")).unwrap().map(|entry| entry.unwrap().path()) {
        let Some(definition) = definition.extension().map(|_| read(&definition).remove(0)) else { continue };
        for version in definition["spec"]["versions"].as_array().unwrap() {
            let name = format!("{}/{}", definition["spec"]["group"].as_str().unwrap(), version["name"].as_str().unwrap());
            let mut schema = version["schema"]["openAPIV3Schema"].clone();
            let metadata = json!({"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}});
            merge(&mut schema["properties"], metadata);
            write(&name, definition["spec"]["names"]["kind"].as_str().unwrap(), schema);
        }
    }
    folder
}

/// No field but those that are named.
fn close(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    let open = ["additionalProperties", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"];
    if fields.get("properties").is_some_and(Value::is_object) && !open.iter().any(|key| fields.contains_key(*key)) {
        fields.insert("additionalProperties".into(), json!(false));
    }
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("properties" | "patternProperties" | "schemas", Value::Object(named)) => named.values_mut().for_each(close),
            ("allOf" | "anyOf" | "oneOf", Value::Array(all)) => all.iter_mut().for_each(close),
            ("items" | "not" | "components" | "additionalProperties", value) => close(value),
            _ => {}
        }
    }
}

fn read(path: &Path) -> Vec<Value> {
    rounds::yaml::documents(&std::fs::read_to_string(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What kubeconform has against these objects.
fn kubeconform(schemas: &Path, objects: &[Value]) -> Result<(), String> {
    let pattern = format!("{}/{{{{.Group}}}}_{{{{.ResourceAPIVersion}}}}_{{{{.ResourceKind}}}}.json", schemas.display());
    let list: String = objects.iter().map(|object| format!("---\n{object}\n")).collect();
    let output = ask("kubeconform", &["-strict", "-summary", "-schema-location", &pattern, "-"], &list);
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    let all = format!("Valid: {}, Invalid: 0, Errors: 0, Skipped: 0", objects.len());
    if output.status.success() && said.contains(&all) { Ok(()) } else { Err(said) }
}

#[test]
fn every_build_passes_kubeconform_and_the_server_and_every_container_is_well_made() {
    let corner = Corner::alone("installed");
    let others = folders("kustomize").into_iter().filter(|name| BUILDS.iter().all(|(base, _)| base != name));
    // A chart, parts, and what only Argo CD and Flux know the kinds of.
    let others: Vec<String> = others.filter(|name| !["chart", "components", "argocd", "flux"].contains(&name.as_str())).collect();
    let all = BUILDS.iter().copied().chain(others.iter().map(|name| (name.as_str(), &[][..])));
    let builds: Vec<_> = all.map(|(base, components)| (format!("{base} with {components:?}"), build(&corner, base, components))).collect();
    let used: BTreeSet<&str> = BUILDS.iter().flat_map(|(_, components)| components.iter().copied()).chain(["pod-monitor"]).collect();
    assert_eq!(folders("kustomize/components"), used.into_iter().map(String::from).collect(), "a component that no test builds");

    let mut examples = Vec::new();
    for example in std::fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path()) {
        examples.extend(example.extension().is_some_and(|is| is == "yaml").then(|| read(&example)).into_iter().flatten());
    }
    let everything = builds.iter().flat_map(|(_, objects)| objects).chain(&examples);
    let versions = everything.map(|object| object["apiVersion"].as_str().unwrap().to_string());
    let schemas = schemas(&corner, &versions.collect());

    kubeconform(&schemas, &examples).unwrap_or_else(|said| panic!("examples: {said}"));
    for (what, objects) in &builds {
        kubeconform(&schemas, objects).unwrap_or_else(|said| panic!("{what}: {said}"));
        // Those that the others need.
        for kind in ["Namespace", "ServiceAccount"] {
            objects.iter().filter(|object| object["kind"] == kind).for_each(|object| corner.apply(object));
        }
        let pods: Vec<Value> = objects.iter().flat_map(pods).collect();
        pods.iter().for_each(|pod| is_well_made(what, pod));
        // As pods, too: of what makes pods, Pod Security looks at nothing.
        let all: String = objects.iter().chain(&pods).map(|object| format!("---\n{object}\n")).collect();
        let output = corner.kubectl_with(&["apply", "--dry-run=server", "-f", "-"], Some(&all));
        assert!(output.status.success() && !text(&output.stderr).contains("would violate"), "{what}: {}", text(&output.stderr));
    }

    let runner = find(&builds[0].1, "CronJob", "rounds");
    for (wrong, said) in [(json!({"spec": {"shedule": "* * * * *"}}), "shedule"), (json!({"spec": {"suspend": "no"}}), "suspend")] {
        let mut changed = runner.clone();
        merge(&mut changed, wrong);
        let refused = kubeconform(&schemas, &[changed]).expect_err("kubeconform takes anything");
        assert!(refused.contains(said), "{refused}");
    }
    let mut op = corner.nodeop("op", json!({}));
    op["spec"]["concurency"] = json!(1);
    assert!(kubeconform(&schemas, &[op]).expect_err("kubeconform takes anything").contains("concurency"));
    std::fs::remove_dir_all(&schemas).unwrap();
}

#[test]
fn a_pod_monitor_finds_the_loop() {
    let corner = Corner::new("monitored");
    let objects = build(&corner, "loop", &["metrics", "pod-monitor"]);
    let monitor = &find(&objects, "PodMonitor", "rounds")["spec"];
    let template = &find(&objects, "Deployment", "rounds")["spec"]["template"];
    let service = &find(&objects, "Service", "rounds-metrics")["spec"];
    assert_eq!(monitor["selector"]["matchLabels"], template["metadata"]["labels"]);
    assert_eq!(service["selector"], template["metadata"]["labels"]);
    let port = &template["spec"]["containers"][0]["ports"][0];
    assert_eq!((&monitor["podMetricsEndpoints"][0]["port"], &service["ports"][0]["targetPort"]), (&port["name"], &port["name"]));
}

/// By kind and name.
fn named(objects: Vec<Value>) -> BTreeMap<String, Value> {
    objects.into_iter().map(|object| (format!("{} {}", object["kind"], object["metadata"]["name"]), object)).collect()
}

fn chart(sets: &[&str]) -> Result<Vec<Value>, String> {
    let chart = root().join("kustomize/chart");
    let mut args = vec!["template", "rounds", chart.to_str().unwrap(), "--namespace", "rounds-system"];
    sets.iter().for_each(|set| args.extend(["--set", set]));
    let output = ask("helm", &args, "");
    if !output.status.success() {
        return Err(text(&output.stderr));
    }
    Ok(rounds::yaml::documents(&text(&output.stdout)).expect("helm prints YAML"))
}

#[test]
fn the_chart_renders_to_what_kustomize_makes() {
    let corner = Corner::new("charts");
    let same = |sets: &[&str], base: &str, components: &[&str]| {
        let (ours, theirs) = (named(build(&corner, base, components)), named(chart(sets).unwrap()));
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{sets:?}");
        for (name, object) in &ours {
            assert_eq!(object, &theirs[name], "{sets:?}: {name}");
        }
    };
    same(&["namespace.create=true"], "default", &[]);
    same(&["namespace.create=true", "networkPolicy.enabled=true"], "default", &["network-policy"]);
    same(&["namespace.create=true", "mode=loop"], "loop", &[]);
    same(&["namespace.create=true", "mode=loop", "metrics.enabled=true"], "loop", &["metrics"]);

    // What the values change, and nothing else.
    let changed = named(
        chart(&["image.repository=registry.example.com/rounds", "image.tag=v9", "crds.install=false", "extraArgs={--probes=5}"]).unwrap(),
    );
    assert!(!changed.keys().any(|key| key.contains("CustomResourceDefinition") || key.contains("Namespace")), "{:?}", changed.keys());
    let pod = &changed["\"CronJob\" \"rounds\""]["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["image"], "registry.example.com/rounds:v9");
    assert!(container["env"].as_array().unwrap().contains(&json!({"name": "OPERATOR_IMAGE", "value": "registry.example.com/rounds:v9"})));
    assert_eq!(container["args"], json!(["run", "--for", "50s", "--log-format", "json", "--probes=5"]));
    let digest = format!("sha256:{}", "a".repeat(64));
    let pinned = named(chart(&["mode=loop", &format!("image.digest={digest}"), "interval=1m", "probeNamespace=probes"]).unwrap());
    let container = &pinned["\"Deployment\" \"rounds\""]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], format!("ghcr.io/rounds-project/rounds@{digest}"));
    assert_eq!(container["args"], json!(["run", "--loop", "1m", "--log-format", "json", "--probe-namespace=probes"]));

    let about = read(&root().join("kustomize/chart/Chart.yaml")).remove(0);
    assert_eq!(
        (&about["version"], &about["appVersion"]),
        (&json!(env!("CARGO_PKG_VERSION")), &json!(concat!("v", env!("CARGO_PKG_VERSION"))))
    );
}

#[test]
fn helm_lints_the_chart_and_its_schema_refuses_wrong_values() {
    let path = root().join("kustomize/chart");
    let linted = told("helm", &["lint", "--strict", path.to_str().unwrap()], "");
    assert!(linted.contains("1 chart(s) linted, 0 chart(s) failed") && !linted.contains("[WARNING]"), "{linted}");
    for (wrong, named) in [
        ("mode=both", "/mode"),
        ("shedule=x", "shedule"),
        ("schedule=often", "/schedule"),
        ("interval=soon", "/interval"),
        ("image.tag=a b", "/image/tag"),
        ("image.digest=sha256:12", "/image/digest"),
        ("image.pullPolicy=Always", "pullPolicy"),
        ("resources.limits=null", "limits"),
        ("metrics.enabled=true", "/mode"),
        ("metrics.enabled=perhaps", "/metrics/enabled"),
        ("extraArgs=--probes", "/extraArgs"),
        ("probeNamespace=Not_One", "/probeNamespace"),
    ] {
        let refused = chart(&[wrong]).expect_err(wrong);
        assert!(refused.contains("values don't meet the specifications of the schema") && refused.contains(named), "{wrong}: {refused}");
    }
}
