//! What the generator sends: packets of many flows that differ in the flow's number only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::abi::{HEADER_WORDS, Plan, SIZES};

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
const MIX: [u32; 12] = [60, 590, 60, 60, 590, 60, 1514, 60, 590, 60, 590, 60];
/// Sequence numbers of the two SYN.
const CLIENT_ISN: u32 = 1_000_000;
const SERVER_ISN: u32 = 2_000_000;
/// How far [`Kind::Far`] is ahead: less than the window, which is 65,535 times 2 to the 14.
const FAR: u32 = 1_000_000_000;
const _: () = assert!(FAR < 65535 << 14);
const PAYLOAD: u32 = 6;

const SYN: u8 = 0x02;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
/// Window scaling by 14, the most there is (RFC 7323 §2.3), and a byte to fill up.
const SCALING: [u8; 4] = [1, 3, 3, 14];

/// TCP's fields that depend on the kind.
struct Segment {
    flags: u8,
    seq: u32,
    seq_step: u32,
    ack: u32,
    ack_step: u32,
    payload: u32,
}

impl Kind {
    fn is_udp(self) -> bool {
        matches!(self, Self::Udp | Self::UdpMix)
    }

    fn segment(self, reply: bool) -> Segment {
        let (mine, other) = if reply {
            (SERVER_ISN, CLIENT_ISN)
        } else {
            (CLIENT_ISN, SERVER_ISN)
        };
        let plain = Segment {
            flags: ACK,
            seq: mine + 1,
            seq_step: 0,
            ack: other + 1,
            ack_step: 0,
            payload: 0,
        };
        match self {
            Self::Udp | Self::UdpMix | Self::Ack => plain,
            Self::Syn => Segment {
                flags: SYN,
                seq: mine,
                ack: 0,
                ..plain
            },
            Self::SynAck => Segment {
                flags: SYN | ACK,
                seq: mine,
                ..plain
            },
            Self::Far => Segment {
                flags: PSH | ACK,
                seq: mine + 1 + FAR - PAYLOAD,
                payload: PAYLOAD,
                ..plain
            },
            Self::Data => Segment {
                flags: PSH | ACK,
                seq_step: PAYLOAD,
                payload: PAYLOAD,
                ..plain
            },
            Self::Acks => Segment {
                ack_step: 50,
                ..plain
            },
        }
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

    /// What the generator has to do.
    #[must_use]
    pub(crate) fn program(&self) -> Program {
        let segment = self.kind.segment(self.reply);
        let mix = self.kind == Kind::UdpMix;
        let transport = self.transport(&segment);
        let name = match (self.family, self.kind.is_udp()) {
            (Family::V4, true) => "udp4",
            (Family::V4, false) => "tcp4",
            (Family::V6, true) => "udp6",
            (Family::V6, false) => "tcp6",
        };
        let (bytes, ip_at) = self.frame(&transport, segment.payload, mix);
        let l4_at = bytes.len() - transport.len();
        // The shortest frame, and no less than the generator writes.
        let shortest = match name {
            "tcp6" => 80,
            "udp6" => 64,
            _ => 60,
        };
        let frame = if mix { MIX[6] } else { shortest };
        let mut sizes = [frame; SIZES];
        for (size, of_mix) in sizes.iter_mut().zip(MIX) {
            *size = of_mix.max(shortest);
        }
        let plan = Plan {
            header: words(&bytes),
            first: self.first,
            flows: self.flows,
            stride: stride(self.flows),
            reply: self.reply.into(),
            port: CLIENT_PORT.into(),
            ip_sum: sum(&bytes[ip_at..ip_at + 20]),
            l4_sum: self.l4_sum(&bytes[l4_at..], segment.payload, mix),
            seq: segment.seq,
            seq_step: segment.seq_step,
            ack: segment.ack,
            ack_step: segment.ack_step,
            mix: if mix { MIX.len() as u32 } else { 0 },
            sizes,
            frame,
        };
        Program { name, plan }
    }

    /// Source and destination, without the flow's number.
    fn addresses(&self) -> (IpAddr, IpAddr) {
        let (client, server): (IpAddr, IpAddr) = match self.family {
            Family::V4 => (CLIENTS4.into(), SERVER4.into()),
            Family::V6 => (CLIENTS6.into(), SERVER6.into()),
        };
        if self.reply {
            (server, client)
        } else {
            (client, server)
        }
    }

    /// The transport header: the client's port, both numbers and the checksum are the generator's.
    fn transport(&self, segment: &Segment) -> Vec<u8> {
        let server = self.port.to_be_bytes();
        let (from, to) = if self.reply {
            (server, [0; 2])
        } else {
            ([0; 2], server)
        };
        let mut bytes = [from, to].concat();
        if self.kind.is_udp() {
            let length = match self.kind {
                Kind::UdpMix => 0,
                _ => 8 + self.udp_payload() as u16,
            };
            bytes.extend(length.to_be_bytes());
            bytes.extend([0; 2]);
            return bytes;
        }
        let options: &[u8] = if segment.flags & SYN != 0 {
            &SCALING
        } else {
            &[]
        };
        let words = (20 + options.len() as u8) / 4;
        bytes.extend([0; 8]);
        bytes.extend([words << 4, segment.flags, 0xff, 0xff, 0, 0, 0, 0]);
        bytes.extend(options);
        bytes
    }

    /// What fills the shortest frame.
    fn udp_payload(&self) -> u32 {
        match self.family {
            Family::V4 => 18,
            Family::V6 => 2,
        }
    }

    /// All headers, and where that of IP begins.
    fn frame(&self, transport: &[u8], payload: u32, mix: bool) -> (Vec<u8>, usize) {
        let udp = self.kind.is_udp();
        let payload = if udp { self.udp_payload() } else { payload };
        let length = match mix {
            true => 0,
            false => transport.len() as u16 + payload as u16,
        };
        let proto = if udp { 17 } else { 6 };
        let (mine, routers) = if self.reply {
            ([2, 0, 0, 0, 2, 2], [2, 0, 0, 0, 2, 1])
        } else {
            ([2, 0, 0, 0, 1, 2], [2, 0, 0, 0, 1, 1])
        };
        let mut bytes = [routers, mine].concat();
        match self.addresses() {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                bytes.extend([0x08, 0x00, 0x45, 0]);
                let total = if mix { 0 } else { length + 20 };
                bytes.extend(total.to_be_bytes());
                // Not to be fragmented; time to live 64.
                bytes.extend([0, 0, 0x40, 0, 64, proto, 0, 0]);
                bytes.extend(from.octets());
                bytes.extend(to.octets());
            }
            (from, to) => {
                bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                bytes.extend(length.to_be_bytes());
                bytes.extend([proto, 64]);
                for address in [from, to] {
                    if let IpAddr::V6(address) = address {
                        bytes.extend(address.octets());
                    }
                }
            }
        }
        bytes.extend(transport);
        (bytes, 14)
    }

