//! Flows for the tests of the formats.

use std::net::IpAddr;

use fw_common::abi::{Clock, Config, Flow, Key4, Key6, Leg, ProtoState};
use fw_common::flow::{FlowKey, Tuple};
use fw_common::status;
use fw_common::wire::{Family, proto};

use super::{FlowEntry, Key};
use crate::clock::TickClock;

/// 250 ticks a second.
pub(crate) fn clock() -> TickClock {
    let mut config = config();
    config.clock = Clock {
        tick_ns: 4_000_000,
        offset: 0,
    };
    TickClock::new(&config).unwrap()
}

fn config() -> Config {
    Config {
        udp_stream_after: 500,
        assured_limit: 1000,
        hz: 250,
        rule_gen: 1,
        route_gen: 1,
        tcp_max_retrans: 3,
        tcp_loose: 1,
        checksum: 1,
        accounting: 1,
        fasttrack: 1,
        ..Config::ZERO
    }
}

/// What a test says of a flow; `build` makes an entry of it through the maps' own types.
#[derive(Clone)]
pub(crate) struct Spec {
    pub(crate) src: &'static str,
    pub(crate) dst: &'static str,
    pub(crate) sport: u16,
    pub(crate) dport: u16,
    pub(crate) proto: u8,
    pub(crate) state: u8,
    pub(crate) status: u32,
    pub(crate) timeout: u64,
    pub(crate) counted: [(u64, u64); 2],
    pub(crate) mark: u32,
    pub(crate) zone: u16,
    pub(crate) id: u32,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            src: "192.168.1.2",
            dst: "192.168.1.5",
            sport: 137,
            dport: 1025,
            proto: proto::UDP,
            state: 0,
            status: status::CONFIRMED,
            timeout: 20,
            counted: [(1, 29), (0, 0)],
            mark: 0,
            zone: 0,
            id: 1874,
        }
    }
}

pub(crate) const ANSWERED: u32 = status::CONFIRMED | status::SEEN_REPLY;
pub(crate) const ASSURED: u32 = ANSWERED | status::ASSURED;

/// The connection of the specification's example.
pub(crate) fn ssh() -> Spec {
    Spec {
        src: "172.16.255.130",
        dst: "172.16.255.131",
        sport: 41102,
        dport: 22,
        proto: proto::TCP,
        state: fw_common::tcp::State::Established as u8,
        status: ASSURED,
        timeout: 431_984,
        counted: [(7, 702), (6, 811)],
        ..Spec::default()
    }
}

/// The ping of the specification's example.
pub(crate) fn ping() -> Spec {
    Spec {
        dst: "10.0.0.2",
        sport: 42,
        dport: 8 << 8,
        proto: proto::ICMP,
        status: ANSWERED,
        timeout: 29,
        counted: [(1, 84), (1, 84)],
        ..Spec::default()
    }
}

impl Spec {
    pub(crate) fn build(&self) -> FlowEntry {
        let src: IpAddr = self.src.parse().unwrap();
        let family = if src.is_ipv4() {
            Family::V4
        } else {
            Family::V6
        };
        let tuple = Tuple {
            src: bytes(src),
            dst: bytes(self.dst.parse().unwrap()),
            sport: self.sport,
            dport: self.dport,
            proto: self.proto,
            request: matches!(self.proto, proto::ICMP | proto::ICMPV6),
        };
        match family {
            Family::V4 => self.entry(Key4::canonical(&tuple, self.zone)),
            Family::V6 => self.entry(Key6::canonical(&tuple, self.zone)),
        }
    }

    fn entry<K: FlowKey>(&self, (key, from_hi): (K, bool)) -> FlowEntry
    where
        Key: From<K>,
    {
        let now = 100_000;
        let leg = |(packets, bytes)| Leg {
            packets,
            bytes,
            ..Leg::default()
        };
        let flow = Flow {
            status: self.status,
            deadline: now + self.timeout * 250 + 100,
            start: now - 7 * 250,
            mark: self.mark,
            id: self.id,
            proto: ProtoState {
                state: self.state,
                ..ProtoState::default()
            },
            origin: u8::from(from_hi),
            legs: self.counted.map(leg),
            ..Flow::default()
        };
        FlowEntry::live(&key, &flow, &clock(), now).unwrap()
    }
}

fn bytes(addr: IpAddr) -> [u8; 16] {
    match addr {
        IpAddr::V6(addr) => addr.octets(),
        IpAddr::V4(addr) => {
            let mut wide = [0; 16];
            wide[..4].copy_from_slice(&addr.octets());
            wide
        }
    }
}
