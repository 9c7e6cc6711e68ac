//! IPv6 (RFC 8200) and its chain of extension headers.

use network_types::ip::{IpProto, Ipv6Hdr};

use super::layout::{be16, byte, field};
use super::{Family, Fragment, MAX_OFFSET, Meta, Packet, forget, fragment, meta_flags};
use crate::Reason;

const HOP_BY_HOP: u8 = IpProto::HopOpt as u8;
const ROUTING: u8 = IpProto::Ipv6Route as u8;
const FRAGMENT: u8 = IpProto::Ipv6Frag as u8;
const AUTHENTICATION: u8 = IpProto::Ah as u8;
const DESTINATION_OPTIONS: u8 = IpProto::Ipv6Opts as u8;

/// Extension headers that are followed. RFC 8200 §4.1 recommends an order in which six is all that
/// a packet can have.
const MAX_HEADERS: usize = 6;
/// The part of an extension header that says how long it is; all of a fragment header.
const MIN_EXTENSION: usize = 8;

/// Reads the header at `meta.l3_offset` and the extension headers behind it (`ip6_rcv_core`,
/// `ipv6_skip_exthdr`); `meta` is right up to the start of the transport header.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    let frame = packet.len();
    let offset = meta.l3_start();
    let raw: [u8; Ipv6Hdr::LEN] = packet.read(offset).ok_or(Reason::TruncatedIp)?;
    check_version(&raw)?;
    let payload = usize::from(be16!(raw, Ipv6Hdr, payload_len));
    let jumbo = payload == 0 && byte!(raw, Ipv6Hdr, next_hdr) == HOP_BY_HOP;
    // A jumbogram (RFC 2675) is longer than any frame here.
    if jumbo || offset + Ipv6Hdr::LEN + payload > frame {
        return Err(Reason::BadTotalLength);
    }
    if byte!(raw, Ipv6Hdr, hop_limit) == 0 {
        return Err(Reason::TtlZero);
    }
    fill(meta, &raw, offset);
    meta.l4_len = payload as u16;
    walk(packet, meta)
}

/// Whether the version field says 6.
#[inline(always)]
pub(super) fn check_version(raw: &[u8; Ipv6Hdr::LEN]) -> Result<(), Reason> {
    let [first, ..]: [u8; 4] = field!(*raw, Ipv6Hdr, vcf);
    if first >> 4 == 6 {
        Ok(())
    } else {
        Err(Reason::BadVersion)
    }
}

/// Writes down what is the same for a packet and for one quoted in an ICMPv6 error. The transport
/// header, for now, is what follows the IPv6 header.
#[inline(always)]
pub(super) fn fill(meta: &mut Meta, raw: &[u8; Ipv6Hdr::LEN], offset: usize) {
    meta.family = Family::V6;
    meta.flags = 0;
    fragment::none(meta);
    meta.l4_offset = (offset + Ipv6Hdr::LEN) as u16;
    // Longer than 65535 by at most the header itself; only loopback could carry that.
    meta.l3_len = be16!(*raw, Ipv6Hdr, payload_len).saturating_add(Ipv6Hdr::LEN as u16);
    meta.proto = byte!(*raw, Ipv6Hdr, next_hdr);
    meta.ttl = byte!(*raw, Ipv6Hdr, hop_limit);
    meta.src = field!(*raw, Ipv6Hdr, src_addr);
    meta.dst = field!(*raw, Ipv6Hdr, dst_addr);
}

/// Follows the chain that starts with a header of type `proto` at `l4_offset`, of which `l4_len`
/// bytes are left; these three move on with it. Sets all about fragments.
#[inline(always)]
pub(super) fn walk<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    for index in 0..=MAX_HEADERS {
        forget(meta);
        let kind = meta.proto;
        if !is_extension(kind) || meta.fragment == Fragment::Later {
            return Ok(());
        }
        if index == MAX_HEADERS || (kind == HOP_BY_HOP && index != 0) {
            break;
        }
        step(packet, meta, kind)?;
    }
    Err(Reason::BadExtensionHeaders)
}

/// Goes over the extension header of type `kind` at `l4_offset`.
#[inline(always)]
fn step<P: Packet + ?Sized>(packet: &P, meta: &mut Meta, kind: u8) -> Result<(), Reason> {
    let (offset, left) = (meta.l4_start(), usize::from(meta.l4_len));
    if left < MIN_EXTENSION {
        return Err(truncated(meta));
    }
    let raw: [u8; MIN_EXTENSION] = packet.read(offset).ok_or(Reason::BadExtensionHeaders)?;
    let len = extension(meta, kind, &raw, left)?;
    if len > left {
        return Err(truncated(meta));
    }
    if offset + len > MAX_OFFSET {
        return Err(Reason::BadExtensionHeaders);
    }
    [meta.proto, ..] = raw;
    meta.l4_offset = (offset + len) as u16;
    meta.l4_len = (left - len) as u16;
    Ok(())
}

/// Mobility, HIP and shim6 are protocols of their own here, as they are to conntrack.
#[inline(always)]
const fn is_extension(next: u8) -> bool {
    matches!(
        next,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS
    )
}

/// RFC 7112: the whole chain has to be in the first fragment.
#[inline(always)]
fn truncated(meta: &Meta) -> Reason {
    match meta.fragment {
        Fragment::First => Reason::TinyFragment,
        _ => Reason::BadExtensionHeaders,
    }
}

/// Length of one extension header of type `kind`, of which `raw` is the start; `left` bytes of the
/// packet start with it.
#[inline(always)]
fn extension(
    meta: &mut Meta,
    kind: u8,
    raw: &[u8; MIN_EXTENSION],
    left: usize,
) -> Result<usize, Reason> {
    let [_, len, a, b, id @ ..] = *raw;
    let units = usize::from(len);
    match kind {
        FRAGMENT => {
            // A second one would hide what the first was checked for.
            if meta.flags & meta_flags::FRAGMENT_HEADER != 0 {
                return Err(Reason::BadExtensionHeaders);
            }
            let field = u16::from_be_bytes([a, b]);
            let (at, more) = (field & fragment::V6_OFFSET, field & fragment::V6_MORE != 0);
            let data = left - MIN_EXTENSION;
            fragment::classify(meta, u32::from_be_bytes(id), at, more, data)?;
            meta.flags |= meta_flags::FRAGMENT_HEADER;
            Ok(MIN_EXTENSION)
        }
        // The first header's length is in units of 4 bytes, unlike all others (RFC 4302 §2.2).
        AUTHENTICATION => Ok((units + 2) * 4),
        ROUTING if a == 0 => Err(Reason::RoutingHeader0),
        ROUTING => Ok((units + 1) * 8),
        _ => {
            meta.flags |= meta_flags::OPTIONS;
            Ok((units + 1) * 8)
        }
    }
}
