//! Adaptive timeouts, as OpenBSD's pf has them (`adaptive.start`, `adaptive.end` in pf.conf(5)).
//!
//! Below `start` flows every timeout is what it is. From there on all of them shrink linearly, and at
//! `end` they are nothing. A flow goes when nothing was heard of it for the shrunken time, whenever its
//! last packet came: what its entry says (and a listing shows) is the unshrunken one. So the pressure
//! ends with what caused it, and no packet pays for it: the daemon's sweep does it all.

/// The two fill levels, in flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adaptive {
    /// Up to here timeouts are whole.
    start: u64,
    /// From here on they are nothing.
    end: u64,
}

/// What is left of each timeout, of [`Share::WHOLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Adaptive {
    /// Timeouts that shrink between `start` and `end`; `None` unless `start` is below `end`.
    #[must_use]
    pub const fn new(start: u64, end: u64) -> Option<Self> {
        if start < end {
            Some(Self { start, end })
        } else {
            None
        }
    }

    /// The two levels.
    #[must_use]
    pub const fn levels(&self) -> (u64, u64) {
        (self.start, self.end)
    }

    /// What is left of the timeouts where there are `flows`.
    #[must_use]
    pub fn share(&self, flows: u64) -> Share {
        let left = u128::from(self.end.saturating_sub(flows.max(self.start)));
        let range = u128::from(self.end - self.start);
        let share = left * u128::from(Share::WHOLE.0) / range;
        Share(u32::try_from(share).unwrap_or(Share::WHOLE.0))
    }
}

impl Share {
    /// Nothing is taken away.
    pub const WHOLE: Self = Self(1 << 16);

    /// Whether a flow has expired at `now` that would do so at `deadline` if its timeout, `lifetime`,
    /// were whole. All in ticks.
    #[must_use]
    pub fn is_expired(self, deadline: u64, lifetime: u64, now: u64) -> bool {
        let shrunk = u128::from(lifetime) * u128::from(self.0) / u128::from(Self::WHOLE.0);
        let shrunk = u64::try_from(shrunk).unwrap_or(lifetime);
        deadline <= now.saturating_add(lifetime - shrunk.min(lifetime))
    }

    /// As a fraction, for people.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn levels(start: u64, end: u64) -> Adaptive {
        Adaptive::new(start, end).expect("in order")
    }

    #[test]
    fn shrinks_linearly_between_the_levels() {
        // pf.conf(5)'s own example: 60 % at 6000 of 12000 with levels 6000 and 12000, and so on.
        let adaptive = levels(6000, 12_000);
        for (flows, left) in [
            (0, 1.0),
            (6000, 1.0),
            (7500, 0.75),
            (9000, 0.5),
            (12_000, 0.0),
            (20_000, 0.0),
        ] {
            let share = adaptive.share(flows).fraction();
            assert!((share - left).abs() < 1e-4, "{flows}: {share}");
        }
    }

    #[test]
    fn idle_for_the_shrunken_time_is_expired() {
        let half = levels(0, 100).share(50);
        // Timeout 120, last packet at 1000.
        assert!(!half.is_expired(1120, 120, 1059));
        assert!(half.is_expired(1120, 120, 1060));
        assert!(!Share::WHOLE.is_expired(1120, 120, 1119));
        assert!(Share::WHOLE.is_expired(1120, 120, 1120));
        let none = levels(0, 100).share(100);
        assert!(none.is_expired(1120, 120, 1000));
    }

    #[test]
    fn levels_in_the_wrong_order_are_none() {
        assert_eq!(Adaptive::new(5, 5), None);
        assert_eq!(Adaptive::new(6, 5), None);
    }

    proptest! {
        #[test]
        fn more_flows_never_live_longer(
            start in 0..1_000_000u64, range in 1..1_000_000u64,
            a in any::<u64>(), b in 0..3_000_000u64,
            lifetime in 0..1_000_000u64, age in 0..1_000_000u64,
        ) {
            let adaptive = levels(start, start + range);
            let (few, many) = (a.min(b), a.max(b));
            prop_assert!(adaptive.share(many) <= adaptive.share(few));
            let last = 5_000_000;
            let gone = |flows| adaptive.share(flows).is_expired(last + lifetime, lifetime, last + age);
            prop_assert!(gone(many) || !gone(few));
            // Never later than without.
            prop_assert!(gone(few) || age < lifetime);
        }

        #[test]
        fn share_is_exact_to_its_last_digit(start in 0..1000u64, range in 1..1000u64, at in 0..1000u64) {
            let share = levels(start, start + range).share(start + at.min(range)).fraction();
            let exact = (range - at.min(range)) as f64 / range as f64;
            prop_assert!((share - exact).abs() <= 1.0 / 65536.0);
        }
    }
}
