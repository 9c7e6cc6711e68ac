//! Expressions and matches.

use super::{DataType, Field, Pattern, SetId};

/// Something with a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expr {
    /// A field of the packet, its flow or its environment.
    Field(Field),
    /// A number.
    Constant(u128, DataType),
    /// `(expr & mask) ^ flip`: how nftables computes every `&`, `|` and `^` with constants.
    Bitwise {
        /// What is masked.
        expr: Box<Expr>,
        /// Bits that stay.
        mask: u128,
        /// Bits that are then inverted.
        flip: u128,
    },
    /// `expr << by` (`left`) or `expr >> by`.
    Shift {
        /// What is shifted.
        expr: Box<Expr>,
        /// Towards the most significant bit.
        left: bool,
        /// How far.
        by: u8,
    },
    /// `ip saddr . tcp dport`: only as the key of a set or map, or compared with as many patterns.
    Concat(Vec<Expr>),
    /// `ip saddr map @m`: the data of the element that matches. Where none does, the rule ends
    /// there, as at a match that fails.
    Map {
        /// What is looked up.
        key: Box<Expr>,
        /// Where: its data are values.
        map: SetId,
    },
}

impl Expr {
    /// Type of its value; of a concatenation, of the first component.
    #[must_use]
    pub fn datatype(&self) -> DataType {
        match self {
            Self::Field(field) => field.datatype(),
            Self::Constant(_, datatype) => *datatype,
            Self::Bitwise { expr, .. } | Self::Shift { expr, .. } => expr.datatype(),
            Self::Concat(parts) => parts.first().map_or(DataType::Integer(32), Self::datatype),
            Self::Map { key, .. } => key.datatype(),
        }
    }

    /// The components of a concatenation; any other expression is its only one.
    #[must_use]
    pub fn parts(&self) -> &[Expr] {
        match self {
            Self::Concat(parts) => parts,
            other => std::slice::from_ref(other),
        }
    }
}

/// A comparison. If it does not hold (or the field is not there: `tcp dport` of a UDP packet, a
/// port of a later fragment), the rule ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Match {
    /// What is compared.
    pub left: Expr,
    /// How.
    pub op: Op,
    /// With what.
    pub right: Right,
    /// nftables adds it by itself because the next match needs it; it is not printed.
    pub implied: bool,
}

/// How a match compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Equal, in the range, in the set.
    Eq,
    /// Not equal, not in the range, not in the set.
    Ne,
    /// Less.
    Lt,
    /// Greater.
    Gt,
    /// Less or equal.
    Le,
    /// Greater or equal.
    Ge,
    /// At least one of the bits is set: `ct state established,related`, `tcp flags syn`.
    AnyBit,
    /// None of the bits is set: `tcp flags ! syn`. (`ct state != established` is [`Op::Ne`].)
    NoBit,
}

/// The right side of a match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// One pattern for each component of the left side.
    Patterns(Vec<Pattern>),
    /// A set, named or anonymous. Only with [`Op::Eq`] and [`Op::Ne`].
    Set(SetId),
}
