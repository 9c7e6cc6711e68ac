//! What can be matched: fields of the packet, of its flow, and of its surroundings.

use super::{DataType, ExtField, ExtHeader, Header, Order, TcpOption, TcpOptionField};
use DataType as T;

/// A field. What it is worth for a packet without it (a port of an ICMP packet): the rule ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// At a fixed place of a header.
    Header(Header),
    /// About the packet.
    Meta(Meta),
    /// About its flow. With a direction: of that direction; without: of the packet's flow as such.
    Ct(CtField, Option<Direction>),
    /// A field of a TCP option; without the option, the rule ends.
    TcpOption(TcpOption, TcpOptionField),
    /// `tcp option … exists|missing`: 1 or 0.
    TcpOptionExists(TcpOption),
    /// A field of an IPv6 extension header; without the header, the rule ends.
    ExtHeader(ExtHeader, ExtField),
    /// `exthdr … exists|missing`: 1 or 0.
    ExtHeaderExists(ExtHeader),
    /// What the routing table says.
    Fib {
        /// What is looked up.
        key: FibKey,
        /// What of the answer.
        result: FibResult,
    },
}

impl Field {
    /// Its type.
    #[must_use]
    pub fn datatype(self) -> DataType {
        match self {
            Self::Header(header) => header.datatype(),
            Self::Meta(meta) => meta.datatype(),
            Self::Ct(field, _) => field.datatype(),
            Self::TcpOption(_, field) => field.datatype(),
            Self::ExtHeader(_, field) => field.datatype(),
            Self::TcpOptionExists(_) | Self::ExtHeaderExists(_) => T::Boolean,
            Self::Fib { result, .. } => result.datatype(),
        }
    }

    /// Width in bits: the type's, but for times, which fields have in different widths.
    #[must_use]
    pub fn bits(self) -> u16 {
        match self {
            Self::Ct(CtField::Expiration, _) => 32,
            other => other.datatype().bits(),
        }
    }

    /// Its byte order in nftables.
    #[must_use]
    pub fn order(self) -> Order {
        match self {
            Self::Header(_) | Self::TcpOption(..) | Self::ExtHeader(..) => Order::Network,
            Self::Meta(Meta::Protocol) => Order::Network,
            Self::Ct(CtField::IpSaddr | CtField::IpDaddr, _)
            | Self::Ct(CtField::Ip6Saddr | CtField::Ip6Daddr, _)
            | Self::Ct(CtField::ProtoSrc | CtField::ProtoDst, _) => Order::Network,
            _ => Order::Host,
        }
    }
}

/// About the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Meta {
    /// Index of the interface that it came in by; 0 in `output`.
    Iif,
    /// Name of that interface; empty in `output`.
    Iifname,
    /// ARPHRD_… of that interface.
    Iiftype,
    /// Group of that interface.
    Iifgroup,
    /// Index of the interface that it goes out by; none but in `forward` and `output`.
    Oif,
    /// Name of that interface.
    Oifname,
    /// ARPHRD_… of that interface.
    Oiftype,
    /// Group of that interface.
    Oifgroup,
    /// Bytes from the network header on.
    Length,
    /// Ethernet type of what follows the link header.
    Protocol,
    /// 2 for IPv4, 10 for IPv6.
    Nfproto,
    /// Protocol above IP, after IPv6's extension headers.
    L4proto,
    /// The mark.
    Mark,
    /// 0 to this host, 1 broadcast, 2 multicast, 3 to another host.
    Pkttype,
    /// Number of the CPU.
    Cpu,
    /// Nanoseconds since 1970.
    Time,
    /// Day of the week in UTC shifted by the kernel's `sys_tz`; Sunday is 0.
    Day,
    /// Second of the day; text in the ruleset is local time, the number is UTC.
    Hour,
}

impl Meta {
    /// All of them with nftables' words. Those that it prints without `meta` are in
    /// [`Meta::is_bare`].
    pub const NAMES: [(&'static str, Self); 18] = [
        ("iif", Self::Iif),
        ("iifname", Self::Iifname),
        ("iiftype", Self::Iiftype),
        ("iifgroup", Self::Iifgroup),
        ("oif", Self::Oif),
        ("oifname", Self::Oifname),
        ("oiftype", Self::Oiftype),
        ("oifgroup", Self::Oifgroup),
        ("length", Self::Length),
        ("protocol", Self::Protocol),
        ("nfproto", Self::Nfproto),
        ("l4proto", Self::L4proto),
        ("mark", Self::Mark),
        ("pkttype", Self::Pkttype),
        ("cpu", Self::Cpu),
        ("time", Self::Time),
        ("day", Self::Day),
        ("hour", Self::Hour),
    ];

    /// nftables' word.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, meta)| *meta == self);
        found.map_or("", |(name, _)| name)
    }

    /// Whether nftables prints it without `meta`.
    #[must_use]
    pub fn is_bare(self) -> bool {
        matches!(
            self,
            Self::Iif | Self::Iifname | Self::Iifgroup | Self::Oif | Self::Oifname | Self::Oifgroup
        )
    }

