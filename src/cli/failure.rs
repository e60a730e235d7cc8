//! How a command ends: its exit code, and one clear line with a hint where it could not do its work.

use std::process::ExitCode;

use super::global::LogFormat;
use super::output;
use crate::cluster::connect::ConnectError;
use crate::report::paint::Tone;
use crate::round::RoundError;
use crate::text;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Done,
    /// Could not do its work.
    Failed,
    /// `plan` has changes.
    Changes,
    /// Something failed, stalled or would not complete.
    NotCompleted,
    /// The time was up.
    TimedOut,
    /// Wrong usage.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Changes => 2,
            Exit::NotCompleted => 3,
            Exit::TimedOut => 4,
            Exit::Usage => 64,
        })
    }
}

/// A command that could not do its work.
#[derive(Debug)]
pub struct Failure {
    /// What is wrong, a line each.
    pub messages: Vec<String>,
    /// What to do about it; may be empty.
    pub hint: String,
    /// The exit code.
    pub exit: Exit,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        Self::all(vec![message.into()])
    }

    /// Several things that are wrong.
    pub fn all(messages: Vec<String>) -> Self {
        Self { messages, hint: String::new(), exit: Exit::Failed }
    }

    /// The same with a hint.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// The same as wrong usage.
    pub fn usage(self) -> Self {
        Self { exit: Exit::Usage, ..self }
    }

    /// Says it on stderr: to people, or to whoever reads log lines.
    pub fn print(&self, format: LogFormat) {
        let messages: Vec<String> = self.messages.iter().map(|message| text::one_line(message)).collect();
        if format == LogFormat::Json {
            messages.iter().for_each(|message| tracing::error!(hint = self.hint, "{message}"));
            return;
        }
        let mut text: String = messages.iter().map(|message| format!("{} {message}\n", Tone::Bad.paint("error:"))).collect();
        if !self.hint.is_empty() {
            text += &format!("{} {}\n", Tone::Strong.paint("hint:"), self.hint);
        }
        output::talk(&text);
    }
}

impl From<RoundError> for Failure {
    fn from(error: RoundError) -> Self {
        Self::new(error.to_string()).hint(error.hint())
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::new(error.to_string()).hint(error.hint())
    }
}
