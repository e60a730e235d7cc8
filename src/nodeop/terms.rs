//! What the resource that has made an operation says about it: whether it may go on at all, and which nodes it leaves to
//! another one.

use std::collections::BTreeMap;

use crate::plan::NodeReason;

/// What holds for one operation in this round, besides what it says itself. The default is that of one made by a person.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms<'a> {
    /// Why it may start nothing new, if so.
    pub closed: Option<NodeReason>,
    /// Nodes that another operation takes instead, and why.
    pub left: BTreeMap<&'a str, NodeReason>,
}
