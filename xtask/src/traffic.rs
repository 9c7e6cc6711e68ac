//! Real traffic from real sockets between the hosts of a lab.
//!
//! A socket belongs to the network namespace in which it was opened, whichever thread uses it
//! later: only opening it needs [`Host::enter`]. Everything that waits gives up after
//! [`PATIENCE`], so that a firewall that drops makes a test fail, not hang.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_reuseaddr, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

use crate::lab::{Host, within};

/// How long a connect, accept, send or receive waits: what has to come does so on a machine that stands still
/// for seconds, too.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long is waited for what must not come.
pub const NOTHING: Duration = Duration::from_millis(500);

/// Both ends of a TCP connection.
#[derive(Debug)]
pub struct Tcp {
    /// The end that connected.
    pub client: TcpStream,
    /// The end that accepted.
    pub server: TcpStream,
}

impl Tcp {
    /// Connects `client` to `server` from address `from` to address `to`; port 0 in `from` lets
    /// the kernel choose.
    ///
    /// # Errors
    /// When an address is taken or not the host's, or the handshake does not get through.
    pub fn open(client: &Host, from: SocketAddr, server: &Host, to: SocketAddr) -> Result<Self> {
        let listener = server.enter(|| listen(to))??;
        let client = client.enter(|| dial(from, to))??;
        let (server, _) = listener
            .accept()
            .with_context(|| format!("no connection to {to}"))?;
        server.set_read_timeout(Some(PATIENCE))?;
        server.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { client, server })
    }

    /// Sends `bytes` from the client and the same back from the server.
    ///
    /// # Errors
    /// When they do not arrive, or not unchanged.
    pub fn echo(&mut self, bytes: &[u8]) -> Result<()> {
        pass(&mut self.client, &mut self.server, bytes).context("client to server")?;
        pass(&mut self.server, &mut self.client, bytes).context("server to client")
    }

    /// As [`Tcp::echo`], of what must not arrive: for [`NOTHING`] only.
    ///
    /// # Errors
    /// When it does arrive, or cannot be sent.
    pub fn is_cut(&mut self, bytes: &[u8]) -> Result<()> {
        self.client.write_all(bytes).context("can't send")?;
        self.server.set_read_timeout(Some(NOTHING))?;
        let read = uninterrupted(|| self.server.read(&mut [0]));
        self.server.set_read_timeout(Some(PATIENCE))?;
        match read {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            other => bail!("something arrives: {other:?}"),
        }
    }

    /// Closes the connection in order, the client first; both ends have then seen the other's FIN.
    ///
    /// # Errors
    /// When an end does not see the other's FIN.
    pub fn close(mut self) -> Result<()> {
        self.client.shutdown(Shutdown::Write)?;
        expect_end(&mut self.server).context("the client's FIN")?;
        self.server.shutdown(Shutdown::Write)?;
        expect_end(&mut self.client).context("the server's FIN")
    }
}

fn listen(on: SocketAddr) -> Result<TcpListener> {
    let listener =
        once_free(|| TcpListener::bind(on)).with_context(|| format!("can't listen on {on}"))?;
    // accept(2) heeds it.
    set_socket_timeout(&listener, Timeout::Recv, Some(PATIENCE))?;
    Ok(listener)
}

fn dial(from: SocketAddr, to: SocketAddr) -> Result<TcpStream> {
    let socket = tcp_socket(from, SocketFlags::CLOEXEC)?;
    set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    // Begun again, it goes on waiting for the same connection.
    uninterrupted(|| Ok(connect(&socket, &to)?))
        .with_context(|| format!("can't connect to {to}"))?;
    Ok(socket.into())
}

fn tcp_socket(from: SocketAddr, flags: SocketFlags) -> Result<OwnedFd> {
    let family = if from.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    // So that a test may open the same connection again while the old one is in TIME_WAIT.
    set_socket_reuseaddr(&socket, true)?;
    once_free(|| Ok(bind(&socket, &from)?)).with_context(|| format!("can't bind to {from}"))?;
    Ok(socket)
}

/// What `bind` says once its address is free: a child that another thread is just starting holds whatever
/// was open, and for an instant after it was closed as well.
///
/// # Errors
/// Those of `bind`; that the address is taken only if it stays so for [`PATIENCE`].
pub fn once_free<T>(mut bind: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let free = within(PATIENCE, || match bind() {
        Err(error) if error.kind() == ErrorKind::AddrInUse => None,
        result => Some(result),
    });
    free.unwrap_or_else(|| Err(ErrorKind::AddrInUse.into()))
}

/// What `call` says when no signal cuts it short: the kernel does not begin a call with a time limit again
/// (signal(7)), not even after it was only frozen and thawed.
///
/// # Errors
/// Those of `call` but [`ErrorKind::Interrupted`].
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Writes in a thread of its own: more than the sockets' buffers hold needs a reader meanwhile.
fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) -> Result<()> {
    let mut received = vec![0; bytes.len()];
    thread::scope(|scope| {
        let writer = scope.spawn(|| from.write_all(bytes));
        let read = to.read_exact(&mut received);
        let written = writer
            .join()
            .map_err(|_| anyhow::anyhow!("the writer panicked"))?;
        written.context("can't send")?;
        read.context("can't receive")
    })?;
    ensure!(
        received == bytes,
        "the bytes that arrived are not the ones sent"
    );
    Ok(())
}

fn expect_end(stream: &mut TcpStream) -> Result<()> {
    let read = uninterrupted(|| stream.read(&mut [0]))?;
    ensure!(read == 0, "more data instead of the end");
    Ok(())
}

