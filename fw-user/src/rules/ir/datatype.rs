//! nftables' data types: what a number means, and how it is written.

/// Where the most significant byte of a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// First, as on the wire.
    Network,
    /// Where this machine puts it.
    Host,
}

/// What a value is. The names are those that `type …` of a set takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are nftables'; see `name`")]
pub enum DataType {
    /// A number without names, of that many bits.
    Integer(u16),
    Boolean,
    Ipv4Addr,
    Ipv6Addr,
    EtherAddr,
    EtherType,
    InetProto,
    InetService,
    Mark,
    /// An interface's name.
    IfName,
    /// An interface's index; written by name, which is looked up when the ruleset is loaded.
    IfIndex,
    /// ARPHRD_….
    IfType,
    /// A group of interfaces (`/etc/iproute2/group`).
    DevGroup,
    NfProto,
    PktType,
    IcmpType,
    IcmpCode,
    Icmpv6Type,
    Icmpv6Code,
    IcmpxCode,
    IgmpType,
    TcpFlag,
    CtState,
    CtStatus,
    CtDir,
    /// A connection tracking label's bit.
    CtLabel,
    Dscp,
    Ecn,
    FibAddrType,
    /// A span of time in milliseconds (`ct expiration`).
    Time,
    /// Nanoseconds since 1970 (`meta time`).
    Date,
    /// Day of the week, Sunday is 0.
    Day,
    /// Second of the day in UTC.
    Hour,
}

impl DataType {
    /// Width in bits.
    #[must_use]
    pub fn bits(self) -> u16 {
        match self {
            Self::Integer(bits) => bits,
            Self::Boolean | Self::NfProto | Self::PktType | Self::Day => 8,
            Self::Ipv6Addr | Self::IfName | Self::CtLabel => 128,
            Self::EtherAddr => 48,
            Self::EtherType | Self::InetService | Self::IfType => 16,
            Self::InetProto
            | Self::IcmpType
            | Self::IcmpCode
            | Self::Icmpv6Type
            | Self::Icmpv6Code
            | Self::IcmpxCode
            | Self::IgmpType
            | Self::TcpFlag
            | Self::CtDir => 8,
            Self::Ipv4Addr
            | Self::Mark
            | Self::IfIndex
            | Self::DevGroup
            | Self::CtState
            | Self::CtStatus
            | Self::FibAddrType
            | Self::Hour => 32,
            Self::Dscp => 6,
            Self::Ecn => 2,
            Self::Time | Self::Date => 64,
        }
    }

    /// Largest value.
    #[must_use]
    pub fn max(self) -> u128 {
        match self.bits() {
            bits @ 0..128 => (1 << bits) - 1,
            _ => u128::MAX,
        }
    }

    /// Whether a list of its values (`established,related`) is a set of bits.
    #[must_use]
    pub fn is_bitmask(self) -> bool {
        matches!(
            self,
            Self::TcpFlag | Self::CtState | Self::CtStatus | Self::CtLabel
        )
    }

    /// nftables' name of the type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Integer(_) => "integer",
            Self::Boolean => "boolean",
            Self::Ipv4Addr => "ipv4_addr",
            Self::Ipv6Addr => "ipv6_addr",
            Self::EtherAddr => "ether_addr",
            Self::EtherType => "ether_type",
            Self::InetProto => "inet_proto",
            Self::InetService => "inet_service",
            Self::Mark => "mark",
            Self::IfName => "ifname",
            Self::IfIndex => "iface_index",
            Self::IfType => "iface_type",
            Self::DevGroup => "devgroup",
            Self::NfProto => "nf_proto",
            Self::PktType => "pkt_type",
            Self::IcmpType => "icmp_type",
            Self::IcmpCode => "icmp_code",
            Self::Icmpv6Type => "icmpv6_type",
            Self::Icmpv6Code => "icmpv6_code",
            Self::IcmpxCode => "icmpx_code",
            Self::IgmpType => "igmp_type",
            Self::TcpFlag => "tcp_flag",
            Self::CtState => "ct_state",
            Self::CtStatus => "ct_status",
            Self::CtDir => "ct_dir",
            Self::CtLabel => "ct_label",
            Self::Dscp => "dscp",
            Self::Ecn => "ecn",
            Self::FibAddrType => "fib_addrtype",
            Self::Time | Self::Date => "time",
            Self::Day => "day",
            Self::Hour => "hour",
        }
    }
}
