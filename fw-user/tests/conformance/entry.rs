//! A flow's entry, as both firewalls have it.

use std::fmt;

use fw_common::abi::Flow;
use fw_common::flow::Tuple;
use fw_common::wire::proto;
use fw_common::{icmp, sctp, status, tcp, wire::Family};

use super::frame::family_of;
use super::harness::Seen;

/// All that is compared of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) family: Family,
    /// The tuple of the original direction. ICMP: [`Tuple`]'s own writing.
    pub(crate) original: Tuple,
    /// TCP's or SCTP's state; empty for other protocols.
    pub(crate) state: &'static str,
    /// Whole seconds left.
    pub(crate) timeout: u32,
    pub(crate) replied: bool,
    pub(crate) assured: bool,
    /// Packets and bytes, original and reply.
    pub(crate) counted: [(u64, u64); 2],
}

/// Seconds by which the listings of two equal entries may differ: they are not read at the same time,
/// and each rounds down.
const SLACK: u32 = 1;

impl Entry {
    /// From our maps.
    pub(crate) fn of_ours(seen: &Seen) -> Self {
        let Flow {
            status,
            proto: progress,
            legs,
            ..
        } = &seen.flow;
        let state = match seen.original.proto {
            proto::TCP => tcp::State::from_u8(progress.state).map_or("?", tcp::State::name),
            proto::SCTP => sctp::State::from_u8(progress.state).map_or("?", sctp::State::name),
            _ => "",
        };
        Self {
            family: family_of(&seen.original.dst),
            original: seen.original,
            state,
            timeout: seen.timeout as u32,
            replied: status & status::SEEN_REPLY != 0,
            assured: status & status::ASSURED != 0,
            counted: [0, 1].map(|dir: usize| (legs[dir].packets, legs[dir].bytes)),
        }
    }

    /// Whether the two say the same.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        let timeless = |entry: &Self| Self {
            timeout: 0,
            ..entry.clone()
        };
        timeless(self) == timeless(other) && self.timeout.abs_diff(other.timeout) <= SLACK
    }

    /// What entries are sorted by.
    pub(crate) const fn rank(&self) -> (u8, [u8; 16], u16, u16) {
        (
            self.original.proto,
            self.original.src,
            self.original.sport,
            self.original.dport,
        )
    }
}

/// `tcp SYN_SENT 119 A:40000>80 [UNREPLIED] 1/60 0/0`: as far as it is read by people.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tuple {
            src,
            sport,
            dport,
            proto,
            ..
        } = self.original;
        let net = if self.family == Family::V4 {
            src[1].wrapping_sub(100)
        } else {
            src[4]
        };
        let who = *b"?ABCD".get(usize::from(net)).unwrap_or(&b'?') as char;
        write!(
            f,
            "proto {proto} {} {} {who}:{sport}>",
            self.state, self.timeout
        )?;
        if icmp::is_icmp(self.family, proto) {
            write!(f, "type {} code {}", dport >> 8, dport & 0xff)?;
        } else {
            write!(f, "{dport}")?;
        }
        for (word, shown) in [("[UNREPLIED]", !self.replied), ("[ASSURED]", self.assured)] {
            if shown {
                write!(f, " {word}")?;
            }
        }
        let [(packets, bytes), (back, bytes_back)] = self.counted;
        write!(f, " {packets}/{bytes} {back}/{bytes_back}")
    }
}
