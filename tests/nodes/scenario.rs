//! What one test has of the world: some nodes, a namespace, and a runner's user with the shipped ClusterRole.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::wait::wait_for;
use crate::world::{NODES, World, is_ready};

/// How long anything may take on a busy machine.
pub const LONG: Duration = Duration::from_secs(180);

/// The nodes that nobody has.
static FREE: Mutex<Vec<&str>> = Mutex::new(Vec::new());
static GIVEN_BACK: Condvar = Condvar::new();
/// Who waits first is served first, however many nodes he needs.
static TURN: Mutex<bool> = Mutex::new(false);
/// Users that the control plane knows, `rounds-000` to `rounds-299`.
static NEXT_USER: AtomicUsize = AtomicUsize::new(0);

/// Some nodes, which bear the label `scenario=<name>`, and a namespace of that name.
pub struct Scenario {
    /// The world that all scenarios share.
    pub world: &'static World,
    /// Namespace, and value of the label.
    pub name: String,
    /// The nodes, a control plane first.
    pub nodes: Vec<&'static str>,
    kubeconfig: PathBuf,
    before: BTreeMap<&'static str, (usize, usize)>,
}

/// `rounds run --loop`, until it is killed or dropped.
pub struct Runner(Child);

impl Scenario {
    /// One node, whichever is free.
    pub fn on_one(name: &str) -> Self {
        Self::on(name, 1)
    }

    /// All nodes.
    pub fn on_all(name: &str) -> Self {
        Self::on(name, NODES.len())
    }

    fn on(name: &str, count: usize) -> Self {
        let nodes = take(count);
        let world = World::shared();
        let user = format!("rounds-{:03}", NEXT_USER.fetch_add(1, Ordering::SeqCst));
        let before = nodes.iter().map(|node| (*node, (world.ends(node).len(), world.reboots(node).len()))).collect();
        let scenario = Self { world, name: name.into(), nodes, kubeconfig: world.kubeconfig_for(&user), before };
        world.kubectl(&["create", "namespace", name]);
        world.kubectl(&["create", "clusterrolebinding", name, "--clusterrole=rounds", &format!("--user={user}")]);
        for node in &scenario.nodes {
            scenario.wait_ready(node);
            world.kubectl(&["label", "node", node, "--overwrite", &format!("scenario={name}")]);
        }
        scenario
    }

