//! Where a packet goes: the question for the kernel's routing tables, and what its answer means.
//!
//! `bpf_fib_lookup` decides as the stack will: policy rules and VRFs are heeded by the kernel itself. Whether the
//! interface forwards at all it asks the interface, the stack sometimes somebody else: see [`is_doubtful`].

mod doubt;

pub use doubt::{is_doubtful, kind_of_group, may_go_on};

use crate::Reason;
use crate::ruleset::fib::{Answer, Side};
use crate::wire::{Family, Fragment, Meta, meta_flags, proto};

/// What the routing tables say of a packet that came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Not asked, or the answer is beyond this look-up (tunnels): the kernel knows.
    #[default]
    Unknown = 0,
    /// The host itself takes it, or nobody: it never gets to the forward hook.
    Local = 1,
    /// It leaves by [`Route::oif`], and the next hop's hardware address is known.
    Forward = 2,
    /// It leaves by [`Route::oif`], but the kernel has to find the next hop first.
    NoNeighbour = 3,
    /// A route of type blackhole, unreachable or prohibit: the stack throws it away.
    Unreachable = 4,
}

/// The way of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Route {
    /// The interface by which it leaves, if [`Route::is_forwarded`]; else 0.
    pub oif: u32,
    /// Longest IP packet that the way takes, in bytes; 0 if unknown.
    pub mtu: u16,
    /// What the tables say.
    pub kind: Kind,
    /// Zero.
    pub pad: u8,
    /// Hardware address of the next hop, if the kind is [`Kind::Forward`].
    pub dmac: [u8; 6],
    /// Hardware address of the interface by which it leaves, likewise.
    pub smac: [u8; 6],
}

impl Route {
    /// Whether the packet is one for the forward hook. One that is not is for the input hook, unless
    /// the kind is [`Kind::Unknown`].
    #[must_use]
    #[inline(always)]
    pub const fn is_forwarded(&self) -> bool {
        matches!(self.kind, Kind::Forward | Kind::NoNeighbour)
    }

    /// Why the stack will throw away a packet with this TTL or hop limit, if it will. Of such a packet
    /// no flow is kept. One whose time is exceeded does not get to the forward hook (`ip_forward`,
    /// `ip6_forward`).
    #[must_use]
    #[inline(always)]
    pub const fn lost(&self, ttl: u8) -> Option<Reason> {
        match self.kind {
            Kind::Forward | Kind::NoNeighbour if ttl <= 1 => Some(Reason::TtlExpired),
            Kind::Unreachable => Some(Reason::Unroutable),
            _ => None,
        }
    }
}

/// `struct bpf_fib_lookup` of the kernel's `linux/bpf.h`: question and answer in one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Fib {
    family: u8,
    l4_proto: u8,
    /// Network byte order.
    sport: [u8; 2],
    dport: [u8; 2],
    /// In: length to be checked. Out: the MTU.
    mtu: u16,
    /// In: where the packet came in. Out: where it leaves.
    ifindex: u32,
    /// In: IPv4's type of service in the first byte, or IPv6's traffic class and flow label, as on
    /// the wire. Out: the route's metric.
    class: [u8; 4],
    src: [u8; 16],
    /// Out: the gateway.
    dst: [u8; 16],
    vlan: [u8; 4],
    smac: [u8; 6],
    dmac: [u8; 6],
}

const _: () = assert!(size_of::<Fib>() == 64);

/// A length that every way takes. 0 would be none, for which tc checks the whole packet instead, and says the
/// MTU of the interface, not of the route (`bpf_skb_fib_lookup`).
const ANY_LENGTH: u16 = 1;

/// The two bits of congestion notification, which choose no route.
const ECN: u8 = 0b11;

impl Fib {
    /// Asks for the way of a packet that came in by `ifindex`.
    #[inline(always)]
    pub fn ask(&mut self, meta: &Meta, ifindex: u32) {
        self.about(meta, ifindex);
        self.src = meta.src;
        self.dst = meta.dst;
        // The policy rules may look at ports; fragments have none for them.
        let ported = matches!(
            meta.proto,
            proto::TCP | proto::UDP | proto::UDPLITE | proto::SCTP
        ) && meta.fragment == Fragment::Whole;
        (self.sport, self.dport) = if ported {
            (meta.sport.to_be_bytes(), meta.dport.to_be_bytes())
        } else {
            ([0; 2], [0; 2])
        };
    }

