//! What rules can ask that is of no packet: the table `local`, and the time of day.

use std::collections::BTreeMap;

use aya::maps::lpm_trie::Key;
use aya::maps::{Array, LpmTrie, Map, MapData};
use fw_common::abi::{WallClock, maps};
use fw_common::ruleset::fib::Local;
use rustix::time::{ClockId, DynamicClockId, clock_gettime, clock_gettime_dynamic};

use super::{Maps, MapsError, failed};
use crate::routing::{Prefix, read_locals};
use crate::sys::zone::kernel_zone;

const SECOND: i64 = 1_000_000_000;

/// The `LOCALS` and `WALL` maps.
pub struct Surroundings {
    locals: LpmTrie<MapData, [u32; 4], Local>,
    wall: Array<MapData, WallClock>,
    /// What is in the first, as far as this process has written it.
    written: BTreeMap<Prefix, Local>,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

impl Surroundings {
    /// Opens the pinned maps.
    ///
    /// # Errors
    /// See [`MapsError`].
    pub fn open(maps: &Maps) -> Result<Self, MapsError> {
        Self::from_maps(|name| maps.data(name))
    }

    /// Takes the maps that `find` finds by name.
    ///
    /// # Errors
    /// What `find` says; a map of another layout.
    pub fn from_maps(
        mut find: impl FnMut(&'static str) -> Result<MapData, MapsError>,
    ) -> Result<Self, MapsError> {
        let locals = Map::from_map_data(find(maps::LOCALS)?).and_then(LpmTrie::try_from);
        let wall = Map::from_map_data(find(maps::WALL)?).and_then(Array::try_from);
        let locals: LpmTrie<_, _, _> = locals.map_err(failed(maps::LOCALS))?;
        // Those of an earlier run.
        let written = locals
            .iter()
            .map(|item| item.map(|(key, local)| ((key.prefix_len(), key.data()), local)))
            .collect::<Result<_, _>>()
            .map_err(failed(maps::LOCALS))?;
        Ok(Self {
            locals,
            wall: wall.map_err(failed(maps::WALL))?,
            written,
        })
    }

    /// Writes what the kernel has of this network namespace: what is new first, so that no address is
    /// missed that stays.
    ///
    /// # Errors
    /// The kernel does not say, or the map can't be written.
    pub fn look(&mut self) -> Result<(), MapsError> {
        let name = maps::LOCALS;
        let found = read_locals().map_err(|source| MapsError::Io { name, source })?;
        for (prefix, local) in &found {
            if self.written.get(prefix) != Some(local) {
                self.locals
                    .insert(&key(prefix), local, 0)
                    .map_err(failed(name))?;
            }
        }
        for prefix in self.written.keys().filter(|old| !found.contains_key(old)) {
            self.locals.remove(&key(prefix)).map_err(failed(name))?;
        }
        self.written = found;
        Ok(())
    }

    /// Sets the programs' clock.
    ///
    /// # Errors
    /// The map can't be written.
    pub fn set_clock(&mut self) -> Result<(), MapsError> {
        let now = WallClock {
            offset: ahead_of_atomic_time(),
            zone: kernel_zone(),
            pad: 0,
        };
        if self.wall.get(&0, 0).ok() == Some(now) {
            return Ok(());
        }
        self.wall.set(0, now, 0).map_err(failed(maps::WALL))
    }
}

fn key((length, words): &Prefix) -> Key<[u32; 4]> {
    Key::new(*length, *words)
}

/// Nanoseconds that the time of day is ahead of atomic time: whole seconds.
fn ahead_of_atomic_time() -> i64 {
    let Ok(atomic) = clock_gettime_dynamic(DynamicClockId::Tai) else {
        return 0;
    };
    let now = clock_gettime(ClockId::Realtime);
    let nanoseconds = |time: rustix::time::Timespec| {
        time.tv_sec
            .saturating_mul(SECOND)
            .saturating_add(time.tv_nsec)
    };
    let ahead = nanoseconds(now) - nanoseconds(atomic);
    // They were read one after the other.
    (ahead + SECOND / 2).div_euclid(SECOND) * SECOND
}
