//! Reading and emptying the kernel's table: ctnetlink (`linux/netfilter/nfnetlink_conntrack.h`).

use std::io;

use fw_common::flow::Tuple;
use fw_common::status;
use fw_common::wire::{Family, proto};
use netlink_sys::Socket;

use super::entry::Entry;
use super::netlink::{self, ACK, DONE, DUMP, ERROR, GENERIC, REQUEST, attribute};

/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET` and `…_DELETE`.
const GET: u16 = 0x0101;
const DELETE: u16 = 0x0102;

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
        netlink::connect().map(Self)
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
        let message = netlink::message(kind, flags, 0, &[]);
        self.0.send(&message, 0).map(drop)
    }

    /// Hands every message to `take`, until the last.
    fn answers(&self, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            let (datagram, _) = self.0.recv_from_full()?;
            for (kind, body) in netlink::messages(&datagram) {
                match kind {
                    DONE => return Ok(()),
                    ERROR => return netlink::verdict(body),
                    _ => take(&body[GENERIC..]),
                }
            }
        }
    }
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
