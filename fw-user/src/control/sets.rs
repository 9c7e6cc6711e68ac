//! What daemon and command line say to each other about sets.

use serde::{Deserialize, Serialize};

/// Path of the sets: `PUT` [`Change`], answered by [`Answer`].
pub const SETS: &str = "/v1/sets";

/// What is done to a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Elements are added.
    Add,
    /// Elements are removed.
    Delete,
    /// It is shown.
    List,
    /// All elements are removed.
    Flush,
    /// All elements are replaced at once.
    Load,
}

/// A change of a set, or a look at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What is done.
    pub op: Op,
    /// Family and name of its table; none: the only table that has one of that name.
    #[serde(default)]
    pub table: Option<String>,
    /// Its name.
    pub set: String,
    /// Elements as in a ruleset, commas between them.
    #[serde(default)]
    pub elements: String,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// How many keys were changed.
    pub changed: usize,
    /// The set in nft's style, for [`Op::List`].
    #[serde(default)]
    pub text: String,
    /// Its elements, likewise.
    #[serde(default)]
    pub elements: Vec<String>,
}
