//! `limit` beside the kernel's: the same bursts and pauses through both, and what each bucket lets through.
//!
//! Both read a clock of their own at every packet, a fraction of a millisecond apart. A token takes 100 ms, and
//! the pauses end between two tokens: all verdicts and counters agree exactly. Only where a machine under load
//! stretches a pause to just where a token is full may one packet fall on either side, and a ruleset is run
//! again.

use anyhow::Result;
use fw_common::wire::Family;

use crate::report::Report;
use crate::run::Arena;
use crate::script::{Body, Packet, Script, Step, Who};

use super::try_again;

/// Their line in the report.
const SOURCE: &str = "rules, limits";

/// Packets of a burst: more than any bucket here holds.
const BURST: u16 = 18;

/// Milliseconds between bursts, with a token every 100: none, some, and enough to fill any bucket.
const PAUSES: [u16; 4] = [20, 240, 430, 1250];

/// A packet of every burst: of either family, and no two of the same length.
fn script(n: u16) -> Script {
    let family = if n.is_multiple_of(3) {
        Family::V6
    } else {
        Family::V4
    };
    let datagram = || {
        Step::Send(Packet::new(
            Who::A,
            Body::Udp {
                ports: [1000 + n, 53],
                payload: 1 + 11 * n,
            },
        ))
    };
    let pauses = PAUSES.into_iter().map(Step::Wait);
    Script {
        family,
        steps: pauses
            .flat_map(|pause| [datagram(), pause])
            .chain([datagram()])
            .collect(),
    }
}

fn filter(objects: &str, rules: &str) -> String {
    format!(
        "table inet t {{\n{objects}\nchain f {{\ntype filter hook forward priority 0; policy accept;\n\
         {rules}\n}}\n}}\n"
    )
}

fn texts() -> Vec<String> {
    vec![
        filter("", "limit rate 10/second counter accept\ncounter drop"),
        filter(
            "",
            "limit rate 600/minute burst 8 packets counter accept\ncounter drop",
        ),
        filter(
            "",
            "limit rate over 10/second burst 3 packets counter drop\ncounter",
        ),
        filter("", "limit rate 1/hour burst 7 packets counter\ncounter"),
        filter(
            "",
            "limit rate 1000 bytes/second counter accept\ncounter drop",
        ),
        filter(
            "",
            "limit rate 700 bytes/second burst 300 bytes counter accept\ncounter drop",
        ),
        filter(
            "",
            "limit rate over 1 kbytes/second burst 500 bytes counter drop\ncounter",
        ),
        // One behind the other: what the first refuses costs the second nothing.
        filter(
            "",
            "udp length < 100 limit rate 10/second burst 6 packets counter \
             limit rate over 500 bytes/second counter drop\ncounter",
        ),
        // One bucket for two rules, and one for each element.
        filter(
            "limit both { rate 10/second burst 4 packets }",
            "meta nfproto ipv4 limit name \"both\" counter accept\nlimit name \"both\" counter accept\n\
             counter drop",
        ),
        filter(
            "set s { type inet_proto . nf_proto; size 100; flags dynamic; }",
            "add @s { meta l4proto . meta nfproto limit rate over 10/second burst 2 packets } counter drop\n\
             counter",
        ),
    ]
}

/// Shows them to both.
pub(crate) fn run(arena: &mut Arena, report: &mut Report) -> Result<()> {
    let scripts: Vec<Script> = (0..BURST).map(script).collect();
    for text in texts() {
        let tried = try_again(arena, report, &text, &scripts)?;
        for outcome in &tried.outcomes {
            report.count(SOURCE, outcome);
        }
        if let Some(finding) = tried.finding {
            report.broken(&format!("{text}{finding}"));
        }
    }
    arena.no_rules()
}
