//! Also the first packet of a flow leaves straight from XDP, unless something of the kernel's sees forwarded
//! packets: then that has its say.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use xtask::lab::{CLIENT_V4, CLIENT_V6, Lab, ROUTER_ETH1_V4, SERVER_V4, SERVER_V6, root_or_skip};
use xtask::traffic::Udp;

use crate::fasttrack::{counted, udp};
use crate::firewall::{Firewall, run};
use crate::watcher::eventually;

const ENDS: (IpAddr, IpAddr) = (CLIENT_V4, SERVER_V4);

/// Why first packets go by way of the kernel; `None` if they do not.
fn why(firewall: &Firewall<'_>) -> Option<String> {
    let status: Value =
        serde_json::from_str(&firewall.text(&["status", "-o", "json"])).expect("JSON");
    let why = &status["fast_path"]["first_packets"];
    why.as_str().map(str::to_owned)
}

/// A kernel's own NAT, as home routers have it.
const MASQUERADE: &str = "\
nft add table ip home
nft add chain ip home out '{ type nat hook postrouting priority srcnat; }'
nft add rule ip home out oifname eth1 masquerade";

/// Sends the first packet of a new flow, and says whether it left by XDP.
fn first_leaves(firewall: &Firewall<'_>, talk: &Udp) -> bool {
    let before = counted(firewall, "fasttracked");
    talk.query(b"first").expect("arrives");
    counted(firewall, "fasttracked") == before + 1
}

#[test]
fn first_packets_leave_by_xdp_where_nothing_sees_them() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("first").expect("a lab");
    let firewall = Firewall::start(&lab, &[]);
    assert_eq!(why(&firewall), None);
    for (number, ends) in [ENDS, (CLIENT_V6, SERVER_V6)].into_iter().enumerate() {
        let flows = number as u64 + 1;
        // Nobody has looked for the neighbour yet: that is the kernel's task.
        let talk = udp(&lab, ends, 4000);
        talk.query(b"neighbour").expect("arrives");
        drop(talk);
        let talk = udp(&lab, ends, 4001);
        assert!(first_leaves(&firewall, &talk), "{ends:?}");
        // The second, which has no answer yet either, and the answer.
        assert!(first_leaves(&firewall, &talk), "{ends:?}");
        // It is called offloaded as soon as it has an answer.
        let offloaded = || {
            let filter = ["-u", "OFFLOAD", "-p", "udp", "--sport", "4001"];
            firewall.list(&filter).len() as u64
        };
        assert_eq!(offloaded(), flows - 1);
        let before = counted(&firewall, "fasttracked");
        talk.answer(b"answer").expect("arrives");
        assert_eq!(counted(&firewall, "fasttracked"), before + 1);
        assert_eq!(offloaded(), flows);
    }
    assert!(
        firewall
            .text(&["status"])
            .contains("first packets of flows: forwarded, too")
    );
}

#[test]
fn the_kernels_nat_sees_first_packets() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("first-nat").expect("a lab");
    run(lab.router(), &format!("set -e\n{MASQUERADE}"));
    let firewall = Firewall::start(&lab, &[]);
    let said = why(&firewall).expect("a reason");
    assert!(
        said.contains("nat") && said.contains("(ip postrouting)"),
        "{said}"
    );
    assert!(
        firewall
            .text(&["status"])
            .contains("first packets of flows: by the kernel")
    );
    let doctor: Value =
        serde_json::from_str(&firewall.text(&["doctor", "-o", "json"])).expect("JSON");
    let findings = doctor.as_array().expect("findings");
    let finding = findings.iter().find(|f| f["check"] == "first-packets");
    assert_eq!(finding.expect("a finding")["level"], "note");
    translated(&lab, &firewall, 4000);
}

#[test]
fn a_kernel_rule_that_is_added_later_sees_first_packets_as_well() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("first-later").expect("a lab");
    let firewall = Firewall::start(&lab, &[]);
    udp(&lab, ENDS, 4000).query(b"neighbour").expect("arrives");
    let talk = udp(&lab, ENDS, 4001);
    assert!(first_leaves(&firewall, &talk));
    drop(talk);
    run(lab.router(), &format!("set -e\n{MASQUERADE}"));
    eventually("hooks are seen", || why(&firewall).is_some());
    translated(&lab, &firewall, 4002);
    run(lab.router(), "nft delete table ip home");
    eventually("hooks are gone", || why(&firewall).is_none());
    let talk = udp(&lab, ENDS, 4003);
    assert!(first_leaves(&firewall, &talk));
}

