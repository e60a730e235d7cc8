//! What a runner was told: defaults, flags and environment turned into one struct.

use crate::resolve::ResolveSettings;

/// The image with the tools that make ISOs and disk images, unless another one is named.
pub const TOOL_IMAGE: &str = "quay.io/kairos/auroraboot:v0.24.0";
/// The image that builds container images, unless another one is named.
pub const BUILDAH_IMAGE: &str = "quay.io/buildah/stable:v1.43.1";

/// The settings that decisions read.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Image of operations that name none (`--default-image`, NODEOP_DEFAULT_IMAGE).
    pub default_image: String,
    /// Image of Rounds itself, for what runs on nodes beside the operation (`--runner-image`, OPERATOR_IMAGE).
    pub runner_image: String,
    /// Pull secrets for the runner's image (`--runner-pull-secret`).
    pub runner_pull_secrets: Vec<String>,
    /// Image with the tools that make ISOs and disk images (`--tool-image`, TOOL_IMAGE).
    pub tool_image: String,
    /// Image that builds container images (`--buildah-image`, BUILDAH_IMAGE).
    pub buildah_image: String,
    /// Namespaces to act on; empty: all. What is observed is never limited.
    pub namespaces: Vec<String>,
    /// uid of the pod that this runner runs in; a drain passes it over.
    pub pod_uid: Option<String>,
    /// Node that this runner runs on; it is taken last in its group.
    pub node_name: Option<String>,
    /// Where probe Jobs are made (`--probe-namespace`, POD_NAMESPACE); None: nodes are not labelled.
    pub probe_namespace: Option<String>,
    /// How many nodes are probed at a time (`--probes`); 0: nodes are not labelled.
    pub probes: usize,
    /// Work even while somebody holds the existing operator's lease (`--ignore-lease`).
    pub ignore_lease: bool,
    /// How the URLs of channels are asked (`--github-api`, `--resolve-allow` and the like); no decision reads it.
    pub resolve: ResolveSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_image: "busybox:latest".into(),
            runner_image: format!("ghcr.io/rounds-project/rounds:v{}", env!("CARGO_PKG_VERSION")),
            runner_pull_secrets: Vec::new(),
            tool_image: TOOL_IMAGE.into(),
            buildah_image: BUILDAH_IMAGE.into(),
            namespaces: Vec::new(),
            pod_uid: None,
            node_name: None,
            probe_namespace: None,
            probes: 20,
            ignore_lease: false,
            resolve: ResolveSettings::default(),
        }
    }
}

impl Settings {
    /// The namespace in which nodes are probed, if this runner labels nodes.
    pub fn labels_from(&self) -> Option<&str> {
        self.probe_namespace.as_deref().filter(|namespace| self.probes > 0 && self.acts_on(namespace))
    }

    /// Whether this runner acts on resources of a namespace.
    pub fn acts_on(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|allowed| allowed == namespace)
    }
}
