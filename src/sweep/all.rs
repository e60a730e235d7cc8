//! `rounds sweep --all`: what is left of Rounds in a cluster, and what takes it away. Before Rounds is removed, or after that
//! was done in haste, with the definitions gone and nobody to tell whose a lock is. A sweep in a round frees a node only of
//! who is gone; here a person has said that everybody is to let go. What is on a node still ends first.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::names;
use crate::plan::{Action, Decision, NodeApply, NodeLabels, Plan, Step};
use crate::reason::Reason;
use crate::settings::Settings;
use crate::snapshot::Reference;
use crate::snapshot::views::{Holder, Job, Node, Pod};

/// What is left of Rounds in a cluster.
#[derive(Clone, Debug, Default)]
pub struct Leftovers {
    /// All nodes.
    pub nodes: Vec<Marked>,
    /// Jobs with our marks: of operations, builds, exports and probes.
    pub jobs: Vec<Job>,
    /// Pods with our marks.
    pub pods: Vec<Pod>,
    /// What was made for an OSArtifact that is gone, and that the garbage collector has not taken.
    pub orphans: Vec<Reference>,
    /// Who would begin anew what is ended here.
    pub runners: Vec<Runner>,
    /// What bears our marks and was made by somebody else: it is left alone.
    pub strangers: Vec<Stranger>,
    /// Resources whose deletion would wait for another operator.
    pub finalizers: Vec<Held>,
}

/// A Job or Pod with our marks that none of ours controls: marks are labels, and labels are copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// The Job or Pod.
    pub what: Reference,
    /// The node that it is on.
    pub node: String,
    /// The resource that it says it is of, if nobody controls it: it may have been ours.
    pub orphan_of: Option<String>,
    /// It has ended.
    pub over: bool,
}

/// A resource with another operator's finalizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The resource.
    pub what: Reference,
    /// The finalizer.
    pub by: &'static names::ForeignFinalizer,
    /// Which of the resource's finalizers it is.
    pub at: usize,
}

impl Held {
    /// What takes it off, and no other.
    pub fn remedy(&self) -> String {
        let Reference { kind, namespace, name, .. } = &self.what;
        let path = format!("/metadata/finalizers/{}", self.at);
        let patch = json!([{"op": "test", "path": path, "value": self.by.name}, {"op": "remove", "path": path}]);
        format!("kubectl -n {namespace} patch {} {name} --type=json -p '{patch}'", kind.to_lowercase())
    }
}

/// A node, and whether anything on it was written by the labeller.
#[derive(Clone, Debug, Default)]
pub struct Marked {
    /// The node.
    pub node: Node,
    /// Whether `rounds-labels` owns something on it.
    pub labelled: bool,
}

/// Something that does rounds, or starts what does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runner {
    /// The CronJob, Deployment, Job or Pod.
    pub what: Reference,
}

impl Runner {
    /// Whether it ends by itself, once nothing starts it again.
    pub fn is_ending(&self) -> bool {
        matches!(self.what.kind.as_str(), "Pod" | "Job")
    }

    /// What stops it.
    pub fn remedy(&self) -> String {
        let Reference { namespace, name, .. } = &self.what;
        match self.what.kind.as_str() {
            "CronJob" => format!("kubectl -n {namespace} patch cronjob {name} --type=merge -p '{{\"spec\":{{\"suspend\":true}}}}'"),
            "Deployment" => format!("kubectl -n {namespace} scale deployment {name} --replicas=0"),
            kind => format!("kubectl -n {namespace} delete {} {name}", kind.to_lowercase()),
        }
    }
}

/// What takes it all away, as far as that can be done now; nothing once there is nothing left. `labels`: the labels and
/// annotations that tell what probes have found, too.
pub fn decide(left: &Leftovers, settings: &Settings, labels: bool) -> Plan {
    let jobs = left.jobs.iter().filter(|job| settings.acts_on(&job.namespace)).map(end_job);
    let pods = left.pods.iter().filter(|pod| settings.acts_on(&pod.namespace)).map(|pod| end_pod(left, pod));
    let orphans = left.orphans.iter().filter(|orphan| settings.acts_on(&orphan.namespace)).map(remove_orphan);
    let nodes = left.nodes.iter().filter_map(|marked| node(left, settings, marked, labels));
    Plan { decisions: jobs.chain(pods).chain(orphans).chain(nodes).collect() }
}

