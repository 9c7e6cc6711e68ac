//! What stands at no fixed place of a packet: options of TCP, extension headers of IPv6.

use super::DataType;
use DataType as T;

/// An option of TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the kinds' own names")]
pub enum TcpOption {
    Eol,
    Nop,
    Maxseg,
    Window,
    SackPerm,
    Sack,
    Timestamp,
    Fastopen,
    Md5sig,
    Mptcp,
}

impl TcpOption {
    /// Those with a name, and their kinds (IANA's registry of TCP parameters).
    pub const NAMES: [(&'static str, Self, u8); 10] = [
        ("eol", Self::Eol, 0),
        ("nop", Self::Nop, 1),
        ("maxseg", Self::Maxseg, 2),
        ("window", Self::Window, 3),
        ("sack-perm", Self::SackPerm, 4),
        ("sack", Self::Sack, 5),
        ("timestamp", Self::Timestamp, 8),
        ("fastopen", Self::Fastopen, 34),
        ("md5sig", Self::Md5sig, 19),
        ("mptcp", Self::Mptcp, 30),
    ];

    /// Its number.
    #[must_use]
    pub fn kind(self) -> u8 {
        let found = Self::NAMES.iter().find(|(_, option, _)| *option == self);
        found.map_or(0, |(_, _, kind)| *kind)
    }

    /// nftables' word.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, option, _)| *option == self);
        found.map_or("", |(name, _, _)| name)
    }
}

/// A field of an option of TCP; offsets count from the option's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TcpOptionField {
    /// Byte 1: the option's length.
    Length,
    /// maxseg, bytes 2–3.
    Size,
    /// window, byte 2: the shift.
    Count,
    /// sack: left edge of block 0–3, four bytes at 2 + 8 × block.
    Left(u8),
    /// sack: right edge of block 0–3, four bytes at 6 + 8 × block.
    Right(u8),
    /// timestamp, bytes 2–5.
    Tsval,
    /// timestamp, bytes 6–9.
    Tsecr,
}

impl TcpOptionField {
    /// Its type.
    #[must_use]
    pub fn datatype(self) -> DataType {
        match self {
            Self::Length | Self::Count => T::Integer(8),
            Self::Size => T::Integer(16),
            Self::Left(_) | Self::Right(_) | Self::Tsval | Self::Tsecr => T::Integer(32),
        }
    }

    /// Its first byte, from the option's kind on.
    #[must_use]
    pub fn offset(self) -> u8 {
        match self {
            Self::Length => 1,
            Self::Size | Self::Count | Self::Tsval => 2,
            Self::Tsecr => 6,
            Self::Left(block) => 2 + 8 * block,
            Self::Right(block) => 6 + 8 * block,
        }
    }
}

/// An extension header of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ExtHeader {
    /// Hop-by-hop options.
    Hbh,
    /// Routing.
    Rt,
    /// Fragment.
    Frag,
    /// Destination options.
    Dst,
    /// Mobility.
    Mh,
}

impl ExtHeader {
    /// All of them with nftables' words and the protocols' numbers.
    pub const NAMES: [(&'static str, Self, u8); 5] = [
        ("hbh", Self::Hbh, 0),
        ("rt", Self::Rt, 43),
        ("frag", Self::Frag, 44),
        ("dst", Self::Dst, 60),
        ("mh", Self::Mh, 135),
    ];

    /// nftables' word.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, header, _)| *header == self);
        found.map_or("", |(name, _, _)| name)
    }
}

/// A field of an extension header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ExtField {
    /// Bits 0–7: the protocol that follows.
    Nexthdr,
    /// Bits 8–15, all but frag.
    Hdrlength,
    /// rt, bits 16–23.
    RtType,
    /// rt, bits 24–31.
    RtSegLeft,
    /// frag, bits 16–28.
    FragOff,
    /// frag, bit 31.
    FragMore,
    /// frag, bits 32–63.
    FragId,
    /// mh, bits 16–23.
    MhType,
}

impl ExtField {
    /// nftables' word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nexthdr => "nexthdr",
            Self::Hdrlength => "hdrlength",
            Self::RtType | Self::MhType => "type",
            Self::RtSegLeft => "seg-left",
            Self::FragOff => "frag-off",
            Self::FragMore => "more-fragments",
            Self::FragId => "id",
        }
    }

    /// Its type.
    #[must_use]
    pub fn datatype(self) -> DataType {
        match self {
            Self::Nexthdr => T::InetProto,
            Self::Hdrlength | Self::RtType | Self::RtSegLeft | Self::MhType => T::Integer(8),
            Self::FragOff => T::Integer(13),
            Self::FragMore => T::Integer(1),
            Self::FragId => T::Integer(32),
        }
    }
}
