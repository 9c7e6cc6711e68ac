//! Ticks and time: the programs count in the kernel's jiffies, people in seconds.

use std::time::{Duration, SystemTime};

use fw_common::abi::Config;
use rustix::time::{ClockId, clock_gettime};

/// Converts the ticks of flow entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickClock {
    tick_ns: u64,
    offset: i64,
    hz: u64,
}

/// The configuration map holds no clock: the daemon has not written it yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the firewall has not been configured yet: wait until `fwctl run` says that it is ready")]
pub struct NoClock;

impl TickClock {
    /// The clock that `config` describes.
    ///
    /// # Errors
    /// [`NoClock`] if the daemon has not written the configuration yet.
    pub fn new(config: &Config) -> Result<Self, NoClock> {
        if config.clock.tick_ns == 0 || config.hz == 0 {
            return Err(NoClock);
        }
        Ok(Self {
            tick_ns: config.clock.tick_ns,
            offset: config.clock.offset,
            hz: u64::from(config.hz),
        })
    }

    /// The tick now. The coarse clock advances with the tick itself, so nothing is lost by it.
    #[must_use]
    pub fn now(&self) -> u64 {
        let time = clock_gettime(ClockId::MonotonicCoarse);
        let ns = u64::try_from(time.tv_sec)
            .unwrap_or(0)
            .saturating_mul(1_000_000_000)
            .saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0));
        self.tick_at(ns)
    }

    fn tick_at(&self, monotonic_ns: u64) -> u64 {
        (monotonic_ns / self.tick_ns).saturating_add_signed(self.offset)
    }

    /// The tick in `time` from now.
    #[must_use]
    pub fn after(&self, time: Duration) -> u64 {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.now().saturating_add(ns / self.tick_ns)
    }

    /// Ticks in `seconds`.
    #[must_use]
    pub const fn ticks(&self, seconds: u64) -> u64 {
        seconds.saturating_mul(self.hz)
    }

    /// Ticks a second.
    #[must_use]
    pub const fn hz(&self) -> u32 {
        // It was one: see `new`.
        self.hz as u32
    }

    /// Whole seconds between two ticks, rounded down as conntrack does; 0 if `to` is not later.
    #[must_use]
    pub const fn seconds(&self, from: u64, to: u64) -> u64 {
        to.saturating_sub(from) / self.hz
    }

    /// The time between two ticks, to the tick; zero if `to` is not later.
    #[must_use]
    pub const fn elapsed(&self, from: u64, to: u64) -> Duration {
        Duration::from_nanos(to.saturating_sub(from).saturating_mul(self.tick_ns))
    }
}

/// Nanoseconds of `CLOCK_MONOTONIC`, now.
#[must_use]
pub fn monotonic() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let secs = u64::try_from(time.tv_sec).unwrap_or(0);
    secs.saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// The time of day at a moment of `CLOCK_MONOTONIC`, in nanoseconds, which is not long ago.
#[must_use]
pub fn time_of_day(monotonic_ns: u64) -> SystemTime {
    let ago = monotonic().saturating_sub(monotonic_ns);
    SystemTime::now() - Duration::from_nanos(ago)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: TickClock = TickClock {
        tick_ns: 4_000_000,
        offset: -75_000,
        hz: 250,
    };

    #[test]
    fn tick_follows_monotonic_time() {
        assert_eq!(CLOCK.tick_at(0), 0, "never below zero");
        assert_eq!(CLOCK.tick_at(300_000_000_000), 0);
        assert_eq!(CLOCK.tick_at(300_004_000_000), 1);
        assert_eq!(CLOCK.tick_at(301_000_000_000), 250);
    }

    #[test]
    fn seconds_are_rounded_down() {
        assert_eq!(CLOCK.seconds(1000, 1000 + 120 * 250 - 1), 119);
        assert_eq!(CLOCK.seconds(1000, 1000 + 120 * 250), 120);
        assert_eq!(CLOCK.seconds(1000, 999), 0);
        assert_eq!(CLOCK.elapsed(1000, 1001), Duration::from_millis(4));
    }
}
