//! Matches: comparisons that end the rule if they don't hold.

use fw_common::ruleset::{Insn, op};

use super::super::ir::{DataType, Expr, Field, Header, Match, Meta, Op, Pattern, Right, SetId};
use super::asm::{Label, flags};
use super::chains::Compiler;
use super::place::{Form, Place, words};
use super::sets::Shape;

/// Protocols whose first four bytes are ports.
const PORTED: [u128; 4] = [6, 17, 132, 136];

impl Compiler<'_> {
    /// Writes a match, which goes to the next rule if it does not hold.
    pub(super) fn write_match(&mut self, compared: &Match) {
        let fail = self.fail;
        match &compared.right {
            Right::Set(id) => self.member(&compared.left, *id, compared.op == Op::Ne),
            Right::Patterns(patterns) => {
                self.compare(&compared.left, compared.op, patterns, fail);
            }
        }
        if self.says_ports(compared) {
            self.ported = true;
        }
    }

    /// Whether what comes after this match is of a protocol with ports.
    pub(super) fn says_ports(&self, compared: &Match) -> bool {
        let is_protocol = matches!(
            compared.left,
            Expr::Field(
                Field::Meta(Meta::L4proto) | Field::Header(Header::IpProtocol | Header::Ip6Nexthdr)
            )
        );
        let ported = |pattern: &Pattern| match pattern {
            Pattern::Exact(value) => PORTED.contains(value),
            _ => false,
        };
        is_protocol
            && compared.op == Op::Eq
            && match &compared.right {
                Right::Patterns(patterns) => patterns.iter().all(ported),
                Right::Set(id) => {
                    let set = self.ruleset.tables[self.at.table].set(*id);
                    let elements = &set.elements;
                    set.name.is_none()
                        && elements.iter().all(|e| e.key.patterns().iter().all(ported))
                }
            }
    }

    /// A key in a set, or (`not`) not in it.
    fn member(&mut self, key: &Expr, id: SetId, not: bool) {
        let fail = self.fail;
        match self.shape(self.at.table, id) {
            Shape::Map(index) => {
                self.key(key, index);
                let set = self.ruleset.tables[self.at.table].set(id);
                let mut search = Insn::of(op::LOOKUP);
                search.flags = flags(0, false, not);
                if set.elements.iter().any(|e| e.key.patterns().is_empty()) {
                    // `*`: everything is in it.
                    if not {
                        self.asm.branch(Insn::of(op::GOTO), fail);
                    }
                    return;
                }
                self.search(search, id, index, fail);
            }
            Shape::Inline => self.inline_member(key, id, not),
        }
    }

    /// Compares each component with its pattern; goes to `otherwise` if it does not hold.
    pub(super) fn compare(&mut self, left: &Expr, op: Op, patterns: &[Pattern], otherwise: Label) {
        if let (Expr::Bitwise { expr, mask, flip }, [pattern]) = (left, patterns)
            && self.compare_masked(expr, (*mask, *flip), op, pattern, otherwise)
        {
            return;
        }
        let parts = left.parts();
        if op == Op::Ne && parts.len() > 1 {
            // Not all of them are equal.
            let differs = self.asm.label();
            self.compare_all(parts, Op::Eq, patterns, differs);
            self.asm.branch(Insn::of(op::GOTO), otherwise);
            self.asm.place(differs);
        } else {
            self.compare_all(parts, op, patterns, otherwise);
        }
    }

    fn compare_all(&mut self, parts: &[Expr], op: Op, patterns: &[Pattern], otherwise: Label) {
        for (part, pattern) in parts.iter().zip(patterns) {
            let datatype = part.datatype();
            if let Some(place) = self.load(part) {
                self.compare_one(place, datatype, op, pattern, otherwise);
            }
        }
    }

    /// `(field & mask) ^ flip == value` in one instruction, if it is of that form.
    fn compare_masked(
        &mut self,
        expr: &Expr,
        (mask, flip): (u128, u128),
        op: Op,
        pattern: &Pattern,
        otherwise: Label,
    ) -> bool {
        let (Expr::Field(_), Pattern::Exact(value)) = (expr, pattern) else {
            return false;
        };
        if !matches!(op, Op::Eq | Op::Ne) || (value ^ flip) & !mask != 0 {
            return false;
        }
        let Some(place) = self.load(expr) else {
            return true;
        };
        let equal = self.equal(place, mask, value ^ flip, op == Op::Ne);
        self.asm.test(equal, otherwise);
        true
    }

    /// Compares one value with one pattern.
    pub(super) fn compare_one(
        &mut self,
        place: Place,
        datatype: DataType,
        op: Op,
        pattern: &Pattern,
        otherwise: Label,
    ) {
        let Some((first, last)) = self.bounds(pattern, datatype) else {
            return;
        };
        let max = datatype.max();
        let test = match op {
            Op::AnyBit => self.equal(place, first, 0, true),
            Op::NoBit => self.equal(place, first, 0, false),
            Op::Eq | Op::Ne if first == last => self.equal(place, max, first, op == Op::Ne),
            Op::Eq | Op::Ne => range(place, first, last, op == Op::Ne),
            Op::Lt => match first.checked_sub(1) {
                Some(below) => range(place, 0, below, false),
                None => range(place, 0, max, true),
            },
            Op::Gt if last >= max => range(place, 0, max, true),
            Op::Gt => range(place, last + 1, max, false),
            Op::Le => range(place, 0, last, false),
            Op::Ge => range(place, first, max, false),
        };
        self.asm.test(test, otherwise);
    }

    /// `place & mask == value`, or not.
    pub(super) fn equal(&mut self, place: Place, mask: u128, value: u128, not: bool) -> Insn {
        let mut test = Insn::of(op::EQUAL4);
        test.flags = flags(place.need, place.volatile, not);
        test.field = place.word;
        match place.form {
            Form::Bits { shift, .. } => {
                test.op = op::EQUAL;
                test.a[0] = (mask as u32) << shift & place.form.mask();
                test.b[0] = (value as u32) << shift;
            }
            form => {
                test.a = words(mask, form.words());
                test.b = words(value, form.words());
            }
        }
        test
    }
}

/// `first <= place <= last`, or not.
fn range(place: Place, first: u128, last: u128, not: bool) -> Insn {
    let mut test = Insn::of(op::RANGE);
    test.flags = flags(place.need, place.volatile, not);
    test.field = place.word;
    match place.form {
        Form::Bits { shift, .. } => {
            test.a = [first as u32, place.form.mask(), u32::from(shift), 0];
            test.b[0] = last as u32;
        }
        form => {
            test.op = if form == Form::Two {
                op::RANGE2
            } else {
                op::RANGE4
            };
            test.a = words(first, form.words());
            test.b = words(last, form.words());
        }
    }
    test
}
