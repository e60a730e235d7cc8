//! Small words: ages, counts, lists of names, cuts, the nodes that share a reason.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::nodeop::verdict::clip;
use crate::plan::NodeReason;
use crate::reason::Reason;

/// How long ago something was, as kubectl writes it: 5s, 3m, 2h, 4d.
pub fn age(now: Timestamp, then: Timestamp) -> String {
    match now.as_second().saturating_sub(then.as_second()).max(0) {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7200 => format!("{}m", seconds / 60),
        seconds @ 7200..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// A number and what it counts: "1 node", "2 nodes".
pub fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// The first names, and how many there are besides.
pub fn names(names: &[&str], most: usize) -> String {
    match names.len().checked_sub(most) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..most].join(", ")),
    }
}

/// At most so many characters, the mark of the cut included.
pub fn clip_to(text: &str, most: usize) -> String {
    match text.chars().count() {
        length if length <= most => text.to_string(),
        _ if most == 0 => String::new(),
        _ => clip(text, most - 1),
    }
}

/// The nodes that share a reason and a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// The reason.
    pub reason: Reason,
    /// The message.
    pub message: &'a str,
    /// Their names.
    pub nodes: Vec<&'a str>,
}

/// Nodes by reason and message, in the order of their first node.
pub fn groups<'a>(nodes: impl IntoIterator<Item = (&'a String, &'a NodeReason)>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut places: BTreeMap<(Reason, &str), usize> = BTreeMap::new();
    for (node, why) in nodes {
        let place = *places.entry((why.reason, &why.message)).or_insert_with(|| {
            groups.push(Group { reason: why.reason, message: &why.message, nodes: Vec::new() });
            groups.len() - 1
        });
        groups[place].nodes.push(node);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short_and_never_negative() {
        let now = Timestamp::UNIX_EPOCH;
        for (seconds, expected) in [(-5, "5s"), (-119, "119s"), (-120, "2m"), (-7200, "2h"), (-172_800, "2d"), (9, "0s")] {
            assert_eq!(age(now, Timestamp::from_second(seconds).unwrap()), expected);
        }
    }

    #[test]
    fn many_names_are_counted() {
        assert_eq!(names(&["a", "b"], 2), "a, b");
        assert_eq!(names(&["a", "b", "c", "d"], 2), "a, b and 2 more");
        assert_eq!((count(1, "node").as_str(), count(2, "node").as_str()), ("1 node", "2 nodes"));
    }

    #[test]
    fn a_cut_shows_and_counts() {
        for (text, most, expected) in [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("ab", 1, "…"), ("ab", 0, "")] {
            assert_eq!(clip_to(text, most), expected);
        }
    }

    #[test]
    fn nodes_with_the_same_reason_stand_together() {
        let why = |reason, message: &str| NodeReason::new(reason, message);
        let nodes: BTreeMap<String, NodeReason> = [
            ("a".into(), why(Reason::WaitingForSlot, "m")),
            ("b".into(), why(Reason::Running, "r")),
            ("c".into(), why(Reason::WaitingForSlot, "m")),
        ]
        .into();
        let seen: Vec<_> = groups(&nodes).into_iter().map(|group| (group.reason, group.nodes)).collect();
        assert_eq!(seen, [(Reason::WaitingForSlot, vec!["a", "c"]), (Reason::Running, vec!["b"])]);
    }
}
