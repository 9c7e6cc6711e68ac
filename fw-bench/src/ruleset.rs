//! Rulesets of a given length, in nftables' language, which both firewalls read.

use std::fmt::Write as _;

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

/// A ruleset that looks each new flow's source up among `elements` addresses, none of which occurs.
#[must_use]
pub fn set(elements: u32) -> String {
    let mut text =
        String::from("table inet bench {\n\tset refused {\n\t\ttype ipv4_addr\n\t\telements = { ");
    for i in 0..elements {
        let separator = if i == 0 { "" } else { ", " };
        let _ = write!(text, "{separator}{}", element(i));
    }
    text.push_str(
        " }\n\t}\n\tchain forward {\n\
         \t\ttype filter hook forward priority filter; policy drop;\n\
         \t\tct state established,related accept\n\
         \t\tip saddr @refused drop\n\
         \t\taccept\n\t}\n}\n",
    );
    text
}

/// Element number `i` of [`set`]: in 16.0.0.0/5, spread.
#[must_use]
pub fn element(i: u32) -> std::net::Ipv4Addr {
    // An odd factor: each number once.
    let spread = i.wrapping_mul(0x9e37_79b1) & 0x07ff_ffff;
    (0x1000_0000 | spread).into()
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
    fn elements_are_all_different() {
        let all: HashSet<_> = (0..100_000).map(element).collect();
        assert_eq!(all.len(), 100_000);
        assert!(
            all.iter()
                .all(|address| (16..24).contains(&address.octets()[0]))
        );
    }
}
