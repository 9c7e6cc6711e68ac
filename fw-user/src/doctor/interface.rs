//! What concerns one interface.

use std::thread;

use aya::programs::loaded_programs;
use fw_common::abi::programs;

use super::machine::sysctl;
use super::{Finding, Findings};
use crate::attach::{Mode, prefers_tc, shown};
use crate::sys::ethtool::{self, Features};
use crate::sys::netdev;
use crate::sys::netlink::Interface;

/// Longest packets for which drivers need one buffer a frame: a page, less what XDP keeps of it.
const SINGLE_BUFFER: u32 = 3498;

/// Whether an interface that nobody filters yet would be filtered in the driver.
pub(super) fn would_run_in_driver(interface: &Interface) -> bool {
    let can = interface.features.is_none_or(|f| f & netdev::BASIC != 0);
    can && prefers_tc(interface).is_none()
}

/// Looks at an interface, which we filter in this `mode`, if at all; `all` there are.
pub(super) fn examine(
    interface: &Interface,
    mode: Option<Mode>,
    all: &[Interface],
) -> Vec<Finding> {
    let name = shown(&interface.name);
    let mut findings = Findings::new(Some(interface.name.clone()));
    findings.ok("driver", facts(interface));
    if !interface.ethernet {
        findings.error(
            "link",
            "its frames have no Ethernet header (ppp, tunnel, loopback): the programs cannot read them",
            "fwctl run -i PORT, the Ethernet port below it",
        );
        return findings.all;
    }
    hook(&mut findings, interface, mode);
    if interface.is_port {
        findings.note(
            "master",
            "it belongs to a bridge or bond, so established flows that come in here are left to the kernel",
            "fwctl run -i MASTER, the bridge or bond itself",
        );
    }
    offloads(&mut findings, interface, mode, all);
    queues(&mut findings, &interface.name);
    if interface.strict_source {
        findings.note(
            "rp_filter",
            "rp_filter is strict: packets whose way back leads elsewhere are dropped",
            format!("sysctl -w net.ipv4.conf.{name}.rp_filter=2"),
        );
    }
    let forwarded = |of: &str| sysctl(&format!("net.ipv4.conf.{of}.forwarding"));
    // Where nothing is forwarded that is said of the machine.
    let somewhere = forwarded("all").as_deref() == Some("1");
    if somewhere && forwarded(&interface.name).as_deref() == Some("0") {
        findings.warn(
            "forwarding",
            "IPv4 packets that come in here are not forwarded",
            format!("sysctl -w net.ipv4.conf.{name}.forwarding=1"),
        );
    }
    findings.all
}

fn facts(interface: &Interface) -> String {
    let driver = ethtool::driver(&interface.name);
    let driver = driver.map_or_else(|_| "no driver".into(), |driver| shown(&driver));
    let mut facts = format!("{driver}, MTU {}", interface.mtu);
    if let Ok((queues, _)) = ethtool::receive_queues(&interface.name) {
        facts += &format!(", receive queues: {queues}");
    }
    if let Some(id) = interface.vlan {
        facts += &format!(", VLAN {id}");
    }
    facts
}

/// Where it is or would be filtered, and who else is there.
fn hook(findings: &mut Findings, interface: &Interface, mode: Option<Mode>) {
    let name = shown(&interface.name);
    let id = interface.xdp.program_id;
    if id != 0 && !is_ours(id) {
        findings.error(
            "xdp-program",
            format!("another XDP program is attached (id {id}), which sees packets before us"),
            format!("ip link set dev {name} xdp off; or `fwctl run --hook tc` behind it"),
        );
    }
    match mode {
        Some(Mode::Generic) => findings.warn(
            "hook",
            "filtered by generic XDP, in the kernel's stack",
            "fwctl run --hook auto, which takes the driver, or tc",
        ),
        Some(mode) => findings.ok("hook", format!("filtered by us, {mode}")),
        None => match prefers_tc(interface) {
            Some(reason) => findings.ok("hook", format!("`fwctl run` would take tc: {reason}")),
            None if would_run_in_driver(interface) => {
                findings.ok("hook", "`fwctl run` would take XDP, native");
            }
            None => findings.ok(
                "hook",
                "`fwctl run` would take tc: the driver runs no XDP programs",
            ),
        },
    }
    let can = |what| {
        interface
            .features
            .is_none_or(|features| features & what != 0)
    };
    let at_tc = mode == Some(Mode::Tc) || (mode.is_none() && !would_run_in_driver(interface));
    if !at_tc && interface.mtu > SINGLE_BUFFER && !can(netdev::RECEIVE_BUFFERS) {
        findings.warn(
            "mtu",
            format!(
                "MTU {}: the driver does not give XDP frames of several buffers, and may refuse the program",
                interface.mtu
            ),
            format!("ip link set dev {name} mtu 1500; or `fwctl run --hook tc`"),
        );
    }
}

