//! One flow, read from the maps at one moment.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use fw_common::abi::{Flow, Key4, Key6, MOVED};
use fw_common::flow::{FlowKey, Tuple, tuple_of};
use fw_common::wire::{Family, proto};
use fw_common::{Dir, icmp};

use super::names::{has_ports, state_name};
use crate::clock::TickClock;

/// The map key of a flow of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// IPv4.
    V4(Key4),
    /// IPv6.
    V6(Key6),
}

impl From<Key4> for Key {
    fn from(key: Key4) -> Self {
        Self::V4(key)
    }
}

impl From<Key6> for Key {
    fn from(key: Key6) -> Self {
        Self::V6(key)
    }
}

impl Key {
    /// The key of the flow that packets with this tuple belong to, in either direction.
    #[must_use]
    pub fn of(family: Family, tuple: &Tuple, zone: u16) -> Self {
        match family {
            Family::V4 => Self::V4(Key4::canonical(tuple, zone).0),
            Family::V6 => Self::V6(Key6::canonical(tuple, zone).0),
        }
    }
}

/// A live flow.
#[derive(Clone, Debug)]
pub struct FlowEntry {
    /// Where it is in the maps.
    pub key: Key,
    /// Address family.
    pub family: Family,
    /// IP protocol number.
    pub proto: u8,
    /// Conntrack zone.
    pub zone: u16,
    /// State of the connection; `None` for protocols without states.
    pub state: Option<&'static str>,
    /// Bits of [`fw_common::status`].
    pub status: u32,
    /// `ct mark`.
    pub mark: u32,
    /// Constant for the flow's life.
    pub id: u32,
    /// Whole seconds until the flow expires.
    pub timeout: u64,
    /// Time since its first packet.
    pub age: Duration,
    /// The way its first packet went.
    pub original: Side,
    /// The way back.
    pub reply: Side,
}

/// One direction of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    /// Addresses and ports of packets in this direction.
    pub tuple: Tuple,
    /// Packets counted.
    pub packets: u64,
    /// Bytes counted (IP packets, without Ethernet headers).
    pub bytes: u64,
    /// Interface that they came in by; 0 for none yet, or the host itself.
    pub ifindex: u32,
}

/// Addresses of one direction, as types that print themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
}

/// What tells apart the flows between two addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Ports of TCP, UDP, UDP-Lite, SCTP, DCCP.
    Ports {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
    },
    /// An ICMP or ICMPv6 query.
    Query {
        /// Type of the packets in this direction.
        kind: u8,
        /// Code.
        code: u8,
        /// Identifier.
        id: u16,
    },
    /// GRE call numbers (0 unless PPTP).
    Keys {
        /// Key of the sender.
        src: u16,
        /// Key of the receiver.
        dst: u16,
    },
    /// Nothing: one flow for each pair of addresses.
    None,
}

impl FlowEntry {
    /// Reads an entry; `None` if it has expired by tick `now`, or was moved to the assured map.
    #[must_use]
    pub fn live<K>(key: &K, flow: &Flow, clock: &TickClock, now: u64) -> Option<Self>
    where
        K: FlowKey,
        Key: From<K>,
    {
        if flow.deadline <= now || flow.lock == MOVED {
            return None;
        }
        let side = |dir: Dir| {
            let leg = &flow.legs[dir.index()];
            Side {
                tuple: tuple_of(key, flow, dir),
                packets: leg.packets,
                bytes: leg.bytes,
                ifindex: leg.ifindex,
            }
        };
        let original = side(Dir::Original);
        let proto = original.tuple.proto;
        Some(Self {
            key: Key::from(*key),
            family: K::FAMILY,
            proto,
            zone: key.zone(),
            state: state_name(proto, flow.proto.state),
            status: flow.status,
            mark: flow.mark,
            id: flow.id,
            timeout: clock.seconds(now, flow.deadline),
            age: clock.elapsed(flow.start, now),
            original,
            reply: side(Dir::Reply),
        })
    }

    /// Whether all of these bits of [`fw_common::status`] are set.
    #[must_use]
    pub const fn has(&self, bits: u32) -> bool {
        self.status & bits == bits
    }

