//! What runs on a node, as hidden subcommands of the one binary: no shell, no kubectl, no access to the API.
//!
//! - [`sentinel`]: after a command that succeeded, tells so on the host, and in which boot that was.
//! - [`reboot`]: waits for the approval, and reboots the host once.
//! - [`probe`]: looks at the host, and tells what it is.
//! - [`render`]: makes the Dockerfile of a build from its template.
//! - [`digest`]: looks at what was built, and tells the files and their digests.
//! - [`namespaces`]: runs a command as pid 1 of the host would.

pub mod digest;
pub mod namespaces;
pub mod probe;
pub mod reboot;
pub mod render;
pub mod sentinel;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What can go wrong on a node.
#[derive(Debug, Error)]
pub enum NodeError {
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The host tells no boot id.
    #[error("{path} is empty", path = .0.display())]
    NoBootId(PathBuf),
    /// The reboot command cannot be run.
    #[error("the reboot command {command:?} cannot be run in the host's namespaces: {source}")]
    Run {
        /// The command.
        command: Vec<String>,
        /// Why.
        source: io::Error,
    },
    /// The reboot command says that it failed.
    #[error("the reboot command {command:?} failed: {status}")]
    Refused {
        /// The command.
        command: Vec<String>,
        /// How it ended.
        status: String,
    },
    /// The reboot command says that all is well, and nothing happens.
    #[error("the reboot command {command:?} has not rebooted the host within {seconds} seconds")]
    StillUp {
        /// The command.
        command: Vec<String>,
        /// For how long it was waited.
        seconds: u64,
    },
    /// There is no template, or nothing to fill it with.
    #[error("{0}")]
    Missing(String),
    /// The template is wrong.
    #[error("Secret {secret}, key {key}: {message}")]
    Template {
        /// The Secret of the template.
        secret: String,
        /// Its key.
        key: String,
        /// What is wrong, and where.
        message: String,
    },
}

impl NodeError {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { path, source }
    }
}

/// The present boot of the host whose root is mounted at `host`. Its own /proc is asked, which its kubelet reads as well.
///
/// # Errors
/// When the host does not tell.
pub fn boot_id(host: &Path) -> Result<String, NodeError> {
    let path = on_host(host, "/proc/sys/kernel/random/boot_id");
    let text = std::fs::read_to_string(&path).map_err(NodeError::file(&path))?;
    match text.trim() {
        "" => Err(NodeError::NoBootId(path)),
        boot_id => Ok(boot_id.to_string()),
    }
}

/// A path of the host, below the place where its root is mounted.
fn on_host(host: &Path, path: &str) -> PathBuf {
    host.join(path.trim_start_matches('/'))
}

/// Writes a file whole or not at all.
fn write(path: &Path, text: &str) -> Result<(), NodeError> {
    let new = path.with_extension("new");
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(NodeError::file(folder))?;
    }
    std::fs::write(&new, text).map_err(NodeError::file(&new))?;
    std::fs::rename(&new, path).map_err(NodeError::file(path))
}

/// A file that may not be there.
fn read(path: &Path) -> Result<Option<String>, NodeError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_string()).filter(|text| !text.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(NodeError::file(path)(error)),
    }
}
