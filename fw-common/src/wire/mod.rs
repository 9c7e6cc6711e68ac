//! Reading headers off the wire. Every length is hostile.
//!
//! [`parse`] reads one frame into a [`Meta`], or says why the packet ends here. It drops what the
//! host's own stack would drop anyway (`ip_rcv_core`, `ip6_rcv_core` in the kernel): XDP runs before
//! those checks, and such a packet must not create or change a flow that the host never sees.

mod crc32c;
mod ethernet;
mod fragment;
mod glance;
mod gre;
mod icmp;
mod ipv4;
mod ipv6;
mod layout;
mod meta;
mod sctp;
mod tcp;
#[cfg(test)]
pub(crate) mod testing;
mod transport;
mod udp;

pub mod checksum;
pub mod inner;
pub mod sanity;

pub use crc32c::block as crc32c_block;
pub use ethernet::{
    TAG_LEN, Tags, Untagged, ether_type, ethertype, has_tag, tag_within, untagged, vlan_id,
};
pub use glance::{Address, Glance, Network, glance4, glance6};
pub use inner::{inner, quotes};
pub use meta::{Fragment, Meta, TcpSegment, meta_flags};
pub use sctp::{SctpPacket, sctp_flags};

use crate::Reason;

/// Bytes of a packet, however they are reached: a slice on the host, checked pointers in BPF.
pub trait Packet {
    /// The `N` bytes at `offset` from the start of the frame; `None` past its end.
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;
    /// As [`Self::read`], for bytes behind the headers: of a frame that is spread over several buffers
    /// `read` may reach the first only, which has the headers.
    fn read_deep<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.read(offset)
    }
    /// Goes on with the CRC32c `crc` over the next 16 bytes, at `offset`. Here so that BPF can have a
    /// function of its own for it, which its verifier follows once and not once a block.
    fn crc32c(&self, offset: usize, crc: u32) -> Option<u32> {
        crc32c::block(self, offset, crc)
    }
    /// Length of the frame.
    fn len(&self) -> usize;
    /// How much of the frame [`Self::read`] reaches.
    fn linear_len(&self) -> usize {
        self.len()
    }
    /// The outer VLAN tag if it stands beside the frame, where the stack keeps it: its TPID in the upper
    /// half, its control information in the lower; 0 if none does.
    fn tag(&self) -> u32 {
        0
    }
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

/// No header starts beyond this offset of a frame: a packet that needs more has more (or longer)
/// extension headers than any honest one. A mask of ones, and the bound that lets BPF's verifier see
/// that an offset is finite.
pub const MAX_OFFSET: usize = 0x7ff;
/// No IP header starts beyond this offset, so that what follows it starts within [`MAX_OFFSET`].
pub const MAX_L3_OFFSET: usize = MAX_OFFSET - 60;

/// Reads one frame, from its Ethernet header on. Every field of `meta` is written, whatever it held,
/// but for `tcp` and `sctp` if the packet has no such header: each module writes its own fields, and all of
/// them.
///
/// # Errors
/// Why the packet goes no further. If the reason is of [`Kind::Invalid`](crate::verdict::Kind) then
/// `meta` is right up to and including the IP header; else nothing in it means anything.
#[inline(always)]
pub fn parse<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    let ethertype = ethernet::parse(packet, meta)?;
    parse_network(packet, ethertype, meta)
}

/// Reads a packet whose IP header is at `offset` and whose EtherType (host byte order) is known from
/// elsewhere. `meta` is written as by [`parse`]; the caller that knows VLAN ids sets them afterwards.
///
/// # Errors
/// As [`parse`].
#[inline(always)]
pub fn parse_l3<P: Packet + ?Sized>(
    packet: &P,
    offset: usize,
    ethertype: u16,
    meta: &mut Meta,
) -> Result<(), Reason> {
    if offset > MAX_L3_OFFSET {
        return Err(Reason::TruncatedIp);
    }
    meta.l3_offset = offset as u16;
    meta.vlan = [0; 2];
    parse_network(packet, ethertype, meta)
}

#[inline(always)]
fn parse_network<P: Packet + ?Sized>(
    packet: &P,
    ethertype: u16,
    meta: &mut Meta,
) -> Result<(), Reason> {
    forget(meta);
    match ethertype {
        ethertype::IPV4 => ipv4::parse(packet, meta)?,
        ethertype::IPV6 => ipv6::parse(packet, meta)?,
        _ => return Err(Reason::NotIp),
    }
    forget(meta);
    sanity::check(meta)?;
    let result = transport::parse(packet, meta);
    forget(meta);
    result
}

/// Makes the compiler forget what it knows of `meta` and read it back from memory. BPF's verifier
/// follows every path with all it knows of each register; what is read back from a map's memory is
/// just a number to it. So the many ways through the headers meet again at each call of this, instead
/// of multiplying: it is what keeps the parser within the verifier's million instructions.
#[inline(always)]
fn forget(meta: &mut Meta) {
    core::hint::black_box(meta);
}
