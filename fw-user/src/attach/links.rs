//! Interfaces as rules see them: the `LINKS` map.
//!
//! XDP sees a NIC. For the IP stack, and so for `iifname` in a rule, a packet comes in by the VLAN, bridge
//! or bond on top of it.

use fw_common::abi::LinkKey;
use fw_common::ruleset::Link;

use crate::sys::netlink::Interface;

/// Longest pile of bridges and bonds that is followed.
const MAX_PILE: usize = 8;

/// By which interface a packet comes in for the stack, for each NIC and VLAN tag; also each interface's
/// own description.
pub(super) fn links(all: &[Interface]) -> Vec<(LinkKey, Link)> {
    let mut links = Vec::new();
    for port in all {
        let top = stacked(port, all);
        links.push((key(port.index, 0), link(top)));
        for vlan in all {
            let Some(id) = vlan.vlan else {
                continue;
            };
            // A VLAN stands on the NIC itself or on what has taken it.
            if vlan.lower == Some(port.index) || vlan.lower == Some(top.index) {
                links.push((key(port.index, id), link(stacked(vlan, all))));
            }
        }
    }
    links
}

/// The interface that takes the frames of `port`, at the top of the pile.
fn stacked<'a>(port: &'a Interface, all: &'a [Interface]) -> &'a Interface {
    let mut top = port;
    for _ in 0..MAX_PILE {
        let master = top.master.filter(|_| top.is_port);
        match all.iter().find(|other| Some(other.index) == master) {
            Some(master) => top = master,
            None => break,
        }
    }
    top
}

fn key(port: u32, vlan: u16) -> LinkKey {
    LinkKey {
        port,
        vlan: u32::from(vlan),
    }
}

/// What rules can ask of an interface.
pub(crate) fn link(interface: &Interface) -> Link {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(interface.name.bytes()) {
        *to = from;
    }
    let mut name = [0; 4];
    for (word, bytes) in name.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    Link {
        index: interface.index,
        kind: u32::from(interface.kind),
        group: interface.group,
        name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(index: u32, name: &str) -> Interface {
        Interface {
            index,
            name: name.into(),
            ..Interface::default()
        }
    }

    fn find(all: &[Interface], port: u32, vlan: u16) -> Option<u32> {
        let links = links(all);
        let found = links.iter().find(|(k, _)| *k == key(port, vlan));
        found.map(|(_, link)| link.index)
    }

    #[test]
    fn a_name_is_sixteen_bytes() {
        let [(_, link)] = links(&[interface(2, "eth0")])[..] else {
            panic!("one link");
        };
        assert_eq!(link.name, [u32::from_be_bytes(*b"eth0"), 0, 0, 0]);
    }

    #[test]
    fn a_tag_leads_to_its_vlan() {
        let vlan = Interface {
            vlan: Some(5),
            lower: Some(2),
            ..interface(3, "eth0.5")
        };
        let all = [interface(2, "eth0"), vlan];
        assert_eq!(find(&all, 2, 0), Some(2));
        assert_eq!(find(&all, 2, 5), Some(3));
        assert_eq!(find(&all, 2, 6), None);
    }

    #[test]
    fn a_bridge_takes_the_frames_of_its_ports() {
        let port = Interface {
            is_port: true,
            master: Some(9),
            ..interface(2, "eth0")
        };
        let vlan = Interface {
            vlan: Some(5),
            lower: Some(9),
            ..interface(3, "br0.5")
        };
        let all = [port, interface(9, "br0"), vlan];
        assert_eq!(find(&all, 2, 0), Some(9));
        assert_eq!(find(&all, 2, 5), Some(3));
    }

    #[test]
    fn a_vrf_takes_no_frames() {
        let port = Interface {
            is_port: false,
            master: Some(9),
            ..interface(2, "eth0")
        };
        assert_eq!(find(&[port, interface(9, "blue")], 2, 0), Some(2));
    }
}
