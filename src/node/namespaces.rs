//! Runs a command in the namespaces of the host's pid 1, as `nsenter` would, through a crate that needs no `unsafe` here.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::reboot::Host;

/// Where hosts look for programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin";

/// The namespaces of a process, such as /proc/1/ns.
#[derive(Clone, Debug)]
pub struct Namespaces(pub PathBuf);

impl Host for Namespaces {
    fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    /// Enters for good: what runs after this sees the host's files and none of the container's. The process must have one
    /// thread only, for threads share what a mount namespace decides.
    fn run(&mut self, command: &[String]) -> io::Result<ExitStatus> {
        let (program, arguments) = command.split_first().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.enter()?;
        let mut command = std::process::Command::new(program);
        command.args(arguments).env_clear().env("PATH", PATH).current_dir("/").status()
    }
}

impl Namespaces {
    #[cfg(target_os = "linux")]
    fn enter(&self) -> io::Result<()> {
        use std::os::fd::AsFd;

        use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

        const KINDS: [(&str, LinkNameSpaceType); 5] = [
            ("ipc", LinkNameSpaceType::InterProcessCommunication),
            ("uts", LinkNameSpaceType::HostNameAndNISDomainName),
            ("net", LinkNameSpaceType::Network),
            ("pid", LinkNameSpaceType::ProcessID),
            // The last one: with it all paths change.
            ("mnt", LinkNameSpaceType::Mount),
        ];
        let open = |(name, kind): (&str, LinkNameSpaceType)| Ok((std::fs::File::open(self.0.join(name))?, kind));
        let opened: Vec<_> = KINDS.into_iter().map(open).collect::<io::Result<_>>()?;
        opened.iter().try_for_each(|(link, kind)| Ok(move_into_link_name_space(link.as_fd(), Some(*kind))?))
    }

    #[cfg(not(target_os = "linux"))]
    fn enter(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
