//! A snapshot from manifest files: the same views, from the same conversions, as from the cluster.
//!
//! All mistakes are reported, not just the first: each with its file, line, object and field, and what would be right.
//!
//! - [`source`]: from paths to texts. - [`document`]: from texts to objects. - [`schema`]: what is wrong with an object.
//! - [`beside`]: manifests beside a snapshot file, and what they change in it.

mod beside;
pub mod document;
pub mod schema;
pub mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::objects;
use super::views::Pod;
use super::{Reference, Snapshot};
use crate::artifact;
use crate::channel;
use crate::names;
use crate::nodeop::api::NodeStep;
use crate::upgrade;
use beside::Ground;
use document::{Document, Origin};
pub use source::{Source, read};

/// What manifests say.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The cluster as they describe it; with a snapshot file among them, the one that a round saw, and what they change in it.
    pub snapshot: Snapshot,
    /// All pods that are known, whoever made them.
    pub workload: Vec<Pod>,
    /// How many objects of which kinds were passed over, because no decision reads them.
    pub passed_over: BTreeMap<String, usize>,
}

/// A snapshot of what texts say, at a time; with a snapshot file among them, at its own.
///
/// # Errors
/// One line for every mistake.
pub fn load(sources: &[Source], now: Timestamp) -> Result<Loaded, Vec<String>> {
    let mut loading = Loading::default();
    let mut manifests = Vec::new();
    for source in sources {
        let (documents, mistakes) = document::parse(source);
        loading.mistakes.extend(mistakes);
        for document in documents {
            match document.is_snapshot() {
                true => loading.begin_with(&document),
                false => manifests.push(document),
            }
        }
    }
    for document in manifests {
        loading.add(document);
    }
    loading.finish(now)
}

#[derive(Default)]
struct Loading<'a> {
    ground: Ground,
    snapshot: Snapshot,
    pods: Vec<Pod>,
    passed_over: BTreeMap<String, usize>,
    seen: BTreeMap<Reference, Origin<'a>>,
    mistakes: Vec<String>,
}

impl<'a> Loading<'a> {
    /// What a round saw is what the manifests stand beside.
    fn begin_with(&mut self, document: &Document<'a>) {
        if self.is_first(document) {
            match document.snapshot() {
                Ok(file) => self.ground = Ground::of(file),
                Err(mistake) => self.mistakes.push(mistake),
            }
        }
    }

    fn add(&mut self, document: Document<'a>) {
        let mistakes = document.mistakes();
        if !mistakes.is_empty() {
            self.mistakes.extend(mistakes);
            return;
        }
        if !document.is_read() {
            *self.passed_over.entry(document.kind().to_string()).or_default() += 1;
            return;
        }
        if self.is_first(&document) {
            let (origin, title) = (document.origin.clone(), document.title());
            if let Err(error) = self.take(document) {
                self.mistakes.push(format!("{}: {title}: {error}", origin.place()));
            }
        }
    }

    /// Whether nothing of this name has been given before.
    fn is_first(&mut self, document: &Document<'a>) -> bool {
        let Some(first) = self.seen.insert(document.reference(), document.origin.clone()) else { return true };
        let (here, there) = (document.origin.place(), first.place());
        self.mistakes.push(format!("{here}: {} is given twice, first in {there}; leave one of them out", document.title()));
        false
    }

    fn take(&mut self, document: Document<'_>) -> Result<(), String> {
        let snapshot = &mut self.snapshot;
        let kind = document.kind().to_string();
        let identity = self.ground.identity(&document.reference(), document.uid());
        let object = document.complete(identity);
        match kind.as_str() {
            "NodeOp" => snapshot.nodeops.push(objects::nodeop(object)?),
            upgrade::api::KIND => snapshot.upgrades.push(objects::upgrade(object)?),
            artifact::KIND => snapshot.artifacts.push(objects::artifact(object)?),
            channel::api::KIND => snapshot.channels.push(objects::channel(object)?),
            "Node" => {
                let bare = object.pointer("/status/conditions").is_none();
                let node = objects::node(object)?;
                // A node that was written by hand has no status; it is there to be planned with.
                let node = if bare { self.ground.node(node) } else { node };
                snapshot.nodes.insert(node.name.clone(), node);
            }
            "Pod" => self.pods.push(objects::pod(object)?),
            "Job" => {
                let has = |label: &str| object.pointer("/metadata/labels").is_some_and(|labels| labels.get(label).is_some());
                if has(names::LABEL_NODEOP) || has(names::LABEL_ARTIFACT) {
                    snapshot.jobs.push(objects::job(object)?);
                }
            }
            _ => snapshot.budgets.push(objects::budget(object)?),
        }
        Ok(())
    }

    fn finish(self, now: Timestamp) -> Result<Loaded, Vec<String>> {
        if !self.mistakes.is_empty() {
            return Err(self.mistakes);
        }
        let ours: Vec<Pod> = self.pods.iter().filter(|pod| is_ours(pod)).cloned().collect();
        let given: BTreeSet<Reference> = self.seen.into_keys().collect();
        let now = self.ground.now().unwrap_or(now);
        let (mut snapshot, workload) = self.ground.with(&given, self.snapshot, self.pods);
        snapshot.now = now;
        snapshot.pods.extend(ours);
        for node in draining(&snapshot) {
            let on = || workload.iter().filter(|pod| pod.node == node).cloned().map(Arc::new).collect();
            snapshot.drains.entry(node.clone()).or_insert_with(on);
        }
        Ok(Loaded { snapshot, workload, passed_over: self.passed_over })
    }
}

