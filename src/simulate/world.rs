//! A cluster in memory: its objects, its clock, and what is going to happen next.
//!
//! The world holds what an observer would see ([`World::seen`]), the workload beside it, and what nobody sees: which
//! kubelets are dead, and how often a Job's pods have failed. Nothing in it happens by itself: time moves when
//! [`World::run_until`] is told so, from one [`Happening`] to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use jiff::{SignedDuration, Timestamp};

use super::begin::Backing;
use super::model::{Model, Spread};
use super::workload::Workload;
use crate::mutant::Mutant;
use crate::nodeop::api::{NodeOpSpec, NodeOpStatus};
use crate::snapshot::nodes::Nodes;
use crate::snapshot::views::{Job, Node, Pod};
use crate::snapshot::{Reference, Resource, Snapshot, doubts};

/// A cluster in memory.
#[derive(Clone, Debug)]
pub struct World {
    /// What an observer sees who looks at this moment, before [`World::look`] fills in what a round looks at besides.
    pub seen: Snapshot,
    /// All other pods, and the budgets over them.
    pub workload: Workload,
    /// How long things take, and what fails.
    pub model: Model,
    /// What was started and how it ended, in the order in which it happened.
    pub history: Vec<Record>,
    /// Reboots by our pods, by name and uid of the node.
    pub reboots: Vec<(String, String)>,
    /// Nodes, by uid, whose kubelet does nothing any more.
    pub dead: BTreeSet<String>,
    /// Nodes, by uid, that the apiserver does not hear of, with what their kubelets would have said meanwhile.
    pub(super) cut: BTreeMap<String, Vec<Happening>>,
    /// Jobs, by uid, that somebody took our label off: no list shows them.
    pub unlisted: BTreeSet<String>,
    pub(super) dice: fastrand::Rng,
    pub(super) backings: HashMap<String, Backing>,
    /// Machines, by uid of the node, on which a sentinel tells that a command succeeded; a reboot clears them.
    pub(super) sentinels: BTreeSet<String>,
    clock: Timestamp,
    agenda: BTreeMap<(Timestamp, u64), Happening>,
    counter: u64,
    /// How far the clock of the apiserver that answers is off.
    pub(super) skew: SignedDuration,
    /// The node that took the last pod of the workload.
    pub(super) cursor: String,
    jobs: HashMap<String, usize>,
    pods: HashMap<String, usize>,
    /// uids of our pods, by node.
    on: HashMap<String, Vec<String>>,
    /// uids of Jobs and pods of ours, by kind, namespace and name.
    names: HashMap<String, String>,
    /// Names of nodes, by uid.
    machines: HashMap<String, String>,
}

/// Something that is going to happen, to an object by its uid or a node by its name. When the time has come, the object
/// may be gone, or another one: then nothing happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// The Job controller looks at a Job.
    SyncJob(String),
    /// The kubelet starts a pod's containers.
    StartPod(String),
    /// A pod's containers end by themselves.
    EndPod(String),
    /// A pod's containers were told to end, and have.
    StopPod(String),
    /// A reboot pod looks whether it may reboot its node.
    TryReboot(String),
    /// The pod object goes.
    RemovePod(String),
    /// The pod garbage collector looks at a pod whose node was deleted.
    Orphan(String),
    /// The scheduler looks at the pods of the workload that no node could take.
    Schedule,
    /// A pod of the workload becomes Ready.
    Ready(String),
    /// A pod of the workload that was told to go is gone.
    Leave(String),
    /// The garbage collector removes what an owner, who is gone, has left.
    Collect(String),
    /// A finished Job's time to live is over.
    Expire(String),
    /// Nobody has heard of the kubelet of a node (by uid) for too long.
    NotReady(String),
    /// The workload on a node that has not been Ready for long is made elsewhere.
    Desert(String),
    /// A node (by uid) comes up again, with a new boot id.
    Boot(String),
    /// The kubelet of a node (by uid) tells that the node is Ready.
    NodeReady(String),
}

/// A command that was started on a node, or has ended there.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When.
    pub at: Timestamp,
    /// uid of the operation.
    pub operation: String,
    /// The run that its Job belongs to.
    pub run: i64,
    /// uid of the Job.
    pub job: String,
    /// Name and uid of the machine.
    pub node: (String, String),
    /// None: it was started; else how it ended.
    pub exit: Option<i32>,
}

