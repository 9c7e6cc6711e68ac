//! When and where a packet is seen.

use super::facts::Facts;
use super::field::{self, have};

impl Facts {
    /// Notes the time: nanoseconds since 1970, and seconds that the kernel's time zone is ahead of UTC.
    #[inline(always)]
    pub fn time(&mut self, nanoseconds: u64, zone: i32) {
        const SECOND: u64 = 1_000_000_000;
        const DAY: u64 = 86_400;
        self.set_wide(field::TIME, nanoseconds);
        let seconds = nanoseconds / SECOND;
        self.set(field::HOUR, (seconds % DAY) as u32);
        // The first of January 1970 was a Thursday (`nft_meta_weekday`).
        let days = seconds.wrapping_add_signed(i64::from(zone)) / DAY;
        self.set(field::DAY, ((days + 4) % 7) as u32);
        self.vouch(have::TIME);
    }

    /// Whether what the ruleset needs beyond the headers was asked for.
    #[must_use]
    #[inline(always)]
    pub fn is_asked(&self) -> bool {
        self.has(u32::from(have::ASKED))
    }

    /// Everything was asked for.
    #[inline(always)]
    pub fn asked(&mut self) {
        self.vouch(have::ASKED);
    }

    /// Notes the CPU.
    #[inline(always)]
    pub fn cpu(&mut self, number: u32) {
        self.set(field::CPU, number);
        self.vouch(have::CPU);
    }
}
