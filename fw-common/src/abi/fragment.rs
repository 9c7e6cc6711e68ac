//! The map of datagrams that come in fragments.

/// Key of the `FRAGMENTS` map: one of the places that a source address has. A source that sends more
/// unfinished datagrams than it has places pushes out its own, and nobody else's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FragmentKey {
    /// Source address, network byte order; IPv4 in the first four bytes.
    pub src: [u8; 16],
    /// Conntrack zone of the ingress interface.
    pub zone: u16,
    /// Address family, as `AF_INET` and `AF_INET6`.
    pub family: u8,
    /// Which place.
    pub place: u8,
    /// 1 if the host itself sends it.
    pub egress: u8,
    /// Zero.
    pub pad: [u8; 3],
}

/// A datagram whose first fragment was seen. What never changes while it is remembered comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Datagram {
    /// When it is forgotten, in ticks.
    pub deadline: u64,
    /// Destination address, network byte order.
    pub dst: [u8; 16],
    /// Fragment identification.
    pub id: u32,
    /// Ports of [`crate::flow::Tuple`], by which its flow is found.
    pub sport: u16,
    /// See `sport`.
    pub dport: u16,
    /// Bytes of data in the first fragment.
    pub first_len: u16,
    /// IP protocol number of the flow.
    pub proto: u8,
    /// Bits of [`crate::fragments::about`].
    pub about: u8,
    /// Zero.
    pub pad: [u8; 4],
    /// What changes with every fragment.
    pub progress: Progress,
}

/// How much of a datagram was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Progress {
    /// Bytes of data seen.
    pub seen: u32,
    /// Its TCP segment's sequence number after the last byte seen.
    pub tcp_end: u32,
    /// Where the data that was seen without a gap ends.
    pub next: u16,
    /// Where the last fragment ends; 0 as long as it was not seen.
    pub total: u16,
    /// Where the data that was seen ends, with gaps or without.
    pub furthest: u16,
    /// One of [`crate::fragments::stage`].
    pub stage: u8,
    /// Zero.
    pub pad: u8,
}

const _: () = assert!(size_of::<FragmentKey>() == 24 && align_of::<FragmentKey>() == 2);
const _: () = assert!(size_of::<Progress>() == 16);
const _: () = assert!(size_of::<Datagram>() == 56);