    /// Addresses of one side.
    #[must_use]
    pub fn endpoints(&self, side: &Side) -> Endpoints {
        Endpoints {
            src: address(self.family, &side.tuple.src),
            dst: address(self.family, &side.tuple.dst),
        }
    }

    /// Ports, or what stands in for them, of one side.
    #[must_use]
    pub fn service(&self, side: &Side) -> Service {
        let Tuple { sport, dport, .. } = side.tuple;
        match self.proto {
            p if has_ports(p) => Service::Ports { sport, dport },
            proto::ICMP | proto::ICMPV6 => query(self.family, &side.tuple),
            proto::GRE => Service::Keys {
                src: sport,
                dst: dport,
            },
            _ => Service::None,
        }
    }
}

/// See [`Tuple`] for where type, code and identifier are.
fn query(family: Family, tuple: &Tuple) -> Service {
    let (id, service) = if tuple.request {
        (tuple.sport, tuple.dport)
    } else {
        (tuple.dport, tuple.sport)
    };
    let [request, code] = service.to_be_bytes();
    let kind = match icmp::query(family, request) {
        Some(query) if !tuple.request => query.answer,
        _ => request,
    };
    Service::Query { kind, code, id }
}

fn address(family: Family, bytes: &[u8; 16]) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into(),
        Family::V6 => Ipv6Addr::from(*bytes).into(),
    }
}

#[cfg(test)]
pub(crate) mod fixtures {
    //! Flows for the tests of the formats.

    use fw_common::abi::{Clock, Config, Leg, ProtoState};
    use fw_common::status;

    use super::*;

    /// A clock whose tick 0 is now or later: ticks below are relative to it.
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
            timeouts: [0; fw_common::timeout::Timeout::COUNT],
            udp_stream_after: 500,
            assured_limit: 1000,
            hz: 250,
            rule_gen: 1,
            route_gen: 1,
            tcp_max_retrans: 3,
            tcp_loose: 1,
            tcp_be_liberal: 0,
            tcp_ignore_invalid_rst: 0,
            checksum: 1,
            accounting: 1,
            drop_invalid: 0,
            fasttrack: 1,
            clock: Clock::default(),
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
}

#[cfg(test)]
mod tests {
    use super::fixtures::*;
    use super::*;

    fn both(entry: &FlowEntry) -> [Service; 2] {
        [entry.service(&entry.original), entry.service(&entry.reply)]
    }

    #[test]
    fn directions_survive_the_canonical_key() {
        // Once with the originator as the lower endpoint, once as the higher.
        for (src, dst) in [("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.1")] {
            let entry = Spec { src, dst, ..ssh() }.build();
            let ends = entry.endpoints(&entry.original);
            assert_eq!(
                (ends.src.to_string(), ends.dst.to_string()),
                (src.into(), dst.into())
            );
            let (client, server) = (41102, 22);
            let ports = |sport, dport| Service::Ports { sport, dport };
            assert_eq!(both(&entry), [ports(client, server), ports(server, client)]);
            assert_eq!((entry.original.packets, entry.reply.packets), (7, 6));
        }
    }

    #[test]
    fn queries_show_request_and_answer() {
        for (src, dst) in [("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.1")] {
            let entry = Spec { src, dst, ..ping() }.build();
            let query = |kind| Service::Query {
                kind,
                code: 0,
                id: 42,
            };
            assert_eq!(both(&entry), [query(8), query(0)], "{src} > {dst}");
        }
    }

    #[test]
    fn dead_entries_are_not_shown() {
        let key = Key4::default();
        let mut flow = Flow {
            deadline: 500,
            ..Flow::default()
        };
        assert!(FlowEntry::live(&key, &flow, &clock(), 499).is_some());
        assert!(FlowEntry::live(&key, &flow, &clock(), 500).is_none());
        flow.lock = MOVED;
        assert!(FlowEntry::live(&key, &flow, &clock(), 499).is_none());
    }

    #[test]
    fn timeout_is_rounded_down() {
        assert_eq!(Spec::default().build().timeout, 20);
    }
}
