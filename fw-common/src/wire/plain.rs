//! The packet that nearly all are, read at one glance.
//!
//! [`plain`] takes what [`super::parse`] would accept without a second thought and says nothing of anything
//! else: that is parsed. What it writes is what `parse` writes, field by field, which is what its tests prove.

use network_types::eth::EthHdr;
use network_types::ip::{Ipv4Hdr, Ipv6Hdr};

use super::layout::{be16, byte};
use super::{
    Meta, Packet, ethernet, ethertype, fragment, ipv4, ipv6, meta_flags, proto, sanity, tcp,
    transport, udp,
};

/// Version 4, and a header of five words.
const V4_NO_OPTIONS: u8 = 0x45;

/// Whether the packet is a whole one to a single host, in one piece of memory, untagged, without options or extension headers, with
/// a TTL or hop limit that it survives, and either UDP or a TCP segment of a connection that lasts: then all
/// of `meta` is written, but for `sctp`, and for `tcp` of a datagram. Else nothing in it means anything.
#[must_use]
#[inline(always)]
pub fn plain<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> bool {
    let Some(kind) = ethernet::untagged(packet) else {
        return false;
    };
    meta.l3_offset = EthHdr::LEN as u16;
    meta.vlan = [0; 2];
    fragment::none(meta);
    transport::clear(meta);
    let network = match kind {
        ethertype::IPV4 => plain4(packet, meta),
        ethertype::IPV6 => plain6(packet, meta),
        _ => None,
    };
    network.is_some()
        && meta.ttl > 1
        && sanity::check(meta).is_ok()
        && meta.flags & meta_flags::MULTICAST == 0
        && match meta.proto {
            proto::UDP => udp::parse(packet, meta).is_ok(),
            proto::TCP => tcp::plain(packet, meta),
            _ => false,
        }
}

#[inline(always)]
fn plain4<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Option<()> {
    const PARTS: u16 = fragment::V4_OFFSET | fragment::V4_MORE;
    let raw: [u8; Ipv4Hdr::LEN] = packet.read(EthHdr::LEN)?;
    let total = usize::from(be16!(raw, Ipv4Hdr, tot_len));
    if byte!(raw, Ipv4Hdr, vihl) != V4_NO_OPTIONS
        || be16!(raw, Ipv4Hdr, frags) & PARTS != 0
        || total < Ipv4Hdr::LEN
        || EthHdr::LEN + total > packet.linear_len()
    {
        return None;
    }
    ipv4::verify_checksum(packet, EthHdr::LEN, &raw, Ipv4Hdr::LEN).ok()?;
    ipv4::fill(meta, &raw, EthHdr::LEN, Ipv4Hdr::LEN);
    meta.l4_len = (total - Ipv4Hdr::LEN) as u16;
    Some(())
}

/// An extension header is a protocol that is neither TCP nor UDP.
#[inline(always)]
fn plain6<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Option<()> {
    let raw: [u8; Ipv6Hdr::LEN] = packet.read(EthHdr::LEN)?;
    ipv6::check_version(&raw).ok()?;
    let payload = usize::from(be16!(raw, Ipv6Hdr, payload_len));
    if EthHdr::LEN + Ipv6Hdr::LEN + payload > packet.linear_len() {
        return None;
    }
    ipv6::fill(meta, &raw, EthHdr::LEN);
    meta.l4_len = payload as u16;
    Some(())
}
