//! What BPF and user space share through maps: layouts, names, version.
//!
//! Every type is `repr(C)` with explicit padding, so that a map key has no undefined byte and a
//! value leaks none. A change of any layout here raises [`ABI_VERSION`], which is part of the pin
//! path: an unknown layout is never reinterpreted.

mod config;
mod counters;
mod edit;
mod event;
mod flow;
mod fragment;
mod hook;
mod iface;
mod key;
mod member;
mod nexthop;
mod rules;
mod source;
mod trace;
mod wall;

pub use config::{Clock, Config};
pub use counters::Counter;
pub use edit::{Edit, edited};
pub use event::Event;
pub use flow::{Flow, LOCKED, Leg, MOVED, ProtoState, UNLOCKED, generations};
pub use fragment::{Datagram, FragmentKey, Progress};
pub use hook::{HookEntry, HookList};
pub use iface::{IfaceConfig, IfaceFlags, MacKey};
pub use key::{Key4, Key6};
pub use member::{Member, MemberKey};
pub use nexthop::{FILLING, NO_EGRESS, NOT_ASKED, NextHop, Routing, THE_KERNELS};
pub use rules::{
    Active, Element, Hits, LOG_SLOTS, LOGS_BYTES, LinkKey, LogText, METER_SLOTS, PATH_SLOTS,
    PathKey, RULE_SLOTS, RulesHead, SET_SLOTS, TALLY_SLOTS, Tally, log_flags, needs, touch,
};
pub use source::{SourceCount, SourceKey};
pub use trace::{ANY, TRACES_BYTES, TURNS, TraceOrder, TraceRecord, TraceTurn, halves};
pub use wall::WallClock;

/// Version of everything in this module; the pin path is `<bpffs>/v<ABI_VERSION>`.
pub const ABI_VERSION: u32 = 6;

/// Names of the maps, as they stand in the BPF object and in the pin directory.
pub mod maps {
    /// IPv4 flows that are ASSURED: never evicted by others.
    pub const ASSURED4: &str = "ASSURED4";
    /// IPv6 flows that are ASSURED.
    pub const ASSURED6: &str = "ASSURED6";
    /// IPv4 flows that are not (yet) ASSURED: a flood pushes out only these.
    pub const EMBRYO4: &str = "EMBRYO4";
    /// IPv6 flows that are not (yet) ASSURED.
    pub const EMBRYO6: &str = "EMBRYO6";
    /// One [`super::Config`].
    pub const CONFIG: &str = "CONFIG";
    /// [`super::IfaceConfig`] of the interfaces with an index below [`NEAR_IFACES`], by index.
    pub const IFACES: &str = "IFACES";
    /// Entries of [`IFACES`] and of [`TARGETS`].
    pub const NEAR_IFACES: u32 = 1024;
    /// Interface index to [`super::IfaceConfig`], of the others.
    pub const FAR_IFACES: &str = "FAR_IFACES";
    /// Further unicast addresses of an interface: [`super::MacKey`] to `u32`.
    pub const MACS: &str = "MACS";
    /// Per-CPU `u64` counters, index [`super::Counter`].
    pub const COUNTERS: &str = "COUNTERS";
    /// Datagrams whose first fragment was seen: [`super::FragmentKey`] to [`super::Datagram`].
    pub const FRAGMENTS: &str = "FRAGMENTS";
    /// Cached next hops: an array of [`super::NextHop`]; slot 0 is none.
    pub const NEXTHOPS: &str = "NEXTHOPS";
    /// Slots of [`NEXTHOPS`]: as many as a flow's leg can name.
    pub const NEXTHOP_SLOTS: u32 = 1 << 16;
    /// One [`super::Routing`].
    pub const ROUTING: &str = "ROUTING";
    /// The interfaces to which frames are sent from XDP, by index, if that is below [`NEAR_IFACES`].
    pub const TARGETS: &str = "TARGETS";
    /// The others, likewise.
    pub const FAR_TARGETS: &str = "FAR_TARGETS";
    /// Table bookkeeping shared by all CPUs: one [`super::maps::OCCUPANCY_SLOTS`] array of `u64`.
    pub const OCCUPANCY: &str = "OCCUPANCY";
    /// Slots of [`OCCUPANCY`]: flows promoted minus removed by BPF, for IPv4 and IPv6; then flows
    /// removed by the daemon's sweeps.
    pub const OCCUPANCY_SLOTS: u32 = 4;
    /// [`super::SourceKey`] to [`super::SourceCount`]: flows begun, less those that packets ended. Only
    /// the programs write it.
    pub const SOURCES: &str = "SOURCES";
    /// The same keys: what is to be taken off, because flows ended otherwise. Only the daemon's sweep
    /// writes it, who counts what there is.
    pub const SOURCES_GONE: &str = "SOURCES_GONE";
    /// Ring buffer of [`super::Event`]s.
    pub const EVENTS: &str = "EVENTS";
    /// Size of [`EVENTS`] in bytes: fifteen thousand records.
    pub const EVENTS_BYTES: u32 = 1 << 22;
    /// Until which tick somebody listens to [`EVENTS`]: one `u64`. A time and not a switch, so that a
    /// daemon that is killed leaves no programs behind that fill a buffer nobody reads.
    pub const LISTEN: &str = "LISTEN";

