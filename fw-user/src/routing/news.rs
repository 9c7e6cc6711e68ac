//! News from the kernel about everything that decides where packets go ([`News`]), and about who sees them on their way
//! ([`RuleNews`]).

use std::collections::HashMap;
use std::io;

use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_XFRM};
use netlink_sys::{AsyncSocket as _, AsyncSocketExt as _, TokioSocket};

use crate::sys::netlink_raw::{Message, attribute, messages, number};

/// `RTNLGRP_*`: links, neighbours, addresses, routes, rules, forwarding switches, next-hop objects.
const GROUPS: [u32; 11] = [1, 3, 5, 7, 8, 9, 11, 19, 24, 25, 32];
/// `XFRMNLGRP_POLICY`.
const POLICY_GROUP: u32 = 4;
/// `NFNLGRP_NFTABLES`.
const RULES_GROUP: u32 = 7;

/// `RTM_NEWLINK`, `RTM_NEWNEIGH`, `RTM_DELNEIGH`.
const NEW_LINK: u16 = 16;
const NEW_NEIGHBOUR: u16 = 28;
const DEL_NEIGHBOUR: u16 = 29;

/// `NUD_*` of a neighbour whose hardware address counts: permanent, noarp, reachable, probe, stale, delay.
const VALID: u16 = 0x80 | 0x40 | 0x02 | 0x10 | 0x04 | 0x08;
/// `AF_BRIDGE`: what bridges have learnt; no next hops.
const BRIDGE: u8 = 7;
/// `NDA_DST`, `NDA_LLADDR`.
const ADDRESS: u16 = 1;
const HARDWARE: u16 = 2;
/// Lengths of `struct ndmsg` and `struct ifinfomsg`.
const NEIGHBOUR_HEADER: usize = 12;
const LINK_HEADER: usize = 16;
/// `IFLA_ADDRESS`, `IFLA_MTU`, `IFLA_MASTER`.
const LINK_FACTS: [u16; 3] = [1, 4, 10];

/// Neighbours and links that are remembered at most; then everything is forgotten.
const REMEMBERED: usize = 1 << 16;

/// Receives the news of where packets go.
pub struct News {
    routes: TokioSocket,
    policies: Option<TokioSocket>,
    memory: Memory,
}

impl News {
    /// Subscribes; needs a tokio runtime.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn subscribe() -> io::Result<Self> {
        let routes = subscribe(NETLINK_ROUTE, &GROUPS)?;
        Ok(Self {
            routes,
            // A kernel without IPsec has none of its policies.
            policies: subscribe(NETLINK_XFRM, &[POLICY_GROUP]).ok(),
            memory: Memory::default(),
        })
    }

    /// Waits until something has changed that decides where packets go.
    ///
    /// # Errors
    /// The socket fails. That the kernel had more news than room is no error, but news.
    pub async fn next(&mut self) -> io::Result<()> {
        loop {
            let received = tokio::select! {
                received = self.routes.recv_from_full() => received.map(|(datagram, _)| datagram),
                heard = any(self.policies.as_mut()) => return heard,
            };
            match received {
                Ok(datagram) => {
                    let mut changed = false;
                    for message in messages(&datagram) {
                        changed |= self.memory.is_news(&message);
                    }
                    if changed {
                        return Ok(());
                    }
                }
                // Overrun: who knows what was lost.
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.memory = Memory::default();
                    return Ok(());
                }
                Err(e) => return Err(e),
            }
        }
    }
}

/// Receives the news of nftables' rules; of others' nobody tells. Apart from [`News`], since there may be no end to
/// them: whoever fills a set makes one an element.
pub struct RuleNews(TokioSocket);

impl RuleNews {
    /// Subscribes; needs a tokio runtime.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn subscribe() -> io::Result<Self> {
        subscribe(NETLINK_NETFILTER, &[RULES_GROUP]).map(Self)
    }

    /// Waits until a rule has changed.
    ///
    /// # Errors
    /// As of [`News::next`].
    pub async fn next(&mut self) -> io::Result<()> {
        any(Some(&mut self.0)).await
    }
}

/// Waits for whatever the socket says, for ever if there is none.
async fn any(socket: Option<&mut TokioSocket>) -> io::Result<()> {
    let Some(socket) = socket else {
        return std::future::pending().await;
    };
    match socket.recv_from_full().await {
        Err(e) if e.raw_os_error() != Some(libc::ENOBUFS) => Err(e),
        _ => Ok(()),
    }
}

fn subscribe(protocol: isize, groups: &[u32]) -> io::Result<TokioSocket> {
    let mut socket = TokioSocket::new(protocol)?;
    socket.socket_mut().bind_auto()?;
    for group in groups {
        socket.socket_mut().add_membership(*group)?;
    }
    Ok(socket)
}

