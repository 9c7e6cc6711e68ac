//! `ct count` in the loaded programs, when there is room and when there is none.

use fw_user::rules::compile::{Compiled, NoInterfaces, compile};
use fw_user::rules::load_text;
use xtask::lab::root_or_skip;

use crate::frames::{end, udp};
use crate::harness::{HZ, MEMBERS, Program, XDP_DROP, XDP_PASS};

const TEXT: &str = "\
table inet t {
	chain c {
		type filter hook input priority 0; policy accept;
		ct state new ct count over 2 drop
	}
}
";

fn compiled() -> Compiled {
    let ruleset = load_text("rules", TEXT).ruleset.expect("right rules");
    compile(&ruleset, &NoInterfaces).expect("rules that compile")
}

/// The first packet of the connection from client port `port`.
fn begin(program: &mut Program, port: u16) -> u32 {
    let from = end(&format!("192.168.1.2:{port}"));
    program.run(&udp(from, end("10.0.0.2:53"), b"?"))
}

#[test]
fn connections_are_counted_while_they_live() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let now = program.clock().now();
    program
        .ruleset()
        .load(&compiled(), now, HZ)
        .expect("loading");
    assert_eq!(begin(&mut program, 1), XDP_PASS);
    assert_eq!(begin(&mut program, 2), XDP_PASS);
    assert_eq!(begin(&mut program, 3), XDP_DROP);
    // Both have expired.
    program.at(31.0);
    assert_eq!(begin(&mut program, 4), XDP_PASS);
}

/// Who knows how lists are numbered can make those of two addresses one.
#[test]
fn lists_have_other_numbers_each_time_the_same_rules_are_loaded() {
    if !root_or_skip() {
        return;
    }
    let list = || {
        let mut program = Program::load(|_| {});
        let now = program.clock().now();
        let loaded = program.ruleset().load(&compiled(), now, HZ);
        let number = loaded.expect("loading");
        assert_eq!(begin(&mut program, 1), XDP_PASS);
        (number, program.lists())
    };
    let (one, other) = (list(), list());
    assert_eq!((one.0, one.1.len()), (other.0, 1));
    assert_ne!(one.1, other.1);
}

/// A limit that is not known to hold does not open.
#[test]
fn a_connection_that_can_not_be_counted_is_dropped() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let now = program.clock().now();
    program
        .ruleset()
        .load(&compiled(), now, HZ)
        .expect("loading");
    program.fill_lists(MEMBERS - 1);
    assert_eq!(begin(&mut program, 1), XDP_PASS, "the last slot");
    assert_eq!(begin(&mut program, 2), XDP_DROP, "no slot");
    assert_eq!(begin(&mut program, 1), XDP_PASS, "that which has one");
}
