//! Who begins flows: the counts of each source, for `--max-flows-per-source` and
//! `--max-half-open-per-source`.

use crate::abi::{Config, Flow, SourceCount, SourceKey};
use crate::status;
use crate::track::{Outcome, changed};
use crate::verdict::Reason;
use crate::wire::{Family, proto};

impl SourceKey {
    /// The source with this address: an IPv4 address, or an IPv6 network of 64 bits, of which one host
    /// has as many addresses as it likes.
    #[must_use]
    #[inline(always)]
    pub const fn of(addr: &[u8; 16], family: Family, zone: u16) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *addr;
        let (addr, family) = match family {
            Family::V4 => ([a, b, c, d, 0, 0, 0, 0], 4),
            Family::V6 => ([a, b, c, d, e, f, g, h], 6),
        };
        Self {
            addr,
            zone,
            family,
            pad: 0,
        }
    }
}

/// Whether a flow still waits for proof that its other end, or its source, is real: TCP until the
/// handshake is over, everything else until the first answer.
#[must_use]
#[inline(always)]
pub const fn is_half_open(flow: &Flow, protocol: u8) -> bool {
    flow.status & proof(protocol) == 0
}

#[inline(always)]
const fn proof(protocol: u8) -> u32 {
    if protocol == proto::TCP {
        status::ASSURED
    } else {
        status::SEEN_REPLY
    }
}

/// Whether a packet with this outcome has just ended its flow's being half open.
#[must_use]
#[inline(always)]
pub const fn has_settled(outcome: &Outcome, protocol: u8) -> bool {
    let proof = if matches!(protocol, proto::TCP | proto::SCTP) {
        changed::ASSURED
    } else {
        changed::REPLY
    };
    outcome.changed & proof != 0
}

/// Whether sources are counted at all.
#[must_use]
#[inline(always)]
pub const fn are_counted(config: &Config) -> bool {
    config.source_flows | config.source_half_open != 0
}

/// Whether a source may begin one more flow. `come` is what the programs have counted, this flow not
/// yet among them; `gone` is what user space has taken off since.
///
/// # Errors
/// Which cap it has reached.
#[inline(always)]
pub const fn admit(come: SourceCount, gone: SourceCount, config: &Config) -> Result<(), Reason> {
    if is_reached(come.flows, gone.flows, config.source_flows) {
        return Err(Reason::SourceFlows);
    }
    if is_reached(come.half_open, gone.half_open, config.source_half_open) {
        return Err(Reason::SourceHalfOpen);
    }
    Ok(())
}

/// The two counts differ by what there is; either may lag for a moment, and below nothing is nothing.
#[inline(always)]
const fn is_reached(come: u64, gone: u64, cap: u32) -> bool {
    cap != 0 && come.wrapping_sub(gone).cast_signed() >= cap as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn count(flows: u64, half_open: u64) -> SourceCount {
        SourceCount { flows, half_open }
    }

    fn config(source_flows: u32, source_half_open: u32) -> Config {
        Config {
            source_flows,
            source_half_open,
            ..Config::ZERO
        }
    }

    #[test]
    fn each_cap_by_itself() {
        let none = count(0, 0);
        assert_eq!(admit(count(9, 9), none, &config(0, 0)), Ok(()));
        assert_eq!(admit(count(9, 1), none, &config(10, 2)), Ok(()));
        let full = admit(count(10, 1), none, &config(10, 2));
        assert_eq!(full, Err(Reason::SourceFlows));
        let half = admit(count(9, 2), none, &config(10, 2));
        assert_eq!(half, Err(Reason::SourceHalfOpen));
        assert_eq!(admit(count(u64::MAX >> 1, 2), none, &config(0, 3)), Ok(()));
    }

    #[test]
    fn what_has_gone_is_taken_off() {
        let caps = config(10, 2);
        assert_eq!(admit(count(1010, 502), count(1001, 501), &caps), Ok(()));
        // The count began anew and the correction did not.
        assert_eq!(admit(count(1, 1), count(50, 50), &caps), Ok(()));
        // A source with flows from before it was counted.
        let before = 0u64.wrapping_sub(10);
        let full = admit(count(0, 0), count(before, 0), &caps);
        assert_eq!(full, Err(Reason::SourceFlows));
    }

    #[test]
    fn half_open_until_proved() {
        let flow = |status| Flow {
            status,
            ..Flow::default()
        };
        assert!(is_half_open(&flow(status::SEEN_REPLY), proto::TCP));
        assert!(!is_half_open(&flow(status::ASSURED), proto::TCP));
        assert!(is_half_open(&flow(status::CONFIRMED), proto::UDP));
        assert!(!is_half_open(&flow(status::SEEN_REPLY), proto::UDP));
    }

    #[test]
    fn one_host_of_ipv6_is_its_network() {
        let mut addr = [7; 16];
        let one = SourceKey::of(&addr, Family::V6, 1);
        addr[8] = 9;
        assert_eq!(SourceKey::of(&addr, Family::V6, 1), one);
        assert_ne!(SourceKey::of(&addr, Family::V6, 2), one);
        addr[7] = 9;
        assert_ne!(SourceKey::of(&addr, Family::V6, 1), one);
        assert_ne!(
            SourceKey::of(&[7; 16], Family::V4, 1).family,
            one.family,
            "no IPv4 address is an IPv6 network"
        );
    }
}
