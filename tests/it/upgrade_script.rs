//! The scripts of an upgrade, on made-up hosts: what they say, what they would run, and that no shell is confused by paths.

use std::path::{Path, PathBuf};
use std::process::Command;

use rounds::upgrade::api::NodeOpUpgradeSpec;
use rounds::upgrade::script;
use serde_json::{Value, json};

/// Below it the image's root, the host's root, and stand-ins for `mount` and `kairos-agent` that write down their arguments.
pub struct Trial {
    pub folder: PathBuf,
}

/// How a script ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    /// The termination message.
    pub told: String,
    /// A line per program that was called, arguments in angle brackets.
    pub called: Vec<String>,
    talk: String,
}

impl Trial {
    pub fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("upgrades").join(name);
        // What an earlier run has left, if there was one.
        let _ = std::fs::remove_dir_all(&folder);
        for path in ["image/etc", "host/etc", "host/dev", "host/run", "host/sys", "bin"] {
            std::fs::create_dir_all(folder.join(path)).unwrap();
        }
        let trial = Self { folder };
        for program in ["mount", "kairos-agent"] {
            trial.program(program, "exit 0");
        }
        trial
    }

    pub fn program(&self, name: &str, then: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.folder.join("bin").join(name);
        let called = self.folder.join("called");
        let text = format!("#!/bin/sh\n{{ printf '{name}'; printf ' <%s>' \"$@\"; echo; }} >>'{}'\n{then}\n", called.display());
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        std::fs::write(self.folder.join(path), text).unwrap();
        self
    }

    /// An image and a host with these versions; "" has none.
    fn versions(&self, image: &str, host: &str) -> &Self {
        for (root, version) in [("image", image), ("host", host)] {
            let (kairos, software) = version.split_once(' ').unwrap_or((version, ""));
            let software = software.strip_prefix("k3s").map_or_else(String::new, |software| {
                format!("KAIROS_SOFTWARE_VERSION_PREFIX=\"k3s\"\nKAIROS_SOFTWARE_VERSION=\"{software}\"\n")
            });
            let text = if kairos.is_empty() { "ID=kairos\n".into() } else { format!("ID=kairos\nKAIROS_VERSION=\"{kairos}\"\n{software}") };
            self.write(&format!("{root}/etc/kairos-release"), &text);
        }
        self
    }

    /// Carries out a command in each shell that is there; all of them must do the same.
    pub fn run(&self, command: &[String]) -> Ended {
        // Not busybox's: it runs its own mount and not the stand-in.
        let shells = ["sh", "dash", "bash --posix"].map(|shell| self.run_in(shell, command));
        let mut ends = shells.into_iter().flatten();
        let first = ends.next().expect("there is a shell");
        for other in ends {
            assert_eq!((other.code, &other.told, &other.called), (first.code, &first.told, &first.called), "{first:#?}\n{other:#?}");
        }
        first
    }

    fn run_in(&self, shell: &str, command: &[String]) -> Option<Ended> {
        let (log, called) = (self.folder.join("termination-log"), self.folder.join("called"));
        for path in [&log, &called] {
            std::fs::write(path, "").unwrap();
        }
        let mut words = shell.split(' ');
        let output = Command::new(words.next()?)
            .args(words)
            .args(&command[1..])
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.folder.join("bin").display()))
            .env("HOST_DIR", self.folder.join("host"))
            .env("IMAGE_ROOT", self.folder.join("image"))
            .env("TERMINATION_LOG", &log)
            // What a container's environment says is not what its files say.
            .env("KAIROS_VERSION", "v9.9.9")
            .output()
            .ok()?;
        let text = |path: &Path| std::fs::read_to_string(path).unwrap();
        Some(Ended {
            code: output.status.code().unwrap_or(-1),
            told: text(&log).trim().to_string(),
            called: text(&called).replace(&self.folder.display().to_string(), "").lines().map(String::from).collect(),
            talk: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

fn spec(more: Value) -> NodeOpUpgradeSpec {
    let mut spec = json!({"image": "kairos:2"});
    json_patch::merge(&mut spec, &more);
    serde_json::from_value(spec).unwrap()
}

fn preflight(more: Value) -> Vec<String> {
    script::preflight(&spec(more)).expect("a preflight")
}

/// What mounts the host's devices, in front of every upgrade.
const MOUNTS: [&str; 3] =
    ["mount <--rbind> </host/dev> </image/dev>", "mount <--rbind> </host/run> </image/run>", "mount <--rbind> </host/sys> </image/sys>"];
/// The paths that are never installed.
const ALWAYS: &str = "<--exclude-path> </etc/hostname> <--exclude-path> </etc/hosts>";

fn upgrades(calls: &[&str]) -> Vec<String> {
    MOUNTS.iter().chain(calls).map(|call| call.to_string()).collect()
}

#[test]
fn a_node_is_skipped_that_runs_the_very_version_and_no_other() {
    let trial = Trial::new("preflight");
    let (new, old) = ("v3.6.0 k3sv1.33.4+k3s1", "v3.5.0 k3sv1.32.1+k3s1");
    for (image, host, told) in [
        (new, new, "node is already at v3.6.0-k3sv1.33.4+k3s1"),
        (new, old, ""),
        (new, "v3.6.0 k3sv1.33.3+k3s1", ""),
        ("v3.6.0", "v3.6.0", "node is already at v3.6.0-"),
        // Unknown on either side is not equal, not even to unknown.
        (new, "", ""),
        ("", old, ""),
        ("", "", ""),
    ] {
        let ended = trial.versions(image, host).run(&preflight(json!({})));
        assert_eq!((ended.code, ended.told.as_str()), (0, told), "{image} on {host}: {}", ended.talk);
        assert!(ended.called.is_empty(), "a preflight runs nothing");
    }
}

#[test]
fn a_version_is_found_where_it_stands() {
    let trial = Trial::new("release-files");
    let told = || trial.run(&preflight(json!({}))).told;
    // No files at all.
    assert_eq!(told(), "");
    // The image has it in one file, the host in the other, in whatever quotes.
    trial.write("image/etc/os-release", "NAME=x\nKAIROS_VERSION='v1'\n");
    trial.write("host/etc/kairos-release", "KAIROS_VERSION=v1");
    assert_eq!(told(), "node is already at v1-");
    // A file that names none does not hide the other.
    trial.write("image/etc/kairos-release", "KAIROS_VERSION=\"\"\n");
    assert_eq!(told(), "node is already at v1-");
    // What stands in a host's file is never run.
    trial.write("host/etc/kairos-release", "touch /tmp/never\nKAIROS_VERSION=\"$(exit 3)\"\n");
    assert_eq!(told(), "");
    // An absolute link means the host's file, and not the container's.
    std::fs::remove_file(trial.folder.join("host/etc/kairos-release")).unwrap();
    std::fs::create_dir_all(trial.folder.join("host/usr/lib")).unwrap();
    trial.write("host/usr/lib/kairos-release", "KAIROS_VERSION=v1\n");
    std::os::unix::fs::symlink("/usr/lib/kairos-release", trial.folder.join("host/etc/kairos-release")).unwrap();
    assert_eq!(told(), "node is already at v1-");
}

#[test]
fn an_older_version_is_refused_where_that_is_asked_for() {
    let trial = Trial::new("downgrades");
    let refuses = json!({"rollout": {"allowDowngrade": false}});
    for (image, host, older) in [
        ("v3.4.2", "v3.5.0", true),
        ("v3.9.0", "v3.10.0", true),
        ("v3.10.0", "v3.9.0", false),
        ("v3.5.0", "v3.5.0 k3sv1.33.4+k3s1", false),
        ("v3.5.0 k3sv1.32.9+k3s1", "v3.5.0 k3sv1.33.4+k3s1", true),
        ("v3.5.0 k3sv1.33.4+k3s1", "v3.5.0 k3sv1.33.4+k3s2", true),
        ("v3.5.0 k3sv1.33.4+k3s2", "v3.5.0 k3sv1.33.4+k3s1", false),
        ("v3.5.0-rc1", "v3.5.0", true),
        ("v3.5.0-rc2", "v3.5.0-rc10", true),
        ("v3.5.0", "v3.5.0-rc2", false),
        ("v3.6.0 k3sv1.30.0+k3s1", "v3.5.0 k3sv1.33.4+k3s1", false),
        ("v08.1", "v8.2", true),
        // What has no order is not older.
        ("v3.5.0-acme", "v3.5.0-other", false),
        ("latest", "v3.5.0", false),
        ("v3.5", "v3.5.0", false),
        ("v3.99999999999999999999", "v3.5.0", false),
        ("", "v3.5.0", false),
        ("v3.5.0", "", false),
    ] {
        let ended = trial.versions(image, host).run(&preflight(refuses.clone()));
        assert_eq!(ended.code, i32::from(older), "{image} on {host}: {} {}", ended.told, ended.talk);
        assert_eq!(
            ended.told.contains("is older than") && ended.told.ends_with("rollout.allowDowngrade is false"),
            older,
            "{}",
            ended.told
        );
        let ended = trial.run(&preflight(json!({})));
        assert_eq!((ended.code, ended.told.as_str()), (0, ""), "unless it is refused, it goes on");
        // It is told when it is done, so that somebody is warned.
        let told = trial.run(&script::upgrade(&spec(json!({})))).told;
        assert_eq!(told.starts_with("downgraded to "), older, "{told}");
        let forced = trial.run(&script::upgrade(&spec(json!({"force": true})))).told;
        assert!(!forced.starts_with("downgraded"), "{forced}");
    }
}

#[test]
fn the_systems_that_are_asked_for_are_upgraded_and_the_version_is_told() {
    let trial = Trial::new("systems");
    trial.versions("v3.6.0 k3sv1.33.4+k3s1", "v3.5.0 k3sv1.32.1+k3s1");
    let recovery = format!("kairos-agent <upgrade> <--recovery> <--source> <dir:/image/> {ALWAYS}");
    let active = format!("kairos-agent <upgrade> <--source> <dir:/image/> {ALWAYS}");
    for (more, calls) in [
        (json!({}), vec![active.as_str()]),
        (json!({"force": true}), vec![active.as_str()]),
        (json!({"upgradeRecovery": true}), vec![recovery.as_str(), active.as_str()]),
        (json!({"upgradeActive": false, "upgradeRecovery": true}), vec![recovery.as_str()]),
        (json!({"debug": true}), vec![&active.replace("<upgrade>", "<--debug> <upgrade>")]),
    ] {
        let ended = trial.run(&script::upgrade(&spec(more.clone())));
        assert_eq!((ended.code, ended.told.as_str()), (0, "upgraded to v3.6.0-k3sv1.33.4+k3s1"), "{more}: {}", ended.talk);
        assert_eq!(ended.called, upgrades(&calls), "{more}");
    }
    // An image without a version is installed, and says that it has none.
    let ended = trial.versions("", "").run(&script::upgrade(&spec(json!({}))));
    assert_eq!((ended.code, ended.told.as_str()), (0, "upgraded; the image tells no version"));
    assert_eq!(ended.called, upgrades(&[&active]), "two unknown versions are not equal");
}

#[test]
fn what_is_there_already_is_not_installed_again_unless_forced_or_recovery() {
    let trial = Trial::new("same");
    trial.versions("v3.6.0", "v3.6.0");
    let ended = trial.run(&script::upgrade(&spec(json!({}))));
    assert_eq!((ended.code, ended.told.as_str(), ended.called.len()), (0, "already at v3.6.0-", 0));
    for more in [json!({"force": true}), json!({"upgradeActive": false, "upgradeRecovery": true}), json!({"upgradeRecovery": true})] {
        let ended = trial.run(&script::upgrade(&spec(more.clone())));
        assert!(ended.called.len() > MOUNTS.len(), "{more}: {ended:#?}");
    }
    // The recovery system's version is not that of the one that runs.
    assert_eq!(script::preflight(&spec(json!({"upgradeActive": false, "upgradeRecovery": true}))), None);
    let both = json!({"upgradeActive": false, "upgradeRecovery": true, "rollout": {"allowDowngrade": false}});
    assert_eq!(trial.run(&preflight(both)).told, "");
    assert_eq!(script::preflight(&spec(json!({"force": true}))), None);
}

#[test]
fn paths_are_excluded_whatever_characters_are_in_them() {
    let trial = Trial::new("paths");
    trial.versions("v3.6.0", "v3.5.0");
    let paths = ["/etc/a b", "/it's", "/\"q\"", "/$(exit 9)", "/`exit 9`", "/*", "--debug", "/back\\slash", "/ü", ";", ""];
    let ended = trial.run(&script::upgrade(&spec(json!({"excludePaths": paths, "upgradeRecovery": true}))));
    let excluded: String = paths.iter().map(|path| format!(" <--exclude-path> <{path}>")).collect();
    let calls = ["<upgrade> <--recovery> <--source> <dir:/image/>", "<upgrade> <--source> <dir:/image/>"];
    let calls: Vec<String> = calls.iter().map(|call| format!("kairos-agent {call} {ALWAYS}{excluded}")).collect();
    assert_eq!(ended.called, upgrades(&calls.iter().map(String::as_str).collect::<Vec<_>>()), "{}", ended.talk);
    assert_eq!(ended.code, 0);
}

#[test]
fn what_fails_is_told_and_nothing_comes_after_it() {
    let trial = Trial::new("failures");
    trial.versions("v3.6.0", "v3.5.0").program("kairos-agent", "exit 7");
    let ended = trial.run(&script::upgrade(&spec(json!({"upgradeRecovery": true}))));
    assert_eq!((ended.code, ended.told.as_str()), (1, "kairos-agent upgrade failed with exit code 7"));
    assert_eq!(ended.called.len(), MOUNTS.len() + 1, "the active system is not touched when the recovery system is broken");

    trial.program("kairos-agent", "exit 0");
    trial.program("mount", "case $2 in */sys) exit 1 ;; esac");
    assert_eq!(trial.run(&script::upgrade(&spec(json!({})))).code, 0, "firmware variables are there for some only");
    trial.program("mount", "exit 1");
    let ended = trial.run(&script::upgrade(&spec(json!({}))));
    assert_eq!((ended.code, ended.told.as_str(), ended.called.len()), (1, "the host's /dev cannot be mounted", 1));

    // A host without such a directory has nothing to mount.
    trial.program("mount", "exit 0");
    std::fs::remove_dir(trial.folder.join("host/sys")).unwrap();
    let ended = trial.run(&script::upgrade(&spec(json!({}))));
    assert_eq!((ended.code, ended.called.len()), (0, 3), "{ended:#?}");
    assert!(ended.talk.contains("the host has no /sys"), "{}", ended.talk);
}

#[test]
fn the_scripts_are_for_every_shell() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/upgrade");
    for (name, text) in [("preflight", script::PREFLIGHT), ("upgrade", script::UPGRADE)] {
        // Each with what it shares, as it is run.
        let whole = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-whole.sh"));
        std::fs::write(&whole, text).unwrap();
        assert!(folder.join(format!("{name}.sh")).exists());
        let checked = Command::new("shellcheck").args(["-s", "sh"]).arg(&whole).output();
        // Where it is not installed, make lint says so.
        if let Ok(checked) = checked {
            assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
        }
    }
}
