//! Which of the published versions is taken. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use semver::{Version, VersionReq};

use super::Published;
use super::order::{bare, compare, is_unfinished, parse};

/// Which versions come into question, as `spec.versionConstraint` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint(VersionReq);

/// A constraint that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("versionConstraint {text:?} is no range of versions: {cause}; for example >=3.5, <4")]
pub struct ConstraintError {
    /// As written.
    pub text: String,
    /// What is wrong with it.
    pub cause: String,
}

impl Constraint {
    /// Reads comparators, between which commas or blanks stand. Versions in them may begin with v, and what stands behind
    /// a plus says nothing. A bare 3.5 means what ^3.5 means: at least 3.5 and below 4.
    ///
    /// # Errors
    /// When it is no range.
    pub fn parse(text: &str) -> Result<Self, ConstraintError> {
        let wrong = |cause: String| ConstraintError { text: text.into(), cause };
        if text.contains('|') {
            return Err(wrong("alternatives (||) are not possible".into()));
        }
        let mut comparators: Vec<String> = Vec::new();
        let mut operator = String::new();
        for word in text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()) {
            let (sign, version) = word.split_at(word.find(|c| !"<>=^~".contains(c)).unwrap_or(word.len()));
            operator.push_str(sign);
            if version.is_empty() {
                continue;
            }
            let version = version.strip_prefix(['v', 'V']).unwrap_or(version);
            let version = version.split('+').next().unwrap_or_default();
            comparators.push(std::mem::take(&mut operator) + version);
        }
        if !operator.is_empty() {
            return Err(wrong(format!("no version follows {operator}")));
        }
        if comparators.is_empty() {
            return Err(wrong("it is empty".into()));
        }
        VersionReq::parse(&comparators.join(", ")).map(Self).map_err(|error| wrong(error.to_string()))
    }

    /// Whether a version is in the range. One with a hyphen is where its release is, else no range but an exact one would
    /// have the releases of distributions that write their revisions so.
    pub fn admits(&self, version: &Version) -> bool {
        self.0.matches(version) || self.0.matches(&bare(version))
    }
}

/// What a channel wants of a version.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Which versions come into question; None: all.
    pub constraint: Option<Constraint>,
    /// How old a version must be.
    pub min_age: SignedDuration,
    /// Whether unfinished versions come into question.
    pub prereleases: bool,
}

/// Why a version is passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Outside the constraint.
    OutOfRange,
    /// Its publisher, or its name, calls it unfinished.
    Prerelease,
    /// It comes into question at this time.
    TooYoung(Timestamp),
}

/// Newer versions that are named.
const NAMED: usize = 3;
/// Versions that are waited for by name.
const WAITED_FOR: usize = 16;

/// The outcome. However much is published, it is short: that is what is kept of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The newest version that comes into question.
    pub chosen: Option<Published>,
    /// Those that are newer, newest first, and why they are passed over: the first of them.
    pub newer: Vec<(String, Why)>,
    /// How many more are newer.
    pub more: usize,
    /// The newest of those that are too young, and since when they are known.
    pub young: BTreeMap<String, Timestamp>,
    /// How many are published.
    pub published: usize,
    /// How many of them are no versions in the sense of semver.
    pub not_semver: usize,
}

/// Chooses. A version of which nobody says when it was published is as old as it is known: `first_seen` by version; one
/// that is not in it is seen now.
pub fn choose(published: &[Published], terms: &Terms, first_seen: &BTreeMap<String, Timestamp>, now: Timestamp) -> Choice {
    let mut versions: Vec<(Version, &Published)> =
        published.iter().filter_map(|one| parse(&one.version).map(|version| (version, one))).collect();
    let not_semver = published.len() - versions.len();
    versions.sort_by(|(one, a), (other, b)| compare(other, one).then_with(|| a.version.cmp(&b.version)));
    let mut choice = Choice { published: published.len(), not_semver, ..Choice::default() };
    for (version, one) in versions {
        let since = one.published.or_else(|| first_seen.get(&one.version).copied()).unwrap_or(now);
        match objection(&version, one, terms, since, now) {
            None => return Choice { chosen: Some(one.clone()), ..choice },
            Some(why) => choice.pass_over(one, why, since),
        }
    }
    choice
}

impl Choice {
    fn pass_over(&mut self, one: &Published, why: Why, since: Timestamp) {
        if matches!(why, Why::TooYoung(_)) && self.young.len() < WAITED_FOR {
            self.young.insert(one.version.clone(), since);
        }
        match self.newer.len() < NAMED {
            true => self.newer.push((one.version.clone(), why)),
            false => self.more += 1,
        }
    }
}

