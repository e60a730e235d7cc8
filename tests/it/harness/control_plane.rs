//! A real control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok, from `tests/cluster/`.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use super::feed;

/// A running control plane; it ends with this process.
pub struct ControlPlane {
    /// Its folder: logs, audit log, kubeconfig.
    pub dir: PathBuf,
    bin: PathBuf,
}

impl ControlPlane {
    /// The one that all tests share, with our CRDs and the shipped ClusterRole.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<ControlPlane> = OnceLock::new();
        SHARED.get_or_init(|| Self::start("shared"))
    }

    /// One for a test that would disturb the others.
    pub fn own(name: &str) -> &'static Self {
        Box::leak(Box::new(Self::start(name)))
    }

    fn start(name: &str) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let script = |name: &str| root.join("tests/cluster").join(name);
        let bin = run(Command::new(script("build.sh")));
        let dir = std::env::temp_dir().join(format!("rounds-test-{}-{name}", std::process::id()));
        let mut up = Command::new(script("up.sh"));
        // Whatever ends this process, the servers end too.
        up.arg(&dir).env("ROUNDS_PARENT_PID", std::process::id().to_string());
        run(up);
        let plane = Self { dir, bin: PathBuf::from(bin.trim()) };
        for manifests in ["crds", "cronjob/rbac/clusterrole.yaml"] {
            let path = root.join(manifests);
            let mut args = vec!["apply", "--server-side", "-f"];
            let path = path.to_string_lossy().into_owned();
            args.push(&path);
            let output = plane.kubectl(&args, None);
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success() && !err.contains("Warning"), "{manifests}: {out}{err}");
        }
        let established = ["wait", "crd", "--for=condition=Established", "--timeout=30s", "nodeops.operator.kairos.io"];
        assert!(plane.kubectl(&established, None).status.success(), "the CRDs are not established");
        plane
    }

    /// kubectl as the administrator.
    pub fn kubectl(&self, args: &[&str], stdin: Option<&str>) -> Output {
        let mut command = Command::new(self.bin.join("kubectl"));
        command.env("KUBECONFIG", self.dir.join("kubeconfig")).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl starts");
        feed(&mut child, stdin.unwrap_or_default());
        child.wait_with_output().expect("kubectl ends")
    }

    /// A kubeconfig for a user with a token.
    pub fn kubeconfig_for(&self, user: &str, token: &str) -> PathBuf {
        let admin = std::fs::read_to_string(self.dir.join("kubeconfig")).expect("the administrator's kubeconfig");
        let (before, rest) = admin.split_once("token: \"").expect("a token in the kubeconfig");
        let (_, after) = rest.split_once('"').expect("the token's end");
        let path = self.dir.join(format!("kubeconfig-{user}"));
        std::fs::write(&path, format!("{before}token: \"{token}\"{after}")).expect("the user's kubeconfig");
        path
    }
}

fn run(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
