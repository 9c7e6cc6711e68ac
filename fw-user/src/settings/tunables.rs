//! What can be changed while the firewall runs: timeouts and knobs, as they stand in the `CONFIG`
//! map.

use fw_common::abi::{Clock, Config};
use fw_common::timeout::{Profile, TABLE, Timeout};

/// Timeouts and knobs, in the user's units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunables {
    /// Seconds, index [`Timeout`].
    pub timeouts: [u32; TABLE.len()],
    /// Seconds after which an answered UDP flow is a stream; 0: at once.
    pub udp_stream_after: u32,
    /// `nf_conntrack_tcp_max_retrans`, 0–255.
    pub tcp_max_retrans: u8,
    /// `nf_conntrack_tcp_loose`.
    pub tcp_loose: bool,
    /// `nf_conntrack_tcp_be_liberal`.
    pub tcp_be_liberal: bool,
    /// `nf_conntrack_tcp_ignore_invalid_rst`.
    pub tcp_ignore_invalid_rst: bool,
    /// `nf_conntrack_checksum`.
    pub checksum: bool,
    /// `nf_conntrack_acct`.
    pub accounting: bool,
    /// Drop what conntrack calls INVALID.
    pub drop_invalid: bool,
    /// Forward established flows in XDP.
    pub fasttrack: bool,
    /// `nf_conntrack_timestamp`.
    pub timestamp: bool,
    /// Pass later fragments of datagrams whose first fragment was not seen.
    pub fragments_pass: bool,
    /// `nf_conntrack_max`: ASSURED flows of each family.
    pub max_flows: u32,
    /// What happens to a flow that becomes ASSURED when there are `max_flows`.
    pub when_full: WhenFull,
    /// Flows that one CPU may begin a second; 0: as many as it can.
    pub max_inserts: u32,
    /// Flows of one source; 0: any number.
    pub source_flows: u32,
    /// Half-open flows of one source; 0: any number.
    pub source_half_open: u32,
}

/// What happens to a flow that becomes ASSURED when the table is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It stays among the embryonic, where newer ones may push it out; ASSURED ones stay.
    #[default]
    Keep,
    /// It takes the place of the ASSURED flow that was quiet longest.
    Evict,
}

impl Tunables {
    /// Default of `--max-flows`.
    pub const MAX_FLOWS: u32 = 262_144;
    /// Default of `--udp-stream-after`, seconds: the kernel's, which nothing changes there
    /// (`nf_conntrack_udp_packet`).
    pub const UDP_STREAM_AFTER: u32 = 2;
    /// Largest value of `--max-flows`: about 11 GB of kernel memory.
    pub const MAX_FLOWS_LIMIT: u32 = 16_777_216;

    /// What the map holds before anything is written to it.
    pub const BLANK: Config = Config::ZERO;
    /// Default of `--max-inserts-per-second`: about half of what one CPU can do.
    pub const MAX_INSERTS: u32 = 500_000;

    /// The defaults of `profile`.
    #[must_use]
    pub fn of_profile(profile: Profile) -> Self {
        Self {
            timeouts: std::array::from_fn(|i| TABLE[i].default_secs(profile)),
            udp_stream_after: Self::UDP_STREAM_AFTER,
            tcp_max_retrans: 3,
            tcp_loose: true,
            tcp_be_liberal: false,
            tcp_ignore_invalid_rst: false,
            checksum: true,
            accounting: true,
            drop_invalid: false,
            fasttrack: true,
            timestamp: false,
            fragments_pass: false,
            max_flows: Self::MAX_FLOWS,
            when_full: WhenFull::Keep,
            max_inserts: Self::MAX_INSERTS,
            source_flows: 0,
            source_half_open: 0,
        }
    }

    /// The timeout `which` in seconds.
    #[must_use]
    pub const fn timeout(&self, which: Timeout) -> u32 {
        self.timeouts[which as usize]
    }

    /// Reads back what [`Tunables::store`] wrote.
    #[must_use]
    pub fn load(config: &Config) -> Self {
        let hz = u64::from(config.hz.max(1));
        Self {
            timeouts: std::array::from_fn(|i| saturated(config.timeouts[i] / hz)),
            udp_stream_after: saturated(config.udp_stream_after / hz),
            tcp_max_retrans: config.tcp_max_retrans,
            tcp_loose: config.tcp_loose != 0,
            tcp_be_liberal: config.tcp_be_liberal != 0,
            tcp_ignore_invalid_rst: config.tcp_ignore_invalid_rst != 0,
            checksum: config.checksum != 0,
            accounting: config.accounting != 0,
            drop_invalid: config.drop_invalid != 0,
            fasttrack: config.fasttrack != 0,
            timestamp: config.timestamp != 0,
            fragments_pass: config.fragments_pass != 0,
            max_flows: saturated(config.assured_limit),
            when_full: if config.evict == 0 {
                WhenFull::Keep
            } else {
                WhenFull::Evict
            },
            max_inserts: config.insert_rate,
            source_flows: config.source_flows,
            source_half_open: config.source_half_open,
        }
    }

    /// What the programs read: ticks instead of seconds. What is not ours (generations) is taken
    /// from `old`.
    #[must_use]
    pub fn store(&self, old: &Config, hz: u32, clock: Clock) -> Config {
        let mut timeouts = [0; Timeout::COUNT];
        for (ticks, secs) in timeouts.iter_mut().zip(self.timeouts) {
            *ticks = u64::from(secs) * u64::from(hz);
        }
        Config {
            timeouts,
            udp_stream_after: u64::from(self.udp_stream_after) * u64::from(hz),
            assured_limit: self.max_flows.into(),
            hz,
            insert_rate: self.max_inserts,
            source_flows: self.source_flows,
            source_half_open: self.source_half_open,
            evict: (self.when_full == WhenFull::Evict).into(),
            tcp_max_retrans: self.tcp_max_retrans,
            tcp_loose: self.tcp_loose.into(),
            tcp_be_liberal: self.tcp_be_liberal.into(),
            tcp_ignore_invalid_rst: self.tcp_ignore_invalid_rst.into(),
            checksum: self.checksum.into(),
            accounting: self.accounting.into(),
            drop_invalid: self.drop_invalid.into(),
            fasttrack: self.fasttrack.into(),
            timestamp: self.timestamp.into(),
            fragments_pass: self.fragments_pass.into(),
            clock,
            ..*old
        }
    }
}

/// Nothing of ours exceeds 32 bits; a map that somebody else wrote to might.
fn saturated(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_and_load_are_inverse_and_keep_generations() {
        let mut tunables = Tunables::of_profile(Profile::RouterOs);
        tunables.tcp_loose = false;
        tunables.when_full = WhenFull::Evict;
        tunables.source_half_open = 9;
        tunables.udp_stream_after = 7;
        tunables.timeouts[Timeout::TcpEstablished as usize] = Timeout::MAX_SECS;
        let clock = Clock {
            tick_ns: 4_000_000,
            offset: -5,
        };
        let old = Config {
            rule_gen: 7,
            ..Tunables::BLANK
        };
        let config = tunables.store(&old, 250, clock);
        assert_eq!(Tunables::load(&config), tunables);
        assert_eq!(config.rule_gen, 7);
        assert_eq!(config.clock, clock);
        assert_eq!(config.timeout(Timeout::UdpStream), 180 * 250);
        assert_eq!(config.udp_stream_after, 7 * 250);
    }
}
