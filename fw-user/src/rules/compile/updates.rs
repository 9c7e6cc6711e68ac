//! What rules add to sets, and the connections that they count.

use fw_common::ruleset::{Insn, SetKind, op};

use super::super::ir::{Expr, SetId, Stateful, UpdateOp};
use super::asm::flags;
use super::chains::Compiler;
use super::sets::Shape;

/// Lists of connections that belong to sets are numbered from here on.
const OF_SETS: u32 = 1 << 16;

impl Compiler<'_> {
    /// `add`, `update` and `delete` of an element: a set, its key and where the data stand.
    pub(super) fn update(
        &mut self,
        what: UpdateOp,
        (id, key, data): (SetId, &Expr, Option<u8>),
        millis: Option<u128>,
    ) {
        let set = self.ruleset.tables[self.at.table].set(id);
        let Shape::Map(index) = self.shape(self.at.table, id) else {
            return;
        };
        let kind = self.out.sets[index].kind;
        if kind == SetKind::Prefix {
            self.error("rules can't add to a set of intervals: leave `flags interval` out");
            return;
        }
        self.key(key, index);
        let statements = match what {
            UpdateOp::Add | UpdateOp::Update => self.kept_with_elements(id).unwrap_or_default(),
            UpdateOp::Delete => Vec::new(),
        };
        let is_count = |one: &&Stateful| matches!(one, Stateful::CtCount { .. });
        let counts: Vec<Stateful> = statements.iter().filter(is_count).copied().collect();
        let others: Vec<Stateful> = statements
            .iter()
            .filter(|one| !is_count(one))
            .copied()
            .collect();
        let millis = millis.or(set.timeout.map(|timeout| timeout.as_millis()));
        // The kernel removes an element without connections by itself: there is none.
        let only_counts = !counts.is_empty() && others.is_empty() && millis.is_none();
        if !only_counts {
            let ticks = millis.unwrap_or(0) * u128::from(self.lookup.hz()) / 1000;
            let touched = self.touch_by(&others);
            let mut update = Insn::of(op::UPDATE);
            update.flags = flags(0, true, false);
            update.field = data.unwrap_or(0);
            update.a = [
                u32::try_from(index).unwrap_or(u32::MAX),
                kind as u32,
                match what {
                    UpdateOp::Add => 0,
                    UpdateOp::Update => 1,
                    UpdateOp::Delete => 2,
                },
                touched.what,
            ];
            let [high, low] = touched.operand;
            update.b = [(ticks >> 32) as u32, ticks as u32, high, low];
            let fail = self.fail;
            self.asm.test(update, fail);
        }
        let words = if kind == SetKind::Wide { 16 } else { 4 };
        for count in &counts {
            let list = OF_SETS + u32::try_from(index).unwrap_or(0);
            self.connections(count, list, words);
        }
    }

    /// Four words with what an element is to be mapped to.
    pub(super) fn data_word(&mut self, data: &Expr) -> Option<u8> {
        let place = self.load(data)?;
        let to = self.temp();
        self.copy(place, to, false);
        Some(to)
    }

    /// Number of a rule's own list of connections.
    pub(super) fn list(&mut self) -> u32 {
        self.lists += 1;
        self.lists
    }

    /// `ct count`, in the element whose key stands in so many registers.
    pub(super) fn connections(&mut self, count: &Stateful, list: u32, words: u32) {
        let Stateful::CtCount { over, count } = *count else {
            return;
        };
        let fail = self.fail;
        let mut test = Insn::of(op::CONNECTIONS);
        test.flags = flags(0, true, !over);
        test.a = [count, list, words, 0];
        self.asm.test(test, fail);
    }
}
