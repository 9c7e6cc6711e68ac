//! Ranges as prefixes.

use super::place::words;

/// The fewest prefixes that make up `first..=last` in numbers of `bits` bits: value and length each.
pub(super) fn of_range(first: u128, last: u128, bits: u32) -> Vec<(u128, u32)> {
    let mut prefixes = Vec::new();
    let mut from = first;
    while from <= last {
        // As many low bits as are zero in the first number and don't lead beyond the last one.
        let mut free = from.trailing_zeros().min(bits);
        while free > 0 && from | low_bits(free) > last {
            free -= 1;
        }
        prefixes.push((from, bits - free));
        match (from | low_bits(free)).checked_add(1) {
            Some(next) => from = next,
            None => break,
        }
    }
    prefixes
}

/// The keys of a set's elements that make up a range of numbers of `width` words.
pub(in crate::rules) fn keys(first: u128, last: u128, width: usize) -> Vec<([u32; 16], u32)> {
    let bits = 32 * u32::try_from(width).unwrap_or(4);
    let prefixes = of_range(first, last, bits).into_iter();
    let key = |(value, length): (u128, u32)| {
        let mut key = [0; 16];
        key[..width].copy_from_slice(&words(value, width)[..width]);
        (key, length)
    };
    prefixes.map(key).collect()
}

/// A number whose lowest `count` bits are set.
const fn low_bits(count: u32) -> u128 {
    match count {
        128 => u128::MAX,
        count => (1 << count) - 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{low_bits, of_range};

    #[test]
    fn whole_ranges_are_one_prefix() {
        assert_eq!(of_range(0, u128::MAX, 128), [(0, 0)]);
        assert_eq!(of_range(0, 0xffff, 16), [(0, 0)]);
        assert_eq!(of_range(22, 22, 16), [(22, 16)]);
        assert_eq!(of_range(0x0a00_0000, 0x0aff_ffff, 32), [(0x0a00_0000, 8)]);
    }

    #[test]
    fn uneven_ends_take_more() {
        assert_eq!(of_range(1, 6, 16), [(1, 16), (2, 15), (4, 15), (6, 16)]);
        assert_eq!(of_range(u128::MAX - 1, u128::MAX, 128).len(), 1);
    }

    proptest! {
        #[test]
        fn every_number_is_in_one_of_them(first in 0..=0xffff_u128, width in 0..=0xffff_u128, probe in 0..=0xffff_u128) {
            let last = (first + width).min(0xffff);
            let hits = of_range(first, last, 16)
                .into_iter()
                .filter(|(value, length)| probe & !low_bits(16 - length) == *value)
                .count();
            prop_assert_eq!(hits, usize::from((first..=last).contains(&probe)));
        }
    }
}
