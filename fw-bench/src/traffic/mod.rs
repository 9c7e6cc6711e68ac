//! What the generator sends: packets of many flows that differ in the flow's number only.

mod headers;
mod segment;
mod stride;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::abi::{Plan, SIZES};
use headers::Headers;
use segment::Segment;

/// Which IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What kind of packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The shortest datagram.
    Udp,
    /// Datagrams of three sizes, 7 : 4 : 1 (IMIX).
    UdpMix,
    /// The first segment, with window scaling.
    Syn,
    /// Its answer.
    SynAck,
    /// An acknowledgement of nothing but the handshake; with it the window is a gigabyte.
    Ack,
    /// A segment from far ahead in the window: so much has been sent, as far as anybody can tell who
    /// has not seen what is before it.
    Far,
    /// Six bytes of data, which follow those of the round before.
    Data,
    /// An acknowledgement of what [`Kind::Far`] was the end of, a little more in each round.
    Acks,
}

/// Packets, and whose they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Which IP.
    pub family: Family,
    /// Which packets.
    pub kind: Kind,
    /// From server to client.
    pub reply: bool,
    /// Number of the first flow. Flows of different numbers differ in address or port.
    pub first: u32,
    /// How many flows.
    pub flows: u32,
    /// The server's port.
    pub port: u16,
}

/// A plan, and what the kernel needs to run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// Name of the BPF program.
    pub(crate) name: &'static str,
    /// For its map.
    pub(crate) plan: Plan,
}

/// Where the client's flows come from: 198.18.0.0/16 (RFC 2544).
pub const CLIENTS4: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
/// Where they go to.
pub const SERVER4: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);
/// As [`CLIENTS4`].
pub const CLIENTS6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x18, 0, 0, 0, 0, 0);
/// As [`SERVER4`].
pub const SERVER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x19, 0, 0, 0, 0, 1);

/// The client's first port.
const CLIENT_PORT: u16 = 10000;
/// The sizes of IMIX without the frame check sequence, in an order that spreads them.
const MIX: [u32; 12] = [60, 590, 60, 60, 590, 60, LONGEST, 60, 590, 60, 590, 60];
const LONGEST: u32 = 1514;
impl Kind {
    fn is_udp(self) -> bool {
        matches!(self, Self::Udp | Self::UdpMix)
    }
}

impl Traffic {
    /// The same with packets of another kind.
    #[must_use]
    pub const fn with(self, kind: Kind, reply: bool) -> Self {
        Self {
            kind,
            reply,
            ..self
        }
    }

    /// Arguments with which conntrack(8) and fwctl select its flows that are assured.
    #[must_use]
    pub(crate) fn filter(&self) -> Vec<String> {
        let family = match self.family {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        };
        let proto = if self.kind.is_udp() { "udp" } else { "tcp" };
        let port = self.port.to_string();
        let words = [
            "--status", "ASSURED", "--family", family, "--proto", proto, "--dport", &port,
        ];
        words.map(str::to_owned).into()
    }

    /// Whether its packets have different sizes.
    fn is_mix(&self) -> bool {
        self.kind == Kind::UdpMix
    }

    /// The client's and the server's address, without the flow's number.
    fn addresses(&self) -> (IpAddr, IpAddr) {
        match self.family {
            Family::V4 => (CLIENTS4.into(), SERVER4.into()),
            Family::V6 => (CLIENTS6.into(), SERVER6.into()),
        }
    }

    /// What the generator has to do.
    #[must_use]
    pub(crate) fn program(&self) -> Program {
        let segment = Segment::of(self.kind, self.reply);
        let headers = Headers::of(self, &segment);
        // The shortest frame, and no less than the generator writes.
        let (name, shortest) = match (self.family, self.kind.is_udp()) {
            (Family::V4, true) => ("udp4", 60),
            (Family::V4, false) => ("tcp4", 60),
            (Family::V6, true) => ("udp6", 64),
            (Family::V6, false) => ("tcp6", 80),
        };
        let (frame, mix) = if self.is_mix() {
            (LONGEST, MIX.len() as u32)
        } else {
            (shortest, 0)
        };
        let mut sizes = [frame; SIZES];
        for (size, of_mix) in sizes.iter_mut().zip(MIX) {
            *size = of_mix.max(shortest);
        }
        let plan = Plan {
            header: headers.words(),
            first: self.first,
            flows: self.flows,
            stride: stride::stride(self.flows),
            reply: self.reply.into(),
            port: CLIENT_PORT.into(),
            ip_sum: headers.ip_sum,
            l4_sum: headers.l4_sum,
            seq: segment.seq,
            seq_step: segment.seq_step,
            ack: segment.ack,
            ack_step: segment.ack_step,
            mix,
            sizes,
            frame,
        };
        Program { name, plan }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: Traffic = Traffic {
        family: Family::V4,
        kind: Kind::Udp,
        reply: false,
        first: 0,
        flows: 1000,
        port: 53,
    };

    #[test]
    fn a_frame_has_the_lengths_that_its_headers_say() {
        let length = |traffic: Traffic| {
            let plan = traffic.program().plan;
            let bytes: Vec<u8> = plan.header.iter().flat_map(|w| w.to_ne_bytes()).collect();
            let ip = match traffic.family {
                Family::V4 => u16::from_be_bytes([bytes[16], bytes[17]]),
                Family::V6 => 40 + u16::from_be_bytes([bytes[18], bytes[19]]),
            };
            (u32::from(ip) + 14, plan.frame)
        };
        assert_eq!(length(UDP), (60, 60));
        assert_eq!(length(UDP.with(Kind::Data, false)), (60, 60));
        let six = Traffic {
            family: Family::V6,
            ..UDP
        };
        assert_eq!(length(six), (64, 64));
        assert_eq!(length(six.with(Kind::Data, false)), (80, 80));
        assert_eq!(length(six.with(Kind::Syn, false)), (78, 80));
    }

    #[test]
    fn the_mix_is_seven_to_four_to_one() {
        let plan = UDP.with(Kind::UdpMix, false).program().plan;
        let used = &plan.sizes[..plan.mix as usize];
        let count = |size| used.iter().filter(|one| **one == size).count();
        assert_eq!((count(60), count(590), count(1514)), (7, 4, 1));
        assert_eq!(plan.frame, 1514);
    }
}
