//! Which packets may leave straight from XDP, and which need the kernel's stack.

use crate::CtInfo;
use crate::abi::{IfaceFlags, NextHop};
use crate::route::{Kind, Route};
use crate::wire::{Family, Fragment, Meta, meta_flags};

mod size;

pub use size::Size;

macro_rules! causes {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal;)*) => {
        /// Why a packet that might have left straight from XDP was left to the kernel.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Left {
            $($(#[doc = $doc])* $name,)*
        }

        impl Left {
            /// Every cause, in index order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word shown to users.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

causes! {
    /// It needs something that only the stack does: options or extension headers, fragments, a TTL
    /// that ends here, a group address, a VLAN tag.
    Special = "left_special";
    /// The way leads nowhere, to the host itself, into a tunnel or back where it came from, or the
    /// stack would refuse the source (`rp_filter`).
    Route = "left_route";
    /// The next hop's hardware address is unknown.
    Neighbour = "left_neighbour";
    /// The interface by which it leaves takes no frames from XDP.
    Egress = "left_egress";
    /// It is longer than the way allows.
    Mtu = "left_mtu";
    /// Its checksum was left to a NIC that it never saw.
    Checksum = "left_checksum";
    /// Now and then one goes by way of the stack, for the stack to look after the neighbour.
    Confirm = "left_confirm";
}

/// Whether the stack would do no more to the packet than to forward it. `iface` are the flags of the
/// interface by which it came in.
#[must_use]
#[inline(always)]
pub const fn suits(meta: &Meta, iface: u32) -> bool {
    const NEEDS_STACK: u8 = meta_flags::OPTIONS
        | meta_flags::MULTICAST
        | meta_flags::MORE_FRAGMENTS
        | meta_flags::FRAGMENT_HEADER
        | meta_flags::PRIORITY_TAG
        | meta_flags::FOREIGN_TAG;
    meta.flags & NEEDS_STACK == 0
        && meta.ttl > 1
        && matches!(meta.fragment, Fragment::Whole)
        && iface & (IfaceFlags::FORWARD | IfaceFlags::NOT_DIRECT) == IfaceFlags::FORWARD
}

/// Whether packets in this state leave straight: both sides have been heard, and the rules have
/// accepted the flow.
#[must_use]
#[inline(always)]
pub const fn is_established(info: CtInfo) -> bool {
    matches!(info, CtInfo::Established | CtInfo::EstablishedReply)
}

/// Whether a route leads to a next hop that can be reached from XDP.
///
/// # Errors
/// Why packets that take it are left to the kernel. `iface` and `egress` are the flags of the
/// interfaces by which they come in and leave, `came_in_by` is the former's number.
#[inline(always)]
pub fn is_next_hop(route: &Route, iface: u32, egress: u32, came_in_by: u32) -> Result<(), Left> {
    match route.kind {
        Kind::Forward => {}
        Kind::NoNeighbour => return Err(Left::Neighbour),
        _ => return Err(Left::Route),
    }
    // Out by where it came in: the stack may tell the sender of a better way (ICMP redirect).
    if route.oif == came_in_by || route.mtu == 0 {
        return Err(Left::Route);
    }
    let needed = if iface & IfaceFlags::GENERIC != 0 {
        IfaceFlags::TARGET
    } else {
        IfaceFlags::TARGET | IfaceFlags::XMIT
    };
    if egress & needed != needed {
        return Err(Left::Egress);
    }
    Ok(())
}

/// The port by which packets leave that are routed to an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outlet {
    /// Its number.
    pub port: u32,
    /// Its flags.
    pub flags: u32,
    /// The VLAN id that they leave with, if the interface is a VLAN on top of the port; else 0.
    pub vlan: u16,
}

/// Makes `hop` the next hop of a route that leads out by `outlet`.
#[inline(always)]
pub fn fill(hop: &mut NextHop, route: &Route, outlet: Outlet) {
    hop.oif = outlet.port;
    hop.macs = beginning(route.dmac, route.smac);
    hop.mtu = route.mtu;
    hop.egress = outlet.flags as u16;
    hop.vlan = outlet.vlan;
}

/// Whether the stack would accept that a packet with this source came in by interface `came_in_by`
/// (`fib_validate_source`), given the interface by which the way back leads, if there is one. Only IPv4's stack asks.
#[must_use]
#[inline(always)]
pub fn source_is_valid(back: Option<u32>, iface: u32, came_in_by: u32) -> bool {
    let strict = iface & IfaceFlags::RP_STRICT != 0;
    back.is_some_and(|back| !strict || back == came_in_by)
}

/// Whether the way back to a packet's source has to be asked for.
#[must_use]
#[inline(always)]
pub const fn checks_source(meta: &Meta) -> bool {
    matches!(meta.family, Family::V4)
}

/// Whether packets with this source are forwarded at all (`ip6_forward`): not those from a link-local address or
/// from none. IPv4's were thrown away before.
#[must_use]
#[inline(always)]
pub const fn may_be_forwarded(meta: &Meta) -> bool {
    let [a, b, ..] = meta.src;
    match meta.family {
        Family::V4 => true,
        Family::V6 => !(a == 0xfe && b & 0xc0 == 0x80) && u128::from_be_bytes(meta.src) != 0,
    }
}

/// The addresses at the beginning of a frame to `dmac` from `smac`.
#[inline(always)]
const fn beginning(dmac: [u8; 6], smac: [u8; 6]) -> [u32; 3] {
    let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (dmac, smac);
    [
        u32::from_ne_bytes([a, b, c, d]),
        u32::from_ne_bytes([e, f, g, h]),
        u32::from_ne_bytes([i, j, k, l]),
    ]
}

/// Where in the `NEXTHOPS` map to look first for a next hop.
#[must_use]
#[inline(always)]
pub const fn slot_of(hop: &NextHop) -> u32 {
    let [a, b, _] = hop.macs;
    let mixed = a.rotate_left(8) ^ b ^ hop.oif.rotate_left(16) ^ hop.mtu as u32;
    let mixed = mixed ^ (hop.vlan as u32).rotate_left(11);
    // The golden ratio's bits (Knuth, vol. 3, 6.4).
    mixed.wrapping_mul(0x9e37_79b1) >> 16
}

/// IPv4's header checksum after the TTL has gone down by one (RFC 1624), as a number in network order.
#[must_use]
#[inline(always)]
pub const fn checksum_after_hop(checksum: u16) -> u16 {
    // The TTL is the high byte of its word: the word goes down by 0x100, the complement's sum up.
    let sum = checksum as u32 + 0x100;
    (sum + (sum >= 0xffff) as u32) as u16
}

/// Where the fields are that change on the way through a router, in an untagged frame.
pub mod at {
    use core::mem::offset_of;

    use network_types::eth::EthHdr;
    use network_types::ip::{Ipv4Hdr, Ipv6Hdr};

    /// IPv4: TTL.
    pub const TTL4: usize = EthHdr::LEN + offset_of!(Ipv4Hdr, ttl);
    /// IPv4: the header's checksum.
    pub const CHECKSUM4: usize = EthHdr::LEN + offset_of!(Ipv4Hdr, check);
    /// IPv6: hop limit.
    pub const HOP_LIMIT6: usize = EthHdr::LEN + offset_of!(Ipv6Hdr, hop_limit);
    /// Behind the last of them, and no longer than the shortest packet.
    pub const END: usize = EthHdr::LEN + Ipv4Hdr::LEN;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::proto;

    const PORT: u32 = IfaceFlags::FORWARD | IfaceFlags::TARGET | IfaceFlags::XMIT;

    fn meta() -> Meta {
        Meta {
            family: Family::V4,
            proto: proto::TCP,
            ttl: 64,
            ..Meta::default()
        }
    }

    #[test]
    fn what_needs_the_stack_does_not_suit() {
        assert!(suits(&meta(), PORT));
        assert!(!suits(&meta(), PORT & !IfaceFlags::FORWARD));
        let changes: [fn(&mut Meta); 8] = [
            |m| m.ttl = 1,
            |m| m.flags = meta_flags::PRIORITY_TAG,
            |m| m.flags = meta_flags::FOREIGN_TAG,
            |m| m.fragment = Fragment::First,
            |m| m.fragment = Fragment::Later,
            |m| m.flags = meta_flags::OPTIONS,
            |m| m.flags = meta_flags::MULTICAST,
            |m| m.flags = meta_flags::FRAGMENT_HEADER,
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let mut meta = meta();
            change(&mut meta);
            assert!(!suits(&meta, PORT), "{n}");
        }
    }

    fn route(kind: Kind) -> Route {
        Route {
            oif: 3,
            mtu: 1400,
            kind,
            dmac: [1; 6],
            smac: [2; 6],
            ..Route::default()
        }
    }

    #[test]
    fn only_a_known_neighbour_behind_another_port_is_a_next_hop() {
        assert_eq!(is_next_hop(&route(Kind::Forward), PORT, PORT, 2), Ok(()));
        let mut hop = NextHop::default();
        let outlet = Outlet {
            port: 9,
            flags: PORT,
            vlan: 5,
        };
        fill(&mut hop, &route(Kind::Forward), outlet);
        assert_eq!(
            (hop.oif, hop.vlan, u32::from(hop.egress), hop.mtu),
            (9, 5, PORT, 1400)
        );
        assert_eq!(
            hop.macs.map(u32::to_ne_bytes),
            [[1; 4], [1, 1, 2, 2], [2; 4]]
        );
        let left = |kind, egress, iif| is_next_hop(&route(kind), PORT, egress, iif).err();
        assert_eq!(left(Kind::Forward, PORT, 3), Some(Left::Route));
        assert_eq!(left(Kind::Forward, 0, 2), Some(Left::Egress));
        assert_eq!(left(Kind::NoNeighbour, PORT, 2), Some(Left::Neighbour));
        for kind in [Kind::Unknown, Kind::Local, Kind::Unreachable] {
            assert_eq!(left(kind, PORT, 2), Some(Left::Route));
        }
        let mut unknown = route(Kind::Forward);
        unknown.mtu = 0;
        assert_eq!(is_next_hop(&unknown, PORT, PORT, 2), Err(Left::Route));
    }

    #[test]
    fn generic_frames_go_to_any_port() {
        let any = IfaceFlags::TARGET;
        let route = route(Kind::Forward);
        assert_eq!(is_next_hop(&route, PORT, any, 2), Err(Left::Egress));
        assert!(is_next_hop(&route, PORT | IfaceFlags::GENERIC, any, 2).is_ok());
    }

    #[test]
    fn a_source_needs_a_way_back() {
        let strict = IfaceFlags::RP_STRICT;
        assert!(source_is_valid(Some(3), strict, 3));
        assert!(!source_is_valid(Some(3), strict, 2));
        assert!(source_is_valid(Some(3), 0, 2));
        assert!(!source_is_valid(None, 0, 3));
    }

    #[test]
    fn link_local_sources_are_not_forwarded() {
        let may = |family, src: &str| {
            let src: core::net::Ipv6Addr = src.parse().unwrap();
            may_be_forwarded(&Meta {
                family,
                src: src.octets(),
                ..meta()
            })
        };
        assert!(may(Family::V6, "2001:db8::1"));
        assert!(
            !may(Family::V6, "fe80::1") && !may(Family::V6, "febf::1") && !may(Family::V6, "::")
        );
        assert!(may(Family::V6, "fec0::1") && may(Family::V4, "fe80::1"));
    }

    #[test]
    fn checksum_after_a_hop_is_the_headers() {
        // Every checksum against the sum taken anew, for some TTLs.
        for rest in 0..=u16::MAX {
            for ttl in [2u16, 64, 128, 255] {
                let word = ttl << 8 | 6;
                let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
                let of = |word: u16| !(fold(fold(u32::from(rest) + u32::from(word))) as u16);
                let (before, after) = (of(word), of(word - 0x100));
                let stepped = checksum_after_hop(before);
                // Zero has two forms; both are right to who adds up.
                let same = stepped == after
                    || (stepped ^ after == 0xffff && (after == 0 || after == 0xffff));
                assert!(same, "{rest:#x} {ttl} {before:#x} {after:#x} {stepped:#x}");
            }
        }
    }

    #[test]
    fn names_are_in_order() {
        for (index, left) in Left::ALL.iter().enumerate() {
            assert_eq!(*left as usize, index);
        }
    }
}
