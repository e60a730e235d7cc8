//! Whether a channel's URL is to be asked, and what is asked of it. What an answer means is told by [`super::answer`].
//!
//! A poll is one status write: its result. Where the same question was answered the last time, the next answer comes in a
//! moment, mostly as "nothing has changed", and the slot would be taken and given back by two writes that tell nobody
//! anything. So `status.polling` is written before the poll, by compare-and-swap, only where an answer may take its time or
//! others wait for it: the first time that something is asked, and after a failure. Two rounds that overlap may ask twice;
//! only one of them gets to write what it was told. Whoever polls starts no update in the same round, and while `polling`
//! stands nobody does.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value, json};

use super::Channel;
use super::api::{PollValidators, UpdateChannelSpec, UpdateChannelStatus};
use super::nodes::Fleet;
use crate::nodeop::spec_hash::digest;
use crate::resolve::choice::{Constraint, Terms};
use crate::resolve::order::{is_unfinished, parse};
use crate::resolve::{Place, Question, Validators};
use crate::snapshot::Snapshot;
use crate::text::one_line;

/// A poll that began so many seconds ago is over, whatever became of it.
const STALE: i64 = 120;
/// Unless the channel says otherwise.
const INTERVAL: SignedDuration = SignedDuration::from_mins(15);
/// The longest pause after failures, where the interval itself is no longer one.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(2);
/// Where the URL, and where the server stands in the hash of what was asked.
const URL: usize = 0;
const HOST: usize = 3;
/// The condition that tells whether the URL has answered.
pub const POLLED: &str = "Polled";

/// Whether a channel's URL is to be asked now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wants {
    /// No.
    Nothing,
    /// Yes, once the slot is taken.
    Claim,
    /// Yes, at once.
    Ask,
    /// Somebody does already.
    Held(String),
}

/// Whether the URL is to be asked: nobody does, nothing is being updated, and it is due.
pub fn wants(snapshot: &Snapshot, channel: &Channel, fleet: &Fleet<'_>) -> Wants {
    let Channel { meta, spec, status } = channel;
    let answered = snapshot.answers.contains_key(&meta.uid);
    if spec.pinned().is_some() || meta.deleting || meta.moved || answered || check(spec).is_err() {
        return Wants::Nothing;
    }
    if let Some(who) = status.polling.as_ref().filter(|_| !is_stale(status, snapshot.now)) {
        return Wants::Held(who.clone());
    }
    if !is_due(spec, status, snapshot.now) || !fleet.slots().is_empty() || left_alone(snapshot, channel).is_some() {
        return Wants::Nothing;
    }
    let answers = asks_the_same(spec, status) && status.failed_polls.unwrap_or(0) == 0;
    if answers && status.polling.is_none() { Wants::Ask } else { Wants::Claim }
}

/// Whether whoever has taken the slot has died with it, or was none of us.
pub(super) fn is_stale(status: &UpdateChannelStatus, now: Timestamp) -> bool {
    status.polling_since.as_ref().is_none_or(|since| now.duration_since(since.0).as_secs() >= STALE)
}

fn is_due(spec: &UpdateChannelSpec, status: &UpdateChannelStatus, now: Timestamp) -> bool {
    // What was asked in vain was something else: the pause was for that.
    if !asks_the_same(spec, status) {
        return true;
    }
    if status.next_poll.as_ref().is_some_and(|next| now < next.0) {
        return false;
    }
    let fresh = status.last_polled.as_ref().is_some_and(|last| now < after(last.0, interval(spec)));
    status.failed_polls.unwrap_or(0) > 0 || !fresh
}

/// Until when the server of a channel's URL wants to be left alone. It is one server to all of its channels, and what it has
/// told one of them holds for the others, whatever they ask.
pub fn left_alone(snapshot: &Snapshot, channel: &Channel) -> Option<Timestamp> {
    let wants = |other: &&Channel| other.status.retry_after.as_ref().is_some_and(|until| snapshot.now < until.0);
    let mut wanting = snapshot.channels.iter().filter(wants).peekable();
    wanting.peek()?;
    let host = host(&channel.spec);
    wanting.filter(|other| has_asked_host(&host, &other.status)).filter_map(|other| Some(other.status.retry_after.as_ref()?.0)).max()
}

