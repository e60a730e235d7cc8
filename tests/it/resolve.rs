//! Asking for versions: real HTTP on 127.0.0.1, and a real registry.

mod reach;
pub mod registry;
pub mod server;

use std::time::Duration;

use jiff::Timestamp;
use rounds::resolve::settings::Secret;
use rounds::resolve::{Answer, Failure, Place, Published, Question, Reason, ResolveSettings, Validators, resolve};
use serde_json::{Value, json};

use server::{Say, Server, say};

const NOW: &str = "2026-11-21T12:00:00Z";

fn question(url: &str) -> Question {
    Question { place: Place::parse(url).unwrap(), validators: Validators::default(), now: NOW.parse().unwrap() }
}

/// Settings that let these servers be asked, and the first of them be GitHub.
fn settings(servers: &[&Server]) -> ResolveSettings {
    let mut settings = ResolveSettings { time_limit: Duration::from_secs(10), ..ResolveSettings::default() };
    settings.allowed_hosts = servers.iter().map(|server| server.host.clone()).collect();
    if let Some(first) = servers.first() {
        settings.github_api = first.url("/api/v3").parse().unwrap();
    }
    settings
}

#[expect(clippy::disallowed_methods, reason = "how long an answer takes is told by the clock on the wall")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

async fn ask(url: &str, settings: &ResolveSettings) -> Answer {
    resolve(&question(url), settings).await
}

fn failure(answer: Answer) -> Failure {
    match answer {
        Answer::Failed(failure) => failure,
        other => panic!("no failure: {other:?}"),
    }
}

fn versions(answer: Answer) -> Vec<String> {
    match answer {
        Answer::Versions { published, .. } => published.into_iter().map(|one| one.version).collect(),
        other => panic!("no versions: {other:?}"),
    }
}

fn release(tag: &str, day: u8) -> Value {
    json!({"tag_name": tag, "draft": false, "prerelease": false, "published_at": format!("2026-11-{day:02}T12:00:00Z"), "assets": [{"name": "x"}]})
}

fn page(releases: &[Value]) -> Say {
    say(200, &[("content-type", "application/json"), ("etag", "W/\"one\"")], json!(releases).to_string())
}

const REPOSITORY: &str = "github-releases://rancher/k3os";

#[tokio::test]
async fn releases_come_with_their_time_and_drafts_do_not_come() {
    let server = Server::start(|_| {
        let mut draft = release("v9.9.9", 20);
        draft["draft"] = json!(true);
        draft["published_at"] = Value::Null;
        let mut prerelease = release("v0.8.0", 19);
        prerelease["prerelease"] = json!(true);
        page(&[draft, prerelease, release("v0.7.0", 18)])
    })
    .await;
    let mut settings = settings(&[&server]);
    settings.github_token = Some(Secret::new("t0ken"));
    let Answer::Versions { published, whole, validators, not_before } = ask(REPOSITORY, &settings).await else { panic!("no versions") };
    let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
    let expected = [
        Published { version: "v0.8.0".into(), published: at("2026-11-19T12:00:00Z"), prerelease: true },
        Published { version: "v0.7.0".into(), published: at("2026-11-18T12:00:00Z"), prerelease: false },
    ];
    assert_eq!(published, expected);
    assert_eq!((validators.etag.as_deref(), whole, not_before), (Some("W/\"one\""), true, None));
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].path, "/api/v3/repos/rancher/k3os/releases?per_page=100");
    assert_eq!(seen[0].header("authorization"), "Bearer t0ken");
    assert!(seen[0].header("user-agent").starts_with("rounds/"));
    assert_eq!(seen[0].header("accept-encoding"), "");
}

