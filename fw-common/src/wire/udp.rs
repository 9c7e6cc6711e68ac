//! UDP (RFC 768) and UDP-Lite (RFC 3828).

use network_types::udp::UdpHdr;

use super::layout::be16;
use super::{Fragment, Meta, Packet, meta_flags, transport};
use crate::Reason;

/// Reads a UDP header (`udp_error`). Bytes behind the datagram's own length are let through: the
/// receiver does not look at them.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    let raw = header(packet, meta)?;
    let len = be16!(raw, UdpHdr, len);
    if usize::from(len) < UdpHdr::LEN || exceeds(meta, len) {
        return Err(Reason::BadUdpLength);
    }
    if be16!(raw, UdpHdr, check) == 0 {
        meta.flags |= meta_flags::NO_CHECKSUM;
    }
    Ok(())
}

/// Reads a UDP-Lite header (`udplite_error`): where UDP has its length, this has how much of the
/// datagram the checksum covers, 0 for all of it. There is always a checksum.
#[inline(always)]
pub(super) fn parse_lite<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    let raw = header(packet, meta)?;
    let coverage = be16!(raw, UdpHdr, len);
    if coverage != 0 && (usize::from(coverage) < UdpHdr::LEN || exceeds(meta, coverage)) {
        return Err(Reason::BadUdpLength);
    }
    if be16!(raw, UdpHdr, check) == 0 {
        return Err(Reason::BadTransportChecksum);
    }
    Ok(())
}

#[inline(always)]
fn header<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<[u8; UdpHdr::LEN], Reason> {
    let raw = transport::header(packet, meta)?;
    meta.sport = be16!(raw, UdpHdr, src);
    meta.dport = be16!(raw, UdpHdr, dst);
    Ok(raw)
}

/// Whether `len` bytes are more than there are; of a first fragment nobody knows yet.
#[inline(always)]
fn exceeds(meta: &Meta, len: u16) -> bool {
    len > meta.l4_len && meta.fragment == Fragment::Whole
}
