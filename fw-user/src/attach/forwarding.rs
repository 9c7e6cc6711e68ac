//! What the kernel forwards of what comes in by an interface, where that is not what `bpf_fib_lookup` says: the
//! look-up goes by the interface's own switches, the stack by those of the bridge or VRF that the packet belongs to
//! (`__in_dev_get_rcu` of `skb->dev`), and for IPv6 by that of all (`ip6_forward`). Packets to groups, broadcasts and
//! those that bring their own way along are forwarded where a switch for that is on (`IN_DEV_MFORWARD`,
//! `IN_DEV_BFORWARD`, `IN_DEV_SOURCE_ROUTE`, `seg6_enabled`, `rpl_seg_enabled`).

use std::cell::Cell;
use std::io;

use fw_common::abi::IfaceFlags;

use crate::sys::netlink::Interface;

/// Interfaces that may be above one another, as in the kernel (`MAX_NEST_DEV`).
const NESTED_MAX: usize = 8;

/// For each of the interfaces bits of [`IfaceFlags`].
pub(super) fn of(all: &[Interface]) -> Vec<u32> {
    let bits = |interface| bits(interface, all, is_on);
    all.iter().map(bits).collect()
}

/// Whether a switch below `/proc/sys/net` is on. One that this kernel does not have is off.
fn is_on(switch: &str) -> io::Result<bool> {
    match std::fs::read_to_string(format!("/proc/sys/net/{switch}")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        text => Ok(text?.trim() != "0"),
    }
}

/// All that is said of an interface if a switch can't be read: then its packets have to pass every hook.
const UNREAD: u32 = IfaceFlags::OTHER_SWITCH4
    | IfaceFlags::OTHER_SWITCH6
    | IfaceFlags::ROUTES_GROUPS4
    | IfaceFlags::ROUTES_GROUPS6
    | IfaceFlags::ROUTES_BROADCASTS
    | IfaceFlags::SOURCE_ROUTES4
    | IfaceFlags::SOURCE_ROUTES6;

fn bits(interface: &Interface, all: &[Interface], is_on: impl Fn(&str) -> io::Result<bool>) -> u32 {
    let unread = Cell::new(false);
    let is_on = |switch: &str| {
        is_on(switch).unwrap_or_else(|_| {
            unread.set(true);
            false
        })
    };
    let (own, asked) = (&interface.name, &top(interface, all).name);
    let v4 = |of: &str, what| is_on(&format!("ipv4/conf/{of}/{what}"));
    let v6 = |of: &str, what| is_on(&format!("ipv6/conf/{of}/{what}"));
    let both4 = |what| v4("all", what) && v4(asked, what);
    let both6 = |what| v6("all", what) && v6(asked, what);
    let forwards6 = v6("all", "forwarding") || v6(asked, "force_forwarding");
    let bits = [
        (
            IfaceFlags::OTHER_SWITCH4,
            v4(own, "forwarding") != v4(asked, "forwarding"),
        ),
        (
            IfaceFlags::OTHER_SWITCH6,
            v6(own, "forwarding") != forwards6,
        ),
        (IfaceFlags::ROUTES_GROUPS4, both4("mc_forwarding")),
        (IfaceFlags::ROUTES_GROUPS6, v6("all", "mc_forwarding")),
        (IfaceFlags::ROUTES_BROADCASTS, both4("bc_forwarding")),
        (IfaceFlags::SOURCE_ROUTES4, both4("accept_source_route")),
        (
            IfaceFlags::SOURCE_ROUTES6,
            both6("seg6_enabled") || both6("rpl_seg_enabled"),
        ),
    ];
    if unread.get() {
        return UNREAD;
    }
    bits.iter()
        .filter(|(_, set)| *set)
        .fold(0, |bits, (bit, _)| bits | bit)
}

