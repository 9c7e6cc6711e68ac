//! Packets followed through the rules: which, and what is told of them.

use crate::ruleset::field::RECORD;
use crate::wire::{Fragment, Meta};

/// Which packets are followed: value of the `TRACE` map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TraceOrder {
    /// Until which tick. A time and not a switch, so that whoever is killed leaves nothing behind.
    pub until: u64,
    /// How many more; the programs count down, whoever traces fills up.
    pub left: u64,
    /// Bits of the source address, in the form of [`Meta::src`], and which of them matter.
    pub src: [[u64; 2]; 2],
    /// The same of the destination address.
    pub dst: [[u64; 2]; 2],
    /// [`crate::wire::Family`] as a number; [`ANY`] for both.
    pub family: u32,
    /// Transport protocol, or [`ANY`].
    pub proto: u32,
    /// Source port, or [`ANY`].
    pub sport: u32,
    /// Destination port, or [`ANY`].
    pub dport: u32,
    /// Index of the NIC, or [`ANY`].
    pub port: u32,
    /// Zero.
    pub pad: u32,
}

/// Any value.
pub const ANY: u32 = u32::MAX;

/// Size of the ring buffer of records, in bytes: some three hundred.
pub const TRACES_BYTES: u32 = 1 << 19;
/// Most instructions that are told of.
pub const TURNS: usize = 128;

/// What is told of a packet at one hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TraceRecord {
    /// The packet's facts when it was judged.
    pub facts: [u32; RECORD],
    /// Instructions that were run, as far as they decide or do something.
    pub turns: [TraceTurn; TURNS],
    /// How many there were; of more than [`TURNS`] the last ones are missing.
    pub count: u32,
    /// [`crate::ruleset::Outcome`] as a number.
    pub outcome: u32,
    /// Random; the same at all hooks that the packet passes.
    pub id: u32,
    /// The number under which the ruleset was loaded.
    pub generation: u32,
}

/// An instruction that was run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TraceTurn {
    /// Its index; above that, from bit 24 on, the number of jumps that led to it.
    pub at: u32,
    /// The one that was run next; [`ANY`] if it was the last.
    pub next: u32,
}

impl TraceOrder {
    /// All packets.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            until: 0,
            left: 0,
            src: [[0; 2]; 2],
            dst: [[0; 2]; 2],
            family: ANY,
            proto: ANY,
            sport: ANY,
            dport: ANY,
            port: ANY,
            pad: 0,
        }
    }

    /// Whether it asks for a packet of NIC `port`.
    #[must_use]
    #[inline(always)]
    pub fn wants(&self, meta: &Meta, port: u32) -> bool {
        let same = |wanted: u32, value: u32| wanted == ANY || wanted == value;
        // A later fragment has no ports.
        let has_ports = !matches!(meta.fragment, Fragment::Later);
        let ports = self.sport == ANY && self.dport == ANY
            || has_ports
                && same(self.sport, u32::from(meta.sport))
                && same(self.dport, u32::from(meta.dport));
        same(self.port, port)
            && same(self.family, meta.family as u32)
            && same(self.proto, u32::from(meta.proto))
            && ports
            && within(self.src, &meta.src)
            && within(self.dst, &meta.dst)
    }
}

#[inline(always)]
fn within([value, mask]: [[u64; 2]; 2], address: &[u8; 16]) -> bool {
    let [first, second] = halves(address);
    first & mask[0] == value[0] && second & mask[1] == value[1]
}

/// An address in two words, as it stands in memory.
#[must_use]
#[inline(always)]
pub fn halves(address: &[u8; 16]) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *address;
    [
        u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
        u64::from_ne_bytes([i, j, k, l, m, n, o, p]),
    ]
}

impl TraceTurn {
    /// Index of the instruction, and the number of jumps.
    #[must_use]
    pub const fn place(self) -> (u32, u32) {
        (self.at & 0x00ff_ffff, self.at >> 24)
    }
}

const _: () = assert!(super::RULE_SLOTS <= 1 << 24);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing::{accept, tcp, v4, v6};

    #[test]
    fn packets_are_wanted_by_each_field() {
        let meta = accept(&v4(6, &tcp(2, &[], &[])));
        let all = TraceOrder::all();
        assert!(all.wants(&meta, 3));
        for (order, wanted) in [
            (TraceOrder { proto: 6, ..all }, true),
            (TraceOrder { proto: 17, ..all }, false),
            (
                TraceOrder {
                    sport: 1000,
                    dport: 80,
                    ..all
                },
                true,
            ),
            (TraceOrder { sport: 80, ..all }, false),
            (TraceOrder { port: 3, ..all }, true),
            (TraceOrder { port: 4, ..all }, false),
            (TraceOrder { family: 10, ..all }, false),
        ] {
            assert_eq!(order.wants(&meta, 3), wanted, "{order:?}");
        }
        let src = halves(&meta.src);
        let exact = TraceOrder {
            src: [src, [u64::MAX; 2]],
            ..all
        };
        assert!(exact.wants(&meta, 3));
        let other = TraceOrder {
            dst: [src, [u64::MAX; 2]],
            ..all
        };
        assert!(!other.wants(&meta, 3));
        assert!(TraceOrder { family: 10, ..all }.wants(&accept(&v6(6, &tcp(2, &[], &[]))), 3));
    }
}
