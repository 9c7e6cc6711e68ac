//! A ruleset as it was written: names are names, and a value is text until the left side of its
//! comparison says what it can be.

use std::rc::Rc;
use std::time::Duration;

use super::ir::{CtField, Direction, Family, Field, Limit, LogFlags, LogLevel, Quota, Stateful};
use super::span::Span;

/// A name and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The name.
    pub(super) text: String,
    /// Where it stands.
    pub(super) span: Span,
}

/// Something with a value.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    /// What it is.
    pub(super) kind: ExprKind,
    /// Where it stands.
    pub(super) span: Span,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub(super) enum ExprKind {
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
pub(super) enum Binary {
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}

/// Operators between a field and what it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
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
pub(super) struct Element {
    /// What it matches.
    pub(super) key: Expr,
    /// What a map maps it to.
    pub(super) data: Option<MapData>,
    /// What few have.
    pub(super) extras: Option<Box<Extras>>,
}

/// What a map maps to.
#[derive(Clone, Debug)]
pub(super) enum MapData {
    /// A verdict.
    Verdict(Verdict),
    /// A value, or a quoted object's name.
    Value(Expr),
}

/// What an element may have besides.
#[derive(Clone, Debug, Default)]
pub(super) struct Extras {
    /// `timeout …`.
    pub(super) timeout: Option<Duration>,
    /// `expires …`.
    pub(super) expires: Option<Duration>,
    /// `comment "…"`.
    pub(super) comment: Option<String>,
    /// `counter …` and the like.
    pub(super) statements: Vec<Stateful>,
}

/// A verdict.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    Accept,
    Drop,
    Return,
    Continue,
    Jump(Target),
    Goto(Target),
}

/// Where a jump leads.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// A chain by its name.
    Chain(Name),
    /// `{ … }`: a chain without a name.
    Block(Rc<Vec<Rule>>),
}

/// One rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// The whole of it.
    pub(super) span: Span,
    /// From left to right.
    pub(super) statements: Vec<Statement>,
    /// `comment "…"`.
    pub(super) comment: Option<String>,
}

/// One statement.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// What it does.
    pub(super) kind: StatementKind,
    /// Where it stands.
    pub(super) span: Span,
}

/// A rule's own object or a named one.
#[derive(Clone, Debug)]
pub(super) enum ObjectRef<T> {
    /// Its own.
    Own(T),
    /// `name "x"`.
    Named(Name),
    /// `name EXPR map …`.
    Map(Expr),
}

/// What a statement does.
#[derive(Clone, Debug)]
pub(super) enum StatementKind {
    /// `left relation right`.
    Match(Expr, Option<Relation>, Expr),
    /// A verdict.
    Verdict(Verdict),
    /// `key vmap …`.
    VerdictMap(Expr, Expr),
    /// `reject [with …]`.
    Reject(Option<RejectWith>),
    /// `counter …`: packets and bytes.
    Counter(ObjectRef<(u64, u64)>),
    /// `limit …`.
    Limit(ObjectRef<Limit>),
    /// `quota …`.
    Quota(ObjectRef<Quota>),
    /// `ct count …`.
    CtCount(Stateful),
    /// `log …`.
    Log(Log),
    /// `notrack`.
    Notrack,
    /// `ct mark set …`.
    SetCtMark(Expr),
    /// `meta mark set …`.
    SetMark(Expr),
    /// `add|update|delete @set { … }`.
    Update(Update),
    /// `meter NAME { … }`: the set is made on the way.
    Meter {
        /// The set's name.
        name: Name,
        /// Its size.
        size: Option<u32>,
        /// The element.
        update: Update,
    },
    /// `flow add @…`.
    Flow(Name),
}

/// What is done to a set.
#[derive(Clone, Debug)]
pub(super) struct Update {
    /// What.
    pub(super) op: super::ir::UpdateOp,
    /// To which.
    pub(super) set: Name,
    /// The element's key.
    pub(super) key: Expr,
    /// The element's data.
    pub(super) data: Option<Expr>,
    /// The element's lifetime.
    pub(super) timeout: Option<Duration>,
    /// Kept for each element.
    pub(super) statements: Vec<Stateful>,
}

/// `with …` of a reject.
#[derive(Clone, Debug)]
pub(super) enum RejectWith {
    /// `tcp reset`.
    TcpReset,
    /// `icmp CODE`.
    Icmp(Expr),
    /// `icmpv6 CODE`.
    Icmpv6(Expr),
    /// `icmpx CODE`.
    Icmpx(Expr),
}

/// `log …`.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    pub(super) prefix: Option<String>,
    pub(super) level: Option<(LogLevel, Span)>,
    pub(super) flags: LogFlags,
    pub(super) group: Option<(u16, Span)>,
    pub(super) snaplen: Option<u32>,
    pub(super) queue_threshold: Option<u16>,
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
    pub(super) policy: Option<(super::ir::Policy, Span)>,
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