    /// The only node.
    pub fn node(&self) -> &'static str {
        self.nodes[0]
    }

    /// Waits until a node is Ready, in the boot that it is in.
    pub fn wait_ready(&self, node: &str) {
        wait_for(&format!("{node} is Ready"), LONG, || {
            let object = self.world.get(&["node", node]);
            is_ready(&object) && object["status"]["nodeInfo"]["bootID"].as_str() == Some(self.world.boot_id(node).as_str())
        });
    }

    /// Creates a NodeOp over the scenario's nodes; `spec` is merged over a NodeOp that writes a line into /var/log/ran.
    pub fn nodeop(&self, name: &str, spec: &Value) {
        let mut whole = json!({"command": ["sh", "-c", "echo ran >>$HOST_DIR/var/log/ran"]});
        merge(&mut whole, spec);
        self.create(&json!({"apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOp", "metadata": {"name": name}, "spec": whole}));
    }

    /// Creates the objects of a manifest of this repository, changed a little.
    pub fn manifest(&self, path: &str, change: impl Fn(&mut Value)) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for mut object in rounds::yaml::documents(&text).expect("YAML") {
            change(&mut object);
            self.create(&object);
        }
    }

    /// Creates an object in the scenario's namespace; a NodeOp gets its nodes.
    pub fn create(&self, object: &Value) {
        let mut object = object.clone();
        object["metadata"]["namespace"] = json!(self.name);
        if object["kind"] == "NodeOp" {
            object["spec"]["nodeSelector"]["matchLabels"]["scenario"] = json!(self.name);
        }
        self.world.feed(&["create", "-f", "-"], &object.to_string());
    }

    /// A Deployment of pods that run on the scenario's nodes until somebody ends them; `pod` is merged over a pod's spec.
    pub fn deployment(&self, name: &str, replicas: usize, pod: &Value) {
        let mut whole = json!({"nodeSelector": {"scenario": self.name}, "terminationGracePeriodSeconds": 1, "containers": [sleeping()]});
        merge(&mut whole, pod);
        self.create(&json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {
                "replicas": replicas, "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}}, "spec": whole},
            },
        }));
        let label = format!("app={name}");
        wait_for("the pods are Ready", LONG, || self.pods(&label).iter().filter(|pod| is_ready(pod)).count() == replicas);
    }

    /// A Deployment of which so many pods must be there at any time.
    pub fn protected(&self, name: &str, replicas: usize, available: usize) {
        self.deployment(name, replicas, &json!({}));
        self.create(&json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name},
            "spec": {"minAvailable": available, "selector": {"matchLabels": {"app": name}}},
        }));
    }

    /// A pod on a node that nobody would make again.
    pub fn bare_pod(&self, name: &str, node: &str) {
        let spec = json!({"nodeName": node, "terminationGracePeriodSeconds": 1, "containers": [sleeping()]});
        self.create(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}));
        let label = format!("app={name}");
        wait_for("the pod is Ready", LONG, || self.pods(&label).iter().any(is_ready));
    }

    /// The nodes run this version of Kairos from now on, whatever earlier tests have put on them.
    pub fn set_version(&self, version: &str) {
        self.nodes.iter().for_each(|node| self.world.set_version(node, version));
    }

    /// A node leaves the cluster: it is down, and not known any more.
    pub fn take_away(&self, node: &str) {
        self.world.hold(node);
        self.world.pull_the_plug(node);
        self.world.kubectl(&["delete", "node", node]);
    }

    /// A node that was taken away comes back, and registers anew.
    pub fn bring_back(&self, node: &str) {
        self.world.release(node);
        self.wait_ready(node);
        self.world.restore_labels(node, &self.name);
    }

    /// The pods of the namespace that have a label.
    pub fn pods(&self, label: &str) -> Vec<Value> {
        self.world.get(&["pods", "-n", &self.name, "-l", label])["items"].as_array().cloned().unwrap_or_default()
    }

    /// What a NodeOp tells of a node.
    pub fn entry(&self, nodeop: &str, node: &str) -> Value {
        self.status(nodeop)["nodeStatuses"][node].clone()
    }

    /// The status of a NodeOp.
    pub fn status(&self, nodeop: &str) -> Value {
        self.world.get(&["-n", &self.name, "nodeops.operator.kairos.io", nodeop])["status"].clone()
    }

    /// The status of a NodeOpUpgrade.
    pub fn upgrade_status(&self, upgrade: &str) -> Value {
        self.world.get(&["-n", &self.name, "nodeopupgrades.operator.kairos.io", upgrade])["status"].clone()
    }

    /// Waits until a NodeOp tells this of a node.
    pub fn wait_entry(&self, nodeop: &str, node: &str, field: &str, value: &str) -> Value {
        let mut entry = Value::Null;
        wait_for(&format!("{nodeop} on {node}: {field} {value}"), LONG, || {
            entry = self.entry(nodeop, node);
            entry[field] == value
        });
        entry
    }

    /// Waits until a NodeOp is in a phase.
    pub fn wait_phase(&self, nodeop: &str, phase: &str) {
        wait_for(&format!("{nodeop} is {phase}"), LONG, || self.status(nodeop)["phase"] == phase);
    }

    /// Starts a runner.
    pub fn runner(&self) -> Runner {
        self.runner_with(&[])
    }

    /// Starts a runner with more flags.
    pub fn runner_with(&self, flags: &[&str]) -> Runner {
        let log = self.world.log(&self.name);
        let mut command = self.world.command(env!("CARGO_BIN_EXE_rounds"), &["run", "--loop", "1s", "--namespace", &self.name]);
        command.args(flags);
        command.env("KUBECONFIG", &self.kubeconfig).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(File::options().create(true).append(true).open(log).expect("the runner's log"));
        Runner(command.spawn().expect("the runner starts"))
    }

    /// Rounds until everything is settled; returns the exit code.
    pub fn settle(&self) -> i32 {
        self.settle_with(&[])
    }

    /// The same with more flags.
    pub fn settle_with(&self, flags: &[&str]) -> i32 {
        let args = ["run", "--until-settled", "--timeout", "600s", "--namespace", &self.name];
        let mut command = self.world.command(env!("CARGO_BIN_EXE_rounds"), &args);
        command.args(flags);
        command.env("KUBECONFIG", &self.kubeconfig).stdin(Stdio::null());
        command.stderr(File::options().create(true).append(true).open(self.world.log(&self.name)).expect("the runner's log"));
        command.status().expect("the runner starts").code().unwrap_or(-1)
    }

    /// How the boots of a node have ended since the scenario began.
    pub fn ends(&self, node: &str) -> Vec<String> {
        self.world.ends(node).split_off(self.before[node].0)
    }

    /// How often the node's reboot command was called since the scenario began.
    pub fn reboots(&self, node: &str) -> usize {
        self.world.reboots(node).len() - self.before[node].1
    }

    /// The node went down once, by the reboot command.
    pub fn assert_rebooted_once(&self, node: &str) {
        assert_eq!((self.ends(node), self.reboots(node)), (vec!["rebooted".to_string()], 1), "{node}");
    }

    /// Deletes a NodeOp, as a person does who wants its nodes back.
    pub fn delete(&self, nodeop: &str) {
        self.world.kubectl(&["-n", &self.name, "delete", "nodeops.operator.kairos.io", nodeop]);
    }

    /// Nothing holds the nodes any more; a runner may need a moment for it.
    pub fn assert_given_back(&self) {
        for node in &self.nodes {
            wait_for(&format!("{node} is given back"), LONG, || {
                let object = self.world.get(&["node", node]);
                let annotations = object["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
                let held =
                    ["operator.kairos.io/operation", "operator.kairos.io/cordoned-by"].iter().any(|key| annotations.contains_key(*key));
                is_ready(&object) && !held && object["spec"]["unschedulable"] != true
            });
        }
    }

    /// What a person would look at.
    fn tell(&self) {
        let world = self.world;
        for args in [["get", "nodeops,jobs,pods", "-o", "wide"], ["get", "nodeops", "-o", "yaml"], ["get", "events", "-o", "wide"]] {
            let all: Vec<&str> = args.iter().copied().chain(["-n", self.name.as_str()]).collect();
            eprintln!("{}", String::from_utf8_lossy(&world.try_kubectl(&all, None).stdout));
        }
        for node in &self.nodes {
            eprintln!("{node}: ends {:?}, reboot commands {}", self.ends(node), self.reboots(node));
            ["console.log", "containerd.log", "kubelet.log"].iter().for_each(|log| eprintln!("{log}: {}", world.last_lines(node, log)));
        }
        eprintln!("{}", std::fs::read_to_string(world.log(&self.name)).unwrap_or_default());
    }
}

