//! What a build needs of a cluster and the world's has not: volumes, Services that lead somewhere, and what `kustomize/` has
//! to push and upload to, as it is.

use std::cell::RefCell;
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::scenario::{LONG, Scenario};
use crate::wait::wait_for;
use crate::world::is_ready;

/// A scenario of one node, and what is installed there.
pub struct Site<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    forwarders: RefCell<Vec<Child>>,
}

impl<'a> Site<'a> {
    /// Nothing is installed yet.
    pub fn of(scenario: &'a Scenario) -> Self {
        Self { scenario, forwarders: RefCell::default() }
    }

    /// A volume for a claim, a folder of the scenario's node: whoever mounts it runs there. Returns the folder.
    pub fn volume(&self, claim: &str) -> String {
        let (scenario, folder) = (self.scenario, format!("/var/lib/volumes/{}/{claim}", self.scenario.name));
        scenario.world.on_node(scenario.node(), &["mkdir", "-p", &folder]);
        let node = json!({"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [scenario.node()]}]});
        scenario.create(&json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": format!("{}-{claim}", scenario.name)},
            "spec": {
                "capacity": {"storage": "50Gi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Retain",
                "local": {"path": folder}, "nodeAffinity": {"required": {"nodeSelectorTerms": [node]}},
                "claimRef": {"namespace": scenario.name, "name": claim},
            },
        }));
        folder
    }

    /// The place to upload to, by the command of README.md.
    pub fn nginx(&self) -> String {
        self.volume("nginx-public");
        self.install("kustomize/nginx", "app.kubernetes.io/name=kairos-operator-nginx");
        self.open("kairos-operator-nginx", "app.kubernetes.io/name=kairos-operator-nginx")
    }

    /// The registry that asks for a name and a password: puller, correct.
    pub fn registry(&self) -> String {
        self.volume("registry-data");
        let passwords = self.scenario.world.dir().join("registry/htpasswd");
        let file = format!("--from-file=htpasswd={}", passwords.display());
        self.kubectl(&["create", "secret", "generic", "registry-htpasswd", &file]);
        self.install("kustomize/registry", "app.kubernetes.io/name=registry");
        self.open("registry", "app.kubernetes.io/name=registry")
    }

    fn install(&self, folder: &str, label: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        self.kubectl(&["apply", "-k", &folder.to_string_lossy()]);
        wait_for("it is Ready", LONG, || self.scenario.pods(label).iter().any(is_ready));
    }

    /// A Service leads to its pod from now on, as with kube-proxy and a cluster's DNS. Returns its address.
    fn open(&self, service: &str, label: &str) -> String {
        let (scenario, world) = (self.scenario, self.scenario.world);
        let object = world.get(&["-n", &scenario.name, "service", service]);
        let address = object["spec"]["clusterIP"].as_str().expect("an address").to_string();
        let pod = scenario.pods(label).into_iter().find(is_ready).expect("a pod");
        let at = pod["status"]["podIP"].as_str().expect("the pod's address");
        let inside = world.inside(&["ip", "address", "add", &format!("{address}/32"), "dev", "lo"]);
        assert!(inside.status.success(), "{}", String::from_utf8_lossy(&inside.stderr));
        for port in object["spec"]["ports"].as_array().expect("ports") {
            let to = container_port(&pod, &port["targetPort"]);
            let listen = format!("TCP-LISTEN:{},bind={address},fork,reuseaddr", port["port"]);
            let mut command = world.command("socat", &[&listen, &format!("TCP:{at}:{to}")]);
            self.forwarders.borrow_mut().push(command.stdin(Stdio::null()).spawn().expect("socat starts"));
        }
        let name = format!("{service}.{}.svc.cluster.local", scenario.name);
        std::fs::write(world.dir().join("names").join(&name), format!("{address} {name}\n")).expect("a name");
        address
    }

    /// A Secret with what a registry asks for.
    pub fn credentials(&self, name: &str, password: &str) {
        let password = format!("--docker-password={password}");
        let all = ["create", "secret", "docker-registry", name, "--docker-server=registry:5000", "--docker-username=puller", &password];
        self.kubectl(&all);
    }

    /// kubectl in the scenario's namespace; it must succeed.
    pub fn kubectl(&self, args: &[&str]) -> String {
        self.scenario.world.kubectl(&[&["-n", self.scenario.name.as_str()], args].concat())
    }

    /// What a server in the world answers, into a file; whether it did.
    pub fn fetch(&self, url: &str, options: &[&str], into: &Path) -> bool {
        let into = into.to_string_lossy();
        let all = [&["-fsS", "--max-time", "60", "-o", &into, url], options].concat();
        self.scenario.world.command("curl", &all).status().expect("curl starts").success()
    }

    /// The status of an OSArtifact.
    pub fn status(&self, artifact: &str) -> Value {
        self.scenario.world.get(&["-n", &self.scenario.name, "osartifacts.build.kairos.io", artifact])["status"].clone()
    }

    /// Waits until a run of an OSArtifact has come to its end, which is to be this one; its status.
    pub fn wait_end(&self, artifact: &str, run: i64, phase: &str) -> Value {
        let mut status = Value::Null;
        wait_for(&format!("run {run} of {artifact} ends"), LONG, || {
            status = self.status(artifact);
            status["run"] == run && ["Ready", "Error"].iter().any(|end| status["phase"] == *end)
        });
        assert_eq!(status["phase"], phase, "{artifact}: {status:#}");
        status
    }
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for what in [&["get", "osartifacts", "-o", "yaml"][..], &["describe", "pods"], &["get", "pv,pvc"]] {
                let all = [&["-n", self.scenario.name.as_str()], what].concat();
                eprintln!("{}", String::from_utf8_lossy(&self.scenario.world.try_kubectl(&all, None).stdout));
            }
        }
        for forwarder in self.forwarders.get_mut() {
            let _ = forwarder.kill();
            let _ = forwarder.wait();
        }
    }
}

/// The number of a port that a Service names.
fn container_port(pod: &Value, target: &Value) -> Value {
    let all = pod["spec"]["containers"][0]["ports"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|port| port["name"] == *target).map_or_else(|| target.clone(), |port| port["containerPort"].clone())
}