/// Whether it is this server that was asked last: the URL may have been edited since.
fn has_asked_host(host: &str, status: &UpdateChannelStatus) -> bool {
    status.asked.as_deref().and_then(|asked| part(asked, HOST)) == Some(host)
}

/// Whether it is the very same that was asked last.
pub(super) fn asks_the_same(spec: &UpdateChannelSpec, status: &UpdateChannelStatus) -> bool {
    status.asked.as_deref() == Some(&asked(spec))
}

/// Whether it is the present URL that was asked last.
pub fn has_asked(spec: &UpdateChannelSpec, status: &UpdateChannelStatus) -> bool {
    status.asked.as_deref().is_some_and(|last| part(last, URL) == part(&asked(spec), URL))
}

/// When the URL is asked next, as far as is known.
pub fn next(spec: &UpdateChannelSpec, status: &UpdateChannelStatus) -> Option<Timestamp> {
    let regular = status.last_polled.as_ref().map(|last| after(last.0, interval(spec)));
    let [pause, left_alone] = [&status.next_poll, &status.retry_after].map(|time| time.as_ref().map(|time| time.0));
    let due = if status.failed_polls.unwrap_or(0) > 0 { pause } else { regular.max(pause) };
    due.max(left_alone.filter(|_| has_asked_host(&host(spec), status)))
}

/// What is asked.
///
/// # Errors
/// What is wrong with the URL.
pub fn question(channel: &Channel, now: Timestamp) -> Result<Question, String> {
    let Channel { spec, status, .. } = channel;
    // An answer to something else, or one that brings a version of age, is to be read even if it is the same.
    let same = asks_the_same(spec, status) && status.first_seen.is_empty();
    // Which size of answer fits does not depend on what is sought in it.
    let PollValidators { etag, last_modified, page_size } =
        status.validators.clone().filter(|_| has_asked(spec, status)).unwrap_or_default();
    let validators = Validators { etag: etag.filter(|_| same), last_modified: last_modified.filter(|_| same), page_size };
    let (place, _) = check(spec)?;
    Ok(Question { place, validators, now })
}

/// What kind of URL it is.
///
/// # Errors
/// What is wrong with it.
pub fn place(spec: &UpdateChannelSpec) -> Result<Place, String> {
    Place::parse(spec.url.as_deref().unwrap_or_default()).map_err(|error| format!("spec.{error}"))
}

/// What a version must be like.
///
/// # Errors
/// What is wrong with the constraint, or the age.
pub fn terms(spec: &UpdateChannelSpec) -> Result<Terms, String> {
    let constraint = spec.version_constraint.as_deref().map(str::trim).filter(|text| !text.is_empty());
    Ok(Terms {
        constraint: constraint.map(Constraint::parse).transpose().map_err(|error| format!("spec.{error}"))?,
        min_age: duration("minAge", spec.min_age.as_deref())?.unwrap_or_default(),
        prereleases: spec.pre_releases.unwrap_or(false),
    })
}

/// All that a poll goes by.
///
/// # Errors
/// What is wrong with it, with field, value and remedy: where it is, nobody is asked.
pub fn check(spec: &UpdateChannelSpec) -> Result<(Place, Terms), String> {
    duration("pollInterval", spec.poll_interval.as_deref())?;
    Ok((place(spec)?, terms(spec)?))
}

/// The version that the last answer brought, as long as the channel would still take it: who rules out a bad release by an
/// edit stops it there and then, whenever the next poll is.
pub fn stands(spec: &UpdateChannelSpec, status: &UpdateChannelStatus) -> Option<String> {
    let terms = terms(spec).ok()?;
    let version = status.latest_version.as_ref().filter(|_| status.latest_version_source == spec.url)?;
    let parsed = parse(version)?;
    let admitted = terms.constraint.is_none_or(|constraint| constraint.admits(&parsed));
    (admitted && (terms.prereleases || !is_unfinished(&parsed))).then(|| version.clone())
}

/// Hash of what is asked: of the URL, of what is wanted of a version, of how often that is, and of the server.
pub fn asked(spec: &UpdateChannelSpec) -> String {
    let [url, wanted, interval] = [json!(spec.url), wanted(spec), json!(spec.poll_interval)].map(hash);
    [url, wanted, interval, host(spec)].join(".")
}