    /// Its type.
    #[must_use]
    pub fn datatype(self) -> DataType {
        match self {
            Self::Iif | Self::Oif => T::IfIndex,
            Self::Iifname | Self::Oifname => T::IfName,
            Self::Iiftype | Self::Oiftype => T::IfType,
            Self::Iifgroup | Self::Oifgroup => T::DevGroup,
            Self::Length | Self::Cpu => T::Integer(32),
            Self::Protocol => T::EtherType,
            Self::Nfproto => T::NfProto,
            Self::L4proto => T::InetProto,
            Self::Mark => T::Mark,
            Self::Pkttype => T::PktType,
            Self::Time => T::Date,
            Self::Day => T::Day,
            Self::Hour => T::Hour,
        }
    }
}

/// About the flow. A packet without one: only [`CtField::State`] has a value, the rule ends at others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CtField {
    /// One bit: invalid 1, established 2, related 4, new 8, untracked 64.
    State,
    /// The direction of the packet: original 0, reply 1.
    Direction,
    /// The kernel's `IPS_…` bits.
    Status,
    /// The flow's mark.
    Mark,
    /// Milliseconds until it expires.
    Expiration,
    /// Network protocol, as `meta nfproto`.
    L3proto,
    /// Protocol above IP.
    Protocol,
    /// Bytes of a direction, or of both.
    Bytes,
    /// Packets of a direction, or of both.
    Packets,
    /// Bytes a packet, of a direction, or of both.
    Avgpkt,
    /// Zone.
    Zone,
    /// A number that no other flow has.
    Id,
    /// IPv4 source address of a direction.
    IpSaddr,
    /// IPv4 destination address of a direction.
    IpDaddr,
    /// IPv6 source address of a direction.
    Ip6Saddr,
    /// IPv6 destination address of a direction.
    Ip6Daddr,
    /// Source port (or ICMP's identifier) of a direction.
    ProtoSrc,
    /// Destination port (or ICMP's type and code) of a direction.
    ProtoDst,
}

impl CtField {
    /// All of them with nftables' words.
    pub const NAMES: [(&'static str, Self); 18] = [
        ("state", Self::State),
        ("direction", Self::Direction),
        ("status", Self::Status),
        ("mark", Self::Mark),
        ("expiration", Self::Expiration),
        ("l3proto", Self::L3proto),
        ("protocol", Self::Protocol),
        ("bytes", Self::Bytes),
        ("packets", Self::Packets),
        ("avgpkt", Self::Avgpkt),
        ("zone", Self::Zone),
        ("id", Self::Id),
        ("ip saddr", Self::IpSaddr),
        ("ip daddr", Self::IpDaddr),
        ("ip6 saddr", Self::Ip6Saddr),
        ("ip6 daddr", Self::Ip6Daddr),
        ("proto-src", Self::ProtoSrc),
        ("proto-dst", Self::ProtoDst),
    ];

    /// nftables' words.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, field)| *field == self);
        found.map_or("", |(name, _)| name)
    }

    /// Its type.
    #[must_use]
    pub fn datatype(self) -> DataType {
        match self {
            Self::State => T::CtState,
            Self::Direction => T::CtDir,
            Self::Status => T::CtStatus,
            Self::Mark => T::Mark,
            Self::Expiration => T::Time,
            Self::L3proto => T::NfProto,
            Self::Protocol => T::InetProto,
            Self::Bytes | Self::Packets | Self::Avgpkt => T::Integer(64),
            Self::Zone => T::Integer(16),
            Self::Id => T::Integer(32),
            Self::IpSaddr | Self::IpDaddr => T::Ipv4Addr,
            Self::Ip6Saddr | Self::Ip6Daddr => T::Ipv6Addr,
            Self::ProtoSrc | Self::ProtoDst => T::InetService,
        }
    }
}

/// A direction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// That of its first packet.
    Original,
    /// The other.
    Reply,
}

impl Direction {
    /// nftables' word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Reply => "reply",
        }
    }
}

/// What is looked up in the routing table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FibKey {
    /// The source address.
    pub saddr: bool,
    /// The destination address.
    pub daddr: bool,
    /// With the packet's mark, as for policy routing.
    pub mark: bool,
    /// Only what is reached by the interface that the packet came in by.
    pub iif: bool,
    /// Only what is reached by the interface that the packet goes out by.
    pub oif: bool,
}

/// What of the routing table's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FibResult {
    /// `oif`: index of the interface; 0 without a route.
    Oif,
    /// `oif exists|missing`: 1 or 0.
    OifExists,
    /// `oifname`: name of the interface; empty without a route.
    Oifname,
    /// `type`: `RTN_…` of the address.
    Type,
}

impl FibResult {
    /// Its type.
    #[must_use]
    pub fn datatype(self) -> DataType {
        match self {
            Self::Oif => T::IfIndex,
            Self::OifExists => T::Boolean,
            Self::Oifname => T::IfName,
            Self::Type => T::FibAddrType,
        }
    }
}
