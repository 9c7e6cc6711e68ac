//! The sweep: frees entries that have expired, counts what is left.
//!
//! Whether a flow has expired is decided when a packet looks it up; nothing here is needed for that.

mod table;

use std::io;
use std::time::{Duration, Instant};

use fw_common::abi::{Flow, MOVED, UNLOCKED, maps};
use tracing::warn;

use self::table::{Maps, Table};
use super::running::Running;
use super::stop::Stop;
use crate::clock::TickClock;

/// Rest after each page, so that a sweep never keeps a CPU from the packets.
const REST: Duration = Duration::from_micros(500);

/// What one sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sweep {
    /// Entries freed.
    pub(super) freed: u64,
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
    let mut complained = false;
    loop {
        match sweep(&mut maps, running.clock(), stop) {
            Ok(sweep) => {
                running.note_sweep(sweep);
                complained = false;
            }
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

/// One walk over all four maps.
fn sweep(maps: &mut Maps, clock: TickClock, stop: &Stop) -> io::Result<Sweep> {
    let begin = Instant::now();
    let rest = || stop.wait(REST);
    let mut sweep = Sweep::default();
    let embryo4 = sweep_map(&maps.embryo4, &clock, rest)?;
    let embryo6 = sweep_map(&maps.embryo6, &clock, rest)?;
    let used = maps.promoted()?;
    let assured4 = sweep_map(&maps.assured4, &clock, rest)?;
    let assured6 = sweep_map(&maps.assured6, &clock, rest)?;
    if stop.wait(Duration::ZERO) {
        // Not counted to the end: half a count would let more flows in than there is room for.
        return Ok(sweep);
    }
    for (i, (assured, embryo)) in [(assured4, embryo4), (assured6, embryo6)]
        .iter()
        .enumerate()
    {
        sweep.freed += assured.freed + embryo.freed;
        // Read before the walk: a flow promoted meanwhile counts twice until the next sweep, which
        // errs towards a table that is never overfull.
        maps.set_removed(i, used[i].saturating_sub(assured.left))?;
    }
    sweep.took = begin.elapsed();
    Ok(sweep)
}

/// Frees what has expired in one map. `rest` is called after each page; `true` ends the walk.
fn sweep_map<T: Table>(
    table: &T,
    clock: &TickClock,
    rest: impl Fn() -> bool,
) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    table.walk(|keys, flows| {
        let now = clock.now();
        for (key, flow) in keys.iter().zip(flows) {
            if is_dead(flow, now) && free(table, key, clock)? {
                outcome.freed += 1;
            } else {
                outcome.left += 1;
            }
        }
        Ok(rest())
    })?;
    Ok(outcome)
}

/// Expired, or the husk of a flow that was promoted.
const fn is_dead(flow: &Flow, now: u64) -> bool {
    flow.deadline <= now || flow.lock == MOVED
}

/// Frees the entry of `key` if it is still dead. A packet may have revived it since it was read: look
/// and removal are one step, and what turns out to live is put back.
fn free<T: Table>(table: &T, key: &T::Key, clock: &TickClock) -> io::Result<bool> {
    let Some(mut flow) = table.take(key)? else {
        return Ok(true);
    };
    if is_dead(&flow, clock.now()) {
        return Ok(true);
    }
    flow.lock = UNLOCKED;
    table.put_back(key, &flow)?;
    Ok(false)
}

/// Slot of `OCCUPANCY` in which user space counts what it removed from the assured map of a family.
const fn removed_slot(family: usize) -> u32 {
    maps::OCCUPANCY_SLOTS / 2 + family as u32
}

#[cfg(test)]
mod tests;