/// What was heard before. The kernel tells of neighbours all the time, as they are confirmed and grow stale
/// again; what counts is only whether there is a hardware address, and which.
#[derive(Debug, Default)]
struct Memory {
    heard: HashMap<Vec<u8>, Vec<u8>>,
}

impl Memory {
    /// Whether the message says something new.
    fn is_news(&mut self, message: &Message) -> bool {
        let body = &message.body;
        let (key, facts) = match message.kind {
            NEW_NEIGHBOUR | DEL_NEIGHBOUR => {
                if body.first() == Some(&BRIDGE) {
                    return false;
                }
                let gone = message.kind == DEL_NEIGHBOUR;
                match neighbour(body, gone) {
                    Some(heard) => heard,
                    None => return true,
                }
            }
            NEW_LINK => match link(body) {
                Some(heard) => heard,
                None => return true,
            },
            _ => return true,
        };
        if self.heard.len() >= REMEMBERED {
            self.heard.clear();
        }
        self.heard.insert(key, facts.clone()) != Some(facts)
    }
}

/// A neighbour, and its hardware address if that counts.
fn neighbour(body: &[u8], gone: bool) -> Option<(Vec<u8>, Vec<u8>)> {
    let index = body.get(4..8)?;
    let state = u16::from_ne_bytes(*body.get(8..10)?.first_chunk()?);
    let attributes = body.get(NEIGHBOUR_HEADER..)?;
    let key = [b"n", index, attribute(attributes, ADDRESS)?].concat();
    let valid = !gone && state & VALID != 0;
    let hardware = attribute(attributes, HARDWARE).filter(|_| valid);
    Some((key, hardware.unwrap_or(&[]).to_vec()))
}

/// A link, and what of it decides where packets go.
fn link(body: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    // `struct ifinfomsg`: family, padding, type, index, flags, change mask.
    let (index, flags) = (body.get(4..8)?, number(body.get(8..12)?));
    /// `IFF_UP`, `IFF_RUNNING`.
    const UP: u32 = 0x41;
    let attributes = body.get(LINK_HEADER..)?;
    let mut facts = (flags & UP).to_ne_bytes().to_vec();
    for wanted in LINK_FACTS {
        facts.extend(attribute(attributes, wanted).unwrap_or(&[]));
        facts.push(0);
    }
    Some(([b"l", index].concat(), facts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::netlink_raw::make_attribute;

    const REACHABLE: u16 = 2;
    const STALE: u16 = 4;
    const FAILED: u16 = 0x20;

    fn about(kind: u16, state: u16, mac: u8) -> Message {
        let mut body = vec![2, 0, 0, 0, 7, 0, 0, 0];
        body.extend(state.to_ne_bytes());
        body.extend([0, 1]);
        body.extend(make_attribute(ADDRESS, &[10, 0, 0, 2]));
        body.extend(make_attribute(HARDWARE, &[2, 0, 0, 0, 0, mac]));
        Message { kind, body }
    }

    #[test]
    fn a_neighbour_is_news_when_its_address_is_another() {
        let mut memory = Memory::default();
        assert!(memory.is_news(&about(NEW_NEIGHBOUR, REACHABLE, 1)));
        assert!(!memory.is_news(&about(NEW_NEIGHBOUR, STALE, 1)));
        assert!(memory.is_news(&about(NEW_NEIGHBOUR, STALE, 2)));
        assert!(memory.is_news(&about(NEW_NEIGHBOUR, FAILED, 2)));
        assert!(!memory.is_news(&about(DEL_NEIGHBOUR, FAILED, 2)));
        assert!(memory.is_news(&about(NEW_NEIGHBOUR, REACHABLE, 2)));
        assert!(memory.is_news(&about(DEL_NEIGHBOUR, STALE, 2)));
    }

    #[test]
    fn what_bridges_learn_is_no_news() {
        let mut message = about(NEW_NEIGHBOUR, REACHABLE, 1);
        message.body[0] = BRIDGE;
        assert!(!Memory::default().is_news(&message));
    }

    #[test]
    fn a_link_is_news_when_something_of_it_counts() {
        let link = |flags: u32, mtu: u32| {
            let mut body = vec![0, 0, 1, 0, 7, 0, 0, 0];
            body.extend(flags.to_ne_bytes());
            body.extend([0; 4]);
            body.extend(make_attribute(4, &mtu.to_ne_bytes()));
            Message {
                kind: NEW_LINK,
                body,
            }
        };
        let mut memory = Memory::default();
        assert!(memory.is_news(&link(0x41, 1500)));
        assert!(!memory.is_news(&link(0x141, 1500)));
        assert!(memory.is_news(&link(0x41, 1400)));
        assert!(memory.is_news(&link(0x01, 1400)));
    }

    #[test]
    fn everything_else_is_news() {
        for kind in [17, 20, 24, 25, 32, 80, 104] {
            let message = Message {
                kind,
                body: Vec::new(),
            };
            assert!(Memory::default().is_news(&message));
        }
    }
}
