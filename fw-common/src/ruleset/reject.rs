//! The answer to a packet that the rules reject: a TCP reset, or an ICMP error that quotes it.
//!
//! As `nf_send_reset` and `nf_send_unreach` in the kernel. Pure: the caller brings the packet and sends
//! what comes out.

use crate::wire::{Family, Fragment, Meta, Packet, meta_flags, proto};
use crate::{icmp, tcp::header};

/// Most bytes of an answer: headers, and what an ICMP error quotes.
pub const MAX_ANSWER: usize = 160;
/// Bytes that an ICMP error quotes at most, from the IP header on: its header and what tells the flow.
pub const MAX_QUOTE: usize = 96;

/// Length of an Ethernet header without tags.
const ETHERNET: usize = 14;
/// Time to live of answers (`ip_default_ttl`).
const TTL: u8 = 64;

/// How a packet is rejected, in an instruction's operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// With a TCP reset.
    Reset,
    /// With an ICMP error: type and code.
    Icmp(u8, u8),
}

impl Manner {
    /// What [`super::op::REJECT`]'s operand means for a packet of `family`; `None` if it is for the other.
    #[must_use]
    #[inline(always)]
    pub const fn of(code: u32, family: Family) -> Option<Self> {
        let low = code as u8;
        match (code >> 8, family) {
            (0, _) => Some(Self::Reset),
            (1, Family::V4) => Some(Self::Icmp(3, low)),
            (2, Family::V6) => Some(Self::Icmp(1, low)),
            // nftables' abstract codes: no route, port unreachable, host unreachable, prohibited.
            (3, Family::V4) => Some(Self::Icmp(
                3,
                match low {
                    0 => 0,
                    1 => 3,
                    2 => 1,
                    _ => 13,
                },
            )),
            (3, Family::V6) => Some(Self::Icmp(
                1,
                match low {
                    0 => 0,
                    1 => 4,
                    2 => 3,
                    _ => 1,
                },
            )),
            _ => None,
        }
    }
}

/// Whether the packet that `meta` describes is answered with a reset that ends its connection
/// (`nf_ct_set_closing`).
#[must_use]
#[inline(always)]
pub const fn resets(meta: &Meta, code: u32) -> bool {
    matches!(Manner::of(code, meta.family), Some(Manner::Reset)) && is_resettable(meta)
}

/// Writes the answer to the packet that `meta` describes, as it leaves by where the packet came in; its
/// length, or `None` if there is none: to an answer, to a group, to a fragment without ports.
#[inline(always)]
pub fn answer<P: Packet + ?Sized>(
    packet: &P,
    meta: &Meta,
    code: u32,
    out: &mut [u8; MAX_ANSWER],
) -> Option<usize> {
    let manner = Manner::of(code, meta.family)?;
    let plain = usize::from(meta.l3_offset) == ETHERNET;
    let single = meta.flags & meta_flags::MULTICAST == 0 && meta.fragment != Fragment::Later;
    // No error answers an error (RFC 1122 §3.2.2, RFC 4443 §2.4).
    let error =
        icmp::is_icmp(meta.family, meta.proto) && icmp::is_error(meta.family, meta.icmp_type);
    if !plain || !single || error {
        return None;
    }
    ethernet(packet, out)?;
    match (manner, meta.family) {
        (Manner::Reset, _) if !is_resettable(meta) => None,
        (Manner::Reset, Family::V4) => Some(reset::<L4_V4>(meta, out)),
        (Manner::Reset, Family::V6) => Some(reset::<L4_V6>(meta, out)),
        (Manner::Icmp(kind, code), Family::V4) => {
            Some(quote::<L4_V4, P>(packet, meta, (kind, code), out))
        }
        (Manner::Icmp(kind, code), Family::V6) => {
            Some(quote::<L4_V6, P>(packet, meta, (kind, code), out))
        }
    }
}

/// Where the transport header of an answer starts.
const L4_V4: usize = ETHERNET + 20;
const L4_V6: usize = ETHERNET + 40;

#[inline(always)]
const fn is_resettable(meta: &Meta) -> bool {
    meta.proto == proto::TCP && meta.tcp.flags & header::RST == 0
}

/// Back to the sender.
#[inline(always)]
fn ethernet<P: Packet + ?Sized>(packet: &P, out: &mut [u8; MAX_ANSWER]) -> Option<()> {
    let target = packet.read::<6>(0)?;
    let source = packet.read::<6>(6)?;
    let kind = packet.read::<2>(12)?;
    put(out, 0, source);
    put(out, 6, target);
    put(out, 12, kind);
    Some(())
}

