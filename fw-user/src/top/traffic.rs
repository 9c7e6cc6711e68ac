//! What the counters tell of all packets, with a flow or without.

use fw_common::Reason;
use fw_common::abi::Counter;
use fw_common::verdict::Kind;

use crate::maps::Counters;

/// How much came, and what became of it, a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Packets that were judged.
    pub packets: f64,
    /// Flows that began.
    pub created: f64,
    /// Packets dropped, by reason: most first, and none without any.
    pub drops: Vec<(Reason, f64)>,
}

impl Traffic {
    /// What was counted between `before` and `after`, `seconds` apart. Whether packets that are INVALID were
    /// dropped `drop_invalid` says.
    #[must_use]
    pub fn between(before: &Counters, after: &Counters, seconds: f64, drop_invalid: bool) -> Self {
        // Counters that have gone back are those of a new firewall.
        let rate = |after: u64, before: u64| after.saturating_sub(before) as f64 / seconds;
        let reasons: Vec<_> = after
            .reasons()
            .zip(before.reasons())
            .map(|((reason, after), (_, before))| (reason, rate(after, before)))
            .collect();
        let dropped = |reason: Reason| match reason.kind() {
            Kind::Drop => true,
            Kind::Invalid => drop_invalid,
            Kind::Pass => false,
        };
        let drops = reasons.iter().copied();
        let mut drops: Vec<_> = drops
            .filter(|(reason, rate)| *rate > 0.0 && dropped(*reason))
            .collect();
        drops.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        Self {
            packets: reasons.iter().map(|(_, rate)| rate).sum(),
            created: rate(after.get(Counter::CREATED), before.get(Counter::CREATED)),
            drops,
        }
    }

    /// Packets dropped, for whatever reason.
    #[must_use]
    pub fn dropped(&self) -> f64 {
        // The sum of none would be -0.0.
        self.drops.iter().fold(0.0, |sum, (_, rate)| sum + rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(counted: &[(Counter, u64)]) -> Counters {
        let mut counters = Counters::zero();
        for (counter, value) in counted {
            counters.set(*counter, *value);
        }
        counters
    }

    #[test]
    fn no_drops_are_no_negative_number() {
        let none = Traffic::between(&Counters::zero(), &Counters::zero(), 1.0, false);
        assert!(none.dropped().is_sign_positive());
    }

    #[test]
    fn drops_are_told_from_packets_that_pass() {
        let of = Counter::of_reason;
        let invalid = Reason::ALL.iter().find(|r| r.kind() == Kind::Invalid);
        let invalid = *invalid.expect("a reason that makes a packet INVALID");
        let before = counters(&[(of(Reason::Accepted), 100), (of(Reason::Policy), 50)]);
        let after = counters(&[
            (of(Reason::Accepted), 110),
            (Counter::SHORT, 6),
            (of(Reason::Policy), 52),
            (of(Reason::BadTcpFlags), 4),
            (of(Reason::BadIpChecksum), 8),
            (of(invalid), 1),
            (Counter::CREATED, 3),
        ]);
        for (drop_invalid, dropped) in [(false, 5.0), (true, 7.5)] {
            let traffic = Traffic::between(&before, &after, 2.0, drop_invalid);
            assert_eq!((traffic.packets, traffic.created), (15.5, 1.5));
            assert_eq!(traffic.dropped(), dropped, "{traffic:?}");
            assert_eq!(traffic.drops[0], (Reason::BadIpChecksum, 4.0));
        }
    }

    #[test]
    fn a_new_firewall_counts_from_nothing() {
        let before = counters(&[(Counter::of_reason(Reason::Accepted), 100)]);
        let traffic = Traffic::between(&before, &Counters::zero(), 1.0, false);
        assert_eq!(traffic, Traffic::default());
    }
}
