//! Values: where they stand, or how they get to where they can be compared.

use fw_common::ruleset::{Insn, SetKind, field, flag, op};

use super::super::ir::{DataKind, DataType, Expr, SetId};
use super::asm::flags;
use super::chains::Compiler;
use super::objects::Touched;
use super::place::{Form, Place, words};
use super::sets::{Shape, width};

/// Words of intermediate values: four of four words each.
const TEMPS: u8 = 4;

impl Compiler<'_> {
    /// Where the value of `expr` stands; writes the instructions that put it there.
    pub(super) fn load(&mut self, expr: &Expr) -> Option<Place> {
        match expr {
            Expr::Field(field) => self.field(*field),
            Expr::Constant(value, datatype) => Some(self.constant(*value, *datatype)),
            Expr::Bitwise { expr, mask, flip } => {
                let from = self.load(expr)?;
                self.masked(from, *mask, *flip)
            }
            Expr::Shift { expr, left, by } => {
                let from = self.load(expr)?;
                self.shifted(from, *left, *by)
            }
            Expr::Map { key, map } => self.mapped(key, *map),
            Expr::Concat(_) => {
                self.error("a concatenation can only be looked up in a set or map");
                None
            }
        }
    }

    /// Four words for an intermediate value.
    pub(super) fn temp(&mut self) -> u8 {
        let temp = field::TEMP + 4 * (self.temps % TEMPS);
        self.temps += 1;
        temp
    }

    fn constant(&mut self, value: u128, datatype: DataType) -> Place {
        let to = self.temp();
        let count = width(datatype);
        let mut copy = Insn::of(op::COPY4);
        copy.to = to;
        copy.b = words(value, count);
        self.asm.emit(copy);
        temporary(to, count)
    }

    fn masked(&mut self, from: Place, mask: u128, flip: u128) -> Option<Place> {
        let to = self.temp();
        let fail = self.fail;
        let (a, b, operation) = match from.form {
            Form::Bits { shift, .. } => {
                let mask = (mask as u32) << shift & from.form.mask();
                (
                    [mask, u32::from(shift), 0, 0],
                    [flip as u32, 0, 0, 0],
                    op::COPY,
                )
            }
            form => (
                words(mask, form.words()),
                words(flip, form.words()),
                op::COPY4,
            ),
        };
        let mut copy = Insn::of(operation);
        copy.flags = flags(from.need, from.volatile, false);
        copy.field = from.word;
        copy.to = to;
        copy.a = a;
        copy.b = b;
        self.asm.test(copy, fail);
        Some(temporary(to, from.form.words()))
    }

    fn shifted(&mut self, from: Place, left: bool, by: u8) -> Option<Place> {
        let Form::Bits { shift, .. } = from.form else {
            self.error("only values of up to 32 bits can be shifted");
            return None;
        };
        let to = self.temp();
        let fail = self.fail;
        let (down, up) = if left { (shift, by) } else { (shift + by, 0) };
        let mut copy = Insn::of(op::COPY);
        copy.flags = flags(from.need, from.volatile, false);
        copy.field = from.word;
        copy.to = to;
        copy.a = [from.form.mask(), u32::from(down), u32::from(up), 0];
        self.asm.test(copy, fail);
        Some(temporary(to, 1))
    }

    fn mapped(&mut self, key: &Expr, map: SetId) -> Option<Place> {
        let table = self.at.table;
        let set = self.ruleset.tables[table].set(map);
        let Some(DataKind::Value(datatype)) = set.data else {
            self.error("a map to values is wanted here");
            return None;
        };
        let to = self.temp();
        self.map_to(key, map, to);
        Some(temporary(to, width(datatype)))
    }

    /// Copies what `map` maps `key` to into four words at `to`.
    pub(super) fn map_to(&mut self, key: &Expr, map: SetId, to: u8) {
        let fail = self.fail;
        match self.shape(self.at.table, map) {
            Shape::Map(index) => {
                self.key(key, index);
                let mut search = Insn::of(op::MAP);
                search.to = to;
                self.search(search, map, index, fail);
            }
            Shape::Inline => self.inline_map(key, map, to),
        }
    }

    /// Writes a look-up of the registers in set `index`; where nothing is found, `*` is taken if there is
    /// one, else it goes to `otherwise`.
    pub(super) fn search(
        &mut self,
        mut search: fw_common::ruleset::Insn,
        id: SetId,
        index: usize,
        otherwise: super::asm::Label,
    ) {
        let table = self.at.table;
        let set = self.ruleset.tables[table].set(id);
        let kind = self.out.sets[index].kind;
        let moving = set.flags.dynamic || set.flags.timeout || set.timeout.is_some();
        // A rule for what is not in the set ends at an element, before its statements (`nft_lookup_eval`).
        let touched = match self.kept_with_elements(id) {
            _ if search.flags & flag::NOT != 0 => Touched::default(),
            Some(statements) => self.touch_by(&statements),
            None => self.touch(set),
        };
        search.a = [
            u32::try_from(index).unwrap_or(u32::MAX),
            kind as u32,
            touched.what,
            0,
        ];
        search.b[2] = touched.operand[0];
        search.b[3] = touched.operand[1];
        search.flags |= flags(0, moving || touched.what != 0, false);
        self.asm.test(search, otherwise);
    }

    /// Puts the key of set `index` into the registers.
    pub(super) fn key(&mut self, key: &Expr, index: usize) {
        let parts: Vec<_> = key.parts().iter().map(|part| self.load(part)).collect();
        let (kind, order) = {
            let set = &self.out.sets[index];
            (set.kind, set.order.clone())
        };
        if kind == SetKind::Wide {
            self.asm.emit(Insn::of(op::CLEAR));
        }
        let mut to = field::REGS;
        for part in order {
            let Some(Some(from)) = parts.get(part).copied() else {
                return;
            };
            self.copy(from, to, kind == SetKind::Prefix);
            to += u8::try_from(from.form.words()).unwrap_or(4);
        }
    }

    /// Copies a value to where it stands alone.
    pub(super) fn copy(&mut self, from: Place, to: u8, wire: bool) {
        let fail = self.fail;
        let (operation, a) = match from.form {
            Form::Bits { shift, .. } => (op::COPY, [from.form.mask(), u32::from(shift), 0, 0]),
            Form::Two => (op::COPY4, [u32::MAX, u32::MAX, 0, 0]),
            Form::Four => (op::COPY4, [u32::MAX; 4]),
        };
        let mut copy = Insn::of(operation);
        copy.flags = flags(from.need, from.volatile, false);
        if wire {
            copy.flags |= flag::WIRE;
        }
        copy.field = from.word;
        copy.to = to;
        copy.a = a;
        self.asm.test(copy, fail);
    }
}

/// A value of so many words at `word` that this evaluation has put there.
pub(super) const fn temporary(word: u8, count: usize) -> Place {
    Place {
        word,
        form: match count {
            1 => Form::WORD,
            2 => Form::Two,
            _ => Form::Four,
        },
        need: field::have::ALWAYS,
        volatile: false,
    }
}
