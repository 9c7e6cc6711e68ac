//! Values, fields, and what sets are made of.

use std::rc::Rc;
use std::time::Duration;

use super::{Name, Verdict};
use crate::rules::ir::{CtField, Direction, Field, Stateful};
use crate::rules::span::Span;

/// Something with a value.
#[derive(Clone, Debug)]
pub(in crate::rules) struct Expr {
    /// What it is.
    pub(in crate::rules) kind: ExprKind,
    /// Where it stands.
    pub(in crate::rules) span: Span,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub(in crate::rules) enum ExprKind {
    /// A word, number or address, quoted or not; its text is what stands at the span.
    Symbol {
        /// Whether there are quotes.
        quoted: bool,
    },
    /// A word that ends in `*`.
    Wildcard,
    /// `*`.
    Any,
    /// A field.
    Field(Field),
    /// A field of the flow whose family the other side has to tell: `ct original saddr`.
    CtAddress(CtField, Direction),
    /// `value/length`.
    Prefix(Box<Expr>, u16),
    /// `first-last`.
    Range(Box<Expr>, Box<Expr>),
    /// `a . b`.
    Concat(Vec<Expr>),
    /// `a,b`.
    List(Vec<Expr>),
    /// `value / mask`.
    Masked(Box<Expr>, Box<Expr>),
    /// `a & b` and the like.
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// `{ … }`.
    Set(Vec<Element>),
    /// `@name`.
    SetRef(Name),
    /// `key map …`.
    Map(Box<Expr>, Box<Expr>),
    /// What a variable stands for.
    Shared(Rc<Expr>),
}

/// Operators between values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Binary {
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}

/// Operators between a field and what it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Relation {
    Eq,
    Ne,
    Lt,
    Gt,
    Le,
    Ge,
    /// `!`: none of the bits.
    Not,
}

/// An element of a set or map.
#[derive(Clone, Debug)]
pub(in crate::rules) struct Element {
    /// What it matches.
    pub(in crate::rules) key: Expr,
    /// What a map maps it to.
    pub(in crate::rules) data: Option<MapData>,
    /// What few have.
    pub(in crate::rules) extras: Option<Box<Extras>>,
}

/// What a map maps to.
#[derive(Clone, Debug)]
pub(in crate::rules) enum MapData {
    /// A verdict.
    Verdict(Verdict),
    /// A value, or a quoted object's name.
    Value(Expr),
}

/// What an element may have besides.
#[derive(Clone, Debug, Default)]
pub(in crate::rules) struct Extras {
    /// `timeout …`.
    pub(in crate::rules) timeout: Option<Duration>,
    /// `expires …`.
    pub(in crate::rules) expires: Option<Duration>,
    /// `comment "…"`.
    pub(in crate::rules) comment: Option<String>,
    /// `counter …` and the like.
    pub(in crate::rules) statements: Vec<Stateful>,
}
