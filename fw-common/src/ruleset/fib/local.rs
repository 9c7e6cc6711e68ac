//! The routing table `local`, as the daemon keeps it in a map.

use super::words;
use crate::wire::Family;

/// `RTN_*` of the kernel's `linux/rtnetlink.h`: types of addresses and routes.
pub mod rtn {
    /// None.
    pub const UNSPEC: u32 = 0;
    /// Reached by a route.
    pub const UNICAST: u32 = 1;
    /// The host's own.
    pub const LOCAL: u32 = 2;
    /// All hosts of a network.
    pub const BROADCAST: u32 = 3;
    /// The nearest of several hosts.
    pub const ANYCAST: u32 = 4;
    /// A group.
    pub const MULTICAST: u32 = 5;
    /// Thrown away.
    pub const BLACKHOLE: u32 = 6;
    /// Not reached.
    pub const UNREACHABLE: u32 = 7;
    /// Forbidden.
    pub const PROHIBIT: u32 = 8;
}

/// Interfaces that a [`Local`] names.
pub const LOCAL_LINKS: usize = 7;

/// An entry of the routing table `local`: value of the `LOCALS` map, whose keys are prefixes of IPv6
/// addresses; IPv4's are mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Local {
    /// Its type, of [`rtn`].
    pub kind: u32,
    /// The interfaces that have it, zeroes behind them; [`u32::MAX`] stands for all, if they are too many.
    pub links: [u32; LOCAL_LINKS],
}

const _: () = assert!(size_of::<Local>() == 32);

impl Local {
    /// Whether interface `index` has it.
    #[must_use]
    #[inline(always)]
    pub fn is_on(&self, index: u32) -> bool {
        index != 0
            && self
                .links
                .iter()
                .any(|link| *link == index || *link == u32::MAX)
    }
}

/// The key of an address in the `LOCALS` map, as it stands there: in network byte order.
#[must_use]
#[inline(always)]
pub fn local_key(family: Family, address: &[u8; 16]) -> [u32; 4] {
    let [a, b, c, d] = words(address);
    let [e, f, g, h] = match family {
        Family::V4 => [0, 0, 0xffff, a],
        Family::V6 => [a, b, c, d],
    };
    [e.to_be(), f.to_be(), g.to_be(), h.to_be()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_has_keys_of_its_own() {
        let mut address = [0; 16];
        address[..4].copy_from_slice(&[10, 1, 2, 3]);
        let key = local_key(Family::V4, &address);
        assert_eq!(key.map(u32::from_be), [0, 0, 0xffff, 0x0a01_0203]);
    }
}
