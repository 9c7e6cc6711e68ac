//! For how long the next hops that the programs have cached hold: until something changes in the kernel's
//! routes, rules, links, addresses or neighbours.

mod answers;
mod bypass;
mod hooks;
mod locals;
mod memory;
pub mod nat;
mod news;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aya::maps::{Array, Map, MapData, MapError};
use fw_common::abi::{FILLING, Routing, maps};

pub use answers::missing;
pub use bypass::{Bypass, look, look_for_services};
pub use hooks::Hooks;
pub use locals::{Prefix, find as find_local, read as read_locals};
pub use news::{News, RuleNews};

use crate::clock::TickClock;
use crate::paths::Paths;

/// For how long one word of the daemon holds. A dead daemon's word ends then.
const LEASE: Duration = Duration::from_secs(3);

/// The `ROUTING` map; whoever changes it goes through the same value of this type.
#[derive(Clone)]
pub struct Generation {
    map: Arc<Mutex<Array<MapData, Routing>>>,
}

impl Generation {
    /// Opens the pinned map.
    ///
    /// # Errors
    /// It is not there, or is not what it should be.
    pub fn open(paths: &Paths) -> Result<Self, MapError> {
        let map = MapData::from_pin(paths.map(maps::ROUTING)).and_then(Map::from_map_data)?;
        let map = Arc::new(Mutex::new(Array::try_from(map)?));
        Ok(Self { map })
    }

    fn change(&self, change: impl FnOnce(&mut Routing)) -> Result<(), MapError> {
        // No invariant spans a panic: every change is one assignment.
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        let mut routing = map.get(&0, 0)?;
        change(&mut routing);
        map.set(0, routing, 0)
    }

    /// Begins a new generation: nothing cached before counts any more.
    ///
    /// # Errors
    /// The map cannot be written.
    pub fn raise(&self) -> Result<(), MapError> {
        self.change(|routing| routing.generation = after(routing.generation))
    }

    /// Vouches for the generation for a while from now on.
    ///
    /// # Errors
    /// The map cannot be written.
    pub fn vouch(&self, clock: TickClock) -> Result<(), MapError> {
        self.change(|routing| routing.until = clock.after(LEASE))
    }

    /// Allows packets of established flows to leave straight from XDP, or not.
    ///
    /// # Errors
    /// The map cannot be written.
    pub fn enable(&self, enabled: bool) -> Result<(), MapError> {
        self.change(|routing| switch(&mut routing.enabled, Routing::ESTABLISHED, enabled))
    }

    /// Allows first packets of flows to do so as well, where those of established flows may.
    ///
    /// # Errors
    /// The map cannot be written.
    pub fn enable_first(&self, enabled: bool) -> Result<(), MapError> {
        self.change(|routing| switch(&mut routing.enabled, Routing::FIRST, enabled))
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(maps::ROUTING)
    }
}

const fn switch(bits: &mut u32, bit: u32, on: bool) {
    if on {
        *bits |= bit;
    } else {
        *bits &= !bit;
    }
}

/// The generation after `before`: some numbers are none.
const fn after(before: u32) -> u32 {
    match before.wrapping_add(1) {
        0 | FILLING => 1,
        next => next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_leave_out_what_is_none() {
        assert_eq!(after(0), 1);
        assert_eq!(after(7), 8);
        assert_eq!(after(FILLING - 1), 1);
        assert_eq!(after(FILLING), 1);
    }
}
