//! What rules ask of a packet before they do anything: conditions without which they don't match.

use super::super::ir::{DataType, Expr, Field, Match, Op, Pattern, Right, Rule, SetId, Statement};
use super::chains::Compiler;
use super::place::{self, Form};
use super::prefix;
use super::sets::width;
use fw_common::ruleset::field;

/// A field, by where it stands: `tcp dport` and `udp dport` are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dimension {
    /// The first word.
    pub(super) word: u8,
    /// Its form there.
    pub(super) form: Form,
}

/// A field's value has to be in one of these prefixes, or (`not`) in none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) dimension: Dimension,
    pub(super) not: bool,
    /// Value and length each, of which none contains another.
    pub(super) prefixes: Vec<(u128, u32)>,
}

/// More prefixes than that make no classes: the row of rules is better off with a set of its own.
const MOST_PREFIXES: usize = 1024;

impl Dimension {
    /// Bits of its words.
    pub(super) fn bits(self) -> u32 {
        32 * u32::try_from(self.form.words()).unwrap_or(4)
    }
}

impl Compiler<'_> {
    /// The conditions of a rule: those of the matches that stand in front of everything else, one a field.
    ///
    /// Only fields that no statement changes and that are constant for a flow: what was concluded from
    /// them holds as long as a kept verdict does. A field that is not there (the ports of an ICMP packet)
    /// has any value here; the rule's own matches, which are left as they are, see to that.
    pub(super) fn conditions(&mut self, rule: &Rule) -> Vec<Condition> {
        let mut found: Vec<Condition> = Vec::new();
        let mut ported = false;
        for statement in &rule.statements {
            let Statement::Match(compared) = statement else {
                break;
            };
            let parts = compared.left.parts();
            if parts.iter().any(asks_tables) {
                break;
            }
            for (at, part) in parts.iter().enumerate() {
                let Some(dimension) = dimension(part, ported) else {
                    continue;
                };
                let known = found.iter().any(|known| known.dimension == dimension);
                // Of a negated concatenation no component has to differ.
                if known || (parts.len() > 1 && compared.op != Op::Eq) {
                    continue;
                }
                let asked = self.intervals(compared, at, part.datatype());
                found.extend(asked.and_then(|(not, intervals)| {
                    let prefixes = prefixes(intervals, dimension.bits())?;
                    Some(Condition {
                        dimension,
                        not,
                        prefixes,
                    })
                }));
            }
            ported |= self.says_ports(compared);
        }
        found
    }

    /// The values of a component that a match lets through, or (true) those that it does not.
    fn intervals(
        &mut self,
        compared: &Match,
        part: usize,
        datatype: DataType,
    ) -> Option<(bool, Vec<(u128, u128)>)> {
        match &compared.right {
            Right::Patterns(patterns) => {
                let (first, last) = self.values(patterns.get(part)?, datatype)?;
                let one = |not, first, last| Some((not, vec![(first, last)]));
                match compared.op {
                    Op::Eq => one(false, first, last),
                    Op::Ne => one(true, first, last),
                    Op::Lt => one(false, 0, first.checked_sub(1)?),
                    Op::Le => one(false, 0, last),
                    Op::Gt if last < datatype.max() => one(false, last + 1, datatype.max()),
                    Op::Ge => one(false, first, datatype.max()),
                    Op::Gt | Op::AnyBit | Op::NoBit => None,
                }
            }
            Right::Set(id) => {
                let intervals = self.elements(*id, part, datatype)?;
                Some((compared.op == Op::Ne, intervals))
            }
        }
    }

    /// The values of a component in a set that nobody changes.
    fn elements(
        &mut self,
        id: SetId,
        part: usize,
        datatype: DataType,
    ) -> Option<Vec<(u128, u128)>> {
        let set = self.ruleset.tables[self.at.table].set(id);
        if set.name.is_some() || set.flags.dynamic || set.elements.len() > MOST_PREFIXES {
            return None;
        }
        let elements = set.elements.iter();
        elements
            .map(|element| self.values(element.key.patterns().get(part)?, datatype))
            .collect()
    }

    /// As [`Compiler::bounds`], and nothing for an interface that is not there: the rule itself says so.
    fn values(&mut self, pattern: &Pattern, datatype: DataType) -> Option<(u128, u128)> {
        if let (Pattern::Name(name), DataType::IfIndex) = (pattern, datatype) {
            let index = u128::from(self.lookup.ifindex(name)?);
            return Some((index, index));
        }
        self.bounds(pattern, datatype)
    }
}

/// Whether the routing tables are asked: a packet for which they have no answer is dropped there, whatever
/// the rule asks for besides.
fn asks_tables(expr: &Expr) -> bool {
    match expr {
        Expr::Field(field) => matches!(field, Field::Fib { .. }),
        Expr::Constant(..) => false,
        Expr::Bitwise { expr, .. } | Expr::Shift { expr, .. } | Expr::Map { key: expr, .. } => {
            asks_tables(expr)
        }
        Expr::Concat(parts) => parts.iter().any(asks_tables),
    }
}

/// The dimension of an expression, if it is one.
fn dimension(expr: &Expr, ported: bool) -> Option<Dimension> {
    let Expr::Field(field) = expr else {
        return None;
    };
    let place = place::place(*field)?;
    let constant = !place.volatile || (ported && place::is_port(*field));
    // Rules may change them.
    let changes = matches!(place.word, field::MARK | field::CT_MARK | field::CT_STATE);
    let asked = place.need > field::have::OIF;
    (constant && !changes && !asked && place.form.words() == width(expr.datatype())).then_some(
        Dimension {
            word: place.word,
            form: place.form,
        },
    )
}

/// The prefixes that make up intervals; `None` if there are too many.
fn prefixes(mut intervals: Vec<(u128, u128)>, bits: u32) -> Option<Vec<(u128, u32)>> {
    intervals.sort_unstable();
    let mut merged: Vec<(u128, u128)> = Vec::new();
    for (first, last) in intervals {
        match merged.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    let prefixes = merged
        .into_iter()
        .flat_map(|(first, last)| prefix::of_range(first, last, bits));
    let prefixes: Vec<_> = prefixes.take(MOST_PREFIXES + 1).collect();
    (prefixes.len() <= MOST_PREFIXES).then_some(prefixes)
}
