//! What a child process used.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::time::Duration;

/// CPU time and memory of a process that has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// In user and kernel mode.
    pub(crate) cpu: Duration,
    /// The most memory that it had, in bytes.
    pub(crate) memory: u64,
}

/// How often a running process is asked for its memory.
const GLANCE: Duration = Duration::from_millis(2);

/// Waits for a child (wait4(2)).
///
/// Its memory is read while it runs: what wait4 tells of it begins with what this process had when it
/// forked.
///
/// # Errors
/// When it has been waited for already.
#[expect(
    clippy::needless_pass_by_value,
    reason = "nobody may wait for it again"
)]
pub(crate) fn wait(child: Child) -> io::Result<(ExitStatus, Usage)> {
    let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    let (mut status, mut memory) = (0, 0);
    // SAFETY: all zeroes is a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        memory = most_memory(pid).unwrap_or(0).max(memory);
        // SAFETY: both places live through the call.
        let ended = unsafe { libc::wait4(pid, &raw mut status, libc::WNOHANG, &raw mut usage) };
        match ended {
            ..0 => return Err(io::Error::last_os_error()),
            0 => std::thread::sleep(GLANCE),
            _ => break,
        }
    }
    let usage = Usage {
        cpu: duration(usage.ru_utime) + duration(usage.ru_stime),
        memory,
    };
    Ok((ExitStatus::from_raw(status), usage))
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

/// The most memory that a running process has had since it is the program that it is.
fn most_memory(pid: libc::pid_t) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kb: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kb * 1024)
}
