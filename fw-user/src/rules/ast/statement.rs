//! Rules and what they are made of.

use std::rc::Rc;
use std::time::Duration;

use super::{Expr, Name, Relation};
use crate::rules::ir::{Limit, LogFlags, LogLevel, Quota, Stateful, UpdateOp};
use crate::rules::span::Span;

/// A verdict.
#[derive(Clone, Debug)]
pub(in crate::rules) enum Verdict {
    Accept,
    Drop,
    Return,
    Continue,
    Jump(Target),
    Goto(Target),
}

/// Where a jump leads.
#[derive(Clone, Debug)]
pub(in crate::rules) enum Target {
    /// A chain by its name.
    Chain(Name),
    /// `{ … }`: a chain without a name.
    Block(Rc<Vec<Rule>>),
}

/// One rule.
#[derive(Clone, Debug)]
pub(in crate::rules) struct Rule {
    /// The whole of it.
    pub(in crate::rules) span: Span,
    /// From left to right.
    pub(in crate::rules) statements: Vec<Statement>,
    /// `comment "…"`.
    pub(in crate::rules) comment: Option<String>,
}

/// One statement.
#[derive(Clone, Debug)]
pub(in crate::rules) struct Statement {
    /// What it does.
    pub(in crate::rules) kind: StatementKind,
    /// Where it stands.
    pub(in crate::rules) span: Span,
}

/// A rule's own object or a named one.
#[derive(Clone, Debug)]
pub(in crate::rules) enum ObjectRef<T> {
    /// Its own.
    Own(T),
    /// `name "x"`.
    Named(Name),
    /// `name EXPR map …`.
    Map(Expr),
}

/// What a statement does.
#[derive(Clone, Debug)]
pub(in crate::rules) enum StatementKind {
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
pub(in crate::rules) struct Update {
    /// What.
    pub(in crate::rules) op: UpdateOp,
    /// To which.
    pub(in crate::rules) set: Name,
    /// The element's key.
    pub(in crate::rules) key: Expr,
    /// The element's data.
    pub(in crate::rules) data: Option<Expr>,
    /// The element's lifetime.
    pub(in crate::rules) timeout: Option<Duration>,
    /// Kept for each element.
    pub(in crate::rules) statements: Vec<Stateful>,
}

/// `with …` of a reject.
#[derive(Clone, Debug)]
pub(in crate::rules) enum RejectWith {
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
pub(in crate::rules) struct Log {
    pub(in crate::rules) prefix: Option<String>,
    pub(in crate::rules) level: Option<(LogLevel, Span)>,
    pub(in crate::rules) flags: LogFlags,
    pub(in crate::rules) group: Option<(u16, Span)>,
    pub(in crate::rules) snaplen: Option<u32>,
    pub(in crate::rules) queue_threshold: Option<u16>,
}
