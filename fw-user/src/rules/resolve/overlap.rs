//! Elements in order: merged where that is wished, refused where they contradict each other.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::compare::has_prefixes;
use crate::rules::ir::{DataType, Element, ElementKey, Pattern, Set};
use crate::rules::span::Span;

/// Two elements that can't both be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clash {
    pub(super) first: Span,
    pub(super) second: Span,
    /// They have the same key.
    pub(super) same: bool,
}

/// Pairs of concatenations that are compared; beyond that nobody waits for the answer.
const MOST_PAIRS: usize = 20_000_000;

/// First and last value; a name is its letters, a wildcard all names that begin so.
fn bounds(pattern: &Pattern, datatype: DataType) -> (u128, u128) {
    if let Some(bounds) = pattern.bounds(datatype.bits()) {
        return bounds;
    }
    let (name, tail) = match pattern {
        Pattern::Name(name) => (name, 0),
        Pattern::Wildcard(name) => (name, u128::MAX),
        _ => return (0, 0),
    };
    let mut bytes = [0; 16];
    for (slot, byte) in bytes.iter_mut().zip(name.bytes()) {
        *slot = byte;
    }
    let first = u128::from_be_bytes(bytes);
    let used = 8 * u32::try_from(name.len().min(16)).unwrap_or(16);
    let tail = tail.checked_shr(used).unwrap_or(0);
    (first, first | tail)
}

/// Makes one of elements that overlap or touch, as nft's auto-merge.
pub(super) fn merge(elements: &mut Vec<(Element, Span)>, datatype: DataType) {
    // Names have no ranges to merge into; an element with a life of its own stays alone.
    let is_plain = |element: &Element| {
        element.extras.is_none()
            && matches!(
                element.key,
                ElementKey::One(Pattern::Exact(_) | Pattern::Range(..) | Pattern::Prefix(..))
            )
    };
    let (mut plain, mut others): (Vec<_>, Vec<_>) = elements
        .drain(..)
        .partition(|(element, _)| is_plain(element));
    plain.sort_by_key(|(element, _)| key_bounds(element, datatype));
    let mut merged: Vec<((u128, u128), Element, Span)> = Vec::with_capacity(plain.len());
    for (element, span) in plain {
        let (first, last) = key_bounds(&element, datatype);
        if let Some((known, kept, _)) = merged.last_mut()
            && first <= known.1.saturating_add(1)
        {
            if last > known.1 {
                known.1 = last;
                kept.key = ElementKey::One(pattern_of(*known, datatype));
            }
            continue;
        }
        merged.push(((first, last), element, span));
    }
    elements.extend(merged.into_iter().map(|(_, element, span)| (element, span)));
    elements.append(&mut others);
}

fn key_bounds(element: &Element, datatype: DataType) -> (u128, u128) {
    let pattern = element.key.patterns().first();
    pattern.map_or((u128::MAX, u128::MAX), |pattern| bounds(pattern, datatype))
}

/// The pattern of all values between, as nft writes it.
fn pattern_of((first, last): (u128, u128), datatype: DataType) -> Pattern {
    if first == last {
        return Pattern::Exact(first);
    }
    let size = (last - first).wrapping_add(1);
    let is_power = size == 0 || size.is_power_of_two();
    if has_prefixes(datatype) && is_power && first & (last - first) == 0 {
        let free = if size == 0 {
            128
        } else {
            size.trailing_zeros()
        };
        let free = u16::try_from(free).unwrap_or(datatype.bits());
        return Pattern::Prefix(first, datatype.bits() - free);
    }
    Pattern::Range(first, last)
}

/// Puts the elements in nft's order, drops what is there twice, and finds those that clash.
pub(super) fn order(set: &Set, elements: &mut Vec<(Element, Span)>) -> Result<(), Clash> {
    for (element, _) in elements.iter_mut() {
        tidy(element, set);
    }
    let is_interval = set.flags.interval
        || elements.iter().any(|(element, _)| {
            let patterns = element.key.patterns().iter();
            patterns
                .clone()
                .any(|one| !matches!(one, Pattern::Exact(_) | Pattern::Name(_)))
        });
    let by_letters = !is_interval || set.key.len() > 1;
    elements.sort_by(|(one, _), (other, _)| compare(one, other, &set.key, by_letters));
    twins(set, elements)?;
    if is_interval && set.key.len() == 1 {
        let datatype = set.key[0];
        for pair in elements.windows(2) {
            let [(one, first), (other, second)] = pair else {
                continue;
            };
            if other.key == ElementKey::Any {
                continue;
            }
            if key_bounds(other, datatype).0 <= key_bounds(one, datatype).1 {
                return Err(Clash {
                    first: *first,
                    second: *second,
                    same: false,
                });
            }
        }
    } else if is_interval {
        concatenations(set, elements)?;
    }
    Ok(())
}

