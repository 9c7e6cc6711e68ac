//! A packet in words: `tcp 192.168.1.2:41080 > 10.0.0.2:22 syn`.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use fw_common::CtInfo;

/// A packet as it was described. What was not said is what such a packet usually has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    /// Source address.
    pub src: IpAddr,
    /// Destination address, of the same family.
    pub dst: IpAddr,
    /// What it carries.
    pub transport: Transport,
    /// VLAN id; 0: no tag.
    pub vlan: u16,
    /// `meta mark` that it comes with.
    pub mark: u32,
    /// Length of the IP packet; none: as long as its headers.
    pub length: Option<u16>,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Differentiated services code point.
    pub dscp: u8,
    /// What conntrack shall say of it; none: what the flow table says.
    pub state: Option<CtInfo>,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP: ports and flag bits.
    Tcp(u16, u16, u8),
    /// UDP: ports.
    Udp(u16, u16),
    /// SCTP: ports.
    Sctp(u16, u16),
    /// ICMP or ICMPv6, whichever the addresses ask for.
    Icmp(IcmpKind),
    /// Another protocol by its number.
    Other(u8),
}

/// What kind of ICMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpKind {
    /// Its type.
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// Identifier of a query.
    pub id: u16,
}

/// Why a packet is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("packet: {what}; a packet looks like `tcp 192.168.1.2:41080 > 10.0.0.2:22 syn`")]
pub struct PacketError {
    what: String,
}

fn refuse<T>(what: impl Into<String>) -> Result<T, PacketError> {
    Err(PacketError { what: what.into() })
}

/// TCP's flags by their names in tcpdump and nft.
const FLAGS: [(&str, u8); 8] = [
    ("fin", 0x01),
    ("syn", 0x02),
    ("rst", 0x04),
    ("psh", 0x08),
    ("ack", 0x10),
    ("urg", 0x20),
    ("ecn", 0x40),
    ("cwr", 0x80),
];

/// Names of protocols without ports; the rest go by number.
const PROTOCOLS: [(&str, u8); 7] = [
    ("esp", 50),
    ("ah", 51),
    ("gre", 47),
    ("igmp", 2),
    ("ospf", 89),
    ("vrrp", 112),
    ("ipip", 4),
];

/// ICMP's types by nft's names.
const ICMP: [(&str, u8); 8] = [
    ("echo-reply", 0),
    ("destination-unreachable", 3),
    ("redirect", 5),
    ("echo-request", 8),
    ("router-advertisement", 9),
    ("router-solicitation", 10),
    ("time-exceeded", 11),
    ("parameter-problem", 12),
];

/// ICMPv6's.
const ICMPV6: [(&str, u8); 11] = [
    ("destination-unreachable", 1),
    ("packet-too-big", 2),
    ("time-exceeded", 3),
    ("parameter-problem", 4),
    ("echo-request", 128),
    ("echo-reply", 129),
    ("mld-listener-query", 130),
    ("nd-router-solicit", 133),
    ("nd-router-advert", 134),
    ("nd-neighbor-solicit", 135),
    ("nd-neighbor-advert", 136),
];

/// States by their names in rules.
const STATES: [(&str, CtInfo); 5] = [
    ("new", CtInfo::New),
    ("established", CtInfo::Established),
    ("related", CtInfo::Related),
    ("invalid", CtInfo::Invalid),
    ("untracked", CtInfo::Untracked),
];

impl FromStr for Sketch {
    type Err = PacketError;

    fn from_str(text: &str) -> Result<Self, PacketError> {
        let spaced = text.replace('>', " > ").replace(',', " ");
        let mut words = spaced.split_whitespace();
        let Some(proto) = words.next() else {
            return refuse("nothing is said of it");
        };
        let proto = protocol(proto, &mut words)?;
        let (src, sport) = end(words.next(), "source")?;
        match words.next() {
            Some(">") => {}
            Some(other) => return refuse(format!("`>` belongs behind the source, not `{other}`")),
            None => return refuse("the destination is missing"),
        }
        let (dst, dport) = end(words.next(), "destination")?;
        if src.is_ipv4() != dst.is_ipv4() {
            return refuse(format!("{src} and {dst} are of two families"));
        }
        let transport = proto.with_ports(sport, dport, src.is_ipv6())?;
        let mut sketch = Self {
            src,
            dst,
            transport,
            vlan: 0,
            mark: 0,
            length: None,
            ttl: 64,
            dscp: 0,
            state: None,
        };
        while let Some(word) = words.next() {
            sketch.detail(word, &mut words)?;
        }
        sketch.finish()
    }
}

/// What the first word says.
#[derive(Clone, Copy)]
enum Protocol {
    Ported(fn(u16, u16) -> Transport),
    Icmp { v6: bool },
    Other(u8),
}

fn protocol<'a>(
    word: &str,
    words: &mut impl Iterator<Item = &'a str>,
) -> Result<Protocol, PacketError> {
    Ok(match word {
        "tcp" => Protocol::Ported(|s, d| Transport::Tcp(s, d, 0)),
        "udp" => Protocol::Ported(Transport::Udp),
        "sctp" => Protocol::Ported(Transport::Sctp),
        "icmp" => Protocol::Icmp { v6: false },
        "icmpv6" | "icmp6" => Protocol::Icmp { v6: true },
        "proto" => Protocol::Other(number(word, words.next(), u8::MAX.into())? as u8),
        _ => match PROTOCOLS.iter().find(|(name, _)| *name == word) {
            Some((_, number)) => Protocol::Other(*number),
            None => {
                return refuse(format!(
                    "`{word}` is no protocol: tcp, udp, sctp, icmp, icmpv6, esp, gre, …, or `proto NUMBER`"
                ));
            }
        },
    })
}

