//! Random matches, of the fields that random packets differ in.

use crate::rng::Rng;

use super::sets::{Set, V4_ELEMENTS, V6_ELEMENTS};

/// What a rule has said so far.
pub(crate) struct Rule {
    parts: Vec<String>,
    /// `ip` or `ip6`, once a match says so.
    pub(super) network: Option<&'static str>,
    pub(super) transport: Option<&'static str>,
    /// Whether the table sees both families.
    pub(super) both: bool,
    /// Whether conntrack has seen the packet.
    pub(crate) tracked: bool,
    /// Whether it is known where it leaves.
    pub(crate) routed: bool,
    /// Whether it has come in by an interface.
    pub(crate) arrived: bool,
}

const PORTS: [&str; 8] = ["22", "53", "80", "443", "1000", "5000", "40000", "40001"];
const PORT_SETS: [&str; 6] = [
    "{ 22, 80 }",
    "{ 1-79, 443 }",
    "{ 53, 1000-1001, 40000-65535 }",
    "{ 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90 }",
    "1024-65535",
    "0-1000",
];

/// What two such parts have side by side in a header, if `part` denies that it is one value.
fn negated(part: &str) -> Option<&'static str> {
    let (field, value) = part.split_once(" != ")?;
    let single = !value.starts_with('{') && !value.contains(['-', '/', '@']);
    let kind = [("port", "ports"), ("addr", "addresses")];
    let (_, kind) = kind.into_iter().find(|(end, _)| field.ends_with(end))?;
    single.then_some(kind)
}

impl Rule {
    pub(crate) fn new(rng: &mut Rng, family: &str) -> Self {
        let mut rule = Self {
            parts: Vec::new(),
            network: None,
            transport: None,
            both: family == "inet",
            tracked: true,
            routed: true,
            arrived: true,
        };
        match family {
            "ip" => rule.network = Some("ip"),
            "ip6" => rule.network = Some("ip6"),
            _ => rule.network = rng.pick(&[None, None, Some("ip"), Some("ip6")]),
        }
        rule.transport = match rule.network {
            Some("ip6") => {
                rng.pick(&[None, Some("tcp"), Some("udp"), Some("icmpv6"), Some("sctp")])
            }
            Some(_) => rng.pick(&[None, Some("tcp"), Some("udp"), Some("icmp"), Some("sctp")]),
            None => rng.pick(&[None, Some("tcp"), Some("udp")]),
        };
        rule
    }

    pub(crate) fn text(&self) -> String {
        self.parts.join(" ")
    }

    /// Whether a match says which protocols it is about, in its own words.
    pub(super) fn names_protocols(&self) -> bool {
        self.parts.iter().any(|part| part.contains("l4proto"))
    }

    /// Adds a match.
    pub(crate) fn add(&mut self, rng: &mut Rng, sets: &[Set]) {
        let part = match rng.below(13) {
            10..=12 => super::asked::part(rng, self),
            0 | 1 => self.network_part(rng),
            2..=4 => self.transport_part(rng),
            5 | 6 if self.tracked => super::flows::part(rng, self.network, self.transport),
            7 => self.set_part(rng, sets),
            8 => self.concatenation(rng),
            _ => self.meta_part(rng),
        };
        self.parts
            .extend(part.filter(|part| !self.contradicts(part)));
    }

    /// Whether nft refuses `part` beside the others, or does something else with them: of ICMP messages only some
    /// types have an id, and a match of one says that the packet is of those; and of two negations side by side nft
    /// 1.0.6 makes one (docs/differences.md).
    fn contradicts(&self, part: &str) -> bool {
        let is = |part: &str, field| {
            ["icmp", "icmpv6"]
                .iter()
                .any(|name| part.starts_with(&format!("{name} {field} ")))
        };
        let has = |field| self.parts.iter().any(|other| is(other, field));
        let denied = negated(part);
        let beside = |other: &String| denied.is_some() && negated(other) == denied;
        (is(part, "id") && has("type"))
            || (is(part, "type") && has("id"))
            || self.parts.iter().any(beside)
    }

