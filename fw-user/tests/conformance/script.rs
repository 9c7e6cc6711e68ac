//! Packet scripts: what the two firewalls are shown. A script names its four hosts by letters; which
//! addresses they have is up to the run, so that hundreds of scripts run side by side.

use std::fmt;

use fw_common::tcp::header;
use fw_common::wire::{Family, proto};

/// A host. The router stands between A, C on its one side and B, D on the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    A,
    B,
    C,
    D,
}

impl Who {
    /// Which side of the router: 0 or 1.
    pub(crate) const fn side(self) -> usize {
        match self {
            Self::A | Self::C => 0,
            Self::B | Self::D => 1,
        }
    }

    /// The host at the other end of a conversation.
    pub(crate) const fn peer(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
            Self::C => Self::D,
            Self::D => Self::C,
        }
    }

    /// The other host on the same side.
    pub(crate) const fn neighbour(self) -> Self {
        match self {
            Self::A => Self::C,
            Self::B => Self::D,
            Self::C => Self::A,
            Self::D => Self::B,
        }
    }
}

/// A sequence of packets and pauses.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) family: Family,
    pub(crate) steps: Vec<Step>,
}

/// One step of a script.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Packet),
    /// Milliseconds during which nothing is sent.
    Wait(u16),
}

/// One packet.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) src: Who,
    pub(crate) dst: Who,
    pub(crate) body: Body,
    /// What is odd about it.
    pub(crate) oddities: Vec<Oddity>,
}

/// What an IP packet carries.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Tcp(Tcp),
    Udp {
        ports: [u16; 2],
        payload: u16,
    },
    UdpLite {
        ports: [u16; 2],
        payload: u16,
    },
    Sctp(Sctp),
    /// Any ICMP or ICMPv6 message, by the family of the script.
    Icmp {
        kind: u8,
        code: u8,
        id: u16,
        payload: Vec<u8>,
    },
    /// An ICMP or ICMPv6 error about `quote`, of which it holds at most `keep` bytes.
    Error {
        kind: u8,
        code: u8,
        quote: Box<Packet>,
        keep: u16,
    },
    /// Another protocol.
    Raw {
        proto: u8,
        payload: Vec<u8>,
    },
}

/// A TCP segment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tcp {
    pub(crate) ports: [u16; 2],
    pub(crate) flags: u8,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) window: u16,
    pub(crate) payload: u16,
    /// As on the wire; padded to a multiple of four with end-of-list.
    pub(crate) options: Vec<u8>,
}

/// An SCTP packet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sctp {
    pub(crate) ports: [u16; 2],
    /// Verification tag.
    pub(crate) tag: u32,
    pub(crate) chunks: Vec<Chunk>,
}

/// A chunk of an SCTP packet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) value: Vec<u8>,
    /// What its length field says, if that is not right.
    pub(crate) length: Option<u16>,
}

/// How a datagram is sent in fragments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    /// Fragment identification.
    pub(crate) id: u16,
    /// Where it is cut, counted from the transport header on: multiples of eight.
    pub(crate) cuts: Vec<u16>,
    /// Which pieces are sent, in which order.
    pub(crate) order: Vec<usize>,
    /// Bytes by which each but the last overlaps the next.
    pub(crate) overlap: u16,
}

impl Split {
    /// Whether the datagram arrives, its first fragment before the others: what both firewalls treat the
    /// same.
    pub(crate) fn is_orderly(&self) -> bool {
        let all = (0..=self.cuts.len()).all(|piece| self.order.contains(&piece));
        let full = self.cuts.is_sorted_by(|from, to| from < to);
        all && full && self.order.first() == Some(&0) && self.overlap == 0
    }
}

/// A departure from a well-formed packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Oddity {
    /// The transport checksum is wrong.
    BadChecksum,
    /// The transport checksum field is 0.
    NoChecksum,
    /// The checksum's pseudo header has another protocol number.
    PseudoProto(u8),
    /// The UDP length field (UDP-Lite: coverage) says this.
    UdpLength(u16),
    /// The TCP data offset says this, in words.
    DataOffset(u8),
    /// The transport part ends after so many bytes; the IP length says so too.
    Cut(u16),
    /// TTL or hop limit.
    Ttl(u8),
    /// IPv6: these bytes come before the transport header; they are headers, of which the first is
    /// of this type.
    Headers(u8, Vec<u8>),
    /// IPv4: options, a multiple of four bytes.
    Options(Vec<u8>),
    /// It is sent in fragments.
    Split(Split),
    /// IPv4: the flags and offset field. In an error it is the outer packet's.
    Fragment(u16),
    /// IPv4: the header checksum is wrong.
    BadHeaderChecksum,
    /// The frame has so many bytes more than the packet.
    Padding(u16),
    /// Source address (IPv4 in the first four bytes) instead of the host's.
    Source([u8; 16]),
    /// Destination address, likewise.
    Destination([u8; 16]),
    /// Its source address is that of a host on the other side.
    Spoofed,
    /// It goes to the router's own address on the side that it comes from.
    ToRouter,
    /// It comes from the router's own address on the side that it goes to.
    FromRouter,
    /// The source address is the destination's (LAND).
    Land,
    /// The version field says this.
    Version(u8),
}

