//! Frames made by hand, for what no socket would send.

use etherparse::PacketBuilder;
use xtask::lab::{Host, Lab};
use xtask::sys::packet::PacketSocket;

use crate::firewall::run;

/// Hardware address of an interface of `host`.
pub(crate) fn mac(host: &Host, interface: &str) -> [u8; 6] {
    let shown = run(host, &format!("ip -br link show dev {interface}"));
    let text = shown.split_whitespace().nth(2).expect("an address");
    let bytes: Vec<u8> = text
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16).expect("hex"))
        .collect();
    bytes.try_into().expect("six bytes")
}

/// Sends `frame` out of the client's interface, to the router.
pub(crate) fn send(lab: &Lab, frame: &[u8]) {
    let socket = lab
        .client()
        .enter(|| PacketSocket::open("eth0"))
        .expect("in the client");
    socket
        .expect("a packet socket")
        .send(frame)
        .expect("sending");
}

/// A UDP datagram from client to server inside VLAN tags `ids`, outermost first (one or two).
pub(crate) fn tagged_udp(lab: &Lab, ids: &[u16], ports: (u16, u16), v6: bool) -> Vec<u8> {
    let (from, to) = (mac(lab.client(), "eth0"), mac(lab.router(), "eth0"));
    let ethernet = PacketBuilder::ethernet2(from, to);
    let id = |n: u16| etherparse::VlanId::try_new(n).expect("a VLAN id");
    let tagged = match *ids {
        [one] => ethernet.single_vlan(id(one)),
        [outer, inner] => ethernet.double_vlan(id(outer), id(inner)),
        _ => panic!("one or two tags"),
    };
    let ip = if v6 {
        let address = |net, host| std::net::Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, host);
        tagged.ipv6(address(1, 2).octets(), address(2, 2).octets(), 64)
    } else {
        tagged.ipv4([192, 168, 1, 2], [10, 0, 0, 2], 64)
    };
    let mut frame = Vec::new();
    ip.udp(ports.0, ports.1)
        .write(&mut frame, b"tagged")
        .expect("writing to a vector");
    frame
}

/// A burst of new flows, a datagram each, from the client to a neighbour of the server. How many have got to
/// the router: the wire itself loses what comes quicker than a busy CPU can take it.
pub(crate) fn burst(lab: &Lab, flows: u16) -> u64 {
    let lost = || {
        let shown = run(lab.client(), "ip -j -s link show dev eth0");
        let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        shown[0]["stats64"]["tx"]["dropped"]
            .as_u64()
            .expect("a number")
    };
    let before = lost();
    let (from, to) = (mac(lab.client(), "eth0"), mac(lab.router(), "eth0"));
    let socket = lab.client().enter(|| PacketSocket::open("eth0"));
    let socket = socket.expect("in the client").expect("a packet socket");
    for port in 0..flows {
        let packet = PacketBuilder::ethernet2(from, to).ipv4([192, 168, 1, 2], [10, 0, 0, 99], 64);
        let mut frame = Vec::new();
        let packet = packet.udp(1024 + port, 9);
        packet.write(&mut frame, b"?").expect("a vector");
        socket.send(&frame).expect("sending");
    }
    u64::from(flows) - (lost() - before)
}
