//! Fields that are read from the packet at a fixed place of a header.

use super::DataType;
use DataType as T;

/// A header that fields are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are nftables'; see `name`")]
pub enum Protocol {
    Ether,
    Vlan,
    Ip,
    Ip6,
    Icmp,
    Icmpv6,
    Igmp,
    Tcp,
    Udp,
    UdpLite,
    Sctp,
    Esp,
    Ah,
    /// Ports of whatever transport the packet has.
    Th,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Ether,
        Self::Vlan,
        Self::Ip,
        Self::Ip6,
        Self::Icmp,
        Self::Icmpv6,
        Self::Igmp,
        Self::Tcp,
        Self::Udp,
        Self::UdpLite,
        Self::Sctp,
        Self::Esp,
        Self::Ah,
        Self::Th,
    ];

    /// nftables' word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ether => "ether",
            Self::Vlan => "vlan",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Icmp => "icmp",
            Self::Icmpv6 => "icmpv6",
            Self::Igmp => "igmp",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::UdpLite => "udplite",
            Self::Sctp => "sctp",
            Self::Esp => "esp",
            Self::Ah => "ah",
            Self::Th => "th",
        }
    }

    /// The protocol's number, if it stands above IP and is one.
    #[must_use]
    pub fn number(self) -> Option<u8> {
        match self {
            Self::Icmp => Some(1),
            Self::Igmp => Some(2),
            Self::Tcp => Some(6),
            Self::Udp => Some(17),
            Self::Esp => Some(50),
            Self::Ah => Some(51),
            Self::Icmpv6 => Some(58),
            Self::Sctp => Some(132),
            Self::UdpLite => Some(136),
            Self::Ether | Self::Vlan | Self::Ip | Self::Ip6 | Self::Th => None,
        }
    }
}

/// Where offsets count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Base {
    /// The Ethernet header.
    Link,
    /// The IPv4 or IPv6 header.
    Network,
    /// The header above IP.
    Transport,
}

/// Where a field stands, in bits; the most significant bit of a byte is its first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// Where the offset counts from.
    pub base: Base,
    /// Bits before the field.
    pub offset: u16,
    /// Bits of the field.
    pub bits: u16,
}

macro_rules! headers {
    ($($field:ident = $protocol:ident $name:literal $datatype:expr, $base:ident $offset:literal + $bits:literal;)*) => {
        /// A field at a fixed place of a header. All of them are in network byte order.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "protocol and nftables' name of the field")]
        pub enum Header { $($field,)* }

        impl Header {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$field,)*];

            /// The header that it is a field of.
            #[must_use]
            pub fn protocol(self) -> Protocol {
                match self { $(Self::$field => Protocol::$protocol,)* }
            }

            /// nftables' word, without the protocol.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$field => $name,)* }
            }

            /// Its type.
            #[must_use]
            pub fn datatype(self) -> DataType {
                match self { $(Self::$field => $datatype,)* }
            }

            /// Its place.
            #[must_use]
            pub fn location(self) -> Location {
                match self {
                    $(Self::$field => Location { base: Base::$base, offset: $offset, bits: $bits },)*
                }
            }
        }
    };
}

