//! The time of day, for rules that ask for it.

/// How the kernel's International Atomic Time, which programs can read, becomes the time of day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct WallClock {
    /// Nanoseconds that the time of day is ahead of it; mostly 0, or minus the leap seconds.
    pub offset: i64,
    /// Seconds that the kernel's own time zone (`sys_tz`) is ahead of UTC; mostly 0.
    pub zone: i32,
    /// Zero.
    pub pad: u32,
}

const _: () = assert!(size_of::<WallClock>() == 16);
