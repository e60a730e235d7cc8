//! Colours. They only repeat what the words say.

use anstyle::{AnsiColor, Style};

use crate::plan::Decision;
use crate::reason::Reason;

/// What a colour repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    #[default]
    Plain,
    /// It went well.
    Good,
    /// It is being worked on.
    Busy,
    /// It waits for something that somebody may have to do.
    Wait,
    /// It failed.
    Bad,
    /// Less important than the rest.
    Dim,
    /// A heading.
    Strong,
}

impl Tone {
    /// The tone of a reason.
    pub fn of(reason: Reason) -> Self {
        use Reason::*;
        match reason {
            Succeeded | Completed | SkippedByPreflight | Adopted | Built => Self::Good,
            PreflightFailed | DrainTimeout | DrainRefused | CordonRemoved | LockRemoved | CommandFailed | JobLost | NotAdmitted
            | NodeTimeout | NodeGone | NodeReplaced | NodesFailed | NoBootId | InvalidSelector | InvalidWindow | InvalidSpec
            | Unreadable | NotRebooted | OlderDefinition | BuildFailed | ExportFailed => Self::Bad,
            DrainBlocked | CannotStart | CordonConflict | NotReady | Suspended | StoppedOnFailure | Orphaned | ProbeFailed
            | LabelConflict => Self::Wait,
            _ => Self::Plain,
        }
    }

    /// The tone of a decision as a whole.
    pub fn of_decision(decision: &Decision) -> Self {
        match Self::of(decision.reason) {
            Self::Plain if decision.failed => Self::Bad,
            tone => tone,
        }
    }

    /// The text in this tone.
    pub fn paint(self, text: &str) -> String {
        let style = match self {
            Self::Plain => return text.to_string(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Busy => AnsiColor::Cyan.on_default(),
            Self::Wait => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Dim => Style::new().dimmed(),
            Self::Strong => Style::new().bold(),
        };
        if text.is_empty() { String::new() } else { format!("{style}{text}{style:#}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paint_comes_off_without_a_trace() {
        for tone in [Tone::Plain, Tone::Good, Tone::Busy, Tone::Wait, Tone::Bad, Tone::Dim, Tone::Strong] {
            assert_eq!(anstream::adapter::strip_str(&tone.paint("word")).to_string(), "word");
        }
        assert_eq!(Tone::Bad.paint(""), "", "an empty cell stays empty");
    }
}
