//! The kinds that Rounds reads and writes, and where they live. No discovery: all of them are known.

/// One kind of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Kind, e.g. `Job`.
    pub name: &'static str,
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version.
    pub version: &'static str,
    /// Plural name, as in URLs and in ClusterRoles.
    pub plural: &'static str,
    /// Whether it lives in namespaces.
    pub namespaced: bool,
}

const fn kind(name: &'static str, group: &'static str, version: &'static str, plural: &'static str, namespaced: bool) -> Kind {
    Kind { name, group, version, plural, namespaced }
}

/// NodeOp.
pub const NODEOP: Kind = kind("NodeOp", "operator.kairos.io", "v1alpha1", "nodeops", true);
/// NodeOpUpgrade.
pub const UPGRADE: Kind = kind("NodeOpUpgrade", "operator.kairos.io", "v1alpha1", "nodeopupgrades", true);
/// OSArtifact.
pub const ARTIFACT: Kind = kind("OSArtifact", "build.kairos.io", "v1alpha2", "osartifacts", true);
/// UpdateChannel.
pub const CHANNEL: Kind = kind("UpdateChannel", "k3os.io", "v1", "updatechannels", true);
/// PersistentVolumeClaim.
pub const CLAIM: Kind = kind("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims", true);
/// ConfigMap.
pub const CONFIG_MAP: Kind = kind("ConfigMap", "", "v1", "configmaps", true);
/// Node.
pub const NODE: Kind = kind("Node", "", "v1", "nodes", false);
/// Pod.
pub const POD: Kind = kind("Pod", "", "v1", "pods", true);
/// Event, as it is read: the core group selects on what it is about.
pub const EVENT: Kind = kind("Event", "", "v1", "events", true);
/// Event, as it is written.
pub const NEW_EVENT: Kind = kind("Event", "events.k8s.io", "v1", "events", true);
/// Job.
pub const JOB: Kind = kind("Job", "batch", "v1", "jobs", true);
/// PodDisruptionBudget.
pub const BUDGET: Kind = kind("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets", true);
/// CronJob.
pub const CRON_JOB: Kind = kind("CronJob", "batch", "v1", "cronjobs", true);
/// Deployment.
pub const DEPLOYMENT: Kind = kind("Deployment", "apps", "v1", "deployments", true);
/// Lease.
pub const LEASE: Kind = kind("Lease", "coordination.k8s.io", "v1", "leases", true);

/// The kinds that a plan may write to. Claims and ConfigMaps only in a sweep of everything.
const WRITTEN: &[Kind] = &[NODEOP, UPGRADE, CHANNEL, ARTIFACT, NODE, POD, JOB, CLAIM, CONFIG_MAP];

/// The kinds that a plan may create.
const CREATED: &[Kind] = &[NODEOP, UPGRADE, POD, JOB, CLAIM, CONFIG_MAP, NEW_EVENT];

impl Kind {
    /// The kind of that name, if a plan may write to it.
    pub fn written(name: &str) -> Option<Self> {
        WRITTEN.iter().find(|kind| kind.name == name).copied()
    }

    /// The kind of that name and version, if a plan may create it.
    pub fn created(name: &str, api_version: &str) -> Option<Self> {
        CREATED.iter().find(|kind| kind.name == name && kind.api_version() == api_version).copied()
    }

    /// `group/version`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Path of the collection; an empty namespace means all of them.
    pub fn path(&self, namespace: &str) -> String {
        let root = if self.group.is_empty() { "/api" } else { "/apis" };
        let api_version = self.api_version();
        match namespace {
            "" => format!("{root}/{api_version}/{}", self.plural),
            namespace => format!("{root}/{api_version}/namespaces/{namespace}/{}", self.plural),
        }
    }

    /// `plural.group`, the name of its CustomResourceDefinition.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_string() } else { format!("{}.{}", self.plural, self.group) }
    }
}

/// Whether a name can stand in a path as it is. What holds a node is told by an annotation that anybody may have written.
pub fn is_path_segment(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_group_version_and_namespace() {
        assert_eq!(NODE.path(""), "/api/v1/nodes");
        assert_eq!(POD.path("default"), "/api/v1/namespaces/default/pods");
        assert_eq!(JOB.path(""), "/apis/batch/v1/jobs");
        assert_eq!(NODEOP.path("ops"), "/apis/operator.kairos.io/v1alpha1/namespaces/ops/nodeops");
        assert_eq!(NODEOP.qualified(), "nodeops.operator.kairos.io");
    }

    #[test]
    fn nothing_but_names_gets_into_a_path() {
        for (name, expected) in
            [("n1", true), ("ip-10-0-0-1.ec2", true), ("", false), ("..", false), ("a/b", false), ("a?x", false), ("A", false)]
        {
            assert_eq!(is_path_segment(name), expected, "{name}");
        }
    }
}