impl Protocol {
    fn with_ports(
        self,
        sport: Option<u16>,
        dport: Option<u16>,
        is_v6: bool,
    ) -> Result<Transport, PacketError> {
        match (self, sport, dport) {
            (Self::Ported(make), Some(sport), Some(dport)) => Ok(make(sport, dport)),
            (Self::Ported(_), ..) => {
                refuse("ports belong behind both addresses, as in `10.0.0.2:22` or `[::1]:22`")
            }
            (Self::Icmp { v6 }, None, None) if v6 != is_v6 => {
                refuse("icmp goes with IPv4 addresses, icmpv6 with IPv6 addresses")
            }
            (Self::Icmp { v6 }, None, None) => Ok(Transport::Icmp(IcmpKind {
                kind: if v6 { 128 } else { 8 },
                code: 0,
                id: 1,
            })),
            (Self::Other(number), None, None) => Ok(Transport::Other(number)),
            _ => refuse("this protocol has no ports"),
        }
    }
}

/// One end: an address, and a port if one is said.
fn end(word: Option<&str>, which: &str) -> Result<(IpAddr, Option<u16>), PacketError> {
    let Some(word) = word else {
        return refuse(format!("the {which} is missing"));
    };
    if let Ok(socket) = word.parse::<SocketAddr>() {
        return Ok((socket.ip(), Some(socket.port())));
    }
    let bare = word.strip_prefix('[').and_then(|w| w.strip_suffix(']'));
    match bare.unwrap_or(word).parse() {
        Ok(address) => Ok((address, None)),
        Err(_) => refuse(format!(
            "`{word}` is no {which}: an address, with a port as in `10.0.0.2:22` or `[2001:db8::1]:22`"
        )),
    }
}

/// The number behind a word.
fn number(what: &str, word: Option<&str>, most: u32) -> Result<u32, PacketError> {
    let Some(word) = word else {
        return refuse(format!("a number belongs behind `{what}`"));
    };
    let parsed = match word.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => word.parse(),
    };
    match parsed {
        Ok(number) if number <= most => Ok(number),
        _ => refuse(format!(
            "`{what} {word}`: a number up to {most} is expected"
        )),
    }
}

impl Sketch {
    /// Takes in one of the words behind the addresses.
    fn detail<'a>(
        &mut self,
        word: &str,
        words: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), PacketError> {
        match word {
            "vlan" => self.vlan = number(word, words.next(), 4094)? as u16,
            "mark" => self.mark = number(word, words.next(), u32::MAX)?,
            "length" | "len" => {
                self.length = Some(number(word, words.next(), u16::MAX.into())? as u16);
            }
            "ttl" | "hoplimit" => self.ttl = number(word, words.next(), u8::MAX.into())? as u8,
            "dscp" => self.dscp = number(word, words.next(), 63)? as u8,
            "state" => self.state = Some(state(words.next())?),
            _ => return self.of_transport(word, words),
        }
        Ok(())
    }

    fn of_transport<'a>(
        &mut self,
        word: &str,
        words: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), PacketError> {
        let names: &[(&str, u8)] = if self.src.is_ipv6() { &ICMPV6 } else { &ICMP };
        match &mut self.transport {
            Transport::Tcp(_, _, flags) => match FLAGS.iter().find(|(name, _)| *name == word) {
                Some((_, bit)) => *flags |= bit,
                None => return unknown(word, "syn, ack, fin, rst, psh, urg, ecn, cwr"),
            },
            Transport::Icmp(icmp) => match word {
                "type" => icmp.kind = icmp_type(names, words.next())?,
                "code" => icmp.code = number(word, words.next(), u8::MAX.into())? as u8,
                "id" => icmp.id = number(word, words.next(), u16::MAX.into())? as u16,
                name if names.iter().any(|(known, _)| *known == name) => {
                    icmp.kind = icmp_type(names, Some(name))?;
                }
                _ => return unknown(word, "echo-request, echo-reply, type, code, id"),
            },
            _ => return unknown(word, ""),
        }
        Ok(())
    }

    /// A TCP segment of which no flag was said goes on with a connection.
    fn finish(mut self) -> Result<Self, PacketError> {
        if let Transport::Tcp(_, _, flags @ 0) = &mut self.transport {
            *flags = 0x10;
        }
        let least = self.least_length();
        if self.length.is_some_and(|length| length < least) {
            return refuse(format!(
                "with its headers it is {least} bytes long at least"
            ));
        }
        Ok(self)
    }

    /// Bytes of its headers, from the IP header on.
    pub(super) fn least_length(&self) -> u16 {
        let ip = if self.src.is_ipv6() { 40 } else { 20 };
        ip + match self.transport {
            Transport::Tcp(..) => 20,
            Transport::Udp(..) | Transport::Icmp(_) => 8,
            Transport::Sctp(..) => 32,
            Transport::Other(_) => 8,
        }
    }
}

fn icmp_type(names: &[(&str, u8)], word: Option<&str>) -> Result<u8, PacketError> {
    let named = names.iter().find(|(name, _)| Some(*name) == word);
    match named {
        Some((_, kind)) => Ok(*kind),
        None => number("type", word, u8::MAX.into()).map(|kind| kind as u8),
    }
}

fn state(word: Option<&str>) -> Result<CtInfo, PacketError> {
    let found = STATES.iter().find(|(name, _)| Some(*name) == word);
    match found {
        Some((_, info)) => Ok(*info),
        None => refuse("behind `state`: new, established, related, invalid or untracked"),
    }
}

fn unknown(word: &str, more: &str) -> Result<(), PacketError> {
    let comma = if more.is_empty() { "" } else { ", " };
    refuse(format!(
        "`{word}` says nothing: vlan N, mark N, length N, ttl N, dscp N, state STATE{comma}{more}"
    ))
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
