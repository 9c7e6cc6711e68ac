//! What parsing finds out about a packet.

use super::{Family, MAX_OFFSET, SctpPacket};

/// What the headers of one packet say. Plain fields only: in BPF it lives in a per-CPU map, and is
/// aligned so that addresses are copied in two pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Meta {
    /// Source address, network byte order; IPv4 in the first four bytes.
    pub src: [u8; 16],
    /// Destination address, likewise.
    pub dst: [u8; 16],
    /// The TCP header, if `proto` is TCP and `fragment` is not [`Fragment::Later`]; else it is left
    /// as it was, whatever that is.
    pub tcp: TcpSegment,
    /// The SCTP header and chunks, likewise.
    pub sctp: SctpPacket,
    /// Where the IP header starts, from the start of the frame.
    pub l3_offset: u16,
    /// Where the transport header starts, from the start of the frame.
    pub l4_offset: u16,
    /// Length of the IP packet, from its own header (never the frame's): what accounting counts.
    pub l3_len: u16,
    /// Length of transport header and payload.
    pub l4_len: u16,
    /// Source port (TCP, UDP, UDP-Lite, SCTP) or identifier (ICMP queries; means nothing in other
    /// ICMP messages), host byte order.
    pub sport: u16,
    /// Destination port, host byte order; call id of GRE version 1.
    pub dport: u16,
    /// VLAN id of the outer and the inner tag; 0 for none.
    pub vlan: [u16; 2],
    /// The IP header's first word, which has the type of service, or traffic class and flow label.
    pub first_word: u32,
    /// Fragment identification; 0 if `fragment` is [`Fragment::Whole`].
    pub frag_id: u32,
    /// Where the fragment stands in its datagram, in bytes, a multiple of 8.
    pub frag_offset: u16,
    /// Bytes of the datagram that the fragment has; 0 if `fragment` is [`Fragment::Whole`].
    pub frag_len: u16,
    /// IP protocol number; for IPv6 that of the header after the extension headers. In a later
    /// IPv6 fragment what the fragment header says, which may be an extension header of the first
    /// one: it must be no part of the key under which fragments are put together.
    pub proto: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// ICMP or ICMPv6 type.
    pub icmp_type: u8,
    /// ICMP or ICMPv6 code.
    pub icmp_code: u8,
    /// Address family.
    pub family: Family,
    /// Whether the packet is a fragment, and which.
    pub fragment: Fragment,
    /// Bits of [`meta_flags`].
    pub flags: u8,
    /// GRE version.
    pub gre_version: u8,
}

impl Meta {
    /// Where the IP header starts, with a bound that BPF's verifier sees.
    #[inline(always)]
    pub(crate) fn l3_start(&self) -> usize {
        usize::from(self.l3_offset) & MAX_OFFSET
    }

    /// Where the transport header starts, likewise.
    #[inline(always)]
    pub(crate) fn l4_start(&self) -> usize {
        usize::from(self.l4_offset) & MAX_OFFSET
    }
}

/// Bits of [`Meta::flags`].
pub mod meta_flags {
    /// The IP header has options, or IPv6 a hop-by-hop or destination options header.
    pub const OPTIONS: u8 = 1 << 0;
    /// The destination is a multicast or broadcast address.
    pub const MULTICAST: u8 = 1 << 1;
    /// The UDP checksum field is 0: none was computed.
    pub const NO_CHECKSUM: u8 = 1 << 2;
    /// More fragments follow this one.
    pub const MORE_FRAGMENTS: u8 = 1 << 3;
    /// IPv6 with a fragment header, be it that of an atomic fragment.
    pub const FRAGMENT_HEADER: u8 = 1 << 4;
    /// The frame has a tag that names no VLAN, only a priority. (Parsing does not say so, see [`super::Tags`].)
    pub const PRIORITY_TAG: u8 = 1 << 5;
    /// The frame has a tag, or several, that no VLAN is known to take off. (Nor that.)
    pub const FOREIGN_TAG: u8 = 1 << 6;
}

/// Where a packet stands in its datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Fragment {
    /// The whole datagram.
    #[default]
    Whole = 0,
    /// The first fragment: it has the transport header.
    First = 1,
    /// A later one: it has none.
    Later = 2,
}

/// What TCP's state machine needs of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TcpSegment {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number; 0 where the ACK flag is not set is not implied: it is as on the wire.
    pub ack: u32,
    /// Highest right edge of the first SACK option, or `ack` if there is none above it.
    pub sack: u32,
    /// Bytes of payload, from the IP length.
    pub payload: u16,
    /// Window as on the wire, unscaled.
    pub window: u16,
    /// Flag bits (`FIN` 0x01 … `CWR` 0x80).
    pub flags: u8,
    /// Window scale option (0–14, larger values clamped) if [`Self::options`] has it.
    pub wscale: u8,
    /// Bits of [`crate::tcp::flags`]: `WINDOW_SCALE`, `SACK_PERM`. Parsed on SYN only.
    pub options: u8,
    /// How far the options are read, in bytes. After parsing: 0 if there are none (of a SYN; in other
    /// segments it means nothing).
    pub cursor: u8,
}
