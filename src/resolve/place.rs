//! What kind of URL a channel names.

use std::fmt;

use ::http::Uri;

use super::link::port;

/// Where versions are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Releases of a repository on GitHub.
    GitHub(GitHubRepository),
    /// A channel server, which redirects to the version.
    Server(Uri),
    /// Tags of a repository of an OCI registry.
    Registry(ImageRepository),
}

/// owner/repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitHubRepository {
    /// Who it belongs to.
    pub owner: String,
    /// Its name.
    pub name: String,
}

/// registry/repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRepository {
    /// host or host:port, as written.
    pub registry: String,
    /// Path within the registry, without tag.
    pub path: String,
}

/// A URL that nothing can be asked of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("url {url:?} {wrong}")]
pub struct PlaceError {
    /// As written.
    pub url: String,
    /// What is wrong with it, and what would be right.
    pub wrong: &'static str,
}

const GITHUB: &str = "needs an owner and a repository, for example github-releases://owner/repository";
const REGISTRY: &str = "needs a registry and a repository, without a tag, for example oci://quay.io/kairos/ubuntu";
const SERVER: &str = "needs a host, for example https://update.example.org/channels/stable";
const SECRET: &str = "must not hold a user or a password: credentials are settings of the runner";
const SCHEME: &str = "must begin with github-releases://, https://, http:// or oci://";

impl Place {
    /// Reads `spec.url`.
    ///
    /// # Errors
    /// When it is of no known kind, or says too little, or too much: credentials are refused.
    pub fn parse(url: &str) -> Result<Self, PlaceError> {
        let wrong = |wrong| PlaceError { url: url.into(), wrong };
        let (scheme, rest) = url.split_once(':').ok_or_else(|| wrong(SCHEME))?;
        // The k3OS operator also took github-releases:owner/repository.
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        if rest.split('/').next().is_some_and(|host| host.contains('@')) {
            return Err(PlaceError { url: format!("{scheme}://…"), wrong: SECRET });
        }
        match scheme {
            "github-releases" => github(rest).map(Self::GitHub).ok_or_else(|| wrong(GITHUB)),
            "oci" => registry(rest).map(Self::Registry).ok_or_else(|| wrong(REGISTRY)),
            "http" | "https" => {
                let is_whole = |address: &Uri| address.scheme().is_some() && address.host().is_some_and(|host| !host.is_empty());
                let address: Option<Uri> = url.parse().ok().filter(is_whole);
                address.map(Self::Server).ok_or_else(|| wrong(SERVER))
            }
            _ => Err(wrong(SCHEME)),
        }
    }
}

impl Place {
    /// The host that is asked, with its port: what it wants of one who asks it, it wants of all. The API of GitHub is a
    /// setting of the runner, and one host.
    pub fn host(&self) -> String {
        match self {
            Self::GitHub(_) => "GitHub's API".into(),
            Self::Server(address) => format!("{}:{}", address.host().unwrap_or_default(), port(address)).to_ascii_lowercase(),
            Self::Registry(repository) => repository.registry.to_ascii_lowercase(),
        }
    }
}

fn github(rest: &str) -> Option<GitHubRepository> {
    let (owner, name) = rest.trim_end_matches('/').split_once('/')?;
    let fits = |part: &str| {
        !part.is_empty() && part != "." && part != ".." && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    (fits(owner) && fits(name)).then(|| GitHubRepository { owner: owner.into(), name: name.into() })
}

fn registry(rest: &str) -> Option<ImageRepository> {
    let (registry, path) = rest.split_once('/')?;
    let component = |part: &str| {
        part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte))
            && part.starts_with(|first: char| first.is_ascii_alphanumeric())
    };
    let fits = registry.parse::<::http::uri::Authority>().is_ok_and(|host| !host.host().is_empty()) && path.split('/').all(component);
    if !fits {
        return None;
    }
    // As every client of Docker Hub does.
    Some(match registry {
        "docker.io" if path.contains('/') => ImageRepository { registry: "registry-1.docker.io".into(), path: path.into() },
        "docker.io" => ImageRepository { registry: "registry-1.docker.io".into(), path: format!("library/{path}") },
        _ => ImageRepository { registry: registry.into(), path: path.into() },
    })
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GitHub(GitHubRepository { owner, name }) => write!(f, "github-releases://{owner}/{name}"),
            Self::Server(address) => write!(f, "{address}"),
            Self::Registry(ImageRepository { registry, path }) => write!(f, "oci://{registry}/{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_say_where() {
        for (url, expected) in [
            ("github-releases://rancher/k3os", "github-releases://rancher/k3os"),
            ("github-releases:rancher/k3os", "github-releases://rancher/k3os"),
            ("github-releases://rancher/k3os/", "github-releases://rancher/k3os"),
            ("https://update.k3s.io/v1-release/channels/stable", "https://update.k3s.io/v1-release/channels/stable"),
            ("http://updates:8080/stable?arch=amd64", "http://updates:8080/stable?arch=amd64"),
            ("oci://quay.io/kairos/ubuntu", "oci://quay.io/kairos/ubuntu"),
            ("oci://localhost:5000/a/b/c", "oci://localhost:5000/a/b/c"),
            ("oci://docker.io/alpine", "oci://registry-1.docker.io/library/alpine"),
            ("oci://docker.io/rancher/k3s", "oci://registry-1.docker.io/rancher/k3s"),
        ] {
            assert_eq!(Place::parse(url).map(|place| place.to_string()), Ok(expected.into()), "{url}");
        }
    }

    #[test]
    fn the_host_is_the_same_whatever_is_asked_of_it() {
        for (one, other, same) in [
            ("github-releases://a/b", "github-releases://c/d", true),
            ("https://x.example/stable", "https://X.example:443/latest?arch=arm64", true),
            ("https://x.example/stable", "http://x.example/stable", false),
            ("https://x.example/stable", "https://y.example/stable", false),
            ("oci://quay.io/kairos/ubuntu", "oci://quay.io/kairos/debian", true),
            ("oci://docker.io/alpine", "oci://registry-1.docker.io/rancher/k3s", true),
            ("oci://r.example:5000/a", "oci://r.example/a", false),
        ] {
            let host = |url: &str| Place::parse(url).unwrap().host();
            assert_eq!(host(one) == host(other), same, "{one} {other}");
        }
    }

    #[test]
    fn urls_that_do_not() {
        for (url, wrong) in [
            ("github-releases://rancher", GITHUB),
            ("github-releases:///k3os", GITHUB),
            ("github-releases://a/../../user", GITHUB),
            ("github-releases://a/..", GITHUB),
            ("github-releases://a/b?x=y", GITHUB),
            ("oci://quay.io", REGISTRY),
            ("oci://quay.io/kairos/ubuntu:v3.5.0", REGISTRY),
            ("oci://quay.io/../v1", REGISTRY),
            ("oci://quay.io/a//b", REGISTRY),
            ("https://", SERVER),
            ("https:443", SERVER),
            ("ftp://example.org/", SCHEME),
            ("file:///etc/passwd", SCHEME),
            ("latest", SCHEME),
            ("https://me:secret@example.org/", SECRET),
            ("oci://me:secret@example.org/a", SECRET),
        ] {
            let error = Place::parse(url).unwrap_err();
            assert_eq!(error.wrong, wrong, "{url}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
