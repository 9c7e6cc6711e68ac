//! Any bytes as fragments of one datagram, beside a slow account of which bytes have passed.

use std::collections::HashMap;

use etherparse::{IpNumber, Ipv6Header, PacketBuilder};
use fw_common::abi::{Config, Datagram, FragmentKey};
use fw_common::fragments::{First, PLACES, stage};
use fw_common::wire::{Family, Fragment, Meta, proto};
use fw_common::{Reason, Verdict};

use crate::frame::repaired;
use crate::oracle;
use crate::support::{HZ, START, defaults};

/// What has passed of a datagram since its first fragment.
#[derive(Default)]
struct Account {
    /// Where each fragment begins and ends.
    parts: Vec<(usize, usize)>,
    /// The first fragment was dropped.
    dropped: bool,
    /// No two of them have had a byte in common.
    clean: bool,
    /// Where the last one ends.
    total: Option<usize>,
}

/// A firewall that knows of fragments only.
struct World {
    config: Config,
    now: u64,
    datagrams: HashMap<FragmentKey, Datagram>,
    accounts: HashMap<FragmentKey, Account>,
}

/// Sends the fragments that `data` describes: family, number of the datagram, what becomes of its first
/// fragment and when, protocol; offset in units of eight bytes; bytes, and whether more follow.
///
/// # Panics
/// If something is not as it must be.
pub fn fragments(data: &[u8]) {
    let mut world = World {
        config: defaults(),
        now: START,
        datagrams: HashMap::new(),
        accounts: HashMap::new(),
    };
    for step in data.as_chunks::<4>().0 {
        world.receive(step);
    }
}

impl World {
    fn receive(&mut self, &[about, offset, length, more]: &[u8; 4]) {
        let family = if about & 1 == 0 {
            Family::V4
        } else {
            Family::V6
        };
        let protocol = [proto::UDP, proto::TCP, proto::ICMP, proto::ESP][usize::from(about >> 6)];
        self.now += u64::from(about >> 4 & 3) * 10 * HZ;
        let field = u16::from(offset & 31) << 3 | u16::from(more & 1);
        let frame = fragment(family, (protocol, about >> 1 & 1), field, length.into());
        let (result, meta) = oracle::parse(&frame);
        if result.is_err() {
            return;
        }
        let key = FragmentKey::of(&meta, 0, false);
        assert!(key.place < PLACES);
        match meta.fragment {
            Fragment::Whole => {}
            Fragment::First => {
                let verdict = if about & 8 == 0 {
                    Verdict::Pass
                } else {
                    Verdict::Drop
                };
                self.first(key, &meta, verdict);
            }
            Fragment::Later => self.later(key, &meta),
        }
    }

    fn first(&mut self, key: FragmentKey, meta: &Meta, verdict: Verdict) {
        if let Some(datagram) = self.datagrams.get_mut(&key)
            && datagram.is_of(meta, self.now)
        {
            let before = datagram.progress.stage;
            match datagram.begin_again(meta) {
                Ok(()) => assert_ne!(before, stage::OPEN),
                Err(reason) => {
                    assert_eq!((before, reason), (stage::OPEN, Reason::OverlappingFragment));
                    return;
                }
            }
        }
        let first = First {
            verdict,
            counted: verdict == Verdict::Pass,
        };
        let mut datagram = Datagram::default();
        datagram.remember(meta, first, &self.config, self.now);
        assert!(datagram.is_of(meta, self.now), "its own fragment");
        self.datagrams.insert(key, datagram);
        let account = Account {
            parts: vec![(0, meta.frag_len.into())],
            dropped: verdict == Verdict::Drop,
            clean: true,
            total: None,
        };
        self.accounts.insert(key, account);
    }

    fn later(&mut self, key: FragmentKey, meta: &Meta) {
        let Some(datagram) = self.datagrams.get_mut(&key) else {
            return;
        };
        if !datagram.is_of(meta, self.now) {
            return;
        }
        let before = datagram.progress;
        let taken = datagram.take(meta);
        let account = self.accounts.get_mut(&key).expect("with the datagram");
        assert_eq!(taken == Err(Reason::FragmentOfDropped), account.dropped);
        match taken {
            Ok(bytes) => {
                assert_ne!(before.stage, stage::SPOILT);
                account.pass(datagram, meta, bytes);
            }
            Err(Reason::OverlappingFragment) => {
                assert_eq!(datagram.progress.stage, stage::SPOILT);
            }
            Err(Reason::FragmentOfDropped) => assert_eq!(datagram.progress, before),
            Err(other) => panic!("{other:?}"),
        }
    }
}

impl Account {
    fn pass(&mut self, datagram: &Datagram, meta: &Meta, bytes: u16) {
        let start = usize::from(meta.frag_offset);
        let end = start + usize::from(meta.frag_len);
        let (_, first) = self.parts[0];
        assert!(start >= first, "nothing overwrites the headers");
        assert_ne!(start, end, "nothing empty");
        assert!(bytes == 0 || bytes == meta.frag_len);
        assert!(
            self.total.is_none_or(|total| end <= total),
            "nothing behind the end"
        );
        if bytes != 0 {
            self.clean &= self
                .parts
                .iter()
                .all(|(from, to)| end <= *from || start >= *to);
            self.parts.push((start, end));
            if meta.flags & fw_common::wire::meta_flags::MORE_FRAGMENTS == 0 {
                assert!(self.total.is_none_or(|total| total == end), "one end");
                self.total = Some(end);
            }
        }
        let next = usize::from(datagram.progress.next);
        assert!(self.covers(next), "what counts as seen has been");
        let is_complete = datagram.progress.stage == stage::COMPLETE;
        if self.clean {
            assert_eq!(
                is_complete,
                self.total.is_some_and(|total| self.covers(total))
            );
        }
    }

    /// Whether every byte up to `end` has passed.
    fn covers(&self, end: usize) -> bool {
        let mut parts = self.parts.clone();
        parts.sort_unstable();
        let mut seen = 0;
        for (from, to) in parts {
            if from > seen {
                break;
            }
            seen = seen.max(to);
        }
        seen >= end
    }
}

/// A fragment of datagram number `id`. The offset field is IPv6's.
fn fragment(family: Family, (protocol, id): (u8, u8), field: u16, length: usize) -> Vec<u8> {
    let mut data = vec![0; length];
    // Ports, or the type of an ICMP message; a TCP header of five words.
    for (at, byte) in [0x13, 0x88, 0, 53].into_iter().enumerate().take(length) {
        data[at] = byte;
    }
    if protocol == proto::TCP && length > 13 {
        (data[12], data[13]) = (0x50, 0x10);
    }
    if family == Family::V4 {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .write(&mut frame, IpNumber(protocol), &data)
            .expect("a short packet");
        frame[18..20].copy_from_slice(&[0, id]);
        let more = field << 13;
        frame[20..22].copy_from_slice(&(field >> 3 | more).to_be_bytes());
        return repaired(&frame);
    }
    let address = |last| {
        let mut address = [0; 16];
        [address[0], address[1], address[15]] = [0x20, 1, last];
        address
    };
    let header = Ipv6Header {
        payload_length: 8 + length as u16,
        next_header: IpNumber(44),
        hop_limit: 64,
        source: address(1),
        destination: address(2),
        ..Ipv6Header::default()
    };
    let [high, low] = field.to_be_bytes();
    let fragment = [protocol, 0, high, low, 0, 0, 0, id];
    [
        &[2; 12],
        &[0x86, 0xdd][..],
        &header.to_bytes(),
        &fragment,
        &data,
    ]
    .concat()
}
