//! The ledger of entries: what came, what went, and so what an LRU map pushed out without a word.

use fw_common::abi::Counter;

use crate::maps::{CounterTable, MapsError};

/// `early_drop`, as it is worked out from sweep to sweep.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// What the last sweep came to.
    last: u64,
}

/// What is known before the walk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    created: u64,
}

impl Opening {
    pub(super) fn read(counters: &CounterTable) -> Result<Self, MapsError> {
        let created = counters.total(Counter::CREATED)?;
        Ok(Self { created })
    }
}

impl Ledger {
    /// Books a sweep that freed `freed` entries and left `left`; whether flows were pushed out since the last one.
    pub(super) fn close(
        &mut self,
        counters: &mut CounterTable,
        opening: Opening,
        freed: u64,
        left: u64,
    ) -> Result<bool, MapsError> {
        let swept = counters.total(Counter::SWEPT)?.wrapping_add(freed);
        if freed != 0 {
            counters.put(Counter::SWEPT, swept)?;
        }
        let removed = counters.total(Counter::REMOVED)?;
        let deleted = counters.total(Counter::DELETED)?;
        let went = removed + swept + deleted;
        let before = counters.total(Counter::EARLY_DROP)?;
        let now = self.early_drop(before, opening.created, went, left);
        if now != before {
            counters.put(Counter::EARLY_DROP, now)?;
        }
        Ok(now != before)
    }

    /// Who came and is neither gone nor there was pushed out. What came is read before the walk and what
    /// went after it, so that flows that come and go meanwhile make it too low, never too high. A command
    /// that deletes flows books them only when it is done: what one sweep finds missing counts if the next
    /// one misses it too.
    fn early_drop(&mut self, before: u64, created: u64, went: u64, left: u64) -> u64 {
        let missing = created.saturating_sub(went.saturating_add(left));
        let last = std::mem::replace(&mut self.last, missing);
        before.max(missing.min(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_two_sweeps_miss() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.early_drop(0, 100, 40, 60), 0);
        assert_eq!(ledger.early_drop(0, 200, 50, 100), 0);
        assert_eq!(ledger.early_drop(0, 210, 60, 95), 50);
        assert_eq!(ledger.early_drop(50, 300, 60, 150), 55);
    }

    #[test]
    fn flows_deleted_but_not_booked_yet_do_not_count() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.early_drop(0, 100, 0, 100), 0);
        assert_eq!(ledger.early_drop(0, 100, 0, 20), 0, "80 deleted");
        assert_eq!(ledger.early_drop(0, 100, 80, 20), 0, "and booked");
    }

    #[test]
    fn never_falls() {
        let mut ledger = Ledger { last: 9 };
        assert_eq!(ledger.early_drop(9, 100, 60, 40), 9);
    }
}
