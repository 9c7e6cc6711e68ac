//! `limit` and `quota` of nftables.

/// A rate, as `nft_limit` keeps it: a bucket of nanoseconds that fills with time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Rate {
    /// When the bucket was, or would have been, empty, counted from `LONG` before the clock's
    /// beginning; 0 is a full one. (The kernel keeps what is in the bucket and when that was; the difference of
    /// the two is the same, in one word.)
    pub empty_at: u64,
    /// Most that the bucket holds.
    pub depth: u64,
    /// What a packet costs; 0 if its length decides.
    pub cost: u64,
    /// Nanoseconds of the rate's unit of time.
    pub unit: u64,
    /// Bytes in a unit of time.
    pub rate: u64,
}

impl Rate {
    /// Nanoseconds before the clock's beginning at which a bucket that was never used was empty: more than any
    /// bucket holds, for the clock of a machine begins when it is switched on (438 years; the clock has 146 left).
    const LONG: u64 = 3 << 62;

    /// A rate of `rate` packets in `unit` nanoseconds. (`nft_limit_init`: a burst of 0 is 5.)
    #[must_use]
    pub const fn packets(rate: u64, unit: u64, burst: u64) -> Self {
        let burst = if burst == 0 { 5 } else { burst };
        let cost = match unit.checked_div(rate) {
            Some(cost) => cost,
            None => u64::MAX,
        };
        Self {
            empty_at: 0,
            depth: cost.saturating_mul(burst),
            cost: if cost == 0 { 1 } else { cost },
            unit,
            rate,
        }
    }

    /// A rate of `rate` bytes in `unit` nanoseconds.
    #[must_use]
    pub const fn bytes(rate: u64, unit: u64, burst: u64) -> Self {
        let depth = (unit as u128 * (rate as u128 + burst as u128))
            / if rate == 0 { 1 } else { rate as u128 };
        Self {
            empty_at: 0,
            depth: if depth > u64::MAX as u128 {
                u64::MAX
            } else {
                depth as u64
            },
            cost: 0,
            unit,
            rate,
        }
    }

    /// What a packet of `len` bytes costs.
    #[must_use]
    #[inline(always)]
    pub fn price(&self, len: u32) -> u64 {
        if self.cost != 0 {
            return self.cost;
        }
        let bytes = self.unit.wrapping_mul(u64::from(len));
        bytes.checked_div(self.rate).unwrap_or(u64::MAX)
    }

    /// The new [`Self::empty_at`] if a packet of `price` is within the rate; `None` if it is not.
    #[must_use]
    #[inline(always)]
    pub fn take(empty_at: u64, depth: u64, price: u64, now: u64) -> Option<u64> {
        let now = now.saturating_add(Self::LONG);
        // The bucket holds `now - empty_at`, and no more than its depth.
        let full = now.saturating_sub(depth);
        let empty_at = if empty_at < full { full } else { empty_at };
        if now.saturating_sub(empty_at) < price {
            return None;
        }
        Some(empty_at.wrapping_add(price))
    }
}

const _: () = assert!(size_of::<Rate>() == 40);

#[cfg(test)]
mod tests {
    use super::Rate;

    const SECOND: u64 = 1_000_000_000;

    /// `nft_limit_eval`, with its two words.
    struct Kernel {
        tokens: u64,
        last: u64,
        depth: u64,
    }

    impl Kernel {
        fn take(&mut self, price: u64, now: u64) -> bool {
            self.tokens = (self.tokens + (now - self.last)).min(self.depth);
            self.last = now;
            let enough = self.tokens >= price;
            if enough {
                self.tokens -= price;
            }
            enough
        }
    }

    #[test]
    fn one_word_does_what_the_kernels_two_do() {
        let rate = Rate::packets(10, SECOND, 5);
        let start = 1000 * SECOND;
        let mut kernel = Kernel {
            tokens: rate.depth,
            last: start,
            depth: rate.depth,
        };
        let mut empty_at = rate.empty_at;
        let mut now = start;
        for i in 0..10_000_u64 {
            now += (i * 7919) % (SECOND / 3);
            let ours = Rate::take(empty_at, rate.depth, rate.price(60), now);
            empty_at = ours.unwrap_or(empty_at);
            assert_eq!(ours.is_some(), kernel.take(rate.cost, now), "{i}");
        }
    }

    #[test]
    fn burst_then_rate() {
        let rate = Rate::packets(1, SECOND, 0);
        let now = 77 * SECOND;
        let mut empty_at = rate.empty_at;
        let passed = (0..20).filter(|_| {
            let taken = Rate::take(empty_at, rate.depth, rate.price(1500), now);
            empty_at = taken.unwrap_or(empty_at);
            taken.is_some()
        });
        assert_eq!(passed.count(), 5);
        assert!(Rate::take(empty_at, rate.depth, rate.price(1500), now + SECOND).is_some());
    }

    #[test]
    fn a_bucket_is_full_on_a_machine_that_was_just_switched_on() {
        const WEEK: u64 = 7 * 24 * 3600 * SECOND;
        let rate = Rate::packets(1, WEEK, 500);
        let mut empty_at = rate.empty_at;
        for _ in 0..500 {
            empty_at = Rate::take(empty_at, rate.depth, rate.cost, 1).expect("a token");
        }
        assert_eq!(Rate::take(empty_at, rate.depth, rate.cost, 1), None);
        assert_eq!(Rate::take(empty_at, rate.depth, rate.cost, WEEK), None);
        assert!(Rate::take(empty_at, rate.depth, rate.cost, WEEK + 1).is_some());
    }

    #[test]
    fn bytes_cost_by_length() {
        let rate = Rate::bytes(1000, SECOND, 500);
        assert_eq!(rate.depth, SECOND * 3 / 2);
        assert_eq!(rate.price(1500), SECOND * 3 / 2);
        assert_eq!(rate.price(100), SECOND / 10);
    }
}
