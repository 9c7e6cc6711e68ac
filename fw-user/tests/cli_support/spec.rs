//! Flows as a test describes them. Also the unit tests of the formats use this file.

use fw_common::abi::{Flow, Leg, ProtoState};
use fw_common::flow::Tuple;
use fw_common::status;
use fw_common::tcp::State;
use fw_common::wire::proto;

/// Ticks a second.
pub(crate) const HZ: u64 = 250;

/// The tick at which tests look at flows.
pub(crate) const NOW: u64 = 1_000_000;

/// What a test says of a flow.
#[derive(Clone)]
pub(crate) struct Spec {
    pub(crate) src: &'static str,
    pub(crate) dst: &'static str,
    pub(crate) sport: u16,
    pub(crate) dport: u16,
    pub(crate) proto: u8,
    /// Of the protocol: [`State`] as a number for TCP.
    pub(crate) state: u8,
    pub(crate) status: u32,
    /// Seconds left.
    pub(crate) timeout: u64,
    /// Seconds since it began.
    pub(crate) age: u64,
    /// Packets and bytes of both directions.
    pub(crate) counted: [(u64, u64); 2],
    /// Interfaces of both directions.
    pub(crate) ifindex: [u32; 2],
    pub(crate) zone: u16,
    pub(crate) mark: u32,
    pub(crate) id: u32,
    pub(crate) lock: u32,
}

pub(crate) const NEW: u32 = status::CONFIRMED;
pub(crate) const ANSWERED: u32 = NEW | status::SEEN_REPLY;
pub(crate) const ASSURED: u32 = ANSWERED | status::ASSURED;

impl Default for Spec {
    /// [`netbios`].
    fn default() -> Self {
        netbios()
    }
}

/// The TCP connection of the published example.
pub(crate) const fn ssh() -> Spec {
    Spec {
        src: "172.16.255.130",
        dst: "172.16.255.131",
        sport: 41102,
        dport: 22,
        proto: proto::TCP,
        state: State::Established as u8,
        status: ASSURED,
        timeout: 431_984,
        counted: [(7, 702), (6, 811)],
        ..netbios()
    }
}

/// The UDP packet of the published example.
pub(crate) const fn netbios() -> Spec {
    Spec {
        src: "192.168.1.2",
        dst: "192.168.1.5",
        sport: 137,
        dport: 1025,
        proto: proto::UDP,
        state: 0,
        status: NEW,
        timeout: 20,
        age: 7,
        counted: [(1, 78), (0, 0)],
        ifindex: [0, 0],
        zone: 0,
        mark: 0,
        id: 1874,
        lock: 0,
    }
}

/// The ping of the published example.
pub(crate) const fn ping() -> Spec {
    Spec {
        dst: "10.0.0.2",
        sport: 42,
        dport: 8 << 8,
        proto: proto::ICMP,
        status: ANSWERED,
        timeout: 29,
        counted: [(1, 84), (1, 84)],
        ..netbios()
    }
}

/// A DNS query over IPv6.
pub(crate) const fn dns6() -> Spec {
    Spec {
        src: "fd91:1::2",
        dst: "fd91:2::2",
        sport: 40001,
        dport: 53,
        counted: [(1, 49), (0, 0)],
        ..netbios()
    }
}

impl Spec {
    pub(crate) fn v6(&self) -> bool {
        self.src.contains(':')
    }

    pub(crate) fn tuple(&self) -> Tuple {
        Tuple {
            src: wide(self.src),
            dst: wide(self.dst),
            sport: self.sport,
            dport: self.dport,
            proto: self.proto,
            request: matches!(self.proto, proto::ICMP | proto::ICMPV6),
        }
    }

    pub(crate) fn flow(&self, from_hi: bool) -> Flow {
        let leg = |i: usize| Leg {
            packets: self.counted[i].0,
            bytes: self.counted[i].1,
            ifindex: self.ifindex[i],
            ..Leg::default()
        };
        Flow {
            lock: self.lock,
            status: self.status,
            deadline: NOW + self.timeout * HZ,
            start: NOW - self.age * HZ,
            mark: self.mark,
            id: self.id,
            proto: ProtoState {
                state: self.state,
                ..ProtoState::default()
            },
            origin: u8::from(from_hi),
            legs: [leg(0), leg(1)],
            ..Flow::default()
        }
    }
}

fn wide(address: &str) -> [u8; 16] {
    let mut wide = [0; 16];
    match address.parse().expect("address") {
        std::net::IpAddr::V4(v4) => wide[..4].copy_from_slice(&v4.octets()),
        std::net::IpAddr::V6(v6) => wide = v6.octets(),
    }
    wide
}

/// The line of [`ssh`].
pub(crate) const SSH: &str = "tcp      6 431984 ESTABLISHED src=172.16.255.130 dst=172.16.255.131 sport=41102 \
     dport=22 packets=7 bytes=702 src=172.16.255.131 dst=172.16.255.130 sport=22 dport=41102 \
     packets=6 bytes=811 [ASSURED] mark=0 use=1";
/// The line of [`netbios`].
pub(crate) const NETBIOS: &str = "udp      17 20 src=192.168.1.2 dst=192.168.1.5 sport=137 dport=1025 packets=1 \
     bytes=78 [UNREPLIED] src=192.168.1.5 dst=192.168.1.2 sport=1025 dport=137 packets=0 bytes=0 \
     mark=0 use=1";
/// The line of [`ping`].
pub(crate) const PING: &str = "icmp     1 29 src=192.168.1.2 dst=10.0.0.2 type=8 code=0 id=42 packets=1 bytes=84 \
     src=10.0.0.2 dst=192.168.1.2 type=0 code=0 id=42 packets=1 bytes=84 mark=0 use=1";
/// The line of [`dns6`].
pub(crate) const DNS6: &str = "udp      17 20 src=fd91:1::2 dst=fd91:2::2 sport=40001 dport=53 packets=1 bytes=49 \
     [UNREPLIED] src=fd91:2::2 dst=fd91:1::2 sport=53 dport=40001 packets=0 bytes=0 mark=0 use=1";
