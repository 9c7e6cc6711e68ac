//! The `TARGETS` map: interfaces to which the programs may send frames.

use std::fmt;
use std::io;

use aya::maps::xdp::XdpMapError;
use aya::maps::{DevMapHash, Map, MapData, MapError};
use fw_common::abi::maps;

use super::AttachError;
use crate::paths::Paths;

/// The map. The kernel takes an interface out of it by itself when that goes.
pub(super) struct Targets(DevMapHash<MapData>);

impl Targets {
    /// Opens the pinned map.
    pub(super) fn open(paths: &Paths) -> Result<Self, AttachError> {
        let map = MapData::from_pin(paths.map(maps::TARGETS)).and_then(Map::from_map_data);
        map.and_then(DevMapHash::try_from).map(Self).map_err(failed)
    }

    /// Adds the interface `index`, unless it is there.
    pub(super) fn add(&mut self, index: u32) -> Result<(), AttachError> {
        if self.0.get(index, 0).is_ok() {
            return Ok(());
        }
        let result = self.0.insert(index, index, None, 0);
        result.map_err(|error| match error {
            XdpMapError::MapError(cause) => failed(cause),
            other => failed(MapError::from(io::Error::other(other))),
        })
    }

    /// Removes the interface `index`, if it is there.
    pub(super) fn remove(&mut self, index: u32) -> Result<(), AttachError> {
        if self.0.get(index, 0).is_err() {
            return Ok(());
        }
        self.0.remove(index).map_err(failed)
    }
}

impl fmt::Debug for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(maps::TARGETS)
    }
}

fn failed(cause: MapError) -> AttachError {
    let map = maps::TARGETS;
    AttachError::Map { map, cause }
}
