//! Comparisons.

use super::known::Rule;
use super::{Resolve, Resolver};
use crate::rules::ast::{self, ExprKind, Relation};
use crate::rules::diag::Diagnostic;
use crate::rules::ir::{
    CtField, DataType, Element, ElementKey, Expr, Field, Match, Op, Pattern, Right, Statement,
};
use crate::rules::span::Span;
use crate::rules::value;

impl Resolver<'_> {
    pub(super) fn compare(
        &mut self,
        rule: &mut Rule,
        left: &ast::Expr,
        relation: Option<Relation>,
        right: &ast::Expr,
    ) -> Resolve<()> {
        let resolved = self.left(rule, left)?;
        if !matches!(
            crate::rules::parse::innermost(right).kind,
            ExprKind::SetRef(_)
        ) {
            self.check_shift(&resolved, right.span)?;
        }
        let (expr, op, right) = self.sides(rule.table, resolved, relation, right, left.span)?;
        let learned = self.values(rule.table, &expr, op, &right);
        rule.statements.push(Statement::Match(Match {
            left: expr.clone(),
            op,
            right,
            implied: false,
        }));
        if let Expr::Field(field) = expr {
            rule.learn(field, &learned);
        }
        Ok(())
    }

    /// What the field can be if the match holds; nothing if that is no list.
    fn values(&self, table: usize, left: &Expr, op: Op, right: &Right) -> Vec<u128> {
        if op != Op::Eq || !matches!(left, Expr::Field(_)) {
            return Vec::new();
        }
        let exact = |pattern: &Pattern| match pattern {
            Pattern::Exact(value) => Some(*value),
            _ => None,
        };
        match right {
            Right::Patterns(patterns) => patterns.iter().filter_map(exact).collect(),
            Right::Set(id) => {
                let set = &self.drafts[table].table.sets[id.0];
                // What a named set holds may change.
                if set.name.is_some() {
                    return Vec::new();
                }
                let keys = set
                    .elements
                    .iter()
                    .flat_map(|element| element.key.patterns());
                keys.filter_map(exact).collect()
            }
        }
    }

    fn sides(
        &mut self,
        table: usize,
        left: Expr,
        relation: Option<Relation>,
        right: &ast::Expr,
        left_span: Span,
    ) -> Resolve<(Expr, Op, Right)> {
        let inner = crate::rules::parse::innermost(right);
        match &inner.kind {
            ExprKind::SetRef(name) => {
                let op = self.set_op(relation, right.span)?;
                let id = self.set(table, name)?;
                let types: Vec<DataType> = left.parts().iter().map(Expr::datatype).collect();
                self.check_set_key(table, id, &types, right.span)?;
                if self.drafts[table].table.sets[id.0].data.is_some() {
                    let message = Diagnostic::error(right.span, "this is a map, not a set")
                        .help("use it with `vmap` or behind `map`");
                    return self.fail(message);
                }
                Ok((left, op, Right::Set(id)))
            }
            ExprKind::Set(elements) => {
                // A set of one is that one: nft even takes `tcp flags { syn }` for `tcp flags syn`.
                if let ([one], false) = (elements.as_slice(), matches!(left, Expr::Concat(_))) {
                    let value = crate::rules::parse::innermost(&one.key);
                    let plain = !matches!(
                        value.kind,
                        ExprKind::Any | ExprKind::Set(_) | ExprKind::SetRef(_)
                    );
                    if plain && one.data.is_none() {
                        let relation = match relation {
                            Some(Relation::Eq) => None,
                            other => other,
                        };
                        return self.sides(table, left, relation, &one.key, left_span);
                    }
                }
                let op = self.set_op(relation, right.span)?;
                let types: Vec<DataType> = left.parts().iter().map(Expr::datatype).collect();
                let id = self.anonymous_set(table, &types, None, elements, inner.span)?;
                let right = match self.drafts[table].table.sets[id.0].elements.as_slice() {
                    // What was several is one by now.
                    [
                        Element {
                            key: ElementKey::One(one),
                            extras: None,
                            ..
                        },
                    ] => Right::Patterns(vec![one.clone()]),
                    _ => Right::Set(id),
                };
                Ok((left, op, right))
            }
            _ if matches!(left, Expr::Concat(_)) => {
                let message = "Use concatenations with sets and maps, not singleton values";
                let message = Diagnostic::error(left_span.to(right.span), message)
                    .help("write `{ … . … }`, a set of one");
                self.fail(message)
            }
            ExprKind::Masked(wanted, mask) => self.masked(left, relation, wanted, mask, right.span),
            _ => self.single(left, relation, inner, right.span),
        }
    }

    fn set_op(&mut self, relation: Option<Relation>, span: Span) -> Resolve<Op> {
        match relation {
            None | Some(Relation::Eq) => Ok(Op::Eq),
            Some(Relation::Ne) => Ok(Op::Ne),
            Some(_) => self.error(span, "a set is compared by `==` or `!=`"),
        }
    }

    /// `field value / mask`.
    fn masked(
        &mut self,
        left: Expr,
        relation: Option<Relation>,
        wanted: &ast::Expr,
        mask: &ast::Expr,
        span: Span,
    ) -> Resolve<(Expr, Op, Right)> {
        let datatype = left.datatype();
        if !datatype.is_bitmask() || !matches!(left, Expr::Field(_)) {
            let message = Diagnostic::error(span, "`value / mask` is for sets of bits")
                .help("write `field & mask == value`");
            return self.fail(message);
        }
        let op = match relation {
            None | Some(Relation::Eq) => Op::Eq,
            Some(Relation::Ne) => Op::Ne,
            Some(_) => return self.error(span, "`value / mask` is compared by `==` or `!=`"),
        };
        let wanted = self.constant(wanted, datatype)?;
        let mask = self.constant(mask, datatype)?;
        Ok(bits(left, op, mask, wanted))
    }

    fn single(
        &mut self,
        left: Expr,
        relation: Option<Relation>,
        right: &ast::Expr,
        span: Span,
    ) -> Resolve<(Expr, Op, Right)> {
        let datatype = left.datatype();
        let is_field = matches!(left, Expr::Field(_));
        let is_list = matches!(right.kind, ExprKind::List(_) | ExprKind::Prefix(..));
        let pattern = self.pattern(right, datatype, field_bits(&left), span)?;
        let op = match relation {
            None if datatype.is_bitmask() && is_field => Op::AnyBit,
            None | Some(Relation::Eq) => Op::Eq,
            Some(Relation::Ne) => Op::Ne,
            Some(Relation::Lt) => Op::Lt,
            Some(Relation::Gt) => Op::Gt,
            Some(Relation::Le) => Op::Le,
            Some(Relation::Ge) => Op::Ge,
            Some(Relation::Not) if datatype.is_bitmask() && is_field => Op::NoBit,
            Some(Relation::Not) => {
                let message = "negation can only be used with singleton bitmask values";
                let message = Diagnostic::error(span, message).help("write `!=`");
                return self.fail(message);
            }
        };
        let is_order = matches!(op, Op::Lt | Op::Gt | Op::Le | Op::Ge);
        if is_order && (!matches!(pattern, Pattern::Exact(_)) || is_list) {
            return self.error(span, "only a single number can be compared so");
        }
        if is_order && (datatype.is_bitmask() || datatype == DataType::Boolean) {
            return self.error(span, format!("a {} has no order", datatype.name()));
        }
        if let (Pattern::Range(first, last), DataType::Hour) = (&pattern, datatype)
            && first > last
        {
            // Over midnight UTC: what is not between its end and its begin.
            let turned = Pattern::Range(*last, *first);
            let op = if op == Op::Ne { Op::Eq } else { Op::Ne };
            return Ok((left, op, Right::Patterns(vec![turned])));
        }
        if let (
            Expr::Bitwise {
                expr,
                mask,
                flip: 0,
            },
            Pattern::Exact(wanted),
        ) = (&left, &pattern)
        {
            return Ok(simplify((**expr).clone(), op, *mask, *wanted));
        }
        Ok((left, op, Right::Patterns(vec![pattern])))
    }

    /// A value, range or prefix of that type.
    pub(super) fn pattern(
        &mut self,
        expr: &ast::Expr,
        datatype: DataType,
        width: u16,
        span: Span,
    ) -> Resolve<Pattern> {
        match &expr.kind {
            ExprKind::Shared(inner) => self.pattern(inner, datatype, width, span),
            ExprKind::Wildcard => {
                let parsed = value::parse_wildcard(datatype, self.text(expr.span));
                self.parsed(parsed, span)
            }
            ExprKind::Symbol { quoted } => {
                let text = self.text(expr.span);
                // Quoted numbers are names to nft.
                if *quoted && matches!(datatype, DataType::Integer(_) | DataType::Mark) {
                    return self.error(span, "a number has no quotes");
                }
                let parsed = value::parse(datatype, text);
                let pattern = self.parsed(parsed, span)?;
                self.fits(&pattern, width, span)?;
                Ok(pattern)
            }
            ExprKind::Prefix(value, length) => self.prefix(value, *length, datatype, span),
            ExprKind::Range(first, last) => self.range(first, last, datatype, width, span),
            ExprKind::List(_) if !datatype.is_bitmask() => {
                let message =
                    Diagnostic::error(span, format!("a {} can't be a list", datatype.name()))
                        .label("only sets of bits are written so")
                        .help("put braces around the list: `{ …, … }`");
                self.fail(message)
            }
            ExprKind::List(_) | ExprKind::Binary(..) => {
                self.constant(expr, datatype).map(Pattern::Exact)
            }
            ExprKind::Concat(_) => self.error(span, "a single value is expected here"),
            ExprKind::Set(_) | ExprKind::SetRef(_) => {
                self.error(span, "a set can't stand within a set here")
            }
            ExprKind::Any => self.error(span, "`*` stands alone in a set"),
            _ => self.error(span, "a value is expected here"),
        }
    }

    fn parsed(&mut self, parsed: Result<Pattern, value::BadValue>, span: Span) -> Resolve<Pattern> {
        match parsed {
            Ok(pattern) => Ok(pattern),
            Err(bad) => self.fail(Diagnostic::error(span, bad.message).maybe_help(bad.help)),
        }
    }

    fn fits(&mut self, pattern: &Pattern, width: u16, span: Span) -> Resolve<()> {
        if let (Pattern::Exact(value), 0..128) = (pattern, width)
            && *value >> width != 0
        {
            return self.error(span, format!("this does not fit {width} bits"));
        }
        Ok(())
    }

    fn prefix(
        &mut self,
        value: &ast::Expr,
        length: u16,
        datatype: DataType,
        span: Span,
    ) -> Resolve<Pattern> {
        if !has_prefixes(datatype) {
            let message = format!("a {} has no prefixes", datatype.name());
            return self.error(span, message);
        }
        let width = datatype.bits();
        if length > width {
            let message =
                format!("Prefix length {length} is invalid for type of {width} bits width");
            return self.error(span, message);
        }
        let value = self.constant(value, datatype)?;
        if length == width {
            return Ok(Pattern::Exact(value));
        }
        let prefix = Pattern::Prefix(value, length);
        let first = prefix.bounds(width).map_or(value, |(first, _)| first);
        Ok(Pattern::Prefix(first, length))
    }

    fn range(
        &mut self,
        first: &ast::Expr,
        last: &ast::Expr,
        datatype: DataType,
        width: u16,
        span: Span,
    ) -> Resolve<Pattern> {
        if datatype.is_bitmask() || matches!(datatype, DataType::IfName | DataType::Boolean) {
            return self.error(span, format!("a {} has no ranges", datatype.name()));
        }
        let first = self.constant(first, datatype)?;
        let last = self.constant(last, datatype)?;
        self.fits(&Pattern::Exact(first), width, span)?;
        self.fits(&Pattern::Exact(last), width, span)?;
        if first > last && datatype != DataType::Hour {
            return self.error(span, "Range has zero or negative size");
        }
        Ok(Pattern::Range(first, last))
    }
}

