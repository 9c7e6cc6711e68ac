//! Flow keys: from a packet's tuple to the one key that both directions share, and back.

use crate::abi::{Flow, Key4, Key6};
use crate::ctinfo::Dir;
use crate::wire::{Address, Family, Glance, Meta, proto};
use crate::{Reason, icmp};

/// The addresses and "ports" of one packet, as it travels.
///
/// Ports are in host byte order. Protocols without ports borrow the two fields:
///
/// | protocol | requester's port | responder's port |
/// |---|---|---|
/// | ICMP, ICMPv6 queries | identifier | request type × 256 + code |
/// | GRE version 1 | 0 | call id |
/// | others | 0 | 0 |
///
/// A reply (ICMP type 0) is written as what it answers (type 8), so it needs no tuple of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tuple {
    /// Source address, network byte order; IPv4 in the first four bytes.
    pub src: [u8; 16],
    /// Destination address.
    pub dst: [u8; 16],
    /// Source port or what stands in for it.
    pub sport: u16,
    /// Destination port or what stands in for it.
    pub dport: u16,
    /// IP protocol number.
    pub proto: u8,
    /// Whether the *source* is the requester of an ICMP query.
    pub request: bool,
}

impl Tuple {
    /// The tuple of a parsed packet.
    ///
    /// # Errors
    /// A [`Reason`] if the packet cannot belong to any flow, which makes it INVALID: an ICMP type
    /// that has no inverse (`nf_conntrack_invert_icmp_tuple`).
    #[inline(always)]
    pub fn of(meta: &Meta) -> Result<Self, Reason> {
        let mut tuple = Self::of_ports(meta);
        if icmp::is_icmp(meta.family, meta.proto) {
            let query = icmp::query(meta.family, meta.icmp_type).ok_or(Reason::BadIcmpType)?;
            let service = u16::from_be_bytes([query.request, meta.icmp_code]);
            tuple.request = query.is_request;
            (tuple.sport, tuple.dport) = if query.is_request {
                (meta.sport, service)
            } else {
                (service, meta.sport)
            };
        }
        Ok(tuple)
    }

    /// The tuple of a packet of a protocol that has ports.
    #[must_use]
    #[inline(always)]
    pub const fn of_ports(meta: &Meta) -> Self {
        Self {
            src: meta.src,
            dst: meta.dst,
            sport: meta.sport,
            dport: meta.dport,
            proto: meta.proto,
            request: false,
        }
    }

    /// The tuple of a packet that was read at one glance.
    #[must_use]
    #[inline(always)]
    pub fn at_a_glance<A: Address>(glance: &Glance<A>) -> Self {
        Self {
            src: glance.network.src.octets(),
            dst: glance.network.dst.octets(),
            sport: glance.sport,
            dport: glance.dport,
            proto: glance.network.proto,
            request: false,
        }
    }

    /// The tuple of packets in the other direction.
    #[must_use]
    pub const fn invert(&self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
            sport: self.dport,
            dport: self.sport,
            proto: self.proto,
            // Of the two ends of a query one is the requester, whoever sends.
            request: if icmp_proto(self.proto) {
                !self.request
            } else {
                false
            },
        }
    }
}

const fn icmp_proto(p: u8) -> bool {
    p == proto::ICMP || p == proto::ICMPV6
}

/// A key of one of the flow maps.
pub trait FlowKey: Copy {
    /// The address family that this key is for.
    const FAMILY: Family;
    /// Its addresses.
    type Address: Address;

    /// The canonical key of a tuple, and whether its source is the *higher* endpoint.
    fn canonical(tuple: &Tuple, zone: u16) -> (Self, bool);

    /// The tuple of packets that the lower (`from_hi` false) or higher endpoint sends.
    fn tuple(&self, from_hi: bool) -> Tuple;

    /// Conntrack zone.
    fn zone(&self) -> u16;
}

/// Direction in `flow` of a packet whose source is (`from_hi`) the higher endpoint of the key.
#[must_use]
#[inline(always)]
pub const fn direction(flow: &Flow, from_hi: bool) -> Dir {
    direction_from(flow.origin, from_hi)
}