#[test]
fn programs_of_others_see_first_packets_as_well() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("first-tc").expect("a lab");
    let firewall = Firewall::start(&lab, &[]);
    assert_eq!(why(&firewall), None);
    // Nobody tells of these: the daemon looks.
    run(lab.router(), "tc qdisc add dev eth1 clsact");
    eventually("filters are seen", || why(&firewall).is_some());
    run(lab.router(), "tc qdisc del dev eth1 clsact");
    eventually("filters are gone", || why(&firewall).is_none());
    run(
        lab.router(),
        "nft add table netdev t; nft add chain netdev t c \
         '{ type filter hook egress device eth1 priority 0; }'",
    );
    eventually("a device's hook is seen", || {
        why(&firewall).is_some_and(|why| why.contains("egress of eth1"))
    });
}

#[test]
fn nobody_lets_first_packets_leave_when_the_daemon_is_dead() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("first-dead").expect("a lab");
    let mut firewall = Firewall::start(&lab, &["--on-exit", "keep"]);
    udp(&lab, ENDS, 4000).query(b"neighbour").expect("arrives");
    assert!(first_leaves(&firewall, &udp(&lab, ENDS, 4001)));
    firewall.end(Signal::KILL);
    let mut port = 4002;
    eventually("its word has ended", || {
        port += 1;
        !first_leaves(&firewall, &udp(&lab, ENDS, port))
    });
    run(lab.router(), MASQUERADE);
    translated(&lab, &firewall, 4002);
}

/// The first packet of a flow from `port` arrives, and not as the client's; so do the next and an answer.
fn translated(lab: &Lab, firewall: &Firewall<'_>, port: u16) {
    let talk = udp(lab, ENDS, port);
    let before = counted(firewall, "fasttracked");
    for _ in 0..2 {
        let from = talk.seen_from(b"query").expect("arrives");
        assert_eq!(from.ip(), ROUTER_ETH1_V4);
        talk.answer_to(from, b"answer").expect("arrives");
    }
    assert_eq!(counted(firewall, "fasttracked"), before);
}

#[test]
fn a_flow_of_which_one_way_is_straight_is_called_offloaded() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("first-one-way").expect("a lab");
    // The router's end takes no frames from XDP then: what goes to the client is the kernel's.
    run(lab.client(), "ethtool -K eth0 gro off");
    let firewall = Firewall::start(&lab, &[]);
    udp(&lab, ENDS, 4000).query(b"neighbour").expect("arrives");
    let talk = udp(&lab, ENDS, 4001);
    assert!(first_leaves(&firewall, &talk));
    let before = counted(&firewall, "fasttracked");
    talk.answer(b"answer").expect("arrives");
    assert_eq!(counted(&firewall, "fasttracked"), before);
    assert!(first_leaves(&firewall, &talk), "the second does as well");
    let offloaded = firewall.list(&["-u", "OFFLOAD", "--sport", "4001", "-p", "udp"]);
    assert_eq!(offloaded.len(), 1);
}

#[test]
fn a_flood_of_rule_changes_does_not_silence_the_daemon() {
    /// The daemon's word ends within these seconds.
    const LEASE: Duration = Duration::from_secs(4);
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("first-flood").expect("a lab");
    let firewall = Firewall::start(&lab, &[]);
    udp(&lab, ENDS, 4000).query(b"neighbour").expect("arrives");
    // A set of no chain: nothing is hooked.
    run(
        lab.router(),
        "nft add table ip t && nft add set ip t s '{ type ipv4_addr; }'",
    );
    let text =
        "while sleep 0; do nft add element ip t s '{ 10.1.1.1 }'; nft flush set ip t s; done";
    let mut flood = lab.router().command("sh");
    let mut flood = flood.args(["-c", text]).spawn().expect("a shell");
    let begin = Instant::now();
    let mut left = Vec::new();
    for port in 5000.. {
        let leaves = first_leaves(&firewall, &udp(&lab, ENDS, port));
        if begin.elapsed() > LEASE {
            left.push(leaves);
        }
        if left.len() == 20 {
            break;
        }
    }
    flood.kill().expect("a signal");
    flood.wait().expect("its end");
    // One in five seconds goes by way of the kernel, which looks at the neighbour.
    assert!(left.iter().filter(|left| **left).count() > 15, "{left:?}");
}
