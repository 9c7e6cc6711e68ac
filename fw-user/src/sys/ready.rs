//! Waiting for a ring buffer.

use std::io;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::maps::EventRing;

/// `ring`, to be waited for by the runtime that this is called in.
///
/// # Errors
/// What epoll says.
pub fn readable(ring: EventRing) -> io::Result<AsyncFd<EventRing>> {
    // SAFETY: the ring owns the descriptor of its map and keeps the same one open as long as it lives,
    // which is as long as the `AsyncFd` that it is moved into.
    let result = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) };
    result.map_err(|e| e.into_parts().1)
}