fn end_job(job: &Job) -> Decision {
    let what = Reference::new("Job", &job.namespace, &job.name, &job.uid);
    match job.deleting {
        true => waits(what, Reason::Cancelling, "it is being removed".into()),
        false => acts(what.clone(), Reason::Cancelling, "end the Job", delete(what)),
    }
}

/// A pod whose Job is still there would be replaced by another one.
fn end_pod(left: &Leftovers, pod: &Pod) -> Decision {
    let what = Reference::new("Pod", &pod.namespace, &pod.name, &pod.uid);
    let made_by = |job: &Job| !job.deleting && pod.owner.as_ref().is_some_and(|owner| owner.uid == job.uid);
    if left.jobs.iter().any(made_by) {
        return waits(what, Reason::Cancelling, "its Job is ended first".into());
    }
    match pod.deleted {
        Some(_) => waits(what, Reason::Cancelling, format!("it is ending{}", on(&pod.node))),
        None => acts(what.clone(), Reason::Cancelling, "end the pod", delete(what)),
    }
}

fn remove_orphan(orphan: &Reference) -> Decision {
    acts(orphan.clone(), Reason::Orphaned, "its OSArtifact is gone", delete(orphan.clone()))
}

/// What a node needs; None if nothing of ours is on it.
fn node(left: &Leftovers, settings: &Settings, marked: &Marked, labels: bool) -> Option<Decision> {
    let node = &marked.node;
    let subject = Reference::new("Node", "", &node.name, &node.uid);
    // A marker of the existing operator was there before us, and will be needed when it comes back.
    let cordon = node.cordoned_by.as_ref().filter(|holder| holder.manager != names::FOREIGN_MANAGER);
    let acts_for = |holder: &&Holder| holder.parts().map_or(settings.namespaces.is_empty(), |(namespace, ..)| settings.acts_on(namespace));
    let (lock, cordon) = (node.lock.as_ref().filter(acts_for), cordon.filter(acts_for));
    if (lock.is_some() || cordon.is_some())
        && let Some(message) = still_there(left, settings, node)
    {
        return Some(waits(subject, Reason::Releasing, message));
    }
    let held = [lock, cordon].into_iter().flatten().find(|holder| holder.is_ours());
    if let Some(holder) = held {
        let keeps = node.keep_cordoned && node.unschedulable;
        let message = if keeps { "give the node back, cordoned as a person wants it" } else { "give the node back" };
        let apply = NodeApply {
            node: subject.clone(),
            resource_version: node.resource_version.clone(),
            manager: holder.manager.clone(),
            keep_cordoned: keeps,
            ..NodeApply::default()
        };
        return Some(acts(subject, Reason::Releasing, message, Action::ApplyNode(apply)));
    }
    let all = settings.namespaces.is_empty();
    if labels && all && marked.labelled {
        let write = NodeLabels { node: subject.clone(), resource_version: node.resource_version.clone(), ..NodeLabels::default() };
        return Some(acts(subject, Reason::Releasing, "take our labels off the node", Action::LabelNode(write)));
    }
    // Restored from a backup, or edited by a person: ours by their names only. A cordon beside them is anybody's.
    let probed = node.probed_boot.as_ref().filter(|_| all).map(|_| names::ANNOTATION_PROBED_BOOT);
    let stray = [lock.map(|_| names::ANNOTATION_LOCK), cordon.map(|_| names::ANNOTATION_CORDONED_BY), probed];
    let stray: serde_json::Map<String, Value> = stray.into_iter().flatten().map(|key| (key.to_string(), Value::Null)).collect();
    if stray.is_empty() {
        return None;
    }
    let patch = json!({"metadata": {"resourceVersion": node.resource_version, "annotations": stray}});
    let patch = Action::Patch { what: subject.clone(), patch };
    Some(acts(subject, Reason::Releasing, "take our annotations off the node", patch))
}

