//! Rules at random: nothing makes the parser panic; what it accepts, nft accepts; what is printed
//! reads back as itself.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};

use fw_user::rules::load_text;

use crate::nft::{assert_fixed_point, lab, listed, printed};

/// One match: mostly sensible, sometimes not.
fn matches() -> impl Strategy<Value = String> {
    let port = prop_oneof![
        (0_u32..70_000).prop_map(|port| port.to_string()),
        (0_u16..2000, 0_u16..2000).prop_map(|(a, b)| format!("{a}-{b}")),
        vec(0_u16..100, 1..4).prop_map(|ports| format!("{{ {} }}", join(&ports))),
        Just("ssh".to_owned()),
    ];
    let address = prop_oneof![
        any::<u32>().prop_map(|bits| std::net::Ipv4Addr::from(bits).to_string()),
        (any::<u32>(), 0_u8..34)
            .prop_map(|(bits, length)| format!("{}/{length}", std::net::Ipv4Addr::from(bits))),
        (any::<u32>(), any::<u16>()).prop_map(|(bits, more)| {
            let last = bits.saturating_add(more.into());
            let (first, last) = (
                std::net::Ipv4Addr::from(bits),
                std::net::Ipv4Addr::from(last),
            );
            format!("{first}-{last}")
        }),
    ];
    let addresses = prop_oneof![
        address.clone(),
        vec(address, 1..5).prop_map(|list| format!("{{ {} }}", list.join(", "))),
    ];
    let field = prop::sample::select(vec![
        "tcp dport",
        "tcp sport",
        "udp dport",
        "th dport",
        "sctp sport",
        "udp length",
    ]);
    let sign = prop::sample::select(vec!["", "", "", "!= ", "== ", "< ", ">= "]);
    let state = prop::sample::select(vec![
        "new",
        "established",
        "related",
        "invalid",
        "untracked",
    ]);
    let flag = prop::sample::select(vec!["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"]);
    let flags = vec(flag, 1..4).prop_map(|list| list.join(","));
    // Of one bit nft lists a form that it does not read.
    let all = vec!["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"];
    let masks = prop::sample::subsequence(all, 2..5).prop_map(|list| list.join(","));
    prop_oneof![
        4 => (field, sign.clone(), port).prop_map(|(field, sign, port)| format!("{field} {sign}{port}")),
        3 => (prop::sample::select(vec!["ip saddr", "ip daddr"]), sign.clone(), addresses)
            .prop_map(|(field, sign, value)| format!("{field} {sign}{value}")),
        1 => any::<u128>().prop_map(|bits| format!("ip6 saddr {}", std::net::Ipv6Addr::from(bits))),
        1 => (any::<u128>(), 0_u8..130).prop_map(|(bits, length)| {
            format!("ip6 daddr {}/{length}", std::net::Ipv6Addr::from(bits))
        }),
        3 => vec(state, 1..4).prop_map(|list| format!("ct state {}", list.join(","))),
        1 => (sign.clone(), any::<u32>()).prop_map(|(sign, mark)| format!("meta mark {sign}{mark:#x}")),
        1 => (any::<u32>(), any::<u32>()).prop_map(|(mask, mark)| format!("ct mark & {mask:#x} == {mark:#x}")),
        2 => (flags.clone(), masks).prop_map(|(value, mask)| format!("tcp flags {value} / {mask}")),
        1 => (sign, flags).prop_map(|(sign, value)| format!("tcp flags {sign}{value}")),
        2 => prop::sample::select(vec![
            "iifname \"eth0\"", "iifname \"eth*\"", "oifname != \"ppp0\"", "iif lo", "meta l4proto tcp",
            "meta l4proto { tcp, udp }", "ip protocol icmp", "ip6 nexthdr udp", "meta nfproto ipv4",
            "icmp type echo-request", "icmpv6 type { nd-router-advert, 135 }", "icmp id 5",
            "meta pkttype broadcast", "ip dscp ef", "ip frag-off & 0x1fff != 0", "ct direction reply",
            "ct status assured", "fib daddr type local", "ether saddr 1:2:3:4:5:6", "vlan id 5",
            "ip saddr . tcp dport { 1.2.3.4 . 22, 10.0.0.0/8 . 80-90 }", "meta length > 100",
            "tcp option maxseg size 500-1000", "exthdr frag exists", "ip ttl < 5", "ct bytes > 5",
        ])
        .prop_map(str::to_owned),
    ]
}

fn join(numbers: &[u16]) -> String {
    let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

fn statements() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "counter",
        "limit rate 5/second",
        "limit rate over 10 kbytes/second burst 5 kbytes",
        "log prefix \"x: \" level info",
        "meta mark set 0x5",
        "ct mark set meta mark & 0xff",
        "quota over 5 mbytes",
        "meta mark set ct mark or 0x10",
        "ct mark set tcp dport map { 22 : 1 }",
    ])
    .prop_map(str::to_owned)
}

fn verdicts() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "accept",
        "drop",
        "reject",
        "return",
        "continue",
        "jump o",
        "goto o",
        "reject with tcp reset",
        "reject with icmpx admin-prohibited",
        "reject with icmp host-unreachable",
        "tcp dport vmap { 22 : accept, 80-90 : jump o }",
        "",
    ])
    .prop_map(str::to_owned)
}

