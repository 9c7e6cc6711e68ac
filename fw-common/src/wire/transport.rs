//! What the IP header carries.

use super::{Family, Fragment, Meta, Packet, fragment, gre, icmp, proto, sctp, tcp, udp};
use crate::Reason;

/// IPv6: nothing follows.
const NO_NEXT_HEADER: u8 = network_types::ip::IpProto::Ipv6NoNxt as u8;

/// Reads the transport header, if the packet has one: later fragments do not.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    clear(meta);
    if meta.fragment == Fragment::Later {
        return fragment::check_later(meta);
    }
    match meta.proto {
        proto::TCP => tcp::parse(packet, meta),
        proto::UDP => udp::parse(packet, meta),
        proto::ICMP if meta.family == Family::V4 => icmp::parse(packet, meta),
        proto::ICMPV6 if meta.family == Family::V6 => icmp::parse(packet, meta),
        // The other family's ICMP: conntrack cannot invert such a tuple.
        proto::ICMP | proto::ICMPV6 => Err(Reason::NoTransport),
        proto::GRE => gre::parse(packet, meta),
        proto::SCTP => sctp::parse(packet, meta),
        proto::UDPLITE => udp::parse_lite(packet, meta),
        NO_NEXT_HEADER if meta.family == Family::V6 => Err(Reason::NoTransport),
        _ => Ok(()),
    }
}

/// Clears what only some headers have.
#[inline(always)]
pub(super) fn clear(meta: &mut Meta) {
    meta.sport = 0;
    meta.dport = 0;
    meta.icmp_type = 0;
    meta.icmp_code = 0;
    meta.gre_version = 0;
}

/// The first `N` bytes of the transport header.
#[inline(always)]
pub(super) fn header<const N: usize, P: Packet + ?Sized>(
    packet: &P,
    meta: &Meta,
) -> Result<[u8; N], Reason> {
    if usize::from(meta.l4_len) < N {
        return Err(truncated(meta));
    }
    packet
        .read(meta.l4_start())
        .ok_or(Reason::TruncatedTransport)
}

/// The packet ends within its transport header. In a first fragment that is an attack: the rest is
/// in the next one, where no filter looks (RFC 1858, RFC 7112).
#[inline(always)]
pub(super) fn truncated(meta: &Meta) -> Reason {
    match meta.fragment {
        Fragment::First => Reason::TinyFragment,
        _ => Reason::TruncatedTransport,
    }
}

#[cfg(test)]
mod tests {
    use crate::wire::testing::{accept, v4, v6};

    #[test]
    fn protocols_without_ports_may_hold_anything() {
        // ESP, AH and DCCP (which conntrack no longer knows); IPIP; "no next header" in IPv4.
        for proto in [50, 51, 33, 4, 59] {
            for payload in [&[][..], &[0xff; 40]] {
                let meta = accept(&v4(proto, payload));
                assert_eq!((meta.proto, meta.sport, meta.dport), (proto, 0, 0));
                assert_eq!((meta.icmp_type, meta.icmp_code), (0, 0));
            }
        }
        assert_eq!(accept(&v6(50, &[])).proto, 50);
    }
}
