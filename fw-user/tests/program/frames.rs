//! Frames for tests, built by `etherparse`.

use std::net::IpAddr;

use etherparse::{Ethernet2Header, IpHeaders, PacketBuilder, PacketBuilderStep};

/// Hardware address of the sender, and of the router.
pub(crate) const SENDER: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const ROUTER: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// One end of a conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) addr: IpAddr,
    pub(crate) port: u16,
}

/// Address and port from text such as `192.168.1.2:40000` or `[2001:db8::1]:53`.
pub(crate) fn end(text: &str) -> End {
    let socket: std::net::SocketAddr = text.parse().expect("ADDR:PORT");
    End {
        addr: socket.ip(),
        port: socket.port(),
    }
}

/// Ethernet and IP headers from `src` to `dst`.
pub(crate) fn ip(src: IpAddr, dst: IpAddr) -> PacketBuilderStep<IpHeaders> {
    let ethernet: PacketBuilderStep<Ethernet2Header> = PacketBuilder::ethernet2(SENDER, ROUTER);
    match (src, dst) {
        (IpAddr::V4(s), IpAddr::V4(d)) => ethernet.ipv4(s.octets(), d.octets(), 64),
        (IpAddr::V6(s), IpAddr::V6(d)) => ethernet.ipv6(s.octets(), d.octets(), 64),
        _ => panic!("address families differ: {src} {dst}"),
    }
}

/// A TCP segment's fields that tests vary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    /// Letters of `S`, `A`, `F`, `R`, `P`, `U`.
    pub(crate) flags: &'a str,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) window: u16,
    pub(crate) payload: &'a [u8],
}

pub(crate) fn tcp(src: End, dst: End, segment: &Segment<'_>) -> Vec<u8> {
    let mut step = ip(src.addr, dst.addr).tcp(src.port, dst.port, segment.seq, segment.window);
    for flag in segment.flags.chars() {
        step = match flag {
            'S' => step.syn(),
            'A' => step.ack(segment.ack),
            'F' => step.fin(),
            'R' => step.rst(),
            'P' => step.psh(),
            'U' => step.urg(0),
            other => panic!("no TCP flag {other}"),
        };
    }
    written(|out| step.write(out, segment.payload))
}

pub(crate) fn udp(src: End, dst: End, payload: &[u8]) -> Vec<u8> {
    written(|out| {
        ip(src.addr, dst.addr)
            .udp(src.port, dst.port)
            .write(out, payload)
    })
}

/// An ICMP or ICMPv6 echo request or reply.
pub(crate) fn echo(src: IpAddr, dst: IpAddr, request: bool, id: u16) -> Vec<u8> {
    let step = ip(src, dst);
    written(|out| match (src.is_ipv4(), request) {
        (true, true) => step.icmpv4_echo_request(id, 1).write(out, b"ping"),
        (true, false) => step.icmpv4_echo_reply(id, 1).write(out, b"ping"),
        (false, true) => step.icmpv6_echo_request(id, 1).write(out, b"ping"),
        (false, false) => step.icmpv6_echo_reply(id, 1).write(out, b"ping"),
    })
}

fn written<E: std::fmt::Debug>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Vec<u8> {
    let mut frame = Vec::new();
    write(&mut frame).expect("writing to a vector");
    frame
}