/// The interface that a packet belongs to by the time it is routed.
fn top<'a>(interface: &'a Interface, all: &'a [Interface]) -> &'a Interface {
    let mut top = interface;
    for _ in 0..NESTED_MAX {
        let above = all.iter().find(|other| Some(other.index) == top.master);
        let Some(above) = above else { break };
        top = above;
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(index: u32, name: &str, master: Option<u32>) -> Interface {
        Interface {
            index,
            name: name.into(),
            master,
            ..Interface::default()
        }
    }

    fn of_eth0(master: Option<u32>, on: &[&str]) -> u32 {
        let all = [
            interface(2, "eth0", master),
            interface(3, "br0", Some(4)),
            interface(4, "red", None),
        ];
        bits(&all[0], &all, |switch| Ok(on.contains(&switch)))
    }

    #[test]
    fn ipv4_asks_who_is_above_the_interface() {
        let (own, red) = ("ipv4/conf/eth0/forwarding", "ipv4/conf/red/forwarding");
        for (master, on, expected) in [
            (None, &[own][..], 0),
            (None, &[red], 0),
            (Some(3), &[red], IfaceFlags::OTHER_SWITCH4),
            (Some(4), &[own], IfaceFlags::OTHER_SWITCH4),
            (Some(3), &[own, red], 0),
        ] {
            assert_eq!(of_eth0(master, on), expected, "{master:?} {on:?}");
        }
    }

    #[test]
    fn ipv6_asks_the_switch_of_all() {
        let (own, all) = ("ipv6/conf/eth0/forwarding", "ipv6/conf/all/forwarding");
        let force = "ipv6/conf/eth0/force_forwarding";
        for (on, differs) in [
            (&[][..], false),
            (&[own], true),
            (&[all], true),
            (&[force], true),
            (&[own, all], false),
            (&[own, force], false),
        ] {
            let bits = of_eth0(None, on);
            assert_eq!(bits == IfaceFlags::OTHER_SWITCH6, differs, "{on:?}");
            assert_eq!(bits != 0, differs, "{on:?}");
        }
    }

    #[test]
    fn groups_broadcasts_and_source_routes_want_the_switch_of_all_as_well() {
        for (family, what, flag) in [
            ("ipv4", "mc_forwarding", IfaceFlags::ROUTES_GROUPS4),
            ("ipv4", "bc_forwarding", IfaceFlags::ROUTES_BROADCASTS),
            ("ipv4", "accept_source_route", IfaceFlags::SOURCE_ROUTES4),
            ("ipv6", "seg6_enabled", IfaceFlags::SOURCE_ROUTES6),
            ("ipv6", "rpl_seg_enabled", IfaceFlags::SOURCE_ROUTES6),
        ] {
            let [own, above, all] =
                ["eth0", "red", "all"].map(|of| format!("{family}/conf/{of}/{what}"));
            for (master, on, set) in [
                (None, [&own, &all], true),
                (None, [&own, &above], false),
                (None, [&above, &all], false),
                (Some(3), [&above, &all], true),
                (Some(3), [&own, &all], false),
            ] {
                let bits = of_eth0(master, &on.map(String::as_str));
                assert_eq!(bits, if set { flag } else { 0 }, "{master:?} {on:?}");
            }
        }
        let groups = of_eth0(None, &["ipv6/conf/all/mc_forwarding"]);
        assert_eq!(groups, IfaceFlags::ROUTES_GROUPS6);
    }

    #[test]
    fn a_switch_that_can_not_be_read_makes_everything_doubtful() {
        let all = [interface(2, "eth0", None)];
        let refused = |switch: &str| match switch {
            "ipv4/conf/all/bc_forwarding" => Err(io::ErrorKind::PermissionDenied.into()),
            _ => Ok(false),
        };
        assert_eq!(bits(&all[0], &all, refused), UNREAD);
    }

    #[test]
    fn a_circle_has_an_end() {
        let all = [interface(2, "a", Some(3)), interface(3, "b", Some(2))];
        assert_eq!(bits(&all[0], &all, |_| Ok(false)), 0);
    }
}
