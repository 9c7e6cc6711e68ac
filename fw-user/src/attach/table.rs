//! What the programs know about each interface: its settings and further addresses.

use std::collections::BTreeSet;

use aya::maps::{HashMap, MapData, MapError};
use fw_common::abi::{IfaceConfig, IfaceFlags, MacKey, maps};

use super::ifaces::{Ifaces, failed, open};
use super::targets::Targets;
use super::{AttachError, Mode, followers, links};
use crate::maps::{LinkTable, MapsError};
use crate::paths::Paths;
use crate::routing::Generation;
use crate::sys::netdev;
use crate::sys::netlink::{Attached, Interface, Mac};

/// Entries of `MACS` that one interface may have. With more, the check of addresses is off there.
const MACS_MAX: usize = 256;

/// The maps.
#[derive(Debug)]
pub(super) struct Table {
    links: LinkTable,
    ifaces: Ifaces,
    macs: HashMap<MapData, MacKey, u32>,
    targets: Targets,
    /// To be raised when something here changes that cached next hops rely on.
    generation: Generation,
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
        let mut flags = interface.forwarding;
        if checked {
            flags |= IfaceFlags::CHECK_MAC;
        }
        if more {
            flags |= IfaceFlags::MORE_MACS;
        }
        for (flag, set) in [
            (IfaceFlags::LOCAL_PEER, interface.local_peer),
            (IfaceFlags::FORWARD, checked),
            (IfaceFlags::PORT, true),
            (IfaceFlags::TARGET, true),
            (IfaceFlags::RP_STRICT, interface.strict_source),
            (IfaceFlags::VRF, interface.in_vrf),
            (IfaceFlags::XMIT, can(interface, netdev::XMIT)),
            (
                IfaceFlags::XMIT_BUFFERS,
                can(interface, netdev::XMIT_BUFFERS),
            ),
        ] {
            if set {
                flags |= flag;
            }
        }
        Self {
            config: IfaceConfig {
                flags,
                index: interface.index,
                zone,
                mac: interface.mac,
                ..IfaceConfig::default()
            },
            macs: if more { macs } else { BTreeSet::new() },
        }
    }

    /// The same, for where the program runs. In the kernel's stack it sees what GRO has merged, and
    /// merged segments carry an unfinished checksum, whatever the NIC.
    pub(super) fn in_mode(mut self, mode: Mode) -> Self {
        if matches!(mode, Mode::Generic | Mode::Tc) {
            self.config.flags |= IfaceFlags::LOCAL_PEER | IfaceFlags::GENERIC;
        }
        self
    }
}

/// Why established flows are left to the kernel on an interface with these flags; `from_drivers`: some come
/// from XDP in a driver.
fn left(flags: u32, from_drivers: bool) -> Vec<String> {
    let has = |flag| flags & flag != 0;
    let mut left = Vec::new();
    if !has(IfaceFlags::FORWARD) {
        left.push("in: it belongs to a bridge or bond, which may want its frames".into());
    }
    if from_drivers && !has(IfaceFlags::XMIT) {
        left.push(
            if has(IfaceFlags::LOCAL_PEER) && !has(IfaceFlags::GENERIC) {
                "out: the far end takes no frames from XDP, as far as the kernel says (it does from 6.3): \
                 `ethtool -K IFACE gro on` there, or `--hook tc`"
                    .into()
            } else {
                "out: the driver takes no frames from XDP".into()
            },
        );
    }
    left
}

/// Whether the interface's driver can do `what` with frames from XDP. Where the kernel does not say (before
/// 6.3) drivers that run our program natively are believed to, but for veth, which takes frames only if the
/// far end is ready for them.
fn can(interface: &Interface, what: u64) -> bool {
    match interface.features {
        Some(features) => features & what != 0,
        None => {
            what == netdev::XMIT && interface.xdp.mode == Attached::Native && !interface.local_peer
        }
    }
}

