//! Raw frames: a packet socket (packet(7)) on one interface.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Duration;

use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use rustix::net::{RecvFlags, recv};

use crate::traffic::uninterrupted;

/// Sends frames, from the Ethernet header on, as they are; and receives them, if opened for that.
#[derive(Debug)]
pub struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// Opens a socket on the interface called `name` of the calling thread's network namespace.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or when there is no such interface.
    pub fn open(name: &str) -> io::Result<Self> {
        // Protocol 0: nothing is received.
        Self::open_for(name, 0)
    }

    /// As [`PacketSocket::open`], and all frames that come in by the interface are kept for
    /// [`PacketSocket::receive`], up to `room` bytes of the kernel's memory.
    ///
    /// # Errors
    /// As [`PacketSocket::open`]; without `CAP_NET_ADMIN`.
    pub fn open_receiving(name: &str, room: usize) -> io::Result<Self> {
        let socket = Self::open_for(name, (libc::ETH_P_ALL as u16).to_be())?;
        set_socket_recv_buffer_size_force(&socket.0, room)?;
        socket.ignore_outgoing()?;
        Ok(socket)
    }

    /// Opens a socket that receives frames of `protocol` (network byte order).
    fn open_for(name: &str, protocol: u16) -> io::Result<Self> {
        let name = CString::new(name)?;
        // SAFETY: a NUL-terminated string that lives through the call.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        if index == 0 {
            return Err(io::Error::last_os_error());
        }
        // Protocol 0 until it is bound: nothing of other interfaces is received.
        // SAFETY: no pointers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just opened, and owned by nobody else.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        socket.bind(index, protocol)?;
        Ok(socket)
    }

    fn bind(&self, index: u32, protocol: u16) -> io::Result<()> {
        // SAFETY: all zeroes is a valid `sockaddr_ll`.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as libc::c_ushort;
        address.sll_protocol = protocol;
        address.sll_ifindex = index.cast_signed();
        let size = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the address is of the size given and lives through the call.
        let failed = unsafe { libc::bind(self.0.as_raw_fd(), (&raw const address).cast(), size) };
        if failed == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// When the interface is down or the frame is longer than its MTU allows.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: a buffer of the length given.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Leaves out what this host sends itself.
    fn ignore_outgoing(&self) -> io::Result<()> {
        let on: libc::c_int = 1;
        let size = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: an option of the size given, which lives through the call.
        let failed = unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_IGNORE_OUTGOING,
                (&raw const on).cast(),
                size,
            )
        };
        if failed == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Takes the next frame that has come in; its length, or `None` if there is none. What does not
    /// fit into `buffer` is lost.
    ///
    /// # Errors
    /// When the interface is down.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match recv(&self.0, buffer, RecvFlags::DONTWAIT) {
            Ok((len, _)) => Ok(Some(len)),
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until a frame has come in at one of `sockets`; false if none does within `patience`.
    ///
    /// # Errors
    /// When memory is short.
    pub fn wait(sockets: &[Self; 2], patience: Duration) -> io::Result<bool> {
        let of = |socket: &Self| libc::pollfd {
            fd: socket.0.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let mut polled = [of(&sockets[0]), of(&sockets[1])];
        let patience = libc::c_int::try_from(patience.as_millis()).unwrap_or(libc::c_int::MAX);
        uninterrupted(|| {
            // SAFETY: an array of two descriptions, which lives through the call.
            match unsafe { libc::poll(polled.as_mut_ptr(), 2, patience) } {
                ..0 => Err(io::Error::last_os_error()),
                ready => Ok(ready != 0),
            }
        })
    }
}
