//! The status of a channel: what it knows of versions, who is being updated, and what those say that update its nodes.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::{Map, json};

use super::Channel;
use super::answer::{condition, is_lasting};
use super::api::{ChannelPhase, UpdateChannelStatus};
use super::nodes::{Fleet, Kind, runs};
use super::poll;
use crate::nodeop::api::NodePhase;
use crate::nodeop::spec_hash::digest;
use crate::nodeop::verdict::clip;
use crate::reason::Reason;
use crate::upgrade::status::is_current;

/// Names that are listed in a sentence.
const LISTED: usize = 5;
/// Longest message.
const LONGEST: usize = 1000;

/// Where a channel stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The phase.
    pub phase: ChannelPhase,
    /// The code.
    pub reason: Reason,
    /// One sentence.
    pub message: String,
    /// Ready, Reconciling and Stalled.
    pub conditions: [&'static str; 3],
}

impl Standing {
    fn new(phase: ChannelPhase, reason: Reason, message: String, conditions: [&'static str; 3]) -> Self {
        Self { phase, reason, message: clip(&message, LONGEST), conditions }
    }

    /// Nodes are being updated, or are about to be.
    pub fn underway(reason: Reason, message: String) -> Self {
        Self::new(ChannelPhase::Updating, reason, message, ["False", "True", "False"])
    }

    /// The URL is being asked; whether the channel is Ready stays what the nodes say, where a version is known.
    pub fn polling(fleet: &Fleet<'_>, channel: &Channel, message: String) -> Self {
        let version = super::decide::target(channel).ok().flatten();
        // A failure that lasts is not over because it is looked at once more.
        let conditions = version.map_or(unanswered(&channel.status), |version| standing(fleet, &version).conditions);
        Self::new(ChannelPhase::Polling, Reason::Polling, message, conditions)
    }

    /// Nothing will be done until somebody changes something.
    pub fn stalled(reason: Reason, message: String) -> Self {
        Self::new(ChannelPhase::Failed, reason, message, ["False", "False", "True"])
    }

    /// Nothing is to be done although nodes run something else.
    pub fn idle(reason: Reason, message: String) -> Self {
        Self::new(ChannelPhase::Pending, reason, message, ["Unknown", "False", "False"])
    }

    /// No version is known: nobody has answered, or nothing that was answered comes into question.
    pub fn unknown(channel: &Channel, left_alone: Option<Timestamp>) -> Self {
        let status = &channel.status;
        let waits = || left_alone.map(|until| format!("its server wants to be left alone until {until:.0}, as another channel was told"));
        let why = condition(status).map(|polled| polled.message.clone()).or_else(waits);
        let message = why.map_or_else(|| "no version is known yet".into(), |why| format!("no version is known yet: {why}"));
        let reason = if status.failed_polls.is_some() { Reason::PollFailed } else { Reason::NoVersion };
        Self::new(ChannelPhase::Pending, reason, message, unanswered(status))
    }

    /// Whether every node runs the version.
    pub fn is_current(&self) -> bool {
        self.phase == ChannelPhase::Current
    }

    /// Whether it will not change any more by itself, but for what a poll brings.
    pub fn is_settled(&self) -> bool {
        const UNKNOWN: [Reason; 2] = [Reason::NoVersion, Reason::PollFailed];
        self.reason != Reason::Polling && (self.conditions[1] == "False" || UNKNOWN.contains(&self.reason))
    }

    /// Whether something failed, or cannot go on. Who waits for an end is not to wait for the next poll.
    pub fn is_failed(&self) -> bool {
        self.conditions[2] == "True" || self.reason == Reason::PollFailed
    }
}

/// The conditions while no version is known: it goes on by itself, with the next poll, unless that cannot but end as the last
/// one did.
fn unanswered(status: &UpdateChannelStatus) -> [&'static str; 3] {
    match status.failed_polls.is_some() && is_lasting(status) {
        true => ["False", "False", "True"],
        false => ["False", "True", "False"],
    }
}

/// How many nodes stand where.
struct Counts {
    total: usize,
    done: usize,
    failed: Vec<String>,
    open: usize,
}

fn counts(fleet: &Fleet<'_>, version: &str) -> Counts {
    let mut counts = Counts { total: 0, done: 0, failed: Vec::new(), open: 0 };
    for kind in [Kind::K3os, Kind::Kairos] {
        for node in fleet.nodes_of(kind) {
            counts.total += 1;
            match fleet.result(kind, node, version) {
                Some(entry) if entry.phase == NodePhase::Failed => {
                    counts.failed.push(format!("{} ({})", node.name, entry.message.as_deref().unwrap_or("no message")));
                }
                Some(_) => counts.done += 1,
                None if runs(node, version) => counts.done += 1,
                None => counts.open += 1,
            }
        }
    }
    counts
}

/// Where the nodes stand, when nothing is left to be made or changed.
pub fn standing(fleet: &Fleet<'_>, version: &str) -> Standing {
    let counts = counts(fleet, version);
    let (total, done) = (counts.total, counts.done);
    let slots: Vec<&str> = fleet.slots().into_iter().collect();
    if !slots.is_empty() {
        let more = if slots.len() > LISTED { format!(" and {} more", slots.len() - LISTED) } else { String::new() };
        let names = slots.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
        let (reason, hindrance) = hindrance(fleet);
        let message = format!("{names}{more} on the way to {version}, {done} of {total} there{hindrance}");
        return Standing::underway(reason, message);
    }
    if counts.open > 0 {
        let (reason, message) = waits(fleet, version);
        return match reason {
            Reason::Suspended => Standing::idle(reason, message),
            reason if is_stalled(fleet) => Standing::stalled(reason, message),
            // What updates them leaves them to another one.
            Reason::SupersededBy | Reason::NoMatchingNodes | Reason::Completed => Standing::idle(reason, message),
            reason => Standing::underway(reason, format!("{} of {total} still to be brought to {version}: {message}", counts.open)),
        };
    }
    if !counts.failed.is_empty() {
        let more = counts.failed.len().saturating_sub(3);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        let named = counts.failed.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
        let message = format!("{} of {total} failed to take {version}: {named}{more}", counts.failed.len());
        return Standing::stalled(Reason::NodesFailed, message);
    }
    if let Some(first) = fleet.awaited.first() {
        let others = fleet.awaited.len() - 1;
        let others = if others > 0 { format!(" and {others} more") } else { String::new() };
        let message = format!("{done} of {total} run {version}; {first}{others} may be one of its nodes, and was not looked at yet");
        return Standing::new(ChannelPhase::Pending, Reason::NoMatchingNodes, message, ["False", "True", "False"]);
    }
    let ready = ["True", "False", "False"];
    if total == 0 {
        let message = "no k3OS node matches, and no Kairos node, or spec.image is not set for those".to_string();
        return Standing::new(ChannelPhase::Current, Reason::NoMatchingNodes, message, ready);
    }
    Standing::new(ChannelPhase::Current, Reason::Completed, format!("{total} of {total} run {version}"), ready)
}

/// What keeps nodes in flight where they are, in the words of those that update them.
fn hindrance(fleet: &Fleet<'_>) -> (Reason, String) {
    const TOLD: [Reason; 3] = [Reason::DrainBlocked, Reason::CannotStart, Reason::NotReady];
    let ready = [fleet.op.own(), fleet.upgrade_op].into_iter().flatten().filter_map(|op| {
        let ready = op.status.conditions.iter().find(|condition| condition.type_ == "Ready")?;
        Some((Reason::parse(&ready.reason)?, ready.message.clone()))
    });
    let told = ready.into_iter().find(|(reason, _)| TOLD.contains(reason));
    told.map_or((Reason::Progressing, String::new()), |(reason, message)| (reason, format!("; {message}")))
}

/// Why nodes are still to come and none is on the way, in the words of those that update them.
fn waits(fleet: &Fleet<'_>, version: &str) -> (Reason, String) {
    let kind = if fleet.open(Kind::K3os, version).next().is_some() { Kind::K3os } else { Kind::Kairos };
    let not_yet = || (Reason::Updating, "what updates them has not been looked at yet as it is now".to_string());
    let (conditions, current) = match (kind, fleet.op.own(), fleet.upgrade.own()) {
        (Kind::K3os, Some(op), _) => (&op.status.conditions, is_current(op)),
        (Kind::Kairos, _, Some(upgrade)) => {
            (&upgrade.status.conditions, upgrade.status.observed_generation == Some(upgrade.meta.generation))
        }
        _ => return not_yet(),
    };
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready").filter(|_| current);
    ready.and_then(|ready| Some((Reason::parse(&ready.reason)?, ready.message.clone()))).unwrap_or_else(not_yet)
}

/// Whether one of those that update nodes cannot go on.
fn is_stalled(fleet: &Fleet<'_>) -> bool {
    let conditions = [fleet.op.own().map(|op| &op.status.conditions), fleet.upgrade.own().map(|upgrade| &upgrade.status.conditions)];
    conditions
        .into_iter()
        .flatten()
        .flatten()
        .any(|condition| condition.type_ == "Stalled" && condition.status == "True" && condition.reason != Reason::NodesFailed.code())
}

/// The whole status, if it is another one than before.
pub fn status(
    channel: &Channel,
    fleet: &Fleet<'_>,
    next: UpdateChannelStatus,
    standing: &Standing,
    now: Timestamp,
) -> Option<UpdateChannelStatus> {
    let before = &channel.status;
    let known = Channel { status: next.clone(), meta: channel.meta.clone(), spec: channel.spec.clone() };
    let counts = super::decide::target(&known).ok().flatten().map(|version| counts(fleet, &version));
    let slots: Vec<String> = fleet.slots().into_iter().map(String::from).collect();
    let status = UpdateChannelStatus {
        observed_generation: Some(channel.meta.generation),
        phase: Some(standing.phase),
        message: Some(standing.message.clone()),
        progress: counts.map(|counts| format!("{}/{}", counts.done, counts.total)),
        current: current(fleet, standing),
        updating: slots.clone(),
        upgrading: slots,
        conditions: conditions(channel, &next, standing, now),
        spec_hash: Some(hash(channel)),
        last_updated: before.last_updated.clone(),
        ..next
    };
    let changed = status != *before;
    changed.then_some(UpdateChannelStatus { last_updated: Some(Time(now)), ..status })
}

/// The column "Now".
fn current(fleet: &Fleet<'_>, standing: &Standing) -> Option<String> {
    let flying = [Kind::K3os, Kind::Kairos].into_iter().find(|kind| fleet.flying(*kind).next().is_some());
    let now = flying.and_then(|kind| fleet.op_of(kind)).and_then(|op| op.status.current.clone());
    now.or_else(|| (!standing.is_settled() || standing.is_failed()).then(|| standing.reason.to_string()))
}

/// Hash of what the channel says about versions and nodes.
pub fn hash(channel: &Channel) -> String {
    let spec = &channel.spec;
    let said = json!([spec.url, poll::wanted(spec), spec.pinned(), spec.image]);
    digest(Map::from_iter([("channel".to_string(), said)]))
}

fn conditions(channel: &Channel, next: &UpdateChannelStatus, standing: &Standing, now: Timestamp) -> Vec<Condition> {
    let make = |(type_, status): (&str, &str)| {
        let before = &channel.status.conditions;
        let since = before.iter().find(|condition| condition.type_ == type_ && condition.status == status);
        Condition {
            type_: type_.into(),
            status: status.into(),
            reason: standing.reason.code().into(),
            message: standing.message.clone(),
            observed_generation: Some(channel.meta.generation),
            last_transition_time: since.map_or(Time(now), |condition| condition.last_transition_time.clone()),
        }
    };
    let ours = ["Ready", "Reconciling", "Stalled"].into_iter().zip(standing.conditions).map(make);
    ours.chain(condition(next).cloned()).collect()
}
