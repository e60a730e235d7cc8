//! One NodeOp in one round: what the decisions about its nodes read.

use std::cell::OnceCell;

use foldhash::fast::RandomState;
use foldhash::{HashMap, HashSet};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use smallvec::SmallVec;

use super::api::{NodeOpSpec, NodePhase, NodeStatus};
use super::jobs::Claim;
use super::order;
use super::rebooting;
use super::runs::Run;
use super::terms::Terms;
use crate::mutant::Mutant;
use crate::names;
use crate::plan::{Action, NodeReason, Step};
use crate::reason::Reason;
use crate::rollout::Rollout;
use crate::settings::Settings;
use crate::snapshot::views::{Job, Node, Pod};
use crate::snapshot::{Meta, Reference, Snapshot};

/// A NodeOp, its present run, and what the cluster has of it.
pub struct Operation<'a> {
    /// What the round saw.
    pub snapshot: &'a Snapshot,
    /// What the runner was told.
    pub settings: &'a Settings,
    /// Its metadata.
    pub meta: &'a Meta,
    /// Its spec.
    pub spec: &'a NodeOpSpec,
    /// Its rollout block, defaults filled in.
    pub rollout: Rollout,
    /// The present run.
    pub run: Run<'a>,
    /// What the resource says that has made it.
    pub terms: Terms<'a>,
    /// Why nothing new may start, if so.
    pub gate: Option<NodeReason>,
    /// The value of a lock held by this operation.
    holder: String,
    /// The field manager of what it applies to nodes.
    manager: String,
    /// What it has on a node, by the node's name.
    on: HashMap<&'a str, OnNode<'a>>,
    /// Whether it has several Jobs on some node.
    crowds: bool,
    all_jobs: Vec<&'a Job>,
    /// Those of them that have not ended.
    open_jobs: Vec<&'a Job>,
    jobs_by_name: OnceCell<HashMap<&'a str, &'a Job>>,
    all_pods: Vec<&'a Pod>,
    control_plane: OnceCell<Vec<&'a Node>>,
    marked: OnceCell<Vec<&'a Node>>,
}