impl World {
    /// A world that looks like a snapshot, with this workload beside it.
    pub fn new(snapshot: Snapshot, workload: Vec<Pod>, model: Model, seed: u64) -> Self {
        let clock = snapshot.now;
        let mut seen = snapshot;
        seen.drains.clear();
        seen.absent.clear();
        let budgets = std::mem::take(&mut seen.budgets);
        let ours: BTreeSet<&str> = seen.pods.iter().map(|pod| pod.uid.as_str()).collect();
        let others = workload.into_iter().filter(|pod| !ours.contains(pod.uid.as_str())).collect();
        let mut world = Self {
            workload: Workload::new(others, budgets),
            model,
            history: Vec::new(),
            reboots: Vec::new(),
            dead: BTreeSet::new(),
            cut: BTreeMap::new(),
            unlisted: BTreeSet::new(),
            dice: fastrand::Rng::with_seed(seed),
            backings: HashMap::default(),
            sentinels: BTreeSet::new(),
            clock,
            agenda: BTreeMap::new(),
            counter: 0,
            skew: SignedDuration::ZERO,
            cursor: String::new(),
            jobs: seen.jobs.iter().enumerate().map(|(at, job)| (job.uid.clone(), at)).collect(),
            pods: seen.pods.iter().enumerate().map(|(at, pod)| (pod.uid.clone(), at)).collect(),
            on: HashMap::default(),
            names: HashMap::default(),
            machines: HashMap::default(),
            seen,
        };
        world.begin();
        world
    }

    /// What is under way in the snapshot goes on.
    fn begin(&mut self) {
        for node in self.seen.nodes.values_mut() {
            if node.uid.is_empty() {
                node.uid = format!("node-{}", node.name);
            }
            if node.resource_version.is_empty() {
                node.resource_version = "1".into();
            }
            if node.boot_id.is_empty() {
                node.boot_id = format!("{}-boot-0", node.name);
            }
        }
        self.machines = self.seen.nodes.values().map(|node| (node.uid.clone(), node.name.clone())).collect();
        let jobs = self.seen.jobs.iter().map(|job| (name("Job", &job.namespace, &job.name), job.uid.clone()));
        self.names = jobs.chain(self.seen.pods.iter().map(|pod| (name("Pod", &pod.namespace, &pod.name), pod.uid.clone()))).collect();
        for pod in &self.seen.pods {
            self.on.entry(pod.node.clone()).or_default().push(pod.uid.clone());
        }
        let silent: Vec<String> = self.seen.nodes.values().filter(|node| !node.ready).map(|node| node.uid.clone()).collect();
        self.dead.extend(silent);
        let mut names: Vec<String> = self.seen.nodes.keys().cloned().collect();
        self.dice.shuffle(&mut names);
        // Each node fails with the same chance, whichever operation comes.
        let share = self.model.fail_rate * self.seen.nodes.len() as f64;
        for name in names.into_iter().take(share.round() as usize) {
            self.model.failures.insert(name, u32::MAX);
        }
        self.go_on();
    }

    /// The world's time.
    pub fn now(&self) -> Timestamp {
        self.clock
    }

    /// The world's time in seconds, which is all that metadata knows.
    pub(super) fn second(&self) -> Timestamp {
        Timestamp::from_second(self.clock.as_second()).unwrap_or(self.clock)
    }

    /// What the Date header of an answer tells; the clocks of apiservers may differ.
    fn told(&self) -> Timestamp {
        self.second().checked_add(self.skew).unwrap_or(self.clock)
    }

    /// When the next thing happens by itself.
    pub fn next(&self) -> Option<Timestamp> {
        self.agenda.first_key_value().map(|((when, _), _)| *when)
    }

