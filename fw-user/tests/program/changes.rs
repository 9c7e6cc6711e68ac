//! Elements that are added to sets by hand, and do not fit.

use fw_common::abi::{Clock, Config};
use fw_user::clock::TickClock;
use fw_user::maps::ChangeError;
use fw_user::rules::compile::{CompiledSet, NoInterfaces, compile};
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

/// Packets of other CPUs meet the first elements before the last one is found not to fit, and what they met is
/// kept with their flows.
#[test]
fn verdicts_of_a_change_that_fails_do_not_hold() {
    if !root_or_skip() {
        return;
    }
    let clock = TickClock::new(&Config {
        hz: HZ,
        clock: Clock {
            tick_ns: 1_000_000_000 / u64::from(HZ),
            offset: 0,
        },
        ..Config::ZERO
    });
    let clock = clock.expect("a clock");
    let mut program = Program::load(|_| {});
    let ruleset = load_text("rules", &text("size 2")).ruleset;
    let compiled = compile(&ruleset.expect("right rules"), &NoInterfaces).expect("they compile");
    let mut maps = program.ruleset();
    let now = program.clock().now();
    maps.load(&compiled, now, HZ).expect("loading");
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
