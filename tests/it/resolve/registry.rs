//! Tags of a real registry, which wants to see a password, or a token from elsewhere.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair};
use rounds::resolve::settings::{Credentials, Secret};
use rounds::resolve::{Answer, Reason, ResolveSettings};
use serde_json::json;

use super::server::{Say, Server, say};
use super::{ask, failure, versions};

const TAGS: usize = 1203;

/// A registry with tags, in a folder of its own; both end with this.
pub struct Registry {
    /// 127.0.0.1:port.
    pub host: String,
    folder: PathBuf,
    child: Child,
}

impl Registry {
    /// `auth`: from the folder to the section of the configuration.
    pub async fn start(name: &str, auth: impl FnOnce(&Path) -> String) -> Self {
        let folder = std::env::temp_dir().join(format!("rounds-registry-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        tag(&folder);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/build.sh");
        let output = Command::new(script).arg("registry").output().unwrap();
        let binary = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()).join("registry");
        // Free a moment ago; the registry does not tell which one it took.
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let config = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{host}\"}}\n{}\n",
            folder.display(),
            auth(&folder)
        );
        std::fs::write(folder.join("config.yaml"), config).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let mut command = Command::new(binary);
        command.arg("serve").arg(folder.join("config.yaml")).env("OTEL_TRACES_EXPORTER", "none");
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null()).spawn().unwrap();
        let mut registry = Self { host, folder, child };
        for _ in 0..300 {
            if tokio::net::TcpStream::connect(&registry.host).await.is_ok() {
                return registry;
            }
            assert!(registry.child.try_wait().unwrap().is_none(), "{}", std::fs::read_to_string(registry.folder.join("log")).unwrap());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the registry does not listen");
    }

    fn settings(&self, credentials: Option<(&str, &str)>) -> ResolveSettings {
        let mut settings = ResolveSettings { allowed_hosts: vec![self.host.clone()], ..ResolveSettings::default() };
        settings.insecure_registries = vec![self.host.clone()];
        if let Some((user, password)) = credentials {
            let credentials = Credentials { user: user.into(), password: Secret::new(password) };
            settings.registry_credentials.insert(self.host.clone(), credentials);
        }
        settings
    }

    /// The URL of its repository, with tags v3.0.0 to v3.1202.0.
    pub fn url(&self) -> String {
        format!("oci://{}/kairos/ubuntu", self.host)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Tags, as the registry's storage has them.
fn tag(folder: &Path) {
    let tags = folder.join("docker/registry/v2/repositories/kairos/ubuntu/_manifests/tags");
    for number in 0..TAGS {
        let current = tags.join(format!("v3.{number}.0/current"));
        std::fs::create_dir_all(&current).unwrap();
        std::fs::write(current.join("link"), format!("sha256:{}", "0".repeat(64))).unwrap();
    }
}

/// Signs tokens in the tests' name.
struct Issuer(Ed25519KeyPair);

impl Issuer {
    fn new() -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap())
    }

    /// What the registry must know of it.
    fn keys(&self) -> String {
        let public = URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "tests", "use": "sig", "alg": "EdDSA", "x": public}]}).to_string()
    }

    /// A token that lets its bearer pull one repository.
    #[expect(clippy::disallowed_methods, reason = "the registry judges by its own clock")]
    fn token(&self, repository: &str) -> String {
        let now = jiff::Timestamp::now().as_second();
        let header = json!({"typ": "JWT", "alg": "EdDSA", "kid": "tests"});
        let claims = json!({
            "iss": "tests", "sub": "puller", "aud": "registry", "exp": now + 300, "nbf": now - 60, "iat": now, "jti": "1",
            "access": [{"type": "repository", "name": repository, "actions": ["pull"]}],
        });
        let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encode(&header), encode(&claims));
        let signature = URL_SAFE_NO_PAD.encode(self.0.sign(text.as_bytes()).as_ref());
        format!("{text}.{signature}")
    }
}

#[tokio::test]
async fn all_tags_come_page_by_page() {
    let registry = Registry::start("open", |_| String::new()).await;
    let found = versions(ask(&registry.url(), &registry.settings(None)).await);
    assert_eq!(found.len(), TAGS);
    assert!(found.contains(&format!("v3.{}.0", TAGS - 1)));
    let told = failure(ask(&format!("oci://{}/no/such", registry.host), &registry.settings(None)).await);
    assert_eq!(told.reason, Reason::NotFound, "{told}");
    // Without TLS only where the settings say so.
    let strict = ResolveSettings { insecure_registries: Vec::new(), ..registry.settings(None) };
    assert_eq!(failure(ask(&registry.url(), &strict).await).reason, Reason::Unreachable);
}

