//! What the tests of this binary share: a real control plane, one namespace, user and set of nodes per test, and the audit log.

pub mod api;
pub mod audit;
pub mod control_plane;
pub mod kubelet;
pub mod proxy;
pub mod wait;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

pub use audit::Entry;
pub use control_plane::ControlPlane;
use control_plane::Own;
pub use proxy::Proxy;
pub use wait::wait_for;

/// Users that the control plane knows, `rounds-000` to `rounds-299`: one for each test, so that the audit log tells them apart.
static NEXT_USER: AtomicUsize = AtomicUsize::new(0);

/// One test's corner of the control plane: a namespace, a user with the shipped ClusterRole, and nodes of its own.
pub struct Corner {
    /// The control plane.
    pub plane: &'static ControlPlane,
    /// Namespace, and prefix of node names.
    pub name: String,
    /// The runner's user.
    pub user: String,
    /// The user's kubeconfig.
    pub kubeconfig: PathBuf,
    /// The control plane, where no other test has a corner in it.
    pub _own: Option<Own>,
}

/// What a run of the binary printed.
#[derive(Debug)]
pub struct Printed {
    /// Exit code.
    pub code: i32,
    /// stdout.
    pub out: String,
    /// stderr.
    pub err: String,
}

impl Corner {
    /// A corner in the control plane that all tests share.
    pub fn new(name: &str) -> Self {
        Self::on(ControlPlane::shared(), name)
    }

    /// The only corner of a control plane that ends with it: for a test that would disturb the others, or be disturbed. Where
    /// control planes reboot, one node of a cluster is away at a time, whosever it is, and other tests' would be waited for.
    pub fn alone(name: &str) -> Self {
        let own = ControlPlane::own(name);
        let corner = Self::on(own.plane(), name);
        Self { _own: Some(own), ..corner }
    }

    /// A corner on a control plane.
    pub fn on(plane: &'static ControlPlane, name: &str) -> Self {
        let index = NEXT_USER.fetch_add(1, Ordering::SeqCst);
        assert!(index < 300, "more tests than users: add some to tests/cluster/up.sh");
        plane.kubectl(&["create", "namespace", name], None);
        let (user, token) = plane.user(name, index);
        let corner = Self { plane, name: name.into(), kubeconfig: plane.kubeconfig_for(&format!("{index:03}"), &token), user, _own: None };
        corner.kubectl(&["create", "clusterrolebinding", name, "--clusterrole=rounds", &format!("--user={}", corner.user)]);
        corner
    }

    /// The same corner once more.
    pub fn again(&self) -> Self {
        Self { plane: self.plane, name: self.name.clone(), user: self.user.clone(), kubeconfig: self.kubeconfig.clone(), _own: None }
    }

    /// Another corner for the same user.
    pub fn beside(&self, name: &str) -> Self {
        self.kubectl(&["create", "namespace", name]);
        Self { name: name.into(), ..self.again() }
    }

    /// This corner, with a runner that talks to the apiserver through a proxy.
    pub fn through(&self, proxy: &Proxy) -> Self {
        Self { kubeconfig: proxy.kubeconfig.clone(), ..self.again() }
    }

    /// Makes fake nodes `<name>-0…`, the first ones control plane, with the label `corner=<name>`; waits until they are Ready.
    pub fn nodes(&self, count: usize, control_planes: usize) -> Vec<String> {
        let names: Vec<String> = (0..count).map(|index| format!("{}-{index}", self.name)).collect();
        let nodes: Vec<Value> = names.iter().enumerate().map(|(index, name)| self.node(name, index < control_planes)).collect();
        self.create(&json!({"apiVersion": "v1", "kind": "List", "items": nodes}));
        wait_for("all nodes are Ready", Duration::from_secs(60), || self.nodes_now().iter().filter(|node| is_ready(node)).count() == count);
        names
    }

    /// Removes the corner's nodes, and all that is in its namespace: a round looks at everything there is, so a test that
    /// makes many corners grows slower with each one that it leaves.
    pub fn clear(&self) {
        let nodes = self.nodes_now();
        let nodes = nodes.iter().filter_map(|node| node["metadata"]["name"].as_str()).map(|name| format!("node/{name}"));
        let all: Vec<String> = nodes.chain([format!("namespace/{}", self.name)]).collect();
        let args: Vec<&str> = ["delete", "--wait=false"].into_iter().chain(all.iter().map(String::as_str)).collect();
        self.kubectl(&args);
    }

    /// A fake node's manifest.
    pub fn node(&self, name: &str, control_plane: bool) -> Value {
        let mut labels = json!({"corner": self.name, "kubernetes.io/hostname": name, "kairos.io/managed": "true"});
        if control_plane {
            labels["node-role.kubernetes.io/control-plane"] = json!("true");
        }
        self.node_labelled(name, labels)
    }

