//! The system call `bpf(2)`, for commands that aya does not have.

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

use aya_obj::generated::{bpf_attr, bpf_cmd};

/// All zero: the kernel refuses a call with anything in the fields that a command does not use.
pub(super) fn no_attributes() -> bpf_attr {
    // SAFETY: a union of structs of integers and arrays of them; zero is a value of each.
    unsafe { std::mem::zeroed() }
}

/// One call of a command that answers in `attr` or not at all.
///
/// Private to the fence, as [`open`] is: every caller fills `attr` with the descriptors of live objects and with
/// pointers to memory that is large enough and outlives the call.
pub(super) fn run(cmd: bpf_cmd, attr: &mut bpf_attr) -> io::Result<()> {
    bpf(cmd, attr).map(drop)
}

/// What a call returns, if that is no error.
fn bpf(cmd: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i64> {
    let size = u32::try_from(size_of::<bpf_attr>()).unwrap_or(u32::MAX);
    // SAFETY: `attr` is a valid attribute union of `size` bytes; what it points to is the callers'
    // promise above.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            cmd as libc::c_long,
            std::ptr::from_mut(attr),
            size,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// One call of a command that makes a new descriptor.
pub(super) fn open(cmd: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    let made = bpf(cmd, attr)?;
    let fd = RawFd::try_from(made).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made it for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
