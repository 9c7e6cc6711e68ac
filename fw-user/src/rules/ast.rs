//! A ruleset as it was written: names are names, and a value is text until the left side of its
//! comparison says what it can be.

use std::time::Duration;

use super::ir::{Family, Limit, Policy, Quota, Stateful};
use super::span::Span;

mod expr;
mod statement;

pub(super) use expr::*;
pub(super) use statement::*;

/// A name and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The name.
    pub(super) text: String,
    /// Where it stands.
    pub(super) span: Span,
}

/// `family name` of a table.
#[derive(Clone, Debug)]
pub(super) struct TableRef {
    /// The family; `ip` if none is written.
    pub(super) family: Family,
    /// The table's name.
    pub(super) name: Name,
}

/// `chain NAME { … }`.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// Its name.
    pub(super) name: Name,
    /// `type … hook …`.
    pub(super) hook: Option<HookSpec>,
    /// `policy …`.
    pub(super) policy: Option<(Policy, Span)>,
    /// `comment "…"`.
    pub(super) comment: Option<String>,
    /// The rules.
    pub(super) rules: Vec<Rule>,
}

/// `type T hook H [device D] priority P`.
#[derive(Clone, Debug)]
pub(super) struct HookSpec {
    /// The whole of it.
    pub(super) span: Span,
    /// `filter`, `nat`, `route`.
    pub(super) kind: Name,
    /// The hook's name.
    pub(super) hook: Name,
    /// Devices.
    pub(super) devices: Vec<Name>,
    /// The priority's name, if it has one.
    pub(super) priority_name: Option<Name>,
    /// The number, or what is added to the name.
    pub(super) priority: i64,
    /// Where the priority stands.
    pub(super) priority_span: Span,
}

/// `set` and `map`.
#[derive(Clone, Debug)]
pub(super) struct Set {
    /// Its name.
    pub(super) name: Name,
    /// `map` instead of `set`.
    pub(super) is_map: bool,
    /// Key by types.
    pub(super) types: Option<Vec<Name>>,
    /// Key by expressions.
    pub(super) typeofs: Option<Expr>,
    /// Data of a map.
    pub(super) data: Option<DataSpec>,
    /// `flags …`.
    pub(super) flags: Vec<Name>,
    /// `timeout …`.
    pub(super) timeout: Option<Duration>,
    /// `gc-interval …`.
    pub(super) gc_interval: Option<Duration>,
    /// `size …`.
    pub(super) size: Option<u32>,
    /// `auto-merge`.
    pub(super) auto_merge: bool,
    /// `counter` and the like.
    pub(super) statements: Vec<Stateful>,
    /// `comment "…"`.
    pub(super) comment: Option<String>,
    /// `elements = { … }`.
    pub(super) elements: Option<Expr>,
}

/// What follows the colon of a map's type.
#[derive(Clone, Debug)]
pub(super) enum DataSpec {
    /// A type, or `verdict`, `counter`, `limit`, `quota`.
    Type(Name),
    /// A field, by `typeof`.
    Typeof(Expr),
}

/// A named counter, limit, quota, or flowtable.
#[derive(Clone, Debug)]
pub(super) struct Object {
    /// Its name.
    pub(super) name: Name,
    /// `comment "…"`.
    pub(super) comment: Option<String>,
    /// What it is.
    pub(super) kind: ObjectKind,
}

/// What a named object is.
#[derive(Clone, Debug)]
pub(super) enum ObjectKind {
    /// Packets and bytes at the start.
    Counter(u64, u64),
    /// A limit.
    Limit(Limit),
    /// A quota.
    Quota(Quota),
    /// A flowtable.
    Flowtable {
        /// The priority's name, if it has one.
        priority_name: Option<Name>,
        /// The number, or what is added to the name.
        priority: i64,
        /// Interfaces.
        devices: Vec<Name>,
        /// `counter`.
        counter: bool,
        /// `flags offload`.
        offload: bool,
    },
}

/// `table FAMILY NAME { … }`.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// Which.
    pub(super) table: TableRef,
    /// `flags dormant`.
    pub(super) dormant: bool,
    /// `comment "…"`.
    pub(super) comment: Option<String>,
    /// Its chains.
    pub(super) chains: Vec<Chain>,
    /// Its sets and maps.
    pub(super) sets: Vec<Set>,
    /// Its objects.
    pub(super) objects: Vec<Object>,
}

/// What is deleted or flushed within a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    Chain,
    Set,
    Map,
    Meter,
    Counter,
    Limit,
    Quota,
    Flowtable,
}

/// Where a rule goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// To the end, or behind the rule of that index.
    Add(Option<(u64, Span)>),
    /// To the begin, or in front of the rule of that index.
    Insert(Option<(u64, Span)>),
}

/// One command. A `table … { … }` block is one, too.
#[derive(Clone, Debug)]
pub(super) enum Command {
    /// `table … { … }`, `add table …`; with `create`, it must be new.
    Table(Table, bool),
    /// `add chain …`.
    Chain(TableRef, Chain, bool),
    /// `add rule …`.
    Rule(TableRef, Name, Position, Rule),
    /// `add set …`, `add map …`.
    Set(TableRef, Set, bool),
    /// `add element …`.
    Elements(TableRef, Name, Expr, bool),
    /// `delete element …`.
    DeleteElements(TableRef, Name, Expr),
    /// `add counter …` and the like.
    Object(TableRef, Object, bool),
    /// `delete table …`; with `destroy` it may be missing.
    DeleteTable(TableRef, bool),
    /// `delete chain …` and the like.
    Delete(TableRef, Thing, Name, bool),
    /// `flush ruleset`.
    FlushRuleset(Option<Family>),
    /// `flush table …`.
    FlushTable(TableRef),
    /// `flush chain …`.
    FlushChain(TableRef, Name),
    /// `flush set …`.
    FlushSet(TableRef, Name),
}
