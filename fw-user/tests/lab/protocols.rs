//! Protocols other than TCP, UDP and ICMP: one packet or two of each, and both listings beside each other.

use std::time::Instant;

use etherparse::{IpNumber, PacketBuilder};
use xtask::lab::{Host, Lab, root_or_skip};
use xtask::sys::packet::PacketSocket;
use xtask::traffic::PATIENCE;

use crate::firewall::{Firewall, run};
use crate::frames::mac;
use crate::oracle::{self, assert_same};

/// Protocol number, payload from the client, and from the server if it answers.
type Exchange = (u8, &'static [u8], Option<&'static [u8]>);

const PROTOCOLS: [Exchange; 16] = [
    (136, &UDPLITE, None),
    (136, &UDPLITE_BACK_AND_FORTH, Some(&UDPLITE_BACK)),
    (
        50,
        &[0, 0, 0, 1, 0, 0, 0, 1],
        Some(&[0, 0, 0, 2, 0, 0, 0, 1]),
    ),
    (2, &[0x16, 0, 0, 0, 224, 0, 0, 9], None),
    (89, &[2, 1, 0, 24], Some(&[2, 1, 0, 24])),
    (
        47,
        &[0x20, 0, 8, 0, 0, 0, 0, 42],
        Some(&[0x20, 0, 8, 0, 0, 0, 0, 43]),
    ),
    (47, &[0x30, 1, 0x88, 0x0b, 0, 0, 0x12, 0x34], None),
    (4, &[0x45], None),
    (33, &[0; 16], None),
    (41, &[0x60], Some(&[0x60])),
    (103, &[0x20, 0, 0, 0], None),
    (108, &[0; 8], None),
    (112, &[0x31, 1, 100, 1], None),
    (115, &[0; 8], Some(&[0; 8])),
    (253, &[], None),
    (132, &SCTP_INIT, Some(&SCTP_INIT_ACK)),
];

/// Ports 1000 and 2000; nobody looks at the checksum.
const UDPLITE: [u8; 12] = [0x03, 0xe8, 0x07, 0xd0, 0, 8, 1, 1, 1, 2, 3, 4];
const UDPLITE_BACK_AND_FORTH: [u8; 8] = [0x03, 0xe9, 0x07, 0xd0, 0, 8, 1, 1];
const UDPLITE_BACK: [u8; 8] = [0x07, 0xd0, 0x03, 0xe9, 0, 8, 1, 1];

const SCTP_INIT: [u8; 32] = [
    0x13, 0x88, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, // ports, tag 0
    1, 0, 0, 20, 0xaa, 0xaa, 0xaa, 0xaa, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1,
];
const SCTP_INIT_ACK: [u8; 32] = [
    0, 80, 0x13, 0x88, 0xaa, 0xaa, 0xaa, 0xaa, 0, 0, 0, 0, // ports, A's tag
    2, 0, 0, 20, 0xbb, 0xbb, 0xbb, 0xbb, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1,
];

/// AH before UDP: in IPv4 a protocol of its own, in IPv6 a header on the way to UDP.
const AH: [u8; 36] = [
    17, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // AH
    0x0f, 0xa0, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4, // UDP without a checksum
];

#[test]
fn every_protocol_is_listed_as_conntrack_lists_it() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("protocols").expect("a lab");
    oracle::enable(&lab);
    // An association that is not answered yet is kept for three seconds: too short to be listed in peace.
    let settings = [
        "net.netfilter.nf_conntrack_checksum=0",
        "net.netfilter.nf_conntrack_sctp_timeout_cookie_wait=60",
    ];
    let mut args = oracle::BESIDE.to_vec();
    for setting in settings {
        run(lab.router(), &format!("sysctl -qw {setting}"));
        args.extend(["--sysctl", setting]);
    }
    let firewall = Firewall::start(&lab, &args);
    for v6 in [false, true] {
        for (number, there, back) in PROTOCOLS {
            send(lab.client(), &frame(&lab, true, v6, number, there));
            if let Some(back) = back {
                send(lab.server(), &frame(&lab, false, v6, number, back));
            }
        }
        send(lab.client(), &frame(&lab, true, v6, 51, &AH));
        let (family, flows) = (if v6 { "-f ipv6" } else { "-f ipv4" }, PROTOCOLS.len() + 1);
        wait_for(&lab, family, flows);
        let lines = assert_same(&lab, &firewall, family);
        assert_eq!(lines.len(), flows, "{lines:#?}");
        let count = |word: &str| lines.iter().filter(|line| line.contains(word)).count();
        assert_eq!(count("sctp     132 "), 1);
        assert_eq!(count(" COOKIE_WAIT "), 1);
        assert_eq!(count("srckey=0x0 dstkey=0x1234 "), 1);
        assert_eq!(count("gre      47 "), 2);
        assert_eq!(count("udplite  136 "), 2);
        assert_eq!(count("unknown  89 "), 1);
    }
}

/// Until the last packet has got through the kernel, or nothing more can be hoped for.
fn wait_for(lab: &Lab, family: &str, flows: usize) {
    let end = Instant::now() + PATIENCE;
    while oracle::list(lab, family).len() < flows && Instant::now() < end {
        std::thread::yield_now();
    }
}

/// A packet of protocol `number` from client to server (`there`) or back.
fn frame(lab: &Lab, there: bool, v6: bool, number: u8, payload: &[u8]) -> Vec<u8> {
    let (host, port) = if there {
        (lab.client(), "eth0")
    } else {
        (lab.server(), "eth1")
    };
    let ethernet = PacketBuilder::ethernet2(mac(host, "eth0"), mac(lab.router(), port));
    let ip = if v6 {
        let at = |net| std::net::Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, 2).octets();
        let (src, dst) = if there { (1, 2) } else { (2, 1) };
        ethernet.ipv6(at(src), at(dst), 64)
    } else {
        let (client, server) = ([192, 168, 1, 2], [10, 0, 0, 2]);
        let (src, dst) = if there {
            (client, server)
        } else {
            (server, client)
        };
        ethernet.ipv4(src, dst, 64)
    };
    let mut frame = Vec::new();
    ip.write(&mut frame, IpNumber(number), payload)
        .expect("writing to a vector");
    frame
}

fn send(host: &Host, frame: &[u8]) {
    let socket = host
        .enter(|| PacketSocket::open("eth0"))
        .expect("in the host's namespace");
    socket
        .expect("a packet socket")
        .send(frame)
        .expect("sending");
}
