//! Rules found by classes, in the place of one after the other.
//!
//! A long row of rules is a *group*. For some fields that its rules compare with constants the compiler
//! has sorted all values into classes: those that the same rules ask for, or don't care about. The class
//! of a packet is found by one look-up a field ([`op::MAP`](super::op::MAP) into a word of
//! [`field::CLASSES`]), and is the number of a *vector* with a bit for each rule. A
//! rule can match only if its bit is set in the vectors of all fields: `scan` goes on at the next one of
//! these, and that rule then runs as it would have without all this. So what is passed over is only what
//! would not have matched.
//!
//! Vectors are aggregated: in front of them stands a summary with a bit for each word, so that thousands
//! of rules are passed over at a time.

use super::eval::Env;
use super::field;
use super::insn::Insn;
use super::machine::{Machine, Outcome};

/// Most fields of a group.
pub const DIMENSIONS: usize = 4;
/// Words of a block; a vector is one block of summary, then as many as its rules need.
pub const BLOCK: usize = 8;
/// Most rules of a group: what the words of one block can sum up.
pub const MOST_RULES: usize = BLOCK * 64 * 64;

/// [`super::op::SEEK`]: the next rule is that at position `a[1]` or later. The classes are known if this was
/// the last group that was entered.
#[inline(always)]
pub(super) fn seek(machine: &mut Machine, insn: &Insn) {
    let known = machine.group == insn.a[0];
    machine.position = insn.a[1];
    machine.pc = if known { insn.a[3] } else { insn.a[2] };
}

/// [`super::op::SCAN`]: one step towards the next rule that can match; it is run again until that is found.
#[inline(always)]
pub(super) fn scan<E: Env>(machine: &mut Machine, insn: &Insn, env: &mut E) {
    machine.group = insn.a[0];
    let position = machine.position;
    if position >= insn.a[2] {
        machine.pc = insn.next;
        return;
    }
    let word = position >> 6;
    let vectors = Vectors {
        numbers: machine.facts.four(field::CLASSES),
        count: insn.a[1],
    };
    let Some(summary) = vectors.all(0, word >> 6, env) else {
        machine.outcome = Outcome::Broken as u32;
        return;
    };
    let summary = summary & (u64::MAX << (word & 63));
    if summary == 0 {
        machine.position = ((word >> 6) + 1) << 12;
        return;
    }
    let found = (word & !63) + summary.trailing_zeros();
    let Some(rules) = vectors.all(1 + (found >> 3), found & 7, env) else {
        machine.outcome = Outcome::Broken as u32;
        return;
    };
    let from = if found == word { position & 63 } else { 0 };
    let rules = rules & (u64::MAX << from);
    if rules == 0 {
        machine.position = (found + 1) << 6;
        return;
    }
    machine.position = (found << 6) + rules.trailing_zeros();
    machine.pc = insn.a[3].wrapping_add(machine.position >> 3);
}

/// [`super::op::ADDRESS`]: the address of the rule that was found is one of the eight operands.
#[inline(always)]
pub(super) fn address(machine: &mut Machine, insn: &Insn) {
    let at = machine.position as usize & 3;
    let half = if machine.position & 4 == 0 {
        &insn.a
    } else {
        &insn.b
    };
    machine.pc = half[at];
}

/// The vectors of a packet's classes.
struct Vectors {
    numbers: [u32; DIMENSIONS],
    count: u32,
}

