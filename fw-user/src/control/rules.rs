//! What daemon and command line say to each other about rules.
//!
//! The command line reads the file, with what it includes, and sends its canonical text; the daemon
//! reads that again, compiles and loads it. So no message of the language needs the daemon, and the
//! daemon opens no file for anybody and trusts nothing that was compiled elsewhere.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Path of the ruleset: `GET` [`Listing`], `PUT` [`Apply`], `DELETE`.
pub const RULES: &str = "/v1/rules";
/// Path of the ruleset as [`Text`], in nft's style: `?handles`, `?stateless`, `?terse`.
pub const TEXT: &str = "/v1/rules/text";
/// Path of [`Names`].
pub const NAMES: &str = "/v1/rules/names";
/// `POST` keeps the ruleset that waits for that.
pub const CONFIRM: &str = "/v1/rules/confirm";
/// `POST` goes back to the one before.
pub const ROLLBACK: &str = "/v1/rules/rollback";

/// A ruleset to be put in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apply {
    /// Its text, without includes and variables.
    pub text: String,
    /// The file that it came from.
    #[serde(default)]
    pub file: Option<String>,
    /// Count what it would drop, drop nothing.
    #[serde(default)]
    pub observe: bool,
    /// Go back after so many milliseconds, unless it is confirmed.
    #[serde(default)]
    pub confirm: Option<u64>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Number of the ruleset in force.
    pub generation: u32,
    /// Milliseconds until it is rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<u64>,
}

/// The ruleset as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// nftables' own form.
    pub text: String,
}

/// What of the text is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Style {
    /// `# handle N`.
    pub handles: bool,
    /// No counts.
    pub stateless: bool,
    /// No elements of sets.
    pub terse: bool,
}

impl Style {
    /// The path that asks for it.
    #[must_use]
    pub fn path(self) -> String {
        let Self {
            handles,
            stateless,
            terse,
        } = self;
        format!("{TEXT}?handles={handles}&stateless={stateless}&terse={terse}")
    }
}

/// Names of what can let a flow in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The number of the ruleset in force; 0: there is none.
    pub generation: u32,
    /// In ascending order.
    pub places: Vec<Place>,
}

/// Instructions of a ruleset, and what they are of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The first.
    pub from: u32,
    /// One behind the last.
    pub to: u32,
    /// `chain#handle`, `chain policy` or `failsafe port`.
    pub name: String,
}

/// The ruleset in force, with what it has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Raised by every load.
    pub generation: u32,
    /// When it was loaded.
    pub loaded: Option<Timestamp>,
    /// The file that it came from.
    pub file: Option<String>,
    /// Nothing is dropped, only counted.
    pub observe: bool,
    /// Seconds until it is rolled back.
    pub confirm: Option<u64>,
    /// Ports that no ruleset closes.
    pub failsafe: Vec<Counted>,
    /// The tables.
    pub tables: Vec<Table>,
}

/// A name and what was counted for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The name.
    pub name: String,
    /// Packets.
    pub packets: u64,
    /// Bytes from the IP header on.
    pub bytes: u64,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// `ip`, `ip6`, `inet`, `netdev`.
    pub family: String,
    /// Its name.
    pub name: String,
    /// Its chains.
    pub chains: Vec<Chain>,
    /// Its named sets and maps.
    pub sets: Vec<Set>,
    /// Its named counters.
    pub counters: Vec<Counted>,
}

/// A chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Where packets enter it; none for a chain that only jumps reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// Its place among the chains of the hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// What becomes of packets that no rule decides on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Packets that the policy decided on.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its number within the table.
    pub handle: u64,
    /// The rule in nft's style, without counts and comment.
    pub text: String,
    /// Its comment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Packets that it matched.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the last of them came.
    pub last: Option<Timestamp>,
}

/// A named set or map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// Type of its keys, as in `ipv4_addr . inet_service`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How many elements it has.
    pub size: u64,
}
