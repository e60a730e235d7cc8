//! `rounds node`: what Rounds runs on nodes, in containers that it makes itself. Not for people, and in no help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::render::Setting;
use super::{Exit, Failure};
use crate::node::NodeError;
use crate::node::digest::Digest;
use crate::node::namespaces::Namespaces;
use crate::node::probe::Probe;
use crate::node::reboot::Reboot;
use crate::node::render::{Render, Template, ValuesFrom};
use crate::node::sentinel::Sentinel;

/// What runs on a node.
#[derive(Debug, Subcommand)]
pub enum Node {
    /// Tell on the host, and by termination message, that the command succeeded
    Sentinel(SentinelArgs),
    /// Wait for the approval and reboot the host
    Reboot(RebootArgs),
    /// Look at the host, and tell by termination message what it is
    Probe(ProbeArgs),
    /// Make the Dockerfile of a build from its template
    Render(RenderArgs),
    /// Look at what was built, and tell by termination message what it is
    Digest(DigestArgs),
}

/// What looks at a host.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// Where the host's /etc is mounted
    #[arg(long, value_name = "DIR", env = "HOST_ETC_PATH", default_value = "/host/etc")]
    etc: PathBuf,
    /// Below which /proc is
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// The file that the kubelet reads as the termination message
    #[arg(long, value_name = "FILE", default_value = "/dev/termination-log")]
    message: PathBuf,
}

/// What looks at what was built.
#[derive(Debug, Args)]
pub struct DigestArgs {
    /// The folder with what was built
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Only what has changed since this file did
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    /// How many bytes the message may have
    #[arg(long, value_name = "BYTES", default_value_t = 4096)]
    limit: usize,
    /// The file that the kubelet reads as the termination message
    #[arg(long, value_name = "FILE", default_value = "/dev/termination-log")]
    message: PathBuf,
}

/// What follows a command that succeeded.
#[derive(Debug, Args)]
pub struct SentinelArgs {
    /// Where the host's root is mounted
    #[arg(long, value_name = "DIR")]
    host: PathBuf,
    /// The path on the host to write
    #[arg(long, value_name = "PATH")]
    sentinel: String,
    /// The file that the kubelet reads as the termination message
    #[arg(long, value_name = "FILE", default_value = "/dev/termination-log")]
    message: PathBuf,
}

/// What waits to reboot the host.
#[derive(Debug, Args)]
pub struct RebootArgs {
    /// Where the host's root can be seen
    #[arg(long, value_name = "DIR", default_value = "/proc/1/root")]
    host: PathBuf,
    /// The namespaces to reboot from
    #[arg(long, value_name = "DIR", default_value = "/proc/1/ns")]
    namespaces: PathBuf,
    /// The path on the host that must be there
    #[arg(long, value_name = "PATH")]
    sentinel: String,
    /// The file in which the approved boot id arrives
    #[arg(long, value_name = "FILE")]
    approval: PathBuf,
    /// The file that keeps which boot was ended
    #[arg(long, value_name = "FILE")]
    mark: PathBuf,
    /// Seconds between the approval and the reboot
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    grace_seconds: u64,
    /// The command that reboots; unset: what the host has
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// What makes a Dockerfile.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// The template, a key of a mounted Secret; unset: header and footer are all
    #[arg(long, value_name = "FILE", requires_all = ["secret", "key"], allow_hyphen_values = true)]
    template: Option<PathBuf>,
    /// The Secret of the template, for messages
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    secret: Option<String>,
    /// The key of the template in it, for messages
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    key: Option<String>,
    /// Where the Secret with the values is mounted
    #[arg(long, value_name = "DIR", requires = "values_secret", allow_hyphen_values = true)]
    values: Option<PathBuf>,
    /// The Secret with the values, for messages
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    values_secret: Option<String>,
    /// A value, before that of the Secret
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    set: Vec<Setting>,
    /// What is put before the text that is rendered
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    header: Option<String>,
    /// What is put after it
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    footer: Option<String>,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// The file that the kubelet reads as the termination message
    #[arg(long, value_name = "FILE", default_value = "/dev/termination-log")]
    message: PathBuf,
}

impl RenderArgs {
    fn render(self) -> Render {
        let template = |file| Template { file, secret: self.secret.unwrap_or_default(), key: self.key.unwrap_or_default() };
        let values = |folder| ValuesFrom { folder, secret: self.values_secret.unwrap_or_default() };
        Render {
            template: self.template.map(template),
            values: self.values.map(values),
            inline: self.set.into_iter().map(|Setting(key, value)| (key, value.into_bytes())).collect(),
            header: self.header,
            footer: self.footer,
            output: self.output,
            message: self.message,
        }
    }
}

impl Node {
    /// Runs the verb. Not within a runtime: namespaces are entered by a process of one thread.
    pub fn run(self) -> Result<Exit, Failure> {
        let failure = |error: NodeError| Failure::new(error.to_string());
        match self {
            Self::Sentinel(SentinelArgs { host, sentinel, message }) => {
                let boot_id = Sentinel { host, sentinel, message }.tell().map_err(failure)?;
                tracing::info!(boot_id, "the command succeeded");
            }
            Self::Probe(ProbeArgs { etc, root, message }) => {
                let report = Probe { root, etc, message }.tell().map_err(failure)?;
                tracing::info!(boot_id = report.boot_id, labels = report.labels.len(), "looked at the host");
            }
            Self::Render(args) => args.render().run().map_err(failure)?,
            Self::Digest(DigestArgs { folder, since, limit, message }) => {
                let report = Digest { folder, since, limit, message }.tell().map_err(failure)?;
                report.files.iter().for_each(|file| tracing::info!(name = file.name, size = file.size, digest = file.digest, "was built"));
            }
            Self::Reboot(args) => {
                let RebootArgs { host, namespaces, sentinel, approval, mark, grace_seconds, command } = args;
                let grace = Duration::from_secs(grace_seconds);
                Reboot { host, approval, mark, sentinel, grace, command }.run(&mut Namespaces(namespaces)).map_err(failure)?;
            }
        }
        Ok(Exit::Done)
    }
}
