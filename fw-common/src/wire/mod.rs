//! Reading headers off the wire. Every length is hostile.
//!
//! [`parse`] reads one frame into a [`Meta`], or says why the packet ends here. It drops what the
//! host's own stack would drop anyway (`ip_rcv_core`, `ip6_rcv_core` in the kernel): XDP runs before
//! those checks, and such a packet must not create or change a flow that the host never sees.

/// Bytes of a packet, however they are reached: a slice on the host, checked pointers in BPF.
pub trait Packet {
    /// The `N` bytes at `offset` from the start of the frame; `None` past its end.
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;
    /// Length of the frame.
    fn len(&self) -> usize;
    /// Whether there is nothing at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Packet for [u8] {
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..)?.first_chunk().copied()
    }
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }
}

/// IP version, with the address family's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Family {
    /// `AF_INET`.
    #[default]
    V4 = 2,
    /// `AF_INET6`.
    V6 = 10,
}

/// IP protocol numbers that are told apart.
pub mod proto {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IGMP.
    pub const IGMP: u8 = 2;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// GRE.
    pub const GRE: u8 = 47;
    /// ESP.
    pub const ESP: u8 = 50;
    /// AH.
    pub const AH: u8 = 51;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
    /// UDP-Lite.
    pub const UDPLITE: u8 = 136;
}

/// What the headers of one packet say. Plain fields only: in BPF it lives in a per-CPU map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Meta {
    /// Source address, network byte order; IPv4 in the first four bytes.
    pub src: [u8; 16],
    /// Destination address, likewise.
    pub dst: [u8; 16],
    /// The TCP header, if `proto` is TCP and `fragment` is not [`Fragment::Later`].
    pub tcp: TcpSegment,
    /// Where the IP header starts, from the start of the frame.
    pub l3_offset: u16,
    /// Where the transport header starts, from the start of the frame.
    pub l4_offset: u16,
    /// Length of the IP packet, from its own header (never the frame's): what accounting counts.
    pub l3_len: u16,
    /// Length of transport header and payload.
    pub l4_len: u16,
    /// Source port (TCP, UDP, UDP-Lite, SCTP) or identifier (ICMP queries), host byte order.
    pub sport: u16,
    /// Destination port, host byte order; call id of GRE version 1.
    pub dport: u16,
    /// VLAN id of the outer and the inner tag; 0 for none.
    pub vlan: [u16; 2],
    /// Fragment identification.
    pub frag_id: u32,
    /// IP protocol number; for IPv6 that of the header after the extension headers.
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

/// Bits of [`Meta::flags`].
pub mod meta_flags {
    /// The IP header has options, or IPv6 a hop-by-hop or destination options header.
    pub const OPTIONS: u8 = 1 << 0;
    /// The destination is a multicast or broadcast address.
    pub const MULTICAST: u8 = 1 << 1;
    /// The UDP checksum field is 0: none was computed.
    pub const NO_CHECKSUM: u8 = 1 << 2;
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
    /// Zero.
    pub pad: u8,
}
