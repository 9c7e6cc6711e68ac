//! `fwctl trace`: real packets on their way through the rules.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fw_common::abi::{ANY, TURNS, TraceRecord};
use fw_common::ruleset::field::{self, have};
use fw_common::ruleset::{Facts, Outcome};
use fw_common::wire::proto;
use serde_json::{Map, Value, json};

use super::path::{Step, Turn, Walker, What};
use crate::life::offline::Found;

/// What one packet met at one hook.
#[derive(Clone, Debug)]
pub struct Traced {
    /// The same for all hooks that the packet passes.
    pub id: u32,
    /// Its fields, in nft's words and order: name, value, whether nft puts it in quotes.
    pub fields: Vec<(&'static str, String, bool)>,
    /// The rules.
    pub steps: Vec<Step>,
    /// More was met than the record has room for.
    pub cut: bool,
    /// How the hook ended.
    pub outcome: Outcome,
}

/// Names of TCP's flags, lowest bit first.
const FLAGS: [&str; 8] = ["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"];

impl Traced {
    /// Reads a record by the rules that the packet met.
    #[must_use]
    pub fn read(record: &TraceRecord, found: &Found) -> Self {
        let facts = Facts::of_record(&record.facts);
        let count = (record.count as usize).min(TURNS);
        let turns: Vec<Turn> = record.turns[..count]
            .iter()
            .map(|turn| {
                let (pc, depth) = turn.place();
                Turn {
                    pc,
                    depth,
                    next: (turn.next != ANY).then_some(turn.next),
                }
            })
            .collect();
        let names = found.saved.failsafe.iter().map(ToString::to_string);
        let walker = Walker::new(&found.ready.ruleset, &found.ready.compiled, names.collect());
        let outcome = outcome(record.outcome);
        let mut steps = Vec::new();
        walker.read(&turns, outcome, &mut steps);
        Self {
            id: record.id,
            fields: fields(&facts),
            steps,
            cut: record.count as usize > TURNS,
            outcome,
        }
    }

    /// The lines of `nft monitor trace`: the packet before the first rule of each chain's table.
    #[must_use]
    pub fn lines(&self) -> String {
        let mut text = String::new();
        let id = format!("trace id {:08x}", self.id);
        let mut fields = String::new();
        for (name, value, quoted) in &self.fields {
            let quote = if *quoted { "\"" } else { "" };
            let _ = write!(fields, " {name} {quote}{value}{quote}");
        }
        let mut before: Option<(&str, &str)> = None;
        for step in &self.steps {
            let place = (step.table.as_str(), step.chain.as_str());
            if before.is_none() {
                let _ = writeln!(text, "{id} {} {} packet:{fields}", place.0, place.1);
            }
            before = Some(place);
            let _ = writeln!(text, "{id} {step}");
        }
        if self.cut {
            let _ = writeln!(text, "{id} more rules were met than are told of");
        }
        text
    }

    /// The same as one JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        let fields: Map<String, Value> = self
            .fields
            .iter()
            .map(|(name, value, _)| ((*name).to_owned(), value.as_str().into()))
            .collect();
        json!({
            "id": format!("{:08x}", self.id),
            "packet": fields,
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
            "verdict": match self.outcome {
                Outcome::Accept => "accept",
                Outcome::Reject => "reject",
                Outcome::Running | Outcome::Drop | Outcome::Broken | Outcome::Unanswered => "drop",
            },
            "cut": self.cut,
        })
    }
}

const fn outcome(number: u32) -> Outcome {
    match number {
        1 => Outcome::Accept,
        2 => Outcome::Drop,
        3 => Outcome::Reject,
        5 => Outcome::Unanswered,
        _ => Outcome::Broken,
    }
}

fn fields(facts: &Facts) -> Vec<(&'static str, String, bool)> {
    let mut out = Vec::new();
    for (name, at) in [("iif", field::IIFNAME), ("oif", field::OIFNAME)] {
        let bytes = facts.four(at).map(u32::to_be_bytes).concat();
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        if !text.is_empty() {
            out.push((name, String::from_utf8_lossy(text).into_owned(), true));
        }
    }
    let mut put = |name, value: String| out.push((name, value, false));
    let first = facts.get(field::NH);
    if facts.get(field::NFPROTO) == 2 {
        let address = |at| IpAddr::from(Ipv4Addr::from_bits(facts.get(at)));
        put("ip saddr", address(field::NH + 3).to_string());
        put("ip daddr", address(field::NH + 4).to_string());
        put("ip ttl", (facts.get(field::NH + 2) >> 24).to_string());
        put("ip length", (first & 0xffff).to_string());
    } else {
        let address = |at| {
            let wide = facts.four(at);
            let wide = wide
                .iter()
                .fold(0, |all, word| all << 32 | u128::from(*word));
            IpAddr::from(Ipv6Addr::from_bits(wide))
        };
        let second = facts.get(field::NH + 1);
        put("ip6 saddr", address(field::NH + 2).to_string());
        put("ip6 daddr", address(field::NH + 6).to_string());
        put("ip6 hoplimit", (second & 0xff).to_string());
        put("ip6 length", (second >> 16).to_string());
    }
    let first = facts.get(field::TH);
    let there = |bit: u8| facts.has(u32::from(bit));
    let number = u8::try_from(facts.get(field::L4PROTO)).unwrap_or(u8::MAX);
    match number {
        proto::TCP if there(have::TH20) => {
            put("tcp sport", (first >> 16).to_string());
            put("tcp dport", (first & 0xffff).to_string());
            let flags = facts.get(field::TH + 3) >> 16 & 0xff;
            let named = (0..8).filter(|bit| flags >> bit & 1 != 0);
            let named: Vec<&str> = named.map(|bit| FLAGS[bit as usize]).collect();
            put("tcp flags", named.join(","));
        }
        proto::UDP | proto::SCTP if there(have::TH4) => {
            let names = match number {
                proto::UDP => ("udp sport", "udp dport"),
                _ => ("sctp sport", "sctp dport"),
            };
            put(names.0, (first >> 16).to_string());
            put(names.1, (first & 0xffff).to_string());
        }
        proto::ICMP | proto::ICMPV6 if there(have::TH4) => {
            let names = match number {
                proto::ICMP => ("icmp type", "icmp code"),
                _ => ("icmpv6 type", "icmpv6 code"),
            };
            put(names.0, (first >> 24).to_string());
            put(names.1, (first >> 16 & 0xff).to_string());
        }
        other => put("meta l4proto", other.to_string()),
    }
    out
}

/// One step as JSON, as `fwctl explain` has it.
#[must_use]
pub fn step(step: &Step) -> Value {
    let Step {
        table,
        chain,
        what,
        verdict,
    } = step;
    match what {
        What::Rule {
            handle,
            text,
            comment,
        } => json!({
            "table": table, "chain": chain, "rule": text, "handle": handle, "comment": comment,
            "verdict": verdict,
        }),
        What::Policy => json!({"table": table, "chain": chain, "policy": verdict}),
        What::Failsafe(port) => json!({"failsafe": port, "verdict": verdict}),
    }
}