    fn network_part(&self, rng: &mut Rng) -> Option<String> {
        let not = rng.pick(&["", "", "!= "]);
        let way = rng.pick(&["saddr", "daddr"]);
        let compare = rng.pick(&["<", ">", "<=", ">=", "==", "!="]);
        Some(match (self.network?, rng.below(6)) {
            ("ip", 0) => format!("ip ttl {compare} {}", rng.pick(&[63, 64, 65])),
            ("ip", 1) => format!("ip length {compare} {}", rng.pick(&[40, 52, 60, 128])),
            ("ip", 2) if self.transport.is_none() => {
                format!("ip protocol {not}{}", rng.pick(&["tcp", "{ udp, icmp }"]))
            }
            ("ip", 3) => format!(
                "ip {}",
                rng.pick(&[
                    "id 0x1234",
                    "frag-off & 0x1fff != 0",
                    "frag-off & 0x4000 == 0x4000",
                    "hdrlength 5",
                    "version 4",
                    "dscp cs0",
                    "ecn not-ect",
                    "saddr & 0.0.0.1 == 0.0.0.1",
                ])
            ),
            ("ip", _) => {
                let element = rng.pick(&V4_ELEMENTS);
                let element = match rng.below(3) {
                    0 => format!("{{ {element}, 10.104.0.0/16 }}"),
                    1 => {
                        format!("{{ {element}, 10.101.0.40, 10.101.0.41, 10.102.0.1, 10.102.0.2 }}")
                    }
                    _ => element.to_owned(),
                };
                format!("ip {way} {not}{element}")
            }
            (_, 0) => format!("ip6 hoplimit {compare} {}", rng.pick(&[63, 64, 65])),
            (_, 1) => format!("ip6 length {compare} {}", rng.pick(&[20, 32, 8, 108])),
            ("ip6", 2) if self.transport.is_none() => {
                format!("ip6 nexthdr {not}{}", rng.pick(&["tcp", "{ udp, icmpv6 }"]))
            }
            (_, 3) => format!(
                "ip6 {}",
                rng.pick(&["version 6", "flowlabel 0", "dscp cs0"])
            ),
            _ => {
                let element = rng.pick(&V6_ELEMENTS);
                let element = match rng.below(2) {
                    0 => format!("{{ {element}, 2001:db8:400::/40 }}"),
                    _ => element.to_owned(),
                };
                format!("ip6 {way} {not}{element}")
            }
        })
    }

    fn transport_part(&self, rng: &mut Rng) -> Option<String> {
        let not = rng.pick(&["", "", "!= "]);
        let way = rng.pick(&["sport", "dport"]);
        let ports = if rng.chance(50) {
            rng.pick(&PORTS)
        } else {
            rng.pick(&PORT_SETS)
        };
        let compare = rng.pick(&["<", ">", "<=", ">="]);
        Some(match (self.transport, rng.below(4)) {
            (Some("tcp"), 0) => format!(
                "tcp flags {}",
                rng.pick(&[
                    "syn",
                    "syn / syn,ack",
                    "& (fin|syn|rst|ack) == syn",
                    "fin,rst",
                    "!= ack",
                    "& (syn|rst) == 0x0",
                    "== syn|ack",
                    "! syn",
                    "& ack != 0",
                    "syn,ack / syn,ack",
                ])
            ),
            (Some("tcp"), 1) => rng
                .pick(&[
                    "tcp window < 8193",
                    "tcp sequence > 2147483647",
                    "tcp ackseq 0",
                    "tcp doff 5",
                    // Not `0`: nft 1.0.6 makes one comparison of it and of `tcp flags syn` behind it,
                    // which then means SYN and nothing else.
                    "tcp window < 1",
                    "tcp urgptr 0",
                ])
                .to_owned(),
            (Some("udp"), 0) => format!("udp length {compare} {}", rng.pick(&[8, 9, 108, 408])),
            (Some(proto @ ("tcp" | "udp" | "sctp")), 3) => {
                format!("{proto} {way} {compare} {}", rng.pick(&PORTS))
            }
            (Some(proto @ ("tcp" | "udp" | "sctp")), _) => format!("{proto} {way} {not}{ports}"),
            (Some("icmp"), 0) => format!("icmp id {not}7"),
            (Some("icmp"), 1) => "icmp code 0".to_owned(),
            (Some("icmp"), _) => format!(
                "icmp type {not}{}",
                rng.pick(&[
                    "echo-request",
                    "echo-reply",
                    "{ echo-request, destination-unreachable }",
                    "8-12",
                    "time-exceeded",
                ])
            ),
            (Some(_), 0) => format!("icmpv6 id {not}7"),
            (Some(_), 1) => "icmpv6 code 0".to_owned(),
            (Some(_), _) => format!(
                "icmpv6 type {not}{}",
                rng.pick(&[
                    "echo-request",
                    "echo-reply",
                    "{ echo-request, destination-unreachable }",
                    "1-4",
                    "time-exceeded",
                ])
            ),
            (None, _) => format!("meta l4proto {{ tcp, udp }} th {way} {not}{ports}"),
        })
    }

