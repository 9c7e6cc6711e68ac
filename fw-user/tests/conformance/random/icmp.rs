//! ICMP and ICMPv6: queries, and errors about what was sent before.

use fw_common::wire::Family;

use crate::rng::Rng;
use crate::script::{Body, Packet, Who};

/// A query, an answer, or any other message.
pub(super) fn query(rng: &mut Rng, family: Family) -> Body {
    let usual: &[u8] = match family {
        Family::V4 => &[8, 8, 8, 0, 0, 0, 13, 14, 15, 16, 17, 18],
        Family::V6 => &[128, 128, 128, 129, 129, 129, 139, 140],
    };
    // Types that quote a packet have generators of their own; redirects are never forwarded.
    let kind = if rng.chance(5) {
        rng.pick(&[1, 9, 10, 19, 42, 130, 135, 141, 200])
    } else {
        rng.pick(usual)
    };
    Body::Icmp {
        kind,
        code: if rng.chance(10) { 1 } else { 0 },
        id: rng.pick(&[7, 7, 7, 8]),
        payload: vec![b'p'; rng.pick(&[0, 1, 56])],
    }
}

/// An error about one of the packets `sent`, mostly as a router or host would send it.
pub(super) fn error(rng: &mut Rng, family: Family, sent: &[Packet]) -> Option<Packet> {
    if sent.is_empty() {
        return None;
    }
    let quote = rng.pick(sent);
    let kinds: &[u8] = match family {
        Family::V4 => &[3, 3, 3, 4, 5, 11, 12],
        Family::V6 => &[1, 1, 2, 3, 4, 100, 127],
    };
    let body = Body::Error {
        kind: rng.pick(kinds),
        code: rng.pick(&[0, 1, 3, 4]),
        keep: rng.pick(&[28, 28, 48, 68, 68, 1000, 20, 24, 27, 40, 44, 47, 0]),
        quote: Box::new(quote.clone()),
    };
    // From the host itself, or from a router near it.
    let near = quote.dst;
    let far = if near == Who::A { Who::C } else { Who::D };
    let error = Packet::new(rng.pick(&[near, near, far]), body).to(quote.src);
    let stranger = if quote.src == Who::A { Who::C } else { Who::D };
    Some(if rng.chance(8) {
        error.to(stranger)
    } else {
        error
    })
}
