//! Whether a channel's URL is to be asked, and what an answer means.
//!
//! A poll is one status write: its result. Where the same question was answered the last time, the next answer comes in a
//! moment, mostly as "nothing has changed", and the slot would be taken and given back by two writes that tell nobody
//! anything. So `status.polling` is written before the poll, by compare-and-swap, only where an answer may take its time or
//! others wait for it: the first time that something is asked, and after a failure. Two rounds that overlap may ask twice;
//! only one of them gets to write what it was told. Whoever polls starts no update in the same round, and while `polling`
//! stands nobody does.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::{Map, json};

use super::Channel;
use super::api::{PollValidators, UpdateChannelSpec, UpdateChannelStatus};
use super::nodes::Fleet;
use crate::nodeop::spec_hash::digest;
use crate::nodeop::verdict::clip;
use crate::resolve::choice::{Choice, Constraint, Terms, Why, choose};
use crate::resolve::order::{is_unfinished, parse};
use crate::resolve::{Answer, Failure, Place, Question, Reason, Validators};
use crate::snapshot::Snapshot;

/// A poll that began so many seconds ago is over, whatever became of it.
const STALE: i64 = 120;
/// Unless the channel says otherwise.
const INTERVAL: SignedDuration = SignedDuration::from_mins(15);
/// How often the pause after a failure is doubled at most.
const DOUBLINGS: u32 = 3;
/// Versions that are waited for by name.
const SEEN: usize = 16;
/// Longest name of a server's for its answer that is kept.
const LONGEST_VALIDATOR: usize = 512;
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
    if spec.pinned().is_some() || meta.deleting || meta.moved || answered || terms(spec).is_err() || place(spec).is_err() {
        return Wants::Nothing;
    }
    if let Some(who) = status.polling.as_ref().filter(|_| !is_stale(status, snapshot.now)) {
        return Wants::Held(who.clone());
    }
    if !is_due(spec, status, snapshot.now) || !fleet.slots().is_empty() {
        return Wants::Nothing;
    }
    let answers = status.asked.as_deref() == Some(&asked(spec)) && status.failed_polls.unwrap_or(0) == 0;
    if answers && status.polling.is_none() { Wants::Ask } else { Wants::Claim }
}

/// Whether whoever has taken the slot has died with it, or was none of us.
fn is_stale(status: &UpdateChannelStatus, now: Timestamp) -> bool {
    status.polling_since.as_ref().is_none_or(|since| now.duration_since(since.0).as_secs() >= STALE)
}

fn is_due(spec: &UpdateChannelSpec, status: &UpdateChannelStatus, now: Timestamp) -> bool {
    let asked = asked(spec);
    let url = |asked: &str| asked.split('.').next().unwrap_or_default().to_string();
    let before = status.asked.as_deref().unwrap_or_default();
    // What a server wants holds whatever is asked of it.
    if status.next_poll.as_ref().is_some_and(|next| now < next.0) && url(before) == url(&asked) {
        return false;
    }
    let fresh = status.last_polled.as_ref().is_some_and(|last| now < after(last.0, interval(spec)));
    before != asked || status.failed_polls.unwrap_or(0) > 0 || !fresh
}

/// When the URL is asked next, as far as is known.
pub fn next(spec: &UpdateChannelSpec, status: &UpdateChannelStatus) -> Option<Timestamp> {
    let regular = status.last_polled.as_ref().map(|last| after(last.0, interval(spec)));
    let asked_to_wait = status.next_poll.as_ref().map(|next| next.0);
    if status.failed_polls.unwrap_or(0) > 0 { asked_to_wait } else { regular.max(asked_to_wait) }
}