    /// IPv4's UDP goes without a checksum, as if a NIC had verified it: the kernel would otherwise walk
    /// through the payload, and we would not. IPv6 demands one.
    fn l4_sum(&self, transport: &[u8], payload: u32, mix: bool) -> u32 {
        let udp = self.kind.is_udp();
        if udp && self.family == Family::V4 {
            return 0;
        }
        let payload = if udp { self.udp_payload() } else { payload };
        let length = match mix {
            true => 0,
            false => transport.len() as u16 + payload as u16,
        };
        let (from, to) = self.addresses();
        let proto = if udp { 17 } else { 6 };
        let octets = |address| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let pseudo = [octets(from), octets(to), length.to_be_bytes().to_vec()].concat();
        sum(&pseudo) + sum(&[0, proto]) + sum(transport)
    }
}

/// The sum of 16-bit words as they are in memory (RFC 1071 §2 (B)).
fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks_exact(2);
    words
        .map(|word| u32::from(u16::from_ne_bytes([word[0], word[1]])))
        .sum()
}

fn words(bytes: &[u8]) -> [u32; HEADER_WORDS] {
    let mut words = [0; HEADER_WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks(4)) {
        let mut whole = [0; 4];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = u32::from_ne_bytes(whole);
    }
    words
}

/// The golden ratio of `flows`, or the next number above without a common divisor: steps of it come
/// to all flows before they come to one again.
fn stride(flows: u32) -> u32 {
    if flows < 3 {
        return flows / 2;
    }
    let golden = (f64::from(flows) * 0.618_033_988_75) as u32;
    (golden.max(1)..flows)
        .find(|step| gcd(*step, flows) == 1)
        .unwrap_or(1)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
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
    fn stride_comes_to_every_flow_once() {
        for flows in [1, 2, 3, 4, 1000, 100_000, 104_857] {
            let step = stride(flows);
            let mut seen = vec![false; flows as usize];
            let mut at = 0;
            for _ in 0..flows {
                assert!(!seen[at as usize], "{flows} by {step}");
                seen[at as usize] = true;
                at = (at + step) % flows;
            }
        }
    }

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
