//! Elements that are added to sets by hand, and do not fit.

use std::time::Duration;

use fw_common::abi::{Clock, Config};
use fw_user::clock::TickClock;
use fw_user::maps::{ChangeError, RulesetMaps};
use fw_user::rules::compile::{Compiled, CompiledSet, NoInterfaces, SetEntry, compile};
use fw_user::rules::load_text;
use xtask::lab::root_or_skip;

use crate::frames::{end, udp};
use crate::harness::{HZ, Program, XDP_DROP, XDP_PASS};

fn text(set: &str) -> String {
    format!(
        "table inet t {{
	set few {{
		type ipv4_addr
		{set}
	}}

	chain c {{
		type filter hook input priority 0; policy accept;
		ip saddr @few drop
	}}
}}
"
    )
}

/// The set of the rules with these elements.
fn set(elements: &str) -> CompiledSet {
    let elements = text(&format!("elements = {{ {elements} }}"));
    let ruleset = load_text("rules", &elements).ruleset.expect("right rules");
    let compiled = compile(&ruleset, &NoInterfaces).expect("rules that compile");
    compiled.sets.into_iter().next().expect("the set")
}

fn clock() -> TickClock {
    let clock = TickClock::new(&Config {
        hz: HZ,
        clock: Clock {
            tick_ns: 1_000_000_000 / u64::from(HZ),
            offset: 0,
        },
        ..Config::ZERO
    });
    clock.expect("a clock")
}

/// Puts the rules into force, the set with these properties.
fn load(program: &Program, maps: &mut RulesetMaps, set: &str) -> Compiled {
    let ruleset = load_text("rules", &text(set)).ruleset.expect("right rules");
    let compiled = compile(&ruleset, &NoInterfaces).expect("rules that compile");
    let now = program.clock().now();
    maps.load(&compiled, now, HZ).expect("loading");
    compiled
}

/// What was in a set before a change that fails is in it after that, too.
#[test]
fn an_element_that_was_there_stays_when_others_do_not_fit() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let mut maps = program.ruleset();
    // Twice the size: an interval may be several prefixes.
    let compiled = load(&program, &mut maps, "flags interval; size 1");
    let three = set("192.168.1.2, 192.168.1.4, 192.168.1.6").entries;
    let three = three.into_iter().map(|entry| SetEntry {
        length: 32,
        ..entry
    });
    let three: Vec<SetEntry> = three.collect();
    let mut add = |entries| maps.add_entries(0, &compiled.sets[0], entries, &[], &clock());
    add(&three[..1]).expect("there is room for one");
    let failed = add(&three);
    assert!(matches!(failed, Err(ChangeError::Full(2))), "{failed:?}");
    let packet = udp(end("192.168.1.2:1"), end("10.0.0.2:53"), b"?");
    assert_eq!(program.run(&packet), XDP_DROP, "it is still there");
    let packet = udp(end("192.168.1.4:1"), end("10.0.0.2:53"), b"?");
    assert_eq!(program.run(&packet), XDP_PASS, "it was taken out again");
}

/// Nor does one come back whose time was over.
#[test]
fn an_element_that_had_ended_is_not_revived_by_a_change_that_fails() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let mut maps = program.ruleset();
    let compiled = load(&program, &mut maps, "size 2");
    let three = set("192.168.1.2, 192.168.1.3, 192.168.1.4").entries;
    let over = [SetEntry {
        timeout: Some(Duration::from_secs(1)),
        expires: Some(Duration::ZERO),
        ..three[0].clone()
    }];
    let mut add = |entries| maps.add_entries(0, &compiled.sets[0], entries, &[], &clock());
    add(&over).expect("there is room for one");
    let failed = add(&three);
    assert!(matches!(failed, Err(ChangeError::Full(2))), "{failed:?}");
    let packet = udp(end("192.168.1.2:1"), end("10.0.0.2:53"), b"?");
    assert_eq!(program.run(&packet), XDP_PASS);
}

/// Packets of other CPUs meet the first elements before the last one is found not to fit, and what they met is
/// kept with their flows.
#[test]
fn verdicts_of_a_change_that_fails_do_not_hold() {
    if !root_or_skip() {
        return;
    }
    let clock = clock();
    let mut program = Program::load(|_| {});
    let mut maps = program.ruleset();
    let compiled = load(&program, &mut maps, "size 2");
    let before = maps.active().expect("the map").epoch();

    let three = set("192.168.1.2, 192.168.1.3, 192.168.1.4").entries;
    let failed = maps.add_entries(0, &compiled.sets[0], &three, &[], &clock);
    assert!(matches!(failed, Err(ChangeError::Full(2))), "{failed:?}");
    let after = maps.active().expect("the map").epoch();
    assert_ne!(after, before, "what was concluded before does not hold");
    let server = end("10.0.0.2:53");
    let packet = udp(end("192.168.1.2:1"), server, b"?");
    assert_eq!(program.run(&packet), XDP_PASS, "none was added");

    let two = &three[..2];
    maps.add_entries(0, &compiled.sets[0], two, &[], &clock)
        .expect("there is room for two");
    assert_eq!(program.run(&packet), XDP_DROP);
}