/// The Jobs and Pods of an operation on one node. Mostly one of each.
#[derive(Debug, Default)]
struct OnNode<'a> {
    jobs: SmallVec<[&'a Job; 2]>,
    pods: SmallVec<[&'a Pod; 2]>,
}

impl<'a> Operation<'a> {
    /// Gathers what the snapshot has of a NodeOp.
    pub fn new(snapshot: &'a Snapshot, settings: &'a Settings, meta: &'a Meta, spec: &'a NodeOpSpec, run: Run<'a>) -> Self {
        // An owner is always of the same namespace. What others write into theirs must neither take a slot nor hold a lock.
        let owned = |job: &&Job| job.namespace == meta.namespace && job.owner.as_ref().is_some_and(|owner| owner.uid == meta.uid);
        let all_jobs: Vec<&Job> = snapshot.jobs.iter().filter(owned).collect();
        let open_jobs = all_jobs.iter().filter(|job| !job.is_finished()).copied().collect();
        let mut on: HashMap<&str, OnNode> = HashMap::with_capacity_and_hasher(all_jobs.len(), RandomState::default());
        for job in &all_jobs {
            on.entry(&job.node).or_default().jobs.push(job);
        }
        // So far only nodes with Jobs are in it.
        let crowds = on.len() < all_jobs.len();
        let is_of = |pod: &Pod, job: &&Job| pod.owner.as_ref().is_some_and(|owner| owner.uid == job.uid);
        // Nearly every pod is on the node of its Job; only for others are all Jobs asked.
        let is_near = |on: &HashMap<&str, OnNode>, pod: &Pod| {
            on.get(pod.node.as_str()).is_some_and(|there| there.jobs.iter().any(|job| is_of(pod, job)))
        };
        let uids: OnceCell<HashSet<&str>> = OnceCell::new();
        let is_far = |owner: &str| uids.get_or_init(|| all_jobs.iter().map(|job| job.uid.as_str()).collect()).contains(owner);
        // What the existing operator made does not carry our label.
        let made = |pod: &Pod| pod.owner.as_ref().is_some_and(|owner| owner.uid == meta.uid || is_far(&owner.uid));
        let labelled = |pod: &Pod| pod.labels.get(names::LABEL_OWNER_UID) == Some(&meta.uid);
        let is_ours = |pod: &&Pod| pod.namespace == meta.namespace && (is_near(&on, pod) || labelled(pod) || made(pod));
        let all_pods: Vec<&Pod> = snapshot.pods.iter().filter(is_ours).collect();
        for pod in &all_pods {
            on.entry(&pod.node).or_default().pods.push(pod);
        }
        Self {
            snapshot,
            settings,
            meta,
            spec,
            rollout: spec.rollout(),
            run,
            terms: Terms::default(),
            gate: None,
            holder: meta.holder(),
            manager: names::node_manager(&meta.uid),
            on,
            crowds,
            all_jobs,
            open_jobs,
            jobs_by_name: OnceCell::new(),
            all_pods,
            control_plane: OnceCell::new(),
            marked: OnceCell::new(),
        }
    }

    /// The snapshot's time.
    pub fn now(&self) -> Timestamp {
        self.snapshot.now
    }

    /// The value of a lock held by this operation.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// The field manager of what this operation applies to nodes.
    pub fn manager(&self) -> &str {
        &self.manager
    }

    /// The Job of this name in the operation's namespace, whoever owns it.
    pub fn job_named(&self, name: &str) -> Option<&'a Job> {
        let here = || self.snapshot.jobs.iter().filter(|job| job.namespace == self.meta.namespace);
        let by_name = self.jobs_by_name.get_or_init(|| here().map(|job| (job.name.as_str(), job)).collect());
        by_name.get(name).copied()
    }

    /// The Pod of this operation of this name, on a node.
    pub fn pod_named(&self, name: &str, node: &str) -> Option<&'a Pod> {
        self.pods_on(node).iter().copied().find(|pod| pod.name == name)
    }

    /// Whether a Job or a Pod of this operation is on a node.
    pub fn is_on(&self, node: &str) -> bool {
        self.on.contains_key(node)
    }

    /// The Jobs of this operation on a node.
    pub fn jobs_on(&self, node: &str) -> &[&'a Job] {
        self.on.get(node).map_or(&[], |there| there.jobs.as_slice())
    }

    /// Whether several Jobs of this operation are on some node.
    pub fn crowds(&self) -> bool {
        self.crowds
    }

    /// The Pods of this operation on a node.
    fn pods_on(&self, node: &str) -> &[&'a Pod] {
        self.on.get(node).map_or(&[], |there| there.pods.as_slice())
    }

    /// All Jobs of this operation.
    pub fn jobs(&self) -> &[&'a Job] {
        &self.all_jobs
    }

    /// The Jobs of this operation that have not ended.
    pub fn open_jobs(&self) -> &[&'a Job] {
        &self.open_jobs
    }

    /// The nodes that carry this operation's lock, or its mark that it has cordoned them; in the order of their names.
    pub fn marked(&self) -> &[&'a Node] {
        let is_marked = |node: &&Node| self.locks(node) || self.has_cordoned(node);
        self.marked.get_or_init(|| self.snapshot.nodes.values().filter(is_marked).collect())
    }

    /// All Pods of this operation.
    pub fn pods(&self) -> impl Iterator<Item = &'a Pod> {
        self.all_pods.iter().copied()
    }

    /// The Pods of a Job, in the order of their names.
    pub fn pods_of(&self, job_uid: &str, node: &str) -> Vec<&'a Pod> {
        self.pods_on(node).iter().copied().filter(|pod| pod.owner.as_ref().is_some_and(|owner| owner.uid == job_uid)).collect()
    }

    /// Whether a Pod was made for this operation itself, and not merely given its labels.
    pub fn made(&self, pod: &Pod) -> bool {
        pod.owner.as_ref().is_some_and(|owner| owner.uid == self.meta.uid)
    }

    /// Whether a pod of this operation may still do something on a node.
    pub fn has_live_pod(&self, node: &str) -> bool {
        self.pods_on(node).iter().any(|pod| !pod.is_terminal())
    }

    /// Whether a Job of this operation runs, or may run, on a node.
    pub fn has_live_job(&self, node: &str) -> bool {
        self.jobs_on(node).iter().any(|job| job.may_run())
    }

    /// Whether a node carries this operation's lock.
    pub fn locks(&self, node: &Node) -> bool {
        node.lock.as_ref().is_some_and(|lock| lock.value == self.holder)
    }

    /// Whether that lock is ours to give up, and not one that a person has copied.
    pub fn holds(&self, node: &Node) -> bool {
        self.locks(node) && node.lock.as_ref().is_some_and(|lock| lock.manager.is_empty() || lock.manager == self.manager)
    }

    /// Whether a node carries this operation's mark that it is cordoned.
    pub fn has_cordoned(&self, node: &Node) -> bool {
        node.cordoned_by.as_ref().is_some_and(|holder| holder.value == self.holder)
    }

    /// The control-plane nodes of the cluster, in the order of their names: looked for once, for they are few among many.
    pub fn control_plane(&self) -> &[&'a Node] {
        self.control_plane.get_or_init(|| order::control_plane(self.snapshot))
    }

    /// The nodes that count against the budget: unfinished claims, live Jobs, live pods, and locks that are still on.
    ///
    /// What is left of a node that is no more (its pods stay until the pod garbage collector comes by) takes no slot. A node
    /// whose time was up and whose pods will not go (its kubelet is dead) keeps its lock but frees its slot.
    pub fn in_flight(&self) -> HashSet<&str> {
        let claims = self.run.entries.iter().filter(|(_, entry)| entry.step.is_some()).map(|(node, _)| *node);
        let mut nodes: HashSet<&str> = claims.collect();
        if Mutant::ClaimsOnly.lives() {
            return nodes;
        }
        let jobs = self.open_jobs.iter().filter(|job| job.may_run()).map(|job| job.node.as_str());
        let pods = self.pods().filter(|pod| !pod.is_terminal()).map(|pod| pod.node.as_str());
        let live = jobs.chain(pods);
        let locked = self.marked().iter().filter(|node| self.holds(node)).map(|node| node.name.as_str());
        let ends = [Reason::NodeTimeout.code(), Reason::NotRebooted.code()];
        let in_vain = |entry: &NodeStatus| entry.reason.as_deref().is_some_and(|reason| ends.contains(&reason));
        // What failed is finished before its pods are only where these do not end.
        let left = |node: &str, entry: &NodeStatus| entry.phase == NodePhase::Failed && self.has_live_pod(node) && !self.has_live_job(node);
        let given_up =
            |node: &str| self.run.entries.get(node).is_some_and(|entry| entry.is_finished() && (in_vain(entry) || left(node, entry)));
        let there = |node: &str| self.snapshot.nodes.contains_key(node);
        for node in live.chain(locked) {
            // Nearly all of them are claimed.
            if !nodes.contains(node) && there(node) && !given_up(node) && !self.is_left_behind(node) {
                nodes.insert(node);
            }
        }
        nodes
    }

    /// Whether an earlier run has left a pod on a node that is down: it was given up there, and what told so ended with that
    /// run.
    fn is_left_behind(&self, node: &str) -> bool {
        let down = self.snapshot.nodes.get(node).is_some_and(|node| !node.ready);
        down && !self.run.entries.contains_key(node) && self.has_live_pod(node) && !self.has_live_job(node)
    }

    /// The claim that an entry speaks of.
    pub fn claim(&self, node: &'a Node, entry: &NodeStatus) -> Claim<'a> {
        Claim {
            meta: self.meta,
            spec: self.spec,
            node,
            run: entry.run.unwrap_or(1),
            attempt: entry.attempt.unwrap_or(0),
            // What the claim was taken for: with runPolicy Once an edit does not change it.
            reboots: rebooting::follows(entry),
        }
    }

    /// A reference to a node.
    pub fn node_reference(&self, name: &str) -> Reference {
        let uid = self.snapshot.nodes.get(name).map_or("", |node| node.uid.as_str());
        Reference::new("Node", "", name, uid)
    }

    /// A step about a node.
    pub fn step(&self, node: &str, reason: Reason, message: impl Into<String>, action: Action) -> Step {
        Step { subject: self.node_reference(node), reason, message: message.into(), actions: vec![action] }
    }

    /// How many seconds have gone since a moment; never negative, for clocks jump.
    pub fn seconds_since(&self, since: Option<&Time>) -> i64 {
        since.map_or(0, |since| self.now().duration_since(since.0).as_secs().max(0))
    }
}