/// Writes bytes at a place that is known to be inside.
#[inline(always)]
fn put<const N: usize>(out: &mut [u8; MAX_ANSWER], at: usize, bytes: [u8; N]) {
    let mut i = 0;
    while i < N {
        if let Some(to) = out.get_mut(at + i) {
            *to = bytes[i];
        }
        i += 1;
    }
}

/// The IP header of an answer with `len` bytes behind it.
#[inline(always)]
fn network(meta: &Meta, proto: u8, len: u16, out: &mut [u8; MAX_ANSWER]) {
    match meta.family {
        Family::V4 => {
            let [total_high, total_low] = (len + 20).to_be_bytes();
            // No id: it is never fragmented (RFC 6864).
            put(
                out,
                ETHERNET,
                [0x45, 0, total_high, total_low, 0, 0, 0x40, 0],
            );
            put(out, ETHERNET + 8, [TTL, proto, 0, 0]);
            put(out, ETHERNET + 12, first4(&meta.dst));
            put(out, ETHERNET + 16, first4(&meta.src));
            let sum = fold(sum::<20>(out, ETHERNET));
            put(out, ETHERNET + 10, (!sum).to_be_bytes());
        }
        Family::V6 => {
            let [high, low] = len.to_be_bytes();
            put(out, ETHERNET, [0x60, 0, 0, 0, high, low, proto, TTL]);
            put(out, ETHERNET + 8, meta.dst);
            put(out, ETHERNET + 24, meta.src);
        }
    }
}

#[inline(always)]
const fn first4(address: &[u8; 16]) -> [u8; 4] {
    let [a, b, c, d, ..] = *address;
    [a, b, c, d]
}

/// A reset that the sender takes for its peer's (RFC 9293 §3.10.7.1).
#[inline(always)]
fn reset<const L4: usize>(meta: &Meta, out: &mut [u8; MAX_ANSWER]) -> usize {
    let tcp = &meta.tcp;
    let (seq, ack, flags) = if tcp.flags & header::ACK != 0 {
        (tcp.ack, 0, header::RST)
    } else {
        let begins = u32::from(tcp.flags & header::SYN != 0);
        let ends = u32::from(tcp.flags & header::FIN != 0);
        let end = tcp.seq.wrapping_add(u32::from(tcp.payload) + begins + ends);
        (0, end, header::RST | header::ACK)
    };
    network(meta, proto::TCP, 20, out);
    put(out, L4, meta.dport.to_be_bytes());
    put(out, L4 + 2, meta.sport.to_be_bytes());
    put(out, L4 + 4, seq.to_be_bytes());
    put(out, L4 + 8, ack.to_be_bytes());
    put(out, L4 + 12, [0x50, flags, 0, 0, 0, 0, 0, 0]);
    let sum = fold(sum::<20>(out, L4) + pseudo::<L4>(proto::TCP, 20, out));
    put(out, L4 + 16, (!sum).to_be_bytes());
    L4 + 20
}

/// An ICMP error that quotes the packet.
#[inline(always)]
fn quote<const L4: usize, P: Packet + ?Sized>(
    packet: &P,
    meta: &Meta,
    (kind, code): (u8, u8),
    out: &mut [u8; MAX_ANSWER],
) -> usize {
    let mut i = 0;
    put(out, QUOTED, [0]);
    while i < MAX_QUOTE / 4 {
        quote_word::<L4, P>(
            packet,
            core::hint::black_box(meta),
            i,
            core::hint::black_box(out),
        );
        i += 1;
    }
    let [.., words] = *core::hint::black_box(&*out);
    let quoted = u16::from(words) * 4;
    let proto = match meta.family {
        Family::V4 => proto::ICMP,
        Family::V6 => proto::ICMPV6,
    };
    network(meta, proto, 8 + quoted, out);
    put(out, L4, [kind, code, 0, 0, 0, 0, 0, 0]);
    let mut total = sum::<{ 8 + MAX_QUOTE }>(out, L4);
    if let Family::V6 = meta.family {
        total += pseudo::<L4>(proto, 8 + quoted, out);
    }
    put(out, L4 + 2, (!fold(total)).to_be_bytes());
    L4 + 8 + usize::from(quoted)
}

/// Where the number of quoted words stands meanwhile: in memory, not in a register, so that BPF's verifier
/// does not follow each length by itself.
const QUOTED: usize = MAX_ANSWER - 1;

