//! Which packets are followed through the rules, and what is told of them.

use aya::maps::{Array, Map, MapData, RingBuf};
use fw_common::abi::{TraceOrder, TraceRecord, maps};

use super::{Maps, MapsError, failed};
use crate::sys::record;

/// The order to follow packets, and the ring buffer of what is told of them. There is one reader.
pub struct Tracing {
    order: Array<MapData, TraceOrder>,
    ring: RingBuf<MapData>,
}

impl Tracing {
    pub(super) fn open(maps: &Maps) -> Result<Self, MapsError> {
        let map = |name: &'static str| Map::from_map_data(maps.data(name)?).map_err(failed(name));
        Ok(Self {
            order: Array::try_from(map(maps::TRACE)?).map_err(failed(maps::TRACE))?,
            ring: RingBuf::try_from(map(maps::TRACES)?).map_err(failed(maps::TRACES))?,
        })
    }

    /// Has the programs follow other packets.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set(&mut self, order: TraceOrder) -> Result<(), MapsError> {
        self.order.set(0, order, 0).map_err(failed(maps::TRACE))
    }
}

/// What there is; more may come after the last. A record of another size is none of ours, and passed over.
impl Iterator for Tracing {
    type Item = TraceRecord;

    fn next(&mut self) -> Option<TraceRecord> {
        while let Some(item) = self.ring.next() {
            if let Some(record) = record::read(&item) {
                return Some(record);
            }
        }
        None
    }
}