    /// Instructions: [`crate::ruleset::Insn`], [`super::RULE_SLOTS`] a bank.
    pub const RULES: &str = "RULES";
    /// A [`super::RulesHead`] for each bank.
    pub const RULE_HEADS: &str = "RULE_HEADS";
    /// The [`super::Active`] word.
    pub const ACTIVE: &str = "ACTIVE";
    /// Counters of rules: per-CPU [`super::Hits`], [`super::TALLY_SLOTS`] a bank.
    pub const TALLIES: &str = "TALLIES";
    /// Paths: [`super::PathKey`] to number.
    pub const PATHS: &str = "PATHS";
    /// Counters of paths: per-CPU [`super::Hits`], [`super::PATH_SLOTS`] a bank.
    pub const PATH_TALLIES: &str = "PATH_TALLIES";
    /// Limiters: [`crate::ruleset::Rate`], [`super::METER_SLOTS`] a bank.
    pub const RATES: &str = "RATES";
    /// Quotas: bytes that have come, [`super::METER_SLOTS`] a bank.
    pub const QUOTAS: &str = "QUOTAS";
    /// Sets of single values of up to four words: maps in a map, [`super::SET_SLOTS`] of them.
    pub const SETS_EXACT: &str = "SETS_EXACT";
    /// Sets of single values of up to sixteen words.
    pub const SETS_WIDE: &str = "SETS_WIDE";
    /// Sets of prefixes.
    pub const SETS_PREFIX: &str = "SETS_PREFIX";
    /// Vectors of rules: an array of blocks for each bank, see [`crate::ruleset::seek`].
    pub const VECTORS: &str = "VECTORS";
    /// Which packets are followed through the rules: one [`super::TraceOrder`].
    pub const TRACE: &str = "TRACE";
    /// Ring buffer of what is told of them: [`super::TraceRecord`]s.
    pub const TRACES: &str = "TRACES";
    /// What `log` statements say: [`super::LogText`], [`super::LOG_SLOTS`] a bank.
    pub const LOG_TEXTS: &str = "LOG_TEXTS";
    /// Ring buffer of what they tell: [`crate::ruleset::field::RECORD`] words each.
    pub const LOGS: &str = "LOGS";
    /// Interfaces as rules see them: [`super::LinkKey`] to [`crate::ruleset::Link`].
    pub const LINKS: &str = "LINKS";

    /// The routing table `local`: prefixes of IPv6 addresses to [`crate::ruleset::fib::Local`].
    pub const LOCALS: &str = "LOCALS";
    /// Entries of [`LOCALS`].
    pub const LOCALS_SLOTS: u32 = 1 << 16;
    /// Connections that are counted: [`super::MemberKey`] to [`super::Member`].
    pub const MEMBERS: &str = "MEMBERS";
    /// Entries of [`MEMBERS`].
    pub const MEMBERS_SLOTS: u32 = 1 << 16;
    /// One [`super::WallClock`].
    pub const WALL: &str = "WALL";

