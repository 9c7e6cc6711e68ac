//! How long a packet is on the wire, whole or cut up by a NIC.

use network_types::udp::UdpHdr;

use crate::wire::{Glance, Meta, TcpSegment, proto};

/// How long a packet is, and what its pieces begin with if a NIC is to cut it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Length of the packet from its IP header on.
    pub l3_len: u16,
    /// Length of its headers from there to the payload; 0 if it is of a kind that can't be cut up.
    pub headers: u16,
}

impl Size {
    /// Of a parsed packet.
    #[must_use]
    #[inline(always)]
    pub const fn of(meta: &Meta) -> Self {
        let network = meta.l4_offset.saturating_sub(meta.l3_offset);
        Self::with(meta.l3_len, network, (meta.proto, meta.l4_len, &meta.tcp))
    }

    /// Of one that was read at one glance.
    #[must_use]
    #[inline(always)]
    pub const fn at_a_glance<A: Copy>(Glance { network, tcp, .. }: &Glance<A>) -> Self {
        let header = network.l3_len.saturating_sub(network.l4_len);
        Self::with(network.l3_len, header, (network.proto, network.l4_len, tcp))
    }

    /// Of one whose headers before the transport header are `network` bytes long.
    #[inline(always)]
    const fn with(
        l3_len: u16,
        network: u16,
        (protocol, l4_len, tcp): (u8, u16, &TcpSegment),
    ) -> Self {
        let headers = match protocol {
            proto::TCP => network.saturating_add(l4_len.saturating_sub(tcp.payload)),
            proto::UDP => network.saturating_add(UdpHdr::LEN as u16),
            _ => 0,
        };
        Self { l3_len, headers }
    }

    /// The longest packet that it will be on the wire: of one that the NIC is to cut up, its longest piece, with
    /// `gso_size` bytes of payload. `None` if only the kernel knows how it will be cut up.
    #[must_use]
    #[inline(always)]
    pub const fn longest(self, gso_size: u32) -> Option<u16> {
        // GSO_BY_FRAGS: each piece has its own length (SCTP).
        const BY_FRAGS: u32 = 0xffff;
        if gso_size == 0 {
            return Some(self.l3_len);
        }
        if gso_size == BY_FRAGS || self.headers == 0 {
            return None;
        }
        let piece = (self.headers as u32).saturating_add(gso_size);
        if piece < self.l3_len as u32 {
            Some(piece as u16)
        } else {
            Some(self.l3_len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_packet_to_be_cut_up_the_pieces_count() {
        let mut meta = Meta {
            l3_offset: 14,
            l4_offset: 34,
            l3_len: 20 + 32 + 14480,
            l4_len: 32 + 14480,
            proto: proto::TCP,
            ..Meta::default()
        };
        meta.tcp.payload = 14480;
        assert_eq!(Size::of(&meta).longest(0), Some(14532));
        assert_eq!(Size::of(&meta).longest(1448), Some(1500));
        // One piece is no longer than the whole.
        assert_eq!(Size::of(&meta).longest(20000), Some(14532));
        assert_eq!(Size::of(&meta).longest(0xffff), None);
        meta.proto = proto::UDP;
        assert_eq!(Size::of(&meta).longest(1400), Some(1428));
        meta.proto = proto::SCTP;
        assert_eq!(Size::of(&meta).longest(1400), None);
    }
}
