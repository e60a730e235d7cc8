//! What is a version, which is newer, and which is unfinished. Pure.

use std::cmp::Ordering;

use semver::{BuildMetadata, Prerelease, Version};

/// Words at the start of a part behind the hyphen that call a version unfinished. Others are a distribution's own
/// revisions: v0.21.5-k3s2r1 is a release.
const UNFINISHED: [&str; 11] = ["alpha", "beta", "rc", "pre", "dev", "preview", "snapshot", "nightly", "test", "canary", "next"];

/// A version is not longer than a tag may be (OCI distribution specification).
const LONGEST: usize = 128;

/// A version, with or without a leading v.
///
/// None: it is none in the sense of semver, or too long for one.
pub fn parse(text: &str) -> Option<Version> {
    let version = Version::parse(text.strip_prefix(['v', 'V']).unwrap_or(text));
    version.ok().filter(|_| text.len() <= LONGEST)
}

/// Whether a version calls itself unfinished.
pub fn is_unfinished(version: &Version) -> bool {
    version.pre.split(['.', '-']).any(|part| {
        let word = part.trim_end_matches(|c: char| c.is_ascii_digit()).to_ascii_lowercase();
        UNFINISHED.contains(&word.as_str()) || matches!((word.as_str(), part.len() > 1), ("a" | "b", true))
    })
}

/// Which of two versions is newer. As semver has it, but for numbers within words (rc10 is newer than rc9), and for what
/// stands behind a plus: v1.31.3+k3s2 is newer than v1.31.3+k3s1.
pub fn compare(one: &Version, other: &Version) -> Ordering {
    let numbers = |version: &Version| (version.major, version.minor, version.patch);
    // A release is newer than what led to it.
    let finished = |version: &Version| version.pre.is_empty();
    numbers(one)
        .cmp(&numbers(other))
        .then_with(|| finished(one).cmp(&finished(other)))
        .then_with(|| natural(&one.pre, &other.pre))
        .then_with(|| natural(&one.build, &other.build))
}

/// Without what stands behind hyphen and plus.
pub fn bare(version: &Version) -> Version {
    Version { pre: Prerelease::EMPTY, build: BuildMetadata::EMPTY, ..*version }
}

/// Whether a text looks like a version at all: what a redirect ends at may be a login page.
pub fn looks_like_version(text: &str) -> bool {
    let rest = text.strip_prefix(['v', 'V']).unwrap_or(text);
    text.len() <= LONGEST
        && rest.starts_with(|first: char| first.is_ascii_digit())
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+~-".contains(&byte))
}

/// Digits by their number, all else by its letters.
fn natural(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one, other);
    loop {
        match (one.is_empty(), other.is_empty()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        let (first, rest) = chunk(one);
        let (second, others) = chunk(other);
        let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let order = match (is_number(first), is_number(second)) {
            (true, true) => {
                let (first, second) = (first.trim_start_matches('0'), second.trim_start_matches('0'));
                first.len().cmp(&second.len()).then_with(|| first.cmp(second))
            }
            // As in semver, numbers come first.
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => first.cmp(second),
        };
        if order.is_ne() {
            return order;
        }
        (one, other) = (rest, others);
    }
}

/// The digits, or the other characters, that a text begins with; and the rest.
fn chunk(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_from_old_to_new() {
        let sorted = [
            "v0.7.0-dweomer1",
            "v0.21.5-k3s1r1",
            "v0.21.5-k3s2r1",
            "v0.21.5-k3s10r0",
            "1.2.2",
            "1.2.3-1",
            "1.2.3-alpha.1",
            "1.2.3-alpha.1.x",
            "1.2.3-rc2",
            "1.2.3-rc10",
            "1.2.3",
            "v1.2.4",
            "v1.2.10+k3s1",
            "v1.2.10+k3s2",
            "v1.2.10+k3s10",
        ];
        let versions: Vec<Version> = sorted.iter().map(|text| parse(text).unwrap()).collect();
        for (i, one) in versions.iter().enumerate() {
            for (j, other) in versions.iter().enumerate() {
                assert_eq!(compare(one, other), i.cmp(&j), "{one} {other}");
            }
        }
        assert_eq!(compare(&parse("v1.0.0").unwrap(), &parse("1.0.0").unwrap()), Ordering::Equal);
    }

    #[test]
    fn unfinished_versions_and_revisions_of_distributions() {
        for (text, unfinished) in [
            ("1.2.3", false),
            ("v1.2.3-rc1", true),
            ("v1.2.3-RC.1", true),
            ("v1.2.3-alpha.2", true),
            ("v1.2.3-beta", true),
            ("v1.2.3-b2", true),
            ("v1.31.3-rc1+k3s1", true),
            ("v0.21.5-k3s2r1", false),
            ("v0.7.0-dweomer1", false),
            ("v3.5.0-k3sv1.33.3-k3s1", false),
            ("v1.31.3+k3s1", false),
        ] {
            assert_eq!(is_unfinished(&parse(text).unwrap()), unfinished, "{text}");
        }
    }

    #[test]
    fn what_looks_like_a_version() {
        for (text, expected) in [
            ("v1.30.4+k3s1", true),
            ("1", true),
            ("v3.6.0-rc1", true),
            ("24.04-standard", true),
            ("latest", false),
            ("login", false),
            ("v", false),
            ("", false),
            ("v1.2.3 ", false),
            ("v1/../2", false),
            ("1<script>", false),
            ("1\u{1b}[2J", false),
        ] {
            assert_eq!(looks_like_version(text), expected, "{text:?}");
        }
        assert!(!looks_like_version(&"1".repeat(129)));
        assert_eq!(parse(&format!("1.0.0-{}", "a".repeat(200))), None);
    }
}
