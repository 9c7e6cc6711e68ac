//! TCP options and IPv6 extension headers as facts, for `tcp option …` and `exthdr …`.
//!
//! Read only where a rule asks: it costs a walk through bytes that nothing else needs. What is found, and
//! what is not, is as `nft_exthdr_tcp_eval` and `ipv6_find_hdr` have it.

use super::facts::Facts;
use super::field::{self, have};
use crate::index::masked;
use crate::wire::{Family, Fragment, Meta, Packet, proto};

/// Kinds of TCP options in the order of their words (IANA's registry of TCP parameters).
pub const KINDS: [u8; 10] = [0, 1, 2, 3, 4, 5, 8, 34, 19, 30];

/// Extension headers in the order of their words: hop-by-hop, routing, fragment, destination, mobility.
pub const HEADERS: [u8; 5] = [0, 43, 44, 60, 135];

const MSS: u8 = 2;
const WINDOW: u8 = 3;
const SACK: u8 = 5;
const TIMES: u8 = 6;

/// Bytes of a TCP header without options, and of the longest with them.
const SHORTEST: usize = 20;
const LONGEST: usize = 60;
/// A power of two beyond it.
const MAX_HEADER: usize = 64;

/// Extension headers that are followed, as many as the parser follows.
const MOST_HEADERS: usize = 7;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const MOBILITY: u8 = 135;

/// Where in [`KINDS`] each kind stands, or [`OTHER`]. A table, not a match: one way for BPF's verifier.
const PLACES: [u8; 64] = places();
/// A word behind those of the ten.
const OTHER: u8 = 10;
/// The bits of the ten.
const KNOWN: u32 = (1 << OTHER) - 1;

const fn places() -> [u8; 64] {
    let mut places = [OTHER; 64];
    let mut i = 0;
    while i < KINDS.len() {
        places[KINDS[i] as usize] = i as u8;
        i += 1;
    }
    places
}

#[inline(always)]
fn place_of(kind: u8) -> u8 {
    if usize::from(kind) < PLACES.len() {
        PLACES[masked::<64>(usize::from(kind))]
    } else {
        OTHER
    }
}

/// Word of an extension header among the five.
#[inline(always)]
const fn header_of(kind: u8) -> Option<u8> {
    match kind {
        0 => Some(0),
        43 => Some(1),
        FRAGMENT => Some(2),
        60 => Some(3),
        MOBILITY => Some(4),
        _ => None,
    }
}

impl Facts {
    /// Notes the options of the TCP header, if there is one that makes sense.
    #[inline(always)]
    pub fn options<P: Packet + ?Sized>(&mut self, packet: &P, meta: &Meta) {
        self.set(field::OPTIONS, 0);
        let mut i = 0;
        while i < OTHER {
            self.set(field::OPTION_LEN + i, 0);
            i += 1;
        }
        self.vouch(have::OPTIONS);
        if meta.proto != proto::TCP || matches!(meta.fragment, Fragment::Later) {
            return;
        }
        let Some([offset, _]) = packet.read::<2>(meta.l4_start() + 12) else {
            return;
        };
        let end = usize::from(offset >> 4) * 4;
        if end < SHORTEST || end > usize::from(meta.l4_len) {
            return;
        }
        self.find_options(packet, meta, end);
        self.read_options(packet, meta);
    }

    /// Notes where each option stands: the first of its kind, even if it is cut short.
    #[inline(always)]
    fn find_options<P: Packet + ?Sized>(&mut self, packet: &P, meta: &Meta, end: usize) {
        let mut at = SHORTEST;
        // Each option has at least one byte.
        let mut turn = SHORTEST;
        while turn < LONGEST {
            turn += 1;
            if at + 1 >= end || at >= LONGEST {
                return;
            }
            let Some([kind, length]) = packet.read::<2>(meta.l4_start() + at) else {
                return;
            };
            let length = match (kind, length) {
                (0 | 1, _) | (_, 0) => 1,
                (_, length) => usize::from(length),
            };
            let place = place_of(kind);
            let seen = self.get(field::OPTIONS);
            // Bits above those of the options: met, but of no use.
            let bit = 1 << place & KNOWN;
            let met = bit << 16;
            if (seen | seen >> 16) & bit == 0 {
                let whole = at + length <= end;
                self.set(field::OPTIONS, seen | if whole { bit } else { met });
                let length = if whole { length as u32 } else { 0 };
                self.set(field::OPTION_LEN + place, length);
                self.set(field::OPTION_AT + place, at as u32);
            }
            at += length;
        }
    }

