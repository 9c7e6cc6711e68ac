//! The compiled ruleset in maps: two banks of everything, of which one is in force.

use crate::ruleset::Entry;

/// Instructions of a bank. An instruction's index in the map is its bank's number times this, plus its
/// index in the ruleset.
pub const RULE_SLOTS: u32 = 1 << 17;
/// Counters of a bank, of which the first is not used: a counter's number is never 0.
pub const TALLY_SLOTS: u32 = 1 << 14;
/// Paths of a bank, likewise.
pub const PATH_SLOTS: u32 = 1 << 12;
/// Limiters and quotas of a bank.
pub const METER_SLOTS: u32 = 1 << 10;
/// `log` statements of a bank.
pub const LOG_SLOTS: u32 = 1 << 8;
/// Bytes of the ring buffer with what they tell.
pub const LOGS_BYTES: u32 = 1 << 18;
/// Sets of each kind, of both banks together.
pub const SET_SLOTS: u32 = 1 << 10;

/// Which ruleset is in force: one word, so that a packet sees one or the other.
///
/// The lowest bit is the bank, the rest a number that is raised by every new ruleset and every change of
/// a set by hand: what was concluded under another number does not hold any more. 0: no ruleset. The two highest
/// bits say whether packets of IPv4 and of IPv6 have rules before conntrack ([`Entry::Early`]), so that nobody has
/// to look into the bank for that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Active(pub u64);

/// Where in [`Active`] it says which families have early rules.
const EARLY: u32 = 62;

impl Active {
    /// No ruleset.
    pub const NONE: Self = Self(0);

    /// The ruleset in `bank`, under number `epoch`.
    #[must_use]
    pub const fn new(epoch: u32, bank: u32) -> Self {
        Self((epoch as u64) << 1 | (bank & 1) as u64)
    }

    /// The same with what [`RulesHead::entries`] says of early rules.
    #[must_use]
    pub const fn with_entries(self, entries: &[[u32; 2]; Entry::COUNT]) -> Self {
        let [v4, v6] = entries[Entry::Early as usize];
        let early = (v4 != 0) as u64 | ((v6 != 0) as u64) << 1;
        Self(self.0 & !(3 << EARLY) | early << EARLY)
    }

    /// Whether there are rules before conntrack, for IPv6 or for IPv4.
    #[must_use]
    #[inline(always)]
    pub const fn is_early(self, v6: bool) -> bool {
        self.0 >> EARLY >> v6 as u32 & 1 != 0
    }

    /// The same under another number.
    #[must_use]
    pub const fn renumbered(self, epoch: u32) -> Self {
        Self(self.0 & (3 << EARLY) | Self::new(epoch, self.bank()).0)
    }

    /// The number; 0 for no ruleset.
    #[must_use]
    #[inline(always)]
    pub const fn epoch(self) -> u32 {
        (self.0 >> 1) as u32
    }

    /// The bank.
    #[must_use]
    #[inline(always)]
    pub const fn bank(self) -> u32 {
        (self.0 & 1) as u32
    }
}

/// What a bank holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RulesHead {
    /// Where the packets of each [`Entry`] enter: index of the instruction plus one, 0 if there is no
    /// chain; for IPv4 and for IPv6.
    pub entries: [[u32; 2]; Entry::COUNT],
    /// Number of the next path: counted up as paths are found.
    pub paths: u32,
    /// Bits of [`needs`].
    pub needs: u32,
    /// The number under which it was loaded. Changes of sets do not raise it.
    pub generation: u32,
    /// A random number, of which nobody outside knows how lists of connections are numbered.
    pub secret: u32,
}

/// Bits of [`RulesHead::needs`]: facts that cost something to find out, and are asked for by a rule.
pub mod needs {
    /// The time of day, and the CPU's number.
    pub const TIME: u32 = 1;
    /// TCP options.
    pub const OPTIONS: u32 = 2;
    /// Extension headers of IPv6.
    pub const EXTENSIONS: u32 = 16;
    /// The type of the source address.
    pub const SADDR_TYPE: u32 = 32;
    /// The type of the destination address.
    pub const DADDR_TYPE: u32 = 64;
    /// By which interface the source is reached.
    pub const SADDR_OIF: u32 = 128;
    /// By which interface the destination is reached.
    pub const DADDR_OIF: u32 = 256;
    /// Types of addresses on the interface that a packet leaves by, which is known later.
    pub const TYPE_OUT: u32 = 512;
    /// What the routing tables say of addresses.
    pub const FIB: u32 = SADDR_TYPE | DADDR_TYPE | SADDR_OIF | DADDR_OIF;
    /// What is asked only where a rule does, of every packet.
    pub const ASKED: u32 = TIME | OPTIONS | EXTENSIONS | FIB;
    /// Where a packet goes, before conntrack.
    pub const ROUTE: u32 = 8;
    /// No fact: what the rules would drop passes.
    pub const OBSERVE: u32 = 4;
    /// No fact: no rule asks by which interfaces a packet comes in and leaves, or logs them.
    pub const NO_LINKS: u32 = 1024;
    /// No fact: there are chains before conntrack, and rules that set a packet's mark, which later ones may read.
    pub const EARLY_MARK: u32 = 2048;
    /// No fact: no rule decides by interfaces, or by what the routing tables say.
    pub const NO_WAYS: u32 = 4096;
}

