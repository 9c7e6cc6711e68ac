//! Instructions that are run on the way do what they do by themselves.

use super::super::skim;
use super::*;

/// A number after `state`, and what becomes of it (Marsaglia's xorshift).
fn next(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

#[test]
fn what_is_skimmed_is_what_a_step_does() {
    let mut dice = 0x2545_f491;
    let mut skimmed = [0; 64];
    for _ in 0..30_000 {
        let (op, field) = ((next(&mut dice) % 36) as u8, (next(&mut dice) % 100) as u8);
        let mut insn = Insn {
            field,
            to: field::CLASSES,
            flags: next(&mut dice) as u8,
            next: next(&mut dice) % 1000,
            ..Insn::of(op)
        };
        for word in insn.a.iter_mut().chain(&mut insn.b) {
            *word = next(&mut dice) & next(&mut dice) & 0xff;
        }
        if next(&mut dice).is_multiple_of(2) {
            insn.a = [u32::MAX; 4];
            insn.b = syn().four(field);
        }
        let mut machine = Machine::default();
        machine.reset();
        machine.facts = syn();
        machine.enter(7);
        let mut facts = machine.facts;
        let went = skim(&mut facts, &insn, 7);
        if went.is_none() {
            assert_eq!(facts, syn(), "{insn:?}");
            continue;
        }
        skimmed[usize::from(op)] += 1;
        let mut shared = Shared::default();
        step(&mut machine, &insn, &mut shared);
        assert_eq!(went, Some(machine.pc), "{insn:?}");
        assert_eq!(facts, machine.facts, "{insn:?}");
        let (outcome, effects) = (machine.outcome(), machine.effects);
        assert_eq!((outcome, effects), (Outcome::Running, 0), "{insn:?}");
        assert!(shared.counted.is_empty());
    }
    for op in [op::EQUAL, op::EQUAL4, op::RANGE, op::COPY4] {
        assert!(skimmed[usize::from(op)] > 10, "{op}");
    }
}
