//! The per-CPU counters.

use aya::maps::{Map, MapData, PerCpuArray, PerCpuValues};
use fw_common::abi::{Counter, maps};
use fw_common::fasttrack::Left;
use fw_common::{CtInfo, Reason};

use super::{Maps, MapsError, failed};

/// All counters of one CPU, or their sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    slots: Vec<u64>,
}

impl Counters {
    /// Nothing counted.
    #[must_use]
    pub fn zero() -> Self {
        Self {
            slots: vec![0; Counter::SLOTS as usize],
        }
    }

    /// The value of one counter.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        let slot = |counter: &Counter| self.slots.get(counter.0 as usize).copied().unwrap_or(0);
        slot(&counter) + counter.also().iter().map(slot).sum::<u64>()
    }

    /// Sets the value of one counter; what is not a slot is ignored.
    pub fn set(&mut self, counter: Counter, value: u64) {
        if let Some(slot) = self.slots.get_mut(counter.0 as usize) {
            *slot = value;
        }
    }

    /// The counters of `conntrack -S` and our own, with their names.
    pub fn fixed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        (0..)
            .zip(Counter::NAMES)
            .map(|(i, name)| (name, self.get(Counter(i))))
    }

    /// Packets by the state that conntrack gave them.
    pub fn states(&self) -> impl Iterator<Item = (CtInfo, u64)> {
        CtInfo::ALL
            .into_iter()
            .map(|info| (info, self.get(Counter::of_state(info))))
    }

    /// Packets by the reason of their verdict.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL
            .iter()
            .map(|&reason| (reason, self.get(Counter::of_reason(reason))))
    }

    /// Packets of established flows that were left to the kernel, by cause.
    pub fn left(&self) -> impl Iterator<Item = (Left, u64)> {
        Left::ALL
            .iter()
            .map(|&left| (left, self.get(Counter::of_left(left))))
    }

    /// The sums over `all`.
    #[must_use]
    pub fn sum(all: &[Self]) -> Self {
        let mut total = Self::zero();
        for one in all {
            for (sum, value) in total.slots.iter_mut().zip(&one.slots) {
                *sum = sum.wrapping_add(*value);
            }
        }
        total
    }
}

/// The `COUNTERS` map.
pub struct CounterTable {
    map: PerCpuArray<MapData, u64>,
}

impl CounterTable {
    pub(super) fn open(maps: &Maps) -> Result<Self, MapsError> {
        let failed = failed(maps::COUNTERS);
        let map = Map::from_map_data(maps.data(maps::COUNTERS)?).map_err(&failed)?;
        let map = PerCpuArray::try_from(map).map_err(&failed)?;
        Ok(Self { map })
    }

    /// One counter, summed over all CPUs.
    ///
    /// # Errors
    /// [`MapsError::Map`] if the kernel refuses to read the map.
    pub fn total(&self, counter: Counter) -> Result<u64, MapsError> {
        let mut total = 0;
        for counter in std::iter::once(&counter).chain(counter.also()) {
            let values = self.map.get(&counter.0, 0);
            let values = values.map_err(failed(maps::COUNTERS))?;
            total += values.iter().sum::<u64>();
        }
        Ok(total)
    }

    /// Sets a counter that the programs never write. It belongs to no CPU, so the first one has it.
    ///
    /// # Errors
    /// [`MapsError::Map`] if the kernel refuses to read or write the map.
    pub fn put(&mut self, counter: Counter, value: u64) -> Result<(), MapsError> {
        let failed = failed(maps::COUNTERS);
        let slots = self.map.get(&counter.0, 0).map_err(&failed)?;
        let mut values = vec![0; slots.len()];
        if let Some(first) = values.first_mut() {
            *first = value;
        }
        let values = PerCpuValues::try_from(values).map_err(|e| failed(e.into()))?;
        self.map.set(counter.0, values, 0).map_err(&failed)
    }

    /// The counters of every possible CPU, by its number.
    ///
    /// # Errors
    /// [`MapsError::Map`] if the kernel refuses to read the map.
    pub fn per_cpu(&self) -> Result<Vec<Counters>, MapsError> {
        let mut all = Vec::new();
        for slot in 0..Counter::SLOTS.min(self.map.len()) {
            let values = self.map.get(&slot, 0).map_err(failed(maps::COUNTERS))?;
            all.resize_with(values.len(), Counters::zero);
            for (one, value) in all.iter_mut().zip(values.iter()) {
                one.set(Counter(slot), *value);
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_adds_slot_by_slot() {
        let (mut a, mut b) = (Counters::zero(), Counters::zero());
        a.set(Counter::CREATED, 3);
        b.set(Counter::CREATED, 4);
        b.set(Counter::of_reason(Reason::BadTcpFlags), 1);
        let sum = Counters::sum(&[a, b]);
        assert_eq!(sum.get(Counter::CREATED), 7);
        assert_eq!(sum.get(Counter::of_reason(Reason::BadTcpFlags)), 1);
        assert_eq!(sum.get(Counter::INVALID), 0);
    }

    #[test]
    fn short_way_is_counted_under_state_and_reason() {
        let mut counters = Counters::zero();
        for (counter, value) in [
            (Counter::SHORT, 1),
            (Counter::SHORT_REPLY, 10),
            (Counter::of_state(CtInfo::Established), 100),
            (Counter::of_state(CtInfo::EstablishedReply), 1000),
            (Counter::of_reason(Reason::FastTracked), 10000),
        ] {
            counters.set(counter, value);
        }
        let states: u64 = counters.states().map(|(_, value)| value).sum();
        let reasons: u64 = counters.reasons().map(|(_, value)| value).sum();
        assert_eq!((states, reasons), (1111, 10011));
    }

    #[test]
    fn every_name_reads_its_own_slot() {
        let mut counters = Counters::zero();
        for slot in 0..Counter::SLOTS {
            counters.set(Counter(slot), u64::from(slot) + 1);
        }
        counters.set(Counter::SHORT, 0);
        counters.set(Counter::SHORT_REPLY, 0);
        let found: Vec<_> = counters.fixed().map(|(_, value)| value).collect();
        assert_eq!(
            found,
            (1..=Counter::NAMES.len() as u64).collect::<Vec<u64>>()
        );
        assert_eq!(counters.states().map(|(_, value)| value).min(), Some(33));
        assert_eq!(counters.reasons().map(|(_, value)| value).min(), Some(41));
    }
}
