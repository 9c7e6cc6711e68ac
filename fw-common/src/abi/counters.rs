//! Indexes of the per-CPU counters.

use crate::fasttrack::Left;
use crate::{CtInfo, Reason};

/// Index into the `COUNTERS` map. First the counters of `conntrack -S`, with the kernel's meaning,
/// then one for each packet state, then one for each [`Reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter(pub u32);

impl Counter {
    /// Wanted tuple of a NAT mapping was taken (reserved for NAT: always 0).
    pub const FOUND: Self = Self(0);
    /// Packets that conntrack called INVALID.
    pub const INVALID: Self = Self(1);
    /// Entries created by hand (not by packets).
    pub const INSERT: Self = Self(2);
    /// Entries that could not be inserted.
    pub const INSERT_FAILED: Self = Self(3);
    /// Packets dropped because no entry could be made, or none more was allowed.
    pub const DROP: Self = Self(4);
    /// Flows pushed out by newer ones. An LRU map does not tell: the daemon's sweep works it out from
    /// what came, what went and what there is, and writes it. It lags by a sweep, and is never too high.
    pub const EARLY_DROP: Self = Self(5);
    /// ICMP errors and queries that failed their checks or belong to no flow.
    pub const ERROR: Self = Self(6);
    /// Look-ups repeated because an entry moved or was busy.
    pub const SEARCH_RESTART: Self = Self(7);
    /// Two packets of one new flow raced, and the loser joined the winner's entry.
    pub const CLASH_RESOLVE: Self = Self(8);
    /// Hash chains too long (cannot happen here: always 0).
    pub const CHAIN_TOO_LONG: Self = Self(9);
    /// Flows created by packets.
    pub const CREATED: Self = Self(10);
    /// Flows moved to the assured map.
    pub const PROMOTED: Self = Self(11);
    /// Flows that had to stay among the embryonic because the assured map is full.
    pub const PROMOTE_FAILED: Self = Self(12);
    /// Flows removed by packets (RST of an unanswered flow, reopened connections, expired entries).
    pub const REMOVED: Self = Self(13);

    /// Entries freed by the daemon's sweep. Written by the daemon, not by the programs.
    pub const SWEPT: Self = Self(14);
    /// Flows deleted by hand. Written by `fwctl`, not by the programs.
    pub const DELETED: Self = Self(15);
    /// Events told to listeners.
    pub const EVENTS: Self = Self(16);
    /// Events that listeners missed: the ring buffer was full.
    pub const EVENTS_LOST: Self = Self(17);
    /// Records of followed packets that `fwctl trace` missed, likewise.
    pub const TRACES_LOST: Self = Self(18);

    /// Every fixed counter with its name in `fwctl stats`, in index order.
    pub const NAMES: [&'static str; 19] = [
        "found",
        "invalid",
        "insert",
        "insert_failed",
        "drop",
        "early_drop",
        "error",
        "search_restart",
        "clash_resolve",
        "chaintoolong",
        "created",
        "promoted",
        "promote_failed",
        "removed",
        "swept",
        "deleted",
        "events",
        "events_lost",
        "traces_lost",
    ];
    /// Packets of established flows that left by the short way, in original direction: in one step counted under
    /// their state and under their reason, see [`Self::also`].
    pub const SHORT: Self = Self(30);
    /// The same in reply direction.
    pub const SHORT_REPLY: Self = Self(31);
    /// First of the eight counters of packet states.
    const STATE_BASE: u32 = 32;
    /// First of the counters of reasons.
    const REASON_BASE: u32 = 40;
    /// First of the counters of packets of established flows that were left to the kernel.
    const LEFT_BASE: u32 = Self::SLOTS - 16;
    /// Number of slots in the map.
    pub const SLOTS: u32 = 128;

    /// The counter of packets in state `info`.
    #[must_use]
    #[inline(always)]
    pub const fn of_state(info: CtInfo) -> Self {
        Self(Self::STATE_BASE + info as u32)
    }

    /// The counter of packets of established flows that were left to the kernel because of `left`.
    #[must_use]
    #[inline(always)]
    pub const fn of_left(left: Left) -> Self {
        Self(Self::LEFT_BASE + left as u32)
    }

    /// What has to be added to this counter: packets of the short way, which are counted but once.
    #[must_use]
    pub const fn also(self) -> &'static [Self] {
        const ORIGINAL: u32 = Counter::of_state(CtInfo::Established).0;
        const REPLY: u32 = Counter::of_state(CtInfo::EstablishedReply).0;
        const SENT: u32 = Counter::of_reason(Reason::FastTracked).0;
        match self.0 {
            ORIGINAL => &[Self::SHORT],
            REPLY => &[Self::SHORT_REPLY],
            SENT => &[Self::SHORT, Self::SHORT_REPLY],
            _ => &[],
        }
    }

    /// The counter of packets that ended with `reason`.
    #[must_use]
    #[inline(always)]
    pub const fn of_reason(reason: Reason) -> Self {
        Self(Self::REASON_BASE + reason as u32)
    }
}

const _: () = assert!(Counter::NAMES.len() as u32 <= Counter::SHORT.0);
const _: () =
    assert!(Counter::REASON_BASE as usize + Reason::ALL.len() <= Counter::LEFT_BASE as usize);
const _: () = assert!(Left::ALL.len() <= 16);
