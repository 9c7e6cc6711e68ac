//! What the fuzz targets do with their input: the same checks as the property tests.

#[path = "../../tests/oracle/mod.rs"]
mod oracle;
#[path = "../../tests/support/mod.rs"]
mod support;

// The rule language by itself: it needs nothing else of its crate, which would bring the BPF object along.
#[path = "../../../fw-user/src/rules/mod.rs"]
pub mod rules;

mod fragments;
mod frame;
mod options;
mod packets;
mod ruleset;
mod sctp;
mod talk;

pub use fragments::fragments;
pub use frame::frame;
pub use options::tcp_options;
pub use packets::packets;
pub use ruleset::ruleset;
pub use sctp::sctp;
pub use talk::talk;
