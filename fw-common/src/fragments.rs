//! Datagrams in fragments: what the first one was judged holds for all.
//!
//! Only the first fragment has ports, so only it finds a flow and is judged by the rules. Nothing is held
//! back to be put together. The verdict is remembered, and later fragments share it; what they add to the
//! datagram is added to the flow: bytes, and of a TCP segment the sequence numbers.

use crate::abi::{Config, Datagram, Flow, FragmentKey, Progress};
use crate::ctinfo::Dir;
use crate::flow::Tuple;
use crate::tcp::{self, header};
use crate::verdict::{Reason, Verdict};
use crate::wire::{Family, Meta, meta_flags, proto};

/// Bits of [`Datagram::about`].
pub mod about {
    /// The first fragment was dropped, so are the others.
    pub const DROPPED: u8 = 1 << 0;
    /// It was counted in a flow, whose ports are known.
    pub const COUNTED: u8 = 1 << 1;
    /// [`crate::flow::Tuple::request`].
    pub const REQUEST: u8 = 1 << 2;
}

/// Values of [`Progress::stage`].
pub mod stage {
    /// Fragments are missing.
    pub const OPEN: u8 = 0;
    /// All of it was seen.
    pub const COMPLETE: u8 = 1;
    /// Fragments overlap: nothing more of it passes (RFC 5722; Linux does the same in IPv4).
    pub const SPOILT: u8 = 2;
}

/// Unfinished datagrams that a source address may have: as many as Linux thinks that its fragments may
/// come out of order by (`ipfrag_max_dist`).
pub const PLACES: u8 = 64;

/// Seconds after which a datagram is forgotten (`ipfrag_time`).
pub const LIFE: u64 = 30;

impl FragmentKey {
    /// The place of the datagram that the fragment `meta` belongs to. Numbers that follow each other have
    /// places that do.
    #[must_use]
    #[inline(always)]
    pub fn of(meta: &Meta, zone: u16, egress: bool) -> Self {
        let [_, _, _, v4_host, .., v6_host] = meta.dst;
        let [.., high, low] = meta.frag_id.to_be_bytes();
        let mixed = low
            .wrapping_add(high.rotate_left(3))
            .wrapping_add(v4_host ^ v6_host)
            .wrapping_add(key_proto(meta));
        Self {
            src: meta.src,
            zone,
            family: meta.family as u8,
            place: mixed & (PLACES - 1),
            egress: u8::from(egress),
            pad: [0; 3],
        }
    }
}

/// IPv4 numbers datagrams for each protocol by itself. In IPv6 the protocol is no part of it: a later
/// fragment may not even know it (RFC 8200 §4.5).
#[inline(always)]
const fn key_proto(meta: &Meta) -> u8 {
    match meta.family {
        Family::V4 => meta.proto,
        Family::V6 => 0,
    }
}

/// A first fragment and what became of it.
#[derive(Clone, Copy, Debug)]
pub struct First {
    /// Its verdict.
    pub verdict: Verdict,
    /// Whether it was counted in a flow ([`crate::track::Outcome::counted`]).
    pub counted: bool,
}

impl Datagram {
    /// What to remember of a first fragment.
    #[inline(always)]
    pub fn remember(&mut self, meta: &Meta, first: First, config: &Config, now: u64) {
        let tuple = Tuple::of(meta).unwrap_or_default();
        let dropped = flag(first.verdict == Verdict::Drop, about::DROPPED);
        let counted = flag(first.counted, about::COUNTED);
        *self = Self {
            deadline: now.wrapping_add(LIFE * u64::from(config.hz)),
            dst: meta.dst,
            id: meta.frag_id,
            sport: tuple.sport,
            dport: tuple.dport,
            first_len: meta.frag_len,
            proto: meta.proto,
            about: dropped | counted | flag(tuple.request, about::REQUEST),
            pad: [0; 4],
            progress: Progress {
                seen: u32::from(meta.frag_len),
                tcp_end: segment_end(meta),
                next: meta.frag_len,
                total: 0,
                furthest: meta.frag_len,
                stage: stage::OPEN,
                pad: 0,
            },
        };
    }

    /// Whether this is the datagram of `meta`, and still remembered. The place it was found in is that of
    /// others, too.
    #[must_use]
    #[inline(always)]
    pub fn is_of(&self, meta: &Meta, now: u64) -> bool {
        let same_proto = meta.family == Family::V6 || self.proto == meta.proto;
        self.id == meta.frag_id && self.deadline > now && self.dst == meta.dst && same_proto
    }

