//! Instructions with labels instead of addresses, until all of them stand.

use fw_common::ruleset::{Insn, flag};

/// A place in the program that may not stand yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Label(usize);

/// Which field of an instruction is the address of a label.
#[derive(Clone, Copy, Debug)]
enum Slot {
    Next,
    /// One of the operands: `a`, then `b`.
    Operand(usize),
}

/// A program being written.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    program: Vec<Insn>,
    labels: Vec<Option<u32>>,
    fixups: Vec<(usize, Slot, Label)>,
}

impl Assembler {
    /// A label that does not stand yet.
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// The label stands here.
    pub(super) fn place(&mut self, label: Label) {
        self.labels[label.0] = Some(self.here());
    }

    /// Address of the next instruction.
    pub(super) fn here(&self) -> u32 {
        u32::try_from(self.program.len()).unwrap_or(u32::MAX)
    }

    /// Writes an instruction that always goes on.
    pub(super) fn emit(&mut self, insn: Insn) {
        self.program.push(insn);
    }

    /// Writes an instruction that goes to `otherwise` if it does not match.
    pub(super) fn test(&mut self, insn: Insn, otherwise: Label) {
        self.fixups
            .push((self.program.len(), Slot::Next, otherwise));
        self.program.push(insn);
    }

    /// Writes an instruction whose first operand is an address.
    pub(super) fn branch(&mut self, insn: Insn, target: Label) {
        self.operands(insn, &[(0, target)]);
    }

    /// Writes an instruction some of whose operands (`a`, then `b`) are addresses.
    pub(super) fn operands(&mut self, insn: Insn, addresses: &[(usize, Label)]) {
        for (at, target) in addresses {
            self.fixups
                .push((self.program.len(), Slot::Operand(*at), *target));
        }
        self.program.push(insn);
    }

    /// [`Assembler::test`] and [`Assembler::operands`] in one.
    pub(super) fn test_with(&mut self, insn: Insn, otherwise: Label, addresses: &[(usize, Label)]) {
        self.fixups
            .push((self.program.len(), Slot::Next, otherwise));
        self.operands(insn, addresses);
    }

    /// Writes an instruction whose first two operands are addresses.
    pub(super) fn branches(&mut self, insn: Insn, first: Label, second: Label) {
        self.operands(insn, &[(0, first), (1, second)]);
    }

    /// Address of a label, once everything stands.
    pub(super) fn address(&self, label: Label) -> u32 {
        self.labels[label.0].unwrap_or(u32::MAX)
    }

    /// The program, and where its labels stand.
    pub(super) fn finish(mut self) -> (Vec<Insn>, Vec<Option<u32>>) {
        for (at, slot, label) in std::mem::take(&mut self.fixups) {
            let address = self.address(label);
            let insn = &mut self.program[at];
            match slot {
                Slot::Next => insn.next = address,
                Slot::Operand(at @ 0..4) => insn.a[at] = address,
                Slot::Operand(at) => insn.b[at - 4] = address,
            }
        }
        (self.program, self.labels)
    }
}

impl Label {
    /// Position in the list of labels.
    pub(super) const fn index(self) -> usize {
        self.0
    }
}

/// [`Insn::flags`] of an instruction that needs bit `need`.
pub(super) const fn flags(need: u8, volatile: bool, not: bool) -> u8 {
    let mut flags = need << flag::NEED_SHIFT;
    if volatile {
        flags |= flag::VOLATILE;
    }
    if not {
        flags |= flag::NOT;
    }
    flags
}
