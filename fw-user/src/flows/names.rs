//! Names and numbers of families, protocols and states, as conntrack(8) writes them.

use fw_common::sctp;
use fw_common::tcp::State;
use fw_common::wire::{Family, proto};

/// DCCP: no state machine here, but conntrack knows its name and prints its ports.
const DCCP: u8 = 33;

/// Protocols that conntrack(8) prints by name; every other is `unknown`.
const PRINTED: [(u8, &str); 8] = [
    (proto::ICMP, "icmp"),
    (proto::TCP, "tcp"),
    (proto::UDP, "udp"),
    (DCCP, "dccp"),
    (proto::GRE, "gre"),
    (proto::ICMPV6, "icmpv6"),
    (proto::SCTP, "sctp"),
    (proto::UDPLITE, "udplite"),
];

/// Further names that are understood, from IANA's registry as `/etc/protocols` spells them.
const UNDERSTOOD: [(u8, &str); 13] = [
    (proto::IGMP, "igmp"),
    (4, "ipencap"),
    (4, "ipip"),
    (41, "ipv6"),
    (46, "rsvp"),
    (proto::ESP, "esp"),
    (proto::AH, "ah"),
    (proto::ICMPV6, "ipv6-icmp"),
    (88, "eigrp"),
    (89, "ospf"),
    (103, "pim"),
    (112, "vrrp"),
    (115, "l2tp"),
];

/// A number of 16 bits: a port, an identifier, a zone.
///
/// # Errors
/// What would have been right.
pub fn parse_u16(text: &str) -> Result<u16, String> {
    let number = text.parse();
    number.map_err(|_| "a number from 0 to 65535 is expected".into())
}

/// A number of 8 bits: an ICMP type or code.
///
/// # Errors
/// What would have been right.
pub fn parse_u8(text: &str) -> Result<u8, String> {
    let number = text.parse();
    number.map_err(|_| "a number from 0 to 255 is expected".into())
}

/// `ipv4` or `ipv6`.
#[must_use]
pub const fn family_name(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

/// The name of a protocol, `unknown` for those that conntrack has no name for.
#[must_use]
pub fn proto_name(number: u8) -> &'static str {
    PRINTED
        .iter()
        .find(|(n, _)| *n == number)
        .map_or("unknown", |(_, name)| name)
}

/// The name of a protocol, or its number where [`proto_name`] has no name for it.
pub(crate) fn proto_word(number: u8) -> String {
    match proto_name(number) {
        "unknown" => number.to_string(),
        name => name.into(),
    }
}

/// The number of a protocol given by name (in any case) or number.
#[must_use]
pub fn proto_number(text: &str) -> Option<u8> {
    let named = PRINTED
        .iter()
        .chain(&UNDERSTOOD)
        .find(|(_, name)| name.eq_ignore_ascii_case(text));
    match named {
        Some((number, _)) => Some(*number),
        None => text.parse().ok(),
    }
}

/// A family by name.
///
/// # Errors
/// What would have been right.
pub fn parse_family(text: &str) -> Result<Family, String> {
    match text {
        "ipv4" => Ok(Family::V4),
        "ipv6" => Ok(Family::V6),
        _ => Err("it is ipv4 or ipv6".into()),
    }
}

/// A protocol by name or number.
///
/// # Errors
/// What would have been right.
pub fn parse_proto(text: &str) -> Result<u8, String> {
    proto_number(text).ok_or_else(|| "no such protocol; give its number, 0 to 255".into())
}

/// Whether conntrack prints ports for this protocol.
#[must_use]
pub const fn has_ports(number: u8) -> bool {
    matches!(
        number,
        proto::TCP | proto::UDP | proto::UDPLITE | proto::SCTP | DCCP
    )
}

/// The name of a connection's state; `None` for protocols without states.
#[must_use]
pub fn state_name(protocol: u8, state: u8) -> Option<&'static str> {
    match protocol {
        proto::TCP => State::from_u8(state).map(State::name),
        proto::SCTP => sctp::State::from_u8(state).map(sctp::State::name),
        _ => None,
    }
}

/// Every name that [`state_name`] can give.
pub fn state_names() -> impl Iterator<Item = &'static str> {
    let tcp = State::ALL.map(State::name);
    let sctp = sctp::State::ALL.map(sctp::State::name);
    let sctp = sctp.into_iter().filter(move |s| !tcp.contains(s));
    tcp.into_iter().chain(sctp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_by_name_and_number() {
        assert_eq!(proto_number("tcp"), Some(6));
        assert_eq!(proto_number("UDP"), Some(17));
        assert_eq!(proto_number("50"), Some(50));
        assert_eq!(proto_number("esp"), Some(50));
        assert_eq!(proto_number("256"), None);
        assert_eq!(proto_number("tpc"), None);
        assert_eq!(proto_name(132), "sctp");
        assert_eq!(proto_name(50), "unknown");
        assert_eq!([132, 50].map(proto_word), ["sctp", "50"]);
    }

    #[test]
    fn tcp_states_have_the_kernels_names() {
        let name = |state: State| state_name(proto::TCP, state as u8);
        assert_eq!(name(State::None), Some("NONE"));
        assert_eq!(name(State::Established), Some("ESTABLISHED"));
        assert_eq!(name(State::Close), Some("CLOSE"));
        assert_eq!(name(State::SynSent2), Some("SYN_SENT2"));
        assert_eq!(state_name(proto::TCP, 10), None);
        assert_eq!(state_name(proto::UDP, 3), None);
    }
}
