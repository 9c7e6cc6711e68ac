//! Settings of interfaces, by number: in the array `IFACES` those that nearly all machines have, for whose
//! sake no packet is to pay for a hash, in `FAR_IFACES` the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aya::Pod;
use aya::maps::{Array, HashMap, Map, MapData, MapError};
use fw_common::abi::{IfaceConfig, IfaceFlags, maps};

use super::AttachError;
use crate::paths::Paths;

/// The two maps.
pub(super) struct Ifaces {
    near: Array<MapData, IfaceConfig>,
    far: HashMap<MapData, u32, IfaceConfig>,
}

impl Ifaces {
    /// Opens the pinned maps.
    pub(super) fn open(paths: &Paths) -> Result<Self, AttachError> {
        let near = MapData::from_pin(paths.map(maps::IFACES)).and_then(Map::from_map_data);
        Ok(Self {
            near: near
                .and_then(Array::try_from)
                .map_err(failed(maps::IFACES))?,
            far: open(paths, maps::FAR_IFACES)?,
        })
    }

    /// What is said of the interface `index`, if it is a port or follows one.
    pub(super) fn get(&self, index: u32) -> Option<IfaceConfig> {
        let config = if index < maps::NEAR_IFACES {
            self.near.get(&index, 0)
        } else {
            self.far.get(&index, 0)
        };
        config
            .ok()
            .filter(|config| config.flags & (IfaceFlags::PORT | IfaceFlags::VLAN) != 0)
    }

    /// What is said of all ports.
    pub(super) fn ports(&self) -> BTreeMap<u32, IfaceConfig> {
        let all = self.all();
        let ports = all.filter(|(_, config)| !is_follower(config));
        ports.collect()
    }

    /// The numbers of all interfaces that follow a port.
    pub(super) fn followers(&self) -> BTreeSet<u32> {
        let all = self.all();
        let followers = all.filter(|(_, config)| is_follower(config));
        followers.map(|(index, _)| index).collect()
    }

    /// Says it.
    pub(super) fn insert(&mut self, index: u32, config: IfaceConfig) -> Result<(), AttachError> {
        if index < maps::NEAR_IFACES {
            let result = self.near.set(index, config, 0);
            result.map_err(failed(maps::IFACES))
        } else {
            let result = self.far.insert(index, config, 0);
            result.map_err(failed(maps::FAR_IFACES))
        }
    }

    /// Says nothing of it any more.
    pub(super) fn remove(&mut self, index: u32) -> Result<(), AttachError> {
        if index < maps::NEAR_IFACES {
            return self.insert(index, IfaceConfig::default());
        }
        match self.far.remove(&index) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(e) => Err(failed(maps::FAR_IFACES)(e)),
        }
    }

    fn all(&self) -> impl Iterator<Item = (u32, IfaceConfig)> {
        let far = self.far.keys().filter_map(Result::ok);
        let indexes = (0..maps::NEAR_IFACES).chain(far);
        indexes.filter_map(|index| Some((index, self.get(index)?)))
    }
}

/// Whether that is said of an interface that is no port itself, see [`super::followers`].
const fn is_follower(config: &IfaceConfig) -> bool {
    config.flags & (IfaceFlags::VLAN | IfaceFlags::MEMBER) != 0
}

impl fmt::Debug for Ifaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(maps::IFACES)
    }
}

/// Opens a pinned hash map; its sizes are compared with the kernel's own description.
pub(super) fn open<K: Pod, V: Pod>(
    paths: &Paths,
    name: &'static str,
) -> Result<HashMap<MapData, K, V>, AttachError> {
    let map = MapData::from_pin(paths.map(name)).and_then(Map::from_map_data);
    map.and_then(HashMap::try_from).map_err(failed(name))
}

/// What is wrong with `map`.
pub(super) fn failed(map: &'static str) -> impl Fn(MapError) -> AttachError {
    move |cause| AttachError::Map { map, cause }
}
