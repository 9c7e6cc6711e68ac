//! Where the fields that vary stand in a frame, for each family and protocol.

/// Offsets from the start of the frame.
pub(crate) trait Layout {
    /// Words of header to write.
    const WORDS: usize;
    /// Last two bytes of the source address.
    const SOURCE: usize;
    /// Last two bytes of the destination address.
    const DESTINATION: usize;
    /// The source port; the destination port is behind it.
    const PORTS: usize;
    /// IP's length field, and what it does not count of the frame.
    const IP_LENGTH: (usize, u32);
    /// The IPv4 header's checksum.
    const IP_SUM: Option<usize>;
    /// TCP's sequence number; the acknowledgement number is behind it.
    const SEQUENCE: Option<usize>;
    /// UDP's length field, and what it does not count of the frame.
    const UDP_LENGTH: Option<(usize, u32)>;
    /// The transport checksum.
    const L4_SUM: usize;
}

/// Length of the Ethernet header.
const ETHER: usize = 14;
/// Where the transport header begins behind an IPv4 header without options.
const L4_OVER_4: usize = ETHER + 20;
/// Where the transport header begins behind an IPv6 header without extensions.
const L4_OVER_6: usize = ETHER + 40;

/// UDP over IPv4.
pub(crate) struct Udp4;
/// TCP over IPv4.
pub(crate) struct Tcp4;
/// UDP over IPv6.
pub(crate) struct Udp6;
/// TCP over IPv6.
pub(crate) struct Tcp6;

impl Layout for Udp4 {
    const WORDS: usize = 11;
    const SOURCE: usize = ETHER + 14;
    const DESTINATION: usize = ETHER + 18;
    const PORTS: usize = L4_OVER_4;
    const IP_LENGTH: (usize, u32) = (ETHER + 2, ETHER as u32);
    const IP_SUM: Option<usize> = Some(ETHER + 10);
    const SEQUENCE: Option<usize> = None;
    const UDP_LENGTH: Option<(usize, u32)> = Some((L4_OVER_4 + 4, L4_OVER_4 as u32));
    const L4_SUM: usize = L4_OVER_4 + 6;
}

impl Layout for Tcp4 {
    const WORDS: usize = 15;
    const SOURCE: usize = Udp4::SOURCE;
    const DESTINATION: usize = Udp4::DESTINATION;
    const PORTS: usize = L4_OVER_4;
    const IP_LENGTH: (usize, u32) = Udp4::IP_LENGTH;
    const IP_SUM: Option<usize> = Udp4::IP_SUM;
    const SEQUENCE: Option<usize> = Some(L4_OVER_4 + 4);
    const UDP_LENGTH: Option<(usize, u32)> = None;
    const L4_SUM: usize = L4_OVER_4 + 16;
}

impl Layout for Udp6 {
    const WORDS: usize = 16;
    const SOURCE: usize = ETHER + 22;
    const DESTINATION: usize = ETHER + 38;
    const PORTS: usize = L4_OVER_6;
    const IP_LENGTH: (usize, u32) = (ETHER + 4, L4_OVER_6 as u32);
    const IP_SUM: Option<usize> = None;
    const SEQUENCE: Option<usize> = None;
    const UDP_LENGTH: Option<(usize, u32)> = Some((L4_OVER_6 + 4, L4_OVER_6 as u32));
    const L4_SUM: usize = L4_OVER_6 + 6;
}

impl Layout for Tcp6 {
    const WORDS: usize = 20;
    const SOURCE: usize = Udp6::SOURCE;
    const DESTINATION: usize = Udp6::DESTINATION;
    const PORTS: usize = L4_OVER_6;
    const IP_LENGTH: (usize, u32) = Udp6::IP_LENGTH;
    const IP_SUM: Option<usize> = None;
    const SEQUENCE: Option<usize> = Some(L4_OVER_6 + 4);
    const UDP_LENGTH: Option<(usize, u32)> = None;
    const L4_SUM: usize = L4_OVER_6 + 16;
}