#[tokio::test]
async fn a_password_is_shown_where_it_is_asked_for() {
    // The password is: correct
    let registry = Registry::start("basic", |folder| {
        std::fs::write(folder.join("htpasswd"), "puller:$2y$05$roundsroundsroundsroueYzxqGlC3991uEJcQ03tpDmYz/jI1yYu\n").unwrap();
        format!("auth: {{htpasswd: {{realm: private, path: {}/htpasswd}}}}", folder.display())
    })
    .await;
    let found = ask(&registry.url(), &registry.settings(Some(("puller", "correct")))).await;
    assert_eq!(versions(found).len(), TAGS);
    for credentials in [None, Some(("puller", "wr0ng"))] {
        let told = failure(ask(&registry.url(), &registry.settings(credentials)).await);
        assert_eq!(told.reason, Reason::Unauthorized, "{told}");
        assert!(told.message.contains(&registry.host) && !told.message.contains("wr0ng"), "{told}");
    }
}

#[tokio::test]
async fn a_token_is_fetched_where_the_registry_says() {
    let issuer = Issuer::new();
    let keys = issuer.keys();
    let right = format!("Basic {}", STANDARD.encode("puller:correct"));
    let realm = Server::start(move |seen| {
        if seen.header("authorization") != right {
            return say(401, &[], "");
        }
        let body = json!({"token": issuer.token("kairos/ubuntu"), "expires_in": 300}).to_string();
        say(200, &[("content-type", "application/json")], body)
    })
    .await;
    let registry = Registry::start("token", |folder| {
        std::fs::write(folder.join("jwks.json"), keys).unwrap();
        let (realm, folder) = (realm.url("/token"), folder.display());
        format!("auth: {{token: {{realm: \"{realm}\", service: registry, issuer: tests, jwks: {folder}/jwks.json}}}}")
    })
    .await;
    let allow = |mut settings: ResolveSettings| {
        settings.allowed_hosts.push(realm.host.clone());
        settings
    };
    let found = ask(&registry.url(), &allow(registry.settings(Some(("puller", "correct"))))).await;
    let Answer::Versions { published, .. } = found else {
        panic!("{found:?} {}", std::fs::read_to_string(registry.folder.join("log")).unwrap());
    };
    assert_eq!(published.len(), TAGS);
    assert_eq!(realm.paths(), ["/token?service=registry&scope=repository%3Akairos%2Fubuntu%3Apull"]);
    for credentials in [None, Some(("puller", "wr0ng"))] {
        let told = failure(ask(&registry.url(), &allow(registry.settings(credentials))).await);
        assert_eq!(told.reason, Reason::Unauthorized, "{told}");
        assert!(!told.message.contains("wr0ng"), "{told}");
    }
    // A token for another repository does not help.
    let told = failure(ask(&format!("oci://{}/kairos/other", registry.host), &allow(registry.settings(Some(("puller", "correct"))))).await);
    assert_eq!(told.reason, Reason::Unauthorized, "{told}");
    // Nothing is shown to a place without TLS that nobody allowed.
    let asked = realm.seen().len();
    let told = failure(ask(&registry.url(), &registry.settings(Some(("puller", "correct")))).await);
    assert_eq!(told.reason, Reason::Refused, "{told}");
    assert_eq!(realm.seen().len(), asked);
}

#[tokio::test]
async fn realms_that_lead_astray_are_refused_and_oddities_are_named() {
    for (realm, reason) in [
        ("https://169.254.169.254/token", Reason::Refused),
        ("https://localhost/token", Reason::Refused),
        ("http://auth.example.org/token", Reason::Refused),
        ("ftp://auth.example.org/token", Reason::Refused),
        ("", Reason::Malformed),
    ] {
        let challenge = format!("Bearer realm=\"{realm}\",service=\"x\"");
        let server = Server::start(move |_| say(401, &[("www-authenticate", &challenge)], "")).await;
        let mut settings = super::settings(&[&server]);
        settings.insecure_registries = vec![server.host.clone()];
        let told = failure(ask(&format!("oci://{}/a/b", server.host), &settings).await);
        assert_eq!(told.reason, reason, "{realm}: {told}");
    }
    for (say, reason) in [
        ((|| say(200, &[], "{\"tags\": null}")) as fn() -> Say, None),
        (|| say(200, &[], "[]"), Some(Reason::Malformed)),
        (|| say(429, &[], ""), Some(Reason::RateLimited { until: "2026-11-21T12:01:00Z".parse().unwrap() })),
        (|| say(200, &[("link", "</v2/a/b/tags/list?last=v1>; rel=\"next\"")], "{\"tags\": [\"v1\"]}"), Some(Reason::TooLarge)),
        (|| say(401, &[("www-authenticate", "Basic realm=\"x\"")], ""), Some(Reason::Unauthorized)),
    ] {
        let server = Server::start(move |_| say()).await;
        let mut settings = super::settings(&[&server]);
        settings.insecure_registries = vec![server.host.clone()];
        let answer = ask(&format!("oci://{}/a/b", server.host), &settings).await;
        match reason {
            Some(reason) => assert_eq!(failure(answer).reason, reason),
            None => assert!(versions(answer).is_empty()),
        }
        assert!(server.seen().len() <= 50);
    }
}
