//! Rulesets of a given length, in nftables' language, which both firewalls read.

use std::fmt::Write as _;

use crate::traffic::CLIENTS4;

/// The server's port that the rulesets let nobody new to.
pub const REFUSED_PORT: u16 = 7;

/// A router's ruleset of `rules` rules (four at least), as one writes it: what is established first,
/// then what nobody matches, then a refused port, then everything.
#[must_use]
pub fn linear(rules: u32) -> String {
    let mut text = String::from(
        "table inet bench {\n\
         \tchain forward {\n\
         \t\ttype filter hook forward priority filter; policy drop;\n\
         \t\tct state established,related accept\n\
         \t\tct state invalid drop\n",
    );
    for i in 0..rules.saturating_sub(4) {
        // 203.0.113.0/24 and 192.0.2.0/24 are for documentation (RFC 5737): no packet is from there.
        let (net, host, port) = (
            ["203.0.113", "192.0.2"][i as usize % 2],
            i % 254 + 1,
            1024 + i,
        );
        let _ = writeln!(text, "\t\tip saddr {net}.{host} tcp dport {port} drop");
    }
    let _ = write!(
        text,
        "\t\tmeta l4proto {{ tcp, udp }} th dport {REFUSED_PORT} drop\n\t\taccept\n\t}}\n}}\n"
    );
    text
}

/// A ruleset that looks each new flow's source up among so many prefixes, and finds it.
#[must_use]
pub fn prefixes(count: u32) -> String {
    let mut text = String::from(
        "table inet bench {\n\tset known {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = { ",
    );
    for i in 0..count {
        let separator = if i == 0 { "" } else { ", " };
        let _ = write!(text, "{separator}{}", prefix(i));
    }
    text.push_str(" }\n\t}\n");
    text.push_str(&short("ip saddr @known accept"));
    text
}

/// What [`prefixes`] is without the set.
#[must_use]
pub fn no_prefixes() -> String {
    format!("table inet bench {{\n{}", short("accept"))
}

/// A chain with one rule for new flows, and the end of its table.
fn short(rule: &str) -> String {
    format!(
        "\tchain forward {{\n\
         \t\ttype filter hook forward priority filter; policy drop;\n\
         \t\tct state established,related accept\n\
         \t\t{rule}\n\t}}\n}}\n"
    )
}

/// Prefixes of [`prefixes`] that clients are in: all of 198.18.0.0/16, by four.
const CLIENTS: u32 = 1 << 14;

/// Prefix number `i` of [`prefixes`], none of which touches another: first the clients', then of lengths from
/// 26 to 32 in 16.0.0.0/5, spread.
#[must_use]
pub fn prefix(i: u32) -> String {
    let (bits, len) = if i < CLIENTS {
        (u32::from(CLIENTS4) | i << 2, 30)
    } else {
        // An odd factor: each number once, in a /25 of its own.
        let place = i.wrapping_mul(0x9e37_79b1) & 0x000f_ffff;
        (0x1000_0000 | place << 7, 26 + i % 7)
    };
    format!("{}/{len}", std::net::Ipv4Addr::from(bits))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_ruleset_has_as_many_rules_as_asked_for() {
        for rules in [4, 10, 20, 1000] {
            let text = linear(rules);
            let count = text
                .lines()
                .filter(|line| line.ends_with(" drop") || line.ends_with("accept"));
            assert_eq!(count.count(), rules as usize, "{text}");
        }
    }

    #[test]
    fn prefixes_are_all_different_and_have_the_clients_in_them() {
        let all: HashSet<_> = (0..1_000_000).map(prefix).collect();
        assert_eq!(all.len(), 1_000_000);
        assert!(all.contains("198.18.0.0/30") && all.contains("198.18.255.252/30"));
        let ours = all.iter().filter(|prefix| prefix.starts_with("198.18."));
        assert_eq!(ours.count(), CLIENTS as usize);
    }
}