    fn set_part(&self, rng: &mut Rng, sets: &[Set]) -> Option<String> {
        let fitting: Vec<&Set> = sets.iter().filter(|set| set.fits(self)).collect();
        if fitting.is_empty() {
            return None;
        }
        let set = fitting[rng.below(fitting.len())];
        let not = rng.pick(&["", "", "!= "]);
        Some(format!("{} {not}@{}", set.key, set.name))
    }

    fn concatenation(&self, rng: &mut Rng) -> Option<String> {
        let not = rng.pick(&["", "", "!= "]);
        Some(match (self.network, self.transport) {
            (Some("ip"), Some(proto @ ("tcp" | "udp"))) => format!(
                "ip saddr . {proto} dport {not}{{ 10.101.0.0/28 . 1-1000, 10.101.0.40 . 80, \
                 10.102.0.0/27 . 40000-40001 }}"
            ),
            (Some("ip6"), Some(proto @ ("tcp" | "udp"))) => format!(
                "ip6 daddr . {proto} dport {not}{{ 2001:db8:200::/124 . 53, 2001:db8:200::21 . 80 }}"
            ),
            (_, Some(proto @ ("tcp" | "udp"))) => {
                format!("iifname . {proto} dport {not}{{ \"eth0\" . 80, \"eth1\" . 53 }}")
            }
            _ => format!("iifname . meta l4proto {not}{{ \"eth0\" . tcp, \"eth1\" . udp }}"),
        })
    }

    fn meta_part(&self, rng: &mut Rng) -> Option<String> {
        let not = rng.pick(&["", "", "!= "]);
        Some(match rng.below(9) {
            0 => format!(
                "iifname {not}{}",
                rng.pick(&["\"eth0\"", "\"eth1\"", "\"eth*\"", "\"wan*\""])
            ),
            1 => format!("iif {not}{}", rng.pick(&["\"eth0\"", "\"eth1\""])),
            2 if self.routed => format!(
                "oifname {not}{}",
                rng.pick(&["\"eth0\"", "{ \"eth1\", \"wan\" }"])
            ),
            3 if self.routed => format!("oif {not}\"eth1\""),
            4 if self.both && self.network.is_none() => {
                format!("meta nfproto {not}{}", rng.pick(&["ipv4", "ipv6"]))
            }
            5 => format!(
                "meta length {}",
                rng.pick(&["< 60", "> 52", "40", "60-100", "!= 40-52"])
            ),
            6 => format!(
                "meta mark {}",
                rng.pick(&["0", "!= 0", "0x12", "& 0x10 == 0x10", "1-0x100"])
            ),
            7 => format!("meta pkttype {not}host"),
            _ if self.transport.is_none() => {
                format!(
                    "meta l4proto {not}{}",
                    rng.pick(&["tcp", "udp", "{ icmp, ipv6-icmp, sctp }", "1-6"])
                )
            }
            _ => return None,
        })
    }

    /// A verdict map; `to` is one of its verdicts.
    pub(crate) fn verdict_map(&self, rng: &mut Rng, to: &str) -> String {
        match (self.network, self.transport, rng.below(3)) {
            (_, Some(proto @ ("tcp" | "udp")), 0) => {
                format!(
                    "{proto} dport vmap {{ 22 : drop, 80-100 : {to}, 53 : accept, 1000-65535 : continue }}"
                )
            }
            (Some("ip"), _, 1) => {
                format!("ip saddr vmap {{ 10.101.0.0/27 : {to}, 10.102.0.9 : accept }}")
            }
            (_, _, 2) if self.tracked => {
                format!(
                    "ct state vmap {{ established : accept, related : accept, invalid : drop, new : {to} }}"
                )
            }
            _ => format!("iifname vmap {{ \"eth0\" : {to}, \"eth1\" : return }}"),
        }
    }
}
