//! Dockerfile templates against Go's own text/template: `tests/gotemplate/cases.json` is what Go makes of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use proptest::prelude::*;
use rounds::gotemplate::{MAX_TEXT, TemplateError, Values, render};
use serde_json::Value;

#[path = "../../fuzz/template.rs"]
mod entry;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gotemplate");

/// What differs from Go, a line each.
fn differences(cases: &[Value]) -> Vec<String> {
    let mut differences = Vec::new();
    for case in cases {
        let template = case["template"].as_str().unwrap();
        let values: BTreeMap<String, String> = serde_json::from_value(case["values"].clone()).unwrap();
        let values: Values = values.into_iter().map(|(key, value)| (key, value.into_bytes())).collect();
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
fn complex_numbers(rendered: &Result<Vec<u8>, TemplateError>) -> bool {
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

/// How long this thread has been on a processor: the machine may be busy with the other tests.
fn worked() -> Duration {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells how long a thread has run");
    Duration::from_nanos(times.split(' ').next().and_then(|time| time.parse().ok()).expect("nanoseconds"))
}

/// What a template becomes with one large value, in the time that the worst of them may take without optimisation.
fn within_bounds(name: &str, template: &str) -> Result<Vec<u8>, TemplateError> {
    with_values_within_bounds(name, template, &Values::from([("Big".into(), vec![b'b'; 1 << 20])]))
}

fn with_values_within_bounds(name: &str, template: &str, values: &Values) -> Result<Vec<u8>, TemplateError> {
    let begun = worked();
    let rendered = render(template, values);
    let took = worked().saturating_sub(begun);
    assert!(took < Duration::from_secs(10), "{name} took {took:?}");
    rendered
}

/// A variable `$x` that holds a text so many times doubled.
fn doubled(text: &str, times: usize) -> String {
    format!("{{{{$x := `{text}`}}}}{}", "{{$x = print $x $x}}".repeat(times))
}

#[test]
fn a_template_that_would_not_end_or_would_fill_the_memory_is_an_error() {
    let repeat = |text: &str, times: usize| text.repeat(times);
    let nested = |open: &str, inner: &str, close: &str, times: usize| format!("{}{inner}{}", repeat(open, times), repeat(close, times));
    let doubling = doubled("x", 40);
    let variables: String = (0..2000).map(|index| format!("{{{{$v{index} := 1}}}}")).collect();
    for (name, template, message) in [
        ("a huge range", "{{range 9223372036854775807}}{{end}}".to_string(), "more than 1000000 steps"),
        ("nested ranges", nested("{{range 99}}", "{{.}}", "{{end}}", 12), "more than 1000000 steps"),
        ("ranges over texts' lengths", "{{range len .Big}}{{range len $.Big}}{{end}}{{end}}".into(), "more than 1000000 steps"),
        ("a huge text", "{{range 1000000}}0123456789{{end}}".into(), "the result has more than 4194304 bytes"),
        ("a large value again and again", "{{range 100}}{{$.Big}}{{end}}".into(), "the result has more than 4194304 bytes"),
        ("a huge width", "{{range 100}}{{printf \"%999999d\" .}}{{end}}".into(), "the result has more than 4194304 bytes"),
        ("many widths", format!("{{{{printf \"{}\" 1}}}}", repeat("%999999[1]d", 1000)), "a text of more than 4194304 bytes"),
        ("a width by argument", "{{$x := 0}}{{range 1000}}{{$x = printf \"%*d\" 1000000 .}}{{end}}".into(), "works on more than"),
        ("a text twice as long each time", doubling, "a text of more than 4194304 bytes"),
        ("comparisons of long texts", "{{range 1000000}}{{if eq $.Big $.Big}}{{end}}{{end}}".into(), "works on more than"),
        ("quoted again and again", "{{$x := `\"`}}{{range 40}}{{$x = printf \"%q\" $x | js}}{{end}}".into(), "more than 4194304 bytes"),
        ("hexadecimal digits", format!("{}{{{{printf \"% #x\" $x}}}}", doubled("x", 22)), "a text of more than 4194304 bytes"),
        ("escaped for HTML", format!("{}{{{{html $x | len}}}}", doubled("<", 21)), "a text of more than 4194304 bytes"),
        ("escaped for JavaScript", format!("{}{{{{js $x | len}}}}", doubled("<", 21)), "a text of more than 4194304 bytes"),
        ("escaped for a URL", format!("{}{{{{urlquery $x | len}}}}", doubled("<", 21)), "a text of more than 4194304 bytes"),
        ("slices", "{{range 1000000}}{{$y := slice $.Big 1}}{{end}}".into(), "works on more than"),
        ("blocks in blocks", nested("{{if 1}}", "", "{{end}}", 50_000), "nested deeper than 200 levels"),
        ("blocks without end", repeat("{{range 2}}", 90_000), "nested deeper than 200 levels"),
        ("parentheses", format!("{{{{{}}}}}", nested("(", "1", ")", 100_000)), "nested deeper than 200 levels"),
        ("both", nested("{{if (1)}}", &format!("{{{{{}}}}}", nested("(", "1", ")", 150)), "{{end}}", 100), "nested deeper than 200 levels"),
        ("many variables", variables, "more than 1000 variables"),
        ("a long name", format!("{{{{range 1000000}}}}{{{{$.{}}}}}{{{{end}}}}", repeat("n", 500_000)), "works on more than"),
        ("a huge template", repeat("x", (1 << 20) + 1), "at most 1048576 are taken"),
    ] {
        let error = within_bounds(name, &template).expect_err(name);
        assert!(error.message.contains(message), "{name}: {error}");
    }
}

#[test]
fn a_width_over_many_values_is_an_error() {
    // About as many as a Secret can hold.
    let many: Values = (0..100_000).map(|index| (format!("Key{index}"), b"v".to_vec())).collect();
    for template in
        ["{{printf \"%9999999s\" . | len}}", "{{printf \"%9999999d\" . | len}}", "{{printf \"%999999[1]v%999999[1]v\" . | len}}"]
    {
        let error = with_values_within_bounds(template, template, &many).expect_err(template);
        assert!(error.message.contains("a text of more than 4194304 bytes"), "{template}: {error}");
    }
    assert_eq!(with_values_within_bounds("narrow", "{{printf \"%9s\" . | len}}", &many).unwrap(), b"2000004");
}

#[test]
fn what_is_long_but_ends_is_rendered() {
    let branches = format!("{{{{if 0}}}}{}{{{{else}}}}last{{{{end}}}}", "{{else if 0}}x".repeat(20_000));
    assert_eq!(within_bounds("many branches", &branches).unwrap(), b"last");
    let deep = format!("{}x{}", "{{with 1}}".repeat(200), "{{end}}".repeat(200));
    assert_eq!(within_bounds("deep", &deep).unwrap(), b"x");
    let long = "{{.Big}}".repeat(MAX_TEXT >> 20);
    assert_eq!(within_bounds("as long as allowed", &long).unwrap().len(), MAX_TEXT);
    for (name, template, length) in [
        ("arguments that are not closed", format!("{}{{{{printf $x | len}}}}", doubled("%[%", 20)), "1048576"),
        ("hexadecimal digits", "{{printf \"%x\" .Big | len}} {{printf \"% X\" .Big | len}}".into(), "2097152 3145727"),
        ("escaped, as long as allowed", format!("{}{{{{html $x | len}}}}", doubled("<", 20)), "4194304"),
    ] {
        assert_eq!(String::from_utf8(within_bounds(name, &template).unwrap()).unwrap(), length, "{name}");
    }
    let tokens = format!("{{{{print {}}}}}", "1 ".repeat(250_000));
    assert_eq!(within_bounds("many arguments", &tokens).unwrap().len(), 499_999);
    let variables: String = (0..900).map(|index| format!("{{{{$v{index} := 1}}}}")).collect();
    let uses = format!("{variables}{}", "{{$v0}}".repeat(100_000));
    assert_eq!(within_bounds("a variable far up", &uses).unwrap().len(), 100_000);
    assert_eq!(within_bounds("precision", "{{printf \"%.999999f\" 0.1 | len}}").unwrap(), b"1000001");
}

/// Pieces of which templates are made.
const PIECES: &[&str] = &[
    "{{",
    "}}",
    "{{- ",
    " -}}",
    "{{if ",
    "{{else}}",
    "{{else if ",
    "{{end}}",
    "{{range ",
    "{{with ",
    "{{break}}",
    "{{continue}}",
    "{{/*",
    "*/}}",
    "$x",
    "$",
    " := ",
    " = ",
    ", ",
    " | ",
    "(",
    ")",
    ".",
    ".A",
    ".B",
    ".Missing",
    " ",
    "\n",
    "text",
    "é",
    "nil",
    "true",
    "0",
    "-1",
    "42",
    "1e3",
    "0x1p-2",
    "1_000",
    "9223372036854775807",
    "'a'",
    "'",
    "\"a\"",
    "\"%s %d %[2]*.3v %!\"",
    "\"",
    "`",
    "\\",
    "print ",
    "printf ",
    "println ",
    "len ",
    "index ",
    "slice ",
    "and ",
    "or ",
    "not ",
    "eq ",
    "lt ",
    "le ",
    "html ",
    "js ",
    "urlquery ",
    "call ",
    "define ",
    "template ",
    "block ",
    "%",
    "\u{0}",
    "\u{202e}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_rendered_or_refused_with_its_place(text in any::<String>()) {
        entry::take(text.as_bytes());
    }

    #[test]
    fn any_pieces_are_rendered_or_refused_with_their_place(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        let begun = worked();
        entry::take(pieces.concat().as_bytes());
        prop_assert!(worked().saturating_sub(begun) < Duration::from_secs(10));
    }

    #[test]
    fn text_without_actions_is_itself(text in "([^{]|\\{[^{])*") {
        prop_assert_eq!(render(&text, &Values::new()), Ok(text.into_bytes()));
    }
}
