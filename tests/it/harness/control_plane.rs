//! A real control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok, from `tests/cluster/`;
//! or with USE_EXISTING_CLUSTER, what the current context points to (with kwok and `tests/cluster/stages.yaml` in it).

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use super::{api::Api, feed};

/// A running control plane; it ends with this process, if this process started it.
pub struct ControlPlane {
    /// Its folder: logs, kubeconfigs.
    pub dir: PathBuf,
    /// The apiserver's audit log.
    pub audit_log: PathBuf,
    kubectl: PathBuf,
    kubeconfig: Option<PathBuf>,
    api: OnceLock<Api>,
}

impl ControlPlane {
    /// The one that all tests share, with our CRDs and the shipped ClusterRole.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<ControlPlane> = OnceLock::new();
        SHARED.get_or_init(|| Self::start("shared"))
    }

    /// One for a test that would disturb the others; it ends with the test.
    pub fn own(name: &str) -> Own {
        Own(Box::leak(Box::new(Self::start(name))))
    }

    fn start(name: &str) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let dir = folder(name);
        let plane = if Self::is_existing() { Self::existing(dir) } else { Self::built(&root, dir) };
        for (how, what) in [("-k", "crds"), ("-f", "cronjob/rbac/clusterrole.yaml")] {
            let path = root.join(what).to_string_lossy().into_owned();
            let output = plane.kubectl(&["apply", "--server-side", how, &path], None);
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success() && !err.contains("Warning"), "{what}: {out}{err}");
        }
        let established = ["wait", "crd", "--for=condition=Established", "--timeout=30s", "nodeops.operator.kairos.io"];
        assert!(plane.kubectl(&established, None).status.success(), "the CRDs are not established");
        plane.leave_word();
        plane
    }

    /// Leaves word of the audit log for the tests that come after this process: `tests/least_privilege.rs`.
    fn leave_word(&self) {
        static SO_FAR: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let mut logs = SO_FAR.lock().expect("the list of audit logs");
        logs.push(self.audit_log.to_string_lossy().into_owned());
        std::fs::write(audit_logs(), logs.join("\n")).expect("the list of audit logs");
    }

    /// Whether the tests use a cluster that is there already.
    fn is_existing() -> bool {
        std::env::var_os("USE_EXISTING_CLUSTER").is_some_and(|value| !["", "0", "false"].iter().any(|no| value == *no))
    }

    fn existing(dir: PathBuf) -> Self {
        std::fs::create_dir_all(&dir).expect("a folder for kubeconfigs");
        let audit_log = std::env::var_os("ROUNDS_AUDIT_LOG").map(PathBuf::from).unwrap_or_default();
        Self { dir, audit_log, kubectl: "kubectl".into(), kubeconfig: None, api: OnceLock::new() }
    }

    fn built(root: &Path, dir: PathBuf) -> Self {
        let script = |name: &str| root.join("tests/cluster").join(name);
        let bin = run(Command::new(script("build.sh")));
        let mut up = Command::new(script("up.sh"));
        // Whatever ends this process, the servers end too.
        up.arg(&dir).env("ROUNDS_PARENT_PID", std::process::id().to_string());
        run(up);
        let kubeconfig = Some(dir.join("kubeconfig"));
        Self { audit_log: dir.join("audit.log"), kubectl: PathBuf::from(bin.trim()).join("kubectl"), kubeconfig, dir, api: OnceLock::new() }
    }

    /// The administrator's kubeconfig; None: the user's own.
    pub fn admin(&self) -> Option<PathBuf> {
        self.kubeconfig.clone()
    }

    /// A connection as the administrator; None where the user's own kubectl is all that is known.
    pub fn api(&self) -> Option<&Api> {
        let kubeconfig = self.kubeconfig.as_ref()?;
        Some(self.api.get_or_init(|| Api::new(kubeconfig)))
    }

    /// The program.
    pub fn kubectl_path(&self) -> &Path {
        &self.kubectl
    }

    /// kubectl as the administrator.
    pub fn kubectl(&self, args: &[&str], stdin: Option<&str>) -> Output {
        let mut command = Command::new(&self.kubectl);
        command.envs(self.kubeconfig.iter().map(|path| ("KUBECONFIG", path))).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl starts");
        feed(&mut child, stdin.unwrap_or_default());
        child.wait_with_output().expect("kubectl ends")
    }

    /// A kubeconfig with a token in place of the administrator's credentials.
    pub fn kubeconfig_for(&self, user: &str, token: &str) -> PathBuf {
        let output = self.kubectl(&["config", "view", "--minify", "--flatten", "--raw", "-o", "json"], None);
        let mut config: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a kubeconfig");
        config["users"][0]["user"] = serde_json::json!({"token": token});
        let path = self.dir.join(format!("kubeconfig-{user}"));
        std::fs::write(&path, config.to_string()).expect("the user's kubeconfig");
        path
    }

    /// A user of a corner's own: its name, as the audit log and bindings know it, and its token.
    pub fn user(&self, corner: &str, index: usize) -> (String, String) {
        if !Self::is_existing() {
            return (format!("rounds-{index:03}"), format!("token-rounds-{index:03}"));
        }
        self.kubectl(&["-n", corner, "create", "serviceaccount", "runner"], None);
        let token = self.kubectl(&["-n", corner, "create", "token", "runner", "--duration=1h"], None);
        (format!("system:serviceaccount:{corner}:runner"), String::from_utf8_lossy(&token.stdout).trim().to_string())
    }
}

/// The control plane of one test, which ends with this: a dozen idle ones would take the processor from the tests that go on.
pub struct Own(&'static ControlPlane);

impl Own {
    /// For corners.
    pub fn plane(&self) -> &'static ControlPlane {
        self.0
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if !ControlPlane::is_existing() {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/down.sh");
            // If it fails, the servers' own watcher ends them with this process.
            let _ = Command::new(script).arg(&self.0.dir).output();
        }
    }
}

/// The folder of a control plane of this process. Those that processes before it have left are taken away.
fn folder(name: &str) -> PathBuf {
    let all = std::env::temp_dir();
    for entry in std::fs::read_dir(&all).expect("the folder for temporary files").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix("rounds-test-").and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        let ended = process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists());
        // Of one that has only just ended, the servers are still to be ended, and the audit logs to be read.
        if ended && !is_recent(&entry.path().join("audit.log")) {
            // Somebody else may do the same just now.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    all.join(format!("rounds-test-{}-{name}", std::process::id()))
}

fn is_recent(file: &Path) -> bool {
    let changed = file.metadata().and_then(|of| of.modified());
    changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|since| since < Duration::from_secs(600)))
}

/// Where the audit logs of the last run are listed.
pub fn audit_logs() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("audit-logs")
}

fn run(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
