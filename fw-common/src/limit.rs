//! A token bucket in whole numbers, without a division: how many flows one CPU may begin.
//!
//! An insert that has to evict costs some ten times what a hit costs. Without a limit a flood of new
//! flows could spend the CPU's whole time on inserts, and the packets of established flows would wait.

/// What one CPU may still do. All zero is a bucket that was full before time began.
///
/// Credit is counted in parts of a token, as many as there are ticks a second: each tick then adds the
/// rate itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Bucket {
    credit: u64,
    filled: u64,
}

impl Bucket {
    /// Takes a token, if there is one. The bucket gets `rate` tokens a second and holds as many; there
    /// are `hz` ticks a second, and `now` is one of them. A clock that stands or goes back adds nothing.
    #[must_use]
    #[inline(always)]
    pub fn take(&mut self, rate: u32, hz: u32, now: u64) -> bool {
        let (rate, token) = (u64::from(rate), u64::from(hz));
        let elapsed = now.saturating_sub(self.filled).min(token);
        let credit = self.credit.saturating_add(elapsed * rate).min(token * rate);
        self.filled = now;
        let enough = credit >= token;
        self.credit = if enough { credit - token } else { credit };
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_000_000;

    /// How many of `tries` at `now` succeed.
    fn taken(bucket: &mut Bucket, rate: u32, hz: u32, now: u64, tries: u32) -> u32 {
        (0..tries)
            .map(|_| u32::from(bucket.take(rate, hz, now)))
            .sum()
    }

    #[test]
    fn full_at_first_then_the_rate() {
        let mut bucket = Bucket::default();
        assert_eq!(taken(&mut bucket, 50, 100, NOW, 1000), 50);
        // Half a token a tick.
        assert_eq!(taken(&mut bucket, 50, 100, NOW + 1, 10), 0);
        assert_eq!(taken(&mut bucket, 50, 100, NOW + 2, 10), 1);
        assert_eq!(taken(&mut bucket, 50, 100, NOW + 22, 100), 10);
        assert_eq!(taken(&mut bucket, 50, 100, NOW + 100_000, 1000), 50);
    }

    #[test]
    fn clock_that_goes_back_gives_nothing() {
        let mut bucket = Bucket::default();
        assert_eq!(taken(&mut bucket, 10, 100, NOW, 100), 10);
        assert_eq!(taken(&mut bucket, 10, 100, NOW - 500, 100), 0);
        assert_eq!(taken(&mut bucket, 10, 100, NOW - 500 + 10, 100), 1);
    }

    #[test]
    fn lowered_rate_holds_at_once() {
        let mut bucket = Bucket::default();
        assert!(bucket.take(1000, 100, NOW));
        assert_eq!(taken(&mut bucket, 5, 100, NOW, 100), 5);
    }

    proptest! {
        /// Over any course of time: never more than a full bucket and the rate, never less than the
        /// rate allows where there is always somebody who asks.
        #[test]
        fn never_more_than_burst_and_rate(
            rate in prop_oneof![1..100u32, Just(u32::MAX)],
            hz in prop_oneof![Just(100u32), Just(250), Just(1000)],
            steps in prop::collection::vec(0..400u64, 1..40),
        ) {
            let mut bucket = Bucket::default();
            let (mut now, mut total) = (NOW, 0u64);
            for step in &steps {
                now += step;
                total += u64::from(taken(&mut bucket, rate, hz, now, 200));
            }
            let elapsed = now - NOW;
            let earned = u64::from(rate) * elapsed / u64::from(hz);
            prop_assert!(total <= u64::from(rate) + earned);
        }
    }
}
