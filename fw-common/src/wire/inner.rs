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

/// Whether this message may quote a packet: [`inner`] will tell. `meta` is of ICMP or ICMPv6.
#[must_use]
#[inline(always)]
pub fn quotes(meta: &Meta) -> bool {
    crate::icmp::is_error(meta.family, meta.icmp_type)
        || (meta.family == Family::V6 && meta.icmp_type == REDIRECT)
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
    if usize::from(outer.l4_len) < REDIRECT_LEN + OPTION_LEN {
        return Err(Reason::TruncatedTransport);
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
        // The others need no more than a packet of their own: eight bytes of ICMP, the same of GRE
        // version 1.
        _ => transport::parse(packet, inner),
    }
}