    /// Notes what is in the options; what lies beyond one its length tells.
    #[inline(always)]
    fn read_options<P: Packet + ?Sized>(&mut self, packet: &P, meta: &Meta) {
        let seen = self.get(field::OPTIONS);
        let value = |facts: &Self, place: u8, (skip, back): (usize, usize)| {
            if seen & 1 << place == 0 {
                return None;
            }
            let at = facts.get(field::OPTION_AT + place) as usize & (MAX_HEADER - 1);
            packet.read::<4>((meta.l4_start() + at + skip).wrapping_sub(back))
        };
        if let Some([_, _, high, low]) = value(self, MSS, (0, 0)) {
            self.set(field::OPTION_MSS, u32::from_be_bytes([0, 0, high, low]));
        }
        // Three bytes, which may be the packet's last: read with the one before them.
        if let Some([_, _, _, shift]) = value(self, WINDOW, (0, 1)) {
            self.set(field::OPTION_WINDOW, u32::from(shift));
        }
        let mut i = 0;
        while i < 2 {
            if let Some(raw) = value(self, TIMES, (2 + usize::from(i) * 4, 0)) {
                self.set(field::OPTION_TIMES + i, u32::from_be_bytes(raw));
            }
            i += 1;
        }
        if seen & 1 << SACK == 0 {
            return;
        }
        let mut i = 0;
        while i < 8 {
            let Some(raw) = value(self, SACK, (2 + usize::from(i) * 4, 0)) else {
                return;
            };
            self.set(field::OPTION_SACK + i, u32::from_be_bytes(raw));
            i += 1;
        }
    }

