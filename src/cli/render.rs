//! `rounds render`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use serde_json::Value;

use super::{Exit, Failure, output};
use crate::gotemplate::{Values, render};
use crate::yaml;

/// Print what a Dockerfile template becomes, as the build of an OSArtifact would make it.
///
/// Templates are written in Go's text/template, over a flat map of texts: a value that is missing is an empty text.
/// define, template and block are forbidden. No cluster is asked, and a template cannot read files or the environment.
/// A mistake is told as FILE:line:column, with exit code 1.
///
/// A file of values is YAML, with a text for each key. Numbers and booleans are taken as the text that is written there:
/// 1.10 stays 1.10. Lists, nested maps and empty values are refused.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rounds render Dockerfile --values values.yaml
  rounds render Dockerfile --values values.yaml --set Version=v3.6.0 > Dockerfile.rendered
  rounds render - --set Name=x < Dockerfile       the template from stdin")]
pub struct Render {
    /// The template; - is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A YAML file of values; of several files that have a key the last one counts
    #[arg(long, value_name = "FILE")]
    values: Vec<PathBuf>,
    /// A value, before those of files
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<Setting>,
}

/// A value given as an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting(pub String, pub String);

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self(key.into(), value.into())),
            _ => Err("it is given as KEY=VALUE, for example Version=v3.6.0".into()),
        }
    }
}

impl Render {
    /// Runs the verb.
    pub fn run(self) -> Result<Exit, Failure> {
        let mut values = Values::new();
        for file in &self.values {
            values.extend(values_of(file, &read(file)?)?);
        }
        values.extend(self.set.into_iter().map(|Setting(key, value)| (key, value.into_bytes())));
        let template = read(&self.file)?;
        let text = render(&template, &values).map_err(|error| Failure::new(format!("{}:{error}", name(&self.file))))?;
        output::print_bytes(&text)?;
        Ok(Exit::Done)
    }
}

fn name(file: &Path) -> String {
    if file.as_os_str() == "-" { "stdin".into() } else { file.display().to_string() }
}

fn read(file: &Path) -> Result<String, Failure> {
    let text = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    text.map_err(|error| Failure::new(format!("{} cannot be read: {error}", name(file))))
}

/// The values of a YAML file, each as it is written.
fn values_of(file: &Path, text: &str) -> Result<Values, Failure> {
    let failure = |error: yaml::YamlError| Failure::new(format!("{}: {error}", name(file)));
    if text.lines().all(|line| line.trim().is_empty() || line.starts_with('#')) {
        return Ok(Values::new());
    }
    let kinds: Value = yaml::from_str(text).map_err(failure)?;
    let Value::Object(kinds) = kinds else {
        return Err(Failure::new(format!("{}: a map of texts is expected, such as Version: v3.6.0", name(file))));
    };
    let wrong = |value: &Value| match value {
        Value::Object(_) => Some("a map"),
        Value::Array(_) => Some("a list"),
        Value::Null => Some("nothing"),
        _ => None,
    };
    let mistakes: Vec<String> = kinds
        .iter()
        .filter_map(|(key, value)| wrong(value).map(|what| (key, what)))
        .map(|(key, what)| format!("{}: {key} is {what}; a text is expected, such as {key}: \"…\"", name(file)))
        .collect();
    if !mistakes.is_empty() {
        return Err(Failure::all(mistakes));
    }
    // Read again as texts: a number would not come back as it was written.
    let texts: BTreeMap<String, String> = yaml::from_str(text).map_err(failure)?;
    Ok(texts.into_iter().map(|(key, value)| (key, value.into_bytes())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_values(text: &str) -> Result<BTreeMap<String, String>, Vec<String>> {
        let values = values_of(Path::new("values.yaml"), text).map_err(|failure| failure.messages)?;
        Ok(values.into_iter().map(|(key, value)| (key, String::from_utf8(value).unwrap())).collect())
    }

    #[test]
    fn values_are_taken_as_they_are_written() {
        let text =
            "a: text\nb: 1.10\nc: yes\nd: true\ne: 0644\nf: 1_000\ng: \"\"\nh: |\n  two\n  lines\ni: 2026-11-21\n7: number\nj: 1e3\n";
        let values = read_values(text).unwrap();
        for (key, value) in
            [("a", "text"), ("b", "1.10"), ("c", "yes"), ("d", "true"), ("e", "0644"), ("f", "1_000"), ("g", ""), ("i", "2026-11-21")]
        {
            assert_eq!(values[key], value, "{key}");
        }
        assert_eq!((values["h"].as_str(), values["7"].as_str(), values["j"].as_str()), ("two\nlines\n", "number", "1e3"));
        assert!(read_values("").unwrap().is_empty() && read_values("# nothing\n\n").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_text_is_named() {
        let mistakes = read_values("a: {b: c}\nok: x\nl: [1]\nn:\n").unwrap_err();
        assert_eq!(
            mistakes,
            [
                "values.yaml: a is a map; a text is expected, such as a: \"…\"",
                "values.yaml: l is a list; a text is expected, such as l: \"…\"",
                "values.yaml: n is nothing; a text is expected, such as n: \"…\"",
            ]
        );
        assert_eq!(read_values("- a\n").unwrap_err(), ["values.yaml: a map of texts is expected, such as Version: v3.6.0"]);
        assert!(read_values("a: 1\na: 2\n").unwrap_err()[0].contains("line 2"), "a key given twice");
        assert!(read_values("a: [\n").unwrap_err()[0].starts_with("values.yaml: "));
    }

    #[test]
    fn a_setting_is_a_key_and_all_that_follows() {
        assert_eq!("a=b=c,d".parse(), Ok(Setting("a".into(), "b=c,d".into())));
        assert_eq!("a=".parse(), Ok(Setting("a".into(), String::new())));
        assert!("a".parse::<Setting>().is_err() && "=a".parse::<Setting>().is_err());
    }
}
