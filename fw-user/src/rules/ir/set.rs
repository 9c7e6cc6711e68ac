//! Sets, maps and verdict maps.

use std::time::Duration;

use super::{CounterId, DataType, Expr, LimitId, Pattern, QuotaId, Stateful, Verdict};

/// Position in [`Table::sets`](super::Table::sets).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(pub usize);

/// A set, or with [`Set::data`] a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    /// Its name; none for one that stands in a rule (`{ 22, 80 }`).
    pub name: Option<String>,
    /// Unique within the table; 0 for an anonymous set.
    pub handle: u64,
    /// Type of each component of the key.
    pub key: Vec<DataType>,
    /// What `typeof` named instead of types, one for each component.
    pub key_typeof: Option<Vec<Expr>>,
    /// What a map maps to; none for a set.
    pub data: Option<DataKind>,
    /// What `typeof` named after the colon.
    pub data_typeof: Option<Expr>,
    /// `flags …`.
    pub flags: SetFlags,
    /// Lifetime of elements that don't say theirs.
    pub timeout: Option<Duration>,
    /// `gc-interval`.
    pub gc_interval: Option<Duration>,
    /// Declared by the rule that uses it: `meter NAME { … }`.
    pub meter: bool,
    /// `size`: most elements at a time.
    pub size: Option<u32>,
    /// `auto-merge`: ranges that overlap or touch become one.
    pub auto_merge: bool,
    /// Statements that every new element gets a copy of: `counter`, `limit …`, `ct count …`.
    pub statements: Vec<Stateful>,
    /// `comment "…"`.
    pub comment: Option<String>,
    /// What is in it at load.
    pub elements: Vec<Element>,
}

/// `flags` of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SetFlags {
    /// Elements may be ranges and prefixes.
    pub interval: bool,
    /// Elements may expire.
    pub timeout: bool,
    /// Elements don't change while rules use it.
    pub constant: bool,
    /// Rules add elements.
    pub dynamic: bool,
}

/// What a map maps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataKind {
    /// Verdicts.
    Verdict,
    /// Values of that type.
    Value(DataType),
    /// Named counters.
    Counter,
    /// Named limits.
    Limit,
    /// Named quotas.
    Quota,
}

/// One element.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// What it matches.
    pub key: ElementKey,
    /// What a map maps it to.
    pub data: Option<Data>,
    /// What few elements have.
    pub extras: Option<Box<Extras>>,
}

/// The key of an element.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ElementKey {
    /// Of a set whose key is one value.
    One(Pattern),
    /// Of a set whose key is a concatenation: one pattern a component.
    Concat(Box<[Pattern]>),
    /// `*`: what no other element matches.
    Any,
}

impl ElementKey {
    /// The patterns, one a component; none for [`ElementKey::Any`].
    #[must_use]
    pub fn patterns(&self) -> &[Pattern] {
        match self {
            Self::One(pattern) => std::slice::from_ref(pattern),
            Self::Concat(patterns) => patterns,
            Self::Any => &[],
        }
    }
}

/// What an element of a map stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Data {
    /// A verdict.
    Verdict(Verdict),
    /// A value.
    Value(Pattern),
    /// A named counter.
    Counter(CounterId),
    /// A named limit.
    Limit(LimitId),
    /// A named quota.
    Quota(QuotaId),
}

/// What an element may have besides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extras {
    /// Its lifetime, if not the set's.
    pub timeout: Option<Duration>,
    /// What is left of its lifetime.
    pub expires: Option<Duration>,
    /// `comment "…"`.
    pub comment: Option<String>,
    /// Its own `counter packets … bytes …` and the like.
    pub statements: Vec<Stateful>,
}
