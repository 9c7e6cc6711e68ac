//! Settings that the daemon writes and the programs read on every packet.

use crate::index::masked;
use crate::timeout::Timeout;

/// Run-time settings: the one value of the `CONFIG` map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Config {
    /// Timeouts in ticks, index [`Timeout`].
    pub timeouts: [u64; Timeout::COUNT],
    /// A UDP flow older than this (ticks) that has seen a reply becomes a stream and ASSURED.
    pub udp_stream_after: u64,
    /// High-water marks of the assured maps (entries, each family): beyond it no flow is promoted.
    pub assured_limit: u64,
    /// Ticks (the kernel's jiffies) a second: `CONFIG_HZ`.
    pub hz: u32,
    /// Generation of the ruleset.
    pub rule_gen: u32,
    /// Flows that one CPU may begin a second; 0: as many as it can.
    pub insert_rate: u32,
    /// Flows that one source may have; 0: any number.
    pub source_flows: u32,
    /// Half-open flows that one source may have; 0: any number.
    pub source_half_open: u32,
    /// `nf_conntrack_tcp_max_retrans`, 0–255.
    pub tcp_max_retrans: u8,
    /// `nf_conntrack_tcp_loose`: 1 picks up connections in mid-stream.
    pub tcp_loose: u8,
    /// `nf_conntrack_tcp_be_liberal`: 1 accepts segments outside the window.
    pub tcp_be_liberal: u8,
    /// `nf_conntrack_tcp_ignore_invalid_rst`: 1 skips the sequence check of RST.
    pub tcp_ignore_invalid_rst: u8,
    /// `nf_conntrack_checksum`: 1 verifies layer 4 checksums.
    pub checksum: u8,
    /// `nf_conntrack_acct`: 1 counts packets and bytes of a flow.
    pub accounting: u8,
    /// 1 drops packets that conntrack calls INVALID.
    pub drop_invalid: u8,
    /// 1 forwards established flows in XDP.
    pub fasttrack: u8,
    /// 1 promotes flows beyond the high-water mark too: others are then pushed out.
    pub evict: u8,
    /// `nf_conntrack_timestamp`: 1 shows how old flows are. Nothing but listings asks.
    pub timestamp: u8,
    /// 1 passes later fragments of datagrams whose first fragment was not seen.
    pub fragments_pass: u8,
    /// Zero.
    pub reserved: [u8; 9],
    /// How tick and monotonic time relate; for user space.
    pub clock: Clock,
}

/// How ticks and `CLOCK_MONOTONIC` relate: `tick = monotonic_ns / tick_ns + offset`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Clock {
    /// Nanoseconds a tick.
    pub tick_ns: u64,
    /// Tick at monotonic time zero (may be negative).
    pub offset: i64,
}

impl Config {
    /// What the map holds before anything is written to it.
    pub const ZERO: Self = Self {
        timeouts: [0; Timeout::COUNT],
        udp_stream_after: 0,
        assured_limit: 0,
        hz: 0,
        rule_gen: 0,
        insert_rate: 0,
        source_flows: 0,
        source_half_open: 0,
        tcp_max_retrans: 0,
        tcp_loose: 0,
        tcp_be_liberal: 0,
        tcp_ignore_invalid_rst: 0,
        checksum: 0,
        accounting: 0,
        drop_invalid: 0,
        fasttrack: 0,
        evict: 0,
        timestamp: 0,
        fragments_pass: 0,
        reserved: [0; 9],
        clock: Clock {
            tick_ns: 0,
            offset: 0,
        },
    };

    /// The timeout `which` in ticks.
    #[must_use]
    #[inline(always)]
    pub fn timeout(&self, which: Timeout) -> u64 {
        self.timeouts[masked::<{ Timeout::COUNT }>(which as usize)]
    }
}

const _: () = assert!(Timeout::COUNT.is_power_of_two());
const _: () = assert!(size_of::<Config>() == Timeout::COUNT * 8 + 16 + 24 + 16 + 16);
