//! From the keys of a set's map back to its elements.

use fw_common::ruleset::SetKind;

use super::compile::{CompiledSet, Digest, SetEntry};
use super::ir::{DataType, Element, ElementKey, Extras, Pattern, Set, Stateful};

/// Gives a set the elements that its map has now. Where they are those that it was loaded with, they stay
/// as they were written.
pub fn refresh(set: &mut Set, compiled: &CompiledSet, entries: &[SetEntry]) {
    let special = |entry: &SetEntry| entry.expires.is_some() || entry.counted != (0, 0);
    if compiled.kind == SetKind::Prefix
        && !entries.iter().any(special)
        && Digest::of(entries) == compiled.digest()
    {
        return;
    }
    let any = set
        .elements
        .iter()
        .filter(|e| e.key == ElementKey::Any)
        .cloned();
    let any: Vec<Element> = any.collect();
    set.elements = if compiled.kind == SetKind::Prefix && !entries.iter().any(special) {
        let ranges = ranges(compiled, entries);
        ranges
            .iter()
            .map(|range| range.element(set, compiled))
            .collect()
    } else {
        let mut sorted: Vec<&SetEntry> = entries.iter().collect();
        sorted.sort_by_key(|entry| (entry.key, entry.length));
        sorted
            .into_iter()
            .map(|entry| element(set, compiled, entry))
            .collect()
    };
    set.elements.extend(any);
}

/// An interval of the last component, and what stands before it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub(super) head: Vec<u32>,
    pub(super) first: u128,
    pub(super) last: u128,
}

/// Adjoining prefixes as one interval.
pub(super) fn ranges(compiled: &CompiledSet, entries: &[SetEntry]) -> Vec<Range> {
    let mut all: Vec<Range> = entries.iter().map(|entry| range(compiled, entry)).collect();
    all.sort();
    let mut merged: Vec<Range> = Vec::new();
    for range in all {
        match merged.last_mut() {
            Some(before)
                if before.head == range.head && range.first <= before.last.saturating_add(1) =>
            {
                before.last = before.last.max(range.last);
            }
            _ => merged.push(range),
        }
    }
    merged
}

/// Words of the components before the last one in the key, and of that one.
fn split(compiled: &CompiledSet) -> (usize, usize) {
    let width = |part: &usize| compiled.widths[*part];
    let total: usize = compiled.order.iter().map(width).sum();
    let last = compiled.order.last().map_or(0, width);
    (total - last, last)
}

/// What one entry stands for.
pub(super) fn range(compiled: &CompiledSet, entry: &SetEntry) -> Range {
    let (head, tail) = split(compiled);
    let first = number(&entry.key[head..head + tail]);
    let bits = 32 * u32::try_from(tail).unwrap_or(4);
    let length = match compiled.kind {
        SetKind::Prefix => entry
            .length
            .saturating_sub(32 * u32::try_from(head).unwrap_or(0)),
        SetKind::Exact | SetKind::Wide => bits,
    };
    let free = u128::MAX
        .checked_shr(128 - (bits - length.min(bits)))
        .unwrap_or(0);
    Range {
        head: entry.key[..head].to_vec(),
        first,
        last: first | free,
    }
}

fn number(words: &[u32]) -> u128 {
    words
        .iter()
        .fold(0, |sum, word| sum << 32 | u128::from(*word))
}

impl Range {
    /// Whether a key is in both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.head == other.head && self.first <= other.last && other.first <= self.last
    }

    pub(super) fn element(&self, set: &Set, compiled: &CompiledSet) -> Element {
        Element {
            key: key(set, compiled, &self.head, (self.first, self.last)),
            data: None,
            extras: None,
        }
    }
}

/// One entry as one element.
#[must_use]
pub fn element(set: &Set, compiled: &CompiledSet, entry: &SetEntry) -> Element {
    let Range { head, first, last } = range(compiled, entry);
    let counts = set
        .statements
        .iter()
        .any(|s| matches!(s, Stateful::Counter { .. }));
    let (packets, bytes) = entry.counted;
    let mut extras = Extras {
        timeout: entry.timeout.filter(|time| Some(*time) != set.timeout),
        expires: entry.expires,
        ..Extras::default()
    };
    if counts || entry.counted != (0, 0) {
        extras.statements.push(Stateful::Counter { packets, bytes });
    }
    Element {
        key: key(set, compiled, &head, (first, last)),
        data: None,
        extras: (extras != Extras::default()).then(|| Box::new(extras)),
    }
}

/// The patterns of a key, back in the set's own order.
fn key(set: &Set, compiled: &CompiledSet, head: &[u32], (first, last): (u128, u128)) -> ElementKey {
    let mut patterns: Vec<Pattern> = vec![Pattern::Exact(0); set.key.len()];
    let mut rest = head;
    for (at, part) in compiled.order.iter().enumerate() {
        let is_last = at + 1 == compiled.order.len();
        let (low, high) = if is_last {
            (first, last)
        } else {
            let (words, after) = rest.split_at(compiled.widths[*part]);
            rest = after;
            (number(words), number(words))
        };
        patterns[*part] = pattern(set.key[*part], low, high);
    }
    match <[Pattern; 1]>::try_from(patterns) {
        Ok([one]) => ElementKey::One(one),
        Err(many) => ElementKey::Concat(many.into()),
    }
}

fn pattern(datatype: DataType, first: u128, last: u128) -> Pattern {
    if datatype == DataType::IfName {
        return name(first, last);
    }
    if datatype == DataType::IfIndex
        && let Some(name) = super::system::interface_name(first)
    {
        return Pattern::Name(name.into());
    }
    if first == last {
        return Pattern::Exact(first);
    }
    let bits = datatype.bits();
    let span = last - first;
    let free = 128 - span.leading_zeros();
    // Addresses are written as prefixes where they are one.
    let is_prefix = (span.wrapping_add(1) & span) == 0 && first & span == 0;
    let is_address = matches!(datatype, DataType::Ipv4Addr | DataType::Ipv6Addr);
    match u16::try_from(free) {
        Ok(free) if is_prefix && is_address => Pattern::Prefix(first, bits.saturating_sub(free)),
        _ => Pattern::Range(first, last),
    }
}

/// An interface's name, or how it begins.
fn name(first: u128, last: u128) -> Pattern {
    let bytes = first.to_be_bytes();
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let text: Box<str> = String::from_utf8_lossy(text).into();
    if first == last {
        Pattern::Name(text)
    } else {
        Pattern::Wildcard(text)
    }
}
