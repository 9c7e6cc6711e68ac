//! `fwctl explain`: what would become of a packet that nobody has sent.
//!
//! A packet in words ([`Sketch`]) becomes a frame, which goes through the programs' own parser, state
//! machines and ruleset evaluation, on a copy of its flow. Nothing is sent, counted or changed.

mod asked;
mod frame;
pub mod live;
mod login;
mod packet;
mod path;
pub mod trace;
mod verdict;
mod way;

pub use login::Login;
pub use packet::{IcmpKind, PacketError, Sketch, Transport};
pub use path::{Step, Turn, Walker, What};
pub use verdict::{End, Explanation, Flows, explain};
pub use way::{Side, To, Wanted, Way, WayError};
