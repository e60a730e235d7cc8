//! Kubernetes Events about a channel: when a version is taken up, when its URL first does not answer, and when it comes to a
//! stand. Polls are tried again and again; only the first failure in a row is told.

use jiff::Timestamp;
use serde_json::json;

use super::Channel;
use super::answer::condition;
use super::api::{API_VERSION, ChannelPhase, KIND, UpdateChannelStatus};
use super::decide::reference;
use super::status::Standing;
use crate::event::Regarding;
use crate::names;
use crate::plan::{Action, Step};
use crate::reason::Reason;

/// What a channel comes to a stand by although its URL answers.
const STANDS: [Reason; 2] = [Reason::NodesFailed, Reason::Downgrade];

/// The Events that the change to the next status is worth.
pub fn steps(channel: &Channel, next: &UpdateChannelStatus, standing: &Standing, now: Timestamp) -> Vec<Step> {
    let before = &channel.status;
    let mut events = Vec::new();
    let found = next.latest_version.as_ref().filter(|version| before.latest_version.as_ref() != Some(version));
    let polled = || next.last_polled.as_ref().map(|last| last.0.to_string()).unwrap_or_default();
    if let Some(version) = found {
        let url = next.latest_version_source.as_deref().unwrap_or_default();
        let message = format!("the newest version that comes into question is {version}, by {url}");
        events.push(("Normal", Reason::VersionFound, message, format!("{version} {}", polled())));
    }
    let asked = |status: &UpdateChannelStatus| status.asked.clone().unwrap_or_default();
    let begins = before.failed_polls.unwrap_or(0) == 0 || asked(before) != asked(next);
    if next.failed_polls == Some(1) && begins {
        let message = condition(next).map(|polled| format!("{}: {}", polled.reason, polled.message)).unwrap_or_default();
        events.push(("Warning", Reason::PollFailed, message, format!("{} since {}", asked(next), polled())));
    }
    // The same stand is told anew with another version, and when a person has asked for another try.
    let what = |status: &UpdateChannelStatus| format!("{:?} {:?}", status.spec_hash, status.latest_version);
    // While it was asked for versions its conditions said so, and it stood all the same.
    let stood =
        before.phase == Some(ChannelPhase::Polling) || before.conditions.iter().any(|condition| condition.reason == standing.reason.code());
    if STANDS.contains(&standing.reason) && (!stood || what(before) != what(next)) {
        let retried = channel.meta.annotations.get(names::ANNOTATION_RETRY_FAILED).map_or("", String::as_str);
        events.push(("Warning", standing.reason, standing.message.clone(), format!("{} {retried}", what(next))));
    }
    let step = |(kind, reason, message, about): (&str, Reason, String, String)| {
        let suffix = names::suffix(&["event", &channel.meta.uid, reason.code(), &about], 10);
        let regarding = Regarding { api_version: API_VERSION, kind: KIND, meta: &channel.meta };
        let mut object = regarding.event(now, &suffix, kind, reason.code(), &message);
        object["action"] = json!("FollowReleases");
        Step { subject: reference(&channel.meta), reason, message: "tell what happened".into(), actions: vec![Action::Create { object }] }
    };
    events.into_iter().map(step).collect()
}
