//! The entries of a status while a round decides: those that stand as they stood, and those that it makes anew.

use std::ops::Deref;
use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::IndexMap;

use super::api::NodeStatus;

/// Entries by node, in the order of their names.
pub type Entries<'a> = IndexMap<&'a str, Entry<'a>, RandomState>;

/// One entry. Of ten thousand nearly all stand as they stood: no more than a pointer is kept of them, for a round makes and
/// copies whole maps of entries.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<'a> {
    /// As the status has it.
    Kept(&'a Arc<NodeStatus>),
    /// As this round wants it.
    Made(Arc<NodeStatus>),
}

impl Entry<'_> {
    /// An entry that is not in the status, or not like this.
    pub fn made(entry: impl Into<Arc<NodeStatus>>) -> Self {
        Self::Made(entry.into())
    }

    /// Whether it is another one than the status has.
    pub fn is_made(&self) -> bool {
        matches!(self, Self::Made(_))
    }

    /// The entry itself, taken.
    pub fn into_status(self) -> Arc<NodeStatus> {
        match self {
            Self::Kept(entry) => entry.clone(),
            Self::Made(entry) => entry,
        }
    }

    /// The entry itself, borrowed.
    pub fn status(&self) -> &Arc<NodeStatus> {
        match self {
            Self::Kept(entry) => entry,
            Self::Made(entry) => entry,
        }
    }
}

impl Deref for Entry<'_> {
    type Target = NodeStatus;

    fn deref(&self) -> &NodeStatus {
        self.status()
    }
}