    /// Asks for the way back to a packet's source, from interface `ifindex`.
    #[inline(always)]
    pub fn ask_back(&mut self, meta: &Meta, ifindex: u32) {
        self.about(meta, ifindex);
        self.src = meta.dst;
        self.dst = meta.src;
        (self.sport, self.dport) = ([0; 2], [0; 2]);
    }

    /// Asks for the way to one of a packet's ends, as nftables' `fib` does: of no interface (the loopback
    /// device stands for none), and with no ports.
    #[inline(always)]
    pub fn ask_of(&mut self, meta: &Meta, end: Side) {
        /// `LOOPBACK_IFINDEX`.
        const LOOPBACK: u32 = 1;
        self.ask_back(meta, LOOPBACK);
        if end == Side::Destination {
            (self.src, self.dst) = (meta.src, meta.dst);
        }
    }

    /// The helper's answer to [`Self::ask_of`].
    #[must_use]
    #[inline(always)]
    pub const fn answer_of(&self, returned: i64) -> Answer {
        Answer::of(returned, self.ifindex)
    }

    #[inline(always)]
    fn about(&mut self, meta: &Meta, ifindex: u32) {
        self.family = meta.family as u8;
        self.l4_proto = meta.proto;
        self.mtu = ANY_LENGTH;
        self.ifindex = ifindex;
        let [first, second, third, fourth] = meta.first_word.to_be_bytes();
        self.class = match meta.family {
            Family::V4 => [second & !ECN, 0, 0, 0],
            Family::V6 => [first & 0x0f, second, third, fourth],
        };
        self.vlan = [0; 4];
        self.smac = [0; 6];
        self.dmac = [0; 6];
    }

    /// The interface by which a way leads, if it leads through the host.
    #[must_use]
    #[inline(always)]
    pub const fn leads_to(&self, returned: i64) -> Option<u32> {
        match kind_of(returned) {
            Kind::Forward | Kind::NoNeighbour => Some(self.ifindex),
            _ => None,
        }
    }

    /// What the helper's return value and this answer mean.
    #[must_use]
    #[inline(always)]
    pub fn answer(&self, returned: i64) -> Route {
        let kind = kind_of(returned);
        let mut route = Route {
            kind,
            ..Route::default()
        };
        if route.is_forwarded() {
            route.oif = self.ifindex;
        }
        if kind == Kind::Forward {
            route.mtu = self.mtu;
            route.dmac = self.dmac;
            route.smac = self.smac;
        }
        route
    }
}

/// `BPF_FIB_LKUP_RET_*`.
const fn kind_of(returned: i64) -> Kind {
    match returned {
        0 => Kind::Forward,
        // Blackhole, unreachable, prohibit.
        1..=3 => Kind::Unreachable,
        // "Not forwarded" is said of the host's own addresses, of broadcasts, and where no route is at
        // all; an interface that does not forward (5) delivers to the host or not at all, unless that is doubtful.
        NOT_FORWARDED | DOES_NOT_FORWARD => Kind::Local,
        7 => Kind::NoNeighbour,
        // 6: the way leads into a tunnel. Negative: an error.
        _ => Kind::Unknown,
    }
}

/// "Not forwarded" (`BPF_FIB_LKUP_RET_NOT_FWDED`), and why: the interface does not forward.
const NOT_FORWARDED: i64 = 4;
const DOES_NOT_FORWARD: i64 = 5;

