//! What the runner was told about the servers that channels name.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use http::Uri;

use super::cidr::Cidr;

/// A token or a password. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps it.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// To be sent.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Who the runner is to a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub user: String,
    /// Password or access token.
    pub password: Secret,
}

/// Settings of the runner, never of a resource.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolveSettings {
    /// GitHub's API; another one for GitHub Enterprise.
    pub github_api: Uri,
    /// Sent to the host of `github_api`, and to no other.
    pub github_token: Option<Secret>,
    /// By registry, as host or host:port.
    pub registry_credentials: BTreeMap<String, Credentials>,
    /// Registries that are spoken to without TLS, as host or host:port.
    pub insecure_registries: Vec<String>,
    /// Hosts, as host or host:port, that are asked although their addresses are the machine's, the link's or the cluster's own.
    pub allowed_hosts: Vec<String>,
    /// Ranges of addresses in which the cluster's services are; none: the largest one that begins where the apiserver's does.
    pub service_cidrs: Vec<Cidr>,
    /// The apiserver's own host or address (KUBERNETES_SERVICE_HOST), which is never asked.
    pub apiserver: Option<String>,
    /// How long a whole question may take.
    pub time_limit: Duration,
    /// How long a connection may take to stand.
    pub connect_limit: Duration,
    /// Bytes of one response's body.
    pub body_limit: usize,
    /// Bytes of all bodies of one question.
    pub total_limit: usize,
}

impl Default for ResolveSettings {
    fn default() -> Self {
        Self {
            github_api: Uri::from_static("https://api.github.com"),
            github_token: None,
            registry_credentials: BTreeMap::new(),
            insecure_registries: Vec::new(),
            allowed_hosts: Vec::new(),
            service_cidrs: Vec::new(),
            apiserver: None,
            time_limit: Duration::from_secs(10),
            connect_limit: Duration::from_secs(5),
            body_limit: 1 << 20,
            total_limit: 8 << 20,
        }
    }
}

/// Whether a list of host or host:port names this one.
pub(super) fn names(list: &[String], host: &str, port: u16) -> bool {
    let host = host.trim_end_matches('.');
    list.iter().any(|entry| {
        let entry = entry.trim_end_matches('.');
        entry.eq_ignore_ascii_case(host)
            || entry.rsplit_once(':').is_some_and(|(name, number)| name.eq_ignore_ascii_case(host) && number.parse() == Ok(port))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_named_with_or_without_their_port() {
        let list = ["registry.local".to_owned(), "127.0.0.1:5000".into(), "[::1]:80".into(), "[::2]".into()];
        for (host, port, expected) in [
            ("registry.local", 443, true),
            ("Registry.Local.", 1, true),
            ("127.0.0.1", 5000, true),
            ("127.0.0.1", 5001, false),
            ("evil.registry.local", 443, false),
            ("[::1]", 80, true),
            ("[::1]", 81, false),
            ("[::2]", 81, true),
        ] {
            assert_eq!(names(&list, host, port), expected, "{host}:{port}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let settings = ResolveSettings { github_token: Some(Secret::new("hunter2")), ..ResolveSettings::default() };
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
