//! Classes of values, and the rules of a group that each class may match: see
//! [`fw_common::ruleset::seek`].

use std::collections::{BTreeMap, HashMap};

use fw_common::ruleset::SetKind;
use fw_common::ruleset::seek::{BLOCK, DIMENSIONS};

use super::conditions::{Condition, Dimension};

/// Rules that a dimension must spare a packet at least to be worth its look-up.
const WORTH: usize = 16;
/// Packets that an estimate is made of.
const SAMPLES: usize = 64;

/// A bit for each rule of the group.
type Vector = Vec<u64>;
/// A prefix: value and length.
pub(super) type Key = (u128, u32);

/// The classes of one dimension.
#[derive(Debug)]
pub(super) struct Classes {
    /// What is looked up.
    pub(super) dimension: Dimension,
    /// Whether all keys are single values.
    pub(super) kind: SetKind,
    /// Vector of values that are no key.
    default: Vector,
    /// Vector of each key. The longest that a value is in counts.
    keys: Vec<(Key, Vector)>,
}

impl Classes {
    /// The classes that the conditions of rules make of a dimension. `conditions`: those of each rule.
    fn of(dimension: Dimension, conditions: &[Vec<Condition>]) -> Self {
        let mut default = vec![0; conditions.len().div_ceil(64)];
        let mut changes: BTreeMap<Key, Vec<(usize, bool)>> = BTreeMap::new();
        for (rule, conditions) in conditions.iter().enumerate() {
            let Some(asked) = conditions.iter().find(|c| c.dimension == dimension) else {
                set(&mut default, rule, true);
                continue;
            };
            set(&mut default, rule, asked.not);
            for prefix in &asked.prefixes {
                changes.entry(*prefix).or_default().push((rule, !asked.not));
            }
        }
        let bits = dimension.bits();
        let single = changes.keys().all(|(_, length)| *length == bits);
        let mut keys: Vec<(Key, Vector)> = Vec::with_capacity(changes.len());
        // In this order a prefix comes behind those that it is in; the innermost of them is found upwards.
        let mut outer: Vec<usize> = Vec::new();
        for (prefix, changes) in changes {
            while outer
                .pop_if(|at| !contains(keys[*at].0, prefix, bits))
                .is_some()
            {}
            let mut vector = outer.last().map_or(&default, |at| &keys[*at].1).clone();
            for (rule, may) in changes {
                set(&mut vector, rule, may);
            }
            outer.push(keys.len());
            keys.push((prefix, vector));
        }
        Self {
            dimension,
            kind: if single {
                SetKind::Exact
            } else {
                SetKind::Prefix
            },
            default,
            keys,
        }
    }

    /// Most rules that a class leaves.
    fn worst(&self) -> usize {
        let all = self.keys.iter().map(|(_, vector)| vector);
        let all = all.chain([&self.default]).map(|vector| ones(vector));
        all.max().unwrap_or(0)
    }

    /// The vector of a class; behind the keys' comes that of no key.
    fn vector(&self, class: usize) -> &Vector {
        self.keys
            .get(class)
            .map_or(&self.default, |(_, vector)| vector)
    }

    /// Keys, and the numbers of their vectors; then that of values that are no key.
    pub(super) fn numbered(&self, blocks: &mut Blocks) -> (Vec<(Key, u32)>, u32) {
        let keys = self.keys.iter();
        let keys = keys.map(|(key, vector)| (*key, blocks.number(vector)));
        (keys.collect(), blocks.number(&self.default))
    }
}

