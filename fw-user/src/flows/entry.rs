//! One flow, read from the maps at one moment.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fw_common::abi::{Flow, Key4, Key6, Leg, MOVED};
use fw_common::flow::{FlowKey, Tuple, tuple_of};
use fw_common::wire::{Family, proto};
use fw_common::{Dir, icmp};

use super::names::{has_ports, state_name};
use super::rule_names::Ruled;
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

    /// The key in the form that both families share, as events and edits have it.
    #[must_use]
    pub const fn wide(&self) -> Key6 {
        match self {
            Self::V4(key) => key.wide(),
            Self::V6(key) => *key,
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
    /// What let it in; `None` if no rule was asked.
    pub ruled: Option<Ruled>,
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
        Some(Self::at(key, flow, clock, now))
    }

    /// An entry as it was at tick `now`, alive or not.
    #[must_use]
    pub fn at<K>(key: &K, flow: &Flow, clock: &TickClock, now: u64) -> Self
    where
        K: FlowKey,
        Key: From<K>,
    {
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
        Self {
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
            ruled: ruled(&flow.legs[0]),
            original,
            reply: side(Dir::Reply),
        }
    }

    /// Whether all of these bits of [`fw_common::status`] are set.
    #[must_use]
    pub const fn has(&self, bits: u32) -> bool {
        self.status & bits == bits
    }

    /// `delta-time`, as libnetfilter_conntrack has it: not the flow's age, but how many seconds the clock showed later.
    pub(super) fn seconds_until(&self, end: SystemTime) -> u64 {
        let shown = |time: SystemTime| {
            let since_epoch = time.duration_since(UNIX_EPOCH);
            since_epoch.unwrap_or_default().as_secs()
        };
        shown(end).saturating_sub(shown(end - self.age))
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

fn ruled(leg: &Leg) -> Option<Ruled> {
    Some(Ruled {
        by: leg.ruled_by.checked_sub(1)?,
        generation: leg.ruled_in,
    })
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
mod tests {
    use super::super::fixtures::*;
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
