//! All that a round sees: the cluster as listed at one moment, and that moment.
//!
//! A snapshot is plain data. It comes from the cluster (`cluster::observe`), from manifests
//! ([`manifests`]), from a file of an earlier one ([`mod@file`]) or from a test, and a decision knows nothing else.

pub(crate) mod convert;
pub mod doubts;
pub mod file;
pub mod hashed;
pub mod manifests;
pub mod nodes;
pub mod objects;
pub mod views;
pub(crate) mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::artifact::api::{OSArtifactSpec, OSArtifactStatus};
use crate::channel::answer::Told;
use crate::channel::api::{UpdateChannelSpec, UpdateChannelStatus};
use crate::nodeop::api::{NodeOpSpec, NodeOpStatus};
use crate::upgrade::api::{NodeOpUpgradeSpec, NodeOpUpgradeStatus};
use nodes::Nodes;
use views::{Budget, Claim, Job, Lease, Owner, Pod, Probe};

/// What one round saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Snapshot {
    /// The time of the snapshot, by the apiserver's clock.
    pub now: Timestamp,
    /// Nodes by name.
    pub nodes: Nodes,
    /// Jobs that carry our labels, in all namespaces.
    pub jobs: Vec<Job>,
    /// Pods that carry our labels, in all namespaces.
    pub pods: Vec<Pod>,
    /// Probe Jobs in the namespace in which this runner probes nodes.
    pub probes: Vec<Probe>,
    /// All pods on the nodes that are being drained, by node; a node that was not asked for has no entry.
    pub drains: BTreeMap<String, Vec<Arc<Pod>>>,
    /// PodDisruptionBudgets; only listed while something drains.
    pub budgets: Vec<Budget>,
    /// NodeOps of all namespaces.
    pub nodeops: Vec<Resource<NodeOpSpec, NodeOpStatus>>,
    /// NodeOpUpgrades of all namespaces.
    pub upgrades: Vec<Resource<NodeOpUpgradeSpec, NodeOpUpgradeStatus>>,
    /// UpdateChannels of all namespaces.
    pub channels: Vec<Resource<UpdateChannelSpec, UpdateChannelStatus>>,
    /// What the URLs of channels have answered in this very round, by the channel's uid; it does not outlive the round.
    #[serde(skip)]
    pub answers: BTreeMap<String, Told>,
    /// OSArtifacts of all namespaces.
    pub artifacts: Vec<Resource<OSArtifactSpec, OSArtifactStatus>>,
    /// The claims into which artifacts are about to be built, as far as they are there.
    pub claims: Vec<Claim>,
    /// Resources that could not be read as what they claim to be.
    pub unreadable: Vec<Unreadable>,
    /// What a GET confirmed not to exist (any more), or to exist under another uid.
    pub absent: BTreeSet<Reference>,
    /// What the server said against creating an object in this very round, or of a namespace against all probes in it; it
    /// does not outlive the round.
    #[serde(skip)]
    pub refused: BTreeMap<Reference, String>,
    /// A held lease of the existing operator.
    pub lease: Option<Lease>,
    /// Names of installed CustomResourceDefinitions that are older ones: they cannot hold what Rounds records.
    pub older: BTreeSet<String>,
}

/// What identifies one object for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reference {
    /// Kind.
    pub kind: String,
    /// Namespace; empty for cluster-scoped kinds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    pub name: String,
    /// uid.
    pub uid: String,
}

impl Reference {
    /// A reference to an object.
    pub fn new(kind: &str, namespace: &str, name: &str, uid: &str) -> Self {
        Self { kind: kind.into(), namespace: namespace.into(), name: name.into(), uid: uid.into() }
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

/// A custom resource: its metadata as far as we read it, its spec and its status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource<Spec, Status> {
    /// Metadata.
    pub meta: Meta,
    /// What is wanted.
    pub spec: Spec,
    /// What we last wrote about it.
    pub status: Status,
}

/// The metadata that a decision reads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// uid.
    pub uid: String,
    /// What a claim compares and swaps.
    pub resource_version: String,
    /// Generation of the spec.
    pub generation: i64,
    /// Age decides who goes first.
    pub created: Option<Timestamp>,
    /// deletionTimestamp is set: no step any more.
    pub deleting: bool,
    /// One of [`crate::names::FOREIGN_FINALIZERS`] is on it.
    pub foreign_finalizer: bool,
    /// Changed, or came, between the two looks that a round takes at it: nothing is decided for it in this round.
    pub moved: bool,
    /// The resource that has made it.
    pub owner: Option<Owner>,
    /// Our annotations, `operator.kairos.io/…` and `build.kairos.io/…`.
    pub annotations: BTreeMap<String, String>,
}

impl Meta {
    /// Whose finalizer keeps the deletion of a resource of this kind from coming to its end; None if there is none.
    pub fn waits_for_operator(&self, kind: &str) -> Option<String> {
        let foreign = crate::names::foreign_finalizer(kind).filter(|_| self.deleting && self.foreign_finalizer)?;
        Some(format!(
            "it is being deleted, and waits for finalizer {}, which only {} takes off; take it off with kubectl edit",
            foreign.name, foreign.operator
        ))
    }

    /// `<namespace>/<name>`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The value of a node lock held by this resource: `<namespace>/<name>@<uid>`.
    pub fn holder(&self) -> String {
        format!("{}/{}@{}", self.namespace, self.name, self.uid)
    }

    /// What makes this resource, of that kind, the controlling owner of what is made for it: the garbage collector removes that
    /// with it.
    pub fn owner_reference(&self, api_version: &str, kind: &str) -> Value {
        json!({
            "apiVersion": api_version, "kind": kind, "name": self.name, "uid": self.uid, "controller": true, "blockOwnerDeletion": true,
        })
    }

    /// The key of the fixed order in which resources are decided: the older one goes first.
    pub fn order(&self) -> (Option<Timestamp>, &str, &str) {
        (self.created, &self.namespace, &self.name)
    }
}

/// A resource that could not be decoded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unreadable {
    /// Kind, namespace, name, uid.
    pub what: Reference,
    /// resourceVersion, for the status that says so.
    pub resource_version: String,
    /// Generation of the spec.
    pub generation: i64,
    /// What is wrong.
    pub error: String,
}

impl Snapshot {
    /// The PodDisruptionBudgets over a pod.
    pub fn budgets_over<'a>(&'a self, pod: &'a Pod) -> impl Iterator<Item = &'a Budget> {
        self.budgets
            .iter()
            .filter(|budget| budget.namespace == pod.namespace && budget.selector.as_ref().is_some_and(|s| s.matches(&pod.labels)))
    }

    /// Whether a GET confirmed that this object is gone.
    pub fn is_absent(&self, what: &Reference) -> bool {
        self.absent.contains(what)
    }
}
