//! What the programs know about each interface: the `IFACES` and `MACS` maps.

use std::collections::BTreeSet;

use aya::Pod;
use aya::maps::{HashMap, Map, MapData, MapError};
use fw_common::abi::{IfaceConfig, IfaceFlags, MacKey, maps};

use super::{AttachError, Mode, links};
use crate::maps::{LinkTable, MapsError};
use crate::paths::Paths;
use crate::sys::netlink::{Interface, Mac};

/// Entries of `MACS` that one interface may have. With more, the check of addresses is off there.
const MACS_MAX: usize = 256;

/// The maps.
#[derive(Debug)]
pub(super) struct Table {
    links: LinkTable,
    ifaces: HashMap<MapData, u32, IfaceConfig>,
    macs: HashMap<MapData, MacKey, u32>,
}

/// What the maps say of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    config: IfaceConfig,
    macs: BTreeSet<Mac>,
}

impl Facts {
    /// What to say of `interface`, given all interfaces and the further addresses of all.
    pub(super) fn of(
        interface: &Interface,
        zone: u16,
        all: &[Interface],
        further: &[(u32, Mac)],
    ) -> Self {
        let on_top = all
            .iter()
            .filter(|other| other.lower == Some(interface.index) && other.index != interface.index)
            .map(|other| other.mac);
        let listed = further
            .iter()
            .filter(|(index, _)| *index == interface.index)
            .map(|(_, mac)| *mac);
        let macs: BTreeSet<Mac> = on_top
            .chain(listed)
            .filter(|mac| *mac != interface.mac && *mac != [0; 6])
            .collect();
        // A bridge port's frames belong to whoever is behind the bridge.
        let checked = !interface.is_port && macs.len() <= MACS_MAX;
        let more = checked && !macs.is_empty();
        let mut flags = 0;
        if checked {
            flags |= IfaceFlags::CHECK_MAC;
        }
        if more {
            flags |= IfaceFlags::MORE_MACS;
        }
        if interface.local_peer {
            flags |= IfaceFlags::LOCAL_PEER;
        }
        Self {
            config: IfaceConfig {
                flags,
                zone,
                mac: interface.mac,
            },
            macs: if more { macs } else { BTreeSet::new() },
        }
    }

    /// The same, for where the program runs. In the kernel's stack it sees what GRO has merged, and
    /// merged segments carry an unfinished checksum, whatever the NIC.
    pub(super) fn in_mode(mut self, mode: Mode) -> Self {
        if mode == Mode::Generic {
            self.config.flags |= IfaceFlags::LOCAL_PEER;
        }
        self
    }
}

impl Table {
    /// Opens the pinned maps.
    pub(super) fn open(paths: &Paths) -> Result<Self, AttachError> {
        Ok(Self {
            ifaces: open(paths, maps::IFACES)?,
            macs: open(paths, maps::MACS)?,
            links: LinkTable::from_maps(|name| {
                let data = MapData::from_pin(paths.map(name));
                data.map_err(|source| MapsError::Map { name, source })
            })
            .map_err(AttachError::Links)?,
        })
    }

    /// Writes what is known of the interface `index`. Addresses that are new come before the flag
    /// that makes them count, old ones go after it.
    pub(super) fn write(&mut self, index: u32, facts: &Facts) -> Result<(), AttachError> {
        let old = self.macs_of(index);
        for mac in facts.macs.difference(&old) {
            let result = self.macs.insert(key(index, *mac), 1, 0);
            result.map_err(failed(maps::MACS))?;
        }
        let result = self.ifaces.insert(index, facts.config, 0);
        result.map_err(failed(maps::IFACES))?;
        self.remove_macs(index, old.difference(&facts.macs))
    }

    /// Writes what rules know of interfaces.
    pub(super) fn write_links(&mut self, all: &[Interface]) -> Result<(), AttachError> {
        let links = links::links(all);
        self.links.write(&links).map_err(AttachError::Links)
    }

    /// Forgets the interface `index`.
    pub(super) fn remove(&mut self, index: u32) -> Result<(), AttachError> {
        match self.ifaces.remove(&index) {
            Ok(()) | Err(MapError::KeyNotFound) => {}
            Err(e) => return Err(failed(maps::IFACES)(e)),
        }
        let macs = self.macs_of(index);
        self.remove_macs(index, macs.iter())
    }

