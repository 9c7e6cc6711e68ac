//! Left sides: fields, masks and shifts of them, concatenations, maps.

use super::known::Rule;
use super::{Resolve, Resolver};
use crate::rules::ast::{self, Binary, ExprKind};
use crate::rules::diag::Diagnostic;
use crate::rules::ir::{
    CtField, DataKind, DataType, Direction, Expr, Family, Field, Pattern, SetId,
};
use crate::rules::span::Span;
use crate::rules::value;

/// Components of a concatenation: nft has 16 registers of 4 bytes, and so have we.
const MOST_BYTES: u16 = 64;

impl Resolver<'_> {
    /// What stands on the left of a comparison, with what it needs.
    pub(super) fn left(&mut self, rule: &mut Rule, expr: &ast::Expr) -> Resolve<Expr> {
        match &expr.kind {
            ExprKind::Field(field) => {
                self.need(rule, *field, expr.span)?;
                Ok(Expr::Field(*field))
            }
            ExprKind::CtAddress(field, direction) => {
                let field = self.ct_address(rule, *field, *direction, expr.span)?;
                self.need(rule, field, expr.span)?;
                Ok(Expr::Field(field))
            }
            ExprKind::Binary(operator, left, right) => {
                let left = self.left(rule, left)?;
                self.operation(*operator, left, right, expr.span)
            }
            ExprKind::Concat(parts) => {
                let mut resolved = Vec::new();
                for part in parts {
                    resolved.push(self.left(rule, part)?);
                }
                self.check_width(&resolved, expr.span)?;
                Ok(Expr::Concat(resolved))
            }
            ExprKind::Shared(inner) => self.left(rule, inner),
            _ => self.error(expr.span, "a field of the packet is expected here"),
        }
    }

    fn check_width(&mut self, parts: &[Expr], span: Span) -> Resolve<()> {
        let bytes: u16 = parts.iter().map(|part| slot(part.datatype())).sum();
        if bytes > MOST_BYTES {
            return self.error(
                span,
                format!("a concatenation of {bytes} bytes: 64 at most"),
            );
        }
        Ok(())
    }

    /// `ct original saddr`: of the family that the rule is about.
    fn ct_address(
        &mut self,
        rule: &Rule,
        field: CtField,
        direction: Direction,
        span: Span,
    ) -> Resolve<Field> {
        use super::known::Network;
        let is_source = field == CtField::IpSaddr;
        let field = match (rule.deps.network(), is_source) {
            (Some(Network::Ip), true) => CtField::IpSaddr,
            (Some(Network::Ip), false) => CtField::IpDaddr,
            (Some(Network::Ip6), true) => CtField::Ip6Saddr,
            (Some(Network::Ip6), false) => CtField::Ip6Daddr,
            (None, _) => {
                let name = if is_source { "saddr" } else { "daddr" };
                let message = Diagnostic::error(span, "cannot determine ip protocol version")
                    .help(format!("use \"ip {name}\" or \"ip6 {name}\" instead"));
                return self.fail(message);
            }
        };
        Ok(Field::Ct(field, Some(direction)))
    }

    /// `left & constant` and the like.
    fn operation(
        &mut self,
        operator: Binary,
        left: Expr,
        right: &ast::Expr,
        span: Span,
    ) -> Resolve<Expr> {
        let datatype = left.datatype();
        if let Expr::Constant(value, _) = left {
            let right = self.constant(right, datatype)?;
            return Ok(Expr::Constant(calculate(operator, value, right), datatype));
        }
        if datatype == DataType::IfName || !datatype.bits().is_multiple_of(8) {
            let message = Diagnostic::error(span, format!("a {} can't be masked", datatype.name()))
                .help("compare it with values, a range or a set");
            return self.fail(message);
        }
        let by = match operator {
            Binary::ShiftLeft | Binary::ShiftRight => DataType::Integer(8),
            _ => datatype,
        };
        let by = self.constant(right, by)?;
        let all = datatype.max();
        match operator {
            Binary::And => Ok(bitwise(left, by, 0, all)),
            Binary::Or => Ok(bitwise(left, all & !by, by, all)),
            Binary::Xor => Ok(bitwise(left, all, by, all)),
            Binary::ShiftLeft | Binary::ShiftRight => {
                let Ok(by) = u8::try_from(by) else {
                    return self.error(right.span, "a shift by this many bits");
                };
                if u16::from(by) >= datatype.bits() {
                    return self.error(right.span, "a shift by this many bits leaves nothing");
                }
                Ok(Expr::Shift {
                    expr: Box::new(left),
                    left: operator == Binary::ShiftLeft,
                    by,
                })
            }
        }
    }

    /// What is shifted is a number: nft compares it with nothing else.
    pub(super) fn check_shift(&mut self, left: &Expr, span: Span) -> Resolve<()> {
        let shifted = match left {
            Expr::Bitwise { expr, .. } => expr,
            other => other,
        };
        let datatype = left.datatype();
        if !matches!(shifted, Expr::Shift { .. }) || matches!(datatype, DataType::Integer(_)) {
            return Ok(());
        }
        let message = format!(
            "datatype mismatch, expected {}, expression has type integer",
            datatype.name()
        );
        let message = Diagnostic::error(span, message)
            .help("compare the field itself with values, a range, or `field & mask`");
        self.fail(message)
    }

    /// A number that is known now.
    pub(super) fn constant(&mut self, expr: &ast::Expr, datatype: DataType) -> Resolve<u128> {
        match &expr.kind {
            ExprKind::Shared(inner) => self.constant(inner, datatype),
            ExprKind::Symbol { .. } => {
                let parsed = value::parse(datatype, self.text(expr.span));
                match parsed {
                    Ok(Pattern::Exact(value)) => Ok(value),
                    Ok(_) => self.error(expr.span, "a number is expected here"),
                    Err(bad) => {
                        self.fail(Diagnostic::error(expr.span, bad.message).maybe_help(bad.help))
                    }
                }
            }
            ExprKind::Binary(operator, left, right) => {
                let left = self.constant(left, datatype)?;
                let right = self.constant(right, datatype)?;
                let value = calculate(*operator, left, right);
                if value > datatype.max() {
                    return self.error(expr.span, "this does not fit the field");
                }
                Ok(value)
            }
            ExprKind::List(items) if datatype.is_bitmask() => {
                let mut bits = 0;
                for item in items {
                    bits |= self.constant(item, datatype)?;
                }
                Ok(bits)
            }
            ExprKind::Field(_) | ExprKind::CtAddress(..) => {
                let message = Diagnostic::error(expr.span, "this must be constant")
                    .label("two fields of a packet can't be combined");
                self.fail(message)
            }
            _ => {
                let what = datatype.name();
                self.error(
                    expr.span,
                    format!("a single value of type {what} is expected"),
                )
            }
        }
    }

    /// What a mark is set to.
    pub(super) fn new_value(
        &mut self,
        rule: &mut Rule,
        expr: &ast::Expr,
        datatype: DataType,
    ) -> Resolve<Expr> {
        let resolved = match &expr.kind {
            ExprKind::Shared(inner) => return self.new_value(rule, inner, datatype),
            ExprKind::Map(key, map) => return self.map_value(rule, key, map, datatype),
            ExprKind::Field(_) | ExprKind::Binary(..) if has_field(expr) => {
                self.left(rule, expr)?
            }
            _ => Expr::Constant(self.constant(expr, datatype)?, datatype),
        };
        if resolved.datatype() != datatype {
            let found = resolved.datatype().name();
            let message = format!(
                "datatype mismatch: expected {}, expression has type {found}",
                datatype.name()
            );
            return self.error(expr.span, message);
        }
        Ok(resolved)
    }

    fn map_value(
        &mut self,
        rule: &mut Rule,
        key: &ast::Expr,
        map: &ast::Expr,
        datatype: DataType,
    ) -> Resolve<Expr> {
        let left = self.left(rule, key)?;
        let map = self.map_for(rule.table, &left, map, DataKind::Value(datatype))?;
        Ok(Expr::Map {
            key: Box::new(left),
            map,
        })
    }

    /// The map behind `map` and `vmap`, checked against its key and what it has to give.
    pub(super) fn map_for(
        &mut self,
        table: usize,
        key: &Expr,
        map: &ast::Expr,
        data: DataKind,
    ) -> Resolve<SetId> {
        let types: Vec<DataType> = key.parts().iter().map(Expr::datatype).collect();
        let inner = crate::rules::parse::innermost(map);
        match &inner.kind {
            ExprKind::SetRef(name) => {
                let id = self.set(table, name)?;
                self.check_set_key(table, id, &types, map.span)?;
                let found = self.drafts[table].table.sets[id.0].data;
                if found != Some(data) {
                    let message = match found {
                        None => format!("`{}` is a set, not a map", name.text),
                        Some(_) => format!("`{}` maps to something else", name.text),
                    };
                    return self.error(map.span, message);
                }
                Ok(id)
            }
            ExprKind::Set(elements) => {
                self.anonymous_set(table, &types, Some(data), elements, inner.span)
            }
            _ => self.error(
                map.span,
                "a map is expected here: `{ key : value, … }` or `@name`",
            ),
        }
    }

    /// The types of a set that is declared by `typeof`.
    pub(super) fn typeof_exprs(&mut self, table: usize, expr: &ast::Expr) -> Resolve<Vec<Expr>> {
        // Their needs are those of the rules that use the set.
        let family = self.drafts[table].table.family;
        let mut rule = Rule::new(table, family);
        let parts = match &expr.kind {
            ExprKind::Concat(parts) => parts.as_slice(),
            _ => std::slice::from_ref(expr),
        };
        let mut resolved = Vec::new();
        for part in parts {
            if let ExprKind::CtAddress(..) | ExprKind::Binary(..) = part.kind {
                return self.error(part.span, "this has no type of its own");
            }
            rule.forget();
            let is_ct_port = matches!(
                part.kind,
                ExprKind::Field(Field::Ct(CtField::ProtoSrc | CtField::ProtoDst, _))
            );
            if let (true, ExprKind::Field(field)) = (is_ct_port, &part.kind) {
                resolved.push(Expr::Field(*field));
                continue;
            }
            resolved.push(self.left(&mut rule, part)?);
        }
        self.check_width(&resolved, expr.span)?;
        Ok(resolved)
    }
}