/// As [`direction`], of a flow whose [`Flow::origin`] is `origin`.
#[must_use]
#[inline(always)]
pub const fn direction_from(origin: u8, from_hi: bool) -> Dir {
    if (origin != 0) == from_hi {
        Dir::Original
    } else {
        Dir::Reply
    }
}

/// The tuple of a flow's packets in direction `dir`.
#[must_use]
pub fn tuple_of<K: FlowKey>(key: &K, flow: &Flow, dir: Dir) -> Tuple {
    let original = key.tuple(flow.origin != 0);
    match dir {
        Dir::Original => original,
        Dir::Reply => original.invert(),
    }
}

#[inline(always)]
fn widen(addr: [u8; 4]) -> [u8; 16] {
    let mut wide = [0; 16];
    [wide[0], wide[1], wide[2], wide[3]] = addr;
    wide
}

/// `tuple` turned round if it is the higher endpoint's: that of the lower one's packets. (And from that
/// back again.)
#[inline(always)]
fn from_lower(tuple: &Tuple, from_hi: bool) -> Tuple {
    if from_hi { tuple.invert() } else { *tuple }
}

/// The `side` of a key, from packets of the higher endpoint or of the lower one.
#[inline(always)]
fn side(tuple: &Tuple, from_hi: bool) -> u8 {
    u8::from(icmp_proto(tuple.proto) && tuple.request == from_hi)
}

/// An endpoint of an IPv4 flow as one number.
#[inline(always)]
fn end4(addr: &[u8; 16], port: u16) -> u64 {
    // By way of one number: an array that is taken to pieces is written in pieces, too.
    let addr = (u128::from_be_bytes(*addr) >> 96) as u64;
    addr << 16 | u64::from(port)
}

impl FlowKey for Key4 {
    const FAMILY: Family = Family::V4;
    type Address = u32;

    #[inline(always)]
    fn canonical(tuple: &Tuple, zone: u16) -> (Self, bool) {
        let source = end4(&tuple.src, tuple.sport);
        let target = end4(&tuple.dst, tuple.dport);
        let from_hi = source > target;
        let (lo, hi) = if from_hi {
            (target, source)
        } else {
            (source, target)
        };
        let key = Self {
            lo_addr: ((lo >> 16) as u32).to_be_bytes(),
            hi_addr: ((hi >> 16) as u32).to_be_bytes(),
            lo_port: lo as u16,
            hi_port: hi as u16,
            proto: tuple.proto,
            side: side(tuple, from_hi),
            zone,
        };
        (key, from_hi)
    }

    fn tuple(&self, from_hi: bool) -> Tuple {
        let lower = Tuple {
            src: widen(self.lo_addr),
            dst: widen(self.hi_addr),
            sport: self.lo_port,
            dport: self.hi_port,
            proto: self.proto,
            request: icmp_proto(self.proto) && self.side == 0,
        };
        from_lower(&lower, from_hi)
    }

    fn zone(&self) -> u16 {
        self.zone
    }
}

impl FlowKey for Key6 {
    const FAMILY: Family = Family::V6;
    type Address = u128;

    #[inline(always)]
    fn canonical(tuple: &Tuple, zone: u16) -> (Self, bool) {
        let source = u128::from_be_bytes(tuple.src);
        let target = u128::from_be_bytes(tuple.dst);
        let from_hi = source > target || (source == target && tuple.sport > tuple.dport);
        let lower = from_lower(tuple, from_hi);
        let key = Self {
            lo_addr: lower.src,
            hi_addr: lower.dst,
            lo_port: lower.sport,
            hi_port: lower.dport,
            proto: tuple.proto,
            side: side(tuple, from_hi),
            zone,
        };
        (key, from_hi)
    }

    fn tuple(&self, from_hi: bool) -> Tuple {
        let lower = Tuple {
            src: self.lo_addr,
            dst: self.hi_addr,
            sport: self.lo_port,
            dport: self.hi_port,
            proto: self.proto,
            request: icmp_proto(self.proto) && self.side == 0,
        };
        from_lower(&lower, from_hi)
    }

    fn zone(&self) -> u16 {
        self.zone
    }
}
