//! TCP (RFC 9293), its window scale (RFC 7323) and selective acknowledgement options (RFC 2018).

use core::mem::offset_of;

use network_types::tcp::TcpHdr;

use super::layout::{be16, be32, bytes};
use super::{Fragment, Meta, Packet, forget, transport};
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

/// Option kinds.
mod option {
    pub(super) const END: u8 = 0;
    pub(super) const NOP: u8 = 1;
    pub(super) const WINDOW_SCALE: u8 = 3;
    pub(super) const SACK_PERMITTED: u8 = 4;
    pub(super) const SACK: u8 = 5;
    pub(super) const TIMESTAMP: u8 = 8;
}

/// Reads the header (`tcp_error`) and, of the options, what conntrack needs.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    const BITS: usize = offset_of!(TcpHdr, _bitfield_1);
    let raw: [u8; TcpHdr::LEN] = transport::header(packet, meta)?;
    meta.sport = be16!(raw, TcpHdr, source);
    meta.dport = be16!(raw, TcpHdr, dest);
    let [offset_byte, flag_bits] = bytes::<BITS, 2, _>(&raw);
    let header_len = usize::from(offset_byte >> 4) * 4;
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
    meta.tcp.seq = be32!(raw, TcpHdr, seq);
    meta.tcp.ack = be32!(raw, TcpHdr, ack_seq);
    meta.tcp.sack = meta.tcp.ack;
    meta.tcp.window = be16!(raw, TcpHdr, window);
    meta.tcp.flags = flag_bits;
    meta.tcp.payload = (len - header_len) as u16;
    meta.tcp.options = 0;
    meta.tcp.wscale = 0;
    meta.tcp.cursor = 0;
    options(packet, meta, header_len);
    Ok(())
}

/// Reads the options, if there are any that matter. What is malformed ends the walk, as in the
/// kernel: it makes no segment invalid.
#[inline(always)]
fn options<P: Packet + ?Sized>(packet: &P, meta: &mut Meta, header_len: usize) {
    if header_len == TcpHdr::LEN || meta.tcp.flags & (header::SYN | header::ACK) == 0 {
        return;
    }
    let len = header_len - TcpHdr::LEN;
    if len == 12 && packet.read(meta.l4_start() + TcpHdr::LEN) == Some(TIMESTAMP_ONLY) {
        return;
    }
    for _ in 0..MAX_OPTIONS {
        forget(meta);
        if !next_option(packet, meta, len) {
            break;
        }
    }
    meta.tcp.cursor = 0;
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
