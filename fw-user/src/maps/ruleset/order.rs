//! The keys of sets of prefixes, in order, which a trie does not have: with them the place between two intervals is
//! found without a walk through all of them.

use std::collections::BTreeMap;

use crate::rules::compile::SetEntry;

/// Keys of the sets that this process has loaded or walked through, by their position in the ruleset. Never fewer than
/// are in a set, perhaps more: an element whose time is over goes without a word.
#[derive(Debug, Default)]
pub(super) struct Orders(BTreeMap<usize, Order>);

#[derive(Debug)]
struct Order {
    /// The kernel's number of the map that has them.
    map: u32,
    /// First keys of its prefixes, sorted; one as often as there are prefixes that begin with it.
    keys: Vec<u128>,
}

impl Orders {
    /// Remembers all keys of the set at position `at`, whose map is number `map`.
    pub(super) fn remember<'a>(
        &mut self,
        (at, map): (usize, u32),
        entries: impl Iterator<Item = &'a SetEntry>,
    ) {
        let mut keys: Vec<u128> = entries.map(first).collect();
        keys.sort_unstable();
        self.0.insert(at, Order { map, keys });
    }

    /// Whether there may be a prefix that begins in that of `entry`, or up to `margin` beside it. Always, if nothing is
    /// known of the set.
    pub(super) fn may_begin_within(
        &self,
        (at, map): (usize, u32),
        entry: &SetEntry,
        margin: u128,
    ) -> bool {
        let Some(order) = self.0.get(&at).filter(|order| order.map == map) else {
            return true;
        };
        let from = first(entry).saturating_sub(margin);
        let to = last(entry).saturating_add(margin);
        let next = order.keys.partition_point(|key| *key < from);
        order.keys.get(next).is_some_and(|key| *key <= to)
    }

    /// Notes elements that are about to be added.
    pub(super) fn add(&mut self, place: (usize, u32), entries: &[SetEntry]) {
        if let Some(keys) = self.keys(place) {
            keys.extend(entries.iter().map(first));
            // What is in order already costs this one a look each.
            keys.sort();
        }
    }

    /// Notes elements that were removed.
    pub(super) fn remove<'a>(
        &mut self,
        place: (usize, u32),
        entries: impl Iterator<Item = &'a SetEntry>,
    ) {
        let Some(keys) = self.keys(place) else {
            return;
        };
        let mut gone: Vec<u128> = entries.map(first).collect();
        gone.sort_unstable();
        let mut gone = gone.into_iter().peekable();
        keys.retain(|key| {
            while gone.next_if(|gone| gone < key).is_some() {}
            gone.next_if_eq(key).is_none()
        });
    }

    fn keys(&mut self, (at, map): (usize, u32)) -> Option<&mut Vec<u128>> {
        let order = self.0.get_mut(&at).filter(|order| order.map == map);
        order.map(|order| &mut order.keys)
    }

    /// Another ruleset is in force.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The first key that a prefix stands for, as a number.
pub(super) fn first(entry: &SetEntry) -> u128 {
    let [a, b, c, d, ..] = entry.key;
    [a, b, c, d]
        .into_iter()
        .fold(0, |sum, word| sum << 32 | u128::from(word))
}

/// The last one.
pub(super) fn last(entry: &SetEntry) -> u128 {
    first(entry) | u128::MAX.checked_shr(entry.length).unwrap_or(0)
}

/// The last value of the key before a prefix, where values are `step` apart; `None` if it begins with the first.
pub(super) fn before(entry: &SetEntry, step: u128) -> Option<SetEntry> {
    let number = first(entry).checked_sub(step)?;
    let mut before = SetEntry {
        length: 128 - step.ilog2(),
        ..entry.clone()
    };
    for (i, word) in before.key.iter_mut().take(4).enumerate() {
        *word = (number >> (96 - 32 * i)) as u32;
    }
    Some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(a: u32, length: u32) -> SetEntry {
        let mut key = [0; 16];
        key[0] = a;
        SetEntry {
            key,
            length,
            data: [0; 4],
            timeout: None,
            expires: None,
            counted: (0, 0),
        }
    }

    #[test]
    fn what_is_not_known_may_have_anything() {
        let mut orders = Orders::default();
        assert!(orders.may_begin_within((0, 7), &prefix(1, 32), 0));
        orders.remember((0, 7), [].into_iter());
        assert!(!orders.may_begin_within((0, 7), &prefix(1, 32), 0));
        assert!(orders.may_begin_within((1, 7), &prefix(1, 32), 0));
        assert!(orders.may_begin_within((0, 8), &prefix(1, 32), 0));
    }

    #[test]
    fn keys_within_a_prefix_or_next_to_it_are_found() {
        let mut orders = Orders::default();
        let set = (3, 7);
        orders.remember(
            set,
            [prefix(0x0a00_0100, 24), prefix(0x0900_0000, 24)].iter(),
        );
        let begins = |orders: &Orders, a, length, margin| {
            orders.may_begin_within(set, &prefix(a, length), margin)
        };
        assert!(begins(&orders, 0x0a00_0000, 16, 0));
        assert!(begins(&orders, 0x0a00_0100, 24, 0));
        assert!(!begins(&orders, 0x0a00_0000, 24, 0));
        let step = 1 << 96;
        assert!(begins(&orders, 0x0a00_0000, 24, step));
        assert!(begins(&orders, 0, 0, step), "all there is");
        assert!(!begins(&orders, 0x0b00_0000, 8, step));
        orders.add(set, &[prefix(0x0b00_0000, 9), prefix(0x0b00_0000, 32)]);
        assert!(begins(&orders, 0x0b00_0000, 8, 0));
        let others = [prefix(0x0a80_0000, 9), prefix(0x0b00_0000, 9)];
        orders.remove(set, others.iter());
        assert!(begins(&orders, 0x0b00_0000, 8, 0), "the other is there");
        orders.remove(set, [prefix(0x0b00_0000, 32)].iter());
        assert!(!begins(&orders, 0x0b00_0000, 8, 0));
        assert!(begins(&orders, 0x0a00_0100, 24, 0) && begins(&orders, 0x0900_0000, 24, 0));
    }

    #[test]
    fn what_is_before_a_prefix_is_one_value() {
        let step = 1 << 96;
        let one = before(&prefix(0x0a00_0100, 24), step);
        assert_eq!(
            one.map(|one| (one.key[0], one.key[1], one.length)),
            Some((0x0a00_00ff, 0, 32))
        );
        assert_eq!(before(&prefix(0, 8), step), None);
        let mut six = prefix(0x2001_0db8, 64);
        six.key[1] = 1;
        let one = before(&six, 1).expect("there is one");
        assert_eq!(one.key[..4], [0x2001_0db8, 0, u32::MAX, u32::MAX]);
        assert_eq!(one.length, 128);
    }
}
