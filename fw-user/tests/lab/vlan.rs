//! VLAN traffic: attach, list, detach.

use rustix::process::Signal;
use xtask::lab::{Lab, eventually, root_or_skip};
use xtask::traffic::PATIENCE;

use crate::firewall::{Firewall, run};
use crate::frames::{send, tagged_udp};

#[test]
fn tagged_packets_of_both_families_are_tracked() {
    if !root_or_skip() {
        return;
    }
    for hook in ["xdp", "tc"] {
        track(hook);
    }
}

/// At TC the outer tag stands beside the frame.
fn track(hook: &str) {
    let lab = Lab::up("vlan").expect("a lab");
    let mut firewall = Firewall::start(&lab, &["--hook", hook]);
    send(&lab, &tagged_udp(&lab, &[100], (4001, 53), false));
    send(&lab, &tagged_udp(&lab, &[100, 200], (4002, 53), false));
    send(&lab, &tagged_udp(&lab, &[100], (4003, 53), true));

    let listed = eventually("three flows", PATIENCE, || {
        let lines = firewall.list(&["-p", "udp", "--dport", "53"]);
        (lines.len() == 3).then_some(lines)
    });
    for port in [4001, 4002, 4003] {
        let of = |line: &&String| line.contains(&format!(" sport={port} dport=53 "));
        assert_eq!(listed.iter().filter(of).count(), 1, "{listed:?}");
    }

    assert!(firewall.end(Signal::TERM).success(), "a clean stop");
    let links = run(lab.router(), "ip -d link show dev eth0");
    assert!(!links.contains("prog/xdp"), "detached: {links}");
}