/// What is asked.
///
/// # Errors
/// What is wrong with the URL.
pub fn question(channel: &Channel, now: Timestamp) -> Result<Question, String> {
    let Channel { spec, status, .. } = channel;
    let same = status.asked.as_deref() == Some(&asked(spec)) && status.first_seen.is_empty();
    let known = status.validators.clone().filter(|_| same).unwrap_or_default();
    let validators = Validators { etag: known.etag, last_modified: known.last_modified, page_size: known.page_size };
    Ok(Question { place: place(spec)?, validators, now })
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
/// What is wrong with the constraint.
pub fn terms(spec: &UpdateChannelSpec) -> Result<Terms, String> {
    let constraint = spec.version_constraint.as_deref().map(str::trim).filter(|text| !text.is_empty());
    Ok(Terms {
        constraint: constraint.map(Constraint::parse).transpose().map_err(|error| format!("spec.{error}"))?,
        min_age: duration(spec.min_age.as_deref()).unwrap_or_default(),
        prereleases: spec.pre_releases.unwrap_or(false),
    })
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

/// Hash of what is asked: of the URL, and of what is wanted of a version.
pub fn asked(spec: &UpdateChannelSpec) -> String {
    let hash = |value| digest(Map::from_iter([("asked".to_string(), value)]));
    let terms = json!([spec.version_constraint, spec.min_age, spec.pre_releases.unwrap_or(false)]);
    format!("{}.{}", hash(json!(spec.url)), hash(terms))
}

fn interval(spec: &UpdateChannelSpec) -> SignedDuration {
    duration(spec.poll_interval.as_deref()).unwrap_or(INTERVAL).max(SignedDuration::from_mins(1))
}

fn duration(text: Option<&str>) -> Option<SignedDuration> {
    humantime::parse_duration(text?).ok().and_then(|duration| SignedDuration::try_from(duration).ok())
}

fn after(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

/// Writes down that the slot is taken.
pub fn claim(status: &mut UpdateChannelStatus, now: Timestamp) {
    status.polling = Some(format!("rounds/{}", now.strftime("%Y%m%dT%H%M%SZ")));
    status.polling_since = Some(Time(now));
}

/// Writes down an answer, and gives the slot back.
pub fn note(channel: &Channel, next: &mut UpdateChannelStatus, answer: &Answer, now: Timestamp) {
    let spec = &channel.spec;
    let is_new = channel.status.asked.as_deref() != Some(&asked(spec));
    (next.polling, next.polling_since) = (None, None);
    next.asked = Some(asked(spec));
    if is_new {
        (next.validators, next.next_poll, next.failed_polls) = (None, None, None);
    }
    let (status, reason, message) = match answer {
        Answer::Failed(failure) => {
            failed(spec, next, failure, now);
            ("False", code(&failure.reason), failure.message.clone())
        }
        Answer::NotModified => {
            answered(next, now);
            next.next_poll = None;
            let before = condition(&channel.status).map(|before| (before.reason.clone(), before.message.clone()));
            let stands = before.filter(|_| condition(&channel.status).is_some_and(|before| before.status == "True"));
            let (reason, message) = stands.unwrap_or_else(|| ("Answered".into(), unchanged(next)));
            ("True", reason, message)
        }
        Answer::Versions { published, validators, not_before } => {
            answered(next, now);
            next.next_poll = not_before.map(Time);
            next.validators = kept(validators);
            let mut seen: BTreeMap<_, _> = next.first_seen.iter().map(|(version, time)| (version.clone(), time.0)).collect();
            seen.extend(next.latest_version.clone().zip(next.latest_version_time.as_ref().map(|time| time.0)));
            let choice = choose(published, &terms(spec).unwrap_or_default(), &seen, now);
            let (reason, message) = chosen(spec, next, &choice, published.len(), &seen, now);
            next.first_seen = waiting(&choice, published, &seen, now);
            ("True", reason, message)
        }
    };
    let condition = Condition {
        type_: POLLED.into(),
        status: status.into(),
        reason,
        message: clip(&message, 1000),
        observed_generation: Some(channel.meta.generation),
        last_transition_time: condition(&channel.status)
            .filter(|before| before.status == status)
            .map_or(Time(now), |before| before.last_transition_time.clone()),
    };
    next.conditions.retain(|other| other.type_ != POLLED);
    next.conditions.push(condition);
}

fn condition(status: &UpdateChannelStatus) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.type_ == POLLED)
}

fn answered(next: &mut UpdateChannelStatus, now: Timestamp) {
    next.last_polled = Some(Time(now));
    next.failed_polls = None;
}

/// The pause is doubled with every failure; a server that names a later time is left alone until then.
fn failed(spec: &UpdateChannelSpec, next: &mut UpdateChannelStatus, failure: &Failure, now: Timestamp) {
    let failures = next.failed_polls.unwrap_or(0).saturating_add(1);
    let doublings = u32::try_from(failures - 1).unwrap_or(u32::MAX).min(DOUBLINGS);
    let pause = interval(spec).saturating_mul(2_i32.saturating_pow(doublings));
    next.failed_polls = Some(failures);
    next.next_poll = Some(Time(failure.not_before.unwrap_or(now).max(after(now, pause))));
}

/// Takes the version that was chosen; where none was, the last one stands if it still comes into question.
fn chosen(
    spec: &UpdateChannelSpec,
    next: &mut UpdateChannelStatus,
    choice: &Choice,
    published: usize,
    seen: &BTreeMap<String, Timestamp>,
    now: Timestamp,
) -> (String, String) {
    let passed = passed_over(choice);
    if let Some(version) = &choice.chosen {
        let time = version.published.or_else(|| seen.get(&version.version).copied()).unwrap_or(now);
        next.latest_version = Some(version.version.clone());
        next.latest_version_time = Some(Time(time));
        next.latest_version_source.clone_from(&spec.url);
        return ("Answered".into(), format!("the newest version that comes into question is {}{passed}", version.version));
    }
    if stands(spec, next).is_none() {
        (next.latest_version, next.latest_version_time, next.latest_version_source) = (None, None, None);
    }
    let others =
        if choice.not_semver > 0 { format!(" ({} are no versions in the sense of semver)", choice.not_semver) } else { String::new() };
    let stands = next.latest_version.as_ref().map(|version| format!("; {version} stands")).unwrap_or_default();
    ("NothingSuitable".into(), format!("none of {published} published versions{others} comes into question{passed}{stands}"))
}

/// The newer versions, and why they are passed over.
fn passed_over(choice: &Choice) -> String {
    let said = |(version, why): &(String, Why)| match why {
        Why::OutOfRange => format!("{version} is outside versionConstraint"),
        Why::Prerelease => format!("{version} is a pre-release"),
        Why::TooYoung(until) => format!("{version} is younger than minAge until {until:.0}"),
    };
    let said: Vec<String> = choice.newer.iter().take(3).map(said).collect();
    let more = choice.newer.len().saturating_sub(3);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    if said.is_empty() { String::new() } else { format!("; {}{more}", said.join(", ")) }
}

fn unchanged(next: &UpdateChannelStatus) -> String {
    format!("nothing has changed; {} stands", next.latest_version.as_deref().unwrap_or("no version"))
}

/// The versions that are waited for, and since when: those of which nobody says when they were published.
fn waiting(
    choice: &Choice,
    published: &[crate::resolve::Published],
    seen: &BTreeMap<String, Timestamp>,
    now: Timestamp,
) -> BTreeMap<String, Time> {
    let young = choice.newer.iter().filter(|(_, why)| matches!(why, Why::TooYoung(_))).map(|(version, _)| version);
    let young = young.take(SEEN).map(|version| {
        let told = published.iter().find(|one| one.version == *version).and_then(|one| one.published);
        (version.clone(), Time(told.or_else(|| seen.get(version).copied()).unwrap_or(now)))
    });
    young.collect()
}

fn kept(validators: &Validators) -> Option<PollValidators> {
    let short = |text: &Option<String>| text.clone().filter(|text| text.len() <= LONGEST_VALIDATOR);
    let kept =
        PollValidators { etag: short(&validators.etag), last_modified: short(&validators.last_modified), page_size: validators.page_size };
    (kept != PollValidators::default()).then_some(kept)
}

/// The reason of a failure, as a condition has it.
fn code(reason: &Reason) -> String {
    match reason {
        Reason::NotFound => "NotFound",
        Reason::RateLimited { .. } => "RateLimited",
        Reason::Refused => "Refused",
        Reason::TooLarge => "TooLarge",
        Reason::TimedOut => "TimedOut",
        Reason::Malformed => "Malformed",
        Reason::Server(_) => "ServerError",
        Reason::Unreachable => "Unreachable",
        Reason::TooManyRedirects => "TooManyRedirects",
        Reason::Unauthorized => "Unauthorized",
    }
    .into()
}
