//! Ethernet II and up to two VLAN tags (IEEE 802.1Q).

use core::mem::offset_of;

use network_types::eth::EthHdr;
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
    /// Customer VLAN tag.
    pub const C_TAG: u16 = u16::from_be(EtherType::Ieee8021q as u16);
    /// Service VLAN tag.
    pub const S_TAG: u16 = u16::from_be(EtherType::Ieee8021ad as u16);
}

/// Where the EtherType is.
const TYPE_AT: usize = offset_of!(EthHdr, ether_type);

/// Length of a VLAN tag in bytes.
pub const TAG_LEN: usize = VlanHdr::LEN;

/// VLAN identifier in the tag control information; the rest is priority.
const VID_MASK: u16 = 0x0fff;

/// The EtherType of a frame. (If a tag is in it that is the EtherType.)
#[inline(always)]
#[must_use]
pub fn ether_type<P: Packet + ?Sized>(packet: &P) -> Option<u16> {
    packet.read(TYPE_AT).map(u16::from_be_bytes)
}

/// The EtherType of a frame, unless a tag stands beside it.
#[inline(always)]
#[must_use]
pub fn untagged<P: Packet + ?Sized>(packet: &P) -> Option<u16> {
    ether_type(packet).filter(|_| packet.tag() == 0)
}

/// Whether a frame has a customer's tag in it, or any beside it.
#[inline(always)]
#[must_use]
pub fn has_tag<P: Packet + ?Sized>(packet: &P) -> bool {
    packet.tag() != 0 || ether_type(packet) == Some(ethertype::C_TAG)
}

/// The outermost tag that is in a frame, as in [`Packet::tag`]; without one the number means nothing.
#[inline(always)]
#[must_use]
pub fn tag_within<P: Packet + ?Sized>(packet: &P) -> Option<u32> {
    packet.read(TYPE_AT).map(u32::from_be_bytes)
}

/// The VLAN that a tag names, if it is a customer's and names one.
#[inline(always)]
#[must_use]
pub const fn vlan_id(tag: u32) -> Option<u16> {
    let id = tag as u16 & VID_MASK;
    if (tag >> 16) as u16 == ethertype::C_TAG && id != 0 {
        Some(id)
    } else {
        None
    }
}

/// A frame as it would be without the outermost tag that is in it, from the EtherType on.
#[derive(Clone, Copy, Debug)]
pub struct Untagged<'a, P: ?Sized>(pub &'a P);

impl<P: Packet + ?Sized> Packet for Untagged<'_, P> {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.0.read(offset + TAG_LEN)
    }

    #[inline(always)]
    fn len(&self) -> usize {
        self.0.len().saturating_sub(TAG_LEN)
    }

    #[inline(always)]
    fn linear_len(&self) -> usize {
        self.0.linear_len().saturating_sub(TAG_LEN)
    }
}

/// How a frame is tagged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tags {
    /// Not at all.
    None,
    /// By one tag that names no VLAN (id 0): for the stack as if there were none.
    Priority,
    /// By one customer tag, with this VLAN id.
    One(u16),
    /// Otherwise: by two, or by one of a service provider.
    Other,
}

impl Tags {
    /// Those of a parsed frame.
    #[must_use]
    #[inline(always)]
    pub fn of<P: Packet + ?Sized>(packet: &P, meta: &Meta) -> Self {
        let beside = packet.tag();
        let within = usize::from(meta.l3_offset).saturating_sub(EthHdr::LEN) / VlanHdr::LEN;
        let outer = if beside == 0 {
            ether_type(packet).unwrap_or(0)
        } else {
            (beside >> 16) as u16
        };
        match (within + usize::from(beside != 0), meta.vlan) {
            (0, _) => Self::None,
            (1, [0, _]) => Self::Priority,
            (1, [id, _]) => {
                vlan_id(u32::from(outer) << 16 | u32::from(id)).map_or(Self::Other, Self::One)
            }
            _ => Self::Other,
        }
    }
}

/// The payload's EtherType; sets `vlan` and `l3_offset`.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<u16, Reason> {
    let ethertype = ether_type(packet).ok_or(Reason::TruncatedEthernet)?;
    let beside = packet.tag();
    meta.vlan = [beside as u16 & VID_MASK, 0];
    meta.l3_offset = EthHdr::LEN as u16;
    if !is_tag(ethertype) {
        return Ok(ethertype);
    }
    let (vid, ethertype) = tag(packet, EthHdr::LEN)?;
    if beside != 0 {
        meta.vlan[1] = vid;
        meta.l3_offset = (EthHdr::LEN + VlanHdr::LEN) as u16;
        return if is_tag(ethertype) {
            Err(Reason::TooManyVlanTags)
        } else {
            Ok(ethertype)
        };
    }
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
    ethertype == ethertype::C_TAG || ethertype == ethertype::S_TAG
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

