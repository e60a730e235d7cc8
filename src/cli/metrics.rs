//! Where the metrics of `rounds run` go: into a file, to whoever asks for them, or both.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Failure;
use super::serve::Board;
use crate::report::metrics::Metrics;
use crate::round::{Round, RoundError};

/// Keeps the metrics, and publishes them after each round.
#[derive(Debug)]
pub struct Publisher {
    metrics: Metrics,
    file: Option<PathBuf>,
    board: Option<Arc<Board>>,
    /// Why the file could not be written the last time.
    trouble: Option<String>,
}

impl Publisher {
    /// Publishes into a file, and on a board.
    pub fn new(file: Option<PathBuf>, board: Option<Arc<Board>>) -> Self {
        // In a file, the counters of processes that live for a minute would say nothing.
        Self { metrics: Metrics::new(board.is_some()), file, board, trouble: None }
    }

    /// Publishes what a round came to.
    pub fn round(&mut self, result: &Result<Round, RoundError>) {
        let wanted = self.file.is_some() || self.board.is_some();
        if !wanted || matches!(result, Err(RoundError::Stopped)) {
            return;
        }
        self.metrics.add(result);
        self.publish(result.is_ok());
    }

    /// Publishes that no round came about.
    pub fn failed(&mut self) {
        self.metrics.fail();
        self.publish(false);
    }

    /// Whether all could be published. That it could not is told at the end: it keeps no round from its work.
    ///
    /// # Errors
    /// When the file could not be written.
    pub fn finish(self) -> Result<(), Failure> {
        self.trouble.map_or(Ok(()), |trouble| Err(Failure::new(trouble).hint("the rounds themselves were done; see --metrics-file")))
    }

    fn publish(&mut self, good: bool) {
        if let Some(board) = &self.board {
            board.post(&self.metrics.text(), good);
        }
        let Some(path) = &self.file else { return };
        let metrics = self.metrics.clone();
        // Another process may have told of a better round.
        let metrics = if good { metrics } else { metrics.after(&std::fs::read_to_string(path).unwrap_or_default()) };
        let trouble = write(path, &metrics.text()).err().map(|error| format!("{} cannot be written: {error}", path.display()));
        if let Some(trouble) = &trouble
            && self.trouble.is_none()
        {
            tracing::warn!("{trouble}");
        }
        self.trouble = trouble;
    }
}

/// Writes a file for others to read, whole or not at all: whoever collects it may look at any time.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let readable = Permissions::from_mode(0o644);
    // Collectors read what ends with .prom.
    let mut file = tempfile::Builder::new().prefix(".rounds-").suffix(".tmp").permissions(readable).tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_readable_for_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rounds.prom");
        let mut publisher = Publisher::new(Some(path.clone()), None);
        publisher.round(&Ok(crate::report::cases::planned()));
        let first = std::fs::read_to_string(&path).unwrap();
        assert!(first.contains("rounds_last_round_success 1.0") && !first.contains("rounds_total"), "{first}");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert!(publisher.finish().is_ok());
        // Another process, which comes to nothing.
        let mut publisher = Publisher::new(Some(path.clone()), None);
        publisher.failed();
        let second = std::fs::read_to_string(&path).unwrap();
        let kept = "rounds_last_round_timestamp_seconds 1795240800.0";
        assert!(first.contains(kept) && second.contains(kept) && second.contains("rounds_last_round_success 0.0"), "{second}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left in the folder");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_at_the_end() {
        let mut publisher = Publisher::new(Some("/nonexistent/rounds.prom".into()), None);
        publisher.failed();
        let failure = publisher.finish().unwrap_err();
        assert!(failure.messages[0].starts_with("/nonexistent/rounds.prom cannot be written: "), "{failure:?}");
    }
}
