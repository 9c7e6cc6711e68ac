//! Sets and maps: which kind of BPF map holds them, and their elements in its form.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use fw_common::ruleset::SetKind;

use super::super::ir::{
    Data, DataKind, DataType, Element, ElementKey, Pattern, Set, SetId, Stateful,
};
use super::asm::Label;
use super::chains::Compiler;
use super::place::words;
use super::prefix;

/// A set in compiled form.
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledSet {
    /// Position of its table.
    pub table: usize,
    /// Its id there.
    pub id: SetId,
    /// The kind of map.
    pub kind: SetKind,
    /// The components of the key in the order in which they stand in it.
    pub order: Vec<usize>,
    /// Words of each component, in the set's own order.
    pub widths: Vec<usize>,
    /// Most elements that it takes.
    pub size: u32,
    /// The elements at load, until they are forgotten.
    pub entries: Vec<Entry>,
    /// Of those that are.
    pub forgotten: Option<Digest>,
}

/// What tells the elements of a set from others, in whatever order they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    count: usize,
    sum: u64,
}

impl Digest {
    /// That of `entries`, of which only the keys count.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Self {
        let hasher = BuildHasherDefault::<DefaultHasher>::new();
        let one = |entry: &Entry| hasher.hash_one((entry.key, entry.length));
        Self {
            count: entries.len(),
            sum: entries.iter().map(one).fold(0, u64::wrapping_add),
        }
    }
}

impl CompiledSet {
    /// Of the elements at load.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.forgotten.unwrap_or_else(|| Digest::of(&self.entries))
    }

    /// Once the elements are in their map, that is where they are: twice would be too much for large sets.
    pub fn forget(&mut self) {
        self.forgotten = Some(self.digest());
        self.entries = Vec::new();
    }
}

/// An element in the form of its map.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key's words, most significant first.
    pub key: [u32; 16],
    /// Bits of the key that count, in a set of prefixes.
    pub length: u32,
    /// What a map maps it to.
    pub data: [u32; 4],
    /// How long it lives from an update on.
    pub timeout: Option<Duration>,
    /// How long it lives from now on.
    pub expires: Option<Duration>,
    /// Its counter's start: packets and bytes.
    pub counted: (u64, u64),
}

/// Room of a set whose elements rules or people add, if it does not say (`NFT_SET_DEFAULT…`: nftables has
/// no bound; a map has to have one).
const DEFAULT_SIZE: u32 = 65_536;

/// Elements of anonymous sets up to this many are compared one by one: cheaper than a look-up.
const FEW: usize = 4;
/// Elements that can be compared one by one where no map holds them.
const MANY: usize = 4096;

/// How a set is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// By a look-up in the set at this position of [`super::Compiled::sets`].
    Map(usize),
    /// By comparing with each element.
    Inline,
}

/// Bits of a value's words.
pub(super) fn width(datatype: DataType) -> usize {
    match datatype.bits() {
        0..=32 => 1,
        33..=64 => 2,
        _ => 4,
    }
}

