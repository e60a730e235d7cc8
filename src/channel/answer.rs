//! What the URL of a channel has answered, and what that means for its status.
//!
//! Of an answer only what the channel makes of it is kept: a registry may have twenty thousand tags, and very many channels
//! be asked in one round.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::Channel;
use super::api::{PollValidators, UpdateChannelSpec, UpdateChannelStatus};
use super::poll::{POLLED, after, asked, asks_the_same, has_asked, pause, stands, terms};
use crate::nodeop::verdict::clip;
use crate::resolve::choice::{Choice, Why, choose};
use crate::resolve::{Answer, Failure, Reason, Validators};

/// What a channel makes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// This of what is published.
    Chosen {
        /// Which version is taken, and why no newer one.
        choice: Choice,
        /// Whether all that is published was looked at.
        whole: bool,
        /// For the next question.
        validators: Validators,
        /// When the server wants to be asked again at the earliest, if it said so.
        not_before: Option<Timestamp>,
    },
    /// The same as last time.
    NotModified,
    /// Nothing that could be understood.
    Failed(Failure),
}

/// Chooses from an answer.
pub fn told(channel: &Channel, answer: Answer, now: Timestamp) -> Told {
    match answer {
        Answer::Failed(failure) => Told::Failed(failure),
        Answer::NotModified => Told::NotModified,
        Answer::Versions { published, whole, validators, not_before } => match terms(&channel.spec) {
            Ok(terms) => Told::Chosen { choice: choose(&published, &terms, &seen(&channel.status), now), whole, validators, not_before },
            Err(message) => Told::Failed(Failure::new(Reason::Malformed, message)),
        },
    }
}

/// Since when versions are known of which nobody says when they were published.
fn seen(status: &UpdateChannelStatus) -> BTreeMap<String, Timestamp> {
    let mut seen: BTreeMap<_, _> = status.first_seen.iter().map(|(version, time)| (version.clone(), time.0)).collect();
    seen.extend(status.latest_version.clone().zip(status.latest_version_time.as_ref().map(|time| time.0)));
    seen
}

/// Writes down what was told, and gives the slot back.
pub fn note(channel: &Channel, next: &mut UpdateChannelStatus, told: &Told, now: Timestamp) {
    let spec = &channel.spec;
    if !asks_the_same(spec, &channel.status) {
        next.failed_polls = None;
        // What the server calls its last answer is what it said to another question; the size that fits is one of the URL.
        let same_url = has_asked(spec, &channel.status);
        let size = next.validators.take().and_then(|before| before.page_size).filter(|_| same_url);
        next.validators = size.map(|size| PollValidators { page_size: Some(size), ..PollValidators::default() });
    }
    (next.polling, next.polling_since, next.next_poll, next.retry_after) = (None, None, None, None);
    next.asked = Some(asked(spec));
    let (status, reason, message) = match told {
        Told::Failed(failure) => {
            failed(spec, next, failure, now);
            ("False", code(&failure.reason).to_string(), failure.message.clone())
        }
        Told::NotModified => {
            answered(next, now);
            let before = condition(&channel.status).filter(|before| before.status == "True");
            let stands = before.map(|before| (before.reason.clone(), before.message.clone()));
            let (reason, message) = stands.unwrap_or_else(|| ("Answered".into(), unchanged(next)));
            ("True", reason, message)
        }
        Told::Chosen { choice, whole, validators, not_before } => {
            answered(next, now);
            (next.next_poll, next.retry_after) = (not_before.map(Time), not_before.map(Time));
            next.validators = kept(validators);
            let seen = seen(next);
            let (reason, message) = chosen(spec, next, choice, &seen, now);
            next.first_seen = choice.young.iter().map(|(version, since)| (version.clone(), Time(*since))).collect();
            let looked_at = format!("; only the newest {} were looked at, and more are published than are read at once", choice.published);
            ("True", reason, if *whole { message } else { message + &looked_at })
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

/// Whether the URL has answered, as the status says.
pub fn condition(status: &UpdateChannelStatus) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.type_ == POLLED)
}

fn answered(next: &mut UpdateChannelStatus, now: Timestamp) {
    next.last_polled = Some(Time(now));
    next.failed_polls = None;
}

/// The pause grows with every failure; a server that names a later time is left alone until then.
fn failed(spec: &UpdateChannelSpec, next: &mut UpdateChannelStatus, failure: &Failure, now: Timestamp) {
    let failures = next.failed_polls.unwrap_or(0).saturating_add(1);
    next.failed_polls = Some(failures);
    next.retry_after = failure.not_before.map(Time);
    next.next_poll = Some(Time(failure.not_before.unwrap_or(now).max(after(now, pause(spec, failures)))));
}

/// Takes the version that was chosen; where none was, the last one stands if it still comes into question.
fn chosen(
    spec: &UpdateChannelSpec,
    next: &mut UpdateChannelStatus,
    choice: &Choice,
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
    let published = choice.published;
    ("NothingSuitable".into(), format!("none of {published} published versions{others} comes into question{passed}{stands}"))
}

/// The newer versions, and why they are passed over.
fn passed_over(choice: &Choice) -> String {
    let said = |(version, why): &(String, Why)| match why {
        Why::OutOfRange => format!("{version} is outside versionConstraint"),
        Why::Prerelease => format!("{version} is a pre-release"),
        Why::TooYoung(until) => format!("{version} is younger than minAge until {until:.0}"),
    };
    let said: Vec<String> = choice.newer.iter().map(said).collect();
    let more = if choice.more > 0 { format!(", and {} more", choice.more) } else { String::new() };
    if said.is_empty() { String::new() } else { format!("; {}{more}", said.join(", ")) }
}

fn unchanged(next: &UpdateChannelStatus) -> String {
    format!("nothing has changed; {} stands", next.latest_version.as_deref().unwrap_or("no version"))
}

fn kept(validators: &Validators) -> Option<PollValidators> {
    let Validators { etag, last_modified, page_size } = validators.clone();
    let kept = PollValidators { etag, last_modified, page_size };
    (kept != PollValidators::default()).then_some(kept)
}

/// What a failure says of the server or of what is asked, and not of the moment: it is there until somebody does something.
const LASTING: [&str; 7] = ["NotFound", "Rejected", "Refused", "TooLarge", "Malformed", "TooManyRedirects", "Unauthorized"];

/// Whether the last poll failed for a reason that will not go by itself.
pub fn is_lasting(status: &UpdateChannelStatus) -> bool {
    condition(status).is_some_and(|polled| polled.status == "False" && LASTING.contains(&polled.reason.as_str()))
}

/// The reason of a failure, as a condition has it.
fn code(reason: &Reason) -> &'static str {
    match reason {
        Reason::NotFound => "NotFound",
        Reason::RateLimited { .. } => "RateLimited",
        Reason::Refused => "Refused",
        Reason::TooLarge => "TooLarge",
        Reason::TimedOut => "TimedOut",
        Reason::Malformed => "Malformed",
        // 408 and 425 are about the moment.
        Reason::Server(400..=407 | 409..=424 | 426..=499) => "Rejected",
        Reason::Server(_) => "ServerError",
        Reason::Unreachable => "Unreachable",
        Reason::TooManyRedirects => "TooManyRedirects",
        Reason::Unauthorized => "Unauthorized",
    }
}
