//! Statements: what a rule does.

use std::time::Duration;

use super::{ChainId, CounterId, Expr, FlowtableId, Limit, LimitId, Match, Quota, QuotaId, SetId};

/// One statement of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// The rule goes on only if this holds.
    Match(Match),
    /// Ends the rule.
    Verdict(Verdict),
    /// `EXPR vmap …`: the verdict of the element that matches. Where none does, the rule ends.
    VerdictMap {
        /// What is looked up.
        key: Expr,
        /// A map whose data are verdicts.
        map: SetId,
    },
    /// Drops the packet and answers it.
    Reject(Reject),
    /// Counts and goes on.
    Counter(CounterRef),
    /// The rule goes on only within (or over) the rate.
    Limit(ObjectRef<Limit, LimitId>),
    /// The rule goes on only within (or over) the amount.
    Quota(ObjectRef<Quota, QuotaId>),
    /// `ct count [over] N`: the rule goes on while the connections of this rule (in a dynamic set:
    /// of this element) are at most (over: more than) N.
    CtCount(Stateful),
    /// Writes a line and goes on.
    Log(Log),
    /// The packet is not tracked. Only before connection tracking.
    Notrack,
    /// `ct mark set …`.
    SetCtMark(Expr),
    /// `meta mark set …`.
    SetMark(Expr),
    /// `add|update|delete @set { key … }`.
    SetUpdate {
        /// What is done.
        op: UpdateOp,
        /// To which set.
        set: SetId,
        /// The element's key.
        key: Expr,
        /// The element's data, for a map.
        data: Option<Expr>,
        /// The element's lifetime, if not the set's.
        timeout: Option<Duration>,
        /// Kept for each element; the rule goes on only if each of them matches.
        statements: Vec<Stateful>,
    },
    /// `flow add @ft`: the flow takes the short cut from now on.
    FlowOffload(FlowtableId),
}

/// The end of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Ends this base chain; those after it still see the packet.
    Accept,
    /// The end of the packet.
    Drop,
    /// Goes on in that chain, and comes back at its end.
    Jump(ChainId),
    /// Goes on in that chain, and does not come back here.
    Goto(ChainId),
    /// Back to where this chain was jumped to; in a base chain, the policy.
    Return,
    /// The next rule.
    Continue,
}

/// How a packet is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reject {
    /// `with tcp reset`.
    TcpReset,
    /// `with icmp …`: a destination unreachable of that code, for IPv4.
    Icmp(u8),
    /// `with icmpv6 …`: the same for IPv6.
    Icmpv6(u8),
    /// `with icmpx …`, and a bare `reject` in an `inet` table: nftables' abstract codes
    /// 0 no-route, 1 port-unreachable, 2 host-unreachable, 3 admin-prohibited.
    Icmpx(u8),
}

/// Which counter.
#[derive(Clone, Debug, PartialEq)]
pub enum CounterRef {
    /// The rule's own, with its start values.
    Own {
        /// Packets.
        packets: u64,
        /// Bytes.
        bytes: u64,
    },
    /// A named one.
    Named(CounterId),
    /// The named one that a map says: `counter name tcp dport map @m`.
    Map {
        /// What is looked up.
        key: Expr,
        /// A map whose data are counters.
        map: SetId,
    },
}

/// Which limit or quota.
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectRef<T, Id> {
    /// The rule's own.
    Own(T),
    /// A named one.
    Named(Id),
    /// The named one that a map says.
    Map {
        /// What is looked up.
        key: Expr,
        /// A map whose data are such objects.
        map: SetId,
    },
}

/// A statement with a state of its own, which set elements can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stateful {
    /// Counts.
    Counter {
        /// Packets at the start.
        packets: u64,
        /// Bytes at the start.
        bytes: u64,
    },
    /// A bucket.
    Limit(Limit),
    /// An amount.
    Quota(Quota),
    /// Connections.
    CtCount {
        /// Matches what exceeds the number, instead of what keeps to it.
        over: bool,
        /// How many.
        count: u32,
    },
}

/// What a rule does to a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpdateOp {
    /// Inserts; an element that is there keeps its lifetime.
    Add,
    /// Inserts; an element that is there lives anew.
    Update,
    /// Removes.
    Delete,
}

/// `log …`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// What the line begins with.
    pub prefix: Option<String>,
    /// Severity; nftables' default is warn.
    pub level: Option<LogLevel>,
    /// What is written besides.
    pub flags: LogFlags,
    /// Listener's number; excludes level and flags.
    pub group: Option<u16>,
    /// Bytes of the packet for the listener.
    pub snaplen: Option<u32>,
    /// Packets to gather for the listener.
    pub queue_threshold: Option<u16>,
}

/// Severity of a log line: syslog's, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "syslog's own names")]
pub enum LogLevel {
    Emerg,
    Alert,
    Crit,
    Err,
    Warn,
    Notice,
    Info,
    Debug,
    /// To the audit log instead.
    Audit,
}

impl LogLevel {
    /// All of them with nftables' words.
    pub const NAMES: [(&'static str, Self); 9] = [
        ("emerg", Self::Emerg),
        ("alert", Self::Alert),
        ("crit", Self::Crit),
        ("err", Self::Err),
        ("warn", Self::Warn),
        ("notice", Self::Notice),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("audit", Self::Audit),
    ];
}

/// What a log line says besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LogFlags {
    /// Sequence numbers of TCP.
    pub tcp_sequence: bool,
    /// Options of TCP.
    pub tcp_options: bool,
    /// Options of IP.
    pub ip_options: bool,
    /// The sending process's user.
    pub skuid: bool,
    /// The link layer's header.
    pub ether: bool,
}
