//! Named sets of random rulesets.

use crate::rng::Rng;

use super::matches::Rule;

/// A named set.
pub(crate) struct Set {
    /// Its declaration.
    pub(crate) text: String,
    pub(super) name: String,
    /// What is looked up in it, and what it needs.
    pub(super) key: &'static str,
    network: Option<&'static str>,
    transport: Option<&'static str>,
    /// Whether rules may add elements, and whether those have a time to live.
    pub(super) grows: bool,
    pub(super) ages: bool,
    /// Statements of its elements: the same for all rules, as we take no others.
    pub(super) with: &'static str,
}

impl Set {
    /// Set number `n` of a table.
    pub(crate) fn new(rng: &mut Rng, family: &str, n: usize) -> Self {
        let name = format!("s{n}");
        if rng.chance(40) {
            return Self::empty(rng, family, name);
        }
        let (network, key, kind, elements): (_, _, _, &[&str]) = match rng.below(5) {
            0 if family != "ip6" => (Some("ip"), "ip saddr", "ipv4_addr", &V4_ELEMENTS),
            1 if family != "ip" => (Some("ip6"), "ip6 saddr", "ipv6_addr", &V6_ELEMENTS),
            2 => (None, "iifname", "ifname", &["\"eth0\""]),
            _ => (
                None,
                "tcp dport",
                "inet_service",
                &["22", "80-90", "1000", "40000-40001"],
            ),
        };
        let transport = (key == "tcp dport").then_some("tcp");
        let mut chosen: Vec<&str> = elements
            .iter()
            .copied()
            .filter(|_| rng.chance(60))
            .collect();
        if kind == "ifname" || chosen.is_empty() {
            chosen = elements[..1].to_vec();
        }
        let flags = if kind == "ifname" {
            ""
        } else {
            "flags interval; "
        };
        let text = format!(
            "set {name} {{ type {kind}; {flags}elements = {{ {} }} }}",
            chosen.join(", ")
        );
        Self {
            text,
            name,
            key,
            network,
            transport,
            grows: false,
            ages: false,
            with: "",
        }
    }

    /// One that rules fill.
    fn empty(rng: &mut Rng, family: &str, name: String) -> Self {
        let (network, key, kind) = match rng.below(8) {
            0 | 1 if family != "ip6" => {
                (Some("ip"), rng.pick(&["ip saddr", "ip daddr"]), "ipv4_addr")
            }
            2 if family != "ip6" => (
                Some("ip"),
                "ip saddr . meta l4proto",
                "ipv4_addr . inet_proto",
            ),
            3 | 4 if family != "ip" => (
                Some("ip6"),
                rng.pick(&["ip6 saddr", "ip6 daddr"]),
                "ipv6_addr",
            ),
            5 => (None, "meta l4proto", "inet_proto"),
            6 => (None, "iifname . tcp dport", "ifname . inet_service"),
            _ => (None, "tcp sport", "inet_service"),
        };
        let ages = rng.chance(40);
        let text = format!(
            "set {name} {{ type {kind}; size {}; flags dynamic{} }}",
            rng.pick(&[3, 20, 65535]),
            if ages { ",timeout; timeout 1h;" } else { ";" }
        );
        Self {
            text,
            name,
            key,
            network,
            transport: key.contains("tcp").then_some("tcp"),
            grows: true,
            ages,
            with: rng.pick(&[
                "",
                "",
                " counter",
                " limit rate 1/day burst 2 packets",
                " limit rate over 1/day burst 3 packets",
                " quota over 300 bytes",
            ]),
        }
    }

    /// Whether a rule may look for its packet in it.
    pub(super) fn fits(&self, rule: &Rule) -> bool {
        (self.network.is_none() || self.network == rule.network)
            && (self.transport.is_none() || self.transport == rule.transport)
    }
}

pub(super) const V4_ELEMENTS: [&str; 5] = [
    "10.101.0.0/28",
    "10.102.0.7",
    "10.101.0.20-10.101.0.33",
    "10.102.0.16/29",
    "10.103.0.0/16",
];
pub(super) const V6_ELEMENTS: [&str; 5] = [
    "2001:db8:100::/124",
    "2001:db8:200::7",
    "2001:db8:100::20-2001:db8:100::33",
    "2001:db8:200::10/125",
    "2001:db8:300::/40",
];
