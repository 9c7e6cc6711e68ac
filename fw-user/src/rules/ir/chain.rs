//! Chains and rules.

use super::Statement;

/// Position in [`Table::chains`](super::Table::chains).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainId(pub usize);

/// A list of rules, and where packets enter it.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Its name; none for the body of `jump { … }`.
    pub name: Option<String>,
    /// Unique within the table, as are those of sets and rules.
    pub handle: u64,
    /// Where it is hooked in; none for a chain that only jumps reach.
    pub base: Option<BaseChain>,
    /// `comment "…"`.
    pub comment: Option<String>,
    /// The rules in order.
    pub rules: Vec<Rule>,
}

impl Chain {
    /// Its name, or what the kernel calls one that has none.
    #[must_use]
    pub fn shown(&self) -> String {
        let unnamed = || format!("__chain{}", self.handle);
        self.name.clone().unwrap_or_else(unnamed)
    }
}

/// What makes a chain a base chain: `type filter hook … priority …; policy …;`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseChain {
    /// Where packets enter it.
    pub hook: Hook,
    /// Chains of a hook run in ascending order.
    pub priority: i32,
    /// The end of a packet that no rule decided on.
    pub policy: Policy,
    /// The devices of an ingress chain (`device "eth0"`, `devices = { … }`); empty for other hooks.
    pub devices: Vec<String>,
}

/// Where a base chain sees packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    /// Frames as the device delivers them, before connection tracking.
    Ingress,
    /// Everything that comes in, before routing.
    Prerouting,
    /// For this host.
    Input,
    /// Through this host.
    Forward,
    /// From this host.
    Output,
}

impl Hook {
    /// nftables' word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
        }
    }
}

/// What happens at the end of a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// The packet goes on to the next chain.
    Accept,
    /// The packet ends here.
    Drop,
}

impl Policy {
    /// nftables' word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
        }
    }
}

/// One rule: statements from left to right until a match fails or a verdict ends it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Unique within the table.
    pub handle: u64,
    /// Where it was written.
    pub source: Source,
    /// The rule in nftables' own printed style, without comment, handle and counts.
    pub text: String,
    /// `comment "…"`.
    pub comment: Option<String>,
    /// What it does. Implied matches stand where nftables generates them.
    pub statements: Vec<Statement>,
}

/// A place in the files of a ruleset, for messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Source {
    /// Position in [`Ruleset::files`](super::Ruleset::files).
    pub file: usize,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}
