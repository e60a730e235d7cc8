//! From a kubeconfig or a service account to a [`Cluster`], with the traps of the default client closed.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::Cluster;
use super::call::chain;

/// How long an answer may be silent, unless told otherwise.
const READ: Duration = Duration::from_secs(30);
/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(10);

/// Which cluster, as told by flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// `--kubeconfig`. Unset: KUBECONFIG, then ~/.kube/config, then the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`. Unset: the kubeconfig's current one.
    pub context: Option<String>,
    /// `--request-timeout`: how long an answer may be silent. Unset: 30 seconds.
    pub silence: Option<Duration>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig that was named, or found, is not usable.
    #[error("cannot use {what}: {cause}")]
    Kubeconfig {
        /// Which kubeconfig and context.
        what: String,
        /// What is wrong with it.
        cause: String,
    },
    /// There is neither a kubeconfig nor a service account.
    #[error("no cluster to talk to: tried {tried}, and the pod's service account ({in_cluster})")]
    Nothing {
        /// Where a kubeconfig was looked for.
        tried: String,
        /// What was missing in the pod.
        in_cluster: String,
    },
    /// The settings do not make a client.
    #[error("cannot set up the connection to {server}: {cause}")]
    Client {
        /// Address of the apiserver.
        server: String,
        /// What is wrong.
        cause: String,
    },
}

impl ConnectError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Kubeconfig { .. } => "check it with: kubectl config view; choose another with --kubeconfig or --context".into(),
            Self::Nothing { .. } => {
                "name a kubeconfig with --kubeconfig or KUBECONFIG, or run in a pod with a service account; rounds plan --offline needs no cluster".into()
            }
            Self::Client { .. } => "check the certificates, the credentials plugin and the proxy settings of this context".into(),
        }
    }
}

impl Cluster {
    /// Connects. Nothing is sent yet, except by a credentials plugin.
    ///
    /// # Errors
    /// When no usable kubeconfig and no service account is there.
    pub async fn connect(connection: &Connection) -> Result<Self, ConnectError> {
        let (mut config, source) = configuration(connection).await?;
        // A disruption budget answers 429; the default client would try that again for an hour.
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT);
        let silence = connection.silence.unwrap_or(READ);
        config.read_timeout = Some(silence);
        config.write_timeout = Some(silence);
        // Else the time that a pooled connection sat idle counts as silence of the next answer.
        config.reset_reader_on_write = true;
        config.headers.push((http::header::USER_AGENT, HeaderValue::from_static(concat!("rounds/", env!("CARGO_PKG_VERSION")))));
        let server = config.cluster_url.to_string();
        let client =
            kube::Client::try_from(config).map_err(|error| ConnectError::Client { server: server.clone(), cause: chain(&error) })?;
        Ok(Self { server, source, ..Self::new(client) })
    }
}

async fn configuration(connection: &Connection) -> Result<(Config, String), ConnectError> {
    let options = KubeConfigOptions { context: connection.context.clone(), ..Default::default() };
    let what = describe(connection);
    let unusable = |error: KubeconfigError| ConnectError::Kubeconfig { what: what.clone(), cause: chain(&error) };
    if let Some(path) = &connection.kubeconfig {
        let kubeconfig = Kubeconfig::read_from(path).map_err(unusable)?;
        return Config::from_custom_kubeconfig(kubeconfig, &options).await.map(|config| (config, what.clone())).map_err(unusable);
    }
    match Config::from_kubeconfig(&options).await {
        Ok(config) => Ok((config, what)),
        // A context that was asked for is never replaced by another cluster, and a broken file is not passed over.
        Err(error) if connection.context.is_some() || !is_absent(&error) => Err(unusable(error)),
        Err(error) => match Config::incluster() {
            Ok(config) => Ok((config, "the pod's service account".into())),
            Err(in_cluster) => {
                let tried = match &error {
                    KubeconfigError::ReadConfig(_, path) => path.display().to_string(),
                    other => format!("a kubeconfig ({other})"),
                };
                Err(ConnectError::Nothing { tried, in_cluster: chain(&in_cluster) })
            }
        },
    }
}

/// Whether there is no kubeconfig at all, or an empty one, rather than a bad one.
fn is_absent(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath | KubeconfigError::CurrentContextNotSet => true,
        KubeconfigError::ReadConfig(cause, _) => cause.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

fn describe(connection: &Connection) -> String {
    let file = connection.kubeconfig.as_ref().map_or_else(|| "the kubeconfig".into(), |path| format!("kubeconfig {}", path.display()));
    match &connection.context {
        Some(context) => format!("context {context} of {file}"),
        None => file,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_named_kubeconfig_or_context_is_never_replaced_by_something_else() {
        let missing = Connection { kubeconfig: Some("/nonexistent/config".into()), ..Connection::default() };
        let error = Cluster::connect(&missing).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot use kubeconfig /nonexistent/config: "), "{error}");
        let context = Connection { kubeconfig: Some("/nonexistent/config".into()), context: Some("prod".into()), silence: None };
        let error = Cluster::connect(&context).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot use context prod of kubeconfig /nonexistent/config: "), "{error}");
        assert!(error.hint().contains("--context"));
    }

    #[test]
    fn only_an_absent_kubeconfig_lets_us_look_further() {
        let io = |kind| KubeconfigError::ReadConfig(std::io::Error::from(kind), "/home/me/.kube/config".into());
        assert!(is_absent(&io(std::io::ErrorKind::NotFound)));
        assert!(!is_absent(&io(std::io::ErrorKind::PermissionDenied)));
        assert!(!is_absent(&KubeconfigError::LoadContext("prod".into())));
    }
}