/// A counter of packets and bytes: the bytes of an IP packet, as nftables counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Tally {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What a rule or a path counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Hits {
    /// Packets and bytes.
    pub tally: Tally,
    /// Tick of the last packet; 0: none came.
    pub last: u64,
}

impl Hits {
    /// Both together.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self {
            tally: Tally {
                packets: self.tally.packets.wrapping_add(other.tally.packets),
                bytes: self.tally.bytes.wrapping_add(other.tally.bytes),
            },
            last: self.last.max(other.last),
        }
    }
}

/// Key of the `PATHS` map: the counters that packets met, in order; its value is the path's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct PathKey {
    /// Numbers of counters, zeroes behind them.
    pub trail: [u16; 16],
    /// Bank of the ruleset.
    pub bank: u32,
}

/// Key of the `LINKS` map: what came in by NIC `port` with VLAN id `vlan` (0: none) came, for the IP
/// stack and for rules, by the interface in the map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct LinkKey {
    /// Index of the NIC.
    pub port: u32,
    /// VLAN id.
    pub vlan: u32,
}

/// An element of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Element {
    /// When it expires, in ticks; 0: never.
    pub expires: u64,
    /// How long it lives from an update on, in ticks; 0: for ever.
    pub timeout: u64,
    /// What it is mapped to.
    pub data: [u32; 4],
    /// Its counter.
    pub tally: Tally,
    /// Of its limiter when it was empty, of its quota the bytes that have come.
    pub meter: u64,
}

/// What a `log` statement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct LogText {
    /// Severity, as syslog counts.
    pub level: u8,
    /// Bits of [`log_flags`].
    pub flags: u8,
    /// Bytes of the prefix.
    pub len: u8,
    /// Zero.
    pub pad: u8,
    /// What the line begins with.
    pub prefix: [u8; 128],
}

/// Bits of [`LogText::flags`].
pub mod log_flags {
    /// Sequence numbers of TCP.
    pub const SEQUENCE: u8 = 1;
}

const _: () = assert!(size_of::<LogText>() == 132);

/// Bits of an instruction's operand that say what is done to the element that it finds.
pub mod touch {
    /// It is counted.
    pub const COUNT: u32 = 1;
    /// The limiter whose number is in `b[2]` says at what rate it matches.
    pub const LIMIT: u32 = 2;
    /// The element has a quota of `b[2..4]` bytes.
    pub const QUOTA: u32 = 4;
    /// Limit and quota match what exceeds them.
    pub const OVER: u32 = 8;
}

const _: () = assert!(size_of::<Element>() == 56);
const _: () = assert!(size_of::<RulesHead>() == Entry::COUNT * 8 + 16);
const _: () = assert!(size_of::<PathKey>() == 36);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_says_which_families_have_early_rules() {
        for (v4, v6) in [(0, 0), (1, 0), (0, 9), (7, 8)] {
            let mut entries = [[3; 2]; Entry::COUNT];
            entries[Entry::Early as usize] = [v4, v6];
            for (epoch, bank) in [(1, 0), (u32::MAX, 1)] {
                let active = Active::new(epoch, bank).with_entries(&entries);
                for active in [active, active.renumbered(epoch)] {
                    assert_eq!((active.epoch(), active.bank()), (epoch, bank));
                    assert_eq!(active.is_early(false), v4 != 0);
                    assert_eq!(active.is_early(true), v6 != 0);
                }
                let next = active.renumbered(5);
                assert_eq!((next.epoch(), next.bank()), (5, bank));
                assert_eq!(next.is_early(true), v6 != 0);
            }
        }
        assert!(!Active::NONE.is_early(false) && !Active::NONE.is_early(true));
    }
}
