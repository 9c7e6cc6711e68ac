//! What rules of the kernel's log to a group: nfnetlink_log (`linux/netfilter/nfnetlink_log.h`).

use std::io;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

use super::ctnetlink::attribute;

/// `NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET` and `…_CONFIG`.
const PACKET: u16 = 0x0400;
const CONFIG: u16 = 0x0401;
/// `NLM_F_REQUEST`, `NLM_F_ACK`.
const REQUEST: u16 = 0x001;
const ACK: u16 = 0x004;
/// Message type `NLMSG_ERROR`.
const ERROR: u16 = 2;
/// `NFULA_CFG_CMD` and `NFULA_CFG_MODE`; `NFULNL_CFG_CMD_BIND` and `NFULNL_COPY_PACKET`.
const COMMAND: u16 = 1;
const MODE: u16 = 2;
const BIND: u8 = 1;
const COPY_PACKET: u8 = 2;
/// `NFULA_PAYLOAD` and `NFULA_PREFIX`.
const PAYLOAD: u16 = 9;
const PREFIX: u16 = 10;
/// Lengths of `struct nlmsghdr` and `struct nfgenmsg`.
const HEADER: usize = 16;
const GENERIC: usize = 4;

/// Bytes of each packet that are wanted.
const RANGE: u32 = 128;

/// A listener to one group, of the network namespace in which it was opened.
pub(crate) struct Nflog(Socket);

impl Nflog {
    pub(crate) fn open(group: u16) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.send(&subscription(group), 0)?;
        let (answer, _) = socket.recv_from_full()?;
        let code = answer
            .get(HEADER..HEADER + 4)
            .map(|code| [code[0], code[1], code[2], code[3]]);
        match code.map(i32::from_ne_bytes) {
            Some(0) => {}
            code => return Err(io::Error::from_raw_os_error(-code.unwrap_or(-libc::EPROTO))),
        }
        socket.set_non_blocking(true)?;
        Ok(Self(socket))
    }

    /// Hands prefix and first bytes of every packet logged since the last call to `take`.
    pub(crate) fn each<E: From<io::Error>>(
        &self,
        mut take: impl FnMut(&str, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            let datagram = match self.0.recv_from_full() {
                Ok((datagram, _)) => datagram,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let mut rest = &datagram[..];
            while let Some(len) = rest
                .first_chunk()
                .map(|len| u32::from_ne_bytes(*len) as usize)
            {
                let (message, more) = rest.split_at(len.next_multiple_of(4).min(rest.len()));
                rest = more;
                match u16::from_ne_bytes([message[4], message[5]]) {
                    PACKET => {
                        let body = &message[HEADER + GENERIC..len];
                        let prefix = attribute(body, PREFIX);
                        let prefix = prefix.strip_suffix(&[0]).unwrap_or(prefix);
                        take(&String::from_utf8_lossy(prefix), attribute(body, PAYLOAD))?;
                    }
                    ERROR => return Err(io::Error::other("nfnetlink_log reports an error").into()),
                    _ => {}
                }
            }
        }
    }
}

/// The message that asks for the packets of a group.
fn subscription(group: u16) -> Vec<u8> {
    let mut attributes = vec![5, 0];
    attributes.extend(COMMAND.to_ne_bytes());
    attributes.extend([BIND, 0, 0, 0]);
    attributes.extend([10, 0]);
    attributes.extend(MODE.to_ne_bytes());
    attributes.extend(RANGE.to_be_bytes());
    attributes.extend([COPY_PACKET, 0, 0, 0]);
    let mut message = ((HEADER + GENERIC + attributes.len()) as u32)
        .to_ne_bytes()
        .to_vec();
    message.extend(CONFIG.to_ne_bytes());
    message.extend((REQUEST | ACK).to_ne_bytes());
    // Sequence number and port; any family, version 0.
    message.extend([0; 10]);
    message.extend(group.to_be_bytes());
    message.extend(attributes);
    message
}