impl Drop for Scenario {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
        // Pods that take their time to end are not to be in the next one's way.
        self.world.try_kubectl(&["delete", "deployments", "--all", "-n", &self.name], None);
        self.world.try_kubectl(&["delete", "pods", "--all", "-n", &self.name, "--grace-period=0", "--force", "--wait=false"], None);
        self.world.try_kubectl(&["delete", "namespace", &self.name, "--wait=false"], None);
        for node in self.nodes.drain(..) {
            self.world.release(node);
            if std::thread::panicking() && self.world.is_up(node) && self.world.get(&["node", node]).is_null() {
                self.world.pull_the_plug(node);
            }
            self.world.try_kubectl(&["label", "node", node, "scenario-", "kairos.io/managed-"], None);
            // Without its label it counts as not looked at; and what a test that failed may have left.
            let marks = ["operator.kairos.io/probed-boot-", "operator.kairos.io/operation-", "operator.kairos.io/cordoned-by-"];
            self.world.try_kubectl(&[&["annotate", "node", node], &marks[..]].concat(), None);
            self.world.try_kubectl(&["uncordon", node], None);
            locked(&FREE).push(node);
        }
        GIVEN_BACK.notify_all();
    }
}

impl Runner {
    /// The runner is gone, wherever it is in its work.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits for so many nodes.
fn take(count: usize) -> Vec<&'static str> {
    let mut begun = locked(&TURN);
    let mut free = locked(&FREE);
    if !std::mem::replace(&mut begun, true) {
        free.extend(NODES);
    }
    while free.len() < count {
        free = GIVEN_BACK.wait(free).unwrap_or_else(PoisonError::into_inner);
    }
    // A worker first, where one will do.
    free.sort_by_key(|node| std::cmp::Reverse(NODES.iter().position(|name| name == node)));
    let mut taken: Vec<_> = free.drain(..count).collect();
    taken.sort_by_key(|node| NODES.iter().position(|name| name == node));
    taken
}

/// A test that failed must not fail the others.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A container that does nothing until somebody ends it.
fn sleeping() -> Value {
    json!({"name": "app", "image": "busybox:1.37", "imagePullPolicy": "IfNotPresent", "command": ["sleep", "infinity"]})
}

/// Lays one object over another.
pub fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            from.iter().for_each(|(key, value)| merge(into.entry(key).or_insert(Value::Null), value))
        }
        (into, from) => into.clone_from(from),
    }
}
