//! The nodes of a cluster: in the order of their names, and looked up by name thousands of times in a round.

use std::ops::Deref;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize};

use super::views::Node;

/// Nodes by name, in the order of their names: decisions follow it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Nodes(IndexMap<String, Node, RandomState>);

impl Nodes {
    /// Takes a node in, in the place of one of the same name.
    pub fn insert(&mut self, name: String, node: Node) {
        self.0.insert_sorted(name, node);
    }

    /// Takes a node out.
    pub fn remove(&mut self, name: &str) -> Option<Node> {
        self.0.shift_remove(name)
    }

    /// A node, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.0.get_mut(name)
    }

    /// All nodes, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.0.values_mut()
    }

    /// The nodes in turn: those after a name, then those up to it.
    pub fn in_turn(&self, after: &str) -> impl Iterator<Item = &Node> {
        let next = self.0.partition_point(|name, _| name.as_str() <= after);
        self.0.values().skip(next).chain(self.0.values().take(next))
    }
}

/// What only reads.
impl Deref for Nodes {
    type Target = IndexMap<String, Node, RandomState>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Extend<(String, Node)> for Nodes {
    fn extend<T: IntoIterator<Item = (String, Node)>>(&mut self, nodes: T) {
        self.0.extend(nodes);
        if !self.0.keys().is_sorted() {
            self.0.sort_unstable_keys();
        }
    }
}

impl FromIterator<(String, Node)> for Nodes {
    fn from_iter<T: IntoIterator<Item = (String, Node)>>(nodes: T) -> Self {
        let mut all = Self::default();
        all.extend(nodes);
        all
    }
}

impl<const N: usize> From<[(String, Node); N]> for Nodes {
    fn from(nodes: [(String, Node); N]) -> Self {
        nodes.into_iter().collect()
    }
}

impl IntoIterator for Nodes {
    type Item = (String, Node);
    type IntoIter = indexmap::map::IntoIter<String, Node>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Nodes {
    type Item = (&'a String, &'a Node);
    type IntoIter = indexmap::map::Iter<'a, String, Node>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// A file may have been edited: its order is not relied on.
impl<'de> Deserialize<'de> for Nodes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let nodes: IndexMap<String, Node, RandomState> = IndexMap::deserialize(deserializer)?;
        Ok(nodes.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(names: &[&str]) -> Nodes {
        names.iter().map(|name| (name.to_string(), Node { name: name.to_string(), ..Node::default() })).collect()
    }

    #[test]
    fn nodes_stand_in_the_order_of_their_names_however_they_come() {
        let mut nodes = nodes(&["c", "a"]);
        nodes.insert("b".into(), Node::default());
        nodes.insert("c".into(), Node { ready: true, ..Node::default() });
        nodes.extend([("0".to_string(), Node::default())]);
        assert_eq!(nodes.keys().collect::<Vec<_>>(), ["0", "a", "b", "c"]);
        assert!(nodes["c"].ready);
        nodes.remove("a");
        assert_eq!(nodes.keys().collect::<Vec<_>>(), ["0", "b", "c"]);
        let edited: Nodes = serde_json::from_str(r#"{"z": {}, "y": {"ready": true}}"#).unwrap();
        assert_eq!(edited.keys().collect::<Vec<_>>(), ["y", "z"]);
    }

    #[test]
    fn turns_go_round() {
        let names = |after: &str| nodes(&["a", "b", "c"]).in_turn(after).map(|node| node.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(""), ["a", "b", "c"]);
        assert_eq!(names("a"), ["b", "c", "a"]);
        assert_eq!(names("bb"), ["c", "a", "b"]);
        assert_eq!(names("c"), ["a", "b", "c"]);
    }
}
