//! The sweep: frees entries that have expired, counts what is left.
//!
//! Whether a flow has expired is decided when a packet looks it up; nothing here is needed for that.

mod ledger;
mod members;
mod occupancy;
mod pace;
mod sources;
mod table;

use std::cell::RefCell;
use std::io;
use std::time::{Duration, Instant};

use fw_common::abi::{Config, Event, Flow, Key4, Key6, MOVED, UNLOCKED, maps};
use fw_common::adaptive::{Adaptive, Share};
use fw_common::flow::FlowKey;
use fw_common::{source, track};
use tracing::warn;

use self::ledger::{Ledger, Opening};
use self::pace::{Laps, Pace};
use self::sources::Recount;
use self::table::{Maps, Table};
use super::events::Hub;
use super::running::Running;
use super::stop::Stop;
use crate::clock::{TickClock, monotonic};
use crate::flows::Key;

/// What one sweep found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sweep {
    /// Entries there are.
    pub(super) left: u64,
    /// Entries freed.
    pub(super) freed: u64,
    /// Those of them that were assured.
    pub(super) freed_assured: u64,
    /// What was left of the timeouts.
    pub(super) share: Share,
    /// Whether the next one is awaited: flows are being pushed out, or rules count connections.
    pub(super) is_awaited: bool,
    /// Time it took, with its rests.
    pub(super) took: Duration,
}

/// What became of one map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Outcome {
    left: u64,
    freed: u64,
}

/// Sweeps until `stop`. Runs on a thread of its own: the calls block.
pub(super) fn run(running: &Running, stop: &Stop) {
    let mut maps = match Maps::open(&running.paths) {
        Ok(maps) => maps,
        Err(e) => return warn!("cannot sweep expired flows: {e}"),
    };
    let mut ledger = Ledger::default();
    let mut complained = false;
    loop {
        let result = running.maps().config().map_err(io::Error::other);
        let result = result.and_then(|config| {
            let last = running.sweep();
            let flows = last.map_or(0, |last| last.left);
            let adaptive = running.adaptive();
            let judge = Judge::new(running.clock(), config, adaptive, flows);
            let hub = running.events();
            let pace = pace(&config, adaptive, hub.listeners(), last);
            let freed = last.map_or(0, |last| last.freed_assured);
            sweep(&mut maps, &mut ledger, (&judge, pace, freed), hub, stop)
        });
        match result {
            Ok(Some(sweep)) => {
                running.note_sweep(sweep);
                complained = false;
            }
            Ok(None) => {}
            Err(e) if !complained => {
                warn!("sweeping expired flows: {e}");
                complained = true;
            }
            Err(_) => {}
        }
        if stop.wait(running.gc_interval()) {
            return;
        }
    }
}

/// How fast the next sweep goes. Flows are let in by what it counts of their sources, timeouts shrink by what it leaves, and
/// `listeners` are told of the ends that it finds: that is awaited, too.
fn pace(
    config: &Config,
    adaptive: Option<Adaptive>,
    listeners: usize,
    last: Option<Sweep>,
) -> Pace {
    let is_awaited = last.is_some_and(|last| last.is_awaited);
    let counted = source::are_counted(config);
    Pace::of(is_awaited || adaptive.is_some() || counted || listeners != 0)
}

/// Who has expired.
struct Judge {
    clock: TickClock,
    config: Config,
    share: Share,
}

impl Judge {
    fn new(clock: TickClock, config: Config, adaptive: Option<Adaptive>, flows: u64) -> Self {
        let share = adaptive.map_or(Share::WHOLE, |levels| levels.share(flows));
        Self {
            clock,
            config,
            share,
        }
    }

    /// Expired, by its own deadline or by the shrunken timeout, or the husk of a flow that was promoted.
    fn is_dead<K: FlowKey>(&self, key: &K, flow: &Flow) -> bool {
        let now = self.clock.now();
        if is_over(flow, now) || self.share == Share::WHOLE {
            return is_over(flow, now);
        }
        let protocol = key.tuple(false).proto;
        let lifetime = track::lifetime(flow, K::FAMILY, protocol, &self.config);
        self.share.is_expired(flow.deadline, lifetime, now)
    }
}