    /// Lets everything happen that happens until then.
    pub fn run_until(&mut self, until: Timestamp) {
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= until) {
            let ((when, _), happening) = entry.remove_entry();
            self.clock = self.clock.max(when);
            self.happen(happening);
        }
        self.clock = self.clock.max(until);
    }

    /// What a round sees that looks now: with the pods of draining nodes, the budgets over them, and every absence that a
    /// decision would rest on.
    pub fn look(&mut self) -> &Snapshot {
        let mut extra = Snapshot { nodes: Nodes::default(), ..self.looked_again(&self.seen) };
        self.seen.now = extra.now;
        self.seen.drains = std::mem::take(&mut extra.drains);
        self.seen.budgets = std::mem::take(&mut extra.budgets);
        self.seen.absent = std::mem::take(&mut extra.absent);
        &self.seen
    }

    /// What a round sees whose lists are these, as old as they may be, and which looks at everything else now.
    pub fn complete(&self, lists: Snapshot) -> Snapshot {
        let mut snapshot = lists;
        let again = self.looked_again(&snapshot);
        snapshot.now = again.now;
        snapshot.drains = again.drains;
        snapshot.budgets = again.budgets;
        snapshot.absent = again.absent;
        snapshot.jobs.extend(again.jobs);
        snapshot.nodes.extend(again.nodes);
        snapshot
    }

    /// What a round looks at after it has listed: the pods of draining nodes, the budgets over them, absences, and the Jobs
    /// and nodes that the lists show otherwise than a status says.
    fn looked_again(&self, lists: &Snapshot) -> Snapshot {
        let trusts = Mutant::TrustLists.lives();
        let mut drains: BTreeMap<String, Vec<Arc<Pod>>> = BTreeMap::new();
        for node in doubts::draining_nodes(lists) {
            let pods = self.workload.on(&node).cloned().chain(self.pods_on(&node).cloned().map(Arc::new)).collect();
            drains.insert(node, pods);
        }
        // Somebody may have taken our label off a Job, or the list is older than it is.
        let listed: HashSet<&str> = lists.jobs.iter().map(|job| job.uid.as_str()).collect();
        let named = lists.nodeops.iter().flat_map(|op| op.status.node_statuses.values()).filter_map(|entry| entry.job_uid.as_deref());
        let named = named.filter(|uid| !listed.contains(uid)).filter_map(|uid| self.job(uid));
        let unlisted = doubts::unlisted_jobs(lists);
        let unlisted = unlisted.iter().filter_map(|(namespace, name)| self.job_named(namespace, name));
        let unheld = doubts::unheld_nodes(lists).into_iter().filter_map(|name| self.seen.nodes.get(&name).map(|node| (name, node.clone())));
        Snapshot {
            now: self.told(),
            budgets: if drains.is_empty() { Vec::new() } else { self.workload.budgets() },
            drains,
            absent: doubts::absences(lists).into_iter().filter(|what| trusts || self.is_absent(what)).collect(),
            jobs: named.chain(unlisted).filter(|_| !trusts).cloned().collect(),
            nodes: unheld.filter(|_| !trusts).collect(),
            ..Snapshot::default()
        }
    }

    /// What a GET says to an absence.
    fn is_absent(&self, what: &Reference) -> bool {
        let there = match what.kind.as_str() {
            "Node" => self.seen.nodes.get(&what.name).map(|node| &node.uid),
            "Job" => self.job_named(&what.namespace, &what.name).map(|job| &job.uid),
            _ => self.operation_named(&what.namespace, &what.name).map(|op| &op.meta.uid),
        };
        there.is_none_or(|uid| *uid != what.uid && !what.uid.is_empty())
    }

    /// Puts something on the agenda, at this distance.
    pub(super) fn after(&mut self, distance: SignedDuration, happening: Happening) {
        let when = self.clock.checked_add(distance).unwrap_or(Timestamp::MAX);
        self.counter += 1;
        self.agenda.insert((when, self.counter), happening);
    }

    /// Puts something on the agenda, after a time that is drawn.
    pub(super) fn in_a_while(&mut self, spread: Spread, happening: Happening) {
        let distance = spread.draw(&mut self.dice);
        self.after(distance, happening);
    }

    /// Puts a controller's reaction on the agenda.
    pub(super) fn soon(&mut self, happening: Happening) {
        self.in_a_while(self.model.controller, happening);
    }

    fn happen(&mut self, happening: Happening) {
        if let Some(silent) = self.cut_off(&happening).and_then(|node| self.cut.get_mut(&node)) {
            return silent.push(happening);
        }
        match happening {
            Happening::SyncJob(uid) => self.sync_job(&uid),
            Happening::StartPod(uid) => self.start_pod(&uid),
            Happening::EndPod(uid) => self.end_pod(&uid),
            Happening::StopPod(uid) => self.stop_pod(&uid),
            Happening::TryReboot(uid) => self.try_reboot(&uid),
            Happening::Orphan(uid) => self.orphan(&uid),
            Happening::Schedule => self.schedule(),
            Happening::RemovePod(uid) => self.drop_pod(&uid),
            Happening::Ready(uid) => self.pod_ready(&uid),
            Happening::Leave(uid) => self.leave(&uid),
            Happening::Collect(uid) => self.collect(&uid),
            Happening::Expire(uid) => self.expire(&uid),
            Happening::NotReady(uid) => self.not_ready(&uid),
            Happening::Desert(uid) => self.desert(&uid),
            Happening::Boot(uid) => self.boot(&uid),
            Happening::NodeReady(uid) => self.node_ready(&uid),
        }
    }

    /// A new uid.
    pub(super) fn uid(&mut self, what: &str) -> String {
        self.counter += 1;
        format!("{what}-{:08}", self.counter)
    }

    /// A new resourceVersion.
    pub(super) fn version(&mut self) -> String {
        self.counter += 1;
        self.counter.to_string()
    }

    /// A Job by uid.
    pub fn job(&self, uid: &str) -> Option<&Job> {
        self.seen.jobs.get(*self.jobs.get(uid)?)
    }

    pub(super) fn job_mut(&mut self, uid: &str) -> Option<&mut Job> {
        self.seen.jobs.get_mut(*self.jobs.get(uid)?)
    }

    /// A Job by name.
    pub fn job_named(&self, namespace: &str, name: &str) -> Option<&Job> {
        self.job(self.names.get(&self::name("Job", namespace, name))?)
    }

    /// One of our pods by name.
    pub fn pod_named(&self, namespace: &str, name: &str) -> Option<&Pod> {
        self.pod(self.names.get(&self::name("Pod", namespace, name))?)
    }

    /// Takes a name for an object of which nothing else is kept; whether it was free.
    pub(super) fn takes_name(&mut self, kind: &str, namespace: &str, name: &str) -> bool {
        self.names.insert(self::name(kind, namespace, name), String::new()).is_none()
    }

    pub(super) fn add_job(&mut self, job: Job) {
        self.jobs.insert(job.uid.clone(), self.seen.jobs.len());
        self.names.insert(name("Job", &job.namespace, &job.name), job.uid.clone());
        self.seen.jobs.push(job);
    }

    pub(super) fn take_job(&mut self, uid: &str) -> Option<Job> {
        let at = self.jobs.remove(uid)?;
        let job = self.seen.jobs.swap_remove(at);
        self.names.remove(&name("Job", &job.namespace, &job.name));
        if let Some(moved) = self.seen.jobs.get(at) {
            self.jobs.insert(moved.uid.clone(), at);
        }
        Some(job)
    }

    /// A pod of ours by uid.
    pub fn pod(&self, uid: &str) -> Option<&Pod> {
        self.seen.pods.get(*self.pods.get(uid)?)
    }

    pub(super) fn pod_mut(&mut self, uid: &str) -> Option<&mut Pod> {
        self.seen.pods.get_mut(*self.pods.get(uid)?)
    }

    pub(super) fn add_pod(&mut self, pod: Pod) {
        self.pods.insert(pod.uid.clone(), self.seen.pods.len());
        self.names.insert(name("Pod", &pod.namespace, &pod.name), pod.uid.clone());
        self.on.entry(pod.node.clone()).or_default().push(pod.uid.clone());
        self.seen.pods.push(pod);
    }

    pub(super) fn take_pod(&mut self, uid: &str) -> Option<Pod> {
        let at = self.pods.remove(uid)?;
        let pod = self.seen.pods.swap_remove(at);
        self.names.remove(&name("Pod", &pod.namespace, &pod.name));
        if let Some(on) = self.on.get_mut(&pod.node) {
            on.retain(|other| *other != pod.uid);
        }
        if let Some(moved) = self.seen.pods.get(at) {
            self.pods.insert(moved.uid.clone(), at);
        }
        Some(pod)
    }

    /// Our pods on a node, in the order in which they were made.
    pub fn pods_on<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Pod> {
        self.on.get(node).into_iter().flatten().filter_map(|uid| self.pod(uid))
    }

    /// A NodeOp by name.
    pub fn operation_named(&self, namespace: &str, name: &str) -> Option<&Resource<NodeOpSpec, NodeOpStatus>> {
        self.seen.nodeops.iter().find(|op| op.meta.name == name && op.meta.namespace == namespace)
    }

    /// The node of a uid.
    pub(super) fn machine(&self, uid: &str) -> Option<&Node> {
        self.seen.nodes.get(self.machines.get(uid)?).filter(|node| node.uid == uid)
    }

    pub(super) fn machine_mut(&mut self, uid: &str) -> Option<&mut Node> {
        self.seen.nodes.get_mut(self.machines.get(uid)?).filter(|node| node.uid == uid)
    }

    pub(super) fn add_node(&mut self, node: Node) {
        self.machines.insert(node.uid.clone(), node.name.clone());
        self.seen.nodes.insert(node.name.clone(), node);
    }
}

fn name(kind: &str, namespace: &str, name: &str) -> String {
    format!("{kind} {namespace}/{name}")
}
