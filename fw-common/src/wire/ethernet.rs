//! Ethernet II and up to two VLAN tags (IEEE 802.1Q).

use core::mem::offset_of;

use network_types::eth::{EthHdr, EtherType};
use network_types::vlan::VlanHdr;

use super::{Meta, Packet};
use crate::Reason;

/// EtherTypes that are told apart, in host byte order.
pub mod ethertype {
    use network_types::eth::EtherType;

    /// IPv4.
    pub const IPV4: u16 = u16::from_be(EtherType::Ipv4 as u16);
    /// IPv6.
    pub const IPV6: u16 = u16::from_be(EtherType::Ipv6 as u16);
}

/// Customer tag.
const C_TAG: u16 = u16::from_be(EtherType::Ieee8021q as u16);
/// Service tag.
const S_TAG: u16 = u16::from_be(EtherType::Ieee8021ad as u16);
/// VLAN identifier in the tag control information; the rest is priority.
const VID_MASK: u16 = 0x0fff;

/// The payload's EtherType; sets `vlan` and `l3_offset`.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<u16, Reason> {
    const TYPE_AT: usize = offset_of!(EthHdr, ether_type);
    let raw = packet.read(TYPE_AT).ok_or(Reason::TruncatedEthernet)?;
    let ethertype = u16::from_be_bytes(raw);
    meta.vlan = [0; 2];
    meta.l3_offset = EthHdr::LEN as u16;
    if !is_tag(ethertype) {
        return Ok(ethertype);
    }
    let (vid, ethertype) = tag(packet, EthHdr::LEN)?;
    meta.vlan[0] = vid;
    meta.l3_offset = (EthHdr::LEN + VlanHdr::LEN) as u16;
    if !is_tag(ethertype) {
        return Ok(ethertype);
    }
    let (vid, ethertype) = tag(packet, EthHdr::LEN + VlanHdr::LEN)?;
    meta.vlan[1] = vid;
    meta.l3_offset = (EthHdr::LEN + 2 * VlanHdr::LEN) as u16;
    if is_tag(ethertype) {
        return Err(Reason::TooManyVlanTags);
    }
    Ok(ethertype)
}

#[inline(always)]
const fn is_tag(ethertype: u16) -> bool {
    ethertype == C_TAG || ethertype == S_TAG
}

/// VLAN id and inner EtherType of the tag at `offset`.
#[inline(always)]
fn tag<P: Packet + ?Sized>(packet: &P, offset: usize) -> Result<(u16, u16), Reason> {
    const { assert!(offset_of!(VlanHdr, tci) == 0 && offset_of!(VlanHdr, ether_type) == 2) };
    let raw: [u8; VlanHdr::LEN] = packet.read(offset).ok_or(Reason::TruncatedEthernet)?;
    // As one number: the compiler would take two fields apart by way of the stack.
    let tag = u32::from_be_bytes(raw);
    Ok(((tag >> 16) as u16 & VID_MASK, tag as u16))
}
