//! The flags that all verbs share, and what they mean.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Failure;
use crate::cluster::Cluster;
use crate::cluster::connect::Connection;
use crate::resolve::cidr::Cidr;
use crate::round::{Mode, Round};
use crate::settings::{BUILDAH_IMAGE, Settings, TOOL_IMAGE};
use crate::snapshot::views::Lease;

/// GitHub's own API.
const GITHUB_API: &str = "https://api.github.com";

/// Flags of every verb.
#[derive(Debug, Args)]
#[command(next_help_heading = "Flags of every command")]
pub struct Global {
    /// The kubeconfig file; unset: KUBECONFIG, then ~/.kube/config, then the pod's service account
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context; unset: its current one
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// How long an answer of the apiserver may be silent before it counts as lost
    #[arg(long, global = true, value_name = "DURATION", value_parser = super::run::duration, default_value = "30s")]
    pub request_timeout: Duration,
    /// Act only on resources of this namespace (repeatable, or a,b); what is looked at is never limited
    #[arg(long, short, global = true, value_name = "NAME", value_delimiter = ',')]
    pub namespace: Vec<String>,
    /// Image of operations that name none
    #[arg(
        long,
        global = true,
        value_name = "IMAGE",
        env = "NODEOP_DEFAULT_IMAGE",
        hide_env_values = true,
        default_value = "busybox:latest"
    )]
    pub default_image: String,
    /// Image of Rounds itself, for what runs on nodes beside the operation; unset: this version's
    #[arg(long, global = true, value_name = "IMAGE", env = "OPERATOR_IMAGE", hide_env_values = true)]
    pub runner_image: Option<String>,
    /// Secret with which nodes pull the runner's image (repeatable, or a,b)
    #[arg(long, global = true, value_name = "SECRET", value_delimiter = ',')]
    pub runner_pull_secret: Vec<String>,
    /// Image with the tools that make ISOs and disk images of an OSArtifact
    #[arg(long, global = true, value_name = "IMAGE", env = "TOOL_IMAGE", hide_env_values = true, default_value = TOOL_IMAGE)]
    pub tool_image: String,
    /// Image that builds the container image of an OSArtifact
    #[arg(long, global = true, value_name = "IMAGE", env = "BUILDAH_IMAGE", hide_env_values = true, default_value = BUILDAH_IMAGE)]
    pub buildah_image: String,
    /// Namespace in which nodes are probed to be labelled; unset: the one that the runner or its context is in, unless that
    /// is `default`
    #[arg(long, global = true, value_name = "NAME", env = "POD_NAMESPACE", hide_env_values = true)]
    pub probe_namespace: Option<String>,
    /// How many nodes are probed at a time; 0: nodes are not labelled
    #[arg(long, global = true, value_name = "NUMBER", default_value_t = 20)]
    pub probes: usize,
    /// Work even while the existing operator holds its lease: the two would work against each other
    #[arg(long, global = true, alias = "ignore-existing-operator")]
    pub ignore_lease: bool,
    /// GitHub's API, of which channels with github-releases:// are asked; another one for GitHub Enterprise
    #[arg(long, global = true, value_name = "URL", env = "GITHUB_API_URL", hide_env_values = true, default_value = GITHUB_API, value_parser = super::channels::address)]
    pub github_api: http::Uri,
    /// Token for GitHub's API; it is sent to the host of --github-api alone
    #[arg(long, global = true, hide = true, env = "GITHUB_TOKEN", hide_env_values = true)]
    pub github_token: Option<String>,
    /// A Docker configuration file with the credentials of registries that channels with oci:// name
    #[arg(long, global = true, value_name = "FILE", env = "REGISTRY_AUTH_FILE", hide_env_values = true)]
    pub registry_config: Option<PathBuf>,
    /// A registry that is spoken to without TLS, as host or host:port (repeatable, or a,b)
    #[arg(long, global = true, value_name = "HOST", value_delimiter = ',')]
    pub insecure_registry: Vec<String>,
    /// A host that channels may name although its address is the machine's, the link's or the cluster's own (repeatable, or a,b)
    #[arg(long, global = true, value_name = "HOST", value_delimiter = ',')]
    pub resolve_allow: Vec<String>,
    /// Addresses of the cluster's services, which channels may not name (repeatable, or a,b); unset: the largest range that
    /// there can be around the apiserver's own service, where the runner is a pod
    #[arg(long, global = true, value_name = "CIDR", value_delimiter = ',')]
    pub service_cidr: Vec<Cidr>,
    /// How long the servers of a channel may take to answer
    #[arg(long, global = true, value_name = "DURATION", value_parser = super::run::duration, default_value = "10s")]
    pub resolve_timeout: Duration,
    /// How to log on stderr
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Say more on stderr; -vv says everything
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Which log lines, by module, in place of --verbose; as other programs read it as well, what is not understood is passed over
    #[arg(long, global = true, hide = true, env = "RUST_LOG")]
    pub log_filter: Option<OsString>,
    /// When to use colours; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// uid of the pod that this runs in (downward API)
    #[arg(long, global = true, hide = true, env = "ROUNDS_POD_UID")]
    pub pod_uid: Option<String>,
    /// Node that this runs on (downward API)
    #[arg(long, global = true, hide = true, env = "ROUNDS_NODE_NAME")]
    pub node_name: Option<String>,
    /// Used by the existing operator; has no use here
    #[arg(long, global = true, hide = true, env = "SENTINEL_IMAGE")]
    pub sentinel_image: Option<String>,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}