/// Whether a pod carries one of the labels by which ours are listed.
fn is_ours(pod: &Pod) -> bool {
    [names::LABEL_NODEOP, names::LABEL_ARTIFACT].iter().any(|label| pod.labels.contains_key(*label))
}

/// Nodes that some operation is draining, by its status.
fn draining(snapshot: &Snapshot) -> Vec<String> {
    let operations = snapshot.nodeops.iter().filter(|resource| resource.spec.drain().is_some());
    let entries = operations.flat_map(|resource| resource.status.node_statuses.iter());
    let drains = entries.filter(|(_, entry)| matches!(entry.step, Some(NodeStep::Locking | NodeStep::Draining)));
    drains.map(|(node, _)| node.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::decide;
    use crate::reason::Reason;
    use crate::settings::Settings;

    fn from(text: &str) -> Result<Loaded, Vec<String>> {
        load(&[Source { path: "a.yaml".into(), text: text.into() }], Timestamp::UNIX_EPOCH)
    }

    const OP: &str = "apiVersion: operator.kairos.io/v1alpha1\nkind: NodeOp\nmetadata: {name: op}\nspec:\n";
    const NODE: &str = "---\napiVersion: v1\nkind: Node\nmetadata: {name: n1}\n";

    #[test]
    fn a_hand_written_node_and_operation_make_a_plan() {
        let loaded = from(&format!("{OP}  command: [\"true\"]\n{NODE}")).unwrap();
        let plan = decide(&loaded.snapshot, &Settings::default());
        assert_eq!(plan.decisions[0].subject.to_string(), "NodeOp default/op");
        assert_eq!(plan.decisions[0].nodes["n1"].reason, Reason::Locking);
        let again = from(&format!("{OP}  command: [\"true\"]\n{NODE}")).unwrap();
        assert_eq!(decide(&again.snapshot, &Settings::default()), plan, "the same files give the same plan");
    }

    #[test]
    fn a_node_that_the_cluster_calls_not_ready_stays_so() {
        let status = "status: {conditions: [{type: Ready, status: \"False\"}]}\n";
        assert!(!from(&format!("{NODE}{status}")).unwrap().snapshot.nodes["n1"].ready);
        assert!(from(NODE).unwrap().snapshot.nodes["n1"].ready);
    }

    #[test]
    fn what_people_copy_is_without_mistakes() {
        let folder = |name: &str| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let sources = read(&[folder("examples"), folder("tests/manifests/seeds")]).unwrap();
        assert!(sources.len() > 10);
        for source in sources {
            let mistakes = load(std::slice::from_ref(&source), Timestamp::UNIX_EPOCH).err().unwrap_or_default();
            // Several documents of one text use one name for different things.
            let mistakes: Vec<_> = mistakes.into_iter().filter(|mistake| !mistake.contains("given twice")).collect();
            assert!(mistakes.is_empty(), "{mistakes:#?}");
        }
    }

    #[test]
    fn pods_of_draining_nodes_and_ours_are_kept_and_other_kinds_are_counted() {
        let text = format!(
            "{OP}  command: [x]\n  cordon: true\n  drainOptions: {{enabled: true}}\nstatus: {{nodeStatuses: {{n1: {{phase: Pending, step: Draining}}}}}}\n{NODE}\
             ---\napiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec: {{nodeName: n1}}\n\
             ---\napiVersion: v1\nkind: Pod\nmetadata: {{name: ours, labels: {{kairos.io/nodeop: op}}}}\nspec: {{nodeName: n2}}\n\
             ---\napiVersion: v1\nkind: List\nitems:\n- {{apiVersion: v1, kind: ConfigMap, metadata: {{name: c}}}}\n- {{apiVersion: v1, kind: ConfigMap, metadata: {{name: d}}}}\n"
        );
        let loaded = from(&text).unwrap();
        let names = |pods: &[Pod]| pods.iter().map(|pod| pod.path()).collect::<Vec<_>>();
        let drains: Vec<String> = loaded.snapshot.drains["n1"].iter().map(|pod| pod.path()).collect();
        assert_eq!(drains, ["default/web"]);
        assert_eq!(names(&loaded.snapshot.pods), ["default/ours"]);
        assert_eq!(loaded.passed_over, [("ConfigMap".to_string(), 2)].into());
    }

    #[test]
    fn every_mistake_is_named_with_its_place_and_no_document_hides_another() {
        let text = format!(
            "{OP}  command: [x]\n  rollout: {{suspended: true}}\n  concurrency: -1\n---\n{OP}  command: 7\n---\n{OP}  cordon: true\n---\nkind: Node\n---\na: [\n{NODE}{NODE}"
        );
        let errors = from(&text).unwrap_err();
        for (error, expected) in errors.iter().zip([
            "a.yaml:23:4: unclosed bracket '['",
            "a.yaml:6:13: NodeOp op: spec.rollout.suspended: there is no such field; did you mean suspend?",
            "a.yaml:7:3: NodeOp op: spec.concurrency: must be at least 0, not -1",
            "a.yaml:13:3: NodeOp op: spec.command: must be a list, not 7",
            "a.yaml:18:1: NodeOp op: spec.command: must be given",
            "a.yaml:21:1: Node ?: apiVersion: must be given, here v1",
            "a.yaml:29:1: Node n1 is given twice, first in a.yaml:25:1; leave one of them out",
        ]) {
            assert_eq!(error, expected, "{errors:#?}");
        }
        assert_eq!(errors.len(), 7, "{errors:#?}");
    }
}