impl Vectors {
    /// What all of them have in common in one word.
    #[inline(always)]
    fn all<E: Env>(&self, block: u32, word: u32, env: &mut E) -> Option<u64> {
        let mut all = u64::MAX;
        let mut i = 0;
        while i < DIMENSIONS {
            if (i as u32) < self.count {
                all &= env.bits(self.numbers[i].wrapping_add(block), word)?;
            }
            i += 1;
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::eval::{Found, step};
    use super::super::facts::Facts;
    use super::super::insn::op;
    use super::*;
    use crate::wire::testing::{accept, tcp, v4};

    /// Vectors, and nothing else.
    struct Blocks(Vec<[u64; BLOCK]>);

    impl Env for Blocks {
        fn connections(&mut self, _insn: &Insn, _facts: &Facts) -> Option<u32> {
            None
        }
        fn bits(&mut self, block: u32, word: u32) -> Option<u64> {
            self.0.get(block as usize)?.get(word as usize).copied()
        }
        fn find(&mut self, _insn: &Insn, _facts: &Facts) -> Option<Found> {
            None
        }
        fn update(&mut self, _insn: &Insn, _facts: &Facts) -> bool {
            false
        }
        fn count(&mut self, _index: u32, _bytes: u32) {}
        fn limit(&mut self, _index: u32, _bytes: u32) -> bool {
            false
        }
        fn quota(&mut self, _index: u32, _bytes: u32) -> u64 {
            0
        }
        fn log(&mut self, _facts: &Facts) {}
    }

    fn read() -> Facts {
        let frame = v4(6, &tcp(2, &[], &[]));
        let mut facts = Facts::default();
        facts.read(&frame[..], &accept(&frame), true);
        facts
    }

    /// Where the program says "found", for [`rules_are_found_by_their_bits`].
    const FOUND: u32 = 100;

    /// A vector with these bits: its summary, then its words.
    fn vector(rules: usize, bits: &[usize]) -> Vec<[u64; BLOCK]> {
        let mut blocks = vec![[0; BLOCK]; 1 + rules.div_ceil(64 * BLOCK)];
        for bit in bits {
            let word = bit / 64;
            blocks[0][word / 64] |= 1 << (word % 64);
            blocks[1 + word / 8][word % 8] |= 1 << (bit % 64);
        }
        blocks
    }

    #[test]
    fn rules_are_found_by_their_bits() {
        const RULES: usize = 20_000;
        let mut first = vec![0, 5, 63, 64, 65, 4095, 4096, 12_345, 19_999];
        let second = [3, 5, 64, 66, 4096, 8000, 12_345, 19_999];
        let mut blocks = vector(RULES, &first);
        let other = blocks.len() as u32;
        blocks.extend(vector(RULES, &second));
        let mut shared = Blocks(blocks);
        first.retain(|bit| second.contains(bit));
        let scan = Insn {
            next: 9,
            a: [7, 2, RULES as u32, FOUND],
            op: op::SCAN,
            ..Insn::default()
        };
        let seek = |position| Insn {
            a: [7, position, 50, 60],
            op: op::SEEK,
            ..Insn::default()
        };
        let mut machine = Machine {
            facts: read(),
            ..Machine::default()
        };
        machine.facts.set_four(field::CLASSES, [0, other, 0, 0]);
        step(&mut machine, &seek(0), &mut shared);
        assert_eq!(machine.pc, 50, "the classes are not known yet");
        let mut found = Vec::new();
        loop {
            let before = machine.position;
            machine.pc = 60;
            for _ in 0..32 {
                if machine.pc == 60 {
                    step(&mut machine, &scan, &mut shared);
                }
            }
            if machine.pc == 9 {
                break;
            }
            let position = machine.position;
            assert_eq!(machine.pc, FOUND + position / 8, "from {before}");
            let table = Insn {
                op: op::ADDRESS,
                a: [0, 1, 2, 3],
                b: [4, 5, 6, 7],
                ..Insn::default()
            };
            step(&mut machine, &table, &mut shared);
            assert_eq!(machine.pc, position % 8);
            found.push(position as usize);
            step(&mut machine, &seek(position + 1), &mut shared);
            assert_eq!(machine.pc, 60, "they are known now");
        }
        assert_eq!(found, first);
        machine.position = 0;
        shared.0.truncate(1);
        step(&mut machine, &scan, &mut shared);
        assert_eq!(machine.outcome(), Outcome::Broken, "a vector is missing");
    }
}
