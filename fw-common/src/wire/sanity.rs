//! Addresses that no packet on a wire may have.
//!
//! The host's stack drops such packets too, but later (`ip_route_input_slow`, `ip6_rcv_core`): they
//! must neither make a flow nor change one.

use super::layout::bytes;
use super::{Family, Meta, meta_flags, proto};
use crate::Reason;

/// Checks source and destination; sets [`meta_flags::MULTICAST`].
///
/// # Errors
/// [`Reason::MartianSource`], [`Reason::MartianDestination`], [`Reason::SourceIsDestination`].
#[inline(always)]
pub fn check(meta: &mut Meta) -> Result<(), Reason> {
    let multicast = match meta.family {
        Family::V4 => check_v4(meta)?,
        Family::V6 => check_v6(meta)?,
    };
    if multicast {
        meta.flags |= meta_flags::MULTICAST;
    }
    Ok(())
}

const V4_BROADCAST: u32 = u32::MAX;

/// Whether the destination is a multicast group or everybody.
#[inline(always)]
fn check_v4(meta: &Meta) -> Result<bool, Reason> {
    let source = u32::from_be_bytes(bytes::<0, 4, _>(&meta.src));
    let target = u32::from_be_bytes(bytes::<0, 4, _>(&meta.dst));
    let multicast = target >> 28 == 0xe;
    let broadcast = target == V4_BROADCAST;
    match source >> 24 {
        0 if !(source == 0 && may_be_unspecified(meta, target)) => {
            return Err(Reason::MartianSource);
        }
        // Loopback; multicast, class E and broadcast.
        127 | 224.. => return Err(Reason::MartianSource),
        _ => {}
    }
    match target >> 24 {
        0 | 127 => return Err(Reason::MartianDestination),
        240.. if !broadcast => return Err(Reason::MartianDestination),
        _ => {}
    }
    if source == target {
        return Err(Reason::SourceIsDestination);
    }
    Ok(multicast || broadcast)
}

/// A host without an address: DHCP to everybody (RFC 2131), IGMP (RFC 3376 §4.2.13) and other
/// protocols of the link (`ip_mc_validate_source`).
#[inline(always)]
const fn may_be_unspecified(meta: &Meta, target: u32) -> bool {
    target == V4_BROADCAST
        || target >> 8 == 0x00e0_0000
        || (target >> 28 == 0xe && meta.proto == proto::IGMP)
}

/// IPv4-mapped addresses, `::ffff:0:0/96`: the upper 96 bits as a number.
const V4_MAPPED: u128 = 0xffff;
/// The address `::1`.
const V6_LOOPBACK: u128 = 1;

/// Whether the destination is a multicast group.
#[inline(always)]
fn check_v6(meta: &Meta) -> Result<bool, Reason> {
    let source = u128::from_be_bytes(meta.src);
    let target = u128::from_be_bytes(meta.dst);
    let multicast = is_multicast(target);
    if is_multicast(source) || never_on_wire(source) {
        return Err(Reason::MartianSource);
    }
    // No address yet: duplicate address detection and MLD, to groups only (RFC 4291 §2.5.2).
    if source == 0 && !multicast {
        return Err(Reason::MartianSource);
    }
    if target == 0 || never_on_wire(target) || (multicast && is_confined(target)) {
        return Err(Reason::MartianDestination);
    }
    if source == target {
        return Err(Reason::SourceIsDestination);
    }
    Ok(multicast)
}

#[inline(always)]
const fn is_multicast(addr: u128) -> bool {
    addr >> 120 == 0xff
}

#[inline(always)]
const fn never_on_wire(addr: u128) -> bool {
    addr == V6_LOOPBACK || addr >> 32 == V4_MAPPED
}

