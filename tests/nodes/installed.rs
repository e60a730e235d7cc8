//! Rounds as people install it: a folder of `kustomize/`, as it is, whose runner's pods run on the nodes, with their service
//! account, and find the API server as every pod does.

use std::path::Path;

use serde_json::Value;

use crate::scenario::{LONG, Scenario};
use crate::wait::wait_for;
use crate::world::{NODES, is_ready};

/// The namespace that it is installed into.
const NAMESPACE: &str = "rounds-system";

/// An installation; it is removed in the end, but for the definitions and the ClusterRole, which are the world's.
pub struct Installed<'a>(&'a Scenario);

impl<'a> Installed<'a> {
    /// Installs it by the command of README.md. Its runner acts on whatever there is, so the scenario must be the only one.
    pub fn from(scenario: &'a Scenario, folder: &str) -> Self {
        assert_eq!(scenario.nodes.len(), NODES.len(), "nobody else may be at work");
        let installed = Self(scenario);
        scenario.world.kubectl(&["apply", "-k", &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).to_string_lossy()]);
        installed
    }

    /// The pods of its runners, the oldest one first.
    pub fn runners(&self) -> Vec<Value> {
        let pods = ["pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=rounds", "--sort-by=.metadata.creationTimestamp"];
        self.0.world.get(&pods)["items"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until a runner runs on a node; its pod.
    pub fn running(&self) -> Value {
        let mut found = Value::Null;
        wait_for("the runner's pod runs", LONG, || {
            found = self.runners().into_iter().rfind(is_ready).unwrap_or_default();
            !found.is_null()
        });
        found
    }

    /// The installed CronJob does a round now, and not only at the next full minute.
    pub fn begin(&self) {
        self.0.world.kubectl(&["-n", NAMESPACE, "create", "job", "now", "--from=cronjob/rounds"]);
    }

    /// Stops the CronJob by the command of README.md. What it has started goes on.
    pub fn suspend(&self) {
        self.0.world.kubectl(&["-n", NAMESPACE, "patch", "cronjob", "rounds", "--type=merge", "-p", r#"{"spec":{"suspend":true}}"#]);
    }

    /// Removes it by the command of README.md, which waits until all of it is gone.
    pub fn remove(&self, folder: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        self.0.world.kubectl(&["delete", "-k", &folder.to_string_lossy(), "--timeout=120s"]);
    }
}

impl Drop for Installed<'_> {
    fn drop(&mut self) {
        let world = self.0.world;
        let runners = ["-n", NAMESPACE, "-l", "app.kubernetes.io/name=rounds"];
        if std::thread::panicking() {
            for what in [&["describe", "pods"][..], &["logs", "--tail=100", "--prefix"]] {
                eprintln!("{}", String::from_utf8_lossy(&world.try_kubectl(&[what, &runners].concat(), None).stdout));
            }
        }
        for what in [&["delete", "clusterrolebinding", "rounds"][..], &["-n", NAMESPACE, "delete", "cronjobs,deployments,jobs", "--all"]] {
            world.try_kubectl(what, None);
        }
        // It has nothing to end in order: whatever is not done yet is the next one's.
        world.try_kubectl(&["-n", NAMESPACE, "delete", "pods", "--all", "--grace-period=1"], None);
        world.try_kubectl(&["delete", "namespace", NAMESPACE, "--timeout=60s"], None);
        if let Err(said) = world.define() {
            eprintln!("the definitions are not there again: {said}");
        }
    }
}
