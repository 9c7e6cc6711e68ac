//! IPv4 (RFC 791): what `ip_rcv_core` checks before anything else sees the packet.

use network_types::ip::Ipv4Hdr;

use super::layout::{be16, byte, bytes, field};
use super::{Family, Meta, Packet, checksum, fragment, meta_flags};
use crate::Reason;

/// Most words that options can have: a header has 60 bytes at most.
const MAX_OPTION_WORDS: usize = 10;

/// Reads the header at `meta.l3_offset`; `meta` is right up to the start of the transport header.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    let frame = packet.len();
    let offset = meta.l3_start();
    let raw: [u8; Ipv4Hdr::LEN] = packet.read(offset).ok_or(Reason::TruncatedIp)?;
    let ihl = header_len(&raw)?;
    if offset + ihl > frame {
        return Err(Reason::BadIhl);
    }
    verify_checksum(packet, offset, &raw, ihl)?;
    let total = usize::from(be16!(raw, Ipv4Hdr, tot_len));
    // The frame may be longer: Ethernet pads to 60 bytes.
    if total < ihl || offset + total > frame {
        return Err(Reason::BadTotalLength);
    }
    if byte!(raw, Ipv4Hdr, ttl) == 0 {
        return Err(Reason::TtlZero);
    }
    fill(meta, &raw, offset, ihl);
    meta.l4_len = (total - ihl) as u16;
    classify(meta, &raw, total - ihl)
}

/// Which fragment it is, with `len` bytes of data.
#[inline(always)]
pub(super) fn classify(
    meta: &mut Meta,
    raw: &[u8; Ipv4Hdr::LEN],
    len: usize,
) -> Result<(), Reason> {
    let frags = be16!(*raw, Ipv4Hdr, frags);
    let id = u32::from(be16!(*raw, Ipv4Hdr, id));
    let at = (frags & fragment::V4_OFFSET) << 3;
    fragment::classify(meta, id, at, frags & fragment::V4_MORE != 0, len)
}

/// Length of the header in bytes, 20–60, from its first byte.
#[inline(always)]
pub(super) fn header_len(raw: &[u8; Ipv4Hdr::LEN]) -> Result<usize, Reason> {
    let vihl = byte!(*raw, Ipv4Hdr, vihl);
    if vihl >> 4 != 4 {
        return Err(Reason::BadVersion);
    }
    let ihl = usize::from(vihl & 0x0f) * 4;
    if ihl < Ipv4Hdr::LEN {
        return Err(Reason::BadIhl);
    }
    Ok(ihl)
}

/// Writes down what is the same for a packet and for one quoted in an ICMP error.
#[inline(always)]
pub(super) fn fill(meta: &mut Meta, raw: &[u8; Ipv4Hdr::LEN], offset: usize, ihl: usize) {
    meta.family = Family::V4;
    meta.l4_offset = (offset + ihl) as u16;
    meta.l3_len = be16!(*raw, Ipv4Hdr, tot_len);
    meta.proto = byte!(*raw, Ipv4Hdr, proto);
    meta.ttl = byte!(*raw, Ipv4Hdr, ttl);
    meta.src = widen(field!(*raw, Ipv4Hdr, src_addr));
    meta.dst = widen(field!(*raw, Ipv4Hdr, dst_addr));
    meta.flags = if ihl > Ipv4Hdr::LEN {
        meta_flags::OPTIONS
    } else {
        0
    };
}

/// Written as arithmetic, so that it compiles to two stores instead of five.
#[inline(always)]
fn widen(addr: [u8; 4]) -> [u8; 16] {
    u128::from(u32::from_le_bytes(addr)).to_le_bytes()
}

/// The header's own checksum (RFC 1071), over all of its `ihl` bytes.
#[inline(always)]
fn verify_checksum<P: Packet + ?Sized>(
    packet: &P,
    offset: usize,
    raw: &[u8; Ipv4Hdr::LEN],
    ihl: usize,
) -> Result<(), Reason> {
    let mut sum =
        checksum::words(&bytes::<0, 16, _>(raw)) + checksum::words(&bytes::<16, 4, _>(raw));
    if ihl > Ipv4Hdr::LEN {
        let options = offset + Ipv4Hdr::LEN;
        for i in 0..MAX_OPTION_WORDS {
            if Ipv4Hdr::LEN + i * 4 >= ihl {
                break;
            }
            let word: [u8; 4] = packet.read(options + i * 4).ok_or(Reason::BadIhl)?;
            sum += checksum::words(&word);
        }
    }
    if checksum::is_valid(sum) {
        Ok(())
    } else {
        Err(Reason::BadIpChecksum)
    }
}
