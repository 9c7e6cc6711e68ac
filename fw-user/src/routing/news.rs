//! News from the kernel about everything that decides where packets go ([`News`]), and about who sees them on their way
//! ([`RuleNews`]).

use std::io;

use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_XFRM};
use netlink_sys::{AsyncSocket as _, AsyncSocketExt as _, SocketAddr, TokioSocket};

use super::bypass::is_unknown;
use super::memory::Memory;

/// `RTNLGRP_*`: links, neighbours, addresses, routes, rules, forwarding switches, next-hop objects.
const GROUPS: [u32; 11] = [1, 3, 5, 7, 8, 9, 11, 19, 24, 25, 32];
/// `XFRMNLGRP_POLICY`.
const POLICY_GROUP: u32 = 4;
/// `NFNLGRP_NFTABLES`.
const RULES_GROUP: u32 = 7;

/// Room for what has not been read yet, in bytes, of which the kernel makes twice as many, or fewer.
const ROOM: u32 = 1 << 20;
/// Datagrams that are read at once. No more of them find room (each takes more than 512 bytes): what waited when the reading
/// began has been read at its end, however fast more of it comes.
const AT_ONCE: usize = 4096;

/// Receives the news of where packets go.
pub struct News {
    routes: TokioSocket,
    policies: Option<TokioSocket>,
    memory: Memory,
}

impl News {
    /// Subscribes; needs a tokio runtime. What is asked of the kernel afterwards is no older than the first news.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn subscribe() -> io::Result<Self> {
        let routes = subscribe(NETLINK_ROUTE, &GROUPS)?;
        let policies = match subscribe(NETLINK_XFRM, &[POLICY_GROUP]) {
            Ok(policies) => Some(policies),
            // A kernel without IPsec has none of its policies.
            Err(e) if is_unknown(&e) => None,
            Err(e) => return Err(e),
        };
        let mut memory = Memory::new();
        memory.renew();
        Ok(Self {
            routes,
            policies,
            memory,
        })
    }

    /// Waits until the kernel says something, and takes in all that waits by then: whether anything has changed that
    /// decides where packets go.
    ///
    /// # Errors
    /// The socket fails. That the kernel had more news than room is no error, but news.
    pub async fn next(&mut self) -> io::Result<bool> {
        let mut changed = tokio::select! {
            received = self.routes.recv_from_full() => {
                let heard = heard(received)?;
                self.memory.hear(heard.as_deref())
            }
            received = any(self.policies.as_mut()) => received.map(|()| true)?,
        };
        changed |= self.take_in()?;
        Ok(changed)
    }

    /// Whether a route for one type of service may have come since this was asked last.
    pub fn services_may_have_come(&mut self) -> bool {
        self.memory.services_may_have_come()
    }

    /// Takes in all that waits now: whether anything has changed.
    ///
    /// # Errors
    /// As of [`Self::next`].
    pub fn take_in(&mut self) -> io::Result<bool> {
        let Self {
            routes,
            policies,
            memory,
        } = self;
        let mut changed = false;
        read_all(routes, |datagram| changed |= memory.hear(datagram))?;
        if let Some(policies) = policies {
            read_all(policies, |_| changed = true)?;
        }
        // Before what holds for the next hops that were found until now ends: those found later are as the kernel
        // says now, or as it will still tell.
        changed |= memory.renew();
        Ok(changed)
    }
}

/// Reads what waits at a socket; `None` is what there was no room for.
fn read_all(socket: &TokioSocket, mut take: impl FnMut(Option<&[u8]>)) -> io::Result<()> {
    for _ in 0..AT_ONCE {
        match heard(socket.socket_ref().recv_from_full()) {
            Ok(datagram) => take(datagram.as_deref()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// A datagram; `None` if the kernel had more to say than there was room for: who knows what was lost.
fn heard(received: io::Result<(Vec<u8>, SocketAddr)>) -> io::Result<Option<Vec<u8>>> {
    match received {
        Ok((datagram, _)) => Ok(Some(datagram)),
        Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => Ok(None),
        Err(e) => Err(e),
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

    /// Waits until rules have changed.
    ///
    /// # Errors
    /// As of [`News::next`].
    pub async fn next(&mut self) -> io::Result<()> {
        any(Some(&mut self.0)).await?;
        read_all(&self.0, |_| {})
    }
}

/// Waits for whatever the socket says, for ever if there is none.
async fn any(socket: Option<&mut TokioSocket>) -> io::Result<()> {
    let Some(socket) = socket else {
        return std::future::pending().await;
    };
    heard(socket.recv_from_full().await).map(drop)
}

fn subscribe(protocol: isize, groups: &[u32]) -> io::Result<TokioSocket> {
    let mut socket = TokioSocket::new(protocol)?;
    socket.socket_mut().bind_auto()?;
    socket.socket_ref().set_rx_buf_sz(ROOM)?;
    for group in groups {
        socket.socket_mut().add_membership(*group)?;
    }
    Ok(socket)
}