/// A range that is a prefix is written as one.
fn tidy(element: &mut Element, set: &Set) {
    let tidied = |pattern: &mut Pattern, datatype: DataType| {
        if let Pattern::Range(first, last) = *pattern {
            *pattern = pattern_of((first, last), datatype);
        }
    };
    match &mut element.key {
        ElementKey::One(pattern) => {
            if let Some(datatype) = set.key.first() {
                tidied(pattern, *datatype);
            }
        }
        ElementKey::Concat(patterns) => {
            for (pattern, datatype) in patterns.iter_mut().zip(&set.key) {
                tidied(pattern, *datatype);
            }
        }
        ElementKey::Any => {}
    }
}

/// Elements with the same key: one is enough for a set, two contradict each other in a map.
fn twins(set: &Set, elements: &mut Vec<(Element, Span)>) -> Result<(), Clash> {
    let mut known: HashSet<ElementKey> = HashSet::with_capacity(elements.len());
    let mut clash = None;
    let mut last = Span::default();
    elements.retain(|(element, span)| {
        let is_new = known.insert(element.key.clone());
        if !is_new && set.data.is_some() && clash.is_none() {
            clash = Some(Clash {
                first: last,
                second: *span,
                same: true,
            });
        }
        last = *span;
        is_new
    });
    clash.map_or(Ok(()), Err)
}

fn compare(one: &Element, other: &Element, types: &[DataType], by_letters: bool) -> Ordering {
    // `*` is the last.
    let any = |element: &Element| element.key == ElementKey::Any;
    let order = any(one).cmp(&any(other));
    if order != Ordering::Equal {
        return order;
    }
    // nft takes the bytes of a concatenation for one number of the machine's byte order.
    let swapped = types.len() > 1;
    let pairs = one.key.patterns().iter().zip(other.key.patterns());
    let orders = pairs.zip(types).rev().map(|((one, other), datatype)| {
        if let (true, Pattern::Name(one), Pattern::Name(other)) = (by_letters, one, other) {
            let one = one.bytes().rev();
            let other = other.bytes().rev();
            return one.len().cmp(&other.len()).then_with(|| one.cmp(other));
        }
        let bounds = |pattern| {
            let (first, last) = bounds(pattern, *datatype);
            if swapped && is_network_order(*datatype) {
                return (swap(first, datatype.bits()), swap(last, datatype.bits()));
            }
            (first, last)
        };
        bounds(one).cmp(&bounds(other))
    });
    orders
        .into_iter()
        .find(|order| *order != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

fn is_network_order(datatype: DataType) -> bool {
    matches!(
        datatype,
        DataType::Ipv4Addr
            | DataType::Ipv6Addr
            | DataType::EtherAddr
            | DataType::EtherType
            | DataType::InetService
            | DataType::Integer(_)
    )
}

fn swap(value: u128, bits: u16) -> u128 {
    value.swap_bytes() >> (128 - u32::from(bits.next_multiple_of(8)).min(128)).min(127)
}

/// Concatenations of ranges overlap if all their components do.
fn concatenations(set: &Set, elements: &[(Element, Span)]) -> Result<(), Clash> {
    let boxes: Vec<Vec<(u128, u128)>> = elements
        .iter()
        .map(|(element, _)| {
            let pairs = element.key.patterns().iter().zip(&set.key);
            pairs
                .map(|(pattern, datatype)| bounds(pattern, *datatype))
                .collect()
        })
        .collect();
    let mut order: Vec<usize> = (0..boxes.len())
        .filter(|index| !boxes[*index].is_empty())
        .collect();
    order.sort_by_key(|index| boxes[*index][0]);
    let mut pairs = 0;
    for (position, one) in order.iter().enumerate() {
        for other in &order[position + 1..] {
            if boxes[*other][0].0 > boxes[*one][0].1 {
                break;
            }
            pairs += 1;
            if pairs > MOST_PAIRS {
                return Ok(());
            }
            let mut both = boxes[*one].iter().zip(&boxes[*other]);
            if both.all(|(a, b)| a.0 <= b.1 && b.0 <= a.1) {
                return Err(Clash {
                    first: elements[*one].1,
                    second: elements[*other].1,
                    same: false,
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_become_prefixes() {
        let one = |pattern| {
            let key = ElementKey::One(pattern);
            let element = Element {
                key,
                data: None,
                extras: None,
            };
            (element, Span::default())
        };
        let mut elements = vec![
            one(Pattern::Range(0x0a00_0080, 0x0a00_00ff)),
            one(Pattern::Prefix(0x0a00_0000, 25)),
            one(Pattern::Exact(5)),
        ];
        merge(&mut elements, DataType::Ipv4Addr);
        let keys: Vec<_> = elements.iter().map(|(element, _)| &element.key).collect();
        assert_eq!(
            keys,
            [
                &ElementKey::One(Pattern::Exact(5)),
                &ElementKey::One(Pattern::Prefix(0x0a00_0000, 24))
            ]
        );
        assert_eq!(
            pattern_of((0, u128::MAX), DataType::Ipv6Addr),
            Pattern::Prefix(0, 0)
        );
    }
}