impl Table {
    /// Opens the pinned maps.
    pub(super) fn open(paths: &Paths, generation: Generation) -> Result<Self, AttachError> {
        Ok(Self {
            ifaces: Ifaces::open(paths)?,
            macs: open(paths, maps::MACS)?,
            links: LinkTable::from_maps(|name| {
                let data = MapData::from_pin(paths.map(name));
                data.map_err(|source| MapsError::Map { name, source })
            })
            .map_err(AttachError::Links)?,
            targets: Targets::open(paths)?,
            generation,
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
        let before = self.ifaces.get(index);
        self.targets.add(index)?;
        self.ifaces.insert(index, facts.config)?;
        if before != Some(facts.config) {
            self.raise()?;
        }
        self.remove_macs(index, old.difference(&facts.macs))
    }

    /// Writes what is known of the interfaces above and below all ports.
    pub(super) fn write_followers(&mut self, all: &[Interface]) -> Result<(), AttachError> {
        let followers = followers::of(&self.ifaces.ports(), all);
        let mut changed = false;
        for (index, config) in &followers {
            if self.ifaces.get(*index) != Some(*config) {
                self.ifaces.insert(*index, *config)?;
                changed = true;
            }
        }
        for index in self.ifaces.followers() {
            if !followers.contains_key(&index) {
                self.ifaces.remove(index)?;
                changed = true;
            }
        }
        if changed {
            self.raise()?;
        }
        Ok(())
    }

    /// Why established flows are left to the kernel on the interface `index`; `from_drivers`: some come
    /// from XDP in a driver.
    pub(super) fn left(&self, index: u32, from_drivers: bool) -> Vec<String> {
        let config = self.ifaces.get(index);
        config.map_or_else(Vec::new, |config| left(config.flags, from_drivers))
    }

    /// Writes what rules know of interfaces.
    pub(super) fn write_links(&mut self, all: &[Interface]) -> Result<(), AttachError> {
        let links = links::links(all);
        if self.links.write(&links).map_err(AttachError::Links)? {
            self.raise()?;
        }
        Ok(())
    }

    /// Forgets the interface `index`.
    pub(super) fn remove(&mut self, index: u32) -> Result<(), AttachError> {
        self.ifaces.remove(index)?;
        self.raise()?;
        self.targets.remove(index)?;
        let macs = self.macs_of(index);
        self.remove_macs(index, macs.iter())
    }

    /// The indexes of all ports in the maps.
    pub(super) fn indexes(&self) -> BTreeSet<u32> {
        self.ifaces.ports().into_keys().collect()
    }

    /// Makes the programs ask anew where packets go.
    fn raise(&self) -> Result<(), AttachError> {
        self.generation.raise().map_err(failed(maps::ROUTING))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::netlink::Xdp;

    /// What holds for every interface whose packets the host routes.
    const ROUTED: u32 =
        IfaceFlags::PORT | IfaceFlags::CHECK_MAC | IfaceFlags::FORWARD | IfaceFlags::TARGET;

    #[test]
    fn drivers_take_frames_if_the_kernel_says_so() {
        let flags = |features, local_peer, mode| {
            let interface = Interface {
                features,
                local_peer,
                xdp: Xdp {
                    mode,
                    program_id: 1,
                },
                ..port(2, [2, 0, 0, 0, 0, 1])
            };
            let flags = Facts::of(&interface, 0, &[], &[]).config.flags;
            (
                flags & IfaceFlags::XMIT != 0,
                flags & IfaceFlags::XMIT_BUFFERS != 0,
            )
        };
        let all = Some(netdev::XMIT | netdev::XMIT_BUFFERS);
        assert_eq!(flags(all, true, Attached::Generic), (true, true));
        assert_eq!(
            flags(Some(netdev::XMIT), false, Attached::Native),
            (true, false)
        );
        assert_eq!(flags(Some(3), false, Attached::Native), (false, false));
        assert_eq!(flags(None, false, Attached::Native), (true, false));
        assert_eq!(flags(None, true, Attached::Native), (false, false));
        assert_eq!(flags(None, false, Attached::Generic), (false, false));
    }

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
        assert_eq!(plain.config.flags, ROUTED);
        assert_eq!(plain.config.zone, 7);
        let further = [(2, [2, 0, 0, 0, 0, 9]), (3, [2, 0, 0, 0, 0, 8])];
        let more = Facts::of(&eth, 0, &all, &further);
        assert_eq!(more.config.flags, ROUTED | IfaceFlags::MORE_MACS);
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
        assert_eq!(facts.config.flags, IfaceFlags::PORT | IfaceFlags::TARGET);
        assert!(facts.macs.is_empty());
    }

    #[test]
    fn a_local_peer_may_leave_checksums_unfinished() {
        let veth = Interface {
            local_peer: true,
            ..port(2, [2, 0, 0, 0, 0, 1])
        };
        let facts = Facts::of(&veth, 0, &[], &[]);
        assert_eq!(facts.config.flags, ROUTED | IfaceFlags::LOCAL_PEER);
    }

    #[test]
    fn what_the_kernel_forwards_is_told() {
        let port = Interface {
            forwarding: IfaceFlags::OTHER_SWITCH6,
            ..port(2, [2, 0, 0, 0, 0, 1])
        };
        let facts = Facts::of(&port, 0, &[], &[]);
        assert_eq!(facts.config.flags, ROUTED | IfaceFlags::OTHER_SWITCH6);
    }

    #[test]
    fn merged_segments_may_have_unfinished_checksums() {
        let facts = || Facts::of(&port(2, [2, 0, 0, 0, 0, 1]), 0, &[], &[]);
        let flags = |mode| facts().in_mode(mode).config.flags;
        assert_eq!(flags(Mode::Native) & IfaceFlags::LOCAL_PEER, 0);
        assert_ne!(flags(Mode::Generic) & IfaceFlags::LOCAL_PEER, 0);
        assert_ne!(flags(Mode::Tc) & IfaceFlags::LOCAL_PEER, 0);
    }
}