fn objection(version: &Version, one: &Published, terms: &Terms, since: Timestamp, now: Timestamp) -> Option<Why> {
    if terms.constraint.as_ref().is_some_and(|constraint| !constraint.admits(version)) {
        return Some(Why::OutOfRange);
    }
    if !terms.prereleases && (one.prerelease || is_unfinished(version)) {
        return Some(Why::Prerelease);
    }
    if terms.min_age <= SignedDuration::ZERO {
        return None;
    }
    let of_age = since.saturating_add(terms.min_age).unwrap_or(Timestamp::MAX);
    (of_age > now).then_some(Why::TooYoung(of_age))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// "version", "version@time" and "version!" for one that is marked as a pre-release.
    fn published(all: &str) -> Vec<Published> {
        let one = |text: &str| {
            let (text, prerelease) = text.strip_suffix('!').map_or((text, false), |text| (text, true));
            let (version, time) = text.split_once('@').map_or((text, None), |(version, time)| (version, Some(time)));
            Published { version: version.into(), published: time.map(|day| at(&format!("2026-11-{day}T12:00:00Z"))), prerelease }
        };
        all.split_whitespace().map(one).collect()
    }

    #[test]
    fn ranges_and_what_is_in_them() {
        for (constraint, version, admitted) in [
            (">=3.5, <4", "v3.6.0", true),
            (">=3.5 <4", "v3.6.0", true),
            (">= v3.5 , < v4", "v3.6.0", true),
            (">=3.5,<4", "v4.0.0", false),
            (">=3.5, <4", "v3.4.9", false),
            ("3.5", "v3.6.1", true),
            ("~3.5", "v3.6.1", false),
            ("=3.5.1", "v3.5.1", true),
            ("=v1.30.4+k3s1", "v1.30.4+k3s2", true),
            ("1.30.x", "v1.30.9+k3s1", true),
            ("1.30.x", "v1.31.0", false),
            ("*", "v9.9.9", true),
            (">=0.21", "v0.21.5-k3s2r1", true),
            (">=3.5", "v3.6.0-rc1", true),
            ("<4", "v4.0.0-rc1", false),
            ("^0.7.0-dweomer1", "v0.7.0-dweomer2", true),
        ] {
            let parsed = Constraint::parse(constraint).unwrap();
            assert_eq!(parsed.admits(&parse(version).unwrap()), admitted, "{constraint} {version}");
        }
    }

    #[test]
    fn what_is_no_range() {
        for text in ["", "  ", ",", ">=", ">=3.5 <", "latest", ">=3.5 || <2", ">=x.y", "3.5.0.1", ">>3"] {
            let error = Constraint::parse(text).unwrap_err();
            assert!(error.to_string().starts_with("versionConstraint "), "{error}");
        }
    }

    #[test]
    fn the_newest_that_comes_into_question() {
        let young = |text: &str| Why::TooYoung(at(text));
        for (all, constraint, hours, prereleases, chosen, newer, not_semver) in [
            ("", None, 0, false, None, vec![], 0),
            ("v1.2.0 v1.10.0 v1.9.0", None, 0, false, Some("v1.10.0"), vec![], 0),
            ("latest v1.2.0 main 2024", None, 0, false, Some("v1.2.0"), vec![], 3),
            ("v4.0.0 v3.6.0 v3.5.0", Some(">=3.5 <4"), 0, false, Some("v3.6.0"), vec![("v4.0.0", Why::OutOfRange)], 0),
            ("v4.0.0", Some("<4"), 0, false, None, vec![("v4.0.0", Why::OutOfRange)], 0),
            (
                "v2.0.0! v2.0.0-rc1 v1.0.0",
                None,
                0,
                false,
                Some("v1.0.0"),
                vec![("v2.0.0", Why::Prerelease), ("v2.0.0-rc1", Why::Prerelease)],
                0,
            ),
            ("v2.0.0! v2.0.0-rc1 v1.0.0", None, 0, true, Some("v2.0.0"), vec![], 0),
            ("v2.0.0-rc2 v2.0.0-rc10", None, 0, true, Some("v2.0.0-rc10"), vec![], 0),
            ("v2.0.0@20 v1.0.0@01", None, 72, false, Some("v1.0.0"), vec![("v2.0.0", young("2026-11-23T12:00:00Z"))], 0),
            ("v2.0.0@18 v1.0.0@01", None, 72, false, Some("v2.0.0"), vec![], 0),
            ("v2.0.0@30", None, 0, false, Some("v2.0.0"), vec![], 0),
            ("v2.0.0@30", None, 1, false, None, vec![("v2.0.0", young("2026-11-30T13:00:00Z"))], 0),
            ("v2.0.0 v1.0.0", None, 72, false, Some("v1.0.0"), vec![("v2.0.0", young("2026-11-24T12:00:00Z"))], 0),
            ("v1.31.3+k3s1 v1.31.3+k3s2", None, 0, false, Some("v1.31.3+k3s2"), vec![], 0),
        ] {
            let constraint = constraint.map(|text| Constraint::parse(text).unwrap());
            let terms = Terms { constraint, min_age: SignedDuration::from_hours(hours), prereleases };
            let first_seen = BTreeMap::from([("v1.0.0".to_owned(), at("2026-11-02T00:00:00Z"))]);
            let choice = choose(&published(all), &terms, &first_seen, at("2026-11-21T12:00:00Z"));
            assert_eq!(choice.chosen.as_ref().map(|one| one.version.as_str()), chosen, "{all}");
            let newer: Vec<_> = newer.into_iter().map(|(version, why)| (version.to_owned(), why)).collect();
            assert_eq!((&choice.newer, choice.not_semver), (&newer, not_semver), "{all}");
        }
    }

    #[test]
    fn however_much_is_published_little_is_kept() {
        let all: String = (0..5000).map(|patch| format!("v2.0.{patch} ")).collect();
        let terms = Terms { min_age: SignedDuration::from_hours(72), ..Terms::default() };
        let choice = choose(&published(&(all + "v1.0.0@01 latest")), &terms, &BTreeMap::new(), at("2026-11-21T13:00:00Z"));
        assert_eq!(choice.chosen.map(|one| one.version).as_deref(), Some("v1.0.0"));
        assert_eq!((choice.newer.len(), choice.more, choice.published, choice.not_semver), (3, 4997, 5002, 1));
        let young: Vec<&str> = choice.young.keys().map(String::as_str).collect();
        assert_eq!((young.len(), young[0], young[15]), (16, "v2.0.4984", "v2.0.4999"), "the newest of them");
    }
}
