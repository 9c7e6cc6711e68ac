//! Counters, limiters and quotas: numbers for the programs.

use fw_common::abi::{METER_SLOTS, TALLY_SLOTS, touch};
use fw_common::ruleset::Rate;

use super::super::ir::{CounterId, Limit, LimitId, LimitUnit, Quota, QuotaId, Set, Stateful};
use super::chains::Compiler;
use super::{Counter, Owner, Used};

const NANOS: u64 = 1_000_000_000;

/// What is done to an element that is found: [`touch`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Touched {
    /// Bits of [`touch`].
    pub(super) what: u32,
    /// Number of the limiter, or the quota's bytes.
    pub(super) operand: [u32; 2],
}

impl Compiler<'_> {
    /// Number of a counter of its own.
    pub(super) fn counter(&mut self, owner: Owner, packets: u64, bytes: u64) -> u32 {
        self.out.counters.push(Counter {
            owner,
            packets,
            bytes,
        });
        let number = u32::try_from(self.out.counters.len()).unwrap_or(u32::MAX);
        if number == TALLY_SLOTS {
            self.error(format!(
                "more than {} counters: count in fewer rules, or in elements of a set",
                TALLY_SLOTS - 1
            ));
        }
        number
    }

    /// Number of a named counter.
    pub(super) fn named_counter(&mut self, table: usize, id: CounterId) -> u32 {
        if let Some(number) = self.counters.get(&(table, id)) {
            return *number;
        }
        let object = &self.ruleset.tables[table].counters[id.0];
        let number = self.counter(Owner::Named(table, id.0), object.packets, object.bytes);
        self.counters.insert((table, id), number);
        number
    }

    /// Number of a limiter.
    pub(super) fn limiter(&mut self, limit: Limit) -> u32 {
        let unit = limit.per.seconds() * NANOS;
        self.out.rates.push(match limit.unit {
            LimitUnit::Packets => Rate::packets(limit.rate, unit, limit.burst),
            LimitUnit::Bytes => Rate::bytes(limit.rate, unit, limit.burst),
        });
        self.meters(self.out.rates.len(), "limits")
    }

    /// Number of a named limiter, and whether it matches what exceeds it.
    pub(super) fn named_limit(&mut self, table: usize, id: LimitId) -> (u32, bool) {
        let limit = self.ruleset.tables[table].limits[id.0].limit;
        if let Some(number) = self.limits.get(&(table, id)) {
            return (*number, limit.over);
        }
        let number = self.limiter(limit);
        self.limits.insert((table, id), number);
        (number, limit.over)
    }

    /// Number of a quota.
    pub(super) fn quota(&mut self, owner: Owner, used: u64) -> u32 {
        self.out.quotas.push(Used { owner, bytes: used });
        self.meters(self.out.quotas.len(), "quotas")
    }

    /// Number of a named quota, and what it says.
    pub(super) fn named_quota(&mut self, table: usize, id: QuotaId) -> (u32, Quota) {
        let quota = self.ruleset.tables[table].quotas[id.0].quota;
        if let Some(number) = self.quotas.get(&(table, id)) {
            return (*number, quota);
        }
        let number = self.quota(Owner::Named(table, id.0), quota.used);
        self.quotas.insert((table, id), number);
        (number, quota)
    }

    /// The number of the last of `count`.
    fn meters(&mut self, count: usize, what: &str) -> u32 {
        let number = u32::try_from(count - 1).unwrap_or(u32::MAX);
        if number == METER_SLOTS {
            self.error(format!("more than {METER_SLOTS} {what}"));
        }
        number
    }

    /// What is done to the elements of `set` that are found.
    pub(super) fn touch(&mut self, set: &Set) -> Touched {
        let own = set.elements.iter().filter_map(|e| e.extras.as_deref());
        let counted = own.flat_map(|extras| &extras.statements);
        let counted = counted.filter(|s| matches!(s, Stateful::Counter { .. }));
        let counted = counted.count() > 0;
        let mut touched = self.touch_by(&set.statements);
        if counted {
            touched.what |= touch::COUNT;
        }
        touched
    }

    /// What `statements` do to an element.
    pub(super) fn touch_by(&mut self, statements: &[Stateful]) -> Touched {
        let mut touched = Touched::default();
        for statement in statements {
            match *statement {
                Stateful::Counter { .. } => touched.what |= touch::COUNT,
                Stateful::Limit(limit) => {
                    touched.what |= touch::LIMIT | over(limit.over);
                    touched.operand[0] = self.limiter(limit);
                }
                Stateful::Quota(quota) => {
                    touched.what |= touch::QUOTA | over(quota.over);
                    touched.operand = [(quota.bytes >> 32) as u32, quota.bytes as u32];
                }
                Stateful::CtCount { .. } => self.error(
                    "`ct count` counts where rules add elements: `add @set { … ct count … }`",
                ),
            }
        }
        let both = touch::LIMIT | touch::QUOTA;
        if touched.what & both == both {
            self.error("an element can have a limit or a quota, not both: use two sets");
        }
        touched
    }
}

const fn over(over: bool) -> u32 {
    if over { touch::OVER } else { 0 }
}
