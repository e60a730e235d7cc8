//! What became of a plan's actions.

use serde::Serialize;

use crate::snapshot::Reference;

/// What became of a round's writes, in no particular order.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Outcome {
    /// One entry per write that was tried or skipped.
    pub actions: Vec<ActionOutcome>,
}

/// What became of one write.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionOutcome {
    /// The resource on whose behalf it was written.
    pub on_behalf_of: Reference,
    /// The object written to.
    pub target: Reference,
    /// What kind of write it is, in one word: that of [`Action::verb`](crate::plan::Action::verb), or `status`.
    pub verb: &'static str,
    /// The write in a few words, e.g. "lock and cordon Node n1".
    pub action: String,
    /// What became of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// How a write ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "verdict", content = "message")]
pub enum Verdict {
    /// The server took it.
    Done,
    /// It was so already.
    Already,
    /// 404, 409 or 422 on the uid: the world moved, the next round decides again.
    Moved(String),
    /// A disruption budget refused an eviction.
    Blocked(String),
    /// The server asked to slow down.
    Throttled(String),
    /// No answer: it may or may not have been taken. The next round sees.
    Unknown(String),
    /// The server refused it.
    Failed(String),
    /// The runner is not set up for it: it lacks a permission, or a definition is of another version.
    NotSetUp(String),
    /// Not tried: an earlier write of the same step, or the status before it, did not go through.
    Skipped,
    /// Not tried: this round has written enough, and the next one follows at once.
    Postponed,
}

impl Verdict {
    /// The verdict in one word, as in JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Already => "already",
            Self::Moved(_) => "moved",
            Self::Blocked(_) => "blocked",
            Self::Throttled(_) => "throttled",
            Self::Unknown(_) => "unknown",
            Self::Failed(_) => "failed",
            Self::NotSetUp(_) => "notSetUp",
            Self::Skipped => "skipped",
            Self::Postponed => "postponed",
        }
    }
}

impl Outcome {
    /// How many writes the server took.
    pub fn done(&self) -> usize {
        self.actions.iter().filter(|action| action.verdict == Verdict::Done).count()
    }

    /// The writes that the server refused.
    pub fn failures(&self) -> impl Iterator<Item = &ActionOutcome> {
        self.actions.iter().filter(|action| matches!(action.verdict, Verdict::Failed(_) | Verdict::NotSetUp(_)))
    }

    /// What keeps the runner from doing its work at all.
    pub fn not_set_up(&self) -> Option<&str> {
        self.actions.iter().find_map(|action| match &action.verdict {
            Verdict::NotSetUp(message) => Some(message.as_str()),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_the_same_word_in_metrics_and_in_json() {
        let text = || "why".to_string();
        for verdict in [
            Verdict::Done,
            Verdict::Already,
            Verdict::Moved(text()),
            Verdict::Blocked(text()),
            Verdict::Throttled(text()),
            Verdict::Unknown(text()),
            Verdict::Failed(text()),
            Verdict::NotSetUp(text()),
            Verdict::Skipped,
            Verdict::Postponed,
        ] {
            assert_eq!(serde_json::to_value(&verdict).unwrap()["verdict"], verdict.word());
        }
    }
}
