//! Who is at the other end of a Unix socket.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

/// The process at the other end, as it was when it connected or began to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its number; `None` if it lives in a PID namespace that we do not see.
    pub pid: Option<u32>,
    /// Its user.
    pub uid: u32,
}

/// Asks the kernel (`SO_PEERCRED`).
///
/// rustix has this call too, but its process ids cannot be 0, which is what the kernel says of a
/// process in a foreign PID namespace.
///
/// # Errors
/// What the kernel says: not a Unix socket, or not connected.
pub fn of(socket: impl AsFd) -> io::Result<Peer> {
    let mut credentials = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut size = u32::try_from(size_of_val(&credentials)).unwrap_or(0);
    // SAFETY: the socket lives; `credentials` has room for `size` bytes, and any bytes are a value
    // of its three integers.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut size,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Peer {
        pid: u32::try_from(credentials.pid).ok().filter(|pid| *pid != 0),
        uid: credentials.uid,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_of_sockets_is_our_own() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let peer = of(&one).expect("credentials");
        assert_eq!(peer.pid, Some(std::process::id()));
        assert_eq!(peer.uid, rustix::process::getuid().as_raw());
        let file = std::fs::File::open("/proc/self/status").expect("a file");
        assert!(of(&file).is_err(), "not a socket");
    }
}