    /// Notes the extension headers of an IPv6 packet, the first of each kind.
    #[inline(always)]
    pub fn extensions<P: Packet + ?Sized>(&mut self, packet: &P, meta: &Meta) {
        self.set(field::EXTENSIONS, 0);
        self.vouch(have::EXTENSIONS);
        if meta.family == Family::V4 {
            return;
        }
        let Some([first, _]) = packet.read::<2>(meta.l3_start() + 6) else {
            return;
        };
        let (mut kind, mut at) = (first, meta.l3_start() + 40);
        let mut turn = 0;
        while turn < MOST_HEADERS {
            turn += 1;
            if header_of(kind).is_none() && kind != AUTHENTICATION {
                return;
            }
            let Some(raw) = packet.read::<8>(at) else {
                return;
            };
            let [next, length, _, offset, a, b, c, d] = raw;
            if let Some(word) = header_of(kind) {
                let seen = self.get(field::EXTENSIONS);
                if seen & 1 << word == 0 {
                    let [e, f, g, h, ..] = raw;
                    self.set(field::EXTENSION + word, u32::from_be_bytes([e, f, g, h]));
                    if kind == FRAGMENT {
                        self.set(field::FRAGMENT_ID, u32::from_be_bytes([a, b, c, d]));
                    }
                    self.set(field::EXTENSIONS, seen | 1 << word);
                }
            }
            let length = usize::from(length);
            at += match kind {
                // Behind a later fragment's header there is data; a mobility header is the last.
                FRAGMENT if raw[2] != 0 || offset & 0xf8 != 0 => return,
                MOBILITY => return,
                FRAGMENT => 8,
                AUTHENTICATION => (length + 2) * 4,
                _ => (length + 1) * 8,
            };
            if at >= meta.l3_start() + crate::wire::MAX_OFFSET {
                return;
            }
            kind = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TCP header with these options behind an IPv4 header, all other bytes zero.
    fn segment(options: &[u8], offset: u8, len: u16) -> Facts {
        let mut frame = vec![0; 14 + 20 + 20];
        frame[14 + 20 + 12] = offset << 4;
        frame.extend(options);
        let meta = Meta {
            family: Family::V4,
            proto: proto::TCP,
            l3_offset: 14,
            l4_offset: 34,
            l4_len: len,
            ..Meta::default()
        };
        let mut facts = Facts::default();
        facts.options(frame.as_slice(), &meta);
        facts
    }

    fn length(facts: &Facts, kind: u8) -> u32 {
        let word = KINDS.iter().position(|one| *one == kind).unwrap();
        facts.get(field::OPTION_LEN + word as u8)
    }

    #[test]
    fn words_are_those_of_the_lists() {
        for (at, kind) in KINDS.into_iter().enumerate() {
            assert_eq!(place_of(kind), at as u8);
        }
        for (at, kind) in HEADERS.into_iter().enumerate() {
            assert_eq!(header_of(kind), Some(at as u8));
        }
    }

    #[test]
    fn options_of_a_syn() {
        let options = [
            2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7,
        ];
        let facts = segment(&options, 10, 40);
        let all = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << TIMES;
        assert_eq!(facts.get(field::OPTIONS), all);
        assert_eq!(facts.get(field::OPTION_MSS), 1460);
        assert_eq!(facts.get(field::OPTION_WINDOW), 7);
        assert_eq!(facts.get(field::OPTION_TIMES), 1);
        assert_eq!(facts.get(field::OPTION_TIMES + 1), 2);
        assert_eq!((length(&facts, 4), length(&facts, 1)), (2, 1));
    }

    #[test]
    fn the_first_counts_even_if_it_is_cut_short() {
        let facts = segment(&[3, 3, 7, 0, 2, 9, 0, 1], 7, 28);
        assert_eq!(facts.get(field::OPTIONS) & 0xffff, 1 << 3 | 1);
        assert_eq!(length(&facts, 2), 0);
    }

    #[test]
    fn the_last_byte_is_no_option() {
        // `nft_exthdr_tcp_eval` goes on while two bytes are left.
        assert_eq!(segment(&[9, 3, 0, 1], 6, 24).get(field::OPTIONS), 0);
        assert_eq!(segment(&[9, 2, 1, 0], 6, 24).get(field::OPTIONS), 1 << 1);
    }

    #[test]
    fn headers_that_make_no_sense_have_none() {
        assert_eq!(segment(&[1, 1, 1, 1], 4, 24).get(field::OPTIONS), 0);
        assert_eq!(segment(&[1, 1, 1, 1], 6, 20).get(field::OPTIONS), 0);
        assert!(segment(&[], 5, 20).has(u32::from(have::OPTIONS)));
    }

    fn headers(first: u8, chain: &[[u8; 8]]) -> Facts {
        let mut frame = vec![0; 14 + 40];
        frame[14 + 6] = first;
        frame.extend(chain.concat());
        let meta = Meta {
            family: Family::V6,
            l3_offset: 14,
            ..Meta::default()
        };
        let mut facts = Facts::default();
        facts.extensions(frame.as_slice(), &meta);
        facts
    }

    #[test]
    fn a_chain_of_headers() {
        let chain = [
            [43, 0, 5, 2, 0, 0, 0, 0],
            [44, 0, 3, 9, 0, 0, 0, 0],
            [6, 0, 0, 1, 0, 0, 0, 77],
        ];
        let facts = headers(0, &chain);
        assert_eq!(facts.get(field::EXTENSIONS), 0b111);
        assert_eq!(facts.get(field::EXTENSION + 1), 0x2c00_0309);
        assert_eq!(facts.get(field::FRAGMENT_ID), 77);
    }

    #[test]
    fn behind_a_later_fragment_is_data() {
        let facts = headers(44, &[[60, 0, 0, 8, 0, 0, 0, 1], [6, 0, 0, 0, 0, 0, 0, 0]]);
        assert_eq!(facts.get(field::EXTENSIONS), 1 << 2);
    }
}
