//! Manifests beside a snapshot file: what they add to it and what they change in it. A manifest is taken as an edit, as if
//! it were applied: what a server would have kept (uid, age, status) is kept.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::nodeop::api::{NodeOpSpec, NodeOpStatus};
use crate::nodeop::jobs::KIND;
use crate::snapshot::file::SnapshotFile;
use crate::snapshot::views::{Job, Node, Pod};
use crate::snapshot::{Meta, Reference, Resource, Snapshot};

type NodeOp = Resource<NodeOpSpec, NodeOpStatus>;

/// What a manifest may leave out, as a server would fill it in.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// uid.
    pub uid: Option<String>,
    /// resourceVersion.
    pub resource_version: Option<String>,
    /// creationTimestamp.
    pub created: Option<Timestamp>,
}

/// The cluster beside which manifests stand: a snapshot file, or an empty one.
#[derive(Debug, Default)]
pub struct Ground {
    snapshot: Snapshot,
    workload: Vec<Pod>,
    /// What it has, by kind, namespace and name; without uids.
    known: BTreeMap<Reference, Identity>,
    /// What is new came into being at the time of the snapshot.
    now: Option<Timestamp>,
}

impl Ground {
    /// What a round saw.
    pub fn of(file: SnapshotFile) -> Self {
        let SnapshotFile { snapshot, workload, .. } = file;
        let mut pods: Vec<Pod> = Vec::new();
        let mut seen = BTreeSet::new();
        for pod in workload.iter().chain(&snapshot.pods).chain(snapshot.drains.values().flatten()) {
            if seen.insert((&pod.namespace, &pod.name)) {
                pods.push(pod.clone());
            }
        }
        let known = known(&snapshot, &pods);
        Self { now: Some(snapshot.now), snapshot, workload: pods, known }
    }

    /// The time of the snapshot, if there is one.
    pub fn now(&self) -> Option<Timestamp> {
        self.now
    }

    /// What is known of an object for which a manifest gives this uid, or none.
    pub fn identity(&self, of: &Reference, uid: Option<&str>) -> Identity {
        let known = self.known.get(of).filter(|known| uid.is_none() || uid == known.uid.as_deref());
        known.cloned().unwrap_or(Identity { created: self.now, ..Identity::default() })
    }

    /// The node that a Node without a status means: one that is there already, with what it says besides.
    pub fn node(&self, said: Node) -> Node {
        let seen = self.snapshot.nodes.get(&said.name).filter(|seen| seen.uid == said.uid).cloned();
        let Some(seen) = seen else { return Node { ready: true, ..said } };
        let mut labels = seen.labels;
        labels.extend(said.labels);
        Node {
            labels,
            unschedulable: seen.unschedulable || said.unschedulable,
            keep_cordoned: seen.keep_cordoned || said.keep_cordoned,
            ..seen
        }
    }

    /// The snapshot and all known pods, once everything that is given in manifests has taken its place in it.
    pub fn with(self, given: &BTreeSet<Reference>, manifests: Snapshot, pods: Vec<Pod>) -> (Snapshot, Vec<Pod>) {
        let Self { mut snapshot, mut workload, .. } = self;
        let is_given = |kind: &str, namespace: &str, name: &str| given.contains(&Reference::new(kind, namespace, name, ""));
        let stays = |pod: &Pod| !is_given("Pod", &pod.namespace, &pod.name);
        snapshot.jobs.retain(|job| !is_given("Job", &job.namespace, &job.name));
        snapshot.budgets.retain(|budget| !is_given("PodDisruptionBudget", &budget.namespace, &budget.name));
        snapshot.unreadable.retain(|unreadable| !is_given(KIND, &unreadable.what.namespace, &unreadable.what.name));
        workload.retain(stays);
        snapshot.pods.retain(stays);
        snapshot.drains.values_mut().for_each(|pods| pods.retain(stays));

        snapshot.nodes.extend(manifests.nodes);
        snapshot.jobs.extend(manifests.jobs);
        snapshot.budgets.extend(manifests.budgets);
        for pod in &pods {
            if let Some(there) = snapshot.drains.get_mut(&pod.node) {
                there.push(pod.clone());
            }
        }
        workload.extend(pods);
        let place: BTreeMap<String, usize> =
            snapshot.nodeops.iter().enumerate().map(|(index, resource)| (resource.meta.path(), index)).collect();
        for said in manifests.nodeops {
            match place.get(&said.meta.path()).and_then(|index| snapshot.nodeops.get_mut(*index)) {
                Some(seen) => edit(seen, said),
                None => snapshot.nodeops.push(said),
            }
        }
        (snapshot, workload)
    }
}

/// An edit of the spec, as `kubectl apply` makes it: another spec is another generation, and annotations are added.
fn edit(seen: &mut NodeOp, said: NodeOp) {
    seen.meta.generation += i64::from(seen.spec != said.spec);
    seen.meta.annotations.extend(said.meta.annotations);
    seen.spec = said.spec;
}

fn known(snapshot: &Snapshot, pods: &[Pod]) -> BTreeMap<Reference, Identity> {
    let identity = |uid: &str, version: &str, created: Option<Timestamp>| {
        let text = |text: &str| Some(text.to_string()).filter(|text| !text.is_empty());
        Identity { uid: text(uid), resource_version: text(version), created }
    };
    let node = |Node { name, uid, resource_version, created, .. }: &Node| {
        (Reference::new("Node", "", name, ""), identity(uid, resource_version, *created))
    };
    let job = |Job { namespace, name, uid, resource_version, created, .. }: &Job| {
        (Reference::new("Job", namespace, name, ""), identity(uid, resource_version, *created))
    };
    let pod = |Pod { namespace, name, uid, created, .. }: &Pod| (Reference::new("Pod", namespace, name, ""), identity(uid, "", *created));
    let nodeop = |Meta { namespace, name, uid, resource_version, created, .. }: &Meta| {
        (Reference::new(KIND, namespace, name, ""), identity(uid, resource_version, *created))
    };
    let unreadable = snapshot.unreadable.iter().map(|unreadable| {
        let Reference { kind, namespace, name, uid } = &unreadable.what;
        (Reference::new(kind, namespace, name, ""), identity(uid, &unreadable.resource_version, None))
    });
    let nodeops = snapshot.nodeops.iter().map(|resource| nodeop(&resource.meta));
    let others = snapshot.nodes.values().map(node).chain(snapshot.jobs.iter().map(job)).chain(pods.iter().map(pod));
    others.chain(nodeops).chain(unreadable).collect()
}
