//! How fast flows are: what was counted between two readings of the table.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::FlowEntry;

/// A flow's age is in ticks, a reading's time is not. At the slowest clock that there is, 100 Hz, this is five of
/// them.
const TICKS: Duration = Duration::from_millis(50);

/// Packets and bytes a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rate {
    /// Packets.
    pub packets: f64,
    /// Bytes.
    pub bytes: f64,
}

impl Rate {
    /// Bits a second.
    #[must_use]
    pub fn bits(self) -> f64 {
        self.bytes * 8.0
    }
}

/// Of a flow's original direction, and of its reply direction.
pub type Rates = [Rate; 2];

/// Compares each reading of the flow table with the one before.
///
/// Of a flow it remembers no more than its counters and 64 bits, a hash of its key and its number: 48 bytes, twice
/// as much in a hash table at worst. That is a hundred megabytes for a million flows, of which two have one hash in
/// one reading of thirty million; then both are shown too slow or too fast once.
#[derive(Debug, Default)]
pub struct Meter {
    known: HashMap<u64, Known>,
    /// Changes with each reading: what is not of this one has gone.
    round: bool,
    before: Option<Instant>,
    now: Option<Instant>,
}

#[derive(Debug)]
struct Known {
    counted: [Counted; 2],
    round: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    packets: u64,
    bytes: u64,
}

impl Meter {
    /// Begins to read the table.
    pub fn begin(&mut self, now: Instant) {
        self.before = self.now.replace(now);
        self.round = !self.round;
    }

    /// The seconds from the reading before to this one; `None` if this is the first.
    #[must_use]
    pub fn seconds(&self) -> Option<f64> {
        let time = self.now?.duration_since(self.before?);
        Some(time.as_secs_f64().max(1e-3))
    }

    /// How fast `entry`, seen at `now`, was since the reading before. A flow that began since then counts from
    /// nothing. `None` for one that was there and was not measured, as it did not match the filter.
    pub fn measure(&mut self, entry: &FlowEntry, now: Instant) -> Option<Rates> {
        let counted = [entry.original, entry.reply].map(|side| Counted {
            packets: side.packets,
            bytes: side.bytes,
        });
        let hash = self.known.hasher().hash_one((entry.key, entry.id));
        let round = self.round;
        let known = self.known.insert(hash, Known { counted, round });
        let seconds = self.seconds()?;
        let since = now.duration_since(self.before?) + TICKS;
        let before = match known {
            Some(known) => known.counted,
            None if entry.age <= since => Default::default(),
            None => return None,
        };
        let rate = |after: u64, before: u64| after.saturating_sub(before) as f64 / seconds;
        let of = |i: usize| Rate {
            packets: rate(counted[i].packets, before[i].packets),
            bytes: rate(counted[i].bytes, before[i].bytes),
        };
        Some([of(0), of(1)])
    }

    /// Ends the reading: forgets what was not seen in it.
    pub fn end(&mut self) {
        let round = self.round;
        self.known.retain(|_, known| known.round == round);
        // After a flood.
        if self.known.capacity() / 8 > self.known.len() {
            self.known.shrink_to(2 * self.known.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::*;
    use super::*;

    /// A reading of these flows, `secs` after `start`.
    fn read(meter: &mut Meter, start: Instant, secs: u64, flows: &[Spec]) -> Vec<Option<Rates>> {
        let now = start + Duration::from_secs(secs);
        meter.begin(now);
        let rates = flows.iter().map(|flow| meter.measure(&flow.build(), now));
        let rates = rates.collect();
        meter.end();
        rates
    }

    fn counted(counted: [(u64, u64); 2]) -> Spec {
        Spec { counted, ..ssh() }
    }

    const fn rate(packets: f64, bytes: f64) -> Rate {
        Rate { packets, bytes }
    }

    #[test]
    fn a_rate_is_what_was_added_since() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let first = [counted([(7, 702), (6, 811)])];
        assert_eq!(read(&mut meter, start, 0, &first), [None]);
        let second = [counted([(9, 1702), (6, 811)])];
        let up = rate(1.0, 500.0);
        let rates = read(&mut meter, start, 2, &second);
        assert_eq!(rates, [Some([up, Rate::default()])]);
        assert_eq!(up.bits(), 4000.0);
        // Each reading is compared with the last one.
        let third = [counted([(9, 1702), (10, 4811)])];
        let rates = read(&mut meter, start, 6, &third);
        assert_eq!(rates, [Some([Rate::default(), rate(1.0, 1000.0)])]);
    }

    #[test]
    fn a_new_flow_counts_from_nothing_and_an_old_one_is_not_guessed() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        read(&mut meter, start, 0, &[ssh()]);
        let fresh = Spec { age: 1, ..ping() };
        // It matches the filter now, and did not before.
        let old = Spec { age: 60, ..dns6() };
        let rates = read(&mut meter, start, 2, &[fresh.clone(), old.clone()]);
        assert_eq!(rates, [Some([rate(0.5, 42.0); 2]), None]);
        // The next reading knows it.
        let rates = read(&mut meter, start, 4, &[old]);
        assert_eq!(rates, [Some([Rate::default(); 2])]);
    }

    #[test]
    fn another_flow_with_the_same_addresses_is_another() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        read(&mut meter, start, 0, &[counted([(100, 9000), (0, 0)])]);
        let next = Spec {
            id: 7,
            age: 1,
            ..counted([(2, 200), (0, 0)])
        };
        let rates = read(&mut meter, start, 1, &[next]);
        assert_eq!(rates, [Some([rate(2.0, 200.0), Rate::default()])]);
    }

    #[test]
    fn what_has_gone_is_forgotten() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let crowd: Vec<Spec> = (0..1000).map(|sport| Spec { sport, ..ssh() }).collect();
        read(&mut meter, start, 0, &crowd);
        assert_eq!(meter.known.len(), 1000);
        read(&mut meter, start, 1, &crowd[..10]);
        assert_eq!(meter.known.len(), 10);
        assert!(meter.known.capacity() < 100, "{}", meter.known.capacity());
    }

    #[test]
    fn a_flow_costs_what_is_said() {
        assert_eq!(size_of::<(u64, Known)>(), 48);
    }
}
