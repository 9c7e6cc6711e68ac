//! Where the stack may do otherwise than `bpf_fib_lookup` says, or than is usual: by the flags of the interface by which a
//! packet came in.

use super::{DOES_NOT_FORWARD, Kind, NOT_FORWARDED};
use crate::abi::IfaceFlags;
use crate::wire::{Family, Meta, meta_flags};

/// Whether the stack may do otherwise than the helper has returned, with a packet that came in by an interface with
/// these flags. Then it is [`Kind::Local`] if it is for one of the host's own addresses, else [`Kind::Unknown`].
#[must_use]
#[inline(always)]
pub const fn is_doubtful(returned: i64, family: Family, iface: u32) -> bool {
    let other_switch = match family {
        Family::V4 => IfaceFlags::OTHER_SWITCH4,
        Family::V6 => IfaceFlags::OTHER_SWITCH6,
    };
    // The interface's own switch is off, or on, and the stack goes by another.
    let by_switch = matches!(returned, 0 | DOES_NOT_FORWARD | 7) && iface & other_switch != 0;
    let broadcast = returned == NOT_FORWARDED
        && matches!(family, Family::V4)
        && iface & IfaceFlags::ROUTES_BROADCASTS != 0;
    by_switch || broadcast
}

/// Whether a packet may be for another host though it has this one's address, since it came in by an interface with these
/// flags: it has options or extension headers, of which one may name the rest of its way.
#[must_use]
#[inline(always)]
pub const fn may_go_on(meta: &Meta, iface: u32) -> bool {
    let source_routes = match meta.family {
        Family::V4 => IfaceFlags::SOURCE_ROUTES4,
        Family::V6 => IfaceFlags::SOURCE_ROUTES6,
    };
    meta.flags & meta_flags::OPTIONS != 0 && iface & source_routes != 0
}

/// What a packet is that is not [unicast](super::is_unicast), and came in by an interface with these flags: the host's, unless
/// its group is of more than the link and the stack forwards those.
#[must_use]
#[inline(always)]
pub const fn kind_of_group(meta: &Meta, iface: u32) -> Kind {
    let [first, second, third, ..] = meta.dst;
    let (of_link, routes) = match meta.family {
        // 224.0.0.0/24, and everybody.
        Family::V4 => (
            matches!((first, second, third), (224, 0, 0) | (255, ..)),
            IfaceFlags::ROUTES_GROUPS4,
        ),
        // Scopes of interface and link.
        Family::V6 => (second & 0xf <= 2, IfaceFlags::ROUTES_GROUPS6),
    };
    if of_link || iface & routes == 0 {
        Kind::Local
    } else {
        Kind::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::tests::meta;
    use crate::wire::proto;

    #[test]
    fn who_forwards_by_another_switch_is_doubtful() {
        for (family, flag) in [
            (Family::V4, IfaceFlags::OTHER_SWITCH4),
            (Family::V6, IfaceFlags::OTHER_SWITCH6),
        ] {
            for returned in -22..=8 {
                let asked = matches!(returned, 0 | 5 | 7);
                assert_eq!(is_doubtful(returned, family, flag), asked, "{returned}");
                let others = !(flag | IfaceFlags::ROUTES_BROADCASTS);
                assert!(!is_doubtful(returned, family, others), "{returned}");
            }
        }
    }

    #[test]
    fn a_broadcast_is_doubtful_where_such_are_routed() {
        let routes = IfaceFlags::ROUTES_BROADCASTS;
        for returned in -22..=8 {
            assert_eq!(is_doubtful(returned, Family::V4, routes), returned == 4);
            assert!(!is_doubtful(returned, Family::V6, routes), "{returned}");
        }
    }

    #[test]
    fn groups_beyond_the_link_may_be_routed() {
        let kind = |dst: &[u8], family, iface| {
            let mut meta = meta(family, proto::UDP);
            meta.dst[..dst.len()].copy_from_slice(dst);
            kind_of_group(&meta, iface)
        };
        for (dst, family, flag, of_link) in [
            (
                &[224, 0, 0, 5][..],
                Family::V4,
                IfaceFlags::ROUTES_GROUPS4,
                true,
            ),
            (&[255; 4], Family::V4, IfaceFlags::ROUTES_GROUPS4, true),
            (
                &[224, 0, 1, 1],
                Family::V4,
                IfaceFlags::ROUTES_GROUPS4,
                false,
            ),
            (
                &[239, 1, 1, 1],
                Family::V4,
                IfaceFlags::ROUTES_GROUPS4,
                false,
            ),
            (&[0xff, 0x01], Family::V6, IfaceFlags::ROUTES_GROUPS6, true),
            (&[0xff, 0x12], Family::V6, IfaceFlags::ROUTES_GROUPS6, true),
            (&[0xff, 0x05], Family::V6, IfaceFlags::ROUTES_GROUPS6, false),
            (&[0xff, 0x1e], Family::V6, IfaceFlags::ROUTES_GROUPS6, false),
        ] {
            let expected = if of_link { Kind::Local } else { Kind::Unknown };
            assert_eq!(kind(dst, family, flag), expected, "{dst:?}");
            assert_eq!(kind(dst, family, !flag), Kind::Local, "{dst:?}");
        }
    }

    #[test]
    fn options_may_name_the_rest_of_the_way() {
        for (family, flag) in [
            (Family::V4, IfaceFlags::SOURCE_ROUTES4),
            (Family::V6, IfaceFlags::SOURCE_ROUTES6),
        ] {
            let mut meta = meta(family, proto::UDP);
            assert!(!may_go_on(&meta, flag));
            meta.flags = meta_flags::OPTIONS;
            assert!(may_go_on(&meta, flag) && !may_go_on(&meta, !flag));
        }
    }
}
