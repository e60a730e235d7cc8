//! Looks at what was built, and tells the files, their sizes and digests by its termination message.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::NodeError;
use crate::artifact::api::BuiltArtifact;
use crate::artifact::report::Report;

/// How much is read at a time.
const CHUNK: usize = 1 << 20;

/// What the container is told.
#[derive(Clone, Debug)]
pub struct Digest {
    /// The folder with what was built.
    pub folder: PathBuf,
    /// A file as old as the pod: what has not changed since comes from an earlier build, and is not told.
    pub since: Option<PathBuf>,
    /// How long the message may be.
    pub limit: usize,
    /// The file that the kubelet reads as the termination message.
    pub message: PathBuf,
}

impl Digest {
    /// Looks, and tells.
    ///
    /// # Errors
    /// When a file cannot be read, or the message cannot be written.
    pub fn tell(&self) -> Result<Report, NodeError> {
        let report = Report { files: self.files()?, more: 0 };
        std::fs::write(&self.message, report.message(self.limit)).map_err(NodeError::file(&self.message))?;
        Ok(report)
    }

    /// The files of the folder itself, by name: what tools leave in folders below it is no result.
    fn files(&self) -> Result<Vec<BuiltArtifact>, NodeError> {
        let failed = || NodeError::file(&self.folder);
        let since =
            self.since.as_ref().map(|path| std::fs::metadata(path).map(|of| changed(&of)).map_err(NodeError::file(path))).transpose()?;
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            let path = entry.path();
            let of = match std::fs::symlink_metadata(&path) {
                // Others may have a folder of the node as their volume, too.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                of => of.map_err(NodeError::file(&path))?,
            };
            if of.is_file() && since.is_none_or(|since| changed(&of) >= since) {
                files.push(digest(&path, entry.file_name().to_string_lossy().into_owned())?);
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }
}

/// When a file was last changed, by the node's clock; a tool may set any time of modification, and not this one.
fn changed(of: &Metadata) -> (i64, i64) {
    (of.ctime(), of.ctime_nsec())
}

fn digest(path: &Path, name: String) -> Result<BuiltArtifact, NodeError> {
    let failed = || NodeError::file(path);
    let mut file = File::open(path).map_err(failed())?;
    let (mut hash, mut size) = (Sha256::new(), 0_usize);
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk).map_err(failed())? {
            0 => break,
            read => {
                hash.update(&chunk[..read]);
                size += read;
            }
        }
    }
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(BuiltArtifact { name, size: i64::try_from(size).ok(), digest: Some(format!("sha256:{hex}")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_this_build_are_told_with_size_and_digest_and_folders_are_not() {
        let root = std::env::temp_dir().join(format!("rounds-digest-{}", std::process::id()));
        let folder = root.join("artifacts");
        std::fs::create_dir_all(folder.join("lost+found")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).unwrap();
        let message = root.join("message");
        let since = Some(root.join("begun"));
        std::fs::write(folder.join("of-an-earlier-build.iso"), "").unwrap();
        // Times of files are as coarse as the kernel's clock.
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::write(root.join("begun"), "").unwrap();
        std::fs::write(folder.join("b.iso"), "abc").unwrap();
        std::fs::write(folder.join("a.raw"), "").unwrap();
        let digest = Digest { folder, since, limit: 4096, message: message.clone() };
        let told = digest.tell().unwrap();
        assert_eq!(Report::parse(&std::fs::read_to_string(&message).unwrap()), told);
        let seen: Vec<_> = told.files.iter().map(|file| (file.name.as_str(), file.size)).collect();
        assert_eq!(seen, [("a.raw", Some(0)), ("b.iso", Some(3))]);
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(told.files[1].digest.as_deref(), Some(abc));
        std::fs::remove_dir_all(&digest.folder).unwrap();
        assert!(digest.tell().unwrap_err().to_string().contains("/artifacts: "));
        std::fs::remove_dir_all(&root).unwrap();
    }
}
