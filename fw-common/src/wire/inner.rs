//! The packet that an ICMP error quotes.

use network_types::ip::{Ipv4Hdr, Ipv6Hdr};

use super::{
    Family, Fragment, MAX_L3_OFFSET, Meta, Packet, forget, icmp, ipv4, ipv6, proto, transport,
};
use crate::Reason;

/// ICMPv6 redirect (RFC 4861 §4.5): no error, but it may quote a packet too.
const REDIRECT: u8 = 137;
/// Header, target and destination address of a redirect.
const REDIRECT_LEN: usize = 40;
/// Option of a redirect: the start of the packet that was sent astray.
const REDIRECTED_HEADER: u8 = 4;
/// What comes before the packet in that option.
const OPTION_LEN: usize = 8;

/// Whether this message may quote a packet: [`inner`] will tell. `meta` is of ICMP or ICMPv6. A later
/// fragment has no type.
#[must_use]
#[inline(always)]
pub fn quotes(meta: &Meta) -> bool {
    let error = crate::icmp::is_error(meta.family, meta.icmp_type);
    let redirect = meta.family == Family::V6 && meta.icmp_type == REDIRECT;
    (error || redirect) && meta.fragment != Fragment::Later
}

/// Reads the packet quoted by the ICMP or ICMPv6 message `outer` (`nf_conntrack_inet_error`,
/// `nf_conntrack_icmpv6_redirect`).
///
/// `inner` is written as by [`parse`](super::parse), but for this: `tcp` is not, `vlan` is 0, `l3_len`
/// is what the quoted header says and `l4_len` as much as is quoted. Four bytes of ports are enough. Neither checksum nor length of the quoted header is
/// verified: routers on the way may have changed and cut it.
///
/// # Errors
/// [`Reason::UnrelatedIcmpError`] if the quote cannot be a packet of a flow: cut too short, a later
/// fragment, another IP version, a redirect that no router on the link may have sent.
#[inline(always)]
pub fn inner<P: Packet + ?Sized>(packet: &P, outer: &Meta, inner: &mut Meta) -> Result<(), Reason> {
    read(packet, outer, inner).map_err(|_| Reason::UnrelatedIcmpError)
}

#[inline(always)]
fn read<P: Packet + ?Sized>(packet: &P, outer: &Meta, inner: &mut Meta) -> Result<(), Reason> {
    // No path is remembered by which the caller got here.
    let outer = core::hint::black_box(outer);
    let start = quote_offset(packet, outer)?;
    let end = outer.l4_start() + usize::from(outer.l4_len);
    // What was looked at to find the start may have been padding: then the packet ended before it.
    if start > MAX_L3_OFFSET || start > end {
        return Err(Reason::TruncatedTransport);
    }
    inner.vlan = [0; 2];
    inner.l3_offset = start as u16;
    // All that is quoted; the headers take their part of it.
    inner.l4_len = (end - start) as u16;
    forget(inner);
    match outer.family {
        Family::V4 => read_v4(packet, inner)?,
        Family::V6 => read_v6(packet, inner)?,
    }
    if inner.fragment == Fragment::Later {
        return Err(Reason::Fragment);
    }
    forget(inner);
    read_transport(packet, inner)
}

/// Where the quoted packet starts.
#[inline(always)]
fn quote_offset<P: Packet + ?Sized>(packet: &P, outer: &Meta) -> Result<usize, Reason> {
    let start = outer.l4_start();
    if outer.family == Family::V6 && outer.icmp_type == REDIRECT {
        check_redirect(outer)?;
        let [kind, len] = packet
            .read(start + REDIRECT_LEN)
            .ok_or(Reason::TruncatedTransport)?;
        if kind != REDIRECTED_HEADER || len == 0 {
            return Err(Reason::BadTransportHeader);
        }
        return Ok(start + REDIRECT_LEN + OPTION_LEN);
    }
    Ok(start + icmp::LEN)
}

/// Redirects come from a router on the same link, or they are forged (RFC 4861 §8.1).
#[inline(always)]
fn check_redirect(outer: &Meta) -> Result<(), Reason> {
    let [a, b, ..] = outer.src;
    let link_local = a == 0xfe && b & 0xc0 == 0x80;
    if outer.icmp_code != 0 || outer.ttl != 255 || !link_local {
        return Err(Reason::BadIcmpType);
    }
    Ok(())
}

