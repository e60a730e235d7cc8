//! Looks at objects, over one connection per control plane: tests look again and again while they wait, and a process for
//! each look (kubectl) would take from the machine what the control plane needs.

use std::path::Path;
use std::sync::{OnceLock, mpsc};

use serde_json::Value;
use tokio::runtime::Runtime;

/// A connection as the administrator.
pub struct Api(kube::Client);

impl Api {
    /// With the credentials of a kubeconfig.
    pub fn new(kubeconfig: &Path) -> Self {
        let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
        let client = wait(async {
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.expect("a kubeconfig");
            kube::Client::try_from(config).expect("a client")
        });
        Self(client)
    }

    /// An object, or a list with the kind in each of its items, as kubectl shows it; None if there is no answer.
    pub fn get(&self, path: &str) -> Option<Value> {
        let request = http::Request::get(path).body(Vec::new()).expect("a request");
        let client = self.0.clone();
        let mut answer: Value = wait(async move { client.request(request).await }).ok()?;
        if let Some(kind) = answer["kind"].as_str().and_then(|kind| kind.strip_suffix("List")).map(String::from) {
            let version = answer["apiVersion"].clone();
            for item in answer["items"].as_array_mut().into_iter().flatten() {
                item["kind"] = kind.clone().into();
                item["apiVersion"] = version.clone();
            }
        }
        Some(answer)
    }
}

/// Where the objects of a kind are, by what kubectl would be asked for; None for those that hardly any test looks at.
pub fn path(kind: &str, namespace: &str) -> Option<String> {
    let (group, resource) = match kind {
        "node" | "nodes" => return Some("/api/v1/nodes".into()),
        "pod" | "pods" => ("api/v1", "pods"),
        "configmap" => ("api/v1", "configmaps"),
        "pvc" => ("api/v1", "persistentvolumeclaims"),
        "job" | "jobs" => ("apis/batch/v1", "jobs"),
        "pdb" => ("apis/policy/v1", "poddisruptionbudgets"),
        "nop" | "nodeops.operator.kairos.io" => ("apis/operator.kairos.io/v1alpha1", "nodeops"),
        "nodeopupgrades.operator.kairos.io" => ("apis/operator.kairos.io/v1alpha1", "nodeopupgrades"),
        _ => return None,
    };
    Some(format!("/{group}/namespaces/{namespace}/{resource}"))
}

/// What comes of it. Not by `block_on`: some tests are asynchronous themselves, and those cannot.
fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let (told, outcome) = mpsc::channel();
    runtime().spawn(async move {
        // Nobody listens any more only where a test has panicked.
        let _ = told.send(future.await);
    });
    outcome.recv().expect("an outcome")
}

/// Shared by all tests, which are threads.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime"))
}
