//! The URLs of channels are asked after everything else of a round is written: a server that hangs keeps nobody waiting but
//! the next round, and not for long. What it said becomes part of what the round saw, the channel is decided once more, and
//! its status written: that is the poll's one write, but for the slot where one is taken (see [`crate::channel::poll`]), and
//! for an Event where there is something to tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use indexmap::IndexMap;
use jiff::Timestamp;

use super::{Mode, Round, Shutdown, status_after};
use crate::channel::answer::{Told, told};
use crate::channel::nodes::Fleet;
use crate::channel::poll::{self, Wants};
use crate::channel::{Channel, api::KIND};
use crate::cluster::apply::apply;
use crate::cluster::{Cluster, kinds};
use crate::decide::decide;
use crate::outcome::{ActionOutcome, Verdict};
use crate::plan::{Action, Decision, Plan};
use crate::reason::Reason;
use crate::resolve::{Answer, Failure, resolve};
use crate::settings::Settings;
use crate::snapshot::{Snapshot, objects};

/// How many hosts are asked at once.
const HOSTS: usize = 8;
/// How many URLs of one host are, once it has answered for the first.
const AT_ONCE: usize = 4;

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
    plan.decisions.iter_mut().for_each(|decision| decision.steps.retain(|step| step.actions.iter().all(is_event)));
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
pub async fn look(settings: &Settings, snapshot: &Snapshot) -> BTreeMap<String, Told> {
    let plan = decide(snapshot, settings);
    let channels: Vec<Channel> = due(snapshot, &plan).map(|(channel, _)| channel.clone()).collect();
    answers(&channels, settings, snapshot).await
}

async fn answers(channels: &[Channel], settings: &Settings, snapshot: &Snapshot) -> BTreeMap<String, Told> {
    let mut hosts: IndexMap<String, Vec<Channel>> = IndexMap::new();
    for channel in channels {
        let host = poll::place(&channel.spec).map(|place| place.host()).unwrap_or_default();
        hosts.entry(host).or_default().push(channel.clone());
    }
    let hosts = hosts.into_values().map(|channels| of_host(channels, settings, snapshot.now).boxed());
    let all = stream::iter(hosts).flatten_unordered(HOSTS);
    all.take_until(tokio::time::sleep(LIMIT)).collect().await
}

/// Asks one host: for one channel, and then for the others. Once it wants to be left alone, whoever comes next is told so in
/// its place.
fn of_host(channels: Vec<Channel>, settings: &Settings, now: Timestamp) -> impl Stream<Item = (String, Told)> {
    let enough: Arc<OnceLock<Failure>> = Arc::default();
    let ask = move |channel: Channel| {
        let enough = enough.clone();
        async move {
            let answer = match (enough.get(), poll::question(&channel, now)) {
                (Some(enough), _) => Answer::Failed(enough.clone()),
                (None, Ok(question)) => resolve(&question, &settings.resolve).await,
                (None, Err(message)) => Answer::Failed(Failure::new(crate::resolve::Reason::Malformed, message)),
            };
            if let Some(failure) = had_enough(&answer, &channel) {
                enough.get_or_init(|| failure);
            }
            (channel.meta.uid.clone(), told(&channel, answer, now))
        }
    };
    let mut channels = channels.into_iter();
    let first = stream::iter(channels.next()).then(ask.clone());
    first.chain(stream::iter(channels).map(ask).buffer_unordered(AT_ONCE))
}

/// What a host that wants to be left alone says to whoever comes next.
fn had_enough(answer: &Answer, channel: &Channel) -> Option<Failure> {
    let until = match answer {
        Answer::Failed(failure) => failure.not_before?,
        Answer::Versions { not_before, .. } => (*not_before)?,
        Answer::NotModified => return None,
    };
    let host = poll::place(&channel.spec).ok()?.host();
    let message = format!("{host} is not asked: it wants to be left alone until {until:.0}, as another channel was told in the same round");
    Some(Failure { not_before: Some(until), ..Failure::new(crate::resolve::Reason::RateLimited { until }, message) })
}

/// The channels that are to be asked for, and what was decided about them.
fn due<'a>(snapshot: &'a Snapshot, plan: &'a Plan) -> impl Iterator<Item = (&'a Channel, &'a Decision)> {
    let asks = |channel: &Channel| matches!(poll::wants(snapshot, channel, &Fleet::of(snapshot, channel)), Wants::Claim | Wants::Ask);
    let decisions = plan.decisions.iter().filter(|decision| decision.subject.kind == KIND && decision.reason == Reason::Polling);
    let of = |decision: &Decision| snapshot.channels.iter().find(|channel| channel.meta.uid == decision.subject.uid);
    decisions.filter_map(move |decision| of(decision).filter(|channel| asks(channel)).map(|channel| (channel, decision)))
}

fn is_event(action: &Action) -> bool {
    matches!(action, Action::Create { object } if object["kind"] == "Event")
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