#[cfg(test)]
mod tests {
    use super::{Tags, vlan_id};
    use crate::Reason;
    use crate::wire::testing::{LEFTOVERS, Stripped, accept, ethernet, refuse, udp, v4};

    /// A frame with `tags`, each (TPID, tag control information), outermost first.
    fn tagged(tags: &[(u16, u16)]) -> Vec<u8> {
        let mut frame = v4(17, &udp(&[]));
        for (tpid, tci) in tags.iter().rev() {
            let tag = [tpid.to_be_bytes(), tci.to_be_bytes()].concat();
            frame.splice(12..12, tag);
        }
        frame
    }

    #[test]
    fn untagged_frame_has_its_ip_header_at_14() {
        let meta = accept(&tagged(&[]));
        assert_eq!((meta.l3_offset, meta.vlan), (14, [0, 0]));
    }

    #[test]
    fn one_tag_gives_a_vlan_without_its_priority() {
        let meta = accept(&tagged(&[(0x8100, 0xe000 | 42)]));
        assert_eq!((meta.l3_offset, meta.vlan), (18, [42, 0]));
        assert_eq!(meta.dport, 53);
    }

    #[test]
    fn two_tags_of_any_kind_give_two_vlans() {
        for tpids in [(0x88a8, 0x8100), (0x8100, 0x8100), (0x8100, 0x88a8)] {
            let meta = accept(&tagged(&[(tpids.0, 100), (tpids.1, 4095)]));
            assert_eq!((meta.l3_offset, meta.vlan), (22, [100, 4095]));
            assert_eq!(meta.dport, 53);
        }
    }

    #[test]
    fn only_a_customers_tag_names_a_vlan_and_not_with_0() {
        for (tag, id) in [
            (0x8100_0001, Some(1)),
            (0x8100_ffff, Some(0xfff)),
            (0x8100_0000, None),
            (0x8100_e000, None),
            (0x88a8_0001, None),
            (0x0800_0001, None),
            (0, None),
        ] {
            assert_eq!(vlan_id(tag), id, "{tag:#x}");
        }
    }

    #[test]
    fn one_customer_tag_names_a_vlan() {
        let tags = |tags: &[(u16, u16)]| {
            let frame = tagged(tags);
            Tags::of(&frame[..], &accept(&frame))
        };
        assert_eq!(tags(&[]), Tags::None);
        assert_eq!(tags(&[(0x8100, 0xe000 | 42)]), Tags::One(42));
        assert_eq!(tags(&[(0x8100, 0xe000)]), Tags::Priority);
        assert_eq!(tags(&[(0x88a8, 42)]), Tags::Other);
        assert_eq!(tags(&[(0x8100, 42), (0x8100, 7)]), Tags::Other);
        assert_eq!(tags(&[(0x8100, 0), (0x8100, 7)]), Tags::Other);
    }

    #[test]
    fn three_tags_are_too_many() {
        let frame = tagged(&[(0x88a8, 1), (0x8100, 2), (0x8100, 3)]);
        assert_eq!(refuse(&frame), Reason::TooManyVlanTags);
    }

    #[test]
    fn a_tag_beside_the_frame_is_the_outer_one() {
        let parse = |tags: &[(u16, u16)]| {
            let mut meta = LEFTOVERS;
            let frame = Stripped(tagged(tags), 0x8100 << 16 | 0xe000 | 42);
            crate::wire::parse(&frame, &mut meta).map(|()| (meta.l3_offset, meta.vlan, meta.dport))
        };
        assert_eq!(parse(&[]), Ok((14, [42, 0], 53)));
        assert_eq!(parse(&[(0x8100, 7)]), Ok((18, [42, 7], 53)));
        let three = parse(&[(0x8100, 7), (0x8100, 8)]);
        assert_eq!(three, Err(Reason::TooManyVlanTags));
    }

    #[test]
    fn frame_that_ends_within_its_tags_is_truncated() {
        let frame = tagged(&[(0x88a8, 1), (0x8100, 2)]);
        for len in 0..22 {
            assert_eq!(refuse(&frame[..len]), Reason::TruncatedEthernet, "{len}");
        }
        assert_eq!(refuse(&frame[..22]), Reason::TruncatedIp);
    }

    #[test]
    fn arp_lldp_and_llc_are_not_ip() {
        for ethertype in [0x0806, 0x88cc, 0x0026, 0x9100] {
            assert_eq!(refuse(&ethernet(ethertype, &[0; 46])), Reason::NotIp);
        }
    }
}
