//! Reading and emptying the kernel's table: ctnetlink (`linux/netfilter/nfnetlink_conntrack.h`).

use std::io;

use fw_common::flow::Tuple;
use fw_common::status;
use fw_common::wire::{Family, proto};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

use super::entry::Entry;

/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET` and `…_DELETE`.
const GET: u16 = 0x0101;
const DELETE: u16 = 0x0102;
/// `NLM_F_REQUEST`, `NLM_F_ACK`, `NLM_F_DUMP`.
const REQUEST: u16 = 0x001;
const ACK: u16 = 0x004;
const DUMP: u16 = 0x300;
/// Message types `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// Lengths of `struct nlmsghdr` and `struct nfgenmsg`.
const HEADER: usize = 16;
const GENERIC: usize = 4;

/// TCP's states by the kernel's number.
const STATES: [&str; 10] = [
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
];

/// SCTP's.
const SCTP_STATES: [&str; 9] = [
    "NONE",
    "CLOSED",
    "COOKIE_WAIT",
    "COOKIE_ECHOED",
    "ESTABLISHED",
    "SHUTDOWN_SENT",
    "SHUTDOWN_RECD",
    "SHUTDOWN_ACK_SENT",
    "HEARTBEAT_SENT",
];

/// A connection to the conntrack of the network namespace in which it was opened.
pub(crate) struct Ctnetlink(Socket);

impl Ctnetlink {
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self(socket))
    }

    /// Forgets every flow.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.ask(DELETE, REQUEST | ACK)?;
        self.answers(|_| {})
    }

    /// Every flow that has not expired.
    pub(crate) fn dump(&self) -> io::Result<Vec<Entry>> {
        self.ask(GET, REQUEST | DUMP)?;
        let mut entries = Vec::new();
        self.answers(|body| entries.extend(parse(body)))?;
        Ok(entries)
    }

    fn ask(&self, kind: u16, flags: u16) -> io::Result<()> {
        let mut message = Vec::with_capacity(HEADER + GENERIC);
        message.extend(((HEADER + GENERIC) as u32).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        // Sequence number, port, and family "any" with version 0.
        message.extend([0; 8 + GENERIC]);
        self.0.send(&message, 0).map(drop)
    }

    /// Hands every message to `take`, until the last.
    fn answers(&self, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            let (datagram, _) = self.0.recv_from_full()?;
            let mut rest = &datagram[..];
            while let Some(len) = rest
                .first_chunk()
                .map(|len| u32::from_ne_bytes(*len) as usize)
            {
                let (message, more) = rest.split_at(len.next_multiple_of(4).min(rest.len()));
                rest = more;
                match u16::from_ne_bytes([message[4], message[5]]) {
                    DONE => return Ok(()),
                    ERROR => return verdict(&message[HEADER..]),
                    _ => take(&message[HEADER + GENERIC..len]),
                }
            }
        }
    }
}

/// The outcome in an `NLMSG_ERROR`.
fn verdict(body: &[u8]) -> io::Result<()> {
    match body
        .first_chunk()
        .map_or(0, |code| i32::from_ne_bytes(*code))
    {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(-code)),
    }
}

/// The value of the first attribute of type `wanted`, empty if there is none.
pub(crate) fn attribute(attributes: &[u8], wanted: u16) -> &[u8] {
    let mut rest = attributes;
    while let [a, b, c, d, ..] = rest {
        let len = usize::from(u16::from_ne_bytes([*a, *b]));
        // The upper two bits say that it is nested, or in network byte order.
        if u16::from_ne_bytes([*c, *d]) & 0x3fff == wanted {
            return &rest[4..len];
        }
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    &[]
}

/// A number in network byte order, 0 if there is none.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn parse(attributes: &[u8]) -> Option<Entry> {
    // CTA_TUPLE_ORIG 1, STATUS 3, PROTOINFO 4, TIMEOUT 7, COUNTERS_ORIG 9, COUNTERS_REPLY 10.
    let (family, original) = tuple(attribute(attributes, 1))?;
    let bits = number(attribute(attributes, 3)) as u32;
    // CTA_PROTOINFO_TCP 1, CTA_PROTOINFO_SCTP 3; the state is number 1 of each.
    let state =
        |protocol| number(attribute(attribute(attribute(attributes, 4), protocol), 1)) as usize;
    let state = match original.proto {
        proto::TCP => STATES[state(1)],
        proto::SCTP => SCTP_STATES[state(3)],
        _ => "",
    };
    Some(Entry {
        family,
        original,
        state,
        timeout: number(attribute(attributes, 7)) as u32,
        replied: bits & status::SEEN_REPLY != 0,
        assured: bits & status::ASSURED != 0,
        counted: [9, 10].map(|which| {
            let counters = attribute(attributes, which);
            (
                number(attribute(counters, 1)),
                number(attribute(counters, 2)),
            )
        }),
    })
}

/// `CTA_TUPLE_IP` 1 with addresses 1–4, `CTA_TUPLE_PROTO` 2 with number 1, ports 2 and 3, ICMP's id,
/// type and code 4–6, ICMPv6's 7–9.
fn tuple(attributes: &[u8]) -> Option<(Family, Tuple)> {
    let (ip, transport) = (attribute(attributes, 1), attribute(attributes, 2));
    let wide = |bytes: &[u8]| {
        let mut wide = [0; 16];
        wide[..bytes.len()].copy_from_slice(bytes);
        wide
    };
    let v4 = !attribute(ip, 1).is_empty();
    let (family, src, dst) = if v4 {
        (Family::V4, 1, 2)
    } else {
        (Family::V6, 3, 4)
    };
    let part = |kind| number(attribute(transport, kind)) as u16;
    let proto = part(1) as u8;
    let id = if v4 { 4 } else { 7 };
    let query = fw_common::icmp::is_icmp(family, proto);
    let (sport, dport) = if query {
        (part(id), part(id + 1) << 8 | part(id + 2))
    } else {
        (part(2), part(3))
    };
    let (src, dst) = (wide(attribute(ip, src)), wide(attribute(ip, dst)));
    Some((
        family,
        Tuple {
            src,
            dst,
            sport,
            dport,
            proto,
            request: query,
        },
    ))
}
