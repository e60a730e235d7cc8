//! The shell: everything that talks to Kubernetes.
//!
//! - [`connect`]: from a kubeconfig or a service account to a [`Cluster`].
//! - [`call`]: one request and its answer; the apiserver's clock.
//! - [`kinds`]: the kinds that Rounds reads and writes.
//! - [`observe`]: from lists to a snapshot.
//! - [`leftovers`]: the same for what is to be taken away before Rounds is removed.
//! - [`apply`]: from a plan to requests, and what became of them.
//! - [`errors`]: what an error of the apiserver means, and what to do about it.

pub mod apply;
pub mod call;
pub mod connect;
pub mod errors;
pub mod evict;
#[cfg(test)]
pub(crate) mod fake;
pub mod kinds;
pub mod leftovers;
pub mod list;
pub mod observe;
pub mod request;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use call::Clock;

/// How many requests are under way at once: kube speaks HTTP/1.1, so each of them is a connection.
pub const PARALLEL: usize = 8;

/// A connection to one cluster. Clones share it.
#[derive(Clone)]
pub struct Cluster {
    /// The client, with its traps closed.
    pub client: kube::Client,
    /// Where the apiserver is, for people; empty if unknown.
    pub server: String,
    /// Where the connection's settings came from, for people: a context of a kubeconfig, or the service account.
    pub source: String,
    clock: Arc<Clock>,
    denied: Arc<Mutex<BTreeSet<String>>>,
    slots: Arc<Semaphore>,
}

impl Cluster {
    /// A cluster behind any client; tests put an in-process service here.
    pub fn new(client: kube::Client) -> Self {
        Self {
            client,
            server: String::new(),
            source: String::new(),
            clock: Arc::new(Clock::default()),
            denied: Arc::default(),
            slots: Arc::new(Semaphore::new(PARALLEL)),
        }
    }

    /// The permissions that were found to be missing since the round began: what the apiserver said, and the rule to add.
    /// Some looks are passed over when they are refused; that they were must not go unsaid.
    pub fn denied(&self) -> BTreeSet<String> {
        self.denied.lock().map(|denied| denied.clone()).unwrap_or_default()
    }

    /// The namespace of the context, or of the service account.
    pub fn namespace(&self) -> &str {
        self.client.default_namespace()
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("server", &self.server).field("source", &self.source).finish_non_exhaustive()
    }
}
