//! After a command that succeeded: the sentinel on the host, without which nothing reboots it, and the boot id in the
//! termination message, without which nothing is approved.

use std::path::PathBuf;

use super::{NodeError, boot_id, on_host, write};

/// What the container that follows the command is told.
#[derive(Clone, Debug)]
pub struct Sentinel {
    /// Where the host's root is mounted.
    pub host: PathBuf,
    /// The path on the host.
    pub sentinel: String,
    /// The file that the kubelet reads as the termination message.
    pub message: PathBuf,
}

impl Sentinel {
    /// Writes both, the sentinel first: whoever reads of the boot may rely on it.
    ///
    /// # Errors
    /// When the host tells no boot id, or a file cannot be written.
    pub fn tell(&self) -> Result<String, NodeError> {
        let boot_id = boot_id(&self.host)?;
        write(&on_host(&self.host, &self.sentinel), &boot_id)?;
        // The kubelet has mounted this one: it can be written to, but not replaced.
        std::fs::write(&self.message, &boot_id).map_err(NodeError::file(&self.message))?;
        Ok(boot_id)
    }
}
