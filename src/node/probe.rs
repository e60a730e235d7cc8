//! Looks at the host that it runs on, and tells what it is by its termination message: unprivileged, with nothing of the
//! host but its /etc and /usr/lib.

use std::io;
use std::path::{Path, PathBuf};

use super::{NodeError, boot_id, on_host};
use crate::labels::release::Host;
use crate::labels::report::Report;

/// What the probe's container is told.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The root below which /proc is: a container has the kernel of its host.
    pub root: PathBuf,
    /// Where the host's /etc is mounted.
    pub etc: PathBuf,
    /// The file that the kubelet reads as the termination message.
    pub message: PathBuf,
}

impl Probe {
    /// Looks, and tells.
    ///
    /// # Errors
    /// When a file that is there cannot be read, or the message cannot be written.
    pub fn tell(&self) -> Result<Report, NodeError> {
        let host = Host {
            kairos_release: text(&self.etc.join("kairos-release"))?,
            os_release: text(&self.etc.join("os-release"))?,
            cmdline: text(&on_host(&self.root, "/proc/cmdline"))?,
        };
        let report = Report::new(boot_id(&self.root)?, host.found());
        // The kubelet has mounted this one: it can be written to, but not replaced.
        std::fs::write(&self.message, report.message()).map_err(NodeError::file(&self.message))?;
        Ok(report)
    }
}

/// A file that may not be there. One that is empty, or no text, is there all the same.
fn text(path: &Path) -> Result<Option<String>, NodeError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(NodeError::file(path)(error)),
    }
}