impl Compiler<'_> {
    /// How set `id` of table `table` is evaluated; compiles it on first use.
    pub(super) fn shape(&mut self, table: usize, id: SetId) -> Shape {
        if let Some(shape) = self.shapes.get(&(table, id)) {
            return *shape;
        }
        let set = self.ruleset.tables[table].set(id);
        let shape = match self.layout(set) {
            Some((kind, order)) => Shape::Map(self.add_set(table, id, kind, order)),
            None => Shape::Inline,
        };
        self.shapes.insert((table, id), shape);
        shape
    }

    /// Kind of map and order of the key's components; `None` if the elements are compared one by one.
    fn layout(&mut self, set: &Set) -> Option<(SetKind, Vec<usize>)> {
        let fixed = set.name.is_none() && !set.flags.dynamic;
        if fixed && set.data.is_none() && set.elements.len() <= FEW {
            return None;
        }
        let parts = set.key.len();
        let total: usize = set.key.iter().map(|t| width(*t)).sum();
        let ranged: Vec<usize> = (0..parts)
            .filter(|part| {
                set.elements
                    .iter()
                    .any(|e| is_ranged(e, set.key[*part], *part))
            })
            .collect();
        let mut order: Vec<usize> = (0..parts).collect();
        let kind = match (ranged.as_slice(), set.flags.interval) {
            ([], false) if total <= 4 => SetKind::Exact,
            ([], false) if total <= 16 => SetKind::Wide,
            ([], true) if total <= 4 => SetKind::Prefix,
            // A prefix map takes one component that is no single value: the last.
            ([part], _) if total <= 4 => {
                let part = order.remove(*part);
                order.push(part);
                SetKind::Prefix
            }
            ([], true) if total <= 16 && set.key.len() > 1 => SetKind::Wide,
            _ => {
                if set.elements.len() > MANY || set.name.is_some() && set.elements.is_empty() {
                    self.error(format!(
                        "set {} has ranges in more components than one, or a key of more than 16 bytes \
                         with ranges: that takes at most {MANY} elements, which stand in the file; split it \
                         into sets of one component each",
                        set.name.as_deref().unwrap_or("(anonymous)"),
                    ));
                }
                return None;
            }
        };
        Some((kind, order))
    }

    fn add_set(&mut self, table: usize, id: SetId, kind: SetKind, order: Vec<usize>) -> usize {
        let set = self.ruleset.tables[table].set(id);
        let widths = set.key.iter().map(|t| width(*t)).collect();
        let mut compiled = CompiledSet {
            table,
            id,
            kind,
            order,
            widths,
            size: 0,
            entries: Vec::with_capacity(set.elements.len()),
            forgotten: None,
        };
        for element in &set.elements {
            if element.key != ElementKey::Any {
                self.add_element(table, set, element, &mut compiled);
            }
        }
        let present = u32::try_from(compiled.entries.len()).unwrap_or(u32::MAX);
        compiled.size = match set.size {
            Some(size) if kind == SetKind::Prefix => size.max(present).saturating_mul(2),
            Some(size) => size.max(present),
            None if set.flags.constant || set.name.is_none() => present.max(1),
            None => present.saturating_mul(2).max(DEFAULT_SIZE),
        };
        self.out.sets.push(compiled);
        self.out.sets.len() - 1
    }

    fn add_element(&mut self, table: usize, set: &Set, element: &Element, to: &mut CompiledSet) {
        let data = match &element.data {
            Some(data) => self.data(table, set, data),
            None => [0; 4],
        };
        let extras = element.extras.as_deref();
        let timeout = extras.and_then(|e| e.timeout).or(set.timeout);
        let counted = extras.into_iter().flat_map(|e| &e.statements);
        let mut counted = counted.filter_map(|statement| match statement {
            Stateful::Counter { packets, bytes } => Some((*packets, *bytes)),
            _ => None,
        });
        let counted = counted.next_back().unwrap_or((0, 0));
        let Some(keys) = self.keys(set, element, to) else {
            return;
        };
        for (key, length) in keys {
            to.entries.push(Entry {
                key,
                length,
                data,
                timeout,
                expires: extras.and_then(|e| e.expires).or(timeout),
                counted,
            });
        }
    }

    /// The keys of an element: one, or several prefixes.
    fn keys(
        &mut self,
        set: &Set,
        element: &Element,
        to: &CompiledSet,
    ) -> Option<Vec<([u32; 16], u32)>> {
        let patterns = element.key.patterns();
        let mut key = [0; 16];
        let mut at = 0;
        let mut last = Vec::new();
        for part in &to.order {
            let datatype = set.key[*part];
            let count = width(datatype);
            let (first, end) = self.bounds(patterns.get(*part)?, datatype)?;
            let bits = 32 * u32::try_from(count).ok()?;
            last = prefix::of_range(first, end, bits);
            let [(value, length)] = last[..] else {
                at += count;
                continue;
            };
            key[at..at + count].copy_from_slice(&words(value, count)[..count]);
            last = vec![(value, length)];
            at += count;
        }
        let tail = width(set.key[*to.order.last()?]);
        let before = u32::try_from(at - tail).ok()? * 32;
        let keys = last.into_iter().map(|(value, length)| {
            let mut key = key;
            key[at - tail..at].copy_from_slice(&words(value, tail)[..tail]);
            (key, before + length)
        });
        Some(keys.collect())
    }

    /// First and last value of a pattern; `None`, and an error, for an interface that is not there.
    pub(super) fn bounds(&mut self, pattern: &Pattern, datatype: DataType) -> Option<(u128, u128)> {
        match pattern {
            Pattern::Name(name) if datatype == DataType::IfIndex => {
                let index = self.ifindex(name)?;
                Some((index, index))
            }
            Pattern::Name(name) => {
                let value = name_value(name);
                Some((value, value))
            }
            Pattern::Wildcard(name) => {
                let value = name_value(name);
                let free = 128 - 8 * u32::try_from(name.len().min(16)).ok()?;
                let tail = u128::MAX.checked_shr(128 - free).unwrap_or(0);
                Some((value, value | tail))
            }
            numbers => numbers.bounds(datatype.bits()),
        }
    }

    /// What an element is mapped to. Addresses are labels until the program stands.
    fn data(&mut self, table: usize, set: &Set, data: &Data) -> [u32; 4] {
        match data {
            Data::Verdict(verdict) => {
                let (op, label) = self.verdict_data(table, *verdict);
                [u32::from(op), label.map_or(0, label_number), 0, 0]
            }
            Data::Value(pattern) => {
                let Some(DataKind::Value(datatype)) = set.data else {
                    return [0; 4];
                };
                let value = self.bounds(pattern, datatype).map_or(0, |(first, _)| first);
                words(value, width(datatype))
            }
            Data::Counter(id) => [self.named_counter(table, *id), 0, 0, 0],
            Data::Limit(id) => [self.named_limit(table, *id).0, 0, 0, 0],
            Data::Quota(id) => [self.named_quota(table, *id).0, 0, 0, 0],
        }
    }

    /// Puts addresses in the place of labels.
    pub(super) fn link_sets(&mut self, labels: &[Option<u32>]) {
        for compiled in &mut self.out.sets {
            let sets = &self.ruleset.tables[compiled.table].sets;
            let data = sets.get(compiled.id.0).and_then(|set| set.data);
            if data != Some(DataKind::Verdict) {
                continue;
            }
            for entry in &mut compiled.entries {
                let label = labels.get(entry.data[1] as usize).copied().flatten();
                entry.data[1] = label.unwrap_or(u32::MAX);
            }
        }
    }
}

fn label_number(label: Label) -> u32 {
    u32::try_from(label.index()).unwrap_or(u32::MAX)
}

/// Whether a component of an element is more than one value.
fn is_ranged(element: &Element, datatype: DataType, part: usize) -> bool {
    match element.key.patterns().get(part) {
        None | Some(Pattern::Exact(_) | Pattern::Name(_)) => false,
        Some(Pattern::Prefix(_, length)) => *length < datatype.bits(),
        Some(Pattern::Range(first, last)) => first != last,
        Some(Pattern::Wildcard(_)) => true,
    }
}

/// An interface's name as a number: sixteen bytes, zeroes behind it.
pub(super) fn name_value(name: &str) -> u128 {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    u128::from_be_bytes(bytes)
}
