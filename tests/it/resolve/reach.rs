//! Where a channel's URL, and what its server answers, may lead: not to the machine, the link or the cluster, and no token
//! to anybody but its own host.

use http::Uri;
use rounds::resolve::settings::Secret;
use rounds::resolve::{Reason, ResolveSettings};

use super::server::{Server, say};
use super::{REPOSITORY, ask, failure, page, release, settings, versions};

#[tokio::test]
async fn addresses_that_a_resource_has_no_business_with_are_refused() {
    let server = Server::start(|_| say(200, &[], "v1.2.3")).await;
    let port = server.host.rsplit_once(':').unwrap().1;
    let settings = ResolveSettings { apiserver: Some("203.0.113.9".into()), ..ResolveSettings::default() };
    for url in [
        server.url("/stable"),
        format!("http://localhost:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://0.0.0.0:{port}/"),
        "http://169.254.169.254/latest/meta-data/".into(),
        "http://[fe80::1]/".into(),
        "https://kubernetes/version".into(),
        "https://kubernetes.default.svc/version".into(),
        "https://kubernetes.default.svc.cluster.local/version".into(),
        "https://203.0.113.9/version".into(),
        format!("oci://{}/a/b", server.host),
    ] {
        let told = failure(ask(&url, &settings).await);
        assert_eq!(told.reason, Reason::Refused, "{url}: {told}");
        assert!(told.message.contains("is not asked"), "{told}");
    }
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn services_of_the_cluster_are_refused_by_their_addresses_unless_they_are_allowed() {
    let server = Server::start(|_| say(307, &[("location", "http://10.43.7.7/")], "")).await;
    let inside = ResolveSettings { apiserver: Some("10.43.0.1".into()), ..settings(&[&server]) };
    let allowed = server.url("/stable");
    for (url, service_cidrs, reason) in [
        // The range is the one around the apiserver's service, or what the runner was told.
        ("http://10.43.255.9/stable", &[][..], Reason::Refused),
        ("http://[::ffff:10.43.0.9]/stable", &[], Reason::Refused),
        ("http://192.0.2.9/stable", &["192.0.2.0/24"], Reason::Refused),
        ("https://[fd00:10:96::7]/stable", &["10.43.0.0/16", "fd00:10:96::/112"], Reason::Refused),
        // What is allowed by name is asked: this one redirects to no version.
        (allowed.as_str(), &["127.0.0.0/8"], Reason::Malformed),
        // Nor does a redirect lead there.
        (REPOSITORY, &[], Reason::Refused),
    ] {
        let mut settings = inside.clone();
        settings.service_cidrs = service_cidrs.iter().map(|range| range.parse().unwrap()).collect();
        let told = failure(ask(url, &settings).await);
        assert_eq!(told.reason, reason, "{url}: {told}");
        assert_eq!(told.message.contains("--service-cidr"), reason == Reason::Refused, "{told}");
    }
}

#[tokio::test]
async fn a_redirect_does_not_lead_where_the_url_must_not() {
    let inside = Server::start(|_| page(&[release("v6.6.6", 1)])).await;
    let port = inside.host.rsplit_once(':').unwrap().1.to_owned();
    for target in
        ["http://169.254.169.254/latest".to_owned(), format!("http://localhost:{port}/"), inside.url("/"), "file:///etc/passwd".into()]
    {
        let location = target.clone();
        let server = Server::start(move |_| say(307, &[("location", &location)], "")).await;
        let told = failure(ask(REPOSITORY, &settings(&[&server])).await);
        assert!(matches!(told.reason, Reason::Refused | Reason::Malformed), "{target}: {told}");
        assert_eq!(told.reason == Reason::Malformed, target.starts_with("file:"), "{target}: {told}");
    }
    // Nor does a next page.
    let link = format!("<{}>; rel=\"next\"", inside.url("/"));
    let server = Server::start(move |_| say(200, &[("link", &link)], "[]")).await;
    assert_eq!(failure(ask(REPOSITORY, &settings(&[&server, &inside])).await).reason, Reason::Refused);
    assert_eq!(inside.seen().len(), 0);
}

#[tokio::test]
async fn a_token_goes_to_its_host_alone() {
    let other = Server::start(|_| page(&[release("v0.7.0", 18)])).await;
    let target = other.url("/repositories/7/releases");
    let server = Server::start(move |_| say(301, &[("location", &target)], "")).await;
    let mut settings = settings(&[&server, &other]);
    settings.github_token = Some(Secret::new("t0ken"));
    assert_eq!(versions(ask(REPOSITORY, &settings).await), ["v0.7.0"]);
    assert_eq!(server.seen()[0].header("authorization"), "Bearer t0ken");
    assert_eq!(other.seen()[0].header("authorization"), "");
    // Nor to a channel server, nor without TLS to one that is not allowed.
    let _ = ask(&other.url("/stable"), &settings).await;
    assert_eq!(other.seen()[1].header("authorization"), "");
    let elsewhere = ResolveSettings { github_api: Uri::from_static("http://github.example/"), ..settings };
    let told = failure(ask(REPOSITORY, &elsewhere).await);
    assert_eq!(told.reason, Reason::Refused);
    assert!(told.message.contains("without TLS") && !told.message.contains("t0ken"), "{told}");
}
