//! Interfaces that nobody named, but whose frames the programs at a port have to know: members of a bond below it,
//! VLANs on top of it.
//!
//! A program that is attached to a bond runs at each of its members, and the kernel says that frames come in by
//! these (the same with the virtual function below a network interface of Hyper-V). A port's frames may have
//! the tags of VLANs, and what the kernel routes to a VLAN leaves by the port.

use std::collections::BTreeMap;

use fw_common::abi::{IfaceConfig, IfaceFlags};

use super::{Vlan, shown};
use crate::sys::netlink::Interface;

/// Bits that say what may leave by an interface: by a member nothing may but through its bond.
const WAY_OUT: u32 = IfaceFlags::TARGET | IfaceFlags::XMIT | IfaceFlags::XMIT_BUFFERS;

/// Bits of a port that are true of its VLANs as well.
const SHARED: u32 = IfaceFlags::GENERIC | IfaceFlags::LOCAL_PEER | IfaceFlags::FORWARD;

/// What to say of the interfaces above and below `ports`, of which some are ports themselves.
pub(super) fn of(
    ports: &BTreeMap<u32, IfaceConfig>,
    all: &[Interface],
) -> BTreeMap<u32, IfaceConfig> {
    let mut found = BTreeMap::new();
    for (index, port) in ports {
        let others = all.iter().filter(|i| !ports.contains_key(&i.index));
        for other in others {
            if other.master == Some(*index) && !other.in_vrf {
                found.insert(other.index, member(other, port));
            } else if is_vlan_on(other, *index) && elsewhere(other).is_none() {
                found.insert(other.index, vlan(other, port));
            }
        }
    }
    found
}

/// The VLANs on top of the port `index` whose packets are forwarded, and why those of the others are left to the kernel.
/// Such as `are_ports` themselves are not meant.
pub(super) fn vlans(
    index: u32,
    all: &[Interface],
    are_ports: impl Fn(u32) -> bool,
) -> (Vec<Vlan>, Vec<String>) {
    let (mut forwarded, mut left) = (Vec::new(), Vec::new());
    let vlans = all.iter().filter(|i| is_vlan_on(i, index));
    for vlan in vlans.filter(|i| !are_ports(i.index)) {
        match why_not(vlan) {
            Some(why) => left.push(format!("in and out of {}: {why}", shown(&vlan.name))),
            None => forwarded.push(Vlan {
                name: vlan.name.clone(),
                index: vlan.index,
                id: vlan.vlan.unwrap_or(0),
            }),
        }
    }
    (forwarded, left)
}

fn is_vlan_on(interface: &Interface, port: u32) -> bool {
    interface.lower == Some(port) && interface.vlan.is_some_and(|id| id != 0)
}

/// Why frames with the one tag of the VLAN do not come in by it, if they do not.
const fn elsewhere(vlan: &Interface) -> Option<&'static str> {
    if !vlan.up {
        Some("it is down")
    } else if vlan.is_port {
        Some("it belongs to a bridge or bond, which may want its frames")
    } else if vlan.service_vlan {
        Some("its tags are 802.1ad")
    } else {
        None
    }
}

/// Why only the kernel does right with the frames of a VLAN.
fn why_not(vlan: &Interface) -> Option<&'static str> {
    let priorities = vlan
        .vlan_priorities
        .then_some("its tags have priorities (egress-qos-map)");
    elsewhere(vlan).or(priorities)
}

/// Of a member: what holds for the bond, in the bond's name. What comes in by one that is not in use, such as what a
/// switch sends to all, is thrown away by the bond, and must not leave straight.
fn member(interface: &Interface, bond: &IfaceConfig) -> IfaceConfig {
    let mut flags = bond.flags & !WAY_OUT | IfaceFlags::MEMBER;
    if interface.local_peer {
        flags |= IfaceFlags::LOCAL_PEER;
    }
    if interface.standby {
        flags &= !IfaceFlags::FORWARD;
    }
    IfaceConfig { flags, ..*bond }
}

