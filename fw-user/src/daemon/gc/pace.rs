//! How fast a sweep goes.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Rest after each page at least, so that a sweep never keeps a CPU from the packets.
const REST: Duration = Duration::from_micros(500);

/// How many times as long as it works a sweep rests that has time: it takes a twentieth of a CPU. It also reads memory that
/// packets then have to fetch anew, so less of it is better for them, too.
const CALM: u32 = 19;

/// The part of a map's places that has to be free for a calm sweep: one in so many.
const SPARE: u64 = 64;

/// How fast a sweep goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Expired flows are in nobody's way.
    Calm,
    /// Somebody waits for what it finds.
    Hurried,
}

impl Pace {
    /// The pace of a sweep for whose end somebody waits, or nobody.
    pub(super) const fn of(is_awaited: bool) -> Self {
        if is_awaited {
            Self::Hurried
        } else {
            Self::Calm
        }
    }

    /// What a map wants of whose `limit` places `used` are taken: a hurry, unless there is room for twice what the last
    /// sweep `freed`. What is freed late in a map with room to spare is missed by nobody.
    pub(super) const fn in_map(self, used: u64, limit: u64, freed: u64) -> Self {
        let room = limit.saturating_sub(used);
        if room <= limit / SPARE || room / 2 <= freed {
            Self::Hurried
        } else {
            self
        }
    }

    /// The rest after so much work.
    pub(super) fn rest(self, work: Duration) -> Duration {
        match self {
            Self::Calm => REST.max(work * CALM),
            Self::Hurried => REST,
        }
    }
}

/// Measures the CPU time of this thread, lap by lap.
#[derive(Debug)]
pub(super) struct Laps {
    last: Duration,
}

impl Laps {
    pub(super) fn begin() -> Self {
        Self { last: cpu_time() }
    }

    /// CPU time since the last lap's end.
    pub(super) fn lap(&mut self) -> Duration {
        let now = cpu_time();
        let lap = now.saturating_sub(self.last);
        self.last = now;
        lap
    }
}

fn cpu_time() -> Duration {
    // Neither part can be negative for this clock.
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calm_sweep_takes_a_twentieth_of_a_cpu() {
        let work = Duration::from_millis(2);
        let rest = Pace::Calm.rest(work);
        assert_eq!(work + rest, work * 20);
        assert_eq!(Pace::Calm.rest(Duration::ZERO), REST);
        assert_eq!(Pace::Hurried.rest(work), REST);
    }

    #[test]
    fn a_map_with_little_room_is_swept_in_a_hurry() {
        let calm = Pace::of(false);
        for (used, limit, freed, expected) in [
            (0, 6400, 0, Pace::Calm),
            (6299, 6400, 0, Pace::Calm),
            (6300, 6400, 0, Pace::Hurried),
            (9999, 6400, 0, Pace::Hurried),
            (6000, 6400, 199, Pace::Calm),
            (6000, 6400, 200, Pace::Hurried),
            (0, 0, 0, Pace::Hurried),
        ] {
            let pace = calm.in_map(used, limit, freed);
            assert_eq!(pace, expected, "{used} of {limit}, {freed} freed");
        }
        assert_eq!(Pace::of(true).in_map(0, 6400, 0), Pace::Hurried);
    }

    #[test]
    fn laps_are_of_work_only() {
        let mut laps = Laps::begin();
        let mut sum = 0_u64;
        while laps.lap().is_zero() {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let begin = std::time::Instant::now();
        std::thread::park_timeout(Duration::from_millis(50));
        assert!(laps.lap() < begin.elapsed());
    }
}
