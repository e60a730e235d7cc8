//! From names to hashes: the same name becomes the same hash wherever it stands, and the order of names stays.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

/// What a text names. One that names several things counts as the first of them, so that it is the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A Node, or a host.
    Node,
    /// A resource of ours.
    Operation,
    /// A namespace.
    Namespace,
    /// A Job.
    Job,
    /// A Pod.
    Pod,
    /// A PodDisruptionBudget.
    Budget,
    /// What else owns an object, or holds a lease.
    Owner,
    /// A uid, a boot id, or a hash.
    Uid,
    /// A container.
    Container,
    /// A field manager.
    Manager,
    /// A Secret.
    Secret,
    /// An image.
    Image,
    /// A path on a host.
    Path,
    /// A word of a command.
    Argument,
    /// A label's value, or an annotation's.
    Value,
    /// A label's key.
    Key,
    /// A word of a sentence.
    Word,
}

/// The fewest hexadecimal digits of a hash.
const DIGITS: usize = 6;

/// The texts that are to be replaced.
#[derive(Debug, Default)]
pub struct Dictionary(BTreeMap<String, Class>);

impl Dictionary {
    /// Takes up a text.
    pub fn add(&mut self, class: Class, text: &str) {
        let known = self.0.entry(text.to_string()).or_insert(class);
        *known = class.min(*known);
    }

    /// What replaces each text: a hash, salted with all uids, so that the same snapshot always gives the same file and
    /// nobody can try names out without having it. Within a class the hashes are dealt out in the order of the texts:
    /// nodes are taken in the order of their names.
    pub fn deal(self) -> BTreeMap<String, String> {
        let uids: Vec<&str> = self.0.iter().filter(|(_, class)| **class == Class::Uid).map(|(text, _)| text.as_str()).collect();
        let salt = Sha256::digest(uids.join("\n"));
        let mut classes: BTreeMap<Class, Vec<&String>> = BTreeMap::new();
        for (text, class) in &self.0 {
            classes.entry(*class).or_default().push(text);
        }
        let dealt = classes.into_iter().flat_map(|(class, texts)| {
            let hashes = hashes(&salt, &texts);
            texts.into_iter().zip(hashes).map(move |(text, hash)| (text.clone(), class.named(&hash, text)))
        });
        dealt.collect()
    }
}

/// As many different hashes as there are texts, in order, and no longer than it takes.
fn hashes(salt: &[u8], texts: &[&String]) -> BTreeSet<String> {
    let full: Vec<String> = texts.iter().map(|text| hex(&Sha256::new().chain_update(salt).chain_update(text).finalize())).collect();
    let cut = |digits: usize| full.iter().map(|hash| hash.chars().take(digits).collect()).collect::<BTreeSet<String>>();
    (DIGITS..=64).map(cut).find(|short| short.len() == texts.len()).unwrap_or_else(|| full.into_iter().collect())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Class {
    /// The name that a hash becomes. What is refused for its form must be refused still.
    fn named(self, hash: &str, text: &str) -> String {
        let label = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        let word = match self {
            Self::Node => "node",
            Self::Operation => "op",
            Self::Namespace => "ns",
            Self::Job => "job",
            Self::Pod => "pod",
            Self::Budget => "budget",
            Self::Owner => "owner",
            Self::Uid => "uid",
            Self::Container => "container",
            Self::Manager => "manager",
            Self::Secret => "secret",
            Self::Image => "image",
            Self::Path => return format!("/path-{hash}"),
            Self::Argument => "arg",
            Self::Value | Self::Key if text.len() > 317 || !text.chars().all(label) => return format!("bad!-{hash}"),
            Self::Value => "value",
            Self::Key => "key",
            Self::Word => "word",
        };
        format!("{word}-{hash}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_hash_in_the_order_of_its_class_and_another_in_another_snapshot() {
        let dealt = |uid: &str| {
            let mut dictionary = Dictionary::default();
            dictionary.add(Class::Uid, uid);
            (0..3000).for_each(|index| dictionary.add(Class::Node, &format!("worker-{index:04}")));
            dictionary.add(Class::Value, "worker-0001");
            dictionary.add(Class::Value, "not a value");
            dictionary.deal()
        };
        let (one, other) = (dealt("u1"), dealt("u2"));
        assert_eq!(one, dealt("u1"));
        assert_ne!(one["worker-0000"], other["worker-0000"]);
        let nodes: Vec<&String> = one.iter().filter(|(text, _)| text.starts_with("worker")).map(|(_, hash)| hash).collect();
        assert!(nodes.is_sorted() && nodes.iter().collect::<BTreeSet<_>>().len() == 3000);
        assert!(one["worker-0001"].starts_with("node-") && one["not a value"].starts_with("bad!-"));
    }
}
