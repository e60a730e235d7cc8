//! Manifests beside a snapshot file: what they add to it and what they change in it. A manifest is taken as an edit, as if
//! it were applied: what a server would have kept (uid, age, status) is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::artifact;
use crate::channel;
use crate::nodeop::jobs::KIND;
use crate::snapshot::file::SnapshotFile;
use crate::snapshot::views::{Job, Node, Pod};
use crate::snapshot::{Meta, Reference, Resource, Snapshot};
use crate::upgrade;

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
        for pod in workload.iter().chain(&snapshot.pods).chain(snapshot.drains.values().flatten().map(|pod| &**pod)) {
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
        snapshot.unreadable.retain(|unreadable| !is_given(&unreadable.what.kind, &unreadable.what.namespace, &unreadable.what.name));
        workload.retain(stays);
        snapshot.pods.retain(stays);
        snapshot.drains.values_mut().for_each(|pods| pods.retain(|pod| stays(pod)));

        snapshot.nodes.extend(manifests.nodes);
        snapshot.jobs.extend(manifests.jobs);
        snapshot.budgets.extend(manifests.budgets);
        for pod in &pods {
            if let Some(there) = snapshot.drains.get_mut(&pod.node) {
                there.push(Arc::new(pod.clone()));
            }
        }
        workload.extend(pods);
        let place: BTreeMap<String, usize> =
            snapshot.nodeops.iter().enumerate().map(|(index, resource)| (resource.meta.path(), index)).collect();
        for said in manifests.upgrades {
            match snapshot.upgrades.iter_mut().find(|seen| seen.meta.path() == said.meta.path()) {
                Some(seen) => edit(seen, said),
                None => snapshot.upgrades.push(said),
            }
        }
        for said in manifests.artifacts {
            match snapshot.artifacts.iter_mut().find(|seen| seen.meta.path() == said.meta.path()) {
                Some(seen) => edit(seen, said),
                None => snapshot.artifacts.push(said),
            }
        }
        for said in manifests.channels {
            match snapshot.channels.iter_mut().find(|seen| seen.meta.path() == said.meta.path()) {
                Some(seen) => edit(seen, said),
                None => snapshot.channels.push(said),
            }
        }
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
fn edit<Spec: PartialEq, Status>(seen: &mut Resource<Spec, Status>, said: Resource<Spec, Status>) {
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
    let resource = |kind: &str, meta: &Meta| {
        let Meta { namespace, name, uid, resource_version, created, .. } = meta;
        (Reference::new(kind, namespace, name, ""), identity(uid, resource_version, *created))
    };
    let unreadable = snapshot.unreadable.iter().map(|unreadable| {
        let Reference { kind, namespace, name, uid } = &unreadable.what;
        (Reference::new(kind, namespace, name, ""), identity(uid, &unreadable.resource_version, None))
    });
    let nodeops = snapshot.nodeops.iter().map(|one| resource(KIND, &one.meta));
    let upgrades = snapshot.upgrades.iter().map(|one| resource(upgrade::api::KIND, &one.meta));
    let artifacts = snapshot.artifacts.iter().map(|one| resource(artifact::KIND, &one.meta));
    let channels = snapshot.channels.iter().map(|one| resource(channel::api::KIND, &one.meta));
    let others = snapshot.nodes.values().map(node).chain(snapshot.jobs.iter().map(job)).chain(pods.iter().map(pod));
    others.chain(nodeops).chain(upgrades).chain(artifacts).chain(channels).chain(unreadable).collect()
}

#[cfg(test)]
mod tests {
    use crate::decide::decide;
    use crate::reason::Reason;
    use crate::settings::Settings;
    use crate::snapshot::file::SnapshotFile;
    use crate::snapshot::manifests::{Loaded, Source, load};
    use crate::snapshot::views::{Node, Pod};
    use crate::snapshot::{Snapshot, objects};
    use jiff::Timestamp;
    use serde_json::json;

    /// What a round saw: one node, which an operation drains, with a pod on it.
    fn file() -> SnapshotFile {
        let nodeop = json!({
            "metadata": {"name": "op", "namespace": "default", "uid": "op-1", "resourceVersion": "7", "generation": 3,
                         "creationTimestamp": "2026-11-21T11:00:00Z"},
            "spec": {"command": ["true"], "cordon": true, "drainOptions": {"enabled": true}},
            "status": {"phase": "Running", "nodeStatuses": {"n1": {"phase": "Pending", "step": "Draining", "nodeUID": "n-1"}}},
        });
        let node = Node {
            name: "n1".into(),
            uid: "n-1".into(),
            boot_id: "b".into(),
            labels: [("a".into(), "b".into())].into(),
            ..Node::default()
        };
        let pod = Pod { namespace: "shop".into(), name: "web".into(), uid: "p-1".into(), node: "n1".into(), ..Pod::default() };
        let snapshot = Snapshot {
            now: "2026-11-21T12:00:00Z".parse().unwrap(),
            nodes: [("n1".to_string(), node)].into(),
            nodeops: vec![objects::nodeop(nodeop).unwrap()],
            ..Snapshot::default()
        };
        SnapshotFile::new(snapshot, vec![pod])
    }

    fn beside(manifests: &str) -> Result<Loaded, Vec<String>> {
        let source = |path: &str, text: String| Source { path: path.into(), text };
        let file = serde_json::to_string_pretty(&file()).unwrap();
        // The file need not come first.
        load(&[source("a.yaml", manifests.into()), source("fleet.json", file)], Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn alone_it_is_what_the_round_saw_and_pods_of_nodes_that_drain_are_found() {
        let loaded = beside("").unwrap();
        let mut seen = file();
        seen.snapshot.drains.insert("n1".into(), seen.workload.iter().cloned().map(std::sync::Arc::new).collect());
        assert_eq!(loaded.snapshot, seen.snapshot);
        assert_eq!(loaded.workload, seen.workload);
        assert_eq!(decide(&loaded.snapshot, &Settings::default()), decide(&seen.snapshot, &Settings::default()));
    }

    const OP: &str = "apiVersion: operator.kairos.io/v1alpha1\nkind: NodeOp\n";

    #[test]
    fn a_manifest_of_a_resource_that_is_there_is_an_edit_of_it() {
        let edited = beside(&format!(
            "{OP}metadata: {{name: op, uid: other, annotations: {{operator.kairos.io/rerun: x}}}}\nspec: {{command: [\"false\"]}}\nstatus: {{phase: Failed}}\n"
        ));
        let edited = edited.unwrap().snapshot.nodeops.remove(0);
        let seen = file().snapshot.nodeops.remove(0);
        assert_eq!((edited.meta.generation, &edited.meta.annotations["operator.kairos.io/rerun"]), (4, &"x".to_string()));
        assert_eq!((&edited.meta.uid, edited.meta.created), (&seen.meta.uid, seen.meta.created));
        assert_eq!((&edited.meta.resource_version, &edited.status), (&seen.meta.resource_version, &seen.status));
        assert_eq!(edited.spec.command, ["false"]);
        let same =
            beside(&format!("{OP}metadata: {{name: op}}\nspec: {{command: [\"true\"], cordon: true, drainOptions: {{enabled: true}}}}\n"));
        assert_eq!(same.unwrap().snapshot.nodeops, [seen], "the same spec is no edit");
    }

    #[test]
    fn what_is_new_is_younger_than_what_is_there() {
        let loaded = beside(&format!("{OP}metadata: {{name: new, namespace: a}}\nspec: {{command: [x]}}\n")).unwrap();
        assert_eq!(loaded.snapshot.nodeops[1].meta.created, Some(loaded.snapshot.now));
        let plan = decide(&loaded.snapshot, &Settings::default());
        assert_eq!(plan.decisions[1].subject.name, "new");
        assert_eq!(plan.decisions[1].nodes["n1"].reason, Reason::NotReady);
    }

    #[test]
    fn nodes_and_pods_take_the_place_of_those_of_their_name() {
        let loaded = beside(
            "apiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: {c: d}}\nspec: {unschedulable: true}\n---\n\
             apiVersion: v1\nkind: Node\nmetadata: {name: n2}\n---\n\
             apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop, labels: {x: z}}\nspec: {nodeName: n2}\n---\n\
             apiVersion: v1\nkind: Pod\nmetadata: {name: db, namespace: shop}\nspec: {nodeName: n1}\n",
        );
        let loaded = loaded.unwrap();
        let node = &loaded.snapshot.nodes["n1"];
        assert_eq!((node.uid.as_str(), node.boot_id.as_str(), node.ready, node.unschedulable), ("n-1", "b", false, true));
        assert_eq!(node.labels.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert!(loaded.snapshot.nodes["n2"].ready);
        let pods: Vec<_> = loaded.workload.iter().map(|pod| (pod.name.as_str(), pod.node.as_str())).collect();
        assert_eq!(pods, [("web", "n2"), ("db", "n1")]);
        assert_eq!((loaded.workload[0].uid.as_str(), loaded.snapshot.drains["n1"].len()), ("p-1", 1));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_its_place() {
        let broken = |from: &str, to: &str| {
            let text = serde_json::to_string_pretty(&file()).unwrap().replacen(from, to, 1);
            load(&[Source { path: "f.json".into(), text }], Timestamp::UNIX_EPOCH).unwrap_err().remove(0)
        };
        let told = broken("\"schemaVersion\": 1", "\"schemaVersion\": 9");
        assert!(told.starts_with("f.json:3:3: RoundsSnapshot: schemaVersion: must be 1, not 9"), "{told}");
        let told = broken("\"ready\": false", "\"ready\": \"no\"");
        assert!(told.contains(": RoundsSnapshot: snapshot.nodes.n1.ready: invalid type: string \"no\", expected a boolean; "), "{told}");
        let two = beside(&serde_json::to_string(&file()).unwrap()).unwrap_err();
        assert_eq!(two, ["fleet.json:1:1: RoundsSnapshot is given twice, first in a.yaml:1:1; leave one of them out"]);
    }
}
