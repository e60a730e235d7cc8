//! A control plane and three nodes, in namespaces of their own: `tests/nodes/up.sh`. They end with this process.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rounds::settings::Settings;
use serde_json::Value;

use crate::wait::wait_for;

/// The nodes, as `lib.sh` names them; the first one is a control plane.
pub const NODES: [&str; 3] = ["control-1", "worker-1", "worker-2"];
/// The pid namespace that a kernel starts with.
const FIRST_NAMESPACE: &str = "pid:[4026531836]";

/// The world that the tests share.
pub struct World {
    dir: PathBuf,
    bin: PathBuf,
    /// Its first process, as this process knows it.
    init: String,
    kubeconfig: PathBuf,
}

impl World {
    /// Starts it the first time.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<World> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nodes");
        let runners = dir.join("runners");
        let _ = std::fs::remove_dir_all(&runners);
        std::fs::create_dir_all(&runners).expect("a folder for the runners' logs");
        let settings = Settings::default();
        let mut up = Command::new(root.join("tests/nodes/up.sh"));
        up.arg(&dir).env("ROUNDS_PARENT_PID", std::process::id().to_string());
        up.env("ROUNDS_BINARY", env!("CARGO_BIN_EXE_rounds")).env("ROUNDS_IMAGE", settings.runner_image);
        up.env("TOOL_IMAGE", settings.tool_image).env("BUILDAH_IMAGE", settings.buildah_image);
        let output = up.stdin(Stdio::null()).stderr(Stdio::inherit()).output().expect("up.sh starts");
        assert!(output.status.success(), "the nodes could not be started; logs are in {}", dir.display());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let word = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).expect(name).to_string();
        let world = Self { init: word("WORLD"), bin: word("BIN").into(), kubeconfig: word("KUBECONFIG").into(), dir };
        NODES.iter().for_each(|node| world.assert_apart(node));
        world.define().unwrap_or_else(|said| panic!("{said}"));
        world
    }

    /// The definitions and the ClusterRole, of which every test has use; again after a test that has removed them.
    pub fn define(&self) -> Result<(), String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let applied = [("-k", "crds"), ("-f", "cronjob/rbac/clusterrole.yaml")].map(|(how, what)| {
            self.try_kubectl(&["apply", "--server-side", "--force-conflicts", how, &root.join(what).to_string_lossy()], None)
        });
        let wait = ["wait", "crd", "--for=condition=Established", "--timeout=30s", "nodeops.operator.kairos.io"];
        let refused = applied.into_iter().chain([self.try_kubectl(&wait, None)]).find(|output| !output.status.success());
        refused.map_or(Ok(()), |output| Err(String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    /// A reboot ends the pid namespace that it is called in. No test begins before it is certain that this is the node's.
    fn assert_apart(&self, node: &str) {
        let machine = std::fs::read_link("/proc/self/ns/pid").expect("a pid namespace");
        let world = std::fs::read_link(format!("/proc/{}/ns/pid", self.init)).expect("the world's pid namespace");
        let mut own = String::new();
        wait_for(&format!("{node} is up"), Duration::from_secs(60), || {
            own = text(&self.inside(&["readlink", &format!("/proc/{}/ns/pid", self.plug(node))]));
            own.starts_with("pid:")
        });
        let others = [machine.to_string_lossy(), world.to_string_lossy(), FIRST_NAMESPACE.into()];
        assert!(!others.contains(&own.trim().into()), "{node} is in {own}, which is not its own: it must not be rebooted");
    }

    /// A program in the network of the world, as a process of this one, which ends with it, however it ends.
    pub fn command(&self, program: impl AsRef<Path>, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init, "--net", "--", "setpriv", "--pdeathsig", "KILL", "--"]);
        command.arg(program.as_ref()).args(args);
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }

    /// A program among the processes of the world.
    pub fn inside(&self, args: &[&str]) -> Output {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init, "--pid", "--mount", "--net", "--"]).args(args).output().expect("nsenter starts")
    }

    /// A program in the tree of a node that is up; it must succeed.
    pub fn on_node(&self, node: &str, args: &[&str]) {
        let output = self.inside(&[&["nsenter", "--target", &self.plug(node), "--mount", "--"], args].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Where `up.sh` keeps everything.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// kubectl as the administrator; it must succeed.
    pub fn kubectl(&self, args: &[&str]) -> String {
        said(args, &self.try_kubectl(args, None))
    }

    /// kubectl with something on stdin; it must succeed.
    pub fn feed(&self, args: &[&str], text: &str) -> String {
        said(args, &self.try_kubectl(args, Some(text)))
    }

    /// kubectl, whatever comes of it.
    pub fn try_kubectl(&self, args: &[&str], text: Option<&str>) -> Output {
        let mut command = self.command(self.bin.join("kubectl"), args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kubectl starts");
        if let (Some(mut stdin), Some(text)) = (child.stdin.take(), text) {
            // A kubectl that has already ended does not read.
            let _ = stdin.write_all(text.as_bytes());
        }
        child.wait_with_output().expect("kubectl ends")
    }

    /// An object; null if there is none.
    pub fn get(&self, args: &[&str]) -> Value {
        let all: Vec<&str> = ["get", "-o", "json"].iter().chain(args).copied().collect();
        serde_json::from_slice(&self.try_kubectl(&all, None).stdout).unwrap_or(Value::Null)
    }

    /// A kubeconfig with a user's token in place of the administrator's.
    pub fn kubeconfig_for(&self, user: &str) -> PathBuf {
        let text = std::fs::read_to_string(&self.kubeconfig).expect("the kubeconfig");
        let (before, after) = text.split_once("token: \"").expect("a token");
        let (_, after) = after.split_once('"').expect("its end");
        let path = self.dir.join(format!("kubeconfig-{user}"));
        std::fs::write(&path, format!("{before}token: \"token-{user}\"{after}")).expect("the user's kubeconfig");
        path
    }

    /// What the supervisor of a node keeps of it.
    fn of_node(&self, node: &str, file: &str) -> PathBuf {
        self.dir.join("nodes").join(node).join(file)
    }

    /// The end of one of a node's logs.
    pub fn last_lines(&self, node: &str, log: &str) -> String {
        let all = std::fs::read(self.of_node(node, log)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = all.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Where a file is that somebody wrote on a node, outside of /run and /tmp.
    pub fn path_of(&self, node: &str, path: &str) -> String {
        self.of_node(node, "upper").join(path.trim_start_matches('/')).to_string_lossy().into_owned()
    }

    /// What is in it.
    pub fn written(&self, node: &str, path: &str) -> Option<String> {
        std::fs::read_to_string(self.path_of(node, path)).ok()
    }

    /// A file in the node's memory: below /run or /tmp.
    pub fn volatile(&self, node: &str, path: &str) -> Option<String> {
        let text = text(&self.inside(&["cat", &self.within(node, path)]));
        (!text.is_empty()).then_some(text)
    }

    /// A path in the tree of a node that is up, as the world's processes see it.
    fn within(&self, node: &str, path: &str) -> String {
        format!("/proc/{}/root{path}", self.plug(node))
    }

    /// The first process of a node; nothing if it is down.
    fn plug(&self, node: &str) -> String {
        std::fs::read_to_string(self.of_node(node, "plug")).unwrap_or_default().trim().to_string()
    }

    /// Whether a node has a first process.
    pub fn is_up(&self, node: &str) -> bool {
        !self.plug(node).is_empty()
    }

    /// Puts a version of Kairos into a node's release file, as if it had been installed with it.
    pub fn set_version(&self, node: &str, version: &str) {
        let edit = format!("s/^KAIROS_VERSION=.*/KAIROS_VERSION=\"{version}\"/");
        let output = self.inside(&["sed", "-i", &edit, &self.within(node, "/etc/kairos-release")]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The boot that a node is in, or was in last.
    pub fn boot_id(&self, node: &str) -> String {
        std::fs::read_to_string(self.of_node(node, "boot_id")).unwrap_or_default().trim().to_string()
    }

    /// The labels of a node that has registered itself anew.
    pub fn restore_labels(&self, node: &str, scenario: &str) {
        self.kubectl(&["label", "node", node, &format!("scenario={scenario}")]);
        if node == NODES[0] {
            self.kubectl(&["label", "node", node, "node-role.kubernetes.io/control-plane=true"]);
        }
    }

    /// Where the runners of a scenario write.
    pub fn log(&self, scenario: &str) -> PathBuf {
        self.dir.join("runners").join(format!("{scenario}.log"))
    }

    /// How the boots of a node have ended so far: `rebooted` by reboot(2), or `died`.
    pub fn ends(&self, node: &str) -> Vec<String> {
        let boots = std::fs::read_to_string(self.of_node(node, "boots")).unwrap_or_default();
        boots.lines().filter_map(|line| line.strip_prefix("down ")).map(String::from).collect()
    }

    /// How the node's own reboot command was called so far.
    pub fn reboots(&self, node: &str) -> Vec<String> {
        std::fs::read_to_string(self.of_node(node, "reboots")).unwrap_or_default().lines().map(String::from).collect()
    }

    /// The node is gone at once, with all its processes and what was in its memory; it boots again unless it is held.
    pub fn pull_the_plug(&self, node: &str) {
        let before = self.ends(node).len();
        self.inside(&["kill", "-KILL", &self.plug(node)]);
        wait_for("the node is down", Duration::from_secs(30), || self.ends(node).len() > before);
    }

    /// Keeps a node down, once it is.
    pub fn hold(&self, node: &str) {
        std::fs::write(self.of_node(node, "hold"), "").expect("a file");
    }

    /// Lets it boot again.
    pub fn release(&self, node: &str) {
        let _ = std::fs::remove_file(self.of_node(node, "hold"));
    }
}

/// Whether a node or pod has the condition Ready.
pub fn is_ready(object: &Value) -> bool {
    object["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn said(args: &[&str], output: &Output) -> String {
    assert!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    text(output)
}
