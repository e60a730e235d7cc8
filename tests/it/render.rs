//! `rounds render` and `rounds node render`, as people and the builder's pod use them: no cluster anywhere.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn rounds(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rounds"));
    command.args(args).env_clear().env("SECRET_OF_THE_ENVIRONMENT", "s3cret");
    command
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A folder of a test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = Self(std::env::temp_dir().join(format!("rounds-render-{name}-{}", std::process::id())));
        let _ = std::fs::remove_dir_all(&folder.0);
        std::fs::create_dir_all(&folder.0).unwrap();
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    fn put(&self, name: &str, text: &str) -> String {
        std::fs::create_dir_all(self.0.join(name).parent().unwrap()).unwrap();
        std::fs::write(self.0.join(name), text).unwrap();
        self.path(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_example_becomes_a_dockerfile() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/dockerfile");
    let (template, values) = (example.join("Dockerfile"), example.join("Dockerfile.values"));
    let (template, values) = (template.to_str().unwrap(), values.to_str().unwrap());
    let output = rounds(&["render", template, "--values", values]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    let expected = "FROM debian:13\n\nRUN apt-get update && \\\n    apt-get install -y --no-install-recommends htop curl && \\\n    \
                    rm -rf /var/lib/apt/lists/*\n\nRUN echo VERSION=\"1.10\" > /etc/build-info\nLABEL team=\"edge\"\n";
    assert_eq!(out(&output), expected);
    let bare = rounds(&["render", template]).output().unwrap();
    assert_eq!(out(&bare), "FROM ubuntu:24.04\n");
}

#[test]
fn the_last_value_counts_and_the_text_is_printed_as_it_is() {
    let folder = Folder::new("order");
    let (one, two) = (folder.put("one.yaml", "A: 1\nB: 1.10\nC: one\n"), folder.put("two.yaml", "B: two\nC: two\n"));
    let args = ["render", "-", "--values", &one, "--values", &two, "--set", "C=set=x", "--set", "D="];
    let mut child = rounds(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all("{{.A}} {{.B}} {{.C}} [{{.D}}]\r\n\u{202e}\t{{ printf \"%q\" .E }}".as_bytes()).unwrap();
    assert_eq!(out(&child.wait_with_output().unwrap()), "1 two set=x []\r\n\u{202e}\t\"\"");
}

#[test]
fn a_mistake_is_told_with_file_line_and_column() {
    let folder = Folder::new("mistakes");
    for (template, place) in [
        ("FROM x\nRUN {{ nosuch }}\n", "2:8: there is no function nosuch"),
        ("FROM x\n{{ if .A }}\n", "3:1: the template ends here, and end is missing"),
        ("é {{ .A.B }}", "1:6: a string has no field B"),
        ("{{ .a-b }}", "1:6: '-' cannot follow .a; a name with other characters is asked for as index . \"its-name\""),
        ("{{ define \"x\" }}{{ end }}", "1:4: define is forbidden here: a Dockerfile is one template"),
        ("{{- template \"x\" . }}", "1:5: template is forbidden here: a Dockerfile is one template"),
        ("\n\n  {{block \"x\" .}}{{end}}", "3:5: block is forbidden here: a Dockerfile is one template"),
        ("{{ env \"SECRET_OF_THE_ENVIRONMENT\" }}", "1:4: there is no function env"),
        ("{{ range 1000000000 }}{{ end }}", "1:10: the template takes more than 1000000 steps"),
    ] {
        let file = folder.put("Dockerfile", template);
        let output = rounds(&["render", &file]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{template}");
        assert_eq!((out(&output), error(&output)), (String::new(), format!("error: {file}:{place}\n")), "{template}");
    }
    let nested = folder.put("nested.yaml", "A: {B: c}\n");
    let output = rounds(&["render", &folder.path("Dockerfile"), "--values", &nested]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(error(&output), format!("error: {nested}: A is a map; a text is expected, such as A: \"…\"\n"));
    let missing = rounds(&["render", &folder.path("none")]).output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(error(&missing).contains("none cannot be read: No such file"), "{}", error(&missing));
    assert_eq!(rounds(&["render", "-", "--set", "A"]).output().unwrap().status.code(), Some(64));
}

/// What the builder's first container does, with Secrets as the kubelet mounts them.
fn node(folder: &Folder, args: &[&str]) -> (Option<i32>, String) {
    folder.put("message", "");
    let (output, message) = (folder.path("out"), folder.path("message"));
    let template = folder.path("template/ociSpec");
    let mut all = vec!["node", "render", "--output", &output, "--message", &message];
    all.extend(["--template", &template, "--secret", "my-dockerfile", "--key", "ociSpec"]);
    all.extend(args);
    let ended = rounds(&all).output().unwrap();
    (ended.status.code(), folder.read("message"))
}

#[test]
fn the_builder_gets_its_dockerfile_with_inline_values_before_those_of_the_secret() {
    let folder = Folder::new("node");
    folder.put(
        "template/..2026_11_21/ociSpec",
        "FROM {{ .Base }}\nRUN echo {{ .Name }} {{ .None }}\n{{ index . \"ca.der\" | len }}{{ len . }}",
    );
    std::os::unix::fs::symlink("..2026_11_21", folder.path("template/..data")).unwrap();
    std::os::unix::fs::symlink("..data/ociSpec", folder.path("template/ociSpec")).unwrap();
    folder.put("values/..data/Base", "never read");
    folder.put("values/Base", "debian:13");
    folder.put("values/Name", "secret");
    std::fs::write(folder.path("values/ca.der"), b"\xff\xfe\x00").unwrap();
    let values = folder.path("values");
    let args = ["--values", &values, "--values-secret", "my-values", "--set", "Name=inline"];
    assert_eq!(node(&folder, &args), (Some(0), String::new()));
    assert_eq!(folder.read("out"), "FROM debian:13\nRUN echo inline \n33");
    assert_eq!(std::fs::metadata(folder.path("out")).unwrap().permissions().mode() & 0o777, 0o644);

    let around: Vec<&str> = args.into_iter().chain(["--header", "ARG X\n# {{ as it is }}", "--footer", "--footer--"]).collect();
    assert_eq!(node(&folder, &around), (Some(0), String::new()));
    assert_eq!(folder.read("out"), "ARG X\n# {{ as it is }}\nFROM debian:13\nRUN echo inline \n33\n--footer--");

    let output = folder.path("out");
    let bare = rounds(&["node", "render", "--output", &output, "--header", "A", "--footer", "B"]).output().unwrap();
    assert_eq!((bare.status.code(), folder.read("out").as_str()), (Some(0), "A\nB"), "{}", error(&bare));
}

#[test]
fn what_is_missing_or_wrong_is_one_line_of_the_termination_message() {
    let folder = Folder::new("missing");
    std::fs::create_dir_all(folder.path("template/..data")).unwrap();
    std::fs::create_dir_all(folder.path("values/..data")).unwrap();
    let values = folder.path("values");
    let values = ["--values", &values, "--values-secret", "my-values"];
    let told = |args: &[&str], message: &str| assert_eq!(node(&folder, args), (Some(1), message.to_string()));
    told(&[], "the Secret my-dockerfile is missing, or has no key ociSpec");
    folder.put("template/Dockerfile", "FROM x");
    told(&[], "the Secret my-dockerfile has no key ociSpec; it has Dockerfile");
    let all: Vec<String> = (0..300).map(|index| format!("{index:03}-{}", "k".repeat(200))).collect();
    all.iter().for_each(|key| _ = folder.put(&format!("template/{key}"), ""));
    told(&[], &format!("the Secret my-dockerfile has no key ociSpec; it has {} and 291 more", all[..10].join(", ")));
    folder.put("template/ociSpec", "FROM x\n{{ .A | }}{{ if }}");
    told(&values, "the Secret my-values with the template's values is missing, or empty");
    told(&[], "Secret my-dockerfile, key ociSpec: 2:17: if has no value");
    std::fs::write(folder.path("template/ociSpec"), b"FROM \xff").unwrap();
    told(&[], "Secret my-dockerfile, key ociSpec: byte 6 is no UTF-8");
    folder.put("template/ociSpec", &"x".repeat((1 << 20) + 1));
    told(&[], "Secret my-dockerfile, key ociSpec: it has 1048577 bytes, at most 1048576 are taken");
    folder.put("template/ociSpec", &format!("{{{{ {} }}}}", "f".repeat(100_000)));
    let (code, message) = node(&folder, &[]);
    assert!(code == Some(1) && message.chars().count() < 400, "{} characters", message.chars().count());
    assert!(!Path::new(&folder.path("out")).exists(), "nothing is written where something is wrong");
}
