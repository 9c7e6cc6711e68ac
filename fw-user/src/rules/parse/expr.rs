//! Expressions: left sides, right sides, values.

use super::{Failed, Parse, Parser};
use crate::rules::ast::{Binary, Expr, ExprKind, Relation};
use crate::rules::diag::Diagnostic;
use crate::rules::lex::{Kind, Punct};
use crate::rules::refuse::Place;

/// Which operands an expression may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Fields and values.
    Left,
    /// Values only: `ip`, `tcp` and so on are names of protocols here.
    Right,
}

/// Operators from loose to tight.
const LEVELS: [&[(Punct, &str, Binary)]; 4] = [
    &[(Punct::Or, "or", Binary::Or)],
    &[(Punct::Xor, "xor", Binary::Xor)],
    &[(Punct::And, "and", Binary::And)],
    &[
        (Punct::ShiftLeft, "lshift", Binary::ShiftLeft),
        (Punct::ShiftRight, "rshift", Binary::ShiftRight),
    ],
];

impl Parser<'_> {
    /// The left side of a comparison, the key of a map, what a mark is set to.
    pub(super) fn left(&mut self) -> Parse<Expr> {
        self.concat(Side::Left)
    }

    /// The right side of a comparison.
    pub(super) fn right(&mut self) -> Parse<Expr> {
        if self.is(Punct::OpenBrace) || self.is(Punct::At) {
            return self.set_or_reference();
        }
        let first = self.list()?;
        if !self.take(Punct::Slash) {
            return Ok(first);
        }
        let mask = self.list()?;
        if !matches!(mask.kind, ExprKind::List(_)) {
            // nft reads no other.
            let message = Diagnostic::error(mask.span, "several bits are expected here")
                .help("of one bit, write `field & bit == value`");
            return self.fail(message);
        }
        let span = first.span.to(mask.span);
        let kind = ExprKind::Masked(Box::new(first), Box::new(mask));
        Ok(Expr { kind, span })
    }

    /// `{ … }`, `@name`, or a variable that stands for one.
    pub(super) fn set_or_reference(&mut self) -> Parse<Expr> {
        if self.is(Punct::At) {
            let at = self.advance().span;
            let name = self.identifier("a set's name")?;
            let span = at.to(name.span);
            let kind = ExprKind::SetRef(name);
            return Ok(Expr { kind, span });
        }
        if self.is(Punct::Dollar) {
            return self.variable();
        }
        if self.is(Punct::OpenBrace) {
            return self.set_literal();
        }
        self.unexpected("`{` or `@`")
    }

    /// What a variable is defined as.
    pub(super) fn definition_value(&mut self) -> Parse<Expr> {
        self.skip_newlines_before_brace();
        if self.is(Punct::Dash) {
            let dash = self.advance().span;
            let number = self.peek();
            if number.kind != Kind::Number {
                return self.unexpected("a number");
            }
            self.advance();
            let kind = ExprKind::Symbol { quoted: false };
            let span = dash.to(number.span);
            return Ok(Expr { kind, span });
        }
        self.right()
    }

    fn skip_newlines_before_brace(&mut self) {
        if self.peek().kind == Kind::Newline
            && self.peek_at(1).kind == Kind::Punct(Punct::OpenBrace)
        {
            self.skip_newlines();
        }
    }

    /// `a,b,c`, each a value.
    fn list(&mut self) -> Parse<Expr> {
        let first = self.value()?;
        if !self.is(Punct::Comma) {
            return Ok(first);
        }
        let mut span = first.span;
        let mut items = vec![first];
        while self.take(Punct::Comma) {
            let item = self.value()?;
            span = span.to(item.span);
            items.push(item);
        }
        let kind = ExprKind::List(items);
        Ok(Expr { kind, span })
    }

    /// A value of a set's element or of a comparison: a concatenation of ranges, prefixes, values.
    pub(super) fn value(&mut self) -> Parse<Expr> {
        self.concat(Side::Right)
    }

    fn concat(&mut self, side: Side) -> Parse<Expr> {
        let first = self.component(side)?;
        if !self.is(Punct::Dot) {
            return Ok(first);
        }
        let mut span = first.span;
        let mut parts = vec![first];
        while self.take(Punct::Dot) {
            let part = self.component(side)?;
            span = span.to(part.span);
            parts.push(part);
        }
        let kind = ExprKind::Concat(parts);
        Ok(Expr { kind, span })
    }

    fn component(&mut self, side: Side) -> Parse<Expr> {
        let first = self.nested(|parser| parser.binary(side, 0))?;
        if side == Side::Left {
            return Ok(first);
        }
        let is_prefix =
            self.is(Punct::Slash) && matches!(self.peek_at(1).kind, Kind::Number | Kind::Octal);
        if is_prefix {
            self.advance();
            let length = self.number("a prefix length")?;
            let span = first.span.to(self.last);
            let kind = ExprKind::Prefix(Box::new(first), length);
            return Ok(Expr { kind, span });
        }
        if self.take(Punct::Dash) {
            let last = self.nested(|parser| parser.binary(side, 0))?;
            let span = first.span.to(last.span);
            let kind = ExprKind::Range(Box::new(first), Box::new(last));
            return Ok(Expr { kind, span });
        }
        Ok(first)
    }

    fn binary(&mut self, side: Side, level: usize) -> Parse<Expr> {
        let Some(operators) = LEVELS.get(level) else {
            return self.primary(side);
        };
        let mut left = self.binary(side, level + 1)?;
        let mut count = 0;
        while let Some(operator) = self.operator(operators) {
            count += 1;
            if count > 64 {
                return self.fail(Diagnostic::error(self.last, "too many operators"));
            }
            let right = self.binary(side, level + 1)?;
            let span = left.span.to(right.span);
            let kind = ExprKind::Binary(operator, Box::new(left), Box::new(right));
            left = Expr { kind, span };
        }
        Ok(left)
    }

    fn operator(&mut self, operators: &[(Punct, &str, Binary)]) -> Option<Binary> {
        for (punct, word, operator) in operators {
            if self.take(*punct) || self.take_word(word) {
                return Some(*operator);
            }
        }
        None
    }

    fn primary(&mut self, side: Side) -> Parse<Expr> {
        if side == Side::Left {
            let start = self.peek().span;
            if let Some(kind) = self.field()? {
                let span = start.to(self.last);
                return Ok(Expr { kind, span });
            }
        }
        let token = self.peek();
        let kind = match token.kind {
            Kind::Word if super::words::is_no_value(self.text(token.span)) => {
                return self.unexpected("a value");
            }
            Kind::Word | Kind::Number | Kind::Address | Kind::Time => {
                ExprKind::Symbol { quoted: false }
            }
            Kind::Quoted => ExprKind::Symbol { quoted: true },
            Kind::Wildcard => ExprKind::Wildcard,
            Kind::Punct(Punct::Star) => ExprKind::Any,
            Kind::Punct(Punct::Dollar) => return self.variable(),
            Kind::Punct(Punct::OpenBrace) => return self.set_literal(),
            Kind::Punct(Punct::OpenParen) => return self.parenthesis(side),
            _ => return self.unexpected("a value"),
        };
        self.advance();
        Ok(Expr {
            kind,
            span: token.span,
        })
    }

    fn parenthesis(&mut self, side: Side) -> Parse<Expr> {
        let open = self.expect(Punct::OpenParen)?.span;
        let inner = self.nested(|parser| parser.binary(side, 0))?;
        let close = self.expect(Punct::CloseParen)?.span;
        Ok(Expr {
            kind: inner.kind,
            span: open.to(close),
        })
    }

    /// `==`, `!=`, `lt` and so on, if one stands here.
    pub(super) fn relation(&mut self) -> Option<Relation> {
        const RELATIONS: [(Punct, &str, Relation); 7] = [
            (Punct::EqEq, "eq", Relation::Eq),
            (Punct::NotEq, "ne", Relation::Ne),
            (Punct::Less, "lt", Relation::Lt),
            (Punct::Greater, "gt", Relation::Gt),
            (Punct::LessEq, "le", Relation::Le),
            (Punct::GreaterEq, "ge", Relation::Ge),
            (Punct::Not, "", Relation::Not),
        ];
        for (punct, word, relation) in RELATIONS {
            if self.take(punct) || (!word.is_empty() && self.take_word(word)) {
                return Some(relation);
            }
        }
        None
    }

    /// A left side that has to begin with a field; says what is not one.
    pub(super) fn matched(&mut self) -> Parse<Expr> {
        let token = self.peek();
        if token.kind == Kind::Word && !self.begins_rt_header() {
            self.refuse_word(Place::Statement)?;
        }
        let start = self.peek().span;
        let left = self.left()?;
        if has_field(&left) {
            return Ok(left);
        }
        let word = self.text(start).to_owned();
        let help = crate::rules::diag::did_you_mean(&word, super::statement::words());
        let message = Diagnostic::error(left.span, format!("syntax error, unexpected `{word}`"))
            .label("no statement begins so")
            .maybe_help(help);
        self.report.push(message);
        Err(Failed)
    }
}

/// Whether a field of the packet is part of it.
fn has_field(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Field(_) | ExprKind::CtAddress(..) => true,
        ExprKind::Concat(parts) => parts.iter().any(has_field),
        ExprKind::Binary(_, left, right) => has_field(left) || has_field(right),
        _ => false,
    }
}