fn vlan(interface: &Interface, port: &IfaceConfig) -> IfaceConfig {
    let mut flags = IfaceFlags::VLAN | port.flags & SHARED | interface.forwarding;
    if why_not(interface).is_some() {
        flags &= !IfaceFlags::FORWARD;
    }
    if interface.strict_source {
        flags |= IfaceFlags::RP_STRICT;
    }
    if interface.in_vrf {
        flags |= IfaceFlags::VRF;
    }
    IfaceConfig {
        flags,
        vlan: interface.vlan.unwrap_or(0),
        ..*port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: IfaceConfig = IfaceConfig {
        flags: IfaceFlags::PORT | IfaceFlags::FORWARD | IfaceFlags::TARGET | IfaceFlags::RP_STRICT,
        index: 2,
        zone: 7,
        vlan: 0,
        mac: [2; 6],
        pad: [0; 2],
    };

    fn on(port: u32) -> Interface {
        Interface {
            index: 3,
            name: "eth0.5".into(),
            up: true,
            lower: Some(port),
            vlan: Some(5),
            ..Interface::default()
        }
    }

    fn only(interface: Interface) -> Option<IfaceConfig> {
        of(&BTreeMap::from([(2, PORT)]), &[interface]).remove(&3)
    }

    #[test]
    fn a_vlan_is_reached_through_its_port() {
        let vlan = only(on(2)).expect("it is one of the port's");
        assert_eq!((vlan.index, vlan.vlan, vlan.zone), (2, 5, 7));
        assert_eq!(vlan.flags, IfaceFlags::VLAN | IfaceFlags::FORWARD);
        let strict = Interface {
            strict_source: true,
            in_vrf: true,
            forwarding: IfaceFlags::OTHER_SWITCH6,
            ..on(2)
        };
        let own = IfaceFlags::RP_STRICT | IfaceFlags::VRF | IfaceFlags::OTHER_SWITCH6;
        assert_eq!(only(strict).map(|vlan| vlan.flags & own), Some(own));
        assert_eq!(only(on(4)), None);
        let (forwarded, left) = vlans(2, &[on(2)], |_| false);
        assert_eq!((forwarded.len(), left.len()), (1, 0));
    }

    #[test]
    fn a_vlan_that_only_the_kernel_does_right_is_left_to_it() {
        for vlan in [
            Interface { up: false, ..on(2) },
            Interface {
                is_port: true,
                ..on(2)
            },
            Interface {
                service_vlan: true,
                ..on(2)
            },
        ] {
            assert_eq!(only(vlan.clone()), None, "{vlan:?}");
            let (forwarded, left) = vlans(2, &[vlan], |_| false);
            assert_eq!((forwarded.len(), left.len()), (0, 1));
        }
        let none = Interface {
            vlan: Some(0),
            ..on(2)
        };
        assert_eq!(only(none), None);
    }

    /// Its frames have a way that rules can ask of.
    #[test]
    fn a_vlan_with_priorities_is_known_and_left_to_the_kernel() {
        let vlan = Interface {
            vlan_priorities: true,
            ..on(2)
        };
        let known = only(vlan.clone()).expect("its tags are taken off");
        assert_eq!((known.index, known.vlan), (2, 5));
        assert_eq!(known.flags & !IfaceFlags::RP_STRICT, IfaceFlags::VLAN);
        let (forwarded, left) = vlans(2, &[vlan], |_| false);
        assert_eq!((forwarded.len(), left.len()), (0, 1));
    }

    #[test]
    fn a_vlan_that_is_filtered_itself_is_no_follower() {
        let ports = BTreeMap::from([(2, PORT), (3, PORT)]);
        assert_eq!(of(&ports, &[on(2)]), BTreeMap::new());
        assert_eq!(vlans(2, &[on(2)], |_| true), (Vec::new(), Vec::new()));
    }

    #[test]
    fn members_speak_in_the_name_of_their_bond() {
        let slave = |standby| Interface {
            index: 3,
            master: Some(2),
            is_port: true,
            local_peer: true,
            standby,
            ..Interface::default()
        };
        let member = only(slave(false)).expect("a member");
        assert_eq!((member.index, member.zone, member.mac), (2, 7, [2; 6]));
        let flags = PORT.flags & !WAY_OUT | IfaceFlags::MEMBER | IfaceFlags::LOCAL_PEER;
        assert_eq!(member.flags, flags);
        let standby = only(slave(true)).expect("a member");
        assert_eq!(standby.flags, flags & !IfaceFlags::FORWARD);
        // A VRF takes no frames: packets come in by its members, and leave by them.
        let of_vrf = Interface {
            in_vrf: true,
            ..slave(false)
        };
        assert_eq!(only(of_vrf), None);
    }
}