impl Rule {
    /// A rule with nothing in it.
    pub(super) fn new(table: usize, family: Family) -> Self {
        Self {
            table,
            deps: super::known::Deps::new(family),
            statements: Vec::new(),
        }
    }

    /// Begins anew.
    fn forget(&mut self) {
        *self = Self::new(self.table, self.deps.family);
    }
}

/// Bytes that a component takes: whole registers.
fn slot(datatype: DataType) -> u16 {
    datatype.bits().div_ceil(32) * 4
}

fn has_field(expr: &ast::Expr) -> bool {
    match &expr.kind {
        ExprKind::Field(_) | ExprKind::CtAddress(..) => true,
        ExprKind::Binary(_, left, right) => has_field(left) || has_field(right),
        ExprKind::Shared(inner) => has_field(inner),
        _ => false,
    }
}

fn calculate(operator: Binary, left: u128, right: u128) -> u128 {
    let by = u32::try_from(right).unwrap_or(u32::MAX);
    match operator {
        Binary::And => left & right,
        Binary::Or => left | right,
        Binary::Xor => left ^ right,
        Binary::ShiftLeft => left.checked_shl(by).unwrap_or(0),
        Binary::ShiftRight => left.checked_shr(by).unwrap_or(0),
    }
}

/// `(expr & mask) ^ flip`, folded into one with what `expr` itself does.
fn bitwise(expr: Expr, mask: u128, flip: u128, all: u128) -> Expr {
    match expr {
        Expr::Bitwise {
            expr,
            mask: inner,
            flip: before,
        } => Expr::Bitwise {
            expr,
            mask: inner & mask,
            flip: ((before & mask) ^ flip) & all,
        },
        other => Expr::Bitwise {
            expr: Box::new(other),
            mask,
            flip,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::ir::Meta;

    #[test]
    fn masks_fold_as_nft_folds_them() {
        let mark = Expr::Field(Field::Meta(Meta::Mark));
        let all = u128::from(u32::MAX);
        // mark and 0xff or 0x10
        let masked = bitwise(bitwise(mark.clone(), 0xff, 0, all), all & !0x10, 0x10, all);
        let Expr::Bitwise { mask, flip, .. } = masked else {
            panic!("{masked:?}");
        };
        assert_eq!((mask, flip), (0xef, 0x10));
    }
}
