//! What a channel runs on a k3OS node, on a made-up host: stand-ins for `chroot` and `k3os` write down what they are asked,
//! and nothing is installed or rebooted.

use std::os::unix::fs::symlink;

use rounds::channel::Channel;
use rounds::channel::api::UpdateChannelStatus;
use rounds::channel::k3os::spec;
use rounds::snapshot::{Meta, Resource};
use serde_json::{Value, json};

use crate::upgrade_script::Trial;

fn command(more: Value) -> Vec<String> {
    let mut wanted = json!({"url": "github-releases://rancher/k3os"});
    json_patch::merge(&mut wanted, &more);
    let channel: Channel =
        Resource { meta: Meta::default(), spec: serde_json::from_value(wanted).unwrap(), status: UpdateChannelStatus::default() };
    spec(&channel, "v0.21.5-k3s2r1").command
}

/// A host that runs v0.21.1, and whose k3os does this.
fn host(name: &str, k3os: &str) -> Trial {
    let trial = Trial::new(name);
    // As the real one, but for the root: the first word is the folder, the rest a command.
    trial.program("chroot", "shift\nexec \"$@\"");
    trial.program("k3os", k3os);
    trial.program("reboot", "exit 1");
    let system = trial.folder.join("host/k3os/system/k3os");
    std::fs::create_dir_all(&system).unwrap();
    symlink("/k3os/system/k3os/v0.21.1-k3s1r0", system.join("current")).unwrap();
    trial
}

const INSTALLS: &str = "ln -sfn /k3os/system/k3os/v0.21.5-k3s2r1 \"$HOST_DIR/k3os/system/k3os/current\"";

/// The call of the host's k3os, through chroot.
fn calls(channel: &str) -> Vec<String> {
    let upgrade = format!("<ops> <upgrade>{channel} <--version> <v0.21.5-k3s2r1> <--remount> <--kernel> <--rootfs> <--sync>");
    vec![format!("chroot </host> <k3os> {upgrade}"), format!("k3os {upgrade}")]
}

#[test]
fn the_hosts_own_k3os_is_run_and_what_it_has_installed_is_told() {
    for (name, more, channel) in [
        ("k3os-channel", json!({}), " <--channel> <github-releases://rancher/k3os>"),
        ("k3os-pinned", json!({"url": null, "version": "v0.21.5-k3s2r1"}), ""),
    ] {
        let trial = host(name, INSTALLS);
        let ended = trial.run(&command(more));
        assert_eq!((ended.code, ended.told.as_str()), (0, "upgraded to v0.21.5-k3s2r1"), "{ended:#?}");
        // The reboot is not the script's: it is proven by the round.
        assert_eq!(ended.called, calls(channel), "{ended:#?}");
    }
}

#[test]
fn a_k3os_that_fails_or_installs_something_else_is_a_failure_that_says_so() {
    for (name, k3os, code, told) in [
        ("k3os-fails", "exit 7", 7, "k3os ops upgrade to v0.21.5-k3s2r1 failed with exit code 7"),
        ("k3os-does-nothing", "exit 0", 1, "k3os ops upgrade succeeded, but v0.21.1-k3s1r0 is installed and not v0.21.5-k3s2r1"),
        (
            "k3os-removes",
            "rm -f \"$HOST_DIR/k3os/system/k3os/current\"",
            1,
            "k3os ops upgrade succeeded, but nothing is installed and not v0.21.5-k3s2r1",
        ),
    ] {
        let ended = host(name, k3os).run(&command(json!({})));
        assert_eq!((ended.code, ended.told.as_str()), (code, told), "{ended:#?}");
        assert!(!ended.called.iter().any(|call| call.starts_with("reboot")));
    }
}

#[test]
fn what_stands_in_a_channel_is_no_shell() {
    let url = "https://x.example/$(reboot)/`reboot`;reboot?a=b&c='d'";
    let trial = host("k3os-quoting", INSTALLS);
    let ended = trial.run(&command(json!({"url": url})));
    assert_eq!((ended.code, ended.called), (0, calls(&format!(" <--channel> <{url}>"))));
}
