//! Sets that no map holds: the elements are compared one by one.

use fw_common::ruleset::{Insn, op};

use super::super::ir::{Data, DataKind, DataType, Element, Expr, Op, Pattern, SetId};
use super::asm::{Label, flags};
use super::chains::Compiler;
use super::place::{Place, words};
use super::sets::width;

impl Compiler<'_> {
    /// A key among the elements of a set, or (`not`) not.
    pub(super) fn inline_member(&mut self, key: &Expr, id: SetId, not: bool) {
        let Some(parts) = self.loaded(key) else {
            return;
        };
        let set = self.ruleset.tables[self.at.table].set(id);
        let (fail, found) = (self.fail, self.asm.label());
        let hit = if not { fail } else { found };
        for element in &set.elements {
            let other = self.asm.label();
            self.is_element(&parts, element, other);
            self.asm.branch(Insn::of(op::GOTO), hit);
            self.asm.place(other);
        }
        if !not {
            self.asm.branch(Insn::of(op::GOTO), fail);
        }
        self.asm.place(found);
    }

    /// What the element that matches is mapped to, at `to`.
    pub(super) fn inline_map(&mut self, key: &Expr, id: SetId, to: u8) {
        let Some(parts) = self.loaded(key) else {
            return;
        };
        let set = self.ruleset.tables[self.at.table].set(id);
        let Some(DataKind::Value(datatype)) = set.data else {
            return;
        };
        let (fail, found) = (self.fail, self.asm.label());
        for element in &set.elements {
            let other = self.asm.label();
            self.is_element(&parts, element, other);
            if let Some(Data::Value(pattern)) = &element.data
                && let Some((value, _)) = self.bounds(pattern, datatype)
            {
                let mut copy = Insn::of(op::COPY4);
                copy.to = to;
                copy.b = words(value, width(datatype));
                self.asm.emit(copy);
            }
            self.asm.branch(Insn::of(op::GOTO), found);
            self.asm.place(other);
        }
        self.asm.branch(Insn::of(op::GOTO), fail);
        self.asm.place(found);
    }

    /// The verdict of the element that matches.
    pub(super) fn inline_verdict(&mut self, key: &Expr, id: SetId) {
        let Some(parts) = self.loaded(key) else {
            return;
        };
        let set = self.ruleset.tables[self.at.table].set(id);
        let (fail, done) = (self.fail, self.asm.label());
        for element in &set.elements {
            let other = self.asm.label();
            self.is_element(&parts, element, other);
            if let Some(Data::Verdict(verdict)) = &element.data {
                self.write_verdict(*verdict);
            }
            self.asm.branch(Insn::of(op::GOTO), done);
            self.asm.place(other);
        }
        self.asm.branch(Insn::of(op::GOTO), fail);
        self.asm.place(done);
    }

    /// Where the components of a key stand. Each must be there: an element that is compared with what is
    /// not there would be "another one", where the whole rule has to end.
    pub(super) fn loaded(&mut self, key: &Expr) -> Option<Vec<(Place, DataType)>> {
        let mut parts = Vec::new();
        for part in key.parts() {
            let place = self.load(part)?;
            if place.need != 0 {
                let mut there = Insn::of(op::EQUAL);
                there.flags = flags(place.need, false, false);
                let fail = self.fail;
                self.asm.test(there, fail);
            }
            parts.push((place, part.datatype()));
        }
        Some(parts)
    }

    /// Goes to `other` unless the key is the element.
    pub(super) fn is_element(
        &mut self,
        parts: &[(Place, DataType)],
        element: &Element,
        other: Label,
    ) {
        let patterns: &[Pattern] = element.key.patterns();
        for ((place, datatype), pattern) in parts.iter().zip(patterns) {
            self.compare_one(*place, *datatype, Op::Eq, pattern, other);
        }
    }
}
