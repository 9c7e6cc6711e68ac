//! What is known of one packet, as numbered words.

use super::field::{self, WORDS, have};
use crate::abi::Flow;
use crate::route::Kind;
use crate::wire::Meta;
use crate::{CtInfo, Dir, status};

mod headers;

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