#[inline(always)]
fn read_v4<P: Packet + ?Sized>(packet: &P, inner: &mut Meta) -> Result<(), Reason> {
    let (start, quoted) = (inner.l3_start(), usize::from(inner.l4_len));
    let raw: [u8; Ipv4Hdr::LEN] = packet.read(start).ok_or(Reason::TruncatedIp)?;
    let ihl = ipv4::header_len(&raw)?;
    if ihl > quoted {
        return Err(Reason::BadIhl);
    }
    ipv4::fill(inner, &raw, start, ihl);
    inner.l4_len = (quoted - ihl) as u16;
    ipv4::classify(inner, &raw, 0)
}

#[inline(always)]
fn read_v6<P: Packet + ?Sized>(packet: &P, inner: &mut Meta) -> Result<(), Reason> {
    let (start, quoted) = (inner.l3_start(), usize::from(inner.l4_len));
    if quoted < Ipv6Hdr::LEN {
        return Err(Reason::TruncatedIp);
    }
    let raw: [u8; Ipv6Hdr::LEN] = packet.read(start).ok_or(Reason::TruncatedIp)?;
    ipv6::check_version(&raw)?;
    ipv6::fill(inner, &raw, start);
    inner.l4_len = (quoted - Ipv6Hdr::LEN) as u16;
    ipv6::walk(packet, inner)
}

