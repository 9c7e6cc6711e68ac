//! What rules of the kernel's log to a group: nfnetlink_log (`linux/netfilter/nfnetlink_log.h`).

use std::io;

use netlink_sys::Socket;

use super::netlink::{self, ACK, ERROR, GENERIC, REQUEST, attribute};

/// `NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET` and `…_CONFIG`.
const PACKET: u16 = 0x0400;
const CONFIG: u16 = 0x0401;
/// `NFULA_CFG_CMD` and `NFULA_CFG_MODE`; `NFULNL_CFG_CMD_BIND` and `NFULNL_COPY_PACKET`.
const COMMAND: u16 = 1;
const MODE: u16 = 2;
const BIND: u8 = 1;
const COPY_PACKET: u8 = 2;
/// `NFULA_PAYLOAD` and `NFULA_PREFIX`.
const PAYLOAD: u16 = 9;
const PREFIX: u16 = 10;
/// Bytes of each packet that are wanted.
const RANGE: u32 = 128;

/// A listener to one group, of the network namespace in which it was opened.
pub(crate) struct Nflog(Socket);

impl Nflog {
    pub(crate) fn open(group: u16) -> io::Result<Self> {
        let socket = netlink::connect()?;
        socket.send(&subscription(group), 0)?;
        let (answer, _) = socket.recv_from_full()?;
        let acknowledged = netlink::messages(&answer).next();
        netlink::verdict(acknowledged.map_or(&[], |(_, body)| body))?;
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
            for (kind, body) in netlink::messages(&datagram) {
                match kind {
                    PACKET => {
                        let body = &body[GENERIC..];
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
    netlink::message(CONFIG, REQUEST | ACK, group, &attributes)
}