/// One part of what was asked.
pub fn part(asked: &str, at: usize) -> Option<&str> {
    asked.split('.').nth(at)
}

/// Hash of the server that is asked.
fn host(spec: &UpdateChannelSpec) -> String {
    hash(json!(place(spec).ok().map(|place| place.host())))
}

fn hash(value: Value) -> String {
    digest(Map::from_iter([("asked".to_string(), value)]))
}

/// What is wanted of a version.
pub fn wanted(spec: &UpdateChannelSpec) -> Value {
    json!([spec.version_constraint, spec.min_age, spec.pre_releases.unwrap_or(false)])
}

fn interval(spec: &UpdateChannelSpec) -> SignedDuration {
    let told = duration("pollInterval", spec.poll_interval.as_deref()).ok().flatten();
    told.unwrap_or(INTERVAL).max(SignedDuration::from_mins(1))
}

/// How long a URL is left alone after so many failures: for the interval, and each time twice as long.
pub fn pause(spec: &UpdateChannelSpec, failures: i64) -> SignedDuration {
    let doublings = u32::try_from(failures.saturating_sub(1).clamp(0, 30)).unwrap_or_default();
    let interval = interval(spec);
    interval.saturating_mul(2_i32.saturating_pow(doublings)).min(LONGEST_PAUSE.max(interval))
}

/// A duration of the spec. The definition refuses what is none; an object may be older than that.
fn duration(field: &str, text: Option<&str>) -> Result<Option<SignedDuration>, String> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let wrong =
        |cause: String| format!("spec.{field} is {text:?}, which is no duration ({}): write for example 72h or 90m", one_line(&cause));
    let duration = humantime::parse_duration(text).map_err(|error| wrong(error.to_string()))?;
    SignedDuration::try_from(duration).map(Some).map_err(|error| wrong(error.to_string()))
}

pub(super) fn after(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

/// Writes down that the slot is taken.
pub fn claim(status: &mut UpdateChannelStatus, now: Timestamp) {
    status.polling = Some(format!("rounds/{}", now.strftime("%Y%m%dT%H%M%SZ")));
    status.polling_since = Some(Time(now));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_doubled_up_to_two_hours_or_the_interval() {
        for (interval, minutes) in [
            (None, [15, 30, 60, 120, 120, 120]),
            (Some("1m"), [1, 2, 4, 8, 16, 32]),
            (Some("50m"), [50, 100, 120, 120, 120, 120]),
            (Some("6h"), [360; 6]),
        ] {
            let spec = UpdateChannelSpec { poll_interval: interval.map(Into::into), ..UpdateChannelSpec::default() };
            let pauses: Vec<i64> = (1..=6).map(|failures| pause(&spec, failures).as_mins()).collect();
            assert_eq!(pauses, minutes, "{interval:?}");
            assert_eq!(pause(&spec, i64::MAX), LONGEST_PAUSE.max(super::interval(&spec)));
        }
    }

    #[test]
    fn what_a_server_asked_for_holds_for_that_server() {
        let spec = |url: &str| UpdateChannelSpec { url: Some(url.into()), ..UpdateChannelSpec::default() };
        let until = Timestamp::UNIX_EPOCH;
        let asked = Some(asked(&spec("https://a.example/stable")));
        let status = UpdateChannelStatus { asked, retry_after: Some(Time(until)), ..UpdateChannelStatus::default() };
        assert_eq!(next(&spec("https://a.example/edge"), &status), Some(until));
        assert_eq!(next(&spec("https://b.example/stable"), &status), None);
    }

    #[test]
    fn durations_that_are_none_are_named_by_their_field() {
        let spec =
            |field: &str, text: &str| -> UpdateChannelSpec { serde_json::from_value(json!({"url": "http://x/y", field: text})).unwrap() };
        for field in ["minAge", "pollInterval"] {
            assert!(check(&spec(field, "72h")).is_ok() && check(&spec(field, "")).is_ok());
            for text in ["soon", "72", "-1h", "1 fortnight"] {
                let error = check(&spec(field, text)).unwrap_err();
                assert!(error.starts_with(&format!("spec.{field} is {text:?}")) && error.contains("72h"), "{error}");
            }
        }
    }
}
