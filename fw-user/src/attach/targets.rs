//! Interfaces to which the programs may send frames: the `TARGETS` map, and `FAR_TARGETS` for high numbers.

use std::fmt;
use std::io;

use aya::maps::xdp::XdpMapError;
use aya::maps::{DevMap, DevMapHash, Map, MapData, MapError};
use fw_common::abi::maps;

use super::AttachError;
use super::ifaces::failed;
use crate::paths::Paths;

/// The maps. The kernel takes an interface out of them by itself when that goes.
pub(super) struct Targets {
    near: DevMap<MapData>,
    far: DevMapHash<MapData>,
}

impl Targets {
    /// Opens the pinned maps.
    pub(super) fn open(paths: &Paths) -> Result<Self, AttachError> {
        let open = |name| MapData::from_pin(paths.map(name)).and_then(Map::from_map_data);
        Ok(Self {
            near: open(maps::TARGETS)
                .and_then(DevMap::try_from)
                .map_err(failed(maps::TARGETS))?,
            far: open(maps::FAR_TARGETS)
                .and_then(DevMapHash::try_from)
                .map_err(failed(maps::FAR_TARGETS))?,
        })
    }

    /// Adds the interface `index`, unless it is there.
    pub(super) fn add(&mut self, index: u32) -> Result<(), AttachError> {
        if self.has(index) {
            return Ok(());
        }
        if index < maps::NEAR_IFACES {
            let result = self.near.set(index, index, None, 0);
            result.map_err(refused(maps::TARGETS))
        } else {
            let result = self.far.insert(index, index, None, 0);
            result.map_err(refused(maps::FAR_TARGETS))
        }
    }

    /// Removes the interface `index`, if it is there.
    pub(super) fn remove(&mut self, index: u32) -> Result<(), AttachError> {
        if !self.has(index) {
            return Ok(());
        }
        if index < maps::NEAR_IFACES {
            // Device number 0 is none (`__dev_map_update_elem`).
            let result = self.near.set(index, 0, None, 0);
            result.map_err(refused(maps::TARGETS))
        } else {
            self.far.remove(index).map_err(failed(maps::FAR_TARGETS))
        }
    }

    fn has(&self, index: u32) -> bool {
        if index < maps::NEAR_IFACES {
            self.near.get(index, 0).is_ok()
        } else {
            self.far.get(index, 0).is_ok()
        }
    }
}

impl fmt::Debug for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(maps::TARGETS)
    }
}

fn refused(map: &'static str) -> impl Fn(XdpMapError) -> AttachError {
    move |error| match error {
        XdpMapError::MapError(cause) => failed(map)(cause),
        other => failed(map)(MapError::from(io::Error::other(other))),
    }
}
