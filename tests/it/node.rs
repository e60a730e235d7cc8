//! What runs on nodes, as the binary that does: in a fake host tree, in the namespaces that it is in already, with a
//! stand-in that writes down how it was called. No test reboots anything.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::harness::wait_for;

struct Host(PathBuf);

impl Host {
    fn new() -> Self {
        let host = Self(std::env::temp_dir().join(format!("rounds-host-{}", std::process::id())));
        host.put("proc/sys/kernel/random/boot_id", "b1\n");
        host.put("message", "");
        host.put("approval", "");
        host.put("record", "#!/bin/sh\necho \"$*\" > \"$(dirname \"$0\")/called\"\n");
        std::fs::set_permissions(host.path("record"), std::fs::Permissions::from_mode(0o755)).unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }

    fn node(&self, verb: &str) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_rounds")));
        command.args(["node", verb, "--sentinel", "/run/rounds/op-n1", "--host"]).arg(&self.0).stderr(Stdio::piped());
        command
    }

    fn reboot(&self) -> Command {
        let mut command = self.node("reboot");
        command.args(["--namespaces", "/proc/self/ns", "--grace-seconds", "0", "--approval"]).arg(self.path("approval"));
        command.arg("--mark").arg(self.path("mark")).arg("--").arg(self.path("record")).args(["-r", "now"]);
        command
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_binary_tells_of_a_success_and_reboots_when_it_is_approved() {
    let host = Host::new();
    let told = host.node("sentinel").arg("--message").arg(host.path("message")).output().unwrap();
    assert!(told.status.success(), "{}", said(&told));
    assert_eq!(std::fs::read_to_string(host.path("message")).unwrap(), "b1");

    let mut waiting = host.reboot().spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(waiting.try_wait().unwrap().is_none() && !host.path("mark").exists(), "it waits for the approval");
    host.put("approval", "b1");
    wait_for("the stand-in is called, or may not be", Duration::from_secs(30), || {
        host.path("called").exists() || waiting.try_wait().unwrap().is_some()
    });
    let _ = waiting.kill();
    let ended = waiting.wait_with_output().unwrap();
    assert_eq!(std::fs::read_to_string(host.path("mark")).unwrap(), "b1");
    match std::fs::read_to_string(host.path("called")) {
        Ok(called) => assert_eq!(called, "-r now\n"),
        // Who runs the tests may not be allowed to enter namespaces, not even his own.
        Err(_) => assert!(said(&ended).contains("Operation not permitted"), "{}", said(&ended)),
    }

    let _ = std::fs::remove_file(host.path("called"));
    host.put("proc/sys/kernel/random/boot_id", "b2\n");
    let after = host.reboot().output().unwrap();
    assert!(after.status.success(), "{}", said(&after));
    assert!(!host.path("called").exists(), "it has rebooted once");
}
