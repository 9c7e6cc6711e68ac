//! ICMP (RFC 792) and ICMPv6 (RFC 4443), whose headers are alike.

use network_types::icmp::{IcmpIdSequence, Icmpv4Hdr};

use super::layout::{be16, byte, field};
use super::{Meta, Packet, transport};
use crate::Reason;

/// Bytes of the header, of which the last four mean something else in every type.
pub(super) const LEN: usize = Icmpv4Hdr::LEN;

/// Reads type, code and identifier. Which types make sense is the flow's business.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    let raw = transport::header(packet, meta)?;
    fill(meta, &raw);
    Ok(())
}

/// Writes down type, code and identifier.
#[inline(always)]
pub(super) fn fill(meta: &mut Meta, raw: &[u8; LEN]) {
    meta.icmp_type = byte!(*raw, Icmpv4Hdr, type_);
    meta.icmp_code = byte!(*raw, Icmpv4Hdr, code);
    let data: [u8; 4] = field!(*raw, Icmpv4Hdr, data);
    meta.sport = be16!(data, IcmpIdSequence, id);
}