/// Quotes word `i` of the packet. What is not there counts as zeroes in the checksum, and is not sent.
#[inline(always)]
fn quote_word<const L4: usize, P: Packet + ?Sized>(
    packet: &P,
    meta: &Meta,
    i: usize,
    out: &mut [u8; MAX_ANSWER],
) {
    let inside = usize::from(meta.l3_len) >= i * 4 + 4;
    let word = packet.read::<4>(meta.l3_start() + i * 4);
    match word.filter(|_| inside) {
        Some(word) => {
            put(out, L4 + 8 + i * 4, word);
            put(out, QUOTED, [i as u8 + 1]);
        }
        None => put(out, L4 + 8 + i * 4, [0; 4]),
    }
}

/// The pseudo header's share of a checksum: the addresses stand before the transport header.
#[inline(always)]
fn pseudo<const L4: usize>(proto: u8, len: u16, out: &[u8; MAX_ANSWER]) -> u32 {
    let addresses = if L4 == L4_V4 {
        sum::<8>(out, L4 - 8)
    } else {
        sum::<32>(out, L4 - 32)
    };
    addresses + u32::from(proto) + u32::from(len)
}

/// The sum of `LEN` bytes as 16-bit words.
#[inline(always)]
fn sum<const LEN: usize>(out: &[u8; MAX_ANSWER], at: usize) -> u32 {
    let mut sum = 0;
    let mut i = 0;
    while i < LEN {
        if let (Some(high), Some(low)) = (out.get(at + i), out.get(at + i + 1)) {
            sum += u32::from(*high) << 8 | u32::from(*low);
        }
        i += 2;
    }
    sum
}

#[inline(always)]
const fn fold(sum: u32) -> u16 {
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + sum) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing::{accept, tcp, v4, v6};
    use crate::wire::{self, checksum};

    fn answered(frame: &[u8], code: u32) -> Option<(Meta, Vec<u8>)> {
        let meta = accept(frame);
        let mut out = [0xa5; MAX_ANSWER];
        let len = answer(frame, &meta, code, &mut out)?;
        let reply = out[..len].to_vec();
        let mut read = Meta::default();
        wire::parse(&reply[..], &mut read).expect("an answer that parses");
        checksum::verify::<1500, [u8]>(&reply[..], &read).expect("a right checksum");
        assert_eq!((read.src, read.dst), (meta.dst, meta.src));
        assert_eq!(reply[..6], frame[6..12]);
        assert_eq!(reply[6..12], frame[..6]);
        Some((read, reply))
    }

    #[test]
    fn a_syn_is_reset() {
        for frame in [v4(6, &tcp(2, &[], &[])), v6(6, &tcp(2, &[], &[]))] {
            let (reply, _) = answered(&frame, 0).expect("an answer");
            assert_eq!((reply.sport, reply.dport), (80, 1000));
            assert_eq!(reply.tcp.flags, header::RST | header::ACK);
            assert_eq!((reply.tcp.seq, reply.tcp.ack), (0, 2));
        }
    }

    #[test]
    fn an_acknowledgement_is_reset_at_its_number() {
        let (reply, _) = answered(&v4(6, &tcp(0x10, &[], b"data")), 0).expect("an answer");
        assert_eq!((reply.tcp.flags, reply.tcp.seq), (header::RST, 2));
    }

    #[test]
    fn a_reset_is_not_answered() {
        assert_eq!(answered(&v4(6, &tcp(4, &[], &[])), 0), None);
        assert_eq!(answered(&v4(17, &[0, 1, 0, 2, 0, 8, 0, 0]), 0), None);
    }

    #[test]
    fn an_error_quotes_what_it_is_about() {
        let udp = [0, 1, 0, 2, 0, 8, 0, 0];
        for (frame, code, expected, header) in [
            (v4(17, &udp), 1 << 8 | 13, (3, 13), 20),
            (v4(17, &udp), 3 << 8 | 1, (3, 3), 20),
            (v6(6, &tcp(2, &[], &[1; 200])), 2 << 8 | 4, (1, 4), 40),
        ] {
            let (reply, bytes) = answered(&frame, code).expect("an answer");
            assert_eq!((reply.icmp_type, reply.icmp_code), expected);
            let quote = &bytes[14 + header + 8..];
            assert!(!quote.is_empty() && quote.len() <= MAX_QUOTE);
            assert_eq!(quote, &frame[14..14 + quote.len()]);
        }
    }

    #[test]
    fn the_other_familys_answer_is_none() {
        assert_eq!(answered(&v4(17, &[0, 1, 0, 2, 0, 8, 0, 0]), 2 << 8), None);
    }
}
