//! Zones: networks with the same addresses behind one router, beside nf_conntrack with `ct zone set`.

use etherparse::PacketBuilder;
use xtask::lab::{Host, Lab, root_or_skip};
use xtask::sys::packet::PacketSocket;

use crate::firewall::{Firewall, run};
use crate::frames::mac;
use crate::oracle;
use crate::watcher::eventually;

/// A second pair of links between the same hosts, without addresses: frames are sent by hand.
fn second_network(lab: &Lab) {
    let router = lab.router().netns();
    for (host, far, near) in [
        (lab.client(), "eth1", "eth2"),
        (lab.server(), "eth1", "eth3"),
    ] {
        let pair = format!("ip link add {far} type veth peer name {near} netns {router}");
        run(host, &format!("{pair} && ip link set {far} up"));
        run(lab.router(), &format!("ip link set {near} up"));
    }
}

/// A datagram between client and server from `host`'s interface to the router's `port`.
fn datagram(lab: &Lab, (host, from): (&Host, &str), port: &str, answer: bool) {
    let ethernet = PacketBuilder::ethernet2(mac(host, from), mac(lab.router(), port));
    let (client, server) = ([192, 168, 1, 2], [10, 0, 0, 2]);
    let (src, dst, ports) = if answer {
        (server, client, (53, 4000))
    } else {
        (client, server, (4000, 53))
    };
    let mut frame = Vec::new();
    ethernet
        .ipv4(src, dst, 64)
        .udp(ports.0, ports.1)
        .write(&mut frame, b"zone")
        .expect("writing to a vector");
    let socket = host
        .enter(|| PacketSocket::open(from))
        .expect("in the host");
    socket
        .expect("a packet socket")
        .send(&frame)
        .expect("sending");
}

#[test]
fn networks_with_the_same_addresses_do_not_mix() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("zones").expect("a lab");
    second_network(&lab);
    oracle::enable_with(
        &lab,
        "chain zones { type filter hook prerouting priority raw; \
         iifname { eth0, eth1 } ct zone set 1; iifname { eth2, eth3 } ct zone set 2; };",
    );
    let args = [
        "-i", "eth2", "-i", "eth3", "--zone", "eth0=1", "--zone", "eth1=1", "--zone", "eth2=2",
        "--zone", "eth3=2",
    ];
    let firewall = Firewall::start(&lab, &[oracle::BESIDE, &args[..]].concat());
    let (one, two) = ((lab.client(), "eth0"), (lab.client(), "eth1"));
    datagram(&lab, one, "eth0", false);
    datagram(&lab, two, "eth2", false);
    datagram(&lab, two, "eth2", false);
    // The answer in the second network is none in the first.
    datagram(&lab, (lab.server(), "eth1"), "eth3", true);
    eventually("both have seen all", || {
        let kernels = oracle::list(&lab, "-p udp");
        let ours = firewall.list(&["-p", "udp"]);
        [kernels, ours].iter().all(|lines| {
            let all = lines.join("\n");
            lines.len() == 2 && all.contains("packets=2") && all.matches("[UNREPLIED]").count() == 1
        })
    });
    let lines = oracle::assert_same(&lab, &firewall, "-p udp");
    assert_eq!(lines.len(), 2, "{lines:?}");
    for zone in ["1", "2"] {
        let lines = oracle::assert_same(&lab, &firewall, &format!("-w {zone}"));
        let [line] = &lines[..] else {
            panic!("one flow in zone {zone}: {lines:?}")
        };
        assert!(line.contains(&format!(" zone={zone} use=1")), "{line}");
        assert_eq!(line.contains("[UNREPLIED]"), zone == "1", "{line}");
    }
    // What is done to one network is not done to the other.
    firewall.text(&["update", "-w", "1", "-m", "7"]);
    firewall.text(&["delete", "-w", "2"]);
    let left = firewall.list(&["-p", "udp"]);
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].contains(" mark=7 zone=1 "), "{left:?}");
}
