//! Random statements with an effect of their own: rejecting, logging, limiting, changing a set.

use crate::rng::Rng;

use super::matches::Rule;
use super::sets::Set;

const ICMP: [&str; 9] = [
    "net-unreachable",
    "host-unreachable",
    "prot-unreachable",
    "port-unreachable",
    "frag-needed",
    "net-prohibited",
    "host-prohibited",
    "admin-prohibited",
    "15",
];
const ICMPV6: [&str; 6] = [
    "no-route",
    "admin-prohibited",
    "addr-unreachable",
    "port-unreachable",
    "policy-fail",
    "reject-route",
];
const ICMPX: [&str; 4] = [
    "no-route",
    "port-unreachable",
    "host-unreachable",
    "admin-prohibited",
];

/// Rejects with whatever fits `rule`.
pub(super) fn reject(rng: &mut Rng, rule: &Rule) -> String {
    let resets = match rule.transport {
        None => !rule.names_protocols(),
        transport => transport == Some("tcp"),
    };
    match (rng.below(4), rule.network) {
        (0, _) => "reject".to_owned(),
        (1, _) if resets => "reject with tcp reset".to_owned(),
        (2, None) if rule.both => format!("reject with icmpx {}", rng.pick(&ICMPX)),
        (_, Some("ip")) => format!("reject with icmp {}", rng.pick(&ICMP)),
        (_, Some(_)) => format!("reject with icmpv6 {}", rng.pick(&ICMPV6)),
        (_, None) if rng.chance(50) => format!("reject with icmp {}", rng.pick(&ICMP)),
        (_, None) => format!("reject with icmpv6 {}", rng.pick(&ICMPV6)),
    }
}

/// Logs, and goes on.
pub(super) fn log(rng: &mut Rng) -> String {
    let how = rng.pick(&[
        "",
        " prefix \"seen: \"",
        " level info",
        " prefix \"x\" level debug flags all",
        " flags tcp sequence",
        " group 3",
        " prefix \"to a group\" group 3 snaplen 40",
    ]);
    let then = rng.pick(&["", " counter", " counter drop", " counter accept"]);
    format!("log{how}{then}")
}

/// Lets some packets on. No token comes back while the test runs.
pub(super) fn limit(rng: &mut Rng) -> String {
    match rng.below(4) {
        0 => "limit name scarce".to_owned(),
        1 => format!(
            "limit rate {}1 bytes/day burst {} bytes",
            rng.pick(&["", "over "]),
            rng.pick(&["100", "400", "3000"])
        ),
        _ => format!(
            "limit rate {}{} burst {} packets",
            rng.pick(&["", "over "]),
            rng.pick(&["1/day", "1/week", "2/day"]),
            rng.pick(&["1", "5", "30"])
        ),
    }
}

/// Adds what the packet has to a set, if there is one that it fits.
pub(super) fn update(rng: &mut Rng, rule: &Rule, sets: &[Set]) -> Option<String> {
    let fitting: Vec<&Set> = sets
        .iter()
        .filter(|set| set.grows && set.fits(rule))
        .collect();
    if fitting.is_empty() {
        return None;
    }
    let set = fitting[rng.below(fitting.len())];
    let verb = rng.pick(&["add", "add", "update"]);
    let timeout = if set.ages {
        rng.pick(&["", "", " timeout 2h"])
    } else {
        ""
    };
    Some(format!(
        "{verb} @{} {{ {}{timeout}{} }}",
        set.name, set.key, set.with
    ))
}
