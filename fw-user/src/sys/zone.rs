//! The kernel's own time zone, which C libraries no longer tell.

/// Seconds that it is ahead of UTC: 0 unless somebody has set it, for a hardware clock in local time.
#[must_use]
pub fn kernel_zone() -> i32 {
    // `struct timezone`: minutes west of Greenwich, and a kind of summer time that nobody uses.
    let mut zone: [libc::c_int; 2] = [0; 2];
    let nothing: *mut libc::timeval = std::ptr::null_mut();
    // SAFETY: the kernel writes a `struct timezone`, for which there is room, and nothing else.
    let failed = unsafe { libc::syscall(libc::SYS_gettimeofday, nothing, zone.as_mut_ptr()) };
    let [west, _] = zone;
    if failed == 0 {
        west.saturating_mul(-60)
    } else {
        0
    }
}
