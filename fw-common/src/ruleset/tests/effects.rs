//! What rules do besides deciding, and whether a verdict can be kept.

use super::*;

#[test]
fn counters_are_the_trail_of_a_packet() {
    let count = |n| Insn {
        a: [n, 0, 0, 0],
        ..Insn::of(op::COUNT)
    };
    let mut shared = Shared::default();
    let program = chain(0, &[count(3), dport(22, 5), count(4), count(7), ACCEPT]);
    let machine = run(&program, syn(), &mut shared);
    assert_eq!(shared.counted, [(3, 40), (7, 40)]);
    assert_eq!(machine.trail[..3], [3, 7, 0]);
    assert!(machine.is_constant());
    let many = vec![count(9); 16];
    let machine = run(&chain(0, &many), syn(), &mut shared);
    assert!(
        !machine.is_constant(),
        "more counters than a trail has room for"
    );
}

#[test]
fn what_depends_on_the_packet_is_not_kept() {
    let volatile = Insn {
        flags: flag::VOLATILE,
        next: 4,
        ..Insn::of(op::LIMIT)
    };
    let program = chain(0, &[dport(22, 4), volatile, DROP]);
    let machine = run(&program, syn(), &mut Shared::default());
    assert!(machine.is_constant(), "the limit was not reached");
    let program = chain(0, &[dport(80, 4), volatile, DROP]);
    assert!(!run(&program, syn(), &mut Shared::default()).is_constant());
}

#[test]
fn a_mark_is_an_effect_when_it_changes() {
    let mark = |op, field| Insn {
        field,
        ..Insn::of(op)
    };
    let load = Insn {
        to: field::REGS,
        b: [7, 0, 0, 0],
        ..Insn::of(op::COPY)
    };
    let program = chain(0, &[load, mark(op::SET_CT_MARK, field::REGS), ACCEPT]);
    let machine = run(&program, syn(), &mut Shared::default());
    assert!(machine.has(effect::CT_MARK) && !machine.is_constant());
    assert_eq!(machine.facts.get(field::CT_MARK), 7);
    let again = run(&program, machine.facts, &mut Shared::default());
    assert!(!again.has(effect::CT_MARK) && again.is_constant());
}

#[test]
fn limit_quota_log_and_notrack() {
    let mut shared = Shared {
        within: true,
        ..Shared::default()
    };
    let quota = |flags, bytes| Insn {
        flags,
        next: 4,
        b: [0, bytes, 0, 0],
        ..Insn::of(op::QUOTA)
    };
    let limit = Insn {
        next: 7,
        ..Insn::of(op::LIMIT)
    };
    let program = chain(0, &[limit, Insn::of(op::LOG), Insn::of(op::NOTRACK), DROP]);
    let machine = run(&program, syn(), &mut shared);
    assert_eq!((machine.outcome(), shared.logged), (Outcome::Drop, 1));
    assert!(machine.has(effect::NOTRACK));
    // 40 bytes have come after the first packet, 80 after the second.
    for end in [Outcome::Drop, Outcome::Accept] {
        let program = chain(0, &[quota(0, 41), DROP]);
        assert_eq!(run(&program, syn(), &mut shared).outcome(), end);
    }
    let program = chain(0, &[quota(flag::NOT, 41), DROP]);
    assert_eq!(run(&program, syn(), &mut shared).outcome(), Outcome::Drop);
}
