//! TCP (RFC 9293), its window scale (RFC 7323) and selective acknowledgement options (RFC 2018).

use core::mem::offset_of;

use network_types::tcp::TcpHdr;

use super::layout::{be16, be32, bytes};
use super::{Fragment, Meta, Packet, TcpSegment, forget, transport};
use crate::Reason;
use crate::tcp::{flags, header};

/// Most bytes that options can have: a header has 60 bytes at most.
const MAX_OPTIONS: usize = 40;
/// No cursor is beyond this.
const CURSOR_MASK: usize = 0x3f;
/// The largest window scale there is; who offers more is taken to mean this (RFC 7323 §2.3).
const MAX_WINDOW_SCALE: u8 = 14;
/// Most blocks that a SACK option has room for.
const MAX_SACK_BLOCKS: usize = 4;
/// Option block of nearly every segment: two NOPs, then a timestamp.
const TIMESTAMP_ONLY: [u8; 4] = [option::NOP, option::NOP, option::TIMESTAMP, 10];

/// Length of an option block that begins so.
const TIMESTAMP_LEN: usize = 12;

/// Length of a header with it.
const TIMESTAMPED: usize = TcpHdr::LEN + TIMESTAMP_LEN;

/// Option kinds.
mod option {
    pub(super) const END: u8 = 0;
    pub(super) const NOP: u8 = 1;
    pub(super) const WINDOW_SCALE: u8 = 3;
    pub(super) const SACK_PERMITTED: u8 = 4;
    pub(super) const SACK: u8 = 5;
    pub(super) const TIMESTAMP: u8 = 8;
}

/// Reads the header and, of the options, what conntrack needs.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    let header_len = fixed_part(packet, meta)?;
    options(packet, meta, header_len);
    Ok(())
}

/// The segment whose header without options is `raw`, at `at`, `len` bytes with it, if it only goes on: it
/// acknowledges, and nothing but a timestamp stands among its options. What is read is what [`parse`] reads.
#[inline(always)]
pub(super) fn plain<P: Packet + ?Sized>(
    packet: &P,
    raw: &[u8; TcpHdr::LEN],
    at: usize,
    len: u16,
) -> Option<TcpSegment> {
    const UNUSUAL: u8 = header::SYN | header::FIN | header::RST | header::URG;
    let (header_len, flags) = shape(raw);
    if flags & (UNUSUAL | header::ACK) != header::ACK || header_len > usize::from(len) {
        return None;
    }
    let cursor = match header_len {
        TcpHdr::LEN => 0,
        TIMESTAMPED if packet.read(at + TcpHdr::LEN) == Some(TIMESTAMP_ONLY) => TIMESTAMP_LEN,
        _ => return None,
    };
    Some(TcpSegment {
        cursor: cursor as u8,
        ..fixed(raw, flags, len.wrapping_sub(header_len as u16))
    })
}

/// The fixed part, whose length is returned with that of the options.
#[inline(always)]
fn fixed_part<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<usize, Reason> {
    let raw: [u8; TcpHdr::LEN] = transport::header(packet, meta)?;
    meta.sport = be16!(raw, TcpHdr, source);
    meta.dport = be16!(raw, TcpHdr, dest);
    let (header_len, flags) = shape(&raw);
    if header_len < TcpHdr::LEN {
        return Err(Reason::BadDataOffset);
    }
    let len = usize::from(meta.l4_len);
    if header_len > len {
        return Err(match meta.fragment {
            Fragment::First => Reason::TinyFragment,
            _ => Reason::BadDataOffset,
        });
    }
    meta.tcp = fixed(&raw, flags, (len - header_len) as u16);
    Ok(header_len)
}

/// Length of the header with its options, and the flags.
#[inline(always)]
fn shape(raw: &[u8; TcpHdr::LEN]) -> (usize, u8) {
    const BITS: usize = offset_of!(TcpHdr, _bitfield_1);
    let [offset, flags] = bytes::<BITS, 2, _>(raw);
    (usize::from(offset >> 4) * 4, flags)
}

/// What the fixed part says.
#[inline(always)]
fn fixed(raw: &[u8; TcpHdr::LEN], flags: u8, payload: u16) -> TcpSegment {
    let ack = be32!(*raw, TcpHdr, ack_seq);
    TcpSegment {
        seq: be32!(*raw, TcpHdr, seq),
        ack,
        sack: ack,
        payload,
        window: be16!(*raw, TcpHdr, window),
        flags,
        wscale: 0,
        options: 0,
        cursor: 0,
    }
}

/// Reads the options, if there are any that matter. What is malformed ends the walk, as in the
/// kernel: it makes no segment invalid.
#[inline(always)]
fn options<P: Packet + ?Sized>(packet: &P, meta: &mut Meta, header_len: usize) {
    if header_len == TcpHdr::LEN || meta.tcp.flags & (header::SYN | header::ACK) == 0 {
        return;
    }
    let len = header_len - TcpHdr::LEN;
    if len == TIMESTAMP_LEN && packet.read(meta.l4_start() + TcpHdr::LEN) == Some(TIMESTAMP_ONLY) {
        meta.tcp.cursor = len as u8;
        return;
    }
    for _ in 0..MAX_OPTIONS {
        forget(meta);
        if !next_option(packet, meta, len) {
            break;
        }
    }
    meta.tcp.cursor = len as u8;
}