/// Whether the way of `meta` is one to ask for: groups have tables of their own.
#[must_use]
#[inline(always)]
pub const fn is_unicast(meta: &Meta) -> bool {
    meta.flags & meta_flags::MULTICAST == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn meta(family: Family, proto: u8) -> Meta {
        Meta {
            family,
            proto,
            sport: 1000,
            dport: 53,
            first_word: 0x45b9_0028,
            src: [1; 16],
            dst: [2; 16],
            ..Meta::default()
        }
    }

    #[test]
    fn the_question_has_the_packets_facts() {
        let mut fib = Fib::default();
        fib.ask(&meta(Family::V4, proto::UDP), 7);
        assert_eq!((fib.family, fib.l4_proto, fib.ifindex), (2, 17, 7));
        assert_eq!((fib.sport, fib.dport), ([3, 232], [0, 53]));
        assert_eq!((fib.src, fib.dst), ([1; 16], [2; 16]));
        // The code point without the two bits of congestion notification.
        assert_eq!(fib.class, [0xb8, 0, 0, 0]);
    }

    #[test]
    fn ipv6_asks_with_traffic_class_and_flow_label() {
        let mut fib = Fib::default();
        let mut meta = meta(Family::V6, proto::TCP);
        meta.first_word = 0x6b80_1234;
        fib.ask(&meta, 7);
        assert_eq!((fib.family, fib.class), (10, [0x0b, 0x80, 0x12, 0x34]));
    }

    #[test]
    fn only_whole_packets_with_ports_ask_with_ports() {
        let mut fib = Fib::default();
        fib.ask(&meta(Family::V4, proto::ICMP), 7);
        assert_eq!((fib.sport, fib.dport), ([0; 2], [0; 2]));
        let mut first = meta(Family::V4, proto::UDP);
        first.fragment = Fragment::First;
        fib.ask(&first, 7);
        assert_eq!((fib.sport, fib.dport), ([0; 2], [0; 2]));
    }

    #[test]
    fn the_way_back_is_asked_with_the_ends_exchanged() {
        let mut fib = Fib::default();
        fib.ask_back(&meta(Family::V4, proto::UDP), 1);
        assert_eq!((fib.src, fib.dst, fib.ifindex), ([2; 16], [1; 16], 1));
        assert_eq!((fib.sport, fib.dport), ([0; 2], [0; 2]));
    }

    #[test]
    fn a_used_question_is_a_fresh_one() {
        let mut used = Fib {
            mtu: 1500,
            ifindex: 9,
            class: [9; 4],
            vlan: [9; 4],
            smac: [9; 6],
            dmac: [9; 6],
            ..Fib::default()
        };
        let mut fresh = Fib::default();
        for fib in [&mut used, &mut fresh] {
            fib.ask(&meta(Family::V4, proto::TCP), 7);
        }
        assert_eq!(used, fresh);
    }

    #[test]
    fn every_answer_has_a_kind() {
        let kinds = [
            (0, Kind::Forward),
            (1, Kind::Unreachable),
            (2, Kind::Unreachable),
            (3, Kind::Unreachable),
            (4, Kind::Local),
            (5, Kind::Local),
            (6, Kind::Unknown),
            (7, Kind::NoNeighbour),
            (8, Kind::Unknown),
            (-22, Kind::Unknown),
        ];
        let fib = Fib {
            ifindex: 3,
            mtu: 1400,
            dmac: [4; 6],
            smac: [5; 6],
            ..Fib::default()
        };
        for (returned, kind) in kinds {
            let route = fib.answer(returned);
            assert_eq!(route.kind, kind, "{returned}");
            assert_eq!(route.oif != 0, route.is_forwarded(), "{returned}");
            assert_eq!(route.mtu != 0, kind == Kind::Forward, "{returned}");
        }
    }

    #[test]
    fn only_forwarded_packets_die_of_age() {
        let lost = |kind, ttl| {
            let route = Route {
                kind,
                ..Route::default()
            };
            route.lost(ttl)
        };
        assert_eq!(lost(Kind::Forward, 1), Some(Reason::TtlExpired));
        assert_eq!(lost(Kind::NoNeighbour, 1), Some(Reason::TtlExpired));
        assert_eq!(lost(Kind::Forward, 2), None);
        assert_eq!(lost(Kind::Local, 1), None);
        assert_eq!(lost(Kind::Unknown, 1), None);
        assert_eq!(lost(Kind::Unreachable, 64), Some(Reason::Unroutable));
    }
}
