//! Waits on a node to reboot it, and does so once: in the boot that was approved, when the command's sentinel is there.
//!
//! Started again after the reboot, it finds another boot than the approved one, or than the one that it marked, and ends.
//! What it waits for are files, so an apiserver that is away delays a reboot and repeats none.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::{NodeError, boot_id, on_host, read, write};

/// How often it looks.
const PAUSE: Duration = Duration::from_secs(1);
/// Seconds that the host may take to go down; after that the container ends, and the kubelet starts it again.
const PATIENCE: u64 = 600;
/// Where hosts keep their programs.
const PROGRAMS: [&str; 7] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/local/sbin", "/run/current-system/sw/bin"];

/// What the reboot Pod is told.
#[derive(Clone, Debug)]
pub struct Reboot {
    /// Where the host's root can be seen.
    pub host: PathBuf,
    /// The file in which the approved boot id arrives; empty until then.
    pub approval: PathBuf,
    /// The file that survives the container: the boot that was ended.
    pub mark: PathBuf,
    /// The path on the host that tells of the command's success.
    pub sentinel: String,
    /// Between the approval and the reboot.
    pub grace: Duration,
    /// The command; empty: what the host has.
    pub command: Vec<String>,
}

/// The world outside: a test puts a stand-in in its place.
pub trait Host {
    /// Lets time go by.
    fn pause(&mut self, time: Duration);

    /// Runs a command as pid 1 would.
    ///
    /// # Errors
    /// When it cannot be run.
    fn run(&mut self, command: &[String]) -> io::Result<ExitStatus>;
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The boot that was to be ended is over.
    Done,
    /// Not approved yet, or the command's success is not told on the host.
    Wait,
    /// This boot is to be ended.
    Reboot(String),
}

impl Reboot {
    /// Waits, reboots, and ends when that is behind it.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the reboot command does not do its work.
    pub fn run(&self, host: &mut dyn Host) -> Result<(), NodeError> {
        let mut waiting = false;
        loop {
            match self.next()? {
                Next::Done => {
                    tracing::info!("the boot that was to be ended is over");
                    return Ok(());
                }
                Next::Wait => {
                    if !std::mem::replace(&mut waiting, true) {
                        tracing::info!("waiting for the command's success and the approval");
                    }
                    host.pause(PAUSE);
                }
                Next::Reboot(boot_id) => return self.end(&boot_id, host),
            }
        }
    }

    /// What the files say.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn next(&self) -> Result<Next, NodeError> {
        let now = boot_id(&self.host)?;
        if read(&self.mark)?.is_some_and(|marked| marked != now) {
            return Ok(Next::Done);
        }
        match read(&self.approval)? {
            None => Ok(Next::Wait),
            Some(approved) if approved != now => Ok(Next::Done),
            Some(_) if read(&on_host(&self.host, &self.sentinel))?.is_none() => Ok(Next::Wait),
            Some(approved) => Ok(Next::Reboot(approved)),
        }
    }

    fn end(&self, boot_id: &str, host: &mut dyn Host) -> Result<(), NodeError> {
        write(&self.mark, boot_id)?;
        let command = self.command();
        tracing::info!(boot_id, grace = self.grace.as_secs(), ?command, "rebooting");
        host.pause(self.grace);
        let status = host.run(&command).map_err(|source| NodeError::Run { command: command.clone(), source })?;
        if !status.success() {
            return Err(NodeError::Refused { command, status: status.to_string() });
        }
        // Nothing of the host is read any more: it is going down. Whoever lives to see the end of this was not rebooted.
        host.pause(Duration::from_secs(PATIENCE));
        Err(NodeError::StillUp { command, seconds: PATIENCE })
    }

    /// The user's command, or the host's own way to reboot.
    pub fn command(&self) -> Vec<String> {
        if !self.command.is_empty() {
            return self.command.clone();
        }
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        // Where systemd runs as pid 1, this folder is there; that it is installed says nothing.
        let systemd = on_host(&self.host, "/run/systemd/system").is_dir();
        if let Some(systemctl) = self.program("systemctl").filter(|_| systemd) {
            return words(&[&systemctl, "reboot"]);
        }
        if let Some(openrc) = self.program("openrc-shutdown") {
            return words(&[&openrc, "-r", "now"]);
        }
        words(&[self.program("reboot").as_deref().unwrap_or("reboot")])
    }

    /// Where the host keeps a program. A link counts: one with an absolute target is only good within the host.
    fn program(&self, name: &str) -> Option<String> {
        let paths = PROGRAMS.iter().map(|folder| format!("{folder}/{name}"));
        paths.into_iter().find(|path| on_host(&self.host, path).symlink_metadata().is_ok())
    }
}

#[cfg(test)]
mod tests;
