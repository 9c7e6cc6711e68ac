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
    meta.first_word = u32::from_be_bytes(bytes::<0, 4, _>(raw));
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
pub(super) fn verify_checksum<P: Packet + ?Sized>(
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

#[cfg(test)]
mod tests {
    use crate::Reason;
    use crate::verdict::Kind;
    use crate::wire::testing::{
        L3, L4, V4_DST, V4_SRC, accept, fix_ipv4, read, refuse, tcp, udp, v4, v4_fragment,
        v4_options,
    };
    use crate::wire::{Family, Fragment, meta_flags};

    #[test]
    fn header_without_options() {
        let meta = accept(&v4(17, &udp(b"data")));
        assert_eq!(meta.family, Family::V4);
        assert_eq!(meta.src[..4], V4_SRC);
        assert_eq!(meta.dst[..4], V4_DST);
        assert_eq!((meta.src[4..].iter()).chain(&meta.dst[4..]).max(), Some(&0));
        assert_eq!((meta.l3_offset, meta.l4_offset), (14, 34));
        assert_eq!((meta.l3_len, meta.l4_len), (32, 12));
        assert_eq!((meta.proto, meta.ttl, meta.flags), (17, 64, 0));
        assert_eq!((meta.fragment, meta.frag_id), (Fragment::Whole, 0));
    }

    #[test]
    fn options_move_the_transport_header() {
        for words in 1..=10 {
            let meta = accept(&v4_options(17, &vec![1; words * 4], &udp(&[])));
            assert_eq!(usize::from(meta.l4_offset), L4 + words * 4);
            assert_eq!((meta.l4_len, meta.dport), (8, 53));
            assert_eq!(meta.flags, meta_flags::OPTIONS);
        }
    }

    #[test]
    fn padding_is_not_part_of_the_packet() {
        let mut frame = v4(6, &tcp(0x10, &[], &[]));
        frame.resize(60, 0);
        let meta = accept(&frame);
        assert_eq!((meta.l3_len, meta.l4_len, meta.tcp.payload), (40, 20, 0));
    }

    #[test]
    fn truncated_at_every_byte() {
        let frame = v4_options(17, &[1; 8], &udp(b"data"));
        for len in L3..frame.len() {
            let reason = refuse(&frame[..len]);
            let expected = match len - L3 {
                0..20 => Reason::TruncatedIp,
                20..28 => Reason::BadIhl,
                _ => Reason::BadTotalLength,
            };
            assert_eq!(reason, expected, "{len}");
        }
    }

    #[test]
    fn any_wrong_bit_in_the_header_is_seen() {
        let frame = v4_options(17, &[1; 12], &udp(&[]));
        for bit in 0..32 * 8 {
            let mut frame = frame.clone();
            frame[L3 + bit / 8] ^= 0x80 >> (bit % 8);
            assert_eq!(refuse(&frame).kind(), Kind::Drop, "bit {bit}");
        }
        let mut frame = frame;
        frame[L3 + 31] ^= 1;
        assert_eq!(refuse(&frame), Reason::BadIpChecksum);
    }

    #[test]
    fn version_and_header_length() {
        let frame = v4(17, &udp(&[]));
        for (first, reason) in [
            (0x65, Reason::BadVersion),
            (0x05, Reason::BadVersion),
            (0x44, Reason::BadIhl),
            (0x40, Reason::BadIhl),
            (0x4f, Reason::BadIhl),
        ] {
            let mut frame = frame.clone();
            frame[L3] = first;
            assert_eq!(refuse(&frame), reason, "{first:#x}");
        }
    }

    #[test]
    fn total_length_below_the_header_or_beyond_the_frame() {
        for total in [0u16, 19, 29, 0xffff] {
            let mut frame = v4(17, &udp(&[]));
            frame[L3 + 2..L3 + 4].copy_from_slice(&total.to_be_bytes());
            fix_ipv4(&mut frame);
            assert_eq!(refuse(&frame), Reason::BadTotalLength, "{total}");
        }
    }

    #[test]
    fn ttl_zero() {
        let mut frame = v4(17, &udp(&[]));
        frame[L3 + 8] = 0;
        fix_ipv4(&mut frame);
        assert_eq!(refuse(&frame), Reason::TtlZero);
    }

    #[test]
    fn first_fragment_has_ports() {
        let meta = accept(&v4_fragment(17, 0x2000, &udp(&[0; 16])));
        assert_eq!(meta.fragment, Fragment::First);
        assert_eq!((meta.frag_id, meta.frag_offset), (0x1234, 0));
        assert_eq!((meta.l4_len, meta.dport), (24, 53));
        assert_eq!(meta.flags, meta_flags::MORE_FRAGMENTS);
    }

    #[test]
    fn later_fragment_has_none() {
        let meta = accept(&v4_fragment(17, 0x2000 | 3, &[0xff; 16]));
        assert_eq!(meta.fragment, Fragment::Later);
        assert_eq!((meta.frag_id, meta.frag_offset), (0x1234, 24));
        assert_eq!((meta.sport, meta.dport), (0, 0));
        assert_eq!(meta.flags, meta_flags::MORE_FRAGMENTS);
        let last = accept(&v4_fragment(17, 3, &[0xff; 3]));
        assert_eq!((last.fragment, last.flags), (Fragment::Later, 0));
    }

    #[test]
    fn fragment_beyond_the_largest_datagram() {
        // 65528 + 7 is the last byte there is.
        accept(&v4_fragment(17, 0x1fff, &[0; 7]));
        let frame = v4_fragment(17, 0x1fff, &[0; 8]);
        assert_eq!(refuse(&frame), Reason::BadTotalLength);
    }

    #[test]
    fn tcp_fragment_over_the_flags() {
        assert_eq!(refuse(&v4_fragment(6, 1, &[0; 16])), Reason::TinyFragment);
        // Of UDP the second eight bytes are payload.
        accept(&v4_fragment(17, 1, &[0; 16]));
    }

    #[test]
    fn first_fragment_must_hold_the_transport_header() {
        let udp = udp(&[0; 8]);
        for (proto, need) in [(6, 20), (17, 8), (1, 8), (136, 8)] {
            let mut header = [&udp[..], &[0; 16]].concat();
            header[12] = 0x50;
            for len in 0..need {
                let frame = v4_fragment(proto, 0x2000, &header[..len]);
                assert_eq!(refuse(&frame), Reason::TinyFragment, "{proto} {len}");
            }
            accept(&v4_fragment(proto, 0x2000, &header[..need]));
        }
    }

    #[test]
    fn invalid_transport_leaves_the_network_part_right() {
        let (result, meta) = read(&v4(6, &[0; 8]));
        assert_eq!(result, Err(Reason::TruncatedTransport));
        assert_eq!(meta.src[..4], V4_SRC);
        assert_eq!((meta.proto, meta.l3_len, meta.l4_len), (6, 28, 8));
    }
}