/// Sends a SYN to an address from which no answer comes, and its retransmissions until the returned
/// socket is dropped.
///
/// # Errors
/// When `from` is taken or not the host's, or there is no route.
pub fn lone_syn(client: &Host, from: SocketAddr, to: SocketAddr) -> Result<OwnedFd> {
    client.enter(|| {
        let socket = tcp_socket(from, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        match connect(&socket, &to) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
            Err(error) => Err(error).with_context(|| format!("can't connect to {to}")),
        }
    })?
}

/// Two UDP sockets that talk to each other.
#[derive(Debug)]
pub struct Udp {
    client: UdpSocket,
    server: UdpSocket,
}

impl Udp {
    /// Opens both; nothing is sent yet.
    ///
    /// # Errors
    /// When an address is taken or not the host's.
    pub fn open(client: &Host, from: SocketAddr, server: &Host, to: SocketAddr) -> Result<Self> {
        let bound = |address: SocketAddr| {
            let socket = once_free(|| UdpSocket::bind(address))
                .with_context(|| format!("can't bind to {address}"))?;
            socket.set_read_timeout(Some(PATIENCE))?;
            anyhow::Ok(socket)
        };
        let client = client.enter(|| bound(from))??;
        client.connect(to)?;
        Ok(Self {
            client,
            server: server.enter(|| bound(to))??,
        })
    }

    /// Sends a datagram from the client, which may not arrive.
    ///
    /// # Errors
    /// When the kernel refuses to send it.
    pub fn send(&self, payload: &[u8]) -> Result<()> {
        self.client.send(payload).context("sending")?;
        Ok(())
    }

    /// Sends a datagram from the client and waits until the server has it.
    ///
    /// # Errors
    /// When it does not arrive.
    pub fn query(&self, payload: &[u8]) -> Result<()> {
        self.client.send(payload)?;
        self.receive()
    }

    /// Waits until the server has a datagram.
    ///
    /// # Errors
    /// When none arrives.
    pub fn receive(&self) -> Result<()> {
        uninterrupted(|| self.server.recv(&mut [0; 2048])).context("the query does not arrive")?;
        Ok(())
    }

    /// Sends a datagram from the client and waits until the server has it: from whom, as the server sees it.
    ///
    /// # Errors
    /// When it does not arrive.
    pub fn seen_from(&self, payload: &[u8]) -> Result<SocketAddr> {
        self.client.send(payload)?;
        let received = uninterrupted(|| self.server.recv_from(&mut [0; 2048]));
        let (_, from) = received.context("the query does not arrive")?;
        Ok(from)
    }

    /// Sends a datagram from the server to `to` and waits until the client has it.
    ///
    /// # Errors
    /// When it does not arrive.
    pub fn answer_to(&self, to: SocketAddr, payload: &[u8]) -> Result<()> {
        self.server.send_to(payload, to)?;
        uninterrupted(|| self.client.recv(&mut [0; 2048])).context("the answer does not arrive")?;
        Ok(())
    }

    /// What arrives at the server until nothing has for `time`.
    #[must_use]
    pub fn drain(&self, time: Duration) -> Vec<Vec<u8>> {
        let mut arrived = Vec::new();
        let mut buffer = [0; 2048];
        if self.server.set_read_timeout(Some(time)).is_err() {
            return arrived;
        }
        while let Ok(length) = uninterrupted(|| self.server.recv(&mut buffer)) {
            arrived.push(buffer[..length].to_vec());
        }
        // It was set a moment ago, too.
        drop(self.server.set_read_timeout(Some(PATIENCE)));
        arrived
    }

    /// Sends a datagram from the server and waits until the client has it.
    ///
    /// # Errors
    /// When it does not arrive.
    pub fn answer(&self, payload: &[u8]) -> Result<()> {
        self.answer_to(self.client.local_addr()?, payload)
    }
}

/// A command that sends `count` ICMP echo requests, a fifth of a second apart, and fails if none is
/// answered.
#[must_use]
pub fn ping(client: &Host, to: IpAddr, count: u32) -> Command {
    let mut command = client.command("ping");
    let patience = PATIENCE.as_secs().to_string();
    command.args([
        "-n",
        "-q",
        "-i",
        "0.2",
        "-W",
        &patience,
        "-c",
        &count.to_string(),
    ]);
    command
        .arg(if to.is_ipv4() { "-4" } else { "-6" })
        .arg(to.to_string());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_that_is_taken_is_waited_for() {
        let mut taken = 2;
        let bound = once_free(|| {
            if taken == 0 {
                return Ok("bound");
            }
            taken -= 1;
            Err(ErrorKind::AddrInUse.into())
        });
        assert_eq!(bound.expect("free at last"), "bound");
        let mut tries = 0;
        let refused = once_free(|| {
            tries += 1;
            Err::<(), _>(ErrorKind::PermissionDenied.into())
        });
        let error = refused.expect_err("refused");
        assert_eq!((error.kind(), tries), (ErrorKind::PermissionDenied, 1));
    }

    #[test]
    fn a_call_that_was_interrupted_is_made_again() {
        let mut answers = [Ok("done"), Err(ErrorKind::Interrupted.into())]
            .into_iter()
            .rev();
        let done = uninterrupted(|| answers.next().expect("no call too many"));
        assert_eq!(done.expect("done at last"), "done");
        let refused = uninterrupted(|| Err::<(), _>(ErrorKind::ConnectionRefused.into()));
        assert_eq!(
            refused.expect_err("refused").kind(),
            ErrorKind::ConnectionRefused
        );
    }
}