    /// The virtual clock, in ticks: one `u64`, read only where [`super::globals::VIRTUAL_CLOCK`] is set.
    pub const TEST_CLOCK: &str = "TEST_CLOCK";

    /// Every pinned map.
    pub const PINNED: [&str; 39] = [
        ASSURED4,
        ASSURED6,
        EMBRYO4,
        EMBRYO6,
        CONFIG,
        IFACES,
        FAR_IFACES,
        MACS,
        COUNTERS,
        OCCUPANCY,
        EVENTS,
        LISTEN,
        RULES,
        RULE_HEADS,
        ACTIVE,
        TALLIES,
        PATHS,
        PATH_TALLIES,
        RATES,
        QUOTAS,
        SETS_EXACT,
        SETS_WIDE,
        SETS_PREFIX,
        VECTORS,
        TRACE,
        TRACES,
        LOG_TEXTS,
        LOGS,
        LINKS,
        LOCALS,
        WALL,
        MEMBERS,
        SOURCES,
        SOURCES_GONE,
        FRAGMENTS,
        NEXTHOPS,
        ROUTING,
        TARGETS,
        FAR_TARGETS,
    ];
}

/// Global variables of the BPF object that the loader may set.
pub mod globals {
    /// `u8`: 1 takes the time from the `TEST_CLOCK` map. 0 in production, where the verifier removes
    /// the branch.
    pub const VIRTUAL_CLOCK: &str = "VIRTUAL_CLOCK";
}

/// Names of the programs, as they stand in the BPF object and in the pin directory.
pub mod programs {
    /// XDP, on every router port.
    pub const INGRESS: &str = "fw_ingress";
    /// TC ingress, on router ports where that does better than XDP.
    pub const INGRESS_TC: &str = "fw_ingress_tc";
    /// TC egress, for what the host itself sends.
    pub const EGRESS: &str = "fw_egress";
    /// XDP, never attached: run once by the daemon, it writes the kernel's tick into its packet.
    pub const CLOCK: &str = "fw_clock";
    /// XDP, never attached: run by user space, it changes or removes the flow that its packet (an
    /// [`super::Edit`]) names.
    pub const EDIT: &str = "fw_edit";
    /// TC, never attached: run by user space, it reads the list of netfilter hooks that its packet (a
    /// [`super::HookList`]) asks for.
    pub const HOOKS: &str = "fw_hooks";
}

#[cfg(feature = "user")]
#[expect(
    unsafe_code,
    reason = "aya's marker trait; the orphan rule keeps these impls here"
)]
mod pod {
    // SAFETY: for all of these: `repr(C)`, integers and arrays of integers only, every padding explicit
    // (checked by the size assertions beside each type), any bit pattern is a valid value.
    unsafe impl aya::Pod for super::Key4 {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::Key6 {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::Flow {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::Config {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::IfaceConfig {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::MacKey {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::RulesHead {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::Tally {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::Hits {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::PathKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::MemberKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Member {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::LinkKey {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::LogText {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::Element {}
    // SAFETY: see above.
    unsafe impl aya::Pod for crate::ruleset::Insn {}
    // SAFETY: see above.
    unsafe impl aya::Pod for crate::ruleset::Rate {}
    // SAFETY: see above.
    unsafe impl aya::Pod for crate::ruleset::Link {}
    // SAFETY: see above.
    unsafe impl aya::Pod for crate::ruleset::fib::Local {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::WallClock {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::SourceKey {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::SourceCount {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::Event {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::TraceOrder {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::TraceRecord {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::Edit {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::FragmentKey {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::Datagram {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::NextHop {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::Routing {}
    // SAFETY: see above.
    unsafe impl aya::Pod for super::HookList {}
}
