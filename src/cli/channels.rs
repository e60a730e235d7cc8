//! What the runner was told about the servers that channels name: flags, environment, and a file with credentials.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::Global;
use super::global::filled;
use crate::resolve::ResolveSettings;
use crate::resolve::settings::{Credentials, Secret};

/// An address such as `https://github.example.org/api/v3`.
pub fn address(text: &str) -> Result<http::Uri, String> {
    let remedy = "give an address such as https://github.example.org/api/v3";
    let address: http::Uri = text.parse().map_err(|error| format!("{error}; {remedy}"))?;
    let is_whole = matches!(address.scheme_str(), Some("http" | "https")) && address.host().is_some_and(|host| !host.is_empty());
    if is_whole { Ok(address) } else { Err(format!("it is no address of a server; {remedy}")) }
}

/// The settings for asking the servers of channels.
pub fn settings(global: &Global) -> ResolveSettings {
    ResolveSettings {
        github_api: global.github_api.clone(),
        github_token: global.github_token.clone().filter(|token| !token.is_empty()).map(Secret::new),
        registry_credentials: global.registry_config.as_deref().map(credentials).unwrap_or_default(),
        insecure_registries: filled(&global.insecure_registry),
        allowed_hosts: filled(&global.resolve_allow),
        service_cidrs: global.service_cidr.clone(),
        apiserver: apiserver(),
        time_limit: global.resolve_timeout,
        ..ResolveSettings::default()
    }
}

/// The host of the apiserver, where the runner is a pod.
fn apiserver() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "every pod is told so, and no flag says it better")]
    std::env::var("KUBERNETES_SERVICE_HOST").ok().filter(|host| !host.is_empty())
}

/// A file as `docker login` writes it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct DockerConfig {
    auths: BTreeMap<String, Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
}

/// The credentials in a file. Without it, private registries refuse; that is told where it matters, with the poll.
fn credentials(path: &Path) -> BTreeMap<String, Credentials> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            tracing::warn!("{} cannot be read, and registries are asked without credentials: {error}", path.display());
            return BTreeMap::new();
        }
    };
    match serde_json::from_str::<DockerConfig>(&text) {
        Ok(config) => config.auths.into_iter().filter_map(|(place, entry)| Some((host(&place), entry.credentials()?))).collect(),
        // The error would quote what it stumbled over.
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            tracing::warn!("{} is no Docker configuration (line {line}, column {column}): registries are asked without", path.display());
            BTreeMap::new()
        }
    }
}

/// The registry of an entry: Docker writes its own one as an address.
fn host(place: &str) -> String {
    let place = place.strip_prefix("https://").or_else(|| place.strip_prefix("http://")).unwrap_or(place);
    match place.split('/').next().unwrap_or_default() {
        "index.docker.io" | "docker.io" => "registry-1.docker.io".into(),
        host => host.into(),
    }
}

impl Entry {
    fn credentials(self) -> Option<Credentials> {
        let decoded = || String::from_utf8(STANDARD.decode(self.auth.trim()).ok()?).ok();
        let pair = decoded().and_then(|pair| pair.split_once(':').map(|(user, password)| (user.to_string(), password.to_string())));
        let (user, password) = pair.or(Some((self.username, self.password))).filter(|(user, _)| !user.is_empty())?;
        Some(Credentials { user, password: Secret::new(password.trim_end_matches('\0')) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_as_docker_writes_them() {
        let config: DockerConfig = serde_json::from_str(
            r#"{"auths": {"https://index.docker.io/v1/": {"auth": "bWU6c2VjcmV0"}, "r:5000": {"username": "u", "password": "p"}, "x": {}}}"#,
        )
        .unwrap();
        let all: Vec<(String, Option<Credentials>)> =
            config.auths.into_iter().map(|(place, entry)| (host(&place), entry.credentials())).collect();
        let one = |user: &str, password: &str| Some(Credentials { user: user.into(), password: Secret::new(password) });
        let expected = [("registry-1.docker.io", one("me", "secret")), ("r:5000", one("u", "p")), ("x", None)];
        assert_eq!(all, expected.map(|(host, credentials)| (host.to_string(), credentials)));
    }

    #[test]
    fn what_no_flag_says_is_as_the_settings_have_it() {
        let flags = <super::super::Cli as clap::Parser>::try_parse_from(["rounds", "plan"]).unwrap();
        let (told, unset) = (settings(&flags.global), ResolveSettings::default());
        assert_eq!((told.time_limit, told.connect_limit, told.body_limit), (unset.time_limit, unset.connect_limit, unset.body_limit));
    }

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        assert!(address("https://github.example.org/api/v3").is_ok());
        for text in ["github.example.org", "ftp://x/", "https://", ""] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
