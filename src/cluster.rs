//! The shell: everything that talks to Kubernetes.

/// A connection to one cluster.
#[derive(Clone)]
pub struct Cluster {
    /// The client, with its traps closed.
    pub client: kube::Client,
}