/// What of ours is still on a node; a Job that is not removed may start a pod there.
fn still_there(left: &Leftovers, settings: &Settings, node: &Node) -> Option<String> {
    let jobs = left.jobs.iter().filter(|job| job.node == node.name && !job.is_finished());
    let jobs = jobs.map(|job| format!("Job {}/{}", job.namespace, job.name));
    let pods = left.pods.iter().filter(|pod| pod.node == node.name && !pod.is_terminal()).map(|pod| format!("pod {}", pod.path()));
    // What its owner was taken off may still be the very command that the lock is for.
    let holders = [&node.lock, &node.cordoned_by].into_iter().flatten();
    let holders: Vec<&str> = holders.filter_map(Holder::parts).map(|(_, _, uid)| uid).collect();
    let orphaned = |stranger: &&Stranger| stranger.orphan_of.as_deref().is_some_and(|uid| holders.contains(&uid));
    let orphans = left.strangers.iter().filter(|stranger| stranger.node == node.name && !stranger.over).filter(orphaned);
    let orphans = orphans.map(|stranger| format!("{} without an owner, which is left to you", stranger.what));
    let all: BTreeSet<String> = jobs.chain(pods).chain(orphans).collect();
    let away = if node.ready { "" } else { "; the node is not Ready, so nobody tells that it has ended: delete the Node if it is gone" };
    let limited = if settings.namespaces.is_empty() { "" } else { " (--namespace may leave it out)" };
    let names = all.into_iter().collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| format!("still on the node: {names}{limited}{away}"))
}

fn on(node: &str) -> String {
    if node.is_empty() { String::new() } else { format!(" on node {node}") }
}

fn delete(what: Reference) -> Action {
    Action::Delete { what, resource_version: None, grace_seconds: None }
}

fn waits(subject: Reference, reason: Reason, message: String) -> Decision {
    Decision { subject, reason, message, settled: false, failed: false, status: None, steps: Vec::new(), nodes: BTreeMap::new() }
}