headers! {
    EtherDaddr = Ether "daddr" T::EtherAddr, Link 0 + 48;
    EtherSaddr = Ether "saddr" T::EtherAddr, Link 48 + 48;
    EtherType = Ether "type" T::EtherType, Link 96 + 16;

    VlanPcp = Vlan "pcp" T::Integer(3), Link 112 + 3;
    VlanDei = Vlan "dei" T::Integer(1), Link 115 + 1;
    VlanId = Vlan "id" T::Integer(12), Link 116 + 12;
    VlanType = Vlan "type" T::EtherType, Link 128 + 16;

    IpVersion = Ip "version" T::Integer(4), Network 0 + 4;
    IpHdrlength = Ip "hdrlength" T::Integer(4), Network 4 + 4;
    IpDscp = Ip "dscp" T::Dscp, Network 8 + 6;
    IpEcn = Ip "ecn" T::Ecn, Network 14 + 2;
    IpLength = Ip "length" T::Integer(16), Network 16 + 16;
    IpId = Ip "id" T::Integer(16), Network 32 + 16;
    // With the three flags in front, as nftables has it.
    IpFragOff = Ip "frag-off" T::Integer(16), Network 48 + 16;
    IpTtl = Ip "ttl" T::Integer(8), Network 64 + 8;
    IpProtocol = Ip "protocol" T::InetProto, Network 72 + 8;
    IpChecksum = Ip "checksum" T::Integer(16), Network 80 + 16;
    IpSaddr = Ip "saddr" T::Ipv4Addr, Network 96 + 32;
    IpDaddr = Ip "daddr" T::Ipv4Addr, Network 128 + 32;

    Ip6Version = Ip6 "version" T::Integer(4), Network 0 + 4;
    Ip6Dscp = Ip6 "dscp" T::Dscp, Network 4 + 6;
    Ip6Ecn = Ip6 "ecn" T::Ecn, Network 10 + 2;
    Ip6Flowlabel = Ip6 "flowlabel" T::Integer(20), Network 12 + 20;
    Ip6Length = Ip6 "length" T::Integer(16), Network 32 + 16;
    Ip6Nexthdr = Ip6 "nexthdr" T::InetProto, Network 48 + 8;
    Ip6Hoplimit = Ip6 "hoplimit" T::Integer(8), Network 56 + 8;
    Ip6Saddr = Ip6 "saddr" T::Ipv6Addr, Network 64 + 128;
    Ip6Daddr = Ip6 "daddr" T::Ipv6Addr, Network 192 + 128;

    IcmpType = Icmp "type" T::IcmpType, Transport 0 + 8;
    IcmpCode = Icmp "code" T::IcmpCode, Transport 8 + 8;
    IcmpChecksum = Icmp "checksum" T::Integer(16), Transport 16 + 16;
    // nftables implies the types that have the field; the resolver adds that match.
    IcmpId = Icmp "id" T::Integer(16), Transport 32 + 16;
    IcmpSequence = Icmp "sequence" T::Integer(16), Transport 48 + 16;
    IcmpGateway = Icmp "gateway" T::Integer(32), Transport 32 + 32;
    IcmpMtu = Icmp "mtu" T::Integer(16), Transport 48 + 16;

    Icmpv6Type = Icmpv6 "type" T::Icmpv6Type, Transport 0 + 8;
    Icmpv6Code = Icmpv6 "code" T::Icmpv6Code, Transport 8 + 8;
    Icmpv6Checksum = Icmpv6 "checksum" T::Integer(16), Transport 16 + 16;
    Icmpv6Mtu = Icmpv6 "mtu" T::Integer(32), Transport 32 + 32;
    Icmpv6Id = Icmpv6 "id" T::Integer(16), Transport 32 + 16;
    Icmpv6Sequence = Icmpv6 "sequence" T::Integer(16), Transport 48 + 16;
    Icmpv6MaxDelay = Icmpv6 "max-delay" T::Integer(16), Transport 32 + 16;

    IgmpType = Igmp "type" T::IgmpType, Transport 0 + 8;
    IgmpMrt = Igmp "mrt" T::Integer(8), Transport 8 + 8;
    IgmpChecksum = Igmp "checksum" T::Integer(16), Transport 16 + 16;
    IgmpGroup = Igmp "group" T::Ipv4Addr, Transport 32 + 32;

    TcpSport = Tcp "sport" T::InetService, Transport 0 + 16;
    TcpDport = Tcp "dport" T::InetService, Transport 16 + 16;
    TcpSequence = Tcp "sequence" T::Integer(32), Transport 32 + 32;
    TcpAckseq = Tcp "ackseq" T::Integer(32), Transport 64 + 32;
    TcpDoff = Tcp "doff" T::Integer(4), Transport 96 + 4;
    TcpReserved = Tcp "reserved" T::Integer(4), Transport 100 + 4;
    TcpFlags = Tcp "flags" T::TcpFlag, Transport 104 + 8;
    TcpWindow = Tcp "window" T::Integer(16), Transport 112 + 16;
    TcpChecksum = Tcp "checksum" T::Integer(16), Transport 128 + 16;
    TcpUrgptr = Tcp "urgptr" T::Integer(16), Transport 144 + 16;

    UdpSport = Udp "sport" T::InetService, Transport 0 + 16;
    UdpDport = Udp "dport" T::InetService, Transport 16 + 16;
    UdpLength = Udp "length" T::Integer(16), Transport 32 + 16;
    UdpChecksum = Udp "checksum" T::Integer(16), Transport 48 + 16;

    UdpLiteSport = UdpLite "sport" T::InetService, Transport 0 + 16;
    UdpLiteDport = UdpLite "dport" T::InetService, Transport 16 + 16;
    UdpLiteCsumcov = UdpLite "csumcov" T::Integer(16), Transport 32 + 16;
    UdpLiteChecksum = UdpLite "checksum" T::Integer(16), Transport 48 + 16;

    SctpSport = Sctp "sport" T::InetService, Transport 0 + 16;
    SctpDport = Sctp "dport" T::InetService, Transport 16 + 16;
    SctpVtag = Sctp "vtag" T::Integer(32), Transport 32 + 32;
    SctpChecksum = Sctp "checksum" T::Integer(32), Transport 64 + 32;

    EspSpi = Esp "spi" T::Integer(32), Transport 0 + 32;
    EspSequence = Esp "sequence" T::Integer(32), Transport 32 + 32;

    AhHdrlength = Ah "hdrlength" T::Integer(8), Transport 8 + 8;
    AhSpi = Ah "spi" T::Integer(32), Transport 32 + 32;
    AhSequence = Ah "sequence" T::Integer(32), Transport 64 + 32;

    ThSport = Th "sport" T::InetService, Transport 0 + 16;
    ThDport = Th "dport" T::InetService, Transport 16 + 16;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_as_wide_as_their_fields() {
        for header in Header::ALL {
            assert_eq!(
                header.datatype().bits(),
                header.location().bits,
                "{header:?}"
            );
        }
    }

    #[test]
    fn names_are_unique_within_a_protocol() {
        for (position, one) in Header::ALL.iter().enumerate() {
            let twin = Header::ALL[..position]
                .iter()
                .find(|other| other.protocol() == one.protocol() && other.name() == one.name());
            assert_eq!(twin, None);
        }
    }
}
