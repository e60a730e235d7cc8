//! One walk over a map in place of a search for each of ten thousand names.

use std::collections::{BTreeMap, btree_map};
use std::hash::BuildHasher;
use std::iter::Peekable;

use indexmap::{Equivalent, IndexMap};

/// Looks up names that come in ascending order.
pub struct Walk<'m, K, T>(Peekable<btree_map::Iter<'m, K, T>>);

impl<'m, K: AsRef<str>, T> Walk<'m, K, T> {
    /// A walk from the beginning.
    pub fn over(map: &'m BTreeMap<K, T>) -> Self {
        Self(map.iter().peekable())
    }

    /// The key and the value of a name that comes after those asked for before.
    pub fn find(&mut self, name: &str) -> Option<(&'m K, &'m T)> {
        while self.0.next_if(|(there, _)| AsRef::<str>::as_ref(*there) < name).is_some() {}
        self.0.next_if(|(there, _)| AsRef::<str>::as_ref(*there) == name)
    }
}

/// Looks up names that mostly come in the order of the map: the next one is tried before any is searched for.
pub struct Lookup<'m, K, T, S> {
    map: &'m IndexMap<K, T, S>,
    next: usize,
}

impl<'m, K: AsRef<str>, T, S: BuildHasher> Lookup<'m, K, T, S>
where
    str: Equivalent<K>,
{
    /// A look from the beginning.
    pub fn over(map: &'m IndexMap<K, T, S>) -> Self {
        Self { map, next: 0 }
    }

    /// The value of a name.
    pub fn find(&mut self, name: &str) -> Option<&'m T> {
        let there = self.map.get_index(self.next).filter(|(there, _)| there.as_ref() == name);
        let (index, value) = match there {
            Some((_, value)) => (self.next, value),
            None => self.map.get_full(name).map(|(index, _, value)| (index, value))?,
        };
        self.next = index + 1;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_their_order_and_those_between_are_not() {
        let map: BTreeMap<String, i32> = ["a", "c", "e"].map(String::from).into_iter().zip(1..).collect();
        let mut walk = Walk::over(&map);
        let found = ["", "a", "b", "d", "e", "f"].map(|name| walk.find(name).map(|(_, value)| *value));
        assert_eq!(found, [None, Some(1), None, None, Some(3), None]);
    }

    #[test]
    fn names_are_looked_up_in_their_order_and_out_of_it() {
        let map: IndexMap<&str, i32> = ["a", "b", "c"].into_iter().zip(1..).collect();
        let mut lookup = Lookup::over(&map);
        let found = ["c", "a", "b", "x", "c"].map(|name| lookup.find(name).copied());
        assert_eq!(found, [Some(3), Some(1), Some(2), None, Some(3)]);
    }
}
