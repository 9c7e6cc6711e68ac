//! The sweep over a map that packets change under its hands.

use std::cell::RefCell;
use std::collections::BTreeMap;

use fw_common::abi::{Clock, Config, LOCKED};

use super::*;

/// A map in which packets arrive between the page and the removal.
#[derive(Default)]
struct Fake {
    entries: RefCell<BTreeMap<u32, Flow>>,
    /// Keys that a packet revives just before they are taken.
    revived: Vec<u32>,
    /// Keys in whose place a packet makes a new entry just after they are taken.
    replaced: Vec<u32>,
}

const FAR: u64 = u64::MAX / 2;

fn flow(deadline: u64, lock: u32) -> Flow {
    Flow {
        deadline,
        lock,
        ..Flow::default()
    }
}

impl Fake {
    fn with(entries: &[(u32, Flow)]) -> Self {
        Self {
            entries: RefCell::new(entries.iter().copied().collect()),
            ..Self::default()
        }
    }

    fn keys(&self) -> Vec<u32> {
        self.entries.borrow().keys().copied().collect()
    }
}

impl Table for Fake {
    type Key = u32;

    fn walk(&self, mut page: impl FnMut(&[u32], &[Flow]) -> io::Result<bool>) -> io::Result<()> {
        let all: Vec<_> = self
            .entries
            .borrow()
            .iter()
            .map(|(k, f)| (*k, *f))
            .collect();
        for chunk in all.chunks(2) {
            let (keys, flows): (Vec<_>, Vec<_>) = chunk.iter().copied().unzip();
            if page(&keys, &flows)? {
                break;
            }
        }
        Ok(())
    }

    fn take(&self, key: &u32) -> io::Result<Option<Flow>> {
        let mut entries = self.entries.borrow_mut();
        let mut taken = entries.remove(key);
        if self.revived.contains(key)
            && let Some(flow) = &mut taken
        {
            flow.deadline = FAR;
            flow.lock = LOCKED;
        }
        if self.replaced.contains(key) {
            entries.insert(*key, flow(FAR + 1, UNLOCKED));
        }
        Ok(taken)
    }

    fn put_back(&self, key: &u32, flow: &Flow) -> io::Result<()> {
        self.entries.borrow_mut().entry(*key).or_insert(*flow);
        Ok(())
    }
}

fn clock() -> TickClock {
    let mut config: Config = crate::settings::Tunables::of_profile(Default::default()).store(
        &crate::settings::Tunables::BLANK,
        250,
        Clock {
            tick_ns: 4_000_000,
            offset: 1_000_000,
        },
    );
    config.hz = 250;
    TickClock::new(&config).expect("a clock")
}

#[test]
fn only_what_is_dead_goes() {
    let table = Fake::with(&[
        (1, flow(0, UNLOCKED)),
        (2, flow(FAR, UNLOCKED)),
        (3, flow(1, LOCKED)),
        (4, flow(FAR, MOVED)),
        (5, flow(FAR, LOCKED)),
    ]);
    let outcome = sweep_map(&table, &clock(), || false).expect("swept");
    assert_eq!(table.keys(), [2, 5]);
    assert_eq!(outcome, Outcome { left: 2, freed: 3 });
}

#[test]
fn a_flow_revived_meanwhile_stays() {
    let mut table = Fake::with(&[(1, flow(0, UNLOCKED)), (2, flow(0, UNLOCKED))]);
    table.revived = vec![1];
    let outcome = sweep_map(&table, &clock(), || false).expect("swept");
    assert_eq!(outcome, Outcome { left: 1, freed: 1 });
    // Not left locked: nobody holds the copy.
    assert_eq!(table.entries.borrow().get(&1), Some(&flow(FAR, UNLOCKED)));
}

#[test]
fn a_newer_entry_is_not_overwritten() {
    let mut table = Fake::with(&[(1, flow(0, UNLOCKED))]);
    table.revived = vec![1];
    table.replaced = vec![1];
    sweep_map(&table, &clock(), || false).expect("swept");
    assert_eq!(table.entries.borrow()[&1].deadline, FAR + 1);
}

#[test]
fn a_stop_ends_the_walk_after_its_page() {
    let dead: Vec<_> = (0..6).map(|key| (key, flow(0, UNLOCKED))).collect();
    let table = Fake::with(&dead);
    sweep_map(&table, &clock(), || true).expect("swept");
    assert_eq!(table.keys(), [2, 3, 4, 5]);
}
