//! TCP as a middle box sees it: nf_conntrack's state machine.
//!
//! See `docs/` and the kernel's `net/netfilter/nf_conntrack_proto_tcp.c` for the behaviour that is
//! reproduced here; the code is our own.

mod state;

pub use state::{Event, State};

/// Bits of [`crate::abi::Leg::flags`] and [`crate::wire::TcpSegment::options`], with the kernel's
/// numbers (`IP_CT_TCP_FLAG_*`).
pub mod flags {
    /// This side sent a window scale option.
    pub const WINDOW_SCALE: u8 = 0x01;
    /// This side allows selective acknowledgements.
    pub const SACK_PERM: u8 = 0x02;
    /// This side sent the first FIN.
    pub const CLOSE_INIT: u8 = 0x04;
    /// Window checks are off for this side: the connection was picked up in mid-stream.
    pub const BE_LIBERAL: u8 = 0x08;
    /// This side has sent data that is not acknowledged.
    pub const DATA_UNACKNOWLEDGED: u8 = 0x10;
    /// [`crate::abi::Leg::maxack`] is valid.
    pub const MAXACK_SET: u8 = 0x20;
    /// A challenge ACK is expected (in [`crate::abi::ProtoState::last_flags`] only).
    pub const EXP_CHALLENGE_ACK: u8 = 0x40;
    /// Both sides sent a SYN before any SYN/ACK.
    pub const SIMULTANEOUS_OPEN: u8 = 0x80;
}

/// Flag bits of the TCP header.
pub mod header {
    /// No more data from sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number is valid.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is valid.
    pub const URG: u8 = 0x20;
    /// ECN echo.
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced.
    pub const CWR: u8 = 0x80;
}

use crate::abi::{Config, Flow};
use crate::ctinfo::Dir;
use crate::track::Step;
use crate::verdict::Reason;
use crate::wire::TcpSegment;

/// The first segment of an unknown connection (`tcp_new`).
///
/// # Errors
/// The [`Reason`] why this segment may not open a connection.
pub fn open(_flow: &mut Flow, _segment: &TcpSegment, _config: &Config) -> Result<Step, Reason> {
    Err(Reason::NotSyn)
}

/// One segment of a known connection (`nf_conntrack_tcp_packet`).
pub fn step(_flow: &mut Flow, _dir: Dir, _segment: &TcpSegment, _config: &Config) -> Step {
    Step::Ignore
}
