//! What all of netfilter's netlink messages have in common (`linux/netlink.h`, `linux/netfilter/nfnetlink.h`).

use std::io;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

/// `NLM_F_REQUEST`, `NLM_F_ACK`, `NLM_F_DUMP`.
pub(crate) const REQUEST: u16 = 0x001;
pub(crate) const ACK: u16 = 0x004;
pub(crate) const DUMP: u16 = 0x300;
/// Message types `NLMSG_ERROR` and `NLMSG_DONE`.
pub(crate) const ERROR: u16 = 2;
pub(crate) const DONE: u16 = 3;
/// Lengths of `struct nlmsghdr` and `struct nfgenmsg`.
pub(crate) const HEADER: usize = 16;
pub(crate) const GENERIC: usize = 4;

/// A connection to the netfilter of the network namespace that the thread is in.
pub(crate) fn connect() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

/// A message of this type; `resource` is a number that some types have, `attributes` are ready to be sent.
pub(crate) fn message(kind: u16, flags: u16, resource: u16, attributes: &[u8]) -> Vec<u8> {
    let len = (HEADER + GENERIC + attributes.len()) as u32;
    let mut message = len.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    // Sequence number and port; family "any", version 0.
    message.extend([0; 10]);
    message.extend(resource.to_be_bytes());
    message.extend(attributes);
    message
}

/// Type and body of each message in a datagram.
pub(crate) fn messages(datagram: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let len = u32::from_ne_bytes(*rest.first_chunk()?) as usize;
        let (message, more) = rest.split_at(len.next_multiple_of(4).min(rest.len()));
        rest = more;
        let kind = u16::from_ne_bytes([message[4], message[5]]);
        Some((kind, &message[HEADER..len]))
    })
}

/// The outcome in the body of an [`ERROR`].
pub(crate) fn verdict(body: &[u8]) -> io::Result<()> {
    match body.first_chunk().map(|code| i32::from_ne_bytes(*code)) {
        Some(0) => Ok(()),
        code => Err(io::Error::from_raw_os_error(
            code.map_or(libc::EPROTO, i32::wrapping_neg),
        )),
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