fn acts(subject: Reference, reason: Reason, message: &str, action: Action) -> Decision {
    let step = Step { subject: subject.clone(), reason, message: message.into(), actions: vec![action] };
    Decision { steps: vec![step], ..waits(subject, reason, message.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::views::Owner;

    fn holder(manager: &str) -> Option<Holder> {
        Some(Holder { value: "default/op@u".into(), manager: manager.into() })
    }

    fn held() -> Node {
        Node {
            name: "n1".into(),
            uid: "un1".into(),
            resource_version: "5".into(),
            ready: true,
            unschedulable: true,
            lock: holder("rounds-u"),
            cordoned_by: holder("rounds-u"),
            ..Node::default()
        }
    }

    fn one(node: Node) -> Leftovers {
        Leftovers { nodes: vec![Marked { node, labelled: true }], ..Leftovers::default() }
    }

    /// What is done, or waited for, a line per decision.
    fn told(left: &Leftovers, settings: &Settings, labels: bool) -> Vec<String> {
        let line = |decision: &Decision| match decision.steps.first() {
            Some(step) => step.actions.iter().map(Action::summary).collect::<Vec<_>>().join(", "),
            None => format!("{}: {}", decision.subject, decision.message),
        };
        decide(left, settings, labels).decisions.iter().map(line).collect()
    }

    fn with(left: &Leftovers) -> Vec<String> {
        told(left, &Settings::default(), false)
    }

    #[test]
    fn a_node_is_given_back_only_once_nothing_of_ours_is_on_it() {
        let job = Job { namespace: "default".into(), name: "j".into(), uid: "j".into(), node: "n1".into(), ..Job::default() };
        let owner = Some(Owner { kind: "Job".into(), name: "j".into(), uid: "j".into() });
        let pod = Pod {
            namespace: "default".into(),
            name: "p".into(),
            uid: "p".into(),
            node: "n1".into(),
            phase: "Running".into(),
            owner,
            ..Pod::default()
        };
        let mut left = Leftovers { jobs: vec![job], pods: vec![pod], ..one(held()) };
        assert_eq!(
            with(&left),
            ["delete Job default/j", "Pod default/p: its Job is ended first", "Node n1: still on the node: Job default/j, pod default/p",]
        );
        left.jobs.clear();
        assert_eq!(with(&left), ["delete Pod default/p", "Node n1: still on the node: pod default/p"]);
        left.pods[0].deleted = Some(jiff::Timestamp::UNIX_EPOCH);
        left.nodes[0].node.ready = false;
        let waits = with(&left);
        assert_eq!(waits[0], "Pod default/p: it is ending on node n1");
        assert!(waits[1].ends_with("delete the Node if it is gone"), "{waits:?}");
        left.pods.clear();
        assert_eq!(with(&left), ["unlock Node n1"]);
    }

    #[test]
    fn what_is_not_ours_by_its_field_manager_goes_by_name_and_its_cordon_stays() {
        let stray = Node { lock: holder("velero"), cordoned_by: holder(""), ..held() };
        let plan = decide(&one(stray), &Settings::default(), false);
        let Action::Patch { patch, .. } = &plan.decisions[0].steps[0].actions[0] else { panic!("{plan:?}") };
        let annotations = json!({"operator.kairos.io/operation": null, "operator.kairos.io/cordoned-by": null});
        assert_eq!(*patch, json!({"metadata": {"resourceVersion": "5", "annotations": annotations}}));
        let foreign = Node { lock: None, cordoned_by: holder(names::FOREIGN_MANAGER), ..held() };
        assert!(with(&one(foreign)).is_empty(), "the existing operator's mark is its own");
        assert!(with(&one(Node { unschedulable: true, ..Node::default() })).is_empty(), "a person's cordon is theirs");
    }

    #[test]
    fn a_cordon_that_a_person_wants_to_keep_stays_without_our_mark() {
        let plan = decide(&one(Node { keep_cordoned: true, ..held() }), &Settings::default(), false);
        let Action::ApplyNode(apply) = &plan.decisions[0].steps[0].actions[0] else { panic!("{plan:?}") };
        assert!(apply.keep_cordoned && apply.cordon.is_none() && apply.lock.is_none());
    }

    #[test]
    fn labels_stay_unless_asked_for_and_a_namespace_leaves_all_that_is_not_of_it() {
        let probed = Node { lock: None, cordoned_by: None, probed_boot: Some("b".into()), ..held() };
        assert_eq!(with(&one(probed.clone())), ["patch Node n1"]);
        assert_eq!(told(&one(probed.clone()), &Settings::default(), true), ["take our labels off Node n1"]);
        let other = Settings { namespaces: vec!["other".into()], ..Settings::default() };
        assert!(told(&one(probed), &other, true).is_empty());
        let mut left = one(held());
        left.jobs.push(Job { namespace: "default".into(), ..Job::default() });
        left.orphans.push(Reference::new("ConfigMap", "default", "c", "c"));
        assert!(told(&left, &other, false).is_empty(), "{:?}", told(&left, &other, false));
    }

    #[test]
    fn what_lost_its_owner_keeps_the_node_of_its_operation_and_no_other() {
        let what = Reference::new("Pod", "default", "p", "p");
        let orphan = Stranger { what, node: "n1".into(), orphan_of: Some("u".into()), over: false };
        let left = |stranger: Stranger| Leftovers { strangers: vec![stranger], ..one(held()) };
        let told = with(&left(orphan.clone()));
        assert_eq!(told, ["Node n1: still on the node: Pod default/p without an owner, which is left to you"]);
        for harmless in [
            Stranger { orphan_of: Some("other".into()), ..orphan.clone() },
            Stranger { orphan_of: None, ..orphan.clone() },
            Stranger { over: true, ..orphan.clone() },
            Stranger { node: "n2".into(), ..orphan },
        ] {
            assert_eq!(with(&left(harmless)), ["unlock Node n1"]);
        }
    }

    #[test]
    fn of_the_finalizers_of_a_resource_only_the_operators_is_taken_off() {
        let what = Reference::new("OSArtifact", "default", "iso", "u");
        let held = Held { what, by: names::foreign_finalizer("OSArtifact").unwrap(), at: 1 };
        let path = r#""path":"/metadata/finalizers/1""#;
        assert_eq!(
            held.remedy(),
            format!(
                r#"kubectl -n default patch osartifact iso --type=json -p '[{{"op":"test",{path},"value":"build.kairos.io/osbuilder-finalizer"}},{{"op":"remove",{path}}}]'"#
            )
        );
    }
}
