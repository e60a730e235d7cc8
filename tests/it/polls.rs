//! The polls of one round, without a cluster: a host that wants to be left alone is asked by no other channel.

use std::collections::BTreeMap;

use rounds::channel::answer::Told;
use rounds::resolve::{Reason, ResolveSettings};
use rounds::round::polls::look;
use rounds::settings::Settings;
use rounds::snapshot::{Meta, Resource, Snapshot};
use serde_json::json;

use crate::resolve::server::{Server, say};

/// A round that sees channels with these URLs, none of which was ever asked.
fn snapshot(urls: &[String]) -> Snapshot {
    let channel = |(index, url): (usize, &String)| Resource {
        meta: Meta { namespace: "ops".into(), name: format!("c{index}"), uid: format!("c{index}"), ..Meta::default() },
        spec: serde_json::from_value(json!({"url": url})).unwrap(),
        ..Resource::default()
    };
    let now = "2026-11-21T12:00:00Z".parse().unwrap();
    Snapshot { now, channels: urls.iter().enumerate().map(channel).collect(), ..Snapshot::default() }
}

fn settings(servers: &[&Server]) -> Settings {
    let mut resolve =
        ResolveSettings { allowed_hosts: servers.iter().map(|server| server.host.clone()).collect(), ..ResolveSettings::default() };
    resolve.github_api = servers[0].url("/api/v3").parse().unwrap();
    Settings { resolve, ..Settings::default() }
}

fn limited(told: &BTreeMap<String, Told>) -> Vec<&str> {
    let is = |told: &Told| matches!(told, Told::Failed(failure) if matches!(failure.reason, Reason::RateLimited { .. }) && failure.not_before.is_some());
    told.iter().filter(|(_, told)| is(told)).map(|(uid, _)| uid.as_str()).collect()
}

const LIMITED: &[(&str, &str)] = &[("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795266000")];

#[tokio::test]
async fn a_host_that_has_had_enough_is_asked_by_no_other_channel_of_the_round() {
    let strict = Server::start(|_| say(403, LIMITED, "{}")).await;
    let other = Server::start(|_| say(302, &[("location", "/v1.2.3")], "")).await;
    let mut urls: Vec<String> = (0..4).map(|index| format!("github-releases://owner/repository-{index}")).collect();
    urls.extend((0..3).map(|index| other.url(&format!("/channels/{index}"))));
    let told = look(&settings(&[&strict, &other]), &snapshot(&urls)).await;
    assert_eq!((told.len(), limited(&told)), (7, vec!["c0", "c1", "c2", "c3"]), "{told:#?}");
    assert_eq!((strict.seen().len(), other.seen().len()), (1, 3), "who says nothing of the kind is asked for each");
    let Told::Failed(failure) = &told["c1"] else { panic!("{told:#?}") };
    assert!(failure.message.contains("is not asked: it wants to be left alone until 2026-11-21T13:00:00Z"), "{failure}");
}

#[tokio::test]
async fn an_answer_that_uses_up_what_is_granted_is_the_last_one_as_well() {
    let strict = Server::start(|_| say(200, LIMITED, "[]")).await;
    let urls: Vec<String> = (0..3).map(|index| format!("github-releases://owner/repository-{index}")).collect();
    let told = look(&settings(&[&strict]), &snapshot(&urls)).await;
    assert_eq!((strict.seen().len(), limited(&told).len()), (1, 2), "{told:#?}");
}