    /// Whether a further first fragment may begin the datagram anew: the number of a finished one may be
    /// used again, and one that is spoilt is thrown away at its destination.
    ///
    /// # Errors
    /// [`Reason::OverlappingFragment`]. If it is not the same once more, the datagram is spoilt.
    #[inline(always)]
    pub fn begin_again(&mut self, meta: &Meta) -> Result<(), Reason> {
        if self.progress.stage != stage::OPEN {
            return Ok(());
        }
        let tuple = Tuple::of(meta).unwrap_or_default();
        let same = self.first_len == meta.frag_len
            && (self.sport, self.dport) == (tuple.sport, tuple.dport);
        if !same {
            self.progress.stage = stage::SPOILT;
        }
        Err(Reason::OverlappingFragment)
    }

    /// Takes a later fragment; how many bytes of its data are new.
    ///
    /// # Errors
    /// Why it is dropped: [`Reason::FragmentOfDropped`], [`Reason::OverlappingFragment`].
    #[inline(always)]
    pub fn take(&mut self, meta: &Meta) -> Result<u16, Reason> {
        if self.about & about::DROPPED != 0 {
            return Err(Reason::FragmentOfDropped);
        }
        let Progress {
            total,
            next,
            furthest,
            ..
        } = self.progress;
        let start = meta.frag_offset;
        // Within 16 bits: the parser has seen to that.
        let end = start.saturating_add(meta.frag_len);
        let last = meta.flags & meta_flags::MORE_FRAGMENTS == 0;
        // Of no use, and no host puts a datagram with one together (`ip_frag_queue`, `nf_ct_frag6_queue`).
        let empty = start == end;
        let overlaps = start < self.first_len || (start < next && end > next);
        let two_ends = total != 0 && (end > total || (last && end != total));
        let behind_end = last && end < furthest;
        let fits = !(empty || overlaps || two_ends || behind_end);
        if self.progress.stage == stage::SPOILT || !fits {
            self.progress.stage = stage::SPOILT;
            return Err(Reason::OverlappingFragment);
        }
        if end <= next {
            return Ok(0);
        }
        if start == next {
            self.progress.next = end;
        }
        if end > furthest {
            self.progress.furthest = end;
        }
        if last {
            self.progress.total = end;
        }
        self.progress.seen = self.progress.seen.wrapping_add(u32::from(meta.frag_len));
        if self.progress.total != 0 && self.progress.seen >= u32::from(self.progress.total) {
            self.progress.stage = stage::COMPLETE;
        }
        Ok(meta.frag_len)
    }

    /// The tuple of the datagram's flow, if it was counted in one.
    #[must_use]
    #[inline(always)]
    pub fn tuple(&self, meta: &Meta) -> Option<Tuple> {
        if self.about & about::COUNTED == 0 {
            return None;
        }
        Some(Tuple {
            src: meta.src,
            dst: meta.dst,
            sport: self.sport,
            dport: self.dport,
            proto: self.proto,
            request: self.about & about::REQUEST != 0,
        })
    }

    /// Adds `bytes` that a later fragment brought to the datagram's flow. A datagram is counted as one
    /// packet, with the bytes of all its fragments but for their further IP headers.
    ///
    /// The end of a fragmented TCP segment is known only now. Without it the acknowledgement of the whole
    /// would be one of data that was never sent.
    #[inline(always)]
    pub fn add_to(&mut self, flow: &mut Flow, dir: Dir, bytes: u16, config: &Config) {
        if config.accounting != 0 {
            let leg = &mut flow.legs[dir.index() & 1];
            leg.bytes = leg.bytes.wrapping_add(u64::from(bytes));
        }
        if self.proto == proto::TCP {
            let end = self.progress.tcp_end.wrapping_add(u32::from(bytes));
            tcp::extend(flow, dir, self.progress.tcp_end, end);
            self.progress.tcp_end = end;
        }
    }
}

#[inline(always)]
const fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

/// The sequence number after what the first fragment has of its segment.
#[inline(always)]
const fn segment_end(meta: &Meta) -> u32 {
    if meta.proto != proto::TCP {
        return 0;
    }
    let flags = meta.tcp.flags;
    let phantom = (flags & header::SYN != 0) as u32 + (flags & header::FIN != 0) as u32;
    meta.tcp
        .seq
        .wrapping_add(meta.tcp.payload as u32)
        .wrapping_add(phantom)
}
