//! Dockerfile templates against Go's own text/template: `tests/gotemplate/cases.json` is what Go makes of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use rounds::gotemplate::render;
use serde_json::Value;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gotemplate");

/// What differs from Go, a line each.
fn differences(cases: &[Value]) -> Vec<String> {
    let mut differences = Vec::new();
    for case in cases {
        let template = case["template"].as_str().unwrap();
        let values: BTreeMap<String, String> = serde_json::from_value(case["values"].clone()).unwrap();
        let rendered = render(template, &values);
        let is_equal = match (&rendered, case["output"].as_str()) {
            (Ok(text), Some(expected)) => text == expected.as_bytes(),
            (Err(error), None) => case["error"] == true && case["line"].as_u64().is_none_or(|line| error.line as u64 == line),
            _ => false,
        };
        if !is_equal && !complex_numbers(&rendered) {
            let rendered = rendered.map(|text| String::from_utf8_lossy(&text).into_owned()).map_err(|error| error.to_string());
            differences.push(format!("{template:?}: {rendered:?}, and in Go {} {}", case["output"], case["line"]));
        }
    }
    differences
}

/// The one thing that Go has and we refuse.
fn complex_numbers(rendered: &Result<Vec<u8>, rounds::gotemplate::TemplateError>) -> bool {
    rendered.as_ref().is_err_and(|error| error.message.starts_with("complex numbers are not supported"))
}

fn cases(text: &[u8]) -> Vec<Value> {
    serde_json::from_slice(text).unwrap()
}

#[test]
fn every_template_gives_what_go_gives() {
    let cases = cases(&std::fs::read(Path::new(FOLDER).join("cases.json")).unwrap());
    let errors = cases.iter().filter(|case| case["error"] == true).count();
    assert!(cases.len() > 3000 && errors > 1000 && cases.len() - errors > 1500, "{} cases, {errors} of them errors", cases.len());
    let differences = differences(&cases);
    assert!(differences.is_empty(), "{} of {}:\n{}", differences.len(), cases.len(), differences.join("\n"));
}

/// The generator, as `go run` would run it.
fn generate(arguments: &[&str]) -> Vec<u8> {
    let folder = Path::new(FOLDER).join("generate");
    let output = Command::new("go").args(["run", "."]).args(arguments).current_dir(folder).output().expect("Go is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn the_cases_are_what_the_generator_writes_and_random_templates_agree_as_well() {
    let written = std::fs::read(Path::new(FOLDER).join("cases.json")).unwrap();
    assert!(generate(&[]) == written, "cases.json is stale: (cd tests/gotemplate/generate && go run . > ../cases.json)");
    let cases = cases(&generate(&["-random", "5000", "-seed", "2"]));
    assert_eq!(cases.len(), 5000);
    let differences = differences(&cases);
    assert!(differences.is_empty(), "{}:\n{}", differences.len(), differences.join("\n"));
}