    /// The indexes of all interfaces in the maps.
    pub(super) fn indexes(&self) -> BTreeSet<u32> {
        self.ifaces.keys().filter_map(Result::ok).collect()
    }

    fn macs_of(&self, index: u32) -> BTreeSet<Mac> {
        let keys = self.macs.keys().filter_map(Result::ok);
        keys.filter(|key| key.ifindex == index)
            .map(|key| key.mac)
            .collect()
    }

    fn remove_macs<'a>(
        &mut self,
        index: u32,
        macs: impl Iterator<Item = &'a Mac>,
    ) -> Result<(), AttachError> {
        for mac in macs {
            match self.macs.remove(&key(index, *mac)) {
                Ok(()) | Err(MapError::KeyNotFound) => {}
                Err(e) => return Err(failed(maps::MACS)(e)),
            }
        }
        Ok(())
    }
}

fn key(ifindex: u32, mac: Mac) -> MacKey {
    MacKey {
        ifindex,
        mac,
        pad: [0; 2],
    }
}

/// Opens a pinned hash map; its sizes are compared with the kernel's own description.
fn open<K: Pod, V: Pod>(
    paths: &Paths,
    name: &'static str,
) -> Result<HashMap<MapData, K, V>, AttachError> {
    let map = MapData::from_pin(paths.map(name)).and_then(Map::from_map_data);
    map.and_then(HashMap::try_from).map_err(failed(name))
}

fn failed(map: &'static str) -> impl Fn(MapError) -> AttachError {
    move |cause| AttachError::Map { map, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(index: u32, mac: Mac) -> Interface {
        Interface {
            index,
            mac,
            ethernet: true,
            ..Interface::default()
        }
    }

    #[test]
    fn addresses_on_top_of_a_port_are_its_own_too() {
        let eth = port(2, [2, 0, 0, 0, 0, 1]);
        let vlan = Interface {
            lower: Some(2),
            ..port(3, [2, 0, 0, 0, 0, 1])
        };
        let macvlan = Interface {
            lower: Some(2),
            ..port(4, [2, 0, 0, 0, 0, 4])
        };
        let all = [eth.clone(), vlan, macvlan];
        let plain = Facts::of(&eth, 7, &all[..2], &[]);
        assert_eq!(plain.config.flags, IfaceFlags::CHECK_MAC);
        assert_eq!(plain.config.zone, 7);
        let further = [(2, [2, 0, 0, 0, 0, 9]), (3, [2, 0, 0, 0, 0, 8])];
        let more = Facts::of(&eth, 0, &all, &further);
        assert_eq!(
            more.config.flags,
            IfaceFlags::CHECK_MAC | IfaceFlags::MORE_MACS
        );
        let expected = BTreeSet::from([[2, 0, 0, 0, 0, 4], [2, 0, 0, 0, 0, 9]]);
        assert_eq!(more.macs, expected);
    }

    #[test]
    fn a_bridge_port_takes_frames_for_anybody() {
        let port = Interface {
            is_port: true,
            ..port(2, [2, 0, 0, 0, 0, 1])
        };
        let facts = Facts::of(&port, 0, &[], &[(2, [2, 0, 0, 0, 0, 9])]);
        assert_eq!(facts.config.flags, 0);
        assert!(facts.macs.is_empty());
    }

    #[test]
    fn a_local_peer_may_leave_checksums_unfinished() {
        let veth = Interface {
            local_peer: true,
            ..port(2, [2, 0, 0, 0, 0, 1])
        };
        let facts = Facts::of(&veth, 0, &[], &[]);
        let flags = IfaceFlags::CHECK_MAC | IfaceFlags::LOCAL_PEER;
        assert_eq!(facts.config.flags, flags);
    }

    #[test]
    fn merged_segments_may_have_unfinished_checksums() {
        let facts = || Facts::of(&port(2, [2, 0, 0, 0, 0, 1]), 0, &[], &[]);
        let flags = |mode| facts().in_mode(mode).config.flags;
        assert_eq!(flags(Mode::Native) & IfaceFlags::LOCAL_PEER, 0);
        assert_ne!(flags(Mode::Generic) & IfaceFlags::LOCAL_PEER, 0);
    }
}