/// A group of scope 0 (reserved) or 1 (within one interface), RFC 4291 §2.7.
#[inline(always)]
const fn is_confined(group: u128) -> bool {
    (group >> 112) & 0xf <= 1
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::wire::testing::{LEFTOVERS, V4_DST, V4_SRC, fix_ipv4, read, udp, v4};

    /// What [`check`] says of a packet of protocol `proto`, and whether it set the flag.
    fn judge4(src: &str, dst: &str, proto: u8) -> Result<bool, Reason> {
        let wide = |addr: &str| {
            let mut wide = [0; 16];
            wide[..4].copy_from_slice(&addr.parse::<Ipv4Addr>().unwrap().octets());
            wide
        };
        judge(Family::V4, wide(src), wide(dst), proto)
    }

    fn judge6(src: &str, dst: &str) -> Result<bool, Reason> {
        let octets = |addr: &str| addr.parse::<Ipv6Addr>().unwrap().octets();
        judge(Family::V6, octets(src), octets(dst), 17)
    }

    fn judge(family: Family, src: [u8; 16], dst: [u8; 16], proto: u8) -> Result<bool, Reason> {
        let mut meta = Meta {
            src,
            dst,
            family,
            proto,
            flags: 0,
            ..LEFTOVERS
        };
        check(&mut meta)?;
        Ok(meta.flags & meta_flags::MULTICAST != 0)
    }

    #[test]
    fn ordinary_addresses_pass() {
        for (src, dst) in [
            ("10.0.0.1", "8.8.8.8"),
            ("192.168.1.255", "10.0.0.255"),
            ("169.254.1.1", "169.254.1.2"),
            ("1.0.0.0", "223.255.255.255"),
            ("126.255.255.255", "128.0.0.0"),
        ] {
            assert_eq!(judge4(src, dst, 6), Ok(false), "{src} -> {dst}");
        }
        for (src, dst) in [
            ("2001:db8::1", "2001:db8::2"),
            ("fe80::1", "fe80::2"),
            ("fd00::1", "64:ff9b::1.2.3.4"),
            ("::2", "2001:db8::"),
        ] {
            assert_eq!(judge6(src, dst), Ok(false), "{src} -> {dst}");
        }
    }

    #[test]
    fn groups_and_broadcast_are_multicast() {
        for dst in ["224.0.0.1", "239.255.255.255", "255.255.255.255"] {
            assert_eq!(judge4("10.0.0.1", dst, 17), Ok(true), "{dst}");
        }
        for dst in ["ff02::1", "ff0e::1234", "ff12::1"] {
            assert_eq!(judge6("fe80::1", dst), Ok(true), "{dst}");
        }
    }

    #[test]
    fn martian_ipv4_sources() {
        for src in [
            "0.0.0.0",
            "0.0.0.1",
            "0.255.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.254",
            "255.255.255.255",
        ] {
            let verdict = judge4(src, "10.0.0.1", 17);
            assert_eq!(verdict, Err(Reason::MartianSource), "{src}");
        }
    }

    #[test]
    fn host_without_an_address_may_speak_to_the_link_only() {
        // DHCP; IGMP; the link's own groups.
        for (dst, proto) in [
            ("255.255.255.255", 17),
            ("239.1.2.3", 2),
            ("224.0.0.251", 17),
        ] {
            assert_eq!(judge4("0.0.0.0", dst, proto), Ok(true), "{dst}");
        }
        for (src, dst) in [
            ("0.0.0.0", "239.1.2.3"),
            ("0.0.0.0", "224.0.1.1"),
            ("0.0.0.1", "255.255.255.255"),
            ("0.0.0.0", "0.0.0.0"),
        ] {
            let verdict = judge4(src, dst, 17);
            assert_eq!(verdict, Err(Reason::MartianSource), "{src} -> {dst}");
        }
    }

    #[test]
    fn martian_ipv4_destinations() {
        for dst in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "240.0.0.1",
            "255.255.255.254",
        ] {
            let verdict = judge4("10.0.0.1", dst, 17);
            assert_eq!(verdict, Err(Reason::MartianDestination), "{dst}");
        }
    }

    #[test]
    fn source_that_is_the_destination() {
        let land = Err(Reason::SourceIsDestination);
        assert_eq!(judge4("10.0.0.1", "10.0.0.1", 6), land);
        assert_eq!(judge6("2001:db8::1", "2001:db8::1"), land);
    }

    #[test]
    fn martian_ipv6_sources() {
        for src in ["ff02::1", "ff00::", "::1", "::ffff:10.0.0.1", "::"] {
            let verdict = judge6(src, "2001:db8::1");
            assert_eq!(verdict, Err(Reason::MartianSource), "{src}");
        }
        // Duplicate address detection, MLD.
        assert_eq!(judge6("::", "ff02::1:ff00:1"), Ok(true));
        assert_eq!(judge6("::1", "ff02::1"), Err(Reason::MartianSource));
    }

    #[test]
    fn martian_ipv6_destinations() {
        for dst in [
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "ff00::1",
            "ff01::1",
            "ff11::1",
        ] {
            let verdict = judge6("2001:db8::1", dst);
            assert_eq!(verdict, Err(Reason::MartianDestination), "{dst}");
        }
    }

    #[test]
    fn parsing_checks_the_addresses_before_the_transport_header() {
        let mut frame = v4(17, &udp(&[])[..4]);
        let at = frame.windows(4).position(|w| w == V4_DST).unwrap();
        frame[at..at + 4].copy_from_slice(&V4_SRC);
        fix_ipv4(&mut frame);
        assert_eq!(read(&frame).0, Err(Reason::SourceIsDestination));
    }
}
