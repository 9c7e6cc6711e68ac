//! Rules that are looked up decide as rules that are tried one after the other, and count the same.

use fw_common::CtInfo;
use fw_common::ruleset::{Entry, Facts, Link, Machine, Outcome, effect};
use fw_common::wire::{self, Family, Meta};
use fw_user::rules::compile::{Compiled, Grouping, NoInterfaces, compile_as};
use fw_user::rules::host::Host;
use fw_user::rules::load_text;

use crate::random::{Dice, Taste, packet, ruleset, talks};

const TASTE: Taste<'static> = Taste {
    rules: 60,
    more: &[
        "meta mark 0x5",
        "meta length 30-60",
        "tcp flags syn",
        "ct state new",
        "ip ttl 63",
    ],
    once: None,
    statements: &[
        "meta mark set 0x5",
        "limit rate 5/hour",
        "meta mark set 0x0",
    ],
};

fn compiled(text: &str, grouping: Grouping) -> Compiled {
    let loaded = load_text("rules", text);
    let report = loaded.report.render(false);
    let ruleset = loaded.ruleset.unwrap_or_else(|| panic!("{report}\n{text}"));
    compile_as(&ruleset, &NoInterfaces, grouping).unwrap_or_else(|e| panic!("{e:?}\n{text}"))
}

/// What counts of an evaluation; it may be kept less often, not more.
fn end(machine: &Machine) -> (u32, u32, [u16; 16], u32) {
    let effects = machine.effects & !effect::VOLATILE;
    (machine.outcome, machine.code, machine.trail, effects)
}

#[test]
fn looked_up_rules_decide_as_tried_ones() {
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut facts = Facts::default();
    let mut groups = 0;
    for round in 0..24 {
        let text = ruleset(&mut dice, &TASTE);
        let walked = compiled(&text, Grouping::Never);
        assert!(walked.blocks.is_empty());
        for grouping in [Grouping::WhereQuicker, Grouping::Always] {
            let grouped = compiled(&text, grouping);
            let (mut walk, mut seek) = (Host::new(&walked), Host::new(&grouped));
            groups += usize::from(!grouped.blocks.is_empty());
            let talks = talks(&mut dice, 30);
            for _ in 0..60 {
                let frame = packet(&mut dice, &talks);
                let mut meta = Meta::default();
                wire::parse(&frame[..], &mut meta).expect("a frame that parses");
                // What the packet before has left stays where this one has nothing.
                facts.forget();
                facts.read(&frame[..], &meta, true);
                facts.state(CtInfo::New);
                let v6 = meta.family == Family::V6;
                let one = walk.evaluate(Entry::Input, v6, facts, |_, _| {});
                let other = seek.evaluate(Entry::Input, v6, facts, |_, _| {});
                assert_eq!(
                    end(&one),
                    end(&other),
                    "{grouping:?}, round {round}\n{text}"
                );
                // What was constant stays so: only rules that don't match are passed over.
                assert!(
                    !one.is_constant() || other.is_constant(),
                    "{grouping:?}, round {round}\n{text}"
                );
            }
            assert_eq!(
                walk.counters, seek.counters,
                "{grouping:?}, round {round}\n{text}"
            );
        }
    }
    assert!(groups > 20, "only {groups} rulesets had groups");
}

/// Ten thousand rules as the benchmarks have them.
fn long(rules: usize) -> String {
    let mut text = String::from(
        "table inet t {\nchain in {\ntype filter hook input priority 0; policy drop\nct state established accept\n",
    );
    for i in 0..rules {
        let (host, port) = (i % 254 + 1, 1024 + i);
        text += &format!("ip saddr 203.0.113.{host} tcp dport {port} drop\n");
    }
    text + "tcp dport 22 accept\n}\n}\n"
}

#[test]
fn ten_thousand_rules_are_passed_over_in_a_few_steps() {
    let compiled = compiled(&long(10_000), Grouping::WhereQuicker);
    let frame = crate::frames::tcp(
        crate::frames::end("192.168.1.2:40000"),
        crate::frames::end("10.0.0.2:22"),
        &crate::frames::Segment {
            flags: "S",
            seq: 1,
            ack: 0,
            window: 1,
            payload: &[],
        },
    );
    let mut meta = Meta::default();
    wire::parse(&frame[..], &mut meta).expect("a frame that parses");
    let mut facts = Facts::default();
    facts.read(&frame[..], &meta, true);
    facts.state(CtInfo::New);
    let mut turns = 0;
    let mut host = Host::new(&compiled);
    let machine = host.evaluate(Entry::Input, false, facts, |_, _| turns += 1);
    assert_eq!(machine.outcome(), Outcome::Accept);
    assert!(turns < 40, "{turns} instructions");
    assert!(
        compiled.blocks.len() < 1 << 18,
        "{} blocks",
        compiled.blocks.len()
    );
}

/// A packet is first judged without the interface that it leaves by, then with it.
#[test]
fn classes_found_before_routing_are_not_those_after_it() {
    let mut rules = String::new();
    for i in 1..=100 {
        rules += &format!("oif {i} drop\n");
    }
    let text = format!(
        "table inet t {{\nchain many {{\n{rules}}}\n\
         chain pre {{\ntype filter hook prerouting priority 0\njump many\n}}\n\
         chain after {{\ntype filter hook forward priority 0\njump many\n}}\n}}\n"
    );
    let frame = crate::frames::udp(
        crate::frames::end("192.168.1.2:40000"),
        crate::frames::end("10.0.0.2:22"),
        b"",
    );
    let mut meta = Meta::default();
    wire::parse(&frame[..], &mut meta).expect("a frame that parses");
    let mut facts = Facts::default();
    facts.read(&frame[..], &meta, true);
    facts.state(CtInfo::New);
    facts.routed_to(&Link {
        index: 77,
        ..Link::default()
    });
    for grouping in [Grouping::Never, Grouping::Always] {
        let compiled = compiled(&text, grouping);
        assert_eq!(!compiled.blocks.is_empty(), grouping == Grouping::Always);
        let machine = Host::new(&compiled).evaluate(Entry::Forward, false, facts, |_, _| {});
        assert_eq!(machine.outcome(), Outcome::Drop, "{grouping:?}");
    }
}

#[test]
fn short_chains_are_walked_through() {
    for (rules, groups) in [(5, false), (12, false), (100, true)] {
        let compiled = compiled(&long(rules), Grouping::WhereQuicker);
        assert_eq!(!compiled.blocks.is_empty(), groups, "{rules} rules");
    }
}
