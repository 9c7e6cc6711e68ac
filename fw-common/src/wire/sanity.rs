//! Addresses that no packet on a wire may have.
//!
//! The host's stack drops such packets too, but later (`ip_route_input_slow`, `ip6_rcv_core`): they
//! must neither make a flow nor change one.

use super::layout::bytes;
use super::{Family, Meta, meta_flags, proto};
use crate::Reason;

/// Checks source and destination; sets [`meta_flags::MULTICAST`].
///
/// # Errors
/// [`Reason::MartianSource`], [`Reason::MartianDestination`], [`Reason::SourceIsDestination`].
#[inline(always)]
pub fn check(meta: &mut Meta) -> Result<(), Reason> {
    let multicast = match meta.family {
        Family::V4 => check_v4(meta)?,
        Family::V6 => check_v6(meta)?,
    };
    if multicast {
        meta.flags |= meta_flags::MULTICAST;
    }
    Ok(())
}

const V4_BROADCAST: u32 = u32::MAX;

/// Whether the destination is a multicast group or everybody.
#[inline(always)]
fn check_v4(meta: &Meta) -> Result<bool, Reason> {
    let source = u32::from_be_bytes(bytes::<0, 4, _>(&meta.src));
    let target = u32::from_be_bytes(bytes::<0, 4, _>(&meta.dst));
    let multicast = target >> 28 == 0xe;
    let broadcast = target == V4_BROADCAST;
    match source >> 24 {
        0 if !(source == 0 && may_be_unspecified(meta, target)) => {
            return Err(Reason::MartianSource);
        }
        // Loopback; multicast, class E and broadcast.
        127 | 224.. => return Err(Reason::MartianSource),
        _ => {}
    }
    match target >> 24 {
        0 | 127 => return Err(Reason::MartianDestination),
        240.. if !broadcast => return Err(Reason::MartianDestination),
        _ => {}
    }
    if source == target {
        return Err(Reason::SourceIsDestination);
    }
    Ok(multicast || broadcast)
}

/// A host without an address: DHCP to everybody (RFC 2131), IGMP (RFC 3376 §4.2.13) and other
/// protocols of the link (`ip_mc_validate_source`).
#[inline(always)]
const fn may_be_unspecified(meta: &Meta, target: u32) -> bool {
    target == V4_BROADCAST
        || target >> 8 == 0x00e0_0000
        || (target >> 28 == 0xe && meta.proto == proto::IGMP)
}

/// IPv4-mapped addresses, `::ffff:0:0/96`: the upper 96 bits as a number.
const V4_MAPPED: u128 = 0xffff;
/// The address `::1`.
const V6_LOOPBACK: u128 = 1;

/// Whether the destination is a multicast group.
#[inline(always)]
fn check_v6(meta: &Meta) -> Result<bool, Reason> {
    let source = u128::from_be_bytes(meta.src);
    let target = u128::from_be_bytes(meta.dst);
    let multicast = is_multicast(target);
    if is_multicast(source) || never_on_wire(source) {
        return Err(Reason::MartianSource);
    }
    // No address yet: duplicate address detection and MLD, to groups only (RFC 4291 §2.5.2).
    if source == 0 && !multicast {
        return Err(Reason::MartianSource);
    }
    if target == 0 || never_on_wire(target) || (multicast && is_confined(target)) {
        return Err(Reason::MartianDestination);
    }
    if source == target {
        return Err(Reason::SourceIsDestination);
    }
    Ok(multicast)
}

#[inline(always)]
const fn is_multicast(addr: u128) -> bool {
    addr >> 120 == 0xff
}

#[inline(always)]
const fn never_on_wire(addr: u128) -> bool {
    addr == V6_LOOPBACK || addr >> 32 == V4_MAPPED
}

/// A group of scope 0 (reserved) or 1 (within one interface), RFC 4291 §2.7.
#[inline(always)]
const fn is_confined(group: u128) -> bool {
    (group >> 112) & 0xf <= 1
}