impl Packet {
    /// A packet from `src` to its peer.
    pub(crate) const fn new(src: Who, body: Body) -> Self {
        Self {
            src,
            dst: src.peer(),
            body,
            oddities: Vec::new(),
        }
    }

    /// The same with something odd about it.
    pub(crate) fn with(mut self, oddity: Oddity) -> Self {
        self.oddities.push(oddity);
        self
    }

    /// The same to another host.
    pub(crate) const fn to(mut self, dst: Who) -> Self {
        self.dst = dst;
        self
    }

    /// How it is sent in fragments, if it is.
    pub(crate) fn split(&self) -> Option<&Split> {
        self.oddities.iter().find_map(|oddity| match oddity {
            Oddity::Split(split) => Some(split),
            _ => None,
        })
    }

    pub(crate) fn has(&self, oddity: &Oddity) -> bool {
        self.oddities.contains(oddity)
    }

    /// IP protocol number.
    pub(crate) const fn proto(&self, family: Family) -> u8 {
        match (&self.body, family) {
            (Body::Tcp(_), _) => proto::TCP,
            (Body::Udp { .. }, _) => proto::UDP,
            (Body::UdpLite { .. }, _) => proto::UDPLITE,
            (Body::Sctp(_), _) => proto::SCTP,
            (Body::Icmp { .. } | Body::Error { .. }, Family::V4) => proto::ICMP,
            (Body::Icmp { .. } | Body::Error { .. }, Family::V6) => proto::ICMPV6,
            (Body::Raw { proto, .. }, _) => *proto,
        }
    }
}

/// Letters of TCP flags, lowest bit first.
const FLAGS: [(u8, char); 8] = [
    (header::FIN, 'F'),
    (header::SYN, 'S'),
    (header::RST, 'R'),
    (header::PSH, 'P'),
    (header::ACK, 'A'),
    (header::URG, 'U'),
    (header::ECE, 'E'),
    (header::CWR, 'C'),
];

/// Flag bits from letters.
pub(crate) fn flags(letters: &str) -> u8 {
    let bit = |letter| {
        FLAGS
            .iter()
            .find(|(_, l)| *l == letter)
            .map_or(0, |(bit, _)| *bit)
    };
    letters.chars().map(bit).fold(0, |all, bit| all | bit)
}

fn letters(flags: u8) -> String {
    FLAGS
        .iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, letter)| letter)
        .collect()
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.steps.iter().enumerate() {
            match step {
                Step::Send(packet) => writeln!(f, "  {i:>2} {:?} {packet}", self.family)?,
                Step::Wait(ms) => writeln!(f, "  {i:>2} wait {ms} ms")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}->{:?} {}", self.src, self.dst, self.body)?;
        for oddity in &self.oddities {
            write!(f, " {oddity:?}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(tcp) => write!(f, "{tcp}"),
            Self::Udp {
                ports: [s, d],
                payload,
            } => write!(f, "udp {s}>{d} len {payload}"),
            Self::UdpLite {
                ports: [s, d],
                payload,
            } => write!(f, "udplite {s}>{d} len {payload}"),
            Self::Sctp(sctp) => write!(f, "{sctp}"),
            Self::Icmp {
                kind,
                code,
                id,
                payload,
            } => {
                write!(
                    f,
                    "icmp type {kind} code {code} id {id} len {}",
                    payload.len()
                )
            }
            Self::Error {
                kind,
                code,
                quote,
                keep,
            } => {
                write!(
                    f,
                    "icmp type {kind} code {code} quoting {keep} bytes of [{quote}]"
                )
            }
            Self::Raw { proto, payload } => write!(f, "proto {proto} {payload:02x?}"),
        }
    }
}

impl fmt::Display for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ports: [s, d],
            seq,
            ack,
            window,
            payload,
            options,
            ..
        } = self;
        let flags = letters(self.flags);
        write!(
            f,
            "tcp {s}>{d} {flags} seq {seq} ack {ack} win {window} len {payload}"
        )?;
        if !options.is_empty() {
            write!(f, " options {options:02x?}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Sctp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ports: [s, d],
            tag,
            chunks,
        } = self;
        write!(f, "sctp {s}>{d} tag {tag:#x}")?;
        for chunk in chunks {
            let Chunk {
                kind, flags, value, ..
            } = chunk;
            write!(f, " [{kind}/{flags} {:02x?}]", &value[..value.len().min(8)])?;
        }
        Ok(())
    }
}
