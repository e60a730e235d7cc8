//! The rooms that decide know no clock, no environment and no cluster.

use std::path::{Path, PathBuf};

fn sources(path: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_rooms_that_decide_do_no_io() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let shell = [
        "main.rs",
        "cli",
        "cluster",
        "node",
        "round",
        "snapshot/manifests",
        // What a choice among versions rests on stays pure: resolve/choice.rs and its like.
        "resolve.rs",
        "resolve/http.rs",
        "resolve/guard.rs",
    ];
    let mut checked = 0;
    for file in files {
        let name = file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        if shell.iter().any(|part| name == *part || name.starts_with(&format!("{part}/")) || name == format!("{part}.rs")) {
            continue;
        }
        checked += 1;
        let text = std::fs::read_to_string(&file).unwrap();
        for word in ["kube::Client", "tokio", "Api<", "std::fs", "std::env", "std::net", "::now()", "println!"] {
            assert!(!text.contains(word), "{name} decides, and has {word}");
        }
    }
    assert!(checked > 20, "the rooms have moved: only {checked} files were checked");
}

#[test]
fn the_only_user_of_the_yaml_crate_is_yaml_rs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files.iter().filter(|file| !file.ends_with("yaml.rs")) {
        assert!(!std::fs::read_to_string(file).unwrap().contains("serde_saphyr"), "{}", file.display());
    }
}

#[test]
fn one_tls_provider_is_linked() {
    // Two of them make the client panic as soon as it is built.
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    assert!(lock.contains("name = \"ring\"") && !lock.contains("name = \"aws-lc-rs\""));
}
