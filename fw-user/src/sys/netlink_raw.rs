//! Netlink without a library of messages: questions whose answers are a few numbers, and news of which only
//! the kind matters. (rtnetlink drops messages that it cannot decode; here none may be missed.)

use std::io;

use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// `NLM_F_REQUEST`, `NLM_F_DUMP`.
const REQUEST: u16 = 0x001;
const DUMP: u16 = 0x300;
/// Message types `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;

/// One message: its type, and what follows its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The type.
    pub kind: u16,
    /// The rest.
    pub body: Vec<u8>,
}

/// Asks for everything of a kind: a dump of `kind` by `protocol`, with `body` behind the header.
///
/// # Errors
/// What the kernel says; for one without this protocol that is `EPROTONOSUPPORT`.
pub fn dump(protocol: isize, kind: u16, body: &[u8]) -> io::Result<Vec<Message>> {
    ask(&connect(protocol)?, kind, REQUEST | DUMP, body)
}

/// [`dump`] of what may have no end: whether there is a message that `is_wanted`.
///
/// # Errors
/// As [`dump`].
pub fn dump_has(
    protocol: isize,
    kind: u16,
    body: &[u8],
    mut is_wanted: impl FnMut(&Message) -> bool,
) -> io::Result<bool> {
    let mut found = false;
    ask_each(
        &connect(protocol)?,
        (kind, REQUEST | DUMP),
        body,
        |message| {
            found = is_wanted(&message);
            !found
        },
    )?;
    Ok(found)
}

/// [`dump`] by rtnetlink that heeds the filters in `body`, instead of telling everything.
///
/// # Errors
/// As [`dump`].
pub fn dump_checked(kind: u16, body: &[u8]) -> io::Result<Vec<Message>> {
    let socket = connect(NETLINK_ROUTE)?;
    socket.set_netlink_get_strict_chk(true)?;
    ask(&socket, kind, REQUEST | DUMP, body)
}

/// Asks for one thing.
///
/// # Errors
/// As [`dump`].
pub fn get(protocol: isize, kind: u16, body: &[u8]) -> io::Result<Option<Message>> {
    let answers = ask(&connect(protocol)?, kind, REQUEST, body)?;
    Ok(answers.into_iter().next())
}

fn connect(protocol: isize) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

fn ask(socket: &Socket, kind: u16, flags: u16, body: &[u8]) -> io::Result<Vec<Message>> {
    let mut answers = Vec::new();
    ask_each(socket, (kind, flags), body, |message| {
        answers.push(message);
        true
    })?;
    Ok(answers)
}

/// Hands on each answer, for as long as `take` wants more.
fn ask_each(
    socket: &Socket,
    (kind, flags): (u16, u16),
    body: &[u8],
    mut take: impl FnMut(Message) -> bool,
) -> io::Result<()> {
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(((HEADER + body.len()) as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    // Sequence number and port.
    message.extend([0; 8]);
    message.extend(body);
    socket.send(&message, 0)?;
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        for message in messages(&datagram) {
            match message.kind {
                DONE => return Ok(()),
                ERROR => match number(&message.body) {
                    0 => return Ok(()),
                    code => return Err(io::Error::from_raw_os_error(-code.cast_signed())),
                },
                _ if take(message) => {}
                _ => return Ok(()),
            }
        }
        if flags & DUMP == 0 {
            return Ok(());
        }
    }
}

/// The messages in one datagram.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Message> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let header: &[u8; HEADER] = rest.first_chunk()?;
        let len = number(header) as usize;
        let body = rest.get(HEADER..len)?.to_vec();
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some(Message { kind, body })
    })
}

/// The value of the first attribute of type `wanted`, if there is one.
#[must_use]
pub fn attribute(attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    /// The upper two bits are flags (`NLA_F_NESTED`, `NLA_F_NET_BYTEORDER`).
    const TYPE: u16 = 0x3fff;
    let mut rest = attributes;
    while let [a, b, c, d, ..] = rest {
        let len = usize::from(u16::from_ne_bytes([*a, *b]));
        let value = rest.get(4..len)?;
        if u16::from_ne_bytes([*c, *d]) & TYPE == wanted {
            return Some(value);
        }
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
    }
    None
}

/// An attribute, ready to be sent.
#[must_use]
pub fn make_attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::from(((4 + value.len()) as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The 32-bit number at the start of `bytes`; 0 if there is none.
#[must_use]
pub fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |b| u32::from_ne_bytes(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_found() {
        let bytes = [
            make_attribute(3, b"abc"),
            make_attribute(0x8001, &[1, 0, 0, 0]),
        ]
        .concat();
        assert_eq!(attribute(&bytes, 3), Some(&b"abc"[..]));
        assert_eq!(attribute(&bytes, 1).map(number), Some(1));
        assert_eq!(attribute(&bytes, 2), None);
    }

    #[test]
    fn damaged_attributes_end_the_search() {
        for bytes in [&[0, 0, 1, 0][..], &[255, 0, 1, 0], &[3, 0, 1, 0], &[4, 0]] {
            assert_eq!(attribute(bytes, 1), None, "{bytes:?}");
        }
    }

    #[test]
    fn messages_of_a_datagram() {
        let one = [
            &20u32.to_ne_bytes()[..],
            &24u16.to_ne_bytes(),
            &[0; 10],
            &[7; 4],
        ]
        .concat();
        let seen: Vec<_> = messages(&[one.clone(), one.clone(), vec![1, 2]].concat()).collect();
        assert_eq!(seen.len(), 2);
        assert_eq!((seen[0].kind, &seen[0].body[..]), (24, &[7; 4][..]));
        assert_eq!(messages(&one[..19]).count(), 0);
    }
}
