//! The sweep over a map that packets change under its hands.

use std::cell::RefCell;
use std::collections::BTreeMap;

use fw_common::abi::{Clock, LOCKED};
use fw_common::flow::Tuple;
use fw_common::timeout::Timeout;
use fw_common::wire::proto;

use super::*;

/// A map in which packets arrive between the page and the removal.
#[derive(Default)]
struct Fake {
    entries: RefCell<BTreeMap<u32, Flow>>,
    /// Keys that a packet revives just before they are taken.
    revived: Vec<u32>,
    /// Keys whose end was told.
    ended: RefCell<Vec<u32>>,
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

/// Sweeps at tick 1000; `stop` ends it after the first page.
fn swept(table: &Fake, stop: bool) -> Outcome {
    let is_dead = |_: &u32, flow: &Flow| is_over(flow, 1000);
    let ended = |key: &u32, _: &Flow| table.ended.borrow_mut().push(*key);
    sweep_map(table, is_dead, |_, _| {}, ended, || stop).expect("swept")
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
    let outcome = swept(&table, false);
    assert_eq!(table.keys(), [2, 5]);
    // A flow that was promoted has not ended.
    assert_eq!(*table.ended.borrow(), [1, 3]);
    assert_eq!(outcome, Outcome { left: 2, freed: 3 });
}

#[test]
fn a_flow_revived_meanwhile_stays() {
    let mut table = Fake::with(&[(1, flow(0, UNLOCKED)), (2, flow(0, UNLOCKED))]);
    table.revived = vec![1];
    let outcome = swept(&table, false);
    assert_eq!(outcome, Outcome { left: 1, freed: 1 });
    assert_eq!(*table.ended.borrow(), [2]);
    // Not left locked: nobody holds the copy.
    assert_eq!(table.entries.borrow().get(&1), Some(&flow(FAR, UNLOCKED)));
}

#[test]
fn a_newer_entry_is_not_overwritten() {
    let mut table = Fake::with(&[(1, flow(0, UNLOCKED))]);
    table.revived = vec![1];
    table.replaced = vec![1];
    swept(&table, false);
    assert_eq!(table.entries.borrow()[&1].deadline, FAR + 1);
}

#[test]
fn a_stop_ends_the_walk_after_its_page() {
    let dead: Vec<_> = (0..6).map(|key| (key, flow(0, UNLOCKED))).collect();
    let table = Fake::with(&dead);
    swept(&table, true);
    assert_eq!(table.keys(), [2, 3, 4, 5]);
}

/// A UDP flow whose last packet came `idle` ticks ago, and a judge at whose time there are `flows`.
fn quiet(idle: u64, flows: u64) -> (Key4, Flow, Judge) {
    let mut config = Config {
        hz: 250,
        clock: Clock {
            tick_ns: 4_000_000,
            offset: 1_000_000,
        },
        ..Config::ZERO
    };
    config.timeouts[Timeout::Udp as usize] = 1_000_000;
    let judge = Judge::new(
        TickClock::new(&config).expect("a clock"),
        config,
        Adaptive::new(100, 200),
        flows,
    );
    let tuple = Tuple {
        dst: [1; 16],
        proto: proto::UDP,
        ..Tuple::default()
    };
    let deadline = judge.clock.now() - idle + 1_000_000;
    (
        Key4::canonical(&tuple, 0).0,
        flow(deadline, UNLOCKED),
        judge,
    )
}

#[test]
fn timeouts_shrink_with_the_number_of_flows() {
    // The clock goes on: not to the tick.
    for (idle, flows, dead) in [
        (400_000, 0, false),
        (400_000, 100, false),
        (400_000, 150, false),
        (600_000, 150, true),
        (400_000, 170, true),
        (600_000, 100, false),
        (0, 200, true),
    ] {
        let (key, flow, judge) = quiet(idle, flows);
        assert_eq!(
            judge.is_dead(&key, &flow),
            dead,
            "idle {idle}, {flows} flows"
        );
    }
}

#[test]
fn a_sweep_is_calm_if_nobody_awaits_it() {
    let plain = Config::ZERO;
    let limited = Config {
        source_flows: 9,
        ..plain
    };
    let sweep = |is_awaited| {
        Some(Sweep {
            left: 0,
            freed: 0,
            freed_assured: 0,
            share: Share::WHOLE,
            is_awaited,
            took: Duration::ZERO,
        })
    };
    let adaptive = Adaptive::new(100, 200);
    for (config, adaptive, listeners, last, expected) in [
        (&plain, None, 0, None, Pace::Calm),
        (&plain, None, 0, sweep(false), Pace::Calm),
        (&plain, None, 0, sweep(true), Pace::Hurried),
        (&plain, None, 1, None, Pace::Hurried),
        (&plain, adaptive, 0, None, Pace::Hurried),
        (&limited, None, 0, None, Pace::Hurried),
    ] {
        assert_eq!(
            pace(config, adaptive, listeners, last),
            expected,
            "{adaptive:?} {listeners} {last:?}"
        );
    }
}