/// Width of the field itself, which may be less than its type's.
pub(super) fn field_bits(expr: &Expr) -> u16 {
    match expr {
        Expr::Field(field @ Field::Ct(CtField::Expiration, _)) => field.bits(),
        other => other.datatype().bits(),
    }
}

/// Types of which nft reads and prints `value/length`.
pub(in crate::rules) fn has_prefixes(datatype: DataType) -> bool {
    matches!(
        datatype,
        DataType::Ipv4Addr | DataType::Ipv6Addr | DataType::Mark
    )
}

/// `field & mask == wanted` as nft lists it: `field ! mask` and `field mask` where that says it all.
fn bits(field: Expr, op: Op, mask: u128, wanted: u128) -> (Expr, Op, Right) {
    let right = |value| Right::Patterns(vec![Pattern::Exact(value)]);
    match (op, wanted) {
        (Op::Eq, 0) => (field, Op::NoBit, right(mask)),
        (Op::Ne, 0) => (field, Op::AnyBit, right(mask)),
        _ => {
            let left = Expr::Bitwise {
                expr: Box::new(field),
                mask,
                flip: 0,
            };
            (left, op, right(wanted))
        }
    }
}

/// A comparison of a masked field, in the shortest form that says the same.
fn simplify(field: Expr, op: Op, mask: u128, wanted: u128) -> (Expr, Op, Right) {
    let datatype = field.datatype();
    let is_equality = matches!(op, Op::Eq | Op::Ne);
    if datatype.is_bitmask() && is_equality {
        return bits(field, op, mask, wanted);
    }
    let width = datatype.bits();
    let free = mask.trailing_zeros().min(width.into());
    let is_prefix = mask == datatype.max() & !low_bits(free);
    if has_prefixes(datatype) && is_equality && is_prefix && wanted & !mask == 0 && free > 0 {
        let length = width - u16::try_from(free).unwrap_or(width);
        let pattern = Pattern::Prefix(wanted, length);
        return (field, op, Right::Patterns(vec![pattern]));
    }
    let left = Expr::Bitwise {
        expr: Box::new(field),
        mask,
        flip: 0,
    };
    (left, op, Right::Patterns(vec![Pattern::Exact(wanted)]))
}

fn low_bits(count: u32) -> u128 {
    match count {
        128.. => u128::MAX,
        count => (1 << count) - 1,
    }
}
