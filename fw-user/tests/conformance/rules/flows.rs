//! Random matches of what conntrack says.

use crate::rng::Rng;

/// A match that fits a rule about `network` and `transport`.
pub(crate) fn part(
    rng: &mut Rng,
    network: Option<&str>,
    transport: Option<&str>,
) -> Option<String> {
    let not = rng.pick(&["", "", "!= "]);
    Some(match (rng.below(10), network) {
        (0..=3, _) => format!(
            "ct state {not}{}",
            rng.pick(&[
                "new",
                "established",
                "invalid",
                "established,related",
                "new,related",
                "related",
                "{ new, invalid }",
                "untracked",
            ])
        ),
        (4, _) => format!("ct direction {}", rng.pick(&["original", "reply"])),
        (5, _) => format!(
            "ct mark {not}{}",
            rng.pick(&["0", "1", "0x12", "{ 1, 0x100 }"])
        ),
        (6, _) => format!(
            "ct status {}",
            rng.pick(&[
                "seen-reply",
                "assured",
                "! assured",
                "seen-reply,assured",
                "confirmed",
                "expected",
            ])
        ),
        (7, Some("ip")) => format!(
            "ct {} ip {} {not}10.101.0.0/27",
            rng.pick(&["original", "reply"]),
            rng.pick(&["saddr", "daddr"]),
        ),
        (7, Some("ip6")) => format!("ct original ip6 saddr {not}2001:db8:100::/124"),
        (8, _) => format!(
            "ct {}{} {} {}",
            rng.pick(&["", "original ", "reply "]),
            rng.pick(&["packets", "bytes"]),
            rng.pick(&["<", ">"]),
            rng.pick(&[1, 2, 100, 300]),
        ),
        _ if transport == Some("tcp") => format!(
            "meta l4proto tcp ct {}",
            rng.pick(&[
                "original proto-dst 80",
                "reply proto-src 80",
                "original proto-src > 40000"
            ])
        ),
        _ => "ct zone 0".to_owned(),
    })
}
