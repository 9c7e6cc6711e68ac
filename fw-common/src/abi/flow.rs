//! The value of the flow maps: one entry a flow, changed in place.

/// [`Flow::lock`]: nobody is changing the entry.
pub const UNLOCKED: u32 = 0;
/// [`Flow::lock`]: one CPU is changing the entry.
pub const LOCKED: u32 = 1;
/// [`Flow::lock`]: the entry was promoted to the assured map; look there.
pub const MOVED: u32 = 2;

/// One tracked flow. 192 bytes: a line that both directions share and one line for each direction.
///
/// `lock` is a word changed by compare-and-swap: BPF spin locks are refused in LRU maps, and the
/// window check needs both legs in one piece, as the kernel's own does under `ct->lock`. User space
/// reads whole entries without it: it may see a leg that is one packet ahead of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Flow {
    /// [`UNLOCKED`], [`LOCKED`] or [`MOVED`].
    pub lock: u32,
    /// Bits of [`crate::status`].
    pub status: u32,
    /// When the flow expires, in ticks; expired if `deadline <= now`.
    pub deadline: u64,
    /// When the flow was created, in ticks.
    pub start: u64,
    /// `ct mark`.
    pub mark: u32,
    /// Random, constant for the entry's life; what `-o id` shows.
    pub id: u32,
    /// Protocol state shared by both directions.
    pub proto: ProtoState,
    /// Which endpoint of the key sent the first packet: 0 the lower, 1 the higher.
    pub origin: u8,
    /// Reserved, zero.
    pub reserved: [u8; 3],
    /// Reserved for NAT: index of the binding, zero for none.
    pub nat: u32,
    /// Fingerprint of the key ([`super::Key4::tag`]), checked under the lock: an LRU map may recycle
    /// an entry between look-up and lock, and another flow's state must not be touched.
    pub tag: u32,
    /// One for each direction, index [`crate::Dir`].
    pub legs: [Leg; 2],
}

/// The part of a protocol's state that belongs to no direction. What the fields mean is the
/// protocol's own: see [`crate::tcp`] and [`crate::sctp`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ProtoState {
    /// [`crate::tcp::State`] or [`crate::sctp::State`] as a number; 0 for protocols without states.
    pub state: u8,
    /// Direction of the packet in `last_*`, 0 original, 1 reply.
    pub last_dir: u8,
    /// [`crate::tcp::Event`] of the packet in `last_*`, as a number.
    pub last_index: u8,
    /// How often the last segment was repeated.
    pub retrans: u8,
    /// Sequence number of the last segment remembered.
    pub last_seq: u32,
    /// Acknowledgement number of the last segment remembered.
    pub last_ack: u32,
    /// End (sequence number after the last byte) of the last segment remembered.
    pub last_end: u32,
    /// Its window, unscaled.
    pub last_win: u16,
    /// Its window scale option, for an ignored SYN.
    pub last_wscale: u8,
    /// Its options and pending expectations, for an ignored SYN.
    pub last_flags: u8,
}

/// What belongs to one direction of a flow. 64 bytes, one cache line in the IPv4 maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Leg {
    /// Highest sequence number + 1 that this side has sent (`td_end`).
    pub end: u32,
    /// Highest sequence number + 1 that this side may send (`td_maxend`).
    pub maxend: u32,
    /// Largest window that this side has offered, scaled (`td_maxwin`).
    pub maxwin: u32,
    /// Highest acknowledgement that this side has sent (`td_maxack`).
    pub maxack: u32,
    /// Window scale of this side, 0–14.
    pub scale: u8,
    /// Bits of [`crate::tcp::flags`].
    pub flags: u8,
    /// Index of the cached next hop in `route_gen`; 0 if packets are left to the kernel,
    /// [`super::NOT_ASKED`] if that is not known.
    pub nexthop: u16,
    /// Interface that this direction's packets last came in by (the NIC's ifindex; 0: sent by the
    /// host itself).
    pub ifindex: u32,
    /// Packets counted, as the kernel counts them.
    pub packets: u64,
    /// Bytes counted: length of the IP packet, without the Ethernet header.
    pub bytes: u64,
    /// Generation of the routes for which `nexthop` holds.
    pub route_gen: u32,
    /// Generation of the ruleset for which `verdict` and `path` hold.
    pub rule_gen: u32,
    /// Cached [`crate::Verdict`] as a number.
    pub verdict: u8,
    /// The [`crate::CtInfo`] of the packet that it was found for, as a number: it holds for no other.
    pub state: u8,
    /// The path of rules that led to `verdict`.
    pub path: u16,
    /// Generation of routes and interfaces for which `verdict` holds: rules ask where a packet leaves.
    pub rule_route: u32,
    /// Of the original direction, what let the flow in: the instruction of the ruleset that decided on its first packet,
    /// counted from 1; 0 if none was asked.
    pub ruled_by: u32,
    /// The number under which that ruleset was loaded ([`super::RulesHead::generation`]).
    pub ruled_in: u32,
}

impl Leg {
    /// The generations for which next hop and verdict hold, in one number: [`generations`].
    #[must_use]
    #[inline(always)]
    pub const fn generations(&self) -> u64 {
        generations(self.route_gen, self.rule_gen)
    }
}

/// A generation of the routes and one of the ruleset in one number: of what is compared with all packets, one
/// comparison is less.
#[must_use]
#[inline(always)]
pub const fn generations(routes: u32, rules: u32) -> u64 {
    routes as u64 | (rules as u64) << 32
}

const _: () = assert!(size_of::<ProtoState>() == 20);
const _: () = assert!(size_of::<Leg>() == 64);
const _: () = assert!(size_of::<Flow>() == 192 && core::mem::offset_of!(Flow, legs) == 64);