/// Reads the option at the cursor and moves on; false if there are no more. `len` bytes of options
/// follow the header.
#[inline(always)]
fn next_option<P: Packet + ?Sized>(packet: &P, meta: &mut Meta, len: usize) -> bool {
    let at = usize::from(meta.tcp.cursor) & CURSOR_MASK;
    let offset = meta.l4_start() + TcpHdr::LEN + at;
    // A byte that is left alone can only be END or NOP.
    if at + 2 > len {
        return false;
    }
    let Some([kind, size]) = packet.read(offset) else {
        return false;
    };
    if kind == option::END {
        return false;
    }
    if kind == option::NOP {
        meta.tcp.cursor += 1;
        return true;
    }
    let size = usize::from(size);
    if size < 2 || at + size > len {
        return false;
    }
    meta.tcp.cursor = (at + size) as u8;
    if meta.tcp.flags & header::SYN != 0 {
        syn_option(packet, meta, kind, size, offset);
    } else if kind == option::SACK && is_sack_size(size) {
        sack(packet, meta, size, offset);
        return false;
    }
    true
}

/// An option that only a SYN has. (`tcp_options`)
#[inline(always)]
fn syn_option<P: Packet + ?Sized>(
    packet: &P,
    meta: &mut Meta,
    kind: u8,
    size: usize,
    offset: usize,
) {
    if kind == option::SACK_PERMITTED && size == 2 {
        meta.tcp.options |= flags::SACK_PERM;
    }
    if kind == option::WINDOW_SCALE && size == 3 {
        let Some([.., scale]) = packet.read::<3>(offset) else {
            return;
        };
        meta.tcp.options |= flags::WINDOW_SCALE;
        meta.tcp.wscale = scale.min(MAX_WINDOW_SCALE);
    }
}

/// At least one block, and whole ones.
#[inline(always)]
const fn is_sack_size(size: usize) -> bool {
    size >= 10 && (size - 2) & 7 == 0
}

