//! A thread that has a CPU to itself.

use std::io;

/// Runs the calling thread before all ordinary ones of its CPU (sched(7)). A nice value would not do:
/// it counts within the session only (autogroup).
///
/// # Errors
/// Without `CAP_SYS_NICE`.
pub(crate) fn prefer() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 50 };
    // SAFETY: the structure lives through the call; 0 is the calling thread.
    let failed = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
    if failed == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
