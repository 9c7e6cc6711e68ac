//! Rulesets at random: a verdict that is kept with a flow is that of a fresh evaluation, and what the
//! programs say is what the host says.

use fw_common::CtInfo;
use fw_common::ruleset::{Entry, Facts, Outcome};
use fw_common::wire::{self, Meta as Headers};
use fw_user::maps::RulesetMaps;
use fw_user::rules::compile::{Compiled, Grouping, NoInterfaces, compile_as};
use fw_user::rules::host::Host;
use fw_user::rules::load_text;
use xtask::lab::root_or_skip;

use crate::harness::{HZ, Program, XDP_PASS};
use crate::random::{Dice, Taste, packet, ruleset, talks};

/// What may differ between packets of one flow, direction and state. (`icmp type` does not, and `ct status
/// seen-reply` is in the state.)
const VOLATILE: [&str; 15] = [
    "ct original packets > 3",
    "ct reply packets 2-5",
    "ct packets > 6",
    "ct bytes > 500",
    "ct original bytes 100-400",
    "ct status assured",
    "ct expiration > 100s",
    "tcp flags & (fin | syn | rst | ack) == ack",
    "tcp flags psh",
    "meta length > 45",
    "ip length 30-60",
    "ip ttl 63",
    "udp length > 20",
    "udp checksum > 30000",
    "limit rate 5/second",
];

/// Rulesets whose verdicts can be kept for most packets: whatever may differ between packets of a flow is
/// asked for in one rule, so that little hides it if it is taken for constant.
fn keeping(once: &'static str) -> Taste<'static> {
    Taste {
        rules: 4,
        more: &[
            "ct state new",
            "ct state established,related",
            "ct direction reply",
            "ct mark 0x3",
            "ct original proto-dst 22",
            "ct reply ip saddr 10.0.0.2",
        ],
        once: Some(once),
        statements: &["ct mark set 0x3"],
    }
}

/// Rulesets for each of [`VOLATILE`].
const RULESETS: usize = 10;

fn compiled(text: &str, grouping: Grouping) -> Compiled {
    let loaded = load_text("rules", text);
    let report = loaded.report.render(false);
    let ruleset = loaded.ruleset.unwrap_or_else(|| panic!("{report}\n{text}"));
    compile_as(&ruleset, &NoInterfaces, grouping).unwrap_or_else(|e| panic!("{e:?}\n{text}"))
}

fn counted(maps: &RulesetMaps, compiled: &Compiled) -> Vec<(u64, u64)> {
    let tallies = maps.counters(compiled.counters.len()).expect("counters");
    tallies.iter().map(|t| (t.packets, t.bytes)).collect()
}

/// Legs that keep a verdict of the ruleset in force.
fn kept(program: &Program, maps: &RulesetMaps) -> usize {
    let epoch = maps.active().expect("active").epoch();
    let legs = program.flows().into_iter().flat_map(|seen| seen.flow.legs);
    legs.filter(|leg| leg.rule_gen == epoch).count()
}

#[test]
fn kept_verdicts_are_those_of_fresh_evaluations() {
    if !root_or_skip() {
        return;
    }
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut keeps, mut fresh) = (Program::load(|_| {}), Program::load(|_| {}));
    let (mut kept_maps, mut fresh_maps) = (keeps.ruleset(), fresh.ruleset());
    let now = keeps.clock().now();
    let (mut legs, mut rounds) = (0, 0);
    let volatile = VOLATILE.into_iter().cycle();
    for (round, once) in volatile.take(RULESETS * VOLATILE.len()).enumerate() {
        let text = ruleset(&mut dice, &keeping(once));
        let grouping = [Grouping::Never, Grouping::Always][round % 2];
        let compiled = compiled(&text, grouping);
        let talks = talks(&mut dice, 4);
        kept_maps.load(&compiled, now, HZ).expect("load");
        fresh_maps.load(&compiled, now, HZ).expect("load");
        keeps.clear();
        fresh.clear();
        for number in 0..80 {
            let frame = packet(&mut dice, &talks);
            // Another number: whatever was kept holds no more.
            fresh_maps.renew().expect("renew");
            assert_eq!(
                keeps.run(&frame),
                fresh.run(&frame),
                "round {round}, packet {number}: {frame:02x?}\n{text}"
            );
        }
        assert_eq!(
            counted(&kept_maps, &compiled),
            counted(&fresh_maps, &compiled),
            "round {round}\n{text}"
        );
        let these = kept(&keeps, &kept_maps);
        legs += these;
        rounds += usize::from(these > 0);
    }
    assert!(
        rounds > 30 && legs > 200,
        "{legs} verdicts were kept, in {rounds} rulesets"
    );
}

#[test]
fn the_programs_say_what_the_host_says() {
    if !root_or_skip() {
        return;
    }
    const STATELESS: Taste<'static> = Taste {
        rules: 40,
        more: &[
            "meta mark 0x5",
            "meta length 30-60",
            "tcp flags syn",
            "ip ttl 63",
            "ip dscp cs0",
        ],
        once: None,
        statements: &["meta mark set 0x5"],
    };
    let mut dice = Dice(0x1234_5678_9abc_def1);
    let mut program = Program::load(|_| {});
    let mut maps = program.ruleset();
    let now = program.clock().now();
    for round in 0..40 {
        let text = ruleset(&mut dice, &STATELESS);
        // Looked up there, tried one after the other here.
        let grouped = compiled(&text, Grouping::Always);
        let walked = compiled(&text, Grouping::Never);
        maps.load(&grouped, now, HZ).expect("load");
        program.clear();
        let mut host = Host::new(&walked);
        let mut facts = Facts::default();
        let talks = talks(&mut dice, 40);
        for _ in 0..150 {
            let frame = packet(&mut dice, &talks);
            let mut meta = Headers::default();
            wire::parse(&frame[..], &mut meta).expect("a frame that parses");
            // Each begins a flow or has none, so that the host need not know them.
            program.clear();
            facts.forget();
            facts.read(&frame[..], &meta, true);
            facts.state(CtInfo::New);
            let v6 = meta.family == wire::Family::V6;
            let machine = host.evaluate(Entry::Input, v6, facts, |_, _| {});
            let passes = machine.outcome() == Outcome::Accept;
            assert_eq!(
                program.run(&frame) == XDP_PASS,
                passes,
                "round {round}: {frame:02x?}\n{text}"
            );
        }
        assert_eq!(
            counted(&maps, &grouped),
            host.counters,
            "round {round}\n{text}"
        );
    }
}