impl Global {
    /// What the runner was told.
    pub fn settings(&self) -> Settings {
        let unset = Settings::default();
        let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        Settings {
            default_image: filled_or(&self.default_image, unset.default_image),
            runner_image: given(&self.runner_image).unwrap_or(unset.runner_image),
            runner_pull_secrets: filled(&self.runner_pull_secret),
            tool_image: filled_or(&self.tool_image, unset.tool_image),
            buildah_image: filled_or(&self.buildah_image, unset.buildah_image),
            namespaces: filled(&self.namespace),
            pod_uid: given(&self.pod_uid),
            node_name: given(&self.node_name),
            probe_namespace: given(&self.probe_namespace),
            probes: self.probes,
            ignore_lease: self.ignore_lease,
            resolve: super::channels::settings(self),
        }
    }

    /// The same, and what the connection tells of where the runner is. Nobody is meant to be in the namespace `default`.
    pub fn settings_in(&self, cluster: &Cluster) -> Settings {
        let settings = self.settings();
        let own = Some(cluster.namespace()).filter(|namespace| *namespace != "default").map(ToString::to_string);
        Settings { probe_namespace: settings.probe_namespace.or(own), ..settings }
    }

    /// The cluster that the flags mean.
    ///
    /// # Errors
    /// When there is none to talk to.
    pub async fn connect(&self) -> Result<Cluster, Failure> {
        if self.sentinel_image.as_ref().is_some_and(|image| !image.is_empty()) {
            tracing::warn!("SENTINEL_IMAGE has no use here and is ignored: the sentinel is written by Rounds' own image (--runner-image)");
        }
        let connection =
            Connection { kubeconfig: self.kubeconfig.clone(), context: self.context.clone(), silence: Some(self.request_timeout) };
        Ok(Cluster::connect(&connection).await?)
    }

    /// A round that only looks, and with which settings: for verbs that print. Another operator's lease is no reason not to look.
    ///
    /// # Errors
    /// When the cluster cannot be observed.
    pub async fn look(&self) -> Result<(Round, Settings), Failure> {
        let cluster = self.connect().await?;
        let settings = Settings { ignore_lease: true, ..self.settings_in(&cluster) };
        let round = crate::round::round(&cluster, &settings, Mode::PlanOnly).await?;
        if let Some(lease) = round.snapshot.lease.as_ref().filter(|_| !self.ignore_lease) {
            let Lease { namespace, holder } = lease;
            tracing::warn!(
                "{holder} holds the existing operator's lease in namespace {namespace}: rounds run would refuse to work beside it"
            );
        }
        for (name, message) in round.warnings() {
            tracing::warn!("CustomResourceDefinition {name}: {message}");
        }
        round.denied.iter().for_each(|permission| tracing::warn!("{permission}"));
        Ok((round, settings))
    }
}

/// A variable that is set to nothing means what is so without it.
fn filled_or(value: &str, unset: String) -> String {
    if value.is_empty() { unset } else { value.to_string() }
}

/// Without empty ones: a variable that is set to nothing in a manifest means nothing.
pub(super) fn filled(values: &[String]) -> Vec<String> {
    values.iter().map(|value| value.trim()).filter(|value| !value.is_empty()).map(ToString::to_string).collect()
}