    /// A fake node's manifest with just these labels.
    pub fn node_labelled(&self, name: &str, labels: Value) -> Value {
        let resources = json!({"cpu": "32", "memory": "64Gi", "pods": "200"});
        json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
            // Only pods that tolerate it, and those that name the node, land here: other tests' pods do not.
            "spec": {"taints": [{"key": "corner", "value": self.name, "effect": "NoSchedule"}]},
            "status": {"allocatable": resources, "capacity": resources, "nodeInfo": {
                "bootID": format!("boot-{name}"), "architecture": "amd64", "operatingSystem": "linux", "kernelVersion": "6", "osImage": "Kairos",
                "kubeletVersion": "v1.35.4", "kubeProxyVersion": "", "containerRuntimeVersion": "fake", "machineID": name, "systemUUID": name,
            }},
        })
    }

    /// Waits until a node is Ready.
    pub fn wait_ready(&self, name: &str) {
        wait_for("the node is Ready", Duration::from_secs(30), || self.node_ready(name));
    }

    /// The corner's nodes as they are now.
    pub fn nodes_now(&self) -> Vec<Value> {
        self.selected("nodes", &format!("corner={}", self.name))
    }

    /// Waits until this many pods with a label run and are Ready.
    pub fn wait_for_pods(&self, selector: &str, count: usize) {
        let ready = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null() && is_ready(pod);
        wait_for(selector, Duration::from_secs(60), || self.selected("pods", selector).iter().filter(ready).count() == count);
    }

    /// Waits until the disruption controller has counted a budget's pods.
    pub fn wait_for_budget(&self, name: &str) {
        wait_for("the budget is counted", Duration::from_secs(30), || {
            let budget = self.get("pdb", name);
            budget["status"]["observedGeneration"] == budget["metadata"]["generation"]
                && budget["status"]["expectedPods"].as_i64().unwrap_or(0) > 0
        });
    }

    fn node_ready(&self, name: &str) -> bool {
        is_ready(&self.get("node", name))
    }

    /// A NodeOp over this corner's nodes; `spec` is merged over `{nodeSelector, command: [succeed]}`.
    pub fn nodeop(&self, name: &str, spec: Value) -> Value {
        let mut whole = json!({"nodeSelector": {"matchLabels": {"corner": self.name}}, "command": ["succeed"]});
        merge(&mut whole, spec);
        json!({"apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOp", "metadata": {"name": name, "namespace": self.name}, "spec": whole})
    }

    /// A NodeOpUpgrade over this corner's nodes; `spec` is merged over `{nodeSelector, image}`. The fake nodes take the version
    /// from the image's tag.
    pub fn upgrade(&self, name: &str, spec: Value) -> Value {
        let image = "quay.io/kairos/ubuntu:24.04-standard-amd64-generic-v3.6.0-k3sv1.33.4-k3s1";
        let mut whole = json!({"nodeSelector": {"matchLabels": {"corner": self.name}}, "image": image});
        merge(&mut whole, spec);
        json!({"apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOpUpgrade", "metadata": {"name": name, "namespace": self.name}, "spec": whole})
    }

    /// Edits a NodeOpUpgrade, as a person would.
    pub fn patch_upgrade(&self, name: &str, patch: &Value) {
        self.kubectl(&["-n", &self.name, "patch", "nodeopupgrades.operator.kairos.io", name, "--type=merge", "-p", &patch.to_string()]);
    }

    /// The status of a NodeOpUpgrade.
    pub fn upgrade_status(&self, name: &str) -> Value {
        self.get("nodeopupgrades.operator.kairos.io", name)["status"].clone()
    }

    /// A Deployment of `replicas` pods that only run on this corner's nodes; `pod` is merged over the pod's spec.
    pub fn deployment(&self, name: &str, replicas: usize, pod: Value) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": self.name},
            "spec": {
                "replicas": replicas, "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}}, "spec": self.pod_spec(pod)},
            },
        })
    }

    /// The spec of a pod that runs on this corner's nodes until somebody ends it.
    pub fn pod_spec(&self, more: Value) -> Value {
        let mut spec = json!({
            "nodeSelector": {"corner": self.name},
            "tolerations": [{"key": "corner", "operator": "Exists"}],
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "app", "image": "app:1"}],
        });
        merge(&mut spec, more);
        spec
    }

    /// A disruption budget over the pods with label `app: <app>`.
    pub fn budget(&self, name: &str, app: &str, max_unavailable: i64) -> Value {
        json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name, "namespace": self.name},
            "spec": {"maxUnavailable": max_unavailable, "selector": {"matchLabels": {"app": app}}},
        })
    }

    /// Creates an object as the administrator; it must be accepted.
    pub fn create(&self, object: &Value) {
        let output = self.kubectl_with(&["create", "-f", "-"], Some(&object.to_string()));
        assert!(output.status.success(), "create failed: {}\n{object:#}", String::from_utf8_lossy(&output.stderr));
    }

    /// Applies an object server-side as a person would; it must be accepted.
    pub fn apply(&self, object: &Value) {
        let output = self.kubectl_with(&["apply", "--server-side", "-f", "-"], Some(&object.to_string()));
        assert!(output.status.success(), "apply failed: {}\n{object:#}", String::from_utf8_lossy(&output.stderr));
    }

    /// An object; null if there is none.
    pub fn get(&self, kind: &str, name: &str) -> Value {
        if let (Some(api), Some(path)) = (self.plane.api(), api::path(kind, &self.name)) {
            return api.get(&format!("{path}/{name}")).unwrap_or(Value::Null);
        }
        let output = self.kubectl_with(&["-n", &self.name, "get", kind, name, "-o", "json"], None);
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// All objects of a kind in this corner's namespace.
    pub fn list(&self, kind: &str) -> Vec<Value> {
        self.selected(kind, "")
    }

    /// Those with these labels.
    fn selected(&self, kind: &str, labels: &str) -> Vec<Value> {
        let list = match (self.plane.api(), api::path(kind, &self.name)) {
            (Some(api), Some(path)) => api.get(&format!("{path}?labelSelector={}", labels.replace('=', "%3D"))).expect("a list"),
            _ => serde_json::from_str(&self.kubectl(&["-n", &self.name, "get", kind, "-l", labels, "-o", "json"])).expect("a list"),
        };
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// The status of a NodeOp.
    pub fn status(&self, name: &str) -> Value {
        self.get("nodeops.operator.kairos.io", name)["status"].clone()
    }

    /// kubectl as the administrator; it must succeed. Returns what it printed.
    pub fn kubectl(&self, args: &[&str]) -> String {
        let output = self.kubectl_with(args, None);
        assert!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// kubectl as the administrator, with something on stdin.
    pub fn kubectl_with(&self, args: &[&str], stdin: Option<&str>) -> Output {
        self.plane.kubectl(args, stdin)
    }

    /// Patches the status of a pod or node, as its kubelet would.
    pub fn patch_status(&self, kind: &str, name: &str, status: &Value) {
        let patch = json!({"status": status}).to_string();
        self.kubectl(&["-n", &self.name, "patch", kind, name, "--subresource=status", "--type=merge", "-p", &patch]);
    }

    /// The binary, as this corner's user and only for its namespace.
    pub fn rounds(&self, args: &[&str]) -> Printed {
        self.rounds_with(args, &[])
    }

    /// The binary with more environment.
    pub fn rounds_with(&self, args: &[&str], env: &[(&str, &str)]) -> Printed {
        printed(self.command(args).envs(env.iter().copied()).output().expect("the binary starts"))
    }

    /// The command line of the binary, as this corner's user and only for its namespace.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rounds"));
        command.args(args).args(["--namespace", &self.name]);
        command.env_clear().env("KUBECONFIG", &self.kubeconfig).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// `rounds run`; the round must have done its work.
    pub fn round(&self) {
        let printed = self.rounds(&["run"]);
        assert_eq!(printed.code, 0, "{printed:#?}");
    }

    /// Rounds until everything is settled. The time limit is for what never settles, not for a slow machine.
    pub fn settle(&self) -> Printed {
        self.rounds(&["run", "--until-settled", "--timeout", "400s"])
    }

    /// Rounds until a condition holds.
    pub fn rounds_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        wait_for(what, Duration::from_secs(60), || {
            self.round();
            holds()
        });
    }

    /// This corner's requests in the audit log.
    pub fn audit(&self) -> Vec<Entry> {
        audit::of_user(self.plane, &self.user)
    }

    /// This corner's requests that write, whatever became of them.
    pub fn writes(&self) -> Vec<Entry> {
        self.audit().into_iter().filter(Entry::is_write).collect()
    }

    /// Another user's requests that write, in whatever namespace.
    pub fn writes_of(&self, user: &str) -> Vec<Entry> {
        audit::of_user(self.plane, user).into_iter().filter(Entry::is_write).collect()
    }
}

fn is_ready(object: &Value) -> bool {
    object["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}

fn printed(output: Output) -> Printed {
    Printed {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Merges JSON objects; everything else is replaced.
pub fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// Feeds a child's stdin.
pub fn feed(child: &mut std::process::Child, text: &str) {
    if let Some(mut stdin) = child.stdin.take() {
        // A child that has already ended does not read.
        let _ = stdin.write_all(text.as_bytes());
    }
}
