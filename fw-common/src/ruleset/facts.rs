//! What is known of one packet, as numbered words.

use super::field::{self, WORDS, have};
use crate::abi::Flow;
use crate::route::Kind;
use crate::wire::{Family, Fragment, Meta, Packet, ethertype};
use crate::{CtInfo, Dir, status};

/// The facts of one packet; what stands where is in [`field`]. A word that [`field::VALID`] does not
/// vouch for is left over from another packet and means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Facts {
    words: [u32; WORDS],
}

/// What rules can ask of an interface: value of the `LINKS` map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// `ARPHRD_*`.
    pub kind: u32,
    /// Its group.
    pub group: u32,
    /// Its name, most significant byte first, zeroes behind it.
    pub name: [u32; 4],
}

/// What conntrack says of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Track<'a> {
    /// The flow it belongs to.
    pub flow: &'a Flow,
    /// In which direction it goes.
    pub dir: Dir,
    /// Conntrack zone.
    pub zone: u16,
    /// Now, in ticks.
    pub now: u64,
    /// Ticks a second.
    pub hz: u32,
}

/// The bit of `ct state` for `info` (`NF_CT_STATE_BIT`).
#[must_use]
#[inline(always)]
pub const fn state_bit(info: CtInfo) -> u32 {
    match info {
        CtInfo::Invalid => 1,
        CtInfo::Established | CtInfo::EstablishedReply => 2,
        CtInfo::Related | CtInfo::RelatedReply => 4,
        CtInfo::New => 8,
        CtInfo::Untracked => 64,
    }
}

impl Default for Facts {
    fn default() -> Self {
        Self { words: [0; WORDS] }
    }
}

impl Facts {
    /// The word at `at`.
    #[must_use]
    #[inline(always)]
    pub fn get(&self, at: u8) -> u32 {
        self.words[at as usize]
    }

    /// Sets the word at `at`.
    #[inline(always)]
    pub fn set(&mut self, at: u8, word: u32) {
        self.words[at as usize] = word;
    }

    /// Four words from `at` on.
    #[must_use]
    #[inline(always)]
    pub fn four(&self, at: u8) -> [u32; 4] {
        let at = at as usize;
        [
            self.words[at],
            self.words[at + 1],
            self.words[at + 2],
            self.words[at + 3],
        ]
    }

    /// Sets four words from `at` on.
    #[inline(always)]
    pub fn set_four(&mut self, at: u8, words: [u32; 4]) {
        let at = at as usize;
        self.words[at] = words[0];
        self.words[at + 1] = words[1];
        self.words[at + 2] = words[2];
        self.words[at + 3] = words[3];
    }

    /// Sets two words from `at` on.
    #[inline(always)]
    pub(super) fn set_wide(&mut self, at: u8, value: u64) {
        self.set(at, (value >> 32) as u32);
        self.set(at + 1, value as u32);
    }

    /// Whether what bit `bit` of [`field::VALID`] stands for is known.
    #[must_use]
    #[inline(always)]
    pub fn has(&self, bit: u32) -> bool {
        self.words[field::VALID as usize] >> (bit & 31) & 1 != 0
    }

    #[inline(always)]
    pub(super) fn vouch(&mut self, bit: u8) {
        self.words[field::VALID as usize] |= 1 << bit;
    }

    /// What a record of `log` has: see [`field::RECORD`].
    #[must_use]
    #[inline(always)]
    pub fn record(&self) -> &[u32] {
        &self.words[..field::RECORD]
    }

    /// The facts that a record has.
    #[must_use]
    pub fn of_record(record: &[u32; field::RECORD]) -> Self {
        let mut facts = Self::default();
        for (to, from) in facts.words.iter_mut().zip(record) {
            *to = *from;
        }
        facts
    }

    /// The registers: where keys of sets stand.
    #[must_use]
    #[inline(always)]
    pub fn registers(&self) -> &[u32] {
        &self.words[field::REGS as usize..field::REGS as usize + 16]
    }

    /// Nothing is known yet.
    #[inline(always)]
    pub fn forget(&mut self) {
        self.set(field::VALID, 0);
    }

    /// Whether the headers have been noted.
    #[must_use]
    #[inline(always)]
    pub fn is_read(&self) -> bool {
        self.has(u32::from(have::ALWAYS))
    }

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

    /// Notes the interface that the packet came in by.
    #[inline(always)]
    pub fn came_in_by(&mut self, link: &Link) {
        self.set(field::IIF, link.index);
        self.set(field::IIFTYPE, link.kind);
        self.set(field::IIFGROUP, link.group);
        self.set_four(field::IIFNAME, link.name);
        self.vouch(have::IIF);
    }

    /// Notes the interface that a packet of the host itself leaves by.
    #[inline(always)]
    pub fn leaves_by(&mut self, link: &Link) {
        self.set_four(field::OIF, [link.index, link.kind, link.group, 0]);
        self.set_four(field::OIFNAME, link.name);
        self.vouch(have::OIF);
    }

