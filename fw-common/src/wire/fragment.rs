//! Fragments, of both IP versions.

use super::{Fragment, Meta, meta_flags, proto};
use crate::Reason;

/// More fragments follow (IPv4's flags and offset field, host byte order).
pub(super) const V4_MORE: u16 = 0x2000;
/// Offset in units of 8 bytes (IPv4).
pub(super) const V4_OFFSET: u16 = 0x1fff;
/// More fragments follow (IPv6's fragment header).
pub(super) const V6_MORE: u16 = 0x0001;
/// Offset in bytes (IPv6: the low three bits are flags).
pub(super) const V6_OFFSET: u16 = 0xfff8;

/// Notes that the packet is no fragment, or that none is known yet.
#[inline(always)]
pub(super) fn none(meta: &mut Meta) {
    meta.fragment = Fragment::Whole;
    meta.frag_id = 0;
    meta.frag_offset = 0;
    meta.frag_len = 0;
}

/// Notes which fragment this is: `offset` in bytes, `len` bytes of data.
#[inline(always)]
pub(super) fn classify(
    meta: &mut Meta,
    id: u32,
    offset: u16,
    more: bool,
    len: usize,
) -> Result<(), Reason> {
    // An "atomic" IPv6 fragment (RFC 6946), and every IPv4 packet that is none.
    if offset == 0 && !more {
        none(meta);
        return Ok(());
    }
    // Beyond the largest datagram: the ping of death.
    if usize::from(offset) + len > usize::from(u16::MAX) {
        return Err(Reason::BadTotalLength);
    }
    meta.frag_id = id;
    meta.frag_offset = offset;
    meta.frag_len = len as u16;
    meta.fragment = if offset == 0 {
        Fragment::First
    } else {
        Fragment::Later
    };
    if more {
        meta.flags |= meta_flags::MORE_FRAGMENTS;
    }
    Ok(())
}

/// Refuses the later fragment that would overwrite a TCP header's flags (RFC 3128).
#[inline(always)]
pub(super) fn check_later(meta: &Meta) -> Result<(), Reason> {
    if meta.proto == proto::TCP && meta.frag_offset == 8 {
        return Err(Reason::TinyFragment);
    }
    Ok(())
}
