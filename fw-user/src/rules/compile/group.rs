//! Long chains: the rules that can match are looked up.

use std::ops::Range;

use fw_common::ruleset::seek::MOST_RULES;
use fw_common::ruleset::{Insn, SetKind, field, op};

use super::super::ir::{Chain, SetId};
use super::Grouping;
use super::asm::Label;
use super::chains::Compiler;
use super::classes::{Classes, choose};
use super::place::{Place, words};
use super::sets::{CompiledSet, Entry};

/// No set of the ruleset: its elements are classes of a group of rules.
const CLASSES: SetId = SetId(usize::MAX);

/// Most blocks of vectors of a ruleset: 32 MB.
const MOST_BLOCKS: usize = 1 << 19;

/// A row of rules of which those that can match are looked up.
pub(super) struct Group {
    /// Their positions in the chain.
    pub(super) rules: Range<usize>,
    number: u32,
    /// Where each begins.
    starts: Vec<Label>,
    /// Where the classes are found out.
    classify: Label,
    /// Where the next rule is looked for.
    scan: Label,
    /// Behind the last rule.
    end: Label,
    chosen: Vec<Classes>,
}

impl Compiler<'_> {
    /// The group of a chain, if it is long enough to have one.
    pub(super) fn group(&mut self, chain: &Chain) -> Option<Group> {
        if self.grouping == Grouping::Never {
            return None;
        }
        let mut conditions: Vec<_> = chain
            .rules
            .iter()
            .map(|rule| self.conditions(rule))
            .collect();
        // Rules that every packet has to try stay outside, as far as they stand in front or behind.
        let first = conditions.iter().position(|asked| !asked.is_empty())?;
        let last = conditions.iter().rposition(|asked| !asked.is_empty())?;
        let rules = first..(last + 1).min(first + MOST_RULES);
        conditions.truncate(rules.end);
        conditions.drain(..first);
        let room = MOST_BLOCKS.saturating_sub(self.blocks.blocks.len());
        let chosen = choose(&conditions, room, self.grouping == Grouping::Always)?;
        self.groups += 1;
        Some(Group {
            starts: rules.clone().map(|_| self.asm.label()).collect(),
            rules,
            number: self.groups,
            classify: self.asm.label(),
            scan: self.asm.label(),
            end: self.asm.label(),
            chosen,
        })
    }

    /// In front of the rule at `position` of the chain: on to the next one of the group that can match.
    pub(super) fn seek(&mut self, group: &Group, position: usize) {
        if !group.rules.contains(&position) {
            return;
        }
        let at = position - group.rules.start;
        let mut seek = Insn::of(op::SEEK);
        seek.a[0] = group.number;
        seek.a[1] = u32::try_from(at).unwrap_or(u32::MAX);
        self.asm
            .operands(seek, &[(2, group.classify), (3, group.scan)]);
        self.asm.place(group.starts[at]);
    }

    /// Behind the rule at `position` of the chain.
    pub(super) fn leave(&mut self, group: &Group, position: usize) {
        if position + 1 == group.rules.end {
            self.asm.place(group.end);
        }
    }

    /// What a group needs besides its rules, behind the chain's end.
    pub(super) fn write_group(&mut self, table: usize, group: &Group) {
        self.blocks.next_group();
        self.asm.place(group.classify);
        self.classify(table, &group.chosen);
        self.asm.place(group.scan);
        let addresses = self.asm.label();
        let mut scan = Insn::of(op::SCAN);
        scan.a[0] = group.number;
        scan.a[1] = u32::try_from(group.chosen.len()).unwrap_or(u32::MAX);
        scan.a[2] = u32::try_from(group.rules.len()).unwrap_or(u32::MAX);
        self.asm.test_with(scan, group.end, &[(3, addresses)]);
        self.asm.place(addresses);
        for eight in group.starts.chunks(8) {
            let slots: Vec<_> = eight.iter().copied().enumerate().collect();
            self.asm.operands(Insn::of(op::ADDRESS), &slots);
        }
    }

    /// Looks up the class of each dimension. Where there is none, it is that of values that are no key.
    fn classify(&mut self, table: usize, chosen: &[Classes]) {
        let mut blocks = std::mem::take(&mut self.blocks);
        let numbered: Vec<_> = chosen.iter().map(|c| c.numbered(&mut blocks)).collect();
        self.blocks = blocks;
        let defaults: Vec<u32> = numbered.iter().map(|(_, default)| *default).collect();
        // A look-up that finds something writes four words, so the elements have the defaults of the
        // dimensions behind theirs.
        let from = |at: usize, first: u32| {
            let rest = defaults.iter().skip(at + 1).copied();
            let mut words = [0; 4];
            for (to, word) in words.iter_mut().zip([first].into_iter().chain(rest)) {
                *to = word;
            }
            words
        };
        let mut start = Insn::of(op::COPY4);
        start.to = field::CLASSES;
        start.b = from(0, defaults.first().copied().unwrap_or(0));
        self.asm.emit(start);
        for (at, (classes, (keys, _))) in chosen.iter().zip(&numbered).enumerate() {
            let dimension = classes.dimension;
            let count = dimension.form.words();
            let entries = keys.iter().map(|((value, length), number)| {
                let mut key = [0; 16];
                key[..4].copy_from_slice(&words(*value, count));
                Entry {
                    key,
                    length: *length,
                    data: from(at, *number),
                    timeout: None,
                    expires: None,
                    counted: (0, 0),
                }
            });
            let size = u32::try_from(keys.len()).unwrap_or(u32::MAX);
            let set = CompiledSet {
                table,
                id: CLASSES,
                kind: classes.kind,
                order: vec![0],
                widths: vec![count],
                size: size.max(1),
                entries: entries.collect(),
                forgotten: None,
            };
            let position = u32::try_from(self.out.sets.len()).unwrap_or(u32::MAX);
            self.out.sets.push(set);
            let there = Place {
                word: dimension.word,
                form: dimension.form,
                // What is not there is in any class.
                need: field::have::ALWAYS,
                volatile: false,
            };
            self.fail = self.asm.label();
            self.copy(there, field::REGS, classes.kind == SetKind::Prefix);
            let mut search = Insn::of(op::MAP);
            search.to = field::CLASSES + u8::try_from(at).unwrap_or(0);
            search.a = [position, classes.kind as u32, 0, 0];
            let fail = self.fail;
            self.asm.test(search, fail);
            self.asm.place(fail);
        }
    }
}
