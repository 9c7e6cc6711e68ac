//! From the typed ruleset to instructions: [`fw_common::ruleset`] says what they mean.
//!
//! Nothing here touches the kernel. What only the running system knows, the index of an interface, is
//! asked through [`Lookup`].

mod asm;
mod chains;
mod classes;
mod conditions;
mod error;
mod expr;
mod fields;
mod group;
mod growing;
mod guard;
mod inline;
mod matches;
mod needs;
mod objects;
mod place;
mod prefix;
mod report;
mod sets;
mod statements;
mod updates;

use fw_common::ruleset::seek::BLOCK;
use fw_common::ruleset::{Entry, Insn, Rate};

use super::failsafe::Failsafe;
use super::ir::{ChainId, Ruleset, SetId, Source};

pub use error::CompileError;
pub(super) use prefix::keys as prefixes;
pub use report::compile_reported;
pub use sets::{CompiledSet, Digest, Entry as SetEntry};

/// What the compiler asks of the running system.
pub trait Lookup {
    /// Index of an interface.
    fn ifindex(&self, name: &str) -> Option<u32>;
    /// Ticks a second.
    fn hz(&self) -> u32;
    /// Ports that no ruleset closes.
    fn failsafe(&self) -> &[Failsafe] {
        &[]
    }
}

/// A system without interfaces.
#[derive(Clone, Copy, Debug)]
pub struct NoInterfaces;

impl Lookup for NoInterfaces {
    fn ifindex(&self, _name: &str) -> Option<u32> {
        None
    }

    fn hz(&self) -> u32 {
        250
    }
}

/// A ruleset as the programs run it. Everything is numbered from the ruleset's own beginning: the
/// loader moves it to its bank.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compiled {
    /// The instructions. Operand `a[0]` of those that name a set is a position in [`Self::sets`].
    pub program: Vec<Insn>,
    /// Where packets enter: [`fw_common::abi::RulesHead::entries`].
    pub entries: [[u32; 2]; Entry::COUNT],
    /// Bits of [`fw_common::abi::needs`].
    pub needs: u32,
    /// Counters; the first has number 1.
    pub counters: Vec<Counter>,
    /// Limiters.
    pub rates: Vec<Rate>,
    /// Quotas.
    pub quotas: Vec<Used>,
    /// Sets.
    pub sets: Vec<CompiledSet>,
    /// Vectors of rules, see [`fw_common::ruleset::seek`].
    pub blocks: Vec<[u64; BLOCK]>,
    /// What `log` statements say.
    pub logs: Vec<LogLine>,
    /// Which instructions belong to which rule, in ascending order.
    pub spans: Vec<Span>,
    /// Where each chain begins, in ascending order: address, table, chain.
    pub chains: Vec<(u32, usize, ChainId)>,
    /// What it drops passes, and is counted.
    pub observe: bool,
}

/// A counter of the ruleset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Whose it is.
    pub owner: Owner,
    /// Where it starts.
    pub packets: u64,
    /// Where it starts.
    pub bytes: u64,
}

/// A quota of the ruleset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// Whose it is.
    pub owner: Owner,
    /// What counts as used from the start.
    pub bytes: u64,
}

/// Whose a counter or a quota is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// Of the statement with this position in this rule.
    Statement(RuleId, usize),
    /// A named one: position of the table, and in its counters or quotas.
    Named(usize, usize),
    /// Of a rule that has no counter of its own: listings show how often it matched.
    Rule(RuleId),
    /// Of a base chain's policy.
    Policy(usize, ChainId),
    /// Of a failsafe port, by its position.
    Failsafe(usize),
}

/// A rule of a ruleset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleId {
    /// Position of the table.
    pub table: usize,
    /// Its chain.
    pub chain: ChainId,
    /// Position in the chain.
    pub rule: usize,
}

/// The instructions of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub start: u32,
    /// One behind the last.
    pub end: u32,
    /// The rule.
    pub rule: RuleId,
}

/// What a `log` statement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The rule it stands in.
    pub rule: RuleId,
    /// The statement.
    pub log: super::ir::Log,
}

impl Compiled {
    /// The rule that instruction `pc` belongs to.
    #[must_use]
    pub fn rule_at(&self, pc: u32) -> Option<RuleId> {
        let next = self.spans.partition_point(|span| span.start <= pc);
        let span = self.spans.get(next.checked_sub(1)?)?;
        (pc < span.end).then_some(span.rule)
    }

    /// The compiled form of a set.
    #[must_use]
    pub fn set(&self, table: usize, id: SetId) -> Option<&CompiledSet> {
        let found = self.sets.iter();
        let mut found = found.filter(|set| (set.table, set.id) == (table, id));
        found.next()
    }
}

/// Compiles a ruleset.
///
/// # Errors
/// Everything in it that can't be done, each with its place.
pub fn compile(ruleset: &Ruleset, lookup: &dyn Lookup) -> Result<Compiled, Vec<CompileError>> {
    compile_as(ruleset, lookup, Grouping::WhereQuicker)
}

/// In which chains rules are looked up by classes, where they otherwise are tried one after the other. It
/// makes no difference but in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// In none: what the others are compared with.
    Never,
    /// Where that takes less time.
    WhereQuicker,
    /// Wherever it is possible.
    Always,
}

/// As [`compile`], with rules looked up where `grouping` says.
///
/// # Errors
/// As [`compile`].
pub fn compile_as(
    ruleset: &Ruleset,
    lookup: &dyn Lookup,
    grouping: Grouping,
) -> Result<Compiled, Vec<CompileError>> {
    chains::Compiler::new(ruleset, lookup, grouping).run()
}

/// Where a message points when a rule has no place of its own.
const NOWHERE: Source = Source {
    file: 0,
    line: 0,
    column: 0,
};