/// One walk over all four maps, at `pace` as far as there is room; `freed` assured flows were freed by the last one.
/// `None` if it was cut short.
fn sweep(
    maps: &mut Maps,
    ledger: &mut Ledger,
    (judge, pace, freed): (&Judge, Pace, u64),
    hub: &Hub,
    stop: &Stop,
) -> io::Result<Option<Sweep>> {
    let begin = Instant::now();
    let laps = RefCell::new(Laps::begin());
    let rest = |pace: Pace| stop.wait(pace.rest(laps.borrow_mut().lap()));
    // Embryonic flows are few, and soon over.
    let short = || rest(Pace::Hurried);
    let limit = judge.config.assured_limit;
    let by_room = |maps: &Maps, family| {
        // Where it can't be read there may be none.
        let used = maps.used(family).unwrap_or(limit);
        rest(pace.in_map(used, limit, freed))
    };
    let opening = Opening::read(&maps.counters).map_err(io::Error::other)?;
    let counted = source::are_counted(&judge.config);
    let mut recount = counted.then(|| maps.sources.recount()).transpose()?;
    let count = &mut recount;
    let embryo4 = sweep_flows::<Key4>(&maps.embryo4, judge, count, hub, short)?;
    let embryo6 = sweep_flows::<Key6>(&maps.embryo6, judge, count, hub, short)?;
    let before4 = maps.count(0)?;
    let assured4 = sweep_flows::<Key4>(&maps.assured4, judge, count, hub, || by_room(maps, 0))?;
    let before6 = maps.count(1)?;
    let assured6 = sweep_flows::<Key6>(&maps.assured6, judge, count, hub, || by_room(maps, 1))?;
    if stop.wait(Duration::ZERO) {
        // Not counted to the end: half a count would let more flows in than there is room for.
        return Ok(None);
    }
    maps.book(0, before4, assured4.left)?;
    maps.book(1, before6, assured6.left)?;
    if let Some(recount) = &recount {
        maps.sources.settle(recount)?;
    }
    let connections = maps.sweep_members(judge.clock.now())?;
    let all = [embryo4, embryo6, assured4, assured6];
    let (freed, left) = (
        all.iter().map(|map| map.freed).sum(),
        all.iter().map(|map| map.left).sum(),
    );
    let pushed_out = ledger
        .close(&mut maps.counters, opening, freed, left)
        .map_err(io::Error::other)?;
    Ok(Some(Sweep {
        left,
        freed,
        freed_assured: assured4.freed + assured6.freed,
        share: judge.share,
        is_awaited: pushed_out || connections,
        took: begin.elapsed(),
    }))
}

fn sweep_flows<K: FlowKey>(
    table: &impl Table<Key = K>,
    judge: &Judge,
    recount: &mut Option<Recount>,
    hub: &Hub,
    rest: impl Fn() -> bool,
) -> io::Result<Outcome>
where
    Key: From<K>,
{
    let is_dead = |key: &K, flow: &Flow| judge.is_dead(key, flow);
    let survivor = |key: &K, flow: &Flow| {
        if let Some(recount) = recount {
            recount.add(key, flow);
        }
    };
    let ended = |key: &K, flow: &Flow| report(hub, &judge.clock, key, flow);
    sweep_map(table, is_dead, survivor, ended, rest)
}

/// Tells listeners that a flow has expired.
fn report<K: FlowKey>(hub: &Hub, clock: &TickClock, key: &K, flow: &Flow)
where
    Key: From<K>,
{
    if hub.listeners() == 0 {
        return;
    }
    hub.post(Event {
        now: clock.now(),
        at: monotonic(),
        kind: Event::DESTROY,
        family: K::FAMILY as u8,
        cause: Event::EXPIRY,
        key: Key::from(*key).wide(),
        flow: *flow,
        ..Event::default()
    });
}

/// Frees what is dead in one map, tells `ended` of every flow whose end this is, and shows what is not dead to
/// `survivor`. `rest` is called after each page;
/// `true` ends the walk.
fn sweep_map<T: Table>(
    table: &T,
    is_dead: impl Fn(&T::Key, &Flow) -> bool,
    mut survivor: impl FnMut(&T::Key, &Flow),
    ended: impl Fn(&T::Key, &Flow),
    rest: impl Fn() -> bool,
) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    table.walk(|keys, flows| {
        for (key, flow) in keys.iter().zip(flows) {
            if is_dead(key, flow) {
                match free(table, key, &is_dead, &ended)? {
                    Freed::Here => {
                        outcome.freed += 1;
                        continue;
                    }
                    // Removed by a packet, which has counted it.
                    Freed::Elsewhere => continue,
                    Freed::Lives => {}
                }
            }
            survivor(key, flow);
            outcome.left += 1;
        }
        Ok(rest())
    })?;
    Ok(outcome)
}

/// Expired, or the husk of a flow that was promoted.
const fn is_over(flow: &Flow, now: u64) -> bool {
    flow.deadline <= now || flow.lock == MOVED
}

/// What became of an entry that looked dead.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Freed {
    /// It is gone.
    Here,
    /// It was gone.
    Elsewhere,
    /// A packet has revived it.
    Lives,
}

/// Frees the entry of `key` if it is still dead. A packet may have revived it since it was read: look
/// and removal are one step, and what turns out to live is put back.
fn free<T: Table>(
    table: &T,
    key: &T::Key,
    is_dead: impl Fn(&T::Key, &Flow) -> bool,
    ended: impl Fn(&T::Key, &Flow),
) -> io::Result<Freed> {
    let Some(mut flow) = table.take(key)? else {
        return Ok(Freed::Elsewhere);
    };
    if is_dead(key, &flow) {
        if flow.lock != MOVED {
            ended(key, &flow);
        }
        return Ok(Freed::Here);
    }
    flow.lock = UNLOCKED;
    table.put_back(key, &flow)?;
    Ok(Freed::Lives)
}

/// Slot of `OCCUPANCY` in which the programs count what they promoted to the assured map of a family and removed from it.
const fn promoted_slot(family: usize) -> u32 {
    family as u32
}

/// Slot of `OCCUPANCY` in which user space counts what it removed from the assured map of a family.
const fn removed_slot(family: usize) -> u32 {
    maps::OCCUPANCY_SLOTS / 2 + family as u32
}

#[cfg(test)]
mod tests;