#[tokio::test]
async fn three_pages_are_looked_at_and_no_more_and_that_there_are_more_is_said() {
    let server = Server::start(|seen| {
        let number = seen.path.rsplit_once("page=").map_or(1, |(_, number)| number.parse().unwrap());
        let number = if number == 100 { 1 } else { number };
        let link =
            format!("<http://{}/api/v3/repositories/7/releases?per_page=100&page={}>; rel=\"next\"", seen.header("host"), number + 1);
        say(200, &[("link", &link)], json!([release(&format!("v0.{}.0", 9 - number), 1)]).to_string())
    })
    .await;
    let answer = ask(REPOSITORY, &settings(&[&server])).await;
    assert!(matches!(answer, Answer::Versions { whole: false, .. }), "{answer:?}");
    assert_eq!(versions(answer), ["v0.8.0", "v0.7.0", "v0.6.0"]);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn pages_that_are_slow_to_come_are_done_without() {
    let server = Server::start(|seen| {
        std::thread::sleep(Duration::from_millis(1600));
        let link = format!("<http://{}/api/v3/repositories/7/releases?per_page=100&page=2>; rel=\"next\"", seen.header("host"));
        say(200, &[("link", &link)], json!([release("v0.9.0", 1)]).to_string())
    })
    .await;
    let settings = ResolveSettings { time_limit: Duration::from_secs(3), ..settings(&[&server]) };
    let answer = ask(REPOSITORY, &settings).await;
    assert!(matches!(answer, Answer::Versions { whole: false, .. }), "{answer:?}");
    assert_eq!(versions(answer), ["v0.9.0"]);
    assert_eq!(server.seen().len(), 1, "half of the time was gone, and the next page is as slow");
}

#[tokio::test]
async fn an_unchanged_list_is_not_sent_again() {
    let server = Server::start(|seen| match seen.header("if-none-match") {
        "W/\"one\"" => say(304, &[], ""),
        _ => page(&[release("v0.7.0", 18)]),
    })
    .await;
    let settings = settings(&[&server]);
    let Answer::Versions { validators, .. } = ask(REPOSITORY, &settings).await else { panic!("no versions") };
    let again = Question { validators, ..question(REPOSITORY) };
    assert_eq!(resolve(&again, &settings).await, Answer::NotModified);
    // A channel server may say so as well.
    let again = Question { validators: again.validators, ..question(&server.url("/stable")) };
    assert_eq!(resolve(&again, &settings).await, Answer::NotModified);
}

#[tokio::test]
async fn releases_with_hundreds_of_assets_are_asked_for_in_smaller_pages() {
    let server = Server::start(|seen| {
        let size: usize = seen.path.rsplit_once("per_page=").unwrap().1.parse().unwrap();
        if size == 10 && seen.header("if-none-match") == "W/\"one\"" {
            return say(304, &[], "");
        }
        let mut releases: Vec<Value> = (0..size).map(|number| release(&format!("v0.{}.0", 200 - number), 1)).collect();
        for release in &mut releases {
            release["assets"] = json!("x".repeat(50 << 10));
        }
        page(&releases)
    })
    .await;
    let settings = settings(&[&server]);
    let answer = ask(REPOSITORY, &settings).await;
    let Answer::Versions { published, validators, .. } = answer else { panic!("{answer:?}") };
    assert_eq!((published.len(), published[0].version.as_str(), validators.page_size), (10, "v0.200.0", Some(10)));
    let again = Question { validators, ..question(REPOSITORY) };
    assert_eq!(resolve(&again, &settings).await, Answer::NotModified);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_size_that_was_found_is_kept_and_as_many_releases_are_read_as_are_worth_it() {
    // Each release is half of what an answer may have: none of the usual pages fits.
    let server = Server::start(|seen| {
        let asked =
            |name: &str| seen.path.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse::<usize>().ok());
        let (size, page) = (asked("per_page").unwrap(), asked("page").unwrap_or(1));
        if size > 1 {
            return Say::Flood(2 << 20);
        }
        let mut release = release(&format!("v0.{}.0", 100 - page), 1);
        release["assets"] = json!("x".repeat(500 << 10));
        let next = format!("<http://{}/api/v3/repos/r/r/releases?per_page={size}&page={}>; rel=\"next\"", seen.header("host"), page + 1);
        say(200, &[("link", &next), ("etag", "\"one\"")], json!([release]).to_string())
    })
    .await;
    let settings = settings(&[&server]);
    let answer = ask(REPOSITORY, &settings).await;
    let Answer::Versions { published, whole, validators, .. } = answer else { panic!("{answer:?}") };
    assert_eq!((published.len(), published[0].version.as_str(), whole, validators.page_size), (10, "v0.99.0", false, Some(1)));
    assert_eq!(server.seen().len(), 12, "two that were too large, and ten pages");
    // Where the names of the answer are of no use any more, its size still is.
    let again = Question { validators: Validators { page_size: Some(1), ..Validators::default() }, ..question(REPOSITORY) };
    assert!(matches!(resolve(&again, &settings).await, Answer::Versions { .. }));
    assert_eq!((server.seen().len(), server.paths()[12].as_str()), (22, "/api/v3/repos/rancher/k3os/releases?per_page=1"));
}

#[tokio::test]
async fn unchanged_is_no_answer_to_who_knows_nothing() {
    let server = Server::start(|_| say(304, &[("etag", "W/\"one\"")], "")).await;
    let settings = ResolveSettings { insecure_registries: vec![server.host.clone()], ..settings(&[&server]) };
    for url in [REPOSITORY.to_owned(), server.url("/stable"), format!("oci://{}/a/b", server.host)] {
        let told = failure(ask(&url, &settings).await);
        assert_eq!(told.reason, Reason::Malformed, "{url}: {told}");
        assert!(told.message.contains("answered 304") && told.message.contains(&server.host), "{told}");
    }
    // Nor to who knows an answer of another size.
    let server = Server::start(|seen| if seen.path.ends_with("=100") { Say::Flood(4 << 20) } else { say(304, &[], "") }).await;
    let validators = Validators { etag: Some("W/\"one\"".into()), ..Validators::default() };
    let told = failure(resolve(&Question { validators, ..question(REPOSITORY) }, &self::settings(&[&server])).await);
    assert_eq!(told.reason, Reason::Malformed, "{told}");
}

#[tokio::test]
async fn every_redirect_code_of_a_channel_server_is_an_answer() {
    for code in [301, 302, 303, 307, 308] {
        let server =
            Server::start(move |_| say(code, &[("location", "https://github.com/k3s-io/k3s/releases/tag/v1.30.4%2Bk3s1")], "<a>moved</a>"))
                .await;
        assert_eq!(versions(ask(&server.url("/v1-release/channels/stable"), &settings(&[&server])).await), ["v1.30.4+k3s1"], "{code}");
        assert_eq!(server.paths(), ["/v1-release/channels/stable"]);
    }
    let server = Server::start(|_| say(200, &[("content-type", "text/plain")], "v1.2.3\n")).await;
    assert_eq!(versions(ask(&server.url("/stable"), &settings(&[&server])).await), ["v1.2.3"]);
}

#[tokio::test]
async fn what_is_no_answer_is_named() {
    const LIMITED: &[(&str, &str)] = &[("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795266000")];
    let until: Timestamp = "2026-11-21T13:00:00Z".parse().unwrap();
    for (status, headers, body, of_github, of_server) in [
        (403, LIMITED, "{}", Reason::RateLimited { until }, Reason::RateLimited { until }),
        (429, &[("retry-after", "3600")], "", Reason::RateLimited { until }, Reason::RateLimited { until }),
        (403, &[], "{}", Reason::Unauthorized, Reason::Unauthorized),
        (401, &[], "{}", Reason::Unauthorized, Reason::Unauthorized),
        (404, &[], "{}", Reason::NotFound, Reason::NotFound),
        (500, &[], "oops", Reason::Server(500), Reason::Server(500)),
        (503, &[("retry-after", "3600")], "", Reason::Server(503), Reason::Server(503)),
        (200, &[], "\u{0}garbage <html>", Reason::Malformed, Reason::Malformed),
        (200, &[], "{\"message\": \"hello\"}", Reason::Malformed, Reason::Malformed),
        (302, &[], "", Reason::Malformed, Reason::Malformed),
        (302, &[("location", "/login")], "", Reason::TooManyRedirects, Reason::Malformed),
        (204, &[], "", Reason::Server(204), Reason::Server(204)),
    ] {
        let server = Server::start(move |_| say(status, headers, body)).await;
        let settings = settings(&[&server]);
        let github = failure(ask(REPOSITORY, &settings).await);
        assert_eq!(github.reason, of_github, "{status} {headers:?}: {github}");
        assert!(github.message.contains(&server.host), "{github}");
        let channel = failure(ask(&server.url("/stable"), &settings).await);
        assert_eq!(channel.reason, of_server, "{status} {headers:?}: {channel}");
        assert!(channel.message.contains(&server.host), "{channel}");
        let waits = headers.iter().any(|(name, _)| matches!(*name, "retry-after" | "x-ratelimit-reset"));
        assert_eq!((github.not_before, channel.not_before), (waits.then_some(until), waits.then_some(until)), "{status} {headers:?}");
        assert!(!github.message.contains('\n') && !channel.message.contains('\n'));
    }
}

#[tokio::test]
async fn what_a_server_makes_up_does_not_fill_a_message() {
    let long = "x".repeat(20_000);
    let location = format!("/{long}?signature=s3cret");
    let server = Server::start(move |seen| match seen.path.as_str() {
        "/stable" => say(302, &[("location", &location)], ""),
        path if path.starts_with("/api") => say(200, &[], json!(long).to_string()),
        _ => say(500, &[], ""),
    })
    .await;
    for url in [server.url("/stable"), REPOSITORY.to_owned()] {
        let told = failure(ask(&url, &settings(&[&server])).await);
        assert_eq!(told.reason, Reason::Malformed, "{told}");
        assert!(told.message.contains(&server.host) && told.message.chars().count() <= 1001, "{told}");
    }
    let server = Server::start(|seen| match seen.path.as_str() {
        "/moved?signature=s3cret" => say(500, &[], ""),
        _ => say(302, &[("location", "/moved?signature=s3cret")], ""),
    })
    .await;
    let told = failure(ask(REPOSITORY, &settings(&[&server])).await);
    assert_eq!(told.reason, Reason::Server(500));
    assert!(told.message.contains("/moved") && !told.message.contains("s3cret"), "{told}");
}

#[tokio::test]
async fn a_limit_that_is_used_up_by_the_answer_itself_is_told() {
    let server = Server::start(|seen| {
        let link = format!("<http://{}/api/v3/next>; rel=\"next\"", seen.header("host"));
        let headers = [("link", link.as_str()), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795266000")];
        say(200, &headers, json!([release("v0.7.0", 18)]).to_string())
    })
    .await;
    let answer = ask(REPOSITORY, &settings(&[&server])).await;
    let Answer::Versions { published, not_before, .. } = answer else { panic!("{answer:?}") };
    assert_eq!((published.len(), not_before), (1, Some("2026-11-21T13:00:00Z".parse().unwrap())));
    assert_eq!(server.seen().len(), 1, "nothing is asked of a server that has had enough");
}

#[tokio::test]
async fn what_is_too_large_is_not_read() {
    const SIZE: usize = 64 << 20;
    let server = Server::start(|_| Say::Flood(SIZE)).await;
    let settings = settings(&[&server]);
    let started = now();
    assert_eq!(failure(ask(&server.url("/stable"), &settings).await).reason, Reason::TooLarge);
    let once = server.sent();
    assert!(once < SIZE / 4, "{once} bytes were taken");
    // Asked for in ever smaller pages, and each of them is bounded.
    assert_eq!(failure(ask(REPOSITORY, &settings).await).reason, Reason::TooLarge);
    assert!(server.sent() - once < SIZE / 2, "{} bytes were taken", server.sent() - once);
    assert!(started.elapsed() < Duration::from_secs(5));
    // With a length it is not even begun.
    let server = Server::start(|_| say(200, &[], vec![b' '; SIZE])).await;
    let told = failure(ask(&server.url("/stable"), &self::settings(&[&server])).await);
    assert_eq!(told.reason, Reason::TooLarge);
    assert!(told.message.contains("1024 KiB"), "{told}");
}

#[tokio::test]
async fn what_hangs_is_left() {
    let silent = Server::start(|_| Say::Nothing).await;
    let slow = Server::start(|_| Say::Half("[{\"tag_name\":")).await;
    for server in [&silent, &slow] {
        let settings = ResolveSettings { time_limit: Duration::from_secs(1), ..settings(&[server]) };
        for url in [REPOSITORY.to_owned(), server.url("/stable"), format!("oci://{}/a/b", server.host)] {
            let settings = ResolveSettings { insecure_registries: vec![server.host.clone()], ..settings.clone() };
            let started = now();
            let told = failure(ask(&url, &settings).await);
            assert_eq!(told.reason, Reason::TimedOut, "{told}");
            assert!(started.elapsed() < Duration::from_secs(2), "{url} took {:?}", started.elapsed());
            assert!(told.message.contains("1s"), "{told}");
        }
    }
}

#[tokio::test]
async fn what_is_not_http_and_who_is_not_there_is_named() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let settings = ResolveSettings { allowed_hosts: vec![host.clone()], ..ResolveSettings::default() };
    let garbage = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        // Ready to be read is a guess.
        while stream.try_read(&mut [0; 4096]).is_err() {
            stream.readable().await.unwrap();
        }
        stream.try_write(b"220 mail ready\r\n\r\n").unwrap();
    });
    let told = failure(ask(&format!("http://{host}/"), &settings).await);
    assert_eq!(told.reason, Reason::Malformed, "{told}");
    garbage.await.unwrap();
    let told = failure(ask(&format!("http://{host}/"), &settings).await);
    assert_eq!(told.reason, Reason::Unreachable, "{told}");
    assert!(told.message.contains(&host) && told.message.contains("refused"), "{told}");
}
