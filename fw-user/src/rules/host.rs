//! A compiled ruleset evaluated on the host, by the code that runs in the programs: for `fwctl explain`
//! and the tests.

use std::collections::HashMap;

use fw_common::abi::touch;
use fw_common::ruleset::{
    Entry, Env, Facts, Found, Insn, MAX_STEPS, Machine, Outcome, Rate, SetKind, field, step,
};

use super::compile::{Compiled, SetEntry};

/// The sets, counters and limits of one ruleset, in ordinary collections.
#[derive(Clone, Debug)]
pub struct Host<'a> {
    compiled: &'a Compiled,
    sets: Vec<HashMap<Key, SetEntry>>,
    /// Packets and bytes of each counter.
    pub counters: Vec<(u64, u64)>,
    rates: Vec<Rate>,
    quotas: Vec<u64>,
    /// Numbers of the log statements that were met.
    pub logged: Vec<u32>,
    /// Nanoseconds, for limits.
    pub now: u64,
}

/// Key and its length.
type Key = ([u32; 16], u32);

impl<'a> Host<'a> {
    /// The ruleset as it is loaded.
    #[must_use]
    pub fn new(compiled: &'a Compiled) -> Self {
        let sets = compiled.sets.iter().map(|set| {
            let entries = set.entries.iter();
            entries
                .map(|entry| ((entry.key, length(set.kind, entry.length)), entry.clone()))
                .collect()
        });
        let counters = compiled.counters.iter();
        Self {
            compiled,
            sets: sets.collect(),
            counters: counters.map(|c| (c.packets, c.bytes)).collect(),
            rates: compiled.rates.clone(),
            quotas: compiled.quotas.iter().map(|quota| quota.bytes).collect(),
            logged: Vec::new(),
            now: 1 << 40,
        }
    }

    /// Evaluates a packet at a hook; `seen` is told of each instruction before it is run.
    pub fn evaluate(
        &mut self,
        entry: Entry,
        v6: bool,
        facts: Facts,
        mut seen: impl FnMut(u32, &Machine),
    ) -> Machine {
        let mut machine = Machine::default();
        machine.reset();
        machine.facts = facts;
        let Some(pc) = self.compiled.entries[entry as usize][usize::from(v6)].checked_sub(1) else {
            machine.outcome = Outcome::Accept as u32;
            return machine;
        };
        machine.enter(pc);
        for _ in 0..MAX_STEPS {
            if machine.outcome() != Outcome::Running {
                return machine;
            }
            seen(machine.pc, &machine);
            let program = &self.compiled.program;
            let insn = program
                .get(machine.pc as usize)
                .copied()
                .unwrap_or_default();
            step(&mut machine, &insn, self);
        }
        machine.outcome = Outcome::Broken as u32;
        machine
    }

    fn take(&mut self, index: u32, bytes: u32) -> bool {
        let Some(rate) = self.rates.get_mut(index as usize) else {
            return false;
        };
        let taken = Rate::take(rate.empty_at, rate.depth, rate.price(bytes), self.now);
        rate.empty_at = taken.unwrap_or(rate.empty_at);
        taken.is_some()
    }
}

/// Only sets of prefixes tell keys apart by their length.
fn length(kind: SetKind, length: u32) -> u32 {
    if kind == SetKind::Prefix { length } else { 0 }
}

/// The registers as the words of a key.
fn key(kind: u32, facts: &Facts) -> [u32; 16] {
    let mut key = [0; 16];
    let words = if kind == SetKind::Wide as u32 { 16 } else { 4 };
    for (to, from) in key.iter_mut().zip(facts.registers()).take(words) {
        *to = if kind == SetKind::Prefix as u32 {
            u32::from_be(*from)
        } else {
            *from
        };
    }
    key
}

/// `key` with nothing but its first `length` bits.
fn cut(key: [u32; 16], length: u32) -> [u32; 16] {
    let mut key = key;
    for (word, at) in key.iter_mut().zip((0..).step_by(32)) {
        let bits = length.saturating_sub(at).min(32);
        *word &= u32::MAX.checked_shl(32 - bits).unwrap_or(0);
    }
    key
}

impl Env for Host<'_> {
    fn find(&mut self, insn: &Insn, facts: &Facts) -> Option<Found> {
        let set = self.sets.get_mut(insn.a[0] as usize)?;
        let key = key(insn.a[1], facts);
        let found = if insn.a[1] == SetKind::Prefix as u32 {
            let longest = (0..=128).rev();
            let mut longest = longest.map(|length| (cut(key, length), length));
            longest.find(|key| set.contains_key(key))?
        } else {
            (key, 0)
        };
        let entry = set.get_mut(&found)?;
        if insn.a[2] & touch::COUNT != 0 {
            entry.counted.0 += 1;
            entry.counted.1 += u64::from(facts.get(field::LENGTH));
        }
        Some(Found { data: entry.data })
    }

    fn update(&mut self, insn: &Insn, facts: &Facts) -> bool {
        let key = (key(insn.a[1], facts), 0);
        let Some(set) = self.sets.get_mut(insn.a[0] as usize) else {
            return false;
        };
        if insn.a[2] == 2 {
            return set.remove(&key).is_some();
        }
        set.entry(key).or_insert(SetEntry {
            key: key.0,
            length: 0,
            data: if insn.field == 0 {
                [0; 4]
            } else {
                facts.four(insn.field)
            },
            timeout: None,
            expires: None,
            counted: (0, 0),
        });
        true
    }

    fn count(&mut self, index: u32, bytes: u32) {
        if let Some((packets, sum)) = self.counters.get_mut(index as usize - 1) {
            *packets += 1;
            *sum += u64::from(bytes);
        }
    }

    fn limit(&mut self, index: u32, bytes: u32) -> bool {
        self.take(index, bytes)
    }

    fn quota(&mut self, index: u32, bytes: u32) -> u64 {
        let Some(used) = self.quotas.get_mut(index as usize) else {
            return u64::MAX;
        };
        *used += u64::from(bytes);
        *used
    }

    fn bits(&mut self, block: u32, word: u32) -> Option<u64> {
        let block = self.compiled.blocks.get(block as usize)?;
        block.get(word as usize).copied()
    }

    /// As if there was no other connection.
    fn connections(&mut self, _insn: &Insn, _facts: &Facts) -> Option<u32> {
        Some(1)
    }

    fn log(&mut self, facts: &Facts) {
        self.logged.push(facts.get(field::LOG));
    }
}
