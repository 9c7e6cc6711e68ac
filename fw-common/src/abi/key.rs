//! Keys of the flow maps: the two endpoints in canonical order.

/// Key of an IPv4 flow: both directions give the same key.
///
/// The (address, port) *pairs* are sorted, never addresses and ports separately: else A:1→B:2 and
/// A:2→B:1 would collide. `lo` is the smaller pair as big-endian numbers.
///
/// Aligned so that it is written in words: the map's hash function reads words, and a processor waits for words
/// that it has to put together from shorter pieces just written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C, align(8))]
pub struct Key4 {
    /// Address of the lower endpoint, network byte order.
    pub lo_addr: [u8; 4],
    /// Address of the higher endpoint, network byte order.
    pub hi_addr: [u8; 4],
    /// Port of the lower endpoint, host byte order (see [`crate::flow::Tuple`] for other protocols).
    pub lo_port: u16,
    /// Port of the higher endpoint, host byte order.
    pub hi_port: u16,
    /// IP protocol number.
    pub proto: u8,
    /// 1 if the higher endpoint is the requester of an ICMP query; 0 otherwise. Two hosts that ping
    /// each other with the same id have two flows.
    pub side: u8,
    /// Conntrack zone of the ingress interface.
    pub zone: u16,
}

/// Key of an IPv6 flow; see [`Key4`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C, align(8))]
pub struct Key6 {
    /// Address of the lower endpoint, network byte order.
    pub lo_addr: [u8; 16],
    /// Address of the higher endpoint, network byte order.
    pub hi_addr: [u8; 16],
    /// Port of the lower endpoint, host byte order.
    pub lo_port: u16,
    /// Port of the higher endpoint, host byte order.
    pub hi_port: u16,
    /// IP protocol number (the last header of the extension chain).
    pub proto: u8,
    /// See [`Key4::side`].
    pub side: u8,
    /// Conntrack zone of the ingress interface.
    pub zone: u16,
}

impl Key4 {
    /// A cheap fingerprint, stored in [`super::Flow::tag`]: it only has to differ between a recycled entry's old and
    /// new flow. Made of the words in which a key is written.
    #[must_use]
    #[inline(always)]
    pub const fn tag(&self) -> u32 {
        let addresses = word(
            u32::from_ne_bytes(self.lo_addr),
            u32::from_ne_bytes(self.hi_addr),
        );
        let rest = rest(
            (self.lo_port, self.hi_port),
            (self.proto, self.side, self.zone),
        );
        mix(addresses, rest)
    }
}

impl Key4 {
    /// The same key in the form of [`Key6`]: the addresses in the first four bytes.
    #[must_use]
    #[inline(always)]
    pub const fn wide(&self) -> Key6 {
        let [a, b, c, d] = self.lo_addr;
        let [e, f, g, h] = self.hi_addr;
        Key6 {
            lo_addr: [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            hi_addr: [e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            lo_port: self.lo_port,
            hi_port: self.hi_port,
            proto: self.proto,
            side: self.side,
            zone: self.zone,
        }
    }
}

impl Key6 {
    /// What [`Key4::wide`] was made of.
    #[must_use]
    #[inline(always)]
    pub const fn narrow(&self) -> Key4 {
        let [a, b, c, d, ..] = self.lo_addr;
        let [e, f, g, h, ..] = self.hi_addr;
        Key4 {
            lo_addr: [a, b, c, d],
            hi_addr: [e, f, g, h],
            lo_port: self.lo_port,
            hi_port: self.hi_port,
            proto: self.proto,
            side: self.side,
            zone: self.zone,
        }
    }

    /// See [`Key4::tag`]. The interface halves of the addresses tell flows apart best.
    #[must_use]
    #[inline(always)]
    pub const fn tag(&self) -> u32 {
        // As numbers: an array that is taken to pieces is written in pieces, too.
        let (lo, hi) = (
            u128::from_be_bytes(self.lo_addr) as u64,
            u128::from_be_bytes(self.hi_addr) as u64,
        );
        let rest = rest(
            (self.lo_port, self.hi_port),
            (self.proto, self.side, self.zone),
        );
        mix(lo.to_be() ^ hi.to_be().wrapping_mul(ODD.1), rest)
    }
}

/// Two odd numbers with bits everywhere: the fractions of the golden ratio and of the square root of two.
const ODD: (u64, u64) = (0x9e37_79b9_7f4a_7c15, 0x6a09_e667_f3bc_c909);

#[inline(always)]
const fn mix(addresses: u64, rest: u64) -> u32 {
    ((addresses.wrapping_mul(ODD.0) ^ rest.wrapping_mul(ODD.1)) >> 32) as u32
}

/// The last word of a key.
#[inline(always)]
const fn rest((lo_port, hi_port): (u16, u16), (proto, side, zone): (u8, u8, u16)) -> u64 {
    let ports = lo_port as u32 | (hi_port as u32) << 16;
    word(
        ports,
        proto as u32 | (side as u32) << 8 | (zone as u32) << 16,
    )
}

/// Two halves of a word, the first one at the lower address.
#[inline(always)]
const fn word(first: u32, second: u32) -> u64 {
    first as u64 | (second as u64) << 32
}

const _: () = assert!(size_of::<Key4>() == 16 && align_of::<Key4>() == 8);
const _: () = assert!(size_of::<Key6>() == 40 && align_of::<Key6>() == 8);

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key4 = Key4 {
        lo_addr: [10, 0, 0, 1],
        hi_addr: [10, 0, 0, 2],
        lo_port: 1,
        hi_port: 2,
        proto: 6,
        side: 1,
        zone: 7,
    };

    #[test]
    fn a_wide_key_loses_nothing() {
        assert_eq!(KEY.wide().narrow(), KEY);
    }

    #[test]
    fn each_field_is_in_the_tag() {
        let (lo_addr, hi_addr) = ([10, 0, 0, 0], [11, 0, 0, 2]);
        let keys = [
            KEY,
            Key4 { lo_addr, ..KEY },
            Key4 { hi_addr, ..KEY },
            Key4 { lo_port: 3, ..KEY },
            Key4 { hi_port: 1, ..KEY },
            Key4 { proto: 17, ..KEY },
            Key4 { side: 0, ..KEY },
            Key4 { zone: 8, ..KEY },
        ];
        for (i, one) in keys.iter().enumerate() {
            for other in &keys[..i] {
                assert_ne!(one.tag(), other.tag());
                assert_ne!(in_last_bytes(one).tag(), in_last_bytes(other).tag());
            }
        }
    }

    /// An IPv6 key whose addresses end in those of an IPv4 key.
    fn in_last_bytes(key: &Key4) -> Key6 {
        let mut wide = key.wide();
        wide.lo_addr.rotate_left(4);
        wide.hi_addr.rotate_left(4);
        wide
    }
}
