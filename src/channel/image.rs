//! From the template of an image, and a version, to the image.

use std::collections::BTreeMap;

use minijinja::{Environment, UndefinedBehavior};

use crate::resolve::order;
use crate::text::one_line;

/// What a template knows.
const KNOWS: &str = "version, version_without_v, major, minor and patch";
/// The same, by name.
const VARIABLES: [&str; 5] = ["version", "version_without_v", "major", "minor", "patch"];

/// The image of a version.
///
/// # Errors
/// One line that names field and value, and what would be right.
pub fn render(template: &str, version: &str) -> Result<String, String> {
    let wrong = |what: String| {
        Err(format!("spec.image is {template:?}: {}; it may have {{{{ version }}}} in it, and knows {KNOWS}", one_line(&what)))
    };
    // Whole expressions are of no use in a name, and could make one that fills the memory: {{ 'a' * 99999999 }}.
    if template.contains("{%") || template.contains("{#") {
        return wrong("statements and comments are not possible".into());
    }
    let pieces = template.split("{{").skip(1).map(|piece| piece.split("}}").next().unwrap_or_default().trim());
    if let Some(unknown) = pieces.into_iter().find(|piece| !VARIABLES.contains(piece)) {
        return wrong(format!("{{{{ {unknown} }}}} is no variable"));
    }
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let image = match environment.render_str(template, known(version)) {
        Ok(image) => image,
        Err(error) => return wrong(error.to_string()),
    };
    match is_reference(&image) {
        true => Ok(image),
        false => wrong(format!("with version {version} it makes {image:?}, which is no image reference")),
    }
}

/// What is wrong with a template whatever the version.
///
/// # Errors
/// As with a version such as v1.2.3.
pub fn check(template: &str) -> Result<(), String> {
    render(template, "v1.2.3").map(drop)
}

/// The variables. A version that is none in the sense of semver has no numbers.
fn known(version: &str) -> BTreeMap<&'static str, String> {
    let bare = version.strip_prefix(['v', 'V']).unwrap_or(version);
    let mut known = BTreeMap::from([("version", version.to_string()), ("version_without_v", bare.to_string())]);
    if let Some(parsed) = order::parse(version) {
        known.extend([("major", parsed.major.to_string()), ("minor", parsed.minor.to_string()), ("patch", parsed.patch.to_string())]);
    }
    known
}

/// Whether a text has the form of an image reference; a `+` in a version, for one, has no place in it.
fn is_reference(text: &str) -> bool {
    text.len() <= 4096
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.ends_with(|last: char| last.is_ascii_alphanumeric() || "._-".contains(last))
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:/@-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_put_where_the_template_says() {
        for (template, version, image) in [
            ("quay.io/kairos/ubuntu:24.04-{{ version }}", "v3.6.0", "quay.io/kairos/ubuntu:24.04-v3.6.0"),
            ("r:{{version_without_v}}", "v3.6.0", "r:3.6.0"),
            ("r:{{ major }}.{{ minor }}.{{ patch }}", "v3.6.1-rc1", "r:3.6.1"),
            ("r:{{ version }}", "edge", "r:edge"),
            ("r@sha256:0a", "v1.0.0", "r@sha256:0a"),
        ] {
            assert_eq!(render(template, version).as_deref(), Ok(image));
        }
    }

    #[test]
    fn mistakes_are_named_with_field_value_and_remedy() {
        for (template, version, said) in [
            ("r:{{ versoin }}", "v1.0.0", "{{ versoin }} is no variable"),
            ("r:{{ version }", "v1.0.0", "is no variable"),
            ("r:{{ version|upper }}", "v1.0.0", "{{ version|upper }} is no variable"),
            ("r:{{ 'a' * 99999999 }}", "v1.0.0", "is no variable"),
            ("r:{{ version }}{{ [1] * 99999999 }}", "v1.0.0", "is no variable"),
            ("r:{{ minor }}", "edge", "undefined value"),
            ("r:{{ version }}", "v1.0.0+k3s1", "\"r:v1.0.0+k3s1\", which is no image reference"),
            ("", "v1.0.0", "\"\", which is no image reference"),
            ("{% for i in 'aaaa' %}a{% endfor %}", "v1.0.0", "statements and comments are not possible"),
        ] {
            let error = render(template, version).unwrap_err();
            assert!(error.starts_with("spec.image is ") && error.contains(said) && error.contains("version_without_v"), "{error}");
        }
    }
}
