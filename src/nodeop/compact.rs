//! The entries of a status as they are kept: whole in small fleets, and from 1,500 on without what an operation can do
//! without, for ten thousand must fit into one object. Those that stand as they stood are shared with the status before.

use std::sync::Arc;

use super::api::{NodeOpStatus, NodePhase, NodeStatus, NodeStatuses, NodeStep};
use super::entries::{Entries, Entry};
use super::operation::Operation;
use super::rebooting;
use super::status::BLOCKERS;
use super::verdict::clip;
use crate::reason::Reason;
use crate::snapshot::views::Node;
use crate::walk::Walk;

/// From this many entries on they are kept compact: ten thousand must fit into one object.
const COMPACT_FROM: usize = 1500;
/// For how many nodes that failed, or cannot start, it is then told in words why.
const TOLD: usize = 200;
/// In how many characters.
const WORDS: usize = 120;

/// The entries as a status keeps them; `before` is the one that stands, with which names and entries are shared.
pub fn compacted(op: &Operation<'_>, entries: Entries<'_>, before: &NodeOpStatus) -> NodeStatuses {
    let mut before = Walk::over(&before.node_statuses);
    let mut shared = move |name: &str| before.find(name).map_or_else(|| Arc::from(name), |(name, _)| Arc::clone(name));
    if entries.len() < COMPACT_FROM {
        return entries.into_iter().map(|(name, entry)| (shared(name), entry.into_status())).collect();
    }
    let done = Arc::new(NodeStatus { phase: NodePhase::Completed, ..NodeStatus::default() });
    let started = op.run.started_at.0;
    let nodes = &op.snapshot.nodes;
    let is_old = |node: &Node| node.created.is_some_and(|created| created < started);
    let all_old = nodes.values().all(is_old);
    let (mut failed, mut stuck) = (0, 0);
    let compact = |(name, entry): (&str, Entry<'_>)| {
        let old = all_old || nodes.get(name).is_none_or(is_old);
        let entry = match (entry.step, entry.phase) {
            // Why it failed, and what the server said against a Job, is told nowhere else; of many, some will do.
            (None, NodePhase::Failed) => {
                let message = words(&entry, &mut failed);
                has_failed(entry, message, old)
            }
            (Some(NodeStep::Releasing), NodePhase::Failed) => {
                let message = words(&entry, &mut failed);
                in_flight(entry, message)
            }
            (Some(_), _) if entry.is_because(Reason::CannotStart) => {
                let message = words(&entry, &mut stuck);
                in_flight(entry, message)
            }
            (None, NodePhase::Completed) if *entry == *done => entry.into_status(),
            (None, NodePhase::Completed) if entry.last_updated.is_none() || old => Arc::clone(&done),
            (Some(_), _) => in_flight(entry, None),
            _ => entry.into_status(),
        };
        (shared(name), entry)
    };
    entries.into_iter().map(compact).collect()
}

/// The compact entry of a node that failed, which is shared where it is compact already.
fn has_failed(entry: Entry<'_>, message: Option<String>, old: bool) -> Arc<NodeStatus> {
    let mut entry = entry.into_status();
    // That something ran before the time was up: the cordon stays for that.
    let ran = entry.is_because(Reason::NodeTimeout);
    let has_more = entry.reboot_status.is_some() || entry.job_name.is_some() && !ran || entry.last_updated.is_some() && old;
    if entry.message != message || has_more {
        let entry = Arc::make_mut(&mut entry);
        (entry.message, entry.reboot_status) = (message, None);
        entry.job_name.take_if(|_| !ran);
        entry.last_updated.take_if(|_| old);
    }
    entry
}

/// The compact entry of a node in flight, which is shared likewise.
fn in_flight(entry: Entry<'_>, message: Option<String>) -> Arc<NodeStatus> {
    let mut entry = entry.into_status();
    let follows = rebooting::follows(&entry);
    let has_more = entry.last_updated.is_some() || entry.reboot_status.is_some() && !follows;
    if entry.message != message || has_more {
        let entry = Arc::make_mut(&mut entry);
        (entry.message, entry.last_updated) = (message, None);
        entry.reboot_status.take_if(|_| !follows);
    }
    entry
}

/// Whether the entry of a node in flight, one of so many, is compact already, and nobody asks for the message that it has
/// not kept.
pub fn is_untold(entry: &NodeStatus, entries: usize) -> bool {
    let is_told = entry.phase == NodePhase::Failed || BLOCKERS.iter().any(|blocker| entry.is_because(*blocker));
    entries >= COMPACT_FROM && entry.message.is_none() && entry.last_updated.is_none() && !is_told
}

/// A few words of the message, for the first of many entries.
fn words(entry: &NodeStatus, told: &mut usize) -> Option<String> {
    let message = entry.message.as_deref().filter(|message| !message.is_empty() && *told < TOLD)?;
    *told += 1;
    Some(if message.chars().count() > WORDS { clip(message, WORDS - 1) } else { message.to_string() })
}
