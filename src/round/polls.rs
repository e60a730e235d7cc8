//! The URLs of channels are asked after everything else of a round is written: a server that hangs keeps nobody waiting but
//! the next round, and not for long. What it said becomes part of what the round saw, the channel is decided once more, and
//! its status written: that is the poll's one write, but for the slot where one is taken (see [`crate::channel::poll`]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{StreamExt, stream};

use super::{Mode, Round, Shutdown, status_after};
use crate::channel::nodes::Fleet;
use crate::channel::poll::{self, Wants};
use crate::channel::{Channel, api::KIND};
use crate::cluster::apply::apply;
use crate::cluster::{Cluster, kinds};
use crate::decide::decide;
use crate::outcome::{ActionOutcome, Verdict};
use crate::plan::{Decision, Plan};
use crate::reason::Reason;
use crate::resolve::{Answer, Failure, resolve};
use crate::settings::Settings;
use crate::snapshot::{Snapshot, objects};

/// How many URLs are asked at once.
const PARALLEL: usize = 8;

/// For so long all of a round are asked: who hangs must not keep the answers of others until their slots are stale. The rest
/// is asked in the next rounds, who waits longest first.
const LIMIT: Duration = Duration::from_secs(60);

/// Asks for those channels that the round has decided to ask for, and writes what was answered.
pub async fn ask(cluster: &Cluster, settings: &Settings, round: &mut Round, mode: Mode, shutdown: &Shutdown) {
    if mode != Mode::Live || shutdown.is_requested() {
        return;
    }
    let mut asked = Vec::new();
    for (channel, decision) in due(&round.snapshot, &round.plan) {
        asked.extend(ready(cluster, round, channel, decision).await);
    }
    if asked.is_empty() {
        return;
    }
    asked.sort_by_key(|channel| channel.status.last_polled.clone());
    let mut snapshot = round.snapshot.clone();
    for channel in &asked {
        snapshot.channels.retain(|seen| seen.meta.uid != channel.meta.uid);
        snapshot.channels.push(channel.clone());
    }
    let answers = tokio::select! {
        biased;
        // A slot that was taken is free again when it is stale.
        () = shutdown.requested() => return,
        answers = answers(&asked, settings, &snapshot) => answers,
    };
    let asked: BTreeSet<String> = answers.keys().cloned().collect();
    snapshot.answers = answers;
    let mut plan = decide(&snapshot, settings);
    plan.decisions.retain(|decision| decision.subject.kind == KIND && asked.contains(&decision.subject.uid));
    // What follows from the version is the next round's, which sees the rest of the cluster as it is by then.
    plan.decisions.iter_mut().for_each(|decision| decision.steps.clear());
    let outcome = apply(cluster, &plan, mode, usize::MAX, &|| shutdown.is_requested()).await;
    round.outcome.actions.extend(outcome.actions);
    for decision in plan.decisions {
        if let Some(place) = round.plan.decisions.iter_mut().find(|one| one.subject == decision.subject) {
            *place = decision;
        }
    }
    round.snapshot.channels = snapshot.channels;
}

/// What the URLs of all channels answer that a round over this snapshot would ask for.
pub async fn look(settings: &Settings, snapshot: &Snapshot) -> BTreeMap<String, Answer> {
    let plan = decide(snapshot, settings);
    let channels: Vec<Channel> = due(snapshot, &plan).map(|(channel, _)| channel.clone()).collect();
    answers(&channels, settings, snapshot).await
}

async fn answers(channels: &[Channel], settings: &Settings, snapshot: &Snapshot) -> BTreeMap<String, Answer> {
    let ask = |channel: Channel| async move {
        let answer = match poll::question(&channel, snapshot.now) {
            Ok(question) => resolve(&question, &settings.resolve).await,
            Err(message) => Answer::Failed(Failure::new(crate::resolve::Reason::Malformed, message)),
        };
        (channel.meta.uid, answer)
    };
    let all = stream::iter(channels.iter().cloned().map(ask)).buffer_unordered(PARALLEL);
    all.take_until(tokio::time::sleep(LIMIT)).collect().await
}

/// The channels that are to be asked for, and what was decided about them.
fn due<'a>(snapshot: &'a Snapshot, plan: &'a Plan) -> impl Iterator<Item = (&'a Channel, &'a Decision)> {
    let asks = |channel: &Channel| matches!(poll::wants(snapshot, channel, &Fleet::of(snapshot, channel)), Wants::Claim | Wants::Ask);
    let decisions = plan.decisions.iter().filter(|decision| decision.subject.kind == KIND && decision.reason == Reason::Polling);
    let of = |decision: &Decision| snapshot.channels.iter().find(|channel| channel.meta.uid == decision.subject.uid);
    decisions.filter_map(move |decision| of(decision).filter(|channel| asks(channel)).map(|channel| (channel, decision)))
}

/// The channel to ask for, as it is now: where the slot is taken, it must be ours.
async fn ready(cluster: &Cluster, round: &Round, channel: &Channel, decision: &Decision) -> Option<Channel> {
    if decision.status.is_none() {
        return Some(channel.clone());
    }
    let subject = &decision.subject;
    let taken = |outcome: &&ActionOutcome| outcome.target == *subject && outcome.verdict == Verdict::Done;
    round.outcome.actions.iter().find(taken)?;
    let object = cluster.look(kinds::CHANNEL, &subject.namespace, &subject.name, false).await.ok().flatten()?;
    let fresh = objects::channel(object).ok()?;
    (fresh.meta.uid == subject.uid && fresh.status == status_after(&round.snapshot.channels, decision)).then_some(fresh)
}
