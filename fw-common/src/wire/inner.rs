//! The packet that an ICMP error quotes.

use network_types::ip::{Ipv4Hdr, Ipv6Hdr};

use super::layout::{be16, byte};
use super::{
    Family, Fragment, MAX_L3_OFFSET, Meta, Packet, forget, fragment, icmp, ipv4, ipv6, proto,
    transport,
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
/// Of `inner`, these are set: family, addresses, protocol, TTL, offsets; ports, GRE's call id or
/// ICMP's type, code and identifier; `l3_len` as the quoted header says, `l4_len` as far as it is
/// quoted. Four bytes of ports are enough. Neither checksum nor length of the quoted header is
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
    *inner = Meta::default();
    let start = quote_offset(packet, outer)?;
    let end = transport::offset(outer) + usize::from(outer.l4_len);
    match outer.family {
        Family::V4 => read_v4(packet, start, end, inner)?,
        Family::V6 => read_v6(packet, start, end, inner)?,
    }
    if inner.fragment == Fragment::Later {
        return Err(Reason::Fragment);
    }
    forget();
    read_transport(packet, inner)
}

/// Where the quoted packet starts.
#[inline(always)]
fn quote_offset<P: Packet + ?Sized>(packet: &P, outer: &Meta) -> Result<usize, Reason> {
    let start = transport::offset(outer);
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
fn read_v4<P: Packet + ?Sized>(
    packet: &P,
    start: usize,
    end: usize,
    inner: &mut Meta,
) -> Result<(), Reason> {
    if start > MAX_L3_OFFSET || start + Ipv4Hdr::LEN > end {
        return Err(Reason::TruncatedIp);
    }
    let raw: [u8; Ipv4Hdr::LEN] = packet.read(start).ok_or(Reason::TruncatedIp)?;
    let ihl = ipv4::header_len(&raw)?;
    if start + ihl > end {
        return Err(Reason::BadIhl);
    }
    ipv4::fill(inner, &raw, start, ihl);
    inner.l4_len = (end - start - ihl) as u16;
    let frags = be16!(raw, Ipv4Hdr, frags);
    fragment::classify(
        inner,
        u32::from(be16!(raw, Ipv4Hdr, id)),
        (frags & fragment::V4_OFFSET) << 3,
        frags & fragment::V4_MORE != 0,
        0,
    )
}

#[inline(always)]
fn read_v6<P: Packet + ?Sized>(
    packet: &P,
    start: usize,
    end: usize,
    inner: &mut Meta,
) -> Result<(), Reason> {
    if start > MAX_L3_OFFSET || start + Ipv6Hdr::LEN > end {
        return Err(Reason::TruncatedIp);
    }
    let raw: [u8; Ipv6Hdr::LEN] = packet.read(start).ok_or(Reason::TruncatedIp)?;
    ipv6::check_version(&raw)?;
    ipv6::fill(inner, &raw, start);
    let next = byte!(raw, Ipv6Hdr, next_hdr);
    ipv6::walk(packet, inner, next, start + Ipv6Hdr::LEN, end)
}

/// Reads what a tuple needs of the quoted transport header.
#[inline(always)]
fn read_transport<P: Packet + ?Sized>(packet: &P, inner: &mut Meta) -> Result<(), Reason> {
    match inner.proto {
        proto::TCP | proto::UDP | proto::UDPLITE | proto::SCTP => {
            let [s0, s1, d0, d1] = transport::header(packet, inner)?;
            inner.sport = u16::from_be_bytes([s0, s1]);
            inner.dport = u16::from_be_bytes([d0, d1]);
            Ok(())
        }

        // The others need no more than a packet of their own: eight bytes of ICMP and of GRE version 1.
        _ => transport::parse(packet, inner),
    }
}
