//! The CustomResourceDefinitions: what is checked in is what the types say, and what the server takes.

use serde_json::{Value, json};

use crate::harness::{ControlPlane, Corner};

#[test]
fn what_is_checked_in_is_what_the_types_say() {
    for crd in rounds::crds::all().unwrap() {
        let path = format!("{}/crds/{}", env!("CARGO_MANIFEST_DIR"), rounds::crds::file_name(&crd));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}; run make generate"));
        assert_eq!(rounds::yaml::documents(&text).unwrap(), std::slice::from_ref(&crd), "{path} is stale; run make generate");
        assert!(crd.to_string().len() < 150_000, "{path} is too large: {}", crd.to_string().len());
    }
}

#[test]
fn the_command_reference_is_what_the_binary_says() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_rounds")).arg("docs").output().unwrap();
    let path = format!("{}/docs/cli.md", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, String::from_utf8(output.stdout).unwrap(), "{path} is stale; run make generate");
}

#[test]
fn no_default_leaks_into_anybodys_object_and_no_list_is_empty() {
    for crd in rounds::crds::all().unwrap() {
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert_eq!(schema["properties"]["status"]["default"], json!({"observedGeneration": -1}));
        let mut rest = schema.clone();
        rest["properties"]["status"].as_object_mut().unwrap().remove("default");
        assert!(defaults(&rest, "").is_empty(), "{:?}", defaults(&rest, ""));
        assert!(crd["spec"]["names"].get("categories").is_none());
    }
}

/// Paths of all schema defaults; a property that is called default is none.
fn defaults(schema: &Value, path: &str) -> Vec<String> {
    let Value::Object(fields) = schema else { return Vec::new() };
    let own = fields.get("default").filter(|_| !path.ends_with("/properties")).map(|_| path.to_string());
    own.into_iter().chain(fields.iter().flat_map(|(key, value)| defaults(value, &format!("{path}/{key}")))).collect()
}

#[test]
fn the_server_takes_them_without_a_warning_and_gives_them_back_as_they_are() {
    let plane = ControlPlane::shared();
    for crd in rounds::crds::all().unwrap() {
        let name = crd["metadata"]["name"].as_str().unwrap().to_string();
        let output = plane.kubectl(&["apply", "--server-side", "-f", "-"], Some(&crd.to_string()));
        assert!(output.status.success() && output.stderr.is_empty(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let back: Value = serde_json::from_slice(&plane.kubectl(&["get", "crd", &name, "-o", "json"], None).stdout).unwrap();
        assert_eq!(back["spec"]["versions"], crd["spec"]["versions"], "{name}");
    }
}

#[test]
fn short_names_and_columns_are_there() {
    let corner = Corner::new("columns");
    corner.nodes(1, 0);
    corner.create(&corner.nodeop("op", json!({})));
    assert_eq!(corner.settle().code, 0);
    // Not `no`: kubectl gives that to core Nodes, and warns of it on every `kubectl get no`.
    let table = corner.kubectl(&["-n", "columns", "get", "nop"]);
    assert_eq!(corner.kubectl_with(&["get", "no"], None).stderr, b"", "nobody's habits are disturbed");
    corner.kubectl(&["get", "nou,osa,upchan,upchans"]);
    let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["NAME", "PHASE", "DONE", "NOW", "READY", "AGE"]);
    assert_eq!(words[1][..4], ["op", "Completed", "1/1", "True"], "{table}");
}
