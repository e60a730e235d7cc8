use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::node::sentinel::Sentinel;

/// What happens to the files.
type Event = Box<dyn FnOnce(&Path)>;

/// A host of a few files, in which something happens whenever it is waited.
struct Fake {
    root: PathBuf,
    events: Vec<Event>,
    ran: Vec<Vec<String>>,
    paused: Vec<u64>,
}

impl Fake {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("rounds-node-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let fake = Self { root, events: Vec::new(), ran: Vec::new(), paused: Vec::new() };
        fake.boot("b1");
        fake
    }

    fn put(&self, path: &str, text: &str) {
        put(&self.root, path, text);
    }

    /// A stand-in for a program of the host: it writes down how it was called.
    fn program(&self, path: &str) {
        self.put(path, "#!/bin/sh\necho \"$(basename \"$0\") $*\" >> \"$(dirname \"$0\")/calls\"\n");
        fs::set_permissions(self.root.join(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn boot(&self, boot_id: &str) {
        boot(&self.root, boot_id);
    }

    fn reboot(&self) -> Reboot {
        Reboot {
            host: self.root.clone(),
            approval: self.root.join("approval/boot-id"),
            mark: self.root.join("mark/boot-id"),
            sentinel: "/run/rounds/op-n1-abcde".into(),
            grace: Duration::from_secs(5),
            command: Vec::new(),
        }
    }

    fn sentinel(&self) -> Sentinel {
        Sentinel { host: self.root.clone(), sentinel: "/run/rounds/op-n1-abcde".into(), message: self.root.join("message") }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl Host for Fake {
    fn pause(&mut self, time: Duration) {
        self.paused.push(time.as_secs());
        assert!(self.paused.len() < 50, "it waits for ever");
        if !self.events.is_empty() {
            self.events.remove(0)(&self.root);
        }
    }

    /// Only ever what lies in the fake tree.
    fn run(&mut self, command: &[String]) -> io::Result<ExitStatus> {
        self.ran.push(command.to_vec());
        Command::new(on_host(&self.root, &command[0])).args(&command[1..]).status()
    }
}

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Another boot: the files below /run are gone.
fn boot(root: &Path, boot_id: &str) {
    put(root, "proc/sys/kernel/random/boot_id", &format!("{boot_id}\n"));
    let _ = fs::remove_dir_all(root.join("run/rounds"));
}

#[test]
fn the_sentinel_tells_the_boot_on_the_host_and_in_the_message() {
    let host = Fake::new("sentinel");
    host.put("message", "");
    assert_eq!(host.sentinel().tell().unwrap(), "b1");
    assert_eq!(fs::read_to_string(host.root.join("message")).unwrap(), "b1");
    assert_eq!(fs::read_to_string(host.root.join("run/rounds/op-n1-abcde")).unwrap(), "b1");
    assert_eq!(fs::read_dir(host.root.join("run/rounds")).unwrap().count(), 1, "nothing else is left there");
    host.put("proc/sys/kernel/random/boot_id", "\n");
    assert!(host.sentinel().tell().unwrap_err().to_string().ends_with("boot_id is empty"));
}

#[test]
fn it_waits_for_the_approval_and_the_sentinel_and_reboots_once() {
    let mut host = Fake::new("once");
    host.put("run/systemd/system/x", "");
    host.program("usr/bin/systemctl");
    let sentinel = host.sentinel();
    host.events = vec![
        Box::new(|root| put(root, "approval/boot-id", "")),
        Box::new(|root| put(root, "approval/boot-id", "b1")),
        Box::new(move |_| drop(sentinel.tell())),
    ];
    let reboot = host.reboot();
    let error = reboot.run(&mut host).unwrap_err().to_string();
    assert_eq!(host.paused, [1, 1, 1, 5, PATIENCE], "polls, grace, and the time to go down");
    assert_eq!(fs::read_to_string(host.root.join("usr/bin/calls")).unwrap(), "systemctl reboot\n");
    assert_eq!(fs::read_to_string(&reboot.mark).unwrap(), "b1");
    assert!(error.contains("has not rebooted the host within 600 seconds"), "{error}");
    // The same container after the reboot; the approval still stands, the sentinel is gone.
    host.boot("b2");
    reboot.run(&mut host).unwrap();
    assert_eq!(host.ran.len(), 1);
}

#[test]
fn what_the_files_say_decides() {
    let host = Fake::new("next");
    let reboot = host.reboot();
    let next = |approval: &str, mark: &str, sentinel: bool| {
        host.put("approval/boot-id", approval);
        host.put("mark/boot-id", mark);
        match sentinel {
            true => drop(host.sentinel().tell().unwrap()),
            false => host.boot("b1"),
        }
        reboot.next().unwrap()
    };
    host.put("message", "");
    for (approval, mark, sentinel, expected) in [
        ("", "", false, Next::Wait),
        ("", "", true, Next::Wait),
        ("b1", "", false, Next::Wait),
        ("b1", "", true, Next::Reboot("b1".into())),
        // It was killed between mark and reboot: the boot is still the one that was approved.
        ("b1", "b1", true, Next::Reboot("b1".into())),
        ("", "b1", true, Next::Wait),
        // Another boot than the approved one, or than the one it ended.
        ("b0", "", true, Next::Done),
        ("b0", "", false, Next::Done),
        ("", "b0", true, Next::Done),
        ("b1", "b0", true, Next::Done),
    ] {
        assert_eq!(next(approval, mark, sentinel), expected, "approved {approval:?}, marked {mark:?}, sentinel {sentinel}");
    }
}

#[test]
fn a_reboot_command_that_fails_says_so() {
    let mut host = Fake::new("fails");
    host.put("message", "");
    host.sentinel().tell().unwrap();
    host.put("approval/boot-id", "b1");
    host.put("sbin/no", "#!/bin/sh\nexit 3\n");
    fs::set_permissions(host.root.join("sbin/no"), fs::Permissions::from_mode(0o755)).unwrap();
    let reboot = Reboot { command: vec!["/sbin/no".into()], ..host.reboot() };
    let error = reboot.run(&mut host).unwrap_err().to_string();
    assert_eq!(error, "the reboot command [\"/sbin/no\"] failed: exit status: 3");
    let reboot = Reboot { command: vec!["/sbin/none".into()], ..host.reboot() };
    let error = reboot.run(&mut host).unwrap_err().to_string();
    assert!(error.starts_with("the reboot command [\"/sbin/none\"] cannot be run"), "{error}");
}

#[test]
fn the_command_is_the_hosts_own_way_to_reboot() {
    let tree = |name: &str, files: &[&str]| {
        let host = Fake::new(name);
        files.iter().for_each(|file| host.put(file, ""));
        host.reboot().command().join(" ")
    };
    let systemd = "run/systemd/system/x";
    assert_eq!(tree("systemd", &[systemd, "bin/systemctl", "sbin/reboot"]), "/bin/systemctl reboot");
    assert_eq!(tree("usr", &[systemd, "bin/systemctl", "usr/bin/systemctl"]), "/usr/bin/systemctl reboot");
    assert_eq!(tree("openrc", &["sbin/openrc-shutdown", "sbin/reboot"]), "/sbin/openrc-shutdown -r now");
    assert_eq!(tree("not-pid-1", &["bin/systemctl", "sbin/openrc-shutdown"]), "/sbin/openrc-shutdown -r now");
    assert_eq!(tree("no-systemctl", &[systemd, "sbin/reboot"]), "/sbin/reboot");
    assert_eq!(tree("reboot", &["sbin/reboot"]), "/sbin/reboot");
    assert_eq!(tree("nothing", &[]), "reboot");
    let host = Fake::new("link");
    fs::create_dir_all(host.root.join("sbin")).unwrap();
    std::os::unix::fs::symlink("/bin/busybox-of-the-host", host.root.join("sbin/reboot")).unwrap();
    assert_eq!(host.reboot().command(), ["/sbin/reboot"], "an absolute link is the host's own");
    let own = Reboot { command: vec!["kexec".into(), "-e".into()], ..host.reboot() };
    assert_eq!(own.command(), ["kexec", "-e"]);
}