fn rules() -> impl Strategy<Value = String> {
    (vec(matches(), 0..4), vec(statements(), 0..2), verdicts()).prop_map(
        |(matches, statements, verdict)| {
            let mut parts = matches;
            parts.extend(statements);
            parts.push(verdict);
            parts.retain(|part| !part.is_empty());
            parts.join(" ")
        },
    )
}

fn ruleset(rules: &[String]) -> String {
    let mut text = String::from("table inet t {\n\tchain o {\n\t}\n\n\tchain c {\n");
    text.push_str("\t\ttype filter hook input priority 0; policy accept;\n");
    for rule in rules.iter().filter(|rule| !rule.is_empty()) {
        text.push_str(&format!("\t\t{rule}\n"));
    }
    text.push_str("\t}\n}\n");
    text
}

/// Words and signs of the language in any order.
fn soup() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "table",
        "inet",
        "t",
        "chain",
        "c",
        "{",
        "}",
        "{",
        "}",
        "type",
        "filter",
        "hook",
        "input",
        "priority",
        "0",
        ";",
        "\n",
        "tcp",
        "dport",
        "22",
        "-",
        "25",
        "accept",
        "set",
        "map",
        "vmap",
        "@s",
        "$x",
        "define",
        "=",
        ",",
        ".",
        ":",
        "(",
        ")",
        "&",
        "|",
        "==",
        "!=",
        "1.2.3.4",
        "/8",
        "::1",
        "\"a\"",
        "\"",
        "#",
        "\\",
        "*",
        "eth*",
        "jump",
        "limit",
        "rate",
        "5/second",
        "elements",
        "flags",
        "interval",
        "include",
        "add",
        "rule",
        "element",
        "ct",
        "state",
        "new",
        "update",
        "counter",
        "undefine",
        "é",
        "\u{0}",
        "99999999999999999999999999999999999999999999",
        "0x",
        "1d2h",
    ]);
    vec(word, 0..60).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        // The same for everybody; another seed now and then finds more.
        rng_seed: RngSeed::Fixed(4),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_panics(text in prop_oneof![soup(), any::<String>()]) {
        let loaded = load_text("soup", &text);
        let _ = loaded.report.render(false);
        let _ = loaded.report.to_json();
        prop_assert_eq!(loaded.ruleset.is_none(), loaded.report.has_errors());
    }

    #[test]
    fn printed_rules_read_back(list in vec(rules(), 1..4)) {
        let loaded = load_text("generated", &ruleset(&list));
        if loaded.ruleset.is_some() {
            assert_fixed_point(&printed(&loaded));
        }
    }
}

/// Rulesets in one run of nft each.
const BATCHES: usize = 20;
const RULES: usize = 60;

#[test]
fn nft_accepts_what_we_accept_and_lists_it_so() {
    let Some(lab) = lab("generated") else {
        return;
    };
    let mut runner = TestRunner::deterministic();
    for _ in 0..BATCHES {
        let mut accepted = Vec::new();
        while accepted.len() < RULES {
            let tree = rules().new_tree(&mut runner).expect("a rule");
            let rule = tree.current();
            // nft turns this into `tcp dport` and the like.
            let names = ["tcp", "udp", "sctp"]
                .iter()
                .any(|name| rule.contains(name));
            if rule.contains("th dport") && names {
                continue;
            }
            if load_text("one", &ruleset(std::slice::from_ref(&rule)))
                .ruleset
                .is_some()
            {
                accepted.push(rule);
            }
        }
        let text = ruleset(&accepted);
        let file = lab.run_dir().join("generated.nft");
        std::fs::write(&file, &text).expect("a file");
        let theirs = listed(&lab, &file).unwrap_or_else(|said| panic!("{said}"));
        let ours = printed(&load_text("all", &text));
        let pairs = ours.lines().zip(theirs.lines()).zip(text.lines());
        let differ: Vec<_> = pairs
            .filter(|((ours, theirs), _)| !same(ours, theirs))
            .collect();
        assert!(differ.is_empty(), "{differ:#?}");
        assert_eq!(ours.lines().count(), theirs.lines().count());
    }
}

/// nft reads two neighbouring fields at once and lists them in the header's order; some of what it
/// takes for granted it lists all the same; a set whose elements have merged into one keeps its braces.
/// So: the same words.
fn same(ours: &str, theirs: &str) -> bool {
    let words = |line: &str| {
        let mut rest = line.split_whitespace().peekable();
        let mut words = Vec::new();
        while let Some(word) = rest.next() {
            // `meta l4proto tcp` in front of or behind `tcp dport`: said or implied, it is the same.
            if matches!(word, "l4proto" | "nfproto") && words.last() == Some(&"meta") {
                words.pop();
                rest.next_if(|next| !matches!(*next, "{" | "!="));
            } else if !matches!(word, "{" | "}") {
                words.push(word);
            }
        }
        words.sort_unstable();
        words.join(" ")
    };
    words(ours) == words(theirs)
}
