//! The life of a ruleset: from the command that brings it to the one that replaces it.
//!
//! | step | on disk (`<state-dir>/rules/`) | in the programs |
//! |---|---|---|
//! | before | `current.nft`: generation 6 | 6 |
//! | it is written | `next.nft`: generation 7 | 6 |
//! | the flip | | 7 |
//! | it is kept | `next.nft` is renamed to `current.nft` | 7 |
//!
//! With `--confirm` the last step waits for `fwctl rules confirm`; until then `next.nft` says by when,
//! and whoever finds it overdue goes back to `current.nft`. Each step is one rename or one word, so
//! whatever a daemon dies in, the next one knows from the files and the programs' own word how far it
//! came: see [`recover`].

pub mod boot;
mod cycle;
mod engine;
mod error;
pub mod listing;
pub mod offline;
mod programs;
pub mod recover;
mod rule_names;
pub mod sets;
pub mod store;

pub use boot::{Deadline, Now};
pub use cycle::{Begun, Candidate, Cycle, InForce};
pub use engine::Engine;
pub use error::LifeError;
pub use listing::Live;
pub use programs::{Programs, Ready, prepare, prepare_loaded};
pub use recover::{Decision, Found, decide};
pub use sets::SetError;
pub use store::{Saved, Store, StoreError};
