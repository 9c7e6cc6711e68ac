//! ICMP and ICMPv6: queries make flows, errors belong to the flow they speak of.

use crate::abi::Config;
use crate::timeout::Timeout;
use crate::track::Step;
use crate::verdict::Reason;
use crate::wire::{Family, proto};

/// A query type: which request it is, and whether this packet is the request or its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Type of the request.
    pub request: u8,
    /// Type of the answer.
    pub answer: u8,
    /// Whether the packet is the request.
    pub is_request: bool,
}

/// Whether this is the family's own ICMP. ICMP inside IPv6, or ICMPv6 inside IPv4, is not.
#[must_use]
#[inline(always)]
pub const fn is_icmp(family: Family, protocol: u8) -> bool {
    match family {
        Family::V4 => protocol == proto::ICMP,
        Family::V6 => protocol == proto::ICMPV6,
    }
}

/// The query that a packet of type `kind` belongs to; `None` for errors and for everything that has
/// no inverse (`nf_conntrack_invert_icmp_tuple`, `nf_conntrack_invert_icmpv6_tuple`).
#[must_use]
#[inline(always)]
pub const fn query(family: Family, kind: u8) -> Option<Query> {
    let (request, answer) = match (family, kind) {
        (Family::V4, 8 | 0) => (8, 0),
        (Family::V4, 13 | 14) => (13, 14),
        (Family::V4, 15 | 16) => (15, 16),
        (Family::V4, 17 | 18) => (17, 18),
        (Family::V6, 128 | 129) => (128, 129),
        (Family::V6, 139 | 140) => (139, 140),
        _ => return None,
    };
    Some(Query {
        request,
        answer,
        is_request: kind == request,
    })
}

/// Whether the type is an error message: it quotes the packet it is about.
#[must_use]
#[inline(always)]
pub const fn is_error(family: Family, kind: u8) -> bool {
    match family {
        Family::V4 => matches!(kind, 3 | 4 | 5 | 11 | 12),
        Family::V6 => kind < 128,
    }
}

/// Whether the type is beyond those that conntrack knows at all (`NR_ICMP_TYPES`): refused before any
/// look at a flow, and counted as `error`. ICMPv6 has no such bound.
#[must_use]
#[inline(always)]
pub const fn is_unknown(family: Family, kind: u8) -> bool {
    matches!(family, Family::V4) && kind > 18
}

/// ICMPv6 types that are never tracked: neighbour discovery, MLD and multicast router discovery
/// (`nf_conntrack_icmpv6_error`). A default-drop policy must accept them by name, or IPv6 dies.
#[must_use]
#[inline(always)]
pub const fn is_exempt(kind: u8) -> bool {
    matches!(kind, 130..=136 | 143 | 151 | 152)
}

/// Whether a packet of type `kind` may start a flow: a request may, an answer to nothing may not.
///
/// # Errors
/// [`Reason::BadIcmpType`]; the packet is INVALID.
#[inline(always)]
pub const fn may_open(family: Family, kind: u8) -> Result<(), Reason> {
    match query(family, kind) {
        Some(query) if query.is_request => Ok(()),
        _ => Err(Reason::BadIcmpType),
    }
}

/// One query packet: requests and answers alike refresh the timeout; never ASSURED.
#[inline(always)]
pub fn step(family: Family, config: &Config) -> Step {
    let which = match family {
        Family::V4 => Timeout::Icmp,
        Family::V6 => Timeout::Icmpv6,
    };
    Step::Accept {
        timeout: config.timeout(which),
        assured: false,
    }
}
