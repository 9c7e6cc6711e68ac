//! The ring buffer of events, and the word that switches it on.

use aya::maps::{Array, Map, MapData, RingBuf};
use fw_common::abi::{Event, maps};

use super::{Maps, MapsError, failed};
use crate::sys::record;

/// Whether anybody listens: the `LISTEN` map.
pub struct Lease {
    map: Array<MapData, u64>,
}

impl Lease {
    pub(super) fn open(maps: &Maps) -> Result<Self, MapsError> {
        let failed = failed(maps::LISTEN);
        let map = Map::from_map_data(maps.data(maps::LISTEN)?).map_err(&failed)?;
        let map = Array::try_from(map).map_err(&failed)?;
        Ok(Self { map })
    }

    /// Has the programs report what happens until tick `until`; 0: no more.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set(&mut self, until: u64) -> Result<(), MapsError> {
        self.map.set(0, until, 0).map_err(failed(maps::LISTEN))
    }

    /// Whether somebody listens at tick `now`.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn is_heard(&self, now: u64) -> Result<bool, MapsError> {
        let until = self.map.get(&0, 0).map_err(failed(maps::LISTEN))?;
        Ok(until > now)
    }
}

/// The `EVENTS` map. There is one reader: what it takes is gone for others.
pub struct EventRing {
    ring: RingBuf<MapData>,
}

impl EventRing {
    pub(super) fn open(maps: &Maps) -> Result<Self, MapsError> {
        let failed = failed(maps::EVENTS);
        let map = Map::from_map_data(maps.data(maps::EVENTS)?).map_err(&failed)?;
        let ring = RingBuf::try_from(map).map_err(&failed)?;
        Ok(Self { ring })
    }
}

/// The events that there are; more may come after the last. A record of another size is none of ours, and
/// passed over.
impl Iterator for EventRing {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        while let Some(item) = self.ring.next() {
            if let Some(event) = record::read(&item) {
                return Some(event);
            }
        }
        None
    }
}

impl std::os::fd::AsRawFd for EventRing {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.ring.as_raw_fd()
    }
}