/// The dimensions by which a group is sorted, if it is looked up in less time than it is walked through.
/// `room`: blocks that their vectors may take. `always`: whether it takes less time or not.
pub(super) fn choose(
    conditions: &[Vec<Condition>],
    room: usize,
    always: bool,
) -> Option<Vec<Classes>> {
    let rules = conditions.len();
    let mut candidates = Vec::new();
    for dimension in dimensions(conditions) {
        let classes = Classes::of(dimension, conditions);
        let worst = classes.worst();
        if always || worst + WORTH <= rules {
            candidates.push((worst, classes));
        }
    }
    candidates.sort_by_key(|(worst, _)| *worst);
    let mut chosen: Vec<Classes> = Vec::new();
    let mut left = room;
    for (_, classes) in candidates {
        let takes = (classes.keys.len() + 1) * blocks_of(rules);
        if chosen.len() < DIMENSIONS && takes <= left {
            left -= takes;
            chosen.push(classes);
        }
    }
    let useful = always || quicker(&chosen, rules);
    (useful && !chosen.is_empty()).then_some(chosen)
}

/// Fields that rules ask for.
fn dimensions(conditions: &[Vec<Condition>]) -> Vec<Dimension> {
    let mut found = Vec::new();
    for condition in conditions.iter().flatten() {
        if !found.contains(&condition.dimension) {
            found.push(condition.dimension);
        }
    }
    found
}

/// Whether a packet is through with the rules sooner if it looks up those that it may match. Counted in
/// instructions: a rule that does not match ends after one or two of them; a look-up takes as long as six,
/// each rule that is found three more than one that is simply next.
fn quicker(chosen: &[Classes], rules: usize) -> bool {
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = |sides: usize| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        (dice >> 16) as usize % sides
    };
    let mut found = 0;
    for _ in 0..SAMPLES {
        let mut all = vec![u64::MAX; rules.div_ceil(64)];
        for classes in chosen {
            // Half of the values are nobody's.
            let class = roll(2) * (1 + classes.keys.len()) + roll(1 + classes.keys.len());
            for (word, other) in all.iter_mut().zip(classes.vector(class)) {
                *word &= other;
            }
        }
        found += ones(&all);
    }
    let walked = rules * 3 / 2;
    let sought = 6 + 8 * chosen.len() + 4 * found / SAMPLES;
    sought < walked
}

/// The blocks of all vectors of a ruleset. Vectors that are the same stand there once.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    pub(super) blocks: Vec<[u64; BLOCK]>,
    known: HashMap<Vector, u32>,
}

impl Blocks {
    /// Forgets what is known, but not the blocks: vectors of another group have another length.
    pub(super) fn next_group(&mut self) {
        self.known.clear();
    }

    /// The number of a vector: its first block.
    fn number(&mut self, vector: &Vector) -> u32 {
        if let Some(number) = self.known.get(vector) {
            return *number;
        }
        let number = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
        let mut summary = [0; BLOCK];
        for (at, word) in vector.iter().enumerate() {
            if *word != 0 && at / 64 < BLOCK {
                summary[at / 64] |= 1 << (at % 64);
            }
        }
        self.blocks.push(summary);
        for words in vector.chunks(BLOCK) {
            let mut block = [0; BLOCK];
            block[..words.len()].copy_from_slice(words);
            self.blocks.push(block);
        }
        self.known.insert(vector.clone(), number);
        number
    }
}

/// Blocks of a vector of so many bits.
fn blocks_of(rules: usize) -> usize {
    1 + rules.div_ceil(64 * BLOCK)
}

fn set(vector: &mut [u64], rule: usize, bit: bool) {
    if bit {
        vector[rule / 64] |= 1 << (rule % 64);
    } else {
        vector[rule / 64] &= !(1 << (rule % 64));
    }
}

fn ones(vector: &[u64]) -> usize {
    vector.iter().map(|word| word.count_ones() as usize).sum()
}

/// Whether a prefix of numbers of `bits` bits is in another one.
fn contains(outer: Key, inner: Key, bits: u32) -> bool {
    let free = bits - outer.1;
    let differ = (outer.0 ^ inner.0).checked_shr(free).unwrap_or(0);
    outer.1 <= inner.1 && differ == 0
}
