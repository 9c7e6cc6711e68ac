//! Reverse-path filter and `fib … type` with real packets, honest and forged: what nft does in the router's
//! kernel, and what the daemon does with the same file.

use std::net::{IpAddr, Ipv6Addr, UdpSocket};

use etherparse::PacketBuilder;
use xtask::lab::{Host, Lab, root_or_skip};
use xtask::traffic::{PATIENCE, uninterrupted};

use crate::firewall::{Firewall, run};
use crate::frames::{mac, send};

/// Only datagrams: what the hosts say of themselves meanwhile is not counted.
const RULES: &str = "\
table inet fw {
	chain reverse {
		type filter hook prerouting priority raw; policy accept;
		meta l4proto udp fib saddr . iif oif missing counter drop
	}

	chain input {
		type filter hook input priority filter; policy accept;
		udp dport 53 fib daddr . iif type local counter
		udp dport 53 fib daddr type local counter accept
		udp dport 53 fib daddr type { broadcast, multicast } counter drop
		udp dport 53 counter drop
	}

	chain forward {
		type filter hook forward priority filter; policy drop;
		udp dport 53 fib daddr . oif type local counter accept
		udp dport 53 fib saddr . oif type != unicast counter accept
		udp dport 53 fib daddr . oif type unicast counter accept
		counter
	}

	chain output {
		type filter hook output priority filter; policy accept;
		udp dport 53 fib saddr . oif type local counter
		udp dport 53 fib saddr . oif type unicast counter
		udp dport 53 fib saddr type local counter
	}
}
";

/// From whom to whom, in the order in which they are sent: who they are, and whether they arrive.
const PACKETS: [(&str, &str, &str, bool); 16] = [
    ("through", "192.168.1.2", "10.0.0.2", true),
    ("to the router", "192.168.1.2", "192.168.1.1", true),
    ("to its other address", "192.168.1.2", "10.0.0.1", true),
    ("of the other side", "10.0.0.77", "10.0.0.2", false),
    (
        "of the other side, to the router",
        "10.0.0.77",
        "10.0.0.1",
        false,
    ),
    ("of nowhere", "198.51.100.7", "10.0.0.2", false),
    ("of the router itself", "10.0.0.1", "10.0.0.2", false),
    ("to all", "192.168.1.2", "192.168.1.255", false),
    ("through", "2001:db8:1::2", "2001:db8:2::2", true),
    ("to the router", "2001:db8:1::2", "2001:db8:1::1", true),
    (
        "to its other address",
        "2001:db8:1::2",
        "2001:db8:2::1",
        true,
    ),
    (
        "of the other side",
        "2001:db8:2::77",
        "2001:db8:2::2",
        false,
    ),
    ("of nowhere", "2001:db8:9::1", "2001:db8:2::2", false),
    (
        "of the router itself",
        "2001:db8:2::1",
        "2001:db8:2::2",
        false,
    ),
    (
        "the last one through",
        "2001:db8:1::3",
        "2001:db8:2::2",
        true,
    ),
    ("the last one", "2001:db8:1::3", "2001:db8:1::1", true),
];

fn frame(lab: &Lab, (what, src, dst, _): (&str, &str, &str, bool)) -> Vec<u8> {
    let ethernet = PacketBuilder::ethernet2(mac(lab.client(), "eth0"), mac(lab.router(), "eth0"));
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    let ip = match (address(src), address(dst)) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => ethernet.ipv4(src.octets(), dst.octets(), 64),
        (IpAddr::V6(src), IpAddr::V6(dst)) => ethernet.ipv6(src.octets(), dst.octets(), 64),
        _ => panic!("of one family"),
    };
    let mut frame = Vec::new();
    let datagram = ip.udp(4000, 53);
    datagram
        .write(&mut frame, what.as_bytes())
        .expect("writing to a vector");
    frame
}

/// A socket that takes whatever comes to a host's port 53, of either family.
fn open(host: &Host) -> UdpSocket {
    let socket = host.enter(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 53)));
    let socket = socket.expect("in the host").expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

/// What came until the last one.
fn received(socket: &UdpSocket) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let mut buffer = [0; 64];
        let received = uninterrupted(|| socket.recv(&mut buffer));
        let len = received.expect("the last one arrives");
        let what = String::from_utf8_lossy(&buffer[..len]).into_owned();
        seen.push(what);
        if seen
            .last()
            .is_some_and(|what| what.starts_with("the last one"))
        {
            return seen;
        }
    }
}

/// What the router sends itself, to the server: from its address on that side, and from that on the other.
const OWN: [(&str, &str); 4] = [
    ("10.0.0.1", "10.0.0.2"),
    ("192.168.1.1", "10.0.0.2"),
    ("2001:db8:2::1", "2001:db8:2::2"),
    ("2001:db8:1::1", "2001:db8:2::2"),
];

fn send_own(router: &Host) {
    for (from, to) in OWN {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let sent = router.enter(|| {
            UdpSocket::bind((address(from), 0))?.send_to(from.as_bytes(), (address(to), 53))
        });
        sent.expect("in the host").expect("sending");
    }
}

/// Sends all; what came to the server and to the router.
fn arrivals(lab: &Lab) -> [Vec<String>; 2] {
    let sockets = [open(lab.server()), open(lab.router())];
    send_own(lab.router());
    for packet in PACKETS {
        send(lab, &frame(lab, packet));
    }
    sockets.each_ref().map(received)
}

#[test]
fn forged_sources_are_dropped_as_nft_drops_them() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("reverse").expect("a lab");
    let router = lab.router();
    // Nothing has to wait for the server's hardware address.
    for address in ["10.0.0.2", "2001:db8:2::2"] {
        let known = format!("ip neigh replace {address} lladdr 02:00:00:00:02:02 dev eth1");
        run(router, &known);
    }
    let path = lab.run_dir().join("reverse.nft");
    let path = path.to_str().expect("UTF-8");
    std::fs::write(path, RULES).expect("a file");

    run(router, &format!("nft -f {path}"));
    let theirs = arrivals(&lab);
    let counted = run(router, "nft list ruleset && nft flush ruleset");

    let firewall = Firewall::start(&lab, &[]);
    firewall.text(&["rules", "apply", path]);
    let ours = arrivals(&lab);
    assert_eq!(firewall.text(&["rules", "list"]), counted);
    assert_eq!(ours, theirs);
    let honest = PACKETS.iter().filter(|(.., arrives)| *arrives).count();
    let arrived: usize = ours.iter().map(Vec::len).sum();
    assert_eq!(arrived, honest + OWN.len(), "{ours:?}");
    for (seen, count) in [
        ("fib saddr . iif oif missing", 7),
        ("fib saddr . oif type local", 2),
        ("fib saddr . oif type unicast", 2),
    ] {
        let line = format!("{seen} counter packets {count} bytes");
        assert!(counted.contains(&line), "{line}:\n{counted}");
    }
    // What is dropped, and why, is told.
    let stats = firewall.text(&["stats"]);
    assert!(stats.contains(" policy="), "{stats}");
}
