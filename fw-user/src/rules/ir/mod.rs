//! The ruleset, resolved and typed: what the compiler reads and the printer writes.
//!
//! Nothing here is text that still has to be understood. Names have become ids, every value is a
//! number in its field's own width, and what nftables implies is said: `tcp dport 22` in an `inet`
//! table is two matches, `meta l4proto 6` (marked [`Match::implied`]) and `tcp dport 22`.
//!
//! **Numbers.** A value is the field's value as an unsigned number, most significant byte first in
//! the packet for [`Order::Network`], the machine's own for [`Order::Host`]. So ranges compare as
//! numbers, and an IPv4 address is `u32::from(addr)` widened. Interface names are the one kind of
//! value that is not a number ([`Pattern::Name`], [`Pattern::Wildcard`]).
//!
//! **Ids** are positions in the vectors of one [`Table`]; nftables' tables can't refer to each other.

mod chain;
mod datatype;
mod expr;
mod field;
mod header;
mod object;
mod options;
mod pattern;
mod set;
mod statement;

pub use chain::{BaseChain, Chain, ChainId, Hook, Policy, Rule, Source};
pub use datatype::{DataType, Order};
pub use expr::{Expr, Match, Op, Right};
pub use field::{CtField, Direction, FibKey, FibResult, Field, Meta};
pub use header::{Base, Header, Location, Protocol};
pub use object::{
    CounterId, CounterObject, Flowtable, FlowtableId, Limit, LimitId, LimitObject, LimitUnit,
    Quota, QuotaId, QuotaObject, TimeUnit,
};
pub use options::{ExtField, ExtHeader, TcpOption, TcpOptionField};
pub use pattern::Pattern;
pub use set::{Data, DataKind, Element, ElementKey, Extras, Set, SetFlags, SetId};
pub use statement::{
    CounterRef, Log, LogFlags, LogLevel, ObjectRef, Reject, Stateful, Statement, UpdateOp, Verdict,
};

use std::path::PathBuf;

/// A whole ruleset: what one `nft -f` would load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ruleset {
    /// The tables, in the order of their first mention.
    pub tables: Vec<Table>,
    /// The files that it came from; [`Source::file`] is a position in here.
    pub files: Vec<PathBuf>,
}

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Which packets its chains see.
    pub family: Family,
    /// Its name.
    pub name: String,
    /// `flags dormant`: its base chains are not registered, so they see nothing.
    pub dormant: bool,
    /// `comment "…"`.
    pub comment: Option<String>,
    /// Chains with and without a hook, anonymous ones too. See [`ChainId`].
    pub chains: Vec<Chain>,
    /// Sets, maps and verdict maps, anonymous ones too. See [`SetId`].
    pub sets: Vec<Set>,
    /// Named counters. See [`CounterId`].
    pub counters: Vec<CounterObject>,
    /// Named limits. See [`LimitId`].
    pub limits: Vec<LimitObject>,
    /// Named quotas. See [`QuotaId`].
    pub quotas: Vec<QuotaObject>,
    /// Flowtables. See [`FlowtableId`].
    pub flowtables: Vec<Flowtable>,
}

impl Table {
    /// A table with nothing in it.
    #[must_use]
    pub fn new(family: Family, name: impl Into<String>) -> Self {
        Self {
            family,
            name: name.into(),
            dormant: false,
            comment: None,
            chains: Vec::new(),
            sets: Vec::new(),
            counters: Vec::new(),
            limits: Vec::new(),
            quotas: Vec::new(),
            flowtables: Vec::new(),
        }
    }

    /// The chain of that id.
    ///
    /// # Panics
    /// If the id is of another table.
    #[must_use]
    pub fn chain(&self, id: ChainId) -> &Chain {
        &self.chains[id.0]
    }

    /// The set, map or verdict map of that id.
    ///
    /// # Panics
    /// If the id is of another table.
    #[must_use]
    pub fn set(&self, id: SetId) -> &Set {
        &self.sets[id.0]
    }
}

/// Which packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// IPv4 and IPv6.
    Inet,
    /// Every frame of a device, at its ingress.
    Netdev,
}

impl Family {
    /// nftables' word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Inet => "inet",
            Self::Netdev => "netdev",
        }
    }
}