/// The highest right edge of the SACK option of `size` bytes at `offset`, if it is above the
/// acknowledgement number. (`tcp_sack`)
#[inline(always)]
fn sack<P: Packet + ?Sized>(packet: &P, meta: &mut Meta, size: usize, offset: usize) {
    for block in 0..MAX_SACK_BLOCKS {
        let edge = 2 + block * 8 + 4;
        if edge + 4 > size {
            return;
        }
        let Some(raw) = packet.read(offset + edge) else {
            return;
        };
        let right = u32::from_be_bytes(raw);
        // Sequence numbers wrap: above means less than half of their space ahead.
        if right.wrapping_sub(meta.tcp.sack).cast_signed() > 0 {
            meta.tcp.sack = right;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Reason;
    use crate::tcp::flags::{SACK_PERM, WINDOW_SCALE};
    use crate::tcp::header::{ACK, FIN, RST, SYN};
    use crate::wire::testing::{L4, accept, read, refuse, tcp, v4, v6};
    use crate::wire::{Meta, TcpSegment};

    fn segment(flags: u8, options: &[u8]) -> Meta {
        assert_eq!(options.len() % 4, 0, "options are padded");
        accept(&v4(6, &tcp(flags, options, b"payload")))
    }

    /// A SACK option with these right edges, after two NOPs.
    fn sack(edges: &[u32]) -> Vec<u8> {
        let mut option = vec![1, 1, 5, 2 + 8 * edges.len() as u8];
        for edge in edges {
            option.extend(edge.wrapping_sub(10).to_be_bytes());
            option.extend(edge.to_be_bytes());
        }
        option
    }

    #[test]
    fn fields_of_the_header() {
        let mut raw = tcp(SYN | ACK, &[], b"data");
        raw[4..12].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef, 0xca, 0xfe, 0xf0, 0x0d]);
        for frame in [v4(6, &raw), v6(6, &raw)] {
            let meta = accept(&frame);
            assert_eq!((meta.sport, meta.dport), (1000, 80));
            let expected = TcpSegment {
                seq: 0xdead_beef,
                ack: 0xcafe_f00d,
                sack: 0xcafe_f00d,
                payload: 4,
                window: 0x1000,
                flags: SYN | ACK,
                ..TcpSegment::default()
            };
            assert_eq!(meta.tcp, expected);
        }
    }

    #[test]
    fn header_cut_short() {
        let raw = tcp(SYN, &[], &[]);
        for len in 0..20 {
            assert_eq!(refuse(&v4(6, &raw[..len])), Reason::TruncatedTransport);
        }
    }

    #[test]
    fn data_offset_below_the_header_or_beyond_the_segment() {
        let mut frame = v4(6, &tcp(SYN, &[], &[0; 3]));
        for words in 0..16 {
            frame[L4 + 12] = words << 4;
            let (result, meta) = read(&frame);
            let expected = match words {
                5 => Ok(()),
                _ => Err(Reason::BadDataOffset),
            };
            assert_eq!(result, expected, "{words}");
            assert_eq!((meta.sport, meta.dport), (1000, 80));
        }
    }

    #[test]
    fn options_of_a_syn() {
        // What Linux sends: MSS, SACK permitted, timestamps, NOP, window scale 7.
        let linux = [
            2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7,
        ];
        let meta = segment(SYN, &linux);
        assert_eq!(meta.tcp.options, WINDOW_SCALE | SACK_PERM);
        assert_eq!(meta.tcp.wscale, 7);
        assert_eq!(segment(SYN | ACK, &linux).tcp, {
            let mut tcp = meta.tcp;
            tcp.flags = SYN | ACK;
            tcp
        });
        // On any other segment they mean nothing.
        assert_eq!(segment(ACK, &linux).tcp.options, 0);
        assert_eq!(segment(FIN | ACK, &linux).tcp.wscale, 0);
    }

    #[test]
    fn window_scale_is_at_most_14() {
        for (offered, taken) in [(0, 0), (14, 14), (15, 14), (255, 14)] {
            let meta = segment(SYN, &[3, 3, offered, 0]);
            assert_eq!((meta.tcp.wscale, meta.tcp.options), (taken, WINDOW_SCALE));
        }
    }

    #[test]
    fn options_of_the_wrong_size_are_ignored() {
        assert_eq!(segment(SYN, &[3, 4, 7, 7]).tcp.options, 0);
        assert_eq!(segment(SYN, &[3, 2, 4, 2]).tcp.options, SACK_PERM);
        assert_eq!(segment(SYN, &[4, 3, 0, 0]).tcp.options, 0);
    }

    #[test]
    fn walk_ends_at_the_end_of_the_options() {
        // END.
        assert_eq!(segment(SYN, &[1, 0, 4, 2]).tcp.options, 0);
        // Lengths 0 and 1 would never end.
        assert_eq!(segment(SYN, &[9, 0, 4, 2]).tcp.options, 0);
        assert_eq!(segment(SYN, &[9, 1, 4, 2]).tcp.options, 0);
        // Beyond the header, into the payload.
        assert_eq!(segment(SYN, &[9, 5, 4, 2]).tcp.options, 0);
        assert_eq!(segment(SYN, &[1, 1, 3, 3]).tcp.options, 0);
        // Exactly to its end, and a last byte that has no length.
        assert_eq!(segment(SYN, &[1, 3, 3, 5]).tcp.wscale, 5);
        assert_eq!(segment(SYN, &[1, 4, 2, 4]).tcp.options, SACK_PERM);
    }

    #[test]
    fn forty_bytes_of_options_are_read() {
        let mut options = [1; 40];
        options[37..].copy_from_slice(&[3, 3, 9]);
        assert_eq!(segment(SYN, &options).tcp.wscale, 9);
        options[37..].copy_from_slice(&[1, 4, 2]);
        assert_eq!(segment(SYN, &options).tcp.options, SACK_PERM);
    }

    #[test]
    fn later_option_wins() {
        assert_eq!(segment(SYN, &[3, 3, 5, 1, 3, 3, 6, 1]).tcp.wscale, 6);
    }

    #[test]
    fn highest_right_edge_above_the_acknowledgement() {
        // The segment acknowledges 2.
        assert_eq!(segment(ACK, &[]).tcp.sack, 2);
        assert_eq!(segment(ACK, &sack(&[100])).tcp.sack, 100);
        assert_eq!(segment(ACK, &sack(&[100, 300, 200])).tcp.sack, 300);
        assert_eq!(segment(ACK, &sack(&[1, 2, 3, 4])).tcp.sack, 4);
        // Below it, across the wrap: a D-SACK (RFC 2883).
        assert_eq!(segment(ACK, &sack(&[0xffff_fff0])).tcp.sack, 2);
    }

    #[test]
    fn only_the_first_sack_option_counts() {
        let both = [sack(&[100]), sack(&[200])].concat();
        assert_eq!(segment(ACK, &both).tcp.sack, 100);
    }

    #[test]
    fn sack_after_a_timestamp() {
        let timestamp = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1];
        let options = [&timestamp[..], &sack(&[100, 50, 70])].concat();
        assert_eq!(segment(ACK, &options).tcp.sack, 100);
        assert_eq!(segment(ACK, &timestamp).tcp.sack, 2);
    }

    #[test]
    fn sack_of_a_broken_length_is_skipped() {
        let mut broken = sack(&[100, 200]);
        broken[3] = 17;
        assert_eq!(segment(ACK, &broken).tcp.sack, 2);
        // A right one may follow.
        let mut both = [1, 5, 3, 0].to_vec();
        both.extend(sack(&[200]));
        assert_eq!(segment(ACK, &both).tcp.sack, 200);
    }

    #[test]
    fn segment_without_ack_has_no_sack() {
        assert_eq!(segment(RST, &sack(&[100])).tcp.sack, 2);
    }
}