fn is_ours(id: u32) -> bool {
    let mut programs = loaded_programs().filter_map(Result::ok);
    let program = programs.find(|program| program.id() == id);
    program.is_some_and(|program| program.name_as_str() == Some(programs::INGRESS))
}

/// What the NIC does to packets before XDP sees them.
fn offloads(findings: &mut Findings, interface: &Interface, mode: Option<Mode>, all: &[Interface]) {
    let name = shown(&interface.name);
    let at_tc = mode == Some(Mode::Tc) || (mode.is_none() && !would_run_in_driver(interface));
    let Ok(features) = Features::of(&interface.name) else {
        return;
    };
    let active = |feature| features.get(feature).ok().flatten().filter(|f| f.active);
    if active("rx-lro").is_some() {
        findings.warn(
            "lro",
            "LRO merges packets that a router may not merge, and XDP does not get them",
            format!("ethtool -K {name} lro off"),
        );
    }
    if active("rx-gro-hw").is_some() && !at_tc {
        findings.note(
            "gro-hw",
            "the NIC merges packets (GRO-HW), with which some drivers refuse XDP",
            format!("ethtool -K {name} rx-gro-hw off"),
        );
    }
    if active("rx-gro").is_none() && at_tc {
        findings.note(
            "gro",
            "GRO is off, so at tc each segment of a TCP stream is a packet",
            format!("ethtool -K {name} gro on"),
        );
    }
    if let Some(feature) = active("rx-vlan-hw-parse").filter(|_| !at_tc) {
        if feature.changeable {
            findings.ok(
                "rx-vlan",
                "the NIC takes VLAN tags out of frames; `fwctl run` switches that off for XDP, and on again",
            );
        } else {
            findings.warn(
                "rx-vlan",
                "the NIC takes VLAN tags out of frames and cannot be told not to: XDP takes tagged frames for \
                 untagged ones",
                "fwctl run --hook tc",
            );
        }
    }
    if interface.local_peer && !at_tc {
        far_end(findings, interface, all);
    }
}

/// The other end of a virtual wire.
fn far_end(findings: &mut Findings, interface: &Interface, all: &[Interface]) {
    const CHECKSUMS: &str = "tx-checksum-ip-generic";
    match interface.features {
        None => findings.warn(
            "far-end",
            "this kernel does not say whether the far end takes frames from XDP (from 6.3 on it does), so it forwards \
             what leaves here itself",
            "fwctl run --hook tc",
        ),
        Some(features) if features & netdev::XMIT == 0 => findings.warn(
            "far-end",
            "the far end takes no frames from XDP, so the kernel forwards what leaves here",
            "ethtool -K IFACE gro on, at the far end",
        ),
        Some(_) => {}
    }
    let peer = all.iter().find(|i| Some(i.index) == interface.lower);
    let leaves = peer.map(|peer| {
        let features = Features::of(&peer.name);
        features.is_ok_and(|f| f.get(CHECKSUMS).ok().flatten().is_some_and(|f| f.active))
    });
    let trap = "XDP leaves packets to the kernel whose checksum the far end has left to a NIC that is not there";
    match (peer, leaves) {
        (Some(peer), Some(true)) => findings.warn(
            "tx-checksum",
            trap,
            format!(
                "ethtool -K {} tx off; or `fwctl run --hook tc`",
                shown(&peer.name)
            ),
        ),
        (Some(_), _) => findings.ok("tx-checksum", "the far end finishes its checksums"),
        // It is in another network namespace, where we cannot look.
        (None, _) => findings.note(
            "tx-checksum",
            trap,
            "ethtool -K IFACE tx off, at the far end; or `fwctl run --hook tc`",
        ),
    }
}

fn queues(findings: &mut Findings, interface: &str) {
    let Ok((queues, most)) = ethtool::receive_queues(interface) else {
        return;
    };
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let wanted = most.min(u32::try_from(cpus).unwrap_or(u32::MAX));
    if queues < wanted {
        let name = shown(interface);
        findings.note(
            "queues",
            format!("packets come in by {queues} of {wanted} queues that could be: as many CPUs filter them"),
            format!("ethtool -L {name} combined {wanted}"),
        );
    }
}
