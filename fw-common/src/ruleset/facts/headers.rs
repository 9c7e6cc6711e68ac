//! What a packet's headers say.

use super::Facts;
use crate::ruleset::field::{self, have};
use crate::wire::{Family, Fragment, Meta, Packet, ethertype};

impl Facts {
    /// Notes the headers of a packet whose headers are right up to the IP header. `framed`: its Ethernet
    /// header stands before it, as it came off the wire.
    #[inline(always)]
    pub fn read<P: Packet + ?Sized>(&mut self, packet: &P, meta: &Meta, framed: bool) {
        self.vouch(have::ALWAYS);
        self.set(field::PREFIX, 128);
        self.set(field::MARK, 0);
        self.set(field::IIF, 0);
        self.set_four(field::IIFNAME, [0; 4]);
        self.set_four(field::OIF, [0; 4]);
        self.set_four(field::OIFNAME, [0; 4]);
        self.set_four(field::ROUTED, [0; 4]);
        self.set_four(field::ROUTED + 4, [0; 4]);
        self.set(field::L4PROTO, u32::from(meta.proto));
        self.set(field::LENGTH, u32::from(meta.l3_len));
        self.set(field::PKTTYPE, 0);
        if framed {
            self.link_header(packet);
        }
        self.network_header(packet, meta);
        if !matches!(meta.fragment, Fragment::Later) {
            self.transport_header(packet, meta);
        }
    }

    #[inline(always)]
    fn link_header<P: Packet + ?Sized>(&mut self, packet: &P) {
        let Some(raw) = packet.read::<14>(0) else {
            return;
        };
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = raw;
        self.set(field::LL_DST, u32::from_be_bytes([0, 0, a, b]));
        self.set(field::LL_DST + 1, u32::from_be_bytes([c, d, e, f]));
        self.set(field::LL_SRC, u32::from_be_bytes([0, 0, g, h]));
        self.set(field::LL_SRC + 1, u32::from_be_bytes([i, j, k, l]));
        self.set(field::LL_TYPE, u32::from_be_bytes([0, 0, m, n]));
        let kind = if a & 1 == 0 {
            0
        } else if [a, b, c, d, e, f] == [0xff; 6] {
            1
        } else {
            2
        };
        self.set(field::PKTTYPE, kind);
        self.vouch(have::LL);
        let beside = packet.tag();
        if beside != 0 {
            // As nft puts it back in its place (`nft_payload_copy_vlan`).
            self.set(field::LL_TYPE, beside >> 16);
            self.set(field::VLAN, beside & 0xffff);
            self.set(field::VLAN_TYPE, u32::from_be_bytes([0, 0, m, n]));
            self.vouch(have::VLAN);
        } else if matches!(
            u16::from_be_bytes([m, n]),
            ethertype::C_TAG | ethertype::S_TAG
        ) && let Some([a, b, c, d]) = packet.read::<4>(14)
        {
            self.set(field::VLAN, u32::from(u16::from_be_bytes([a, b])));
            self.set(field::VLAN_TYPE, u32::from(u16::from_be_bytes([c, d])));
            self.vouch(have::VLAN);
        }
    }

    #[inline(always)]
    fn network_header<P: Packet + ?Sized>(&mut self, packet: &P, meta: &Meta) {
        let (nfproto, protocol, words) = match meta.family {
            Family::V4 => (2, ethertype::IPV4, 5),
            Family::V6 => (10, ethertype::IPV6, 10),
        };
        self.set(field::NFPROTO, nfproto);
        self.set(field::PROTOCOL, u32::from(protocol));
        let mut i = 0;
        while i < words {
            if let Some(raw) = packet.read::<4>(meta.l3_start() + i * 4) {
                self.words[field::NH as usize + i] = u32::from_be_bytes(raw);
            }
            i += 1;
        }
    }

    /// As much as there is, of what the IP header says is there.
    #[inline(always)]
    fn transport_header<P: Packet + ?Sized>(&mut self, packet: &P, meta: &Meta) {
        let mut i = 0;
        while i < 5 {
            if usize::from(meta.l4_len) < (i + 1) * 4 {
                return;
            }
            let Some(raw) = packet.read::<4>(meta.l4_start() + i * 4) else {
                return;
            };
            self.words[field::TH as usize + i] = u32::from_be_bytes(raw);
            self.words[field::VALID as usize] |= 1 << (have::TH4 as usize + i);
            i += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::parse;
    use crate::wire::testing::{LEFTOVERS, Stripped, udp, v4};

    #[test]
    fn a_tag_says_the_same_beside_the_frame_as_in_it() {
        fn facts<P: Packet + ?Sized>(packet: &P) -> (Facts, [u16; 2]) {
            let mut meta = LEFTOVERS;
            parse(packet, &mut meta).expect("a packet");
            let mut facts = Facts::default();
            facts.read(packet, &meta, true);
            (facts, meta.vlan)
        }
        let plain = v4(17, &udp(&[]));
        let mut tagged = plain.clone();
        tagged.splice(12..12, [0x81, 0, 0x60, 42]);
        let (inside, vlan) = facts(&tagged[..]);
        assert!(inside.has(u32::from(have::VLAN)));
        assert_eq!(inside.get(field::VLAN), 0x602a);
        assert_eq!((inside, vlan), facts(&Stripped(plain, 0x8100_602a)));
    }
}