/// Reads what a tuple needs of the quoted transport header.
#[inline(always)]
fn read_transport<P: Packet + ?Sized>(packet: &P, inner: &mut Meta) -> Result<(), Reason> {
    match inner.proto {
        proto::TCP | proto::UDP | proto::UDPLITE | proto::SCTP => {
            transport::clear(inner);
            let [s0, s1, d0, d1] = transport::header(packet, inner)?;
            inner.sport = u16::from_be_bytes([s0, s1]);
            inner.dport = u16::from_be_bytes([d0, d1]);
            Ok(())
        }
        // The others need no more than a packet of their own: eight bytes of ICMP.
        _ => transport::parse(packet, inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing::{
        L3, LEFTOVERS, V4_DST, V4_SRC, V6_DST, accept, extension, fragment, tcp, udp, v4,
        v4_fragment, v4_options, v6,
    };
    use crate::wire::{Family, Fragment};

    const UNREACHABLE: [u8; 8] = [3, 1, 0, 0, 0, 0, 0, 0];
    const TOO_BIG: [u8; 8] = [2, 0, 0, 0, 0, 0, 5, 0];
    const ECHO: [u8; 8] = [8, 0, 0, 0, 0x12, 0x34, 0, 1];

    /// The IP packet in a frame.
    fn packet(frame: &[u8]) -> &[u8] {
        &frame[L3..]
    }

    /// An ICMP error that quotes `packet`.
    fn error4(packet: &[u8]) -> Vec<u8> {
        v4(1, &[&UNREACHABLE, packet].concat())
    }

    /// An ICMPv6 error that quotes `packet`.
    fn error6(packet: &[u8]) -> Vec<u8> {
        v6(58, &[&TOO_BIG, packet].concat())
    }

    fn quote(frame: &[u8]) -> Result<Meta, Reason> {
        let outer = accept(frame);
        assert!(quotes(&outer));
        let mut quoted = LEFTOVERS;
        inner(frame, &outer, &mut quoted)?;
        Ok(quoted)
    }

    const UNRELATED: Result<Meta, Reason> = Err(Reason::UnrelatedIcmpError);

    #[test]
    fn quoted_ipv4_packet() {
        let quoted = quote(&error4(packet(&v4(17, &udp(b"data"))))).unwrap();
        assert_eq!((quoted.family, quoted.proto), (Family::V4, 17));
        assert_eq!(
            (&quoted.src[..4], &quoted.dst[..4]),
            (&V4_SRC[..], &V4_DST[..])
        );
        assert_eq!((quoted.sport, quoted.dport), (1000, 53));
        assert_eq!((quoted.l3_offset, quoted.l4_offset), (42, 62));
        assert_eq!((quoted.l3_len, quoted.l4_len), (32, 12));
        assert_eq!((quoted.vlan, quoted.flags), ([0; 2], 0));
    }

    #[test]
    fn quoted_ipv6_packet() {
        let quoted = quote(&error6(packet(&v6(6, &tcp(0x10, &[], &[]))))).unwrap();
        assert_eq!((quoted.family, quoted.proto), (Family::V6, 6));
        assert_eq!(quoted.dst, V6_DST);
        assert_eq!((quoted.sport, quoted.dport), (1000, 80));
        assert_eq!((quoted.l3_offset, quoted.l4_offset), (62, 102));
        assert_eq!((quoted.l3_len, quoted.l4_len), (60, 20));
    }

    #[test]
    fn four_bytes_of_ports_are_enough() {
        for proto in [6, 17, 132, 136] {
            let frame = v4(proto, &tcp(0x10, &[], &[]));
            for len in 0..8 {
                let verdict = quote(&error4(&packet(&frame)[..20 + len]));
                if len < 4 {
                    assert_eq!(verdict, UNRELATED, "{proto} {len}");
                } else {
                    let quoted = verdict.unwrap();
                    assert_eq!((quoted.sport, quoted.dport), (1000, 80));
                    assert_eq!(usize::from(quoted.l4_len), len);
                }
            }
        }
    }

    #[test]
    fn icmp_needs_eight_bytes_and_so_does_a_call_id() {
        let pptp = v4(47, &[0x30, 1, 0x88, 0x0b, 0, 0, 0, 9]);
        for len in 4..8 {
            let echo = quote(&error4(&packet(&v4(1, &ECHO))[..20 + len]));
            assert_eq!(echo, UNRELATED, "{len}");
            let call = quote(&error4(&packet(&pptp)[..20 + len])).unwrap();
            assert_eq!(call.dport, 0, "{len}");
        }
        let echo = quote(&error4(packet(&v4(1, &ECHO)))).unwrap();
        assert_eq!((echo.icmp_type, echo.icmp_code, echo.sport), (8, 0, 0x1234));
        let call = quote(&error4(packet(&pptp))).unwrap();
        assert_eq!((call.gre_version, call.dport), (1, 9));
        let echo = quote(&error6(packet(&v6(58, &ECHO)))).unwrap();
        assert_eq!((echo.icmp_type, echo.sport), (8, 0x1234));
    }

    #[test]
    fn protocols_without_ports_need_nothing() {
        let quoted = quote(&error4(packet(&v4(50, &[])))).unwrap();
        assert_eq!((quoted.proto, quoted.l4_len), (50, 0));
        assert_eq!((quoted.sport, quoted.dport, quoted.icmp_type), (0, 0, 0));
    }

    #[test]
    fn quote_cut_within_its_ip_header() {
        let four = v4_options(17, &[1; 8], &udp(&[]));
        for len in 0..28 {
            assert_eq!(quote(&error4(&packet(&four)[..len])), UNRELATED, "{len}");
        }
        let six = v6(17, &udp(&[]));
        for len in 0..40 {
            assert_eq!(quote(&error6(&packet(&six)[..len])), UNRELATED, "{len}");
        }
    }

    #[test]
    fn quote_ends_with_the_outer_packet_not_with_the_frame() {
        for mut frame in [
            error4(&packet(&v4(17, &udp(&[])))[..20]),
            error6(&packet(&v6(17, &udp(&[])))[..40]),
        ] {
            frame.extend([0; 40]);
            assert_eq!(quote(&frame), UNRELATED);
        }
    }

    #[test]
    fn options_and_extension_headers_are_followed() {
        let four = v4_options(17, &[1; 40], &udp(&[]));
        assert_eq!(quote(&error4(packet(&four))).unwrap().dport, 53);
        let payload = [&extension(60)[..], &extension(17), &udp(&[])].concat();
        let six = v6(0, &payload);
        let quoted = quote(&error6(packet(&six))).unwrap();
        assert_eq!((quoted.proto, quoted.dport), (17, 53));
    }

    #[test]
    fn quoted_checksum_and_length_are_not_verified() {
        let mut frame = error4(packet(&v4(17, &udp(&[]))));
        // Total length, identification, TTL, checksum.
        for at in [2, 3, 4, 8, 10] {
            frame[L3 + 28 + at] = 0xff;
        }
        let quoted = quote(&frame).unwrap();
        assert_eq!(
            (quoted.dport, quoted.l3_len, quoted.l4_len),
            (53, 0xffff, 8)
        );
    }

    #[test]
    fn quoted_version_is_verified() {
        let six = v6(17, &udp(&[]));
        let four = v4(17, &udp(&[0; 40]));
        assert_eq!(quote(&error4(packet(&six))), UNRELATED);
        assert_eq!(quote(&error6(packet(&four))), UNRELATED);
        let mut short = four.clone();
        short[L3] = 0x44;
        assert_eq!(quote(&error4(packet(&short))), UNRELATED);
    }

    #[test]
    fn quoted_fragments() {
        let first = v4_fragment(17, 0x2000, &udp(&[0; 8]));
        let quoted = quote(&error4(packet(&first))).unwrap();
        assert_eq!((quoted.fragment, quoted.dport), (Fragment::First, 53));
        let later = v4_fragment(17, 0x0002, &udp(&[0; 8]));
        assert_eq!(quote(&error4(packet(&later))), UNRELATED);
        let payload = [&fragment(17, 8)[..], &udp(&[])].concat();
        assert_eq!(quote(&error6(packet(&v6(44, &payload)))), UNRELATED);
    }

    #[test]
    fn other_familys_icmp_in_a_quote() {
        assert_eq!(quote(&error4(packet(&v4(58, &ECHO)))), UNRELATED);
        assert_eq!(quote(&error6(packet(&v6(1, &ECHO)))), UNRELATED);
        assert_eq!(quote(&error6(packet(&v6(59, &[])))), UNRELATED);
    }

    /// A redirect from the link-local router, with `option` of this kind and length around a packet.
    fn redirect(kind: u8, units: u8) -> Vec<u8> {
        let quoted = v6(17, &udp(&[]));
        let mut message = vec![137, 0, 0, 0, 0, 0, 0, 0];
        message.extend([0xfe; 32]);
        message.extend([kind, units, 0, 0, 0, 0, 0, 0]);
        message.extend(packet(&quoted));
        let mut frame = v6(58, &message);
        frame[L3 + 7] = 255;
        frame[L3 + 8..L3 + 10].copy_from_slice(&[0xfe, 0x80]);
        frame
    }

    #[test]
    fn redirect_quotes_in_an_option() {
        let quoted = quote(&redirect(4, 7)).unwrap();
        assert_eq!((quoted.dst, quoted.dport), (V6_DST, 53));
        assert_eq!(quote(&redirect(4, 0)), UNRELATED);
        assert_eq!(quote(&redirect(2, 1)), UNRELATED);
    }

    #[test]
    fn redirect_from_elsewhere_is_forged() {
        let good = redirect(4, 7);
        for (at, value) in [(L3 + 7, 254), (L3 + 8, 0x20), (L3 + 9, 0xc0), (L3 + 41, 1)] {
            let mut frame = good.clone();
            frame[at] = value;
            assert_eq!(quote(&frame), UNRELATED, "byte {at}");
        }
    }

    #[test]
    fn redirect_cut_short() {
        let good = redirect(4, 7);
        for len in 8..good.len() - L3 - 40 - 4 {
            let mut frame = good[..L3 + 40 + len].to_vec();
            frame[L3 + 4..L3 + 6].copy_from_slice(&(len as u16).to_be_bytes());
            assert_eq!(quote(&frame), UNRELATED, "{len}");
        }
    }

    #[test]
    fn queries_quote_nothing() {
        assert!(!quotes(&accept(&v4(1, &ECHO))));
        assert!(!quotes(&accept(&v6(58, &[128, 0, 0, 0, 0, 1, 0, 1]))));
        // ICMPv6's number of the redirect.
        assert!(!quotes(&accept(&v4(1, &[137, 0, 0, 0, 0, 1, 0, 1]))));
        let later = [&fragment(58, 8)[..], &[0; 8]].concat();
        assert!(!quotes(&accept(&v6(44, &later))));
    }
}
