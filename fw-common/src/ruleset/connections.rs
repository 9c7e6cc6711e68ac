//! `ct count`: how many connections there are, in all or of an element of a set.
//!
//! As the kernel does (`__nf_conncount_add`), each list knows its connections, and looks at each evaluation
//! which of them still live: what has ended, whoever ended it, is not counted from that moment on.

use crate::tcp::State;
use crate::wire::proto;

/// Longest list.
pub const MAX_SLOTS: u32 = 4096;

/// Number of a list: of list `number` of the ruleset of that generation, and of the element whose key the
/// first `words` of the registers are. Without the ruleset's `secret` nobody finds keys that have the same
/// number.
#[must_use]
#[inline(always)]
pub fn list((generation, secret): (u32, u32), number: u32, registers: &[u32], words: u32) -> u64 {
    let mut mixed = mix(u64::from(generation) << 32 | u64::from(number));
    mixed = mix(mixed ^ u64::from(secret) << 32);
    for (at, word) in (0..).zip(registers) {
        if at < words {
            mixed = mix(mixed ^ u64::from(*word));
        }
    }
    mixed
}

/// The finalizer of SplitMix64: every bit of the number depends on every other.
#[inline(always)]
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

/// Whether a flow of `protocol` in `state` is closed, and no longer counted (`already_closed`).
#[must_use]
#[inline(always)]
pub const fn is_closed(protocol: u8, state: u8) -> bool {
    const TIME_WAIT: u8 = State::TimeWait as u8;
    const CLOSE: u8 = State::Close as u8;
    protocol == proto::TCP && matches!(state, TIME_WAIT | CLOSE)
}

/// Whether a connection without an entry may be about to get one: its first packet is on its way, on
/// another CPU (`find_or_evict`).
#[must_use]
#[inline(always)]
pub const fn may_come(counted_by: u32, cpu: u32, age: u64) -> bool {
    counted_by != cpu && age < 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_differ_in_all_that_names_them() {
        let one = list((1, 7), 1, &[1, 2, 3, 4], 4);
        for other in [
            list((2, 7), 1, &[1, 2, 3, 4], 4),
            list((1, 8), 1, &[1, 2, 3, 4], 4),
            list((1, 7), 2, &[1, 2, 3, 4], 4),
            list((1, 7), 1, &[1, 2, 3, 5], 4),
            list((1, 7), 1, &[1, 2, 3, 4], 3),
        ] {
            assert_ne!(one, other);
        }
        assert_eq!(
            one,
            list((1, 7), 1, &[1, 2, 3, 4, 9], 4),
            "what is behind the key"
        );
    }

    #[test]
    fn closed_connections_do_not_count() {
        assert!(is_closed(proto::TCP, State::TimeWait as u8));
        assert!(!is_closed(proto::TCP, State::Established as u8));
        assert!(!is_closed(proto::UDP, State::Close as u8));
    }

    #[test]
    fn only_another_cpu_is_waited_for() {
        assert!(may_come(1, 2, 1));
        assert!(!may_come(1, 2, 2));
        assert!(!may_come(1, 1, 0));
    }
}
