//! Instructions about what is in no header.

use super::*;

#[test]
fn connections_are_compared_with_what_is_allowed() {
    let evaluate = |count, flags| {
        let mut env = Shared {
            connections: count,
            ..Shared::default()
        };
        let mut machine = Machine::default();
        machine.reset();
        machine.facts.set(field::VALID, 1);
        let test = Insn {
            flags,
            next: 7,
            a: [20, 1, 4, 0],
            ..Insn::of(op::CONNECTIONS)
        };
        step(&mut machine, &test, &mut env);
        (machine.pc, machine.outcome())
    };
    assert_eq!(evaluate(Some(21), 0), (1, Outcome::Running));
    assert_eq!(evaluate(Some(20), 0), (7, Outcome::Running));
    assert_eq!(evaluate(Some(20), flag::NOT), (1, Outcome::Running));
    // No room for it: as the kernel, which drops the packet.
    assert_eq!(evaluate(None, flag::NOT).1, Outcome::Drop);
}

#[test]
fn what_has_no_answer_ends_the_packet() {
    let mut machine = Machine::default();
    machine.reset();
    let ask = Insn {
        flags: have::SADDR_OIF << flag::NEED_SHIFT | flag::NOT,
        next: 7,
        ..Insn::of(op::EQUAL)
    };
    step(&mut machine, &ask, &mut Shared::default());
    assert_eq!(machine.outcome(), Outcome::Unanswered);
}

#[test]
fn averages_are_those_of_two_counters() {
    let mut machine = Machine::default();
    machine.reset();
    machine.facts.set(field::VALID, 1);
    machine.facts.set(field::CT_BYTES + 1, 1000);
    let average = |machine: &mut Machine, packets| {
        machine.facts.set(field::CT_PACKETS + 1, packets);
        let divide = Insn {
            field: field::CT_BYTES,
            to: field::TEMP,
            a: [field::CT_PACKETS.into(), 0, 0, 0],
            ..Insn::of(op::AVERAGE)
        };
        step(machine, &divide, &mut Shared::default());
        machine.facts.get(field::TEMP + 1)
    };
    assert_eq!(average(&mut machine, 3), 333);
    assert_eq!(average(&mut machine, 0), 0);
}
