//! Memory that was freed and that the C library keeps. Rulesets with large sets leave a lot: each is built on
//! whichever thread is free, and glibc has an arena for each.

/// Largest piece at an arena's end that is kept: glibc's own default, before it raises it to twice the largest
/// block that was ever freed.
#[cfg(target_env = "gnu")]
const KEPT: libc::c_int = 128 * 1024;

/// Has the library give back what is free at the end of each arena, however large blocks become.
pub fn keep_little() {
    // SAFETY: takes numbers only; one that it refuses changes nothing.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        libc::mallopt(libc::M_MMAP_THRESHOLD, KEPT);
    }
}

/// Gives back what is free in the middle, too.
pub fn give_back() {
    // SAFETY: takes no pointer, and locks what it looks at.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
