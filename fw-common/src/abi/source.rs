//! The counts of flows by their source.

/// Whose flows are counted together: key of the `SOURCES` maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct SourceKey {
    /// IPv4 address and four zeroes, or the first half of an IPv6 address; network byte order.
    pub addr: [u8; 8],
    /// Conntrack zone.
    pub zone: u16,
    /// 4 or 6.
    pub family: u8,
    /// Zero.
    pub pad: u8,
}

/// Value of the `SOURCES` maps. The programs add and take off in one, user space writes the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SourceCount {
    /// Flows that came in by a filtered interface and were begun by the source.
    pub flows: u64,
    /// Those of them that are half open: see [`crate::source::is_half_open`].
    pub half_open: u64,
}

const _: () = assert!(size_of::<SourceKey>() == 12);
const _: () = assert!(size_of::<SourceCount>() == 16);