    /// Notes the interface that a packet will leave by, which chains before routing don't know.
    #[inline(always)]
    pub fn routed_to(&mut self, link: &Link) {
        self.set_four(field::ROUTED, [link.index, link.kind, link.group, 0]);
        self.set_four(field::ROUTED + 4, link.name);
        self.vouch(have::OIF);
    }

    /// One hop fewer. The kernel takes it off before the chains of the forward hook (`ip_forward`,
    /// `ip6_forward`), and mends the checksum of IPv4 (RFC 1624).
    #[inline(always)]
    pub fn hop(&mut self) {
        if self.get(field::NFPROTO) == 2 {
            let word = self.get(field::NH + 2);
            let ttl = (word >> 24).wrapping_sub(1) & 0xff;
            let check = (word & 0xffff) + 0x100;
            let check = check.wrapping_add(u32::from(check >= 0xffff)) & 0xffff;
            self.set(field::NH + 2, ttl << 24 | word & 0x00ff_0000 | check);
        } else {
            let word = self.get(field::NH + 1);
            let limit = word.wrapping_sub(1) & 0xff;
            self.set(field::NH + 1, word & !0xff | limit);
        }
    }

    /// Notes where the packet goes.
    #[inline(always)]
    pub fn goes(&mut self, kind: Kind) {
        self.set(field::ROUTE_KIND, kind as u32);
        self.vouch(have::ROUTE);
    }

    /// Notes what conntrack has found the packet to be.
    #[inline(always)]
    pub fn state(&mut self, info: CtInfo) {
        self.set(field::CT_STATE, state_bit(info));
        self.vouch(have::CT_STATE);
    }

    /// The flow of [`Self::track`] is in the table only once this packet, its first, has passed.
    #[inline(always)]
    pub fn unconfirmed(&mut self) {
        let status = self.get(field::CT_STATUS) & !status::CONFIRMED;
        self.set(field::CT_STATUS, status);
    }

    /// The flow of [`Self::track`], unanswered so far, ends with this packet: `nf_ct_kill` marks it before
    /// the rules see it, and a reply is noted all the same.
    #[inline(always)]
    pub fn ends(&mut self, dir: Dir) {
        let replied = match dir {
            Dir::Original => 0,
            Dir::Reply => status::SEEN_REPLY,
        };
        let status = self.get(field::CT_STATUS) | status::DYING | replied;
        self.set(field::CT_STATUS, status);
    }

    /// Notes the flow that the packet belongs to.
    #[inline(always)]
    pub fn track(&mut self, meta: &Meta, track: &Track<'_>) {
        let Track { flow, dir, .. } = *track;
        self.set(field::CT_STATUS, flow.status);
        self.set(field::CT_DIRECTION, dir as u32);
        self.set(field::CT_MARK, flow.mark);
        self.set(field::CT_ZONE, u32::from(track.zone));
        self.set(field::CT_ID, flow.id);
        self.set(field::CT_PROTO, u32::from(meta.proto));
        let left = flow.deadline.saturating_sub(track.now);
        let left = left.wrapping_mul(1000).checked_div(u64::from(track.hz));
        self.set(field::CT_EXPIRATION, left.unwrap_or(0) as u32);
        let [original, reply] = &flow.legs;
        self.set_wide(field::CT_BYTES_ORIGINAL, original.bytes);
        self.set_wide(field::CT_PACKETS_ORIGINAL, original.packets);
        self.set_wide(field::CT_BYTES_REPLY, reply.bytes);
        self.set_wide(field::CT_PACKETS_REPLY, reply.packets);
        self.set_wide(field::CT_BYTES, original.bytes.wrapping_add(reply.bytes));
        self.set_wide(
            field::CT_PACKETS,
            original.packets.wrapping_add(reply.packets),
        );
        let (src, dst) = (words(&meta.src), words(&meta.dst));
        let (sport, dport) = (u32::from(meta.sport), u32::from(meta.dport));
        match dir {
            Dir::Original => {
                self.set_four(field::CT_SRC, src);
                self.set_four(field::CT_DST, dst);
                self.set(field::CT_SPORT, sport);
                self.set(field::CT_DPORT, dport);
            }
            Dir::Reply => {
                self.set_four(field::CT_SRC, dst);
                self.set_four(field::CT_DST, src);
                self.set(field::CT_SPORT, dport);
                self.set(field::CT_DPORT, sport);
            }
        }
        self.vouch(have::CT);
    }
}

/// An address as words; IPv4 in the first.
#[inline(always)]
pub(super) const fn words(address: &[u8; 16]) -> [u32; 4] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *address;
    [
        u32::from_be_bytes([a, b, c, d]),
        u32::from_be_bytes([e, f, g, h]),
        u32::from_be_bytes([i, j, k, l]),
        u32::from_be_bytes([m, n, o, p]),
    ]
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
