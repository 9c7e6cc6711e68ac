//! The evaluator on rulesets written by hand.

mod asked;
mod effects;

use super::field::{self, have};
use super::{Entry, Env, Facts, Found, Insn, MAX_STEPS, Machine, Outcome, effect, flag, op, step};
use crate::CtInfo;
use crate::wire::Meta;
use crate::wire::testing::{accept, tcp, v4, v6};

/// Sets, counters and limits of one test.
#[derive(Default)]
struct Shared {
    counted: Vec<(u32, u32)>,
    /// What the registers must begin with to be found, and what is found.
    element: Option<([u32; 4], [u32; 4])>,
    within: bool,
    used: u64,
    logged: u32,
    updated: u32,
    connections: Option<u32>,
}

impl Env for Shared {
    fn find(&mut self, _insn: &Insn, facts: &Facts) -> Option<Found> {
        let (key, data) = self.element?;
        (facts.four(field::REGS) == key).then_some(Found { data })
    }
    fn update(&mut self, _insn: &Insn, _facts: &Facts) -> bool {
        self.updated += 1;
        true
    }
    fn count(&mut self, index: u32, bytes: u32) {
        self.counted.push((index, bytes));
    }
    fn limit(&mut self, _index: u32, _bytes: u32) -> bool {
        self.within
    }
    fn quota(&mut self, _index: u32, bytes: u32) -> u64 {
        self.used += u64::from(bytes);
        self.used
    }
    fn bits(&mut self, _block: u32, _word: u32) -> Option<u64> {
        None
    }
    fn connections(&mut self, _insn: &Insn, _facts: &Facts) -> Option<u32> {
        self.connections
    }
    fn log(&mut self, _facts: &Facts) {
        self.logged += 1;
    }
}

/// One base chain with policy `policy` around `rules`, whose last instruction must not fall through.
fn chain(policy: u32, rules: &[Insn]) -> Vec<Insn> {
    let mut program = vec![
        Insn {
            a: [2, 1, policy, 0],
            ..Insn::of(op::BASE)
        },
        Insn::of(op::PASS),
    ];
    program.extend_from_slice(rules);
    program.push(Insn::of(op::RETURN));
    program
}

fn run(program: &[Insn], facts: Facts, shared: &mut Shared) -> Machine {
    let mut machine = Machine::default();
    machine.reset();
    machine.facts = facts;
    machine.enter(0);
    for _ in 0..MAX_STEPS {
        if machine.outcome() != Outcome::Running {
            return machine;
        }
        let at = program
            .get(machine.pc as usize)
            .copied()
            .unwrap_or_default();
        step(&mut machine, &at, shared);
    }
    panic!("no end");
}

fn facts(frame: &[u8]) -> (Facts, Meta) {
    let meta = accept(frame);
    let mut facts = Facts::default();
    facts.read(frame, &meta, true);
    facts.state(CtInfo::New);
    (facts, meta)
}

fn syn() -> Facts {
    facts(&v4(6, &tcp(2, &[], &[]))).0
}

fn outcome(program: &[Insn]) -> Outcome {
    run(program, syn(), &mut Shared::default()).outcome()
}

/// Destination port `port`, else to instruction `next`.
const fn dport(port: u32, next: u32) -> Insn {
    Insn {
        flags: have::TH4 << flag::NEED_SHIFT,
        field: field::TH,
        next,
        a: [0xffff, 0, 0, 0],
        b: [port, 0, 0, 0],
        ..Insn::of(op::EQUAL)
    }
}

const ACCEPT: Insn = Insn::of(op::ACCEPT);
const DROP: Insn = Insn::of(op::DROP);

#[test]
fn policy_decides_where_no_rule_does() {
    assert_eq!(outcome(&chain(0, &[])), Outcome::Accept);
    assert_eq!(outcome(&chain(1, &[])), Outcome::Drop);
}

#[test]
fn first_rule_that_matches_decides() {
    let program = |port| chain(1, &[dport(port, 4), DROP, dport(80, 6), ACCEPT]);
    assert_eq!(outcome(&program(22)), Outcome::Accept);
    assert_eq!(outcome(&program(80)), Outcome::Drop);
}

#[test]
fn headers_stand_as_they_are_on_the_wire() {
    let (facts, _) = facts(&v6(6, &tcp(0x12, &[], b"data")));
    assert_eq!(facts.get(field::NFPROTO), 10);
    assert_eq!(facts.get(field::NH) >> 28, 6);
    assert_eq!(facts.get(field::TH), 1000 << 16 | 80);
    assert_eq!(facts.get(field::TH + 3) >> 16 & 0xff, 0x12);
    assert!(facts.has(u32::from(have::TH20)));
    assert_eq!(facts.get(field::LENGTH), 40 + 20 + 4);
}

#[test]
fn what_is_not_there_matches_neither_way() {
    let udp = facts(&v4(17, &[0, 1, 0, 2, 0, 8, 0, 0])).0;
    let flags = |not| Insn {
        flags: have::TH20 << flag::NEED_SHIFT | not,
        field: field::TH + 3,
        next: 4,
        ..Insn::of(op::EQUAL)
    };
    for not in [0, flag::NOT] {
        let program = chain(0, &[flags(not), DROP]);
        let end = run(&program, udp, &mut Shared::default()).outcome();
        assert_eq!(end, Outcome::Accept);
    }
}

#[test]
fn later_fragment_has_no_ports() {
    let mut frame = v4(17, &[0; 16]);
    // Offset 8 bytes; the header's checksum is not looked at here.
    frame[21] = 1;
    let meta = Meta {
        fragment: crate::wire::Fragment::Later,
        frag_offset: 8,
        ..accept(&v4(17, &[0, 1, 0, 2, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
    };
    let mut facts = Facts::default();
    facts.read(&frame[..], &meta, true);
    assert!(!facts.has(u32::from(have::TH4)));
}

#[test]
fn ranges_compare_as_bytes_on_the_wire() {
    let word = |lo, hi, not| {
        let range = Insn {
            flags: not,
            field: field::TH,
            next: 4,
            a: [lo, 0xffff_0000, 16, 0],
            b: [hi, 0, 0, 0],
            ..Insn::of(op::RANGE)
        };
        outcome(&chain(0, &[range, DROP]))
    };
    assert_eq!(word(1000, 1000, 0), Outcome::Drop);
    assert_eq!(word(1001, 2000, 0), Outcome::Accept);
    assert_eq!(word(1001, 2000, flag::NOT), Outcome::Drop);
    let (v6, _) = facts(&v6(6, &tcp(2, &[], &[])));
    let src = v6.four(field::NH + 2);
    let mut below = src;
    below[3] -= 1;
    let mut above = src;
    above[1] += 1;
    for (lo, hi, inside) in [
        (src, src, true),
        (below, above, true),
        (above, above, false),
    ] {
        let range = Insn {
            field: field::NH + 2,
            next: 4,
            a: lo,
            b: hi,
            ..Insn::of(op::RANGE4)
        };
        let end = run(&chain(0, &[range, DROP]), v6, &mut Shared::default());
        assert_eq!(end.outcome() == Outcome::Drop, inside, "{lo:x?} {hi:x?}");
    }
}

#[test]
fn jump_comes_back_and_goto_does_not() {
    let call = |op| {
        let to = Insn {
            a: [5, 0, 0, 0],
            ..Insn::of(op)
        };
        // 2: call 5; 3: drop; 4: return (of the base chain); 5: return.
        let program = chain(0, &[to, DROP, Insn::of(op::RETURN), Insn::of(op::RETURN)]);
        outcome(&program)
    };
    assert_eq!(call(op::JUMP), Outcome::Drop);
    assert_eq!(call(op::GOTO), Outcome::Accept);
}

#[test]
fn jumps_go_sixteen_deep() {
    let again = Insn {
        a: [2, 0, 0, 0],
        ..Insn::of(op::JUMP)
    };
    let machine = run(&chain(0, &[again]), syn(), &mut Shared::default());
    assert_eq!(machine.outcome(), Outcome::Broken);
    assert_eq!(machine.depth, 16);
}

#[test]
fn accept_ends_its_base_chain_only() {
    let base = |at, then| Insn {
        a: [at, then, 1, 0],
        ..Insn::of(op::BASE)
    };
    // Two base chains: the first accepts, the second drops.
    let program = [base(3, 1), base(4, 2), Insn::of(op::PASS), ACCEPT, DROP];
    assert_eq!(outcome(&program), Outcome::Drop);
    let program = [base(3, 1), base(3, 2), Insn::of(op::PASS), ACCEPT];
    assert_eq!(outcome(&program), Outcome::Accept);
}

#[test]
fn elements_are_found_by_key() {
    let mut shared = Shared {
        element: Some(([80, 0, 0, 0], [u32::from(op::DROP), 0, 0, 0])),
        ..Shared::default()
    };
    let key = Insn {
        field: field::TH,
        to: field::REGS,
        next: 9,
        a: [0xffff, 0, 0, 0],
        ..Insn::of(op::COPY)
    };
    let search = |op, flags| Insn {
        flags,
        next: 5,
        ..Insn::of(op)
    };
    for (op, flags, end) in [
        (op::LOOKUP, 0, Outcome::Drop),
        (op::LOOKUP, flag::NOT, Outcome::Accept),
        (op::VERDICT_MAP, 0, Outcome::Drop),
    ] {
        let program = chain(0, &[key, search(op, flags), DROP]);
        assert_eq!(run(&program, syn(), &mut shared).outcome(), end);
    }
    shared.element = None;
    let program = chain(0, &[key, search(op::LOOKUP, flag::NOT), DROP]);
    assert_eq!(run(&program, syn(), &mut shared).outcome(), Outcome::Drop);
}

#[test]
fn a_broken_ruleset_drops() {
    assert_eq!(outcome(&[]), Outcome::Broken);
    assert_eq!(outcome(&chain(0, &[Insn::of(99)])), Outcome::Broken);
}

#[test]
fn entries_are_numbered_in_order() {
    for (i, entry) in Entry::ALL.into_iter().enumerate() {
        assert_eq!(entry as usize, i);
    }
}

/// The sum of an IPv4 header's words, folded: 0xffff if its checksum is right.
fn header_sum(facts: &Facts) -> u32 {
    let words = (0..5).map(|at| facts.get(field::NH + at));
    let sum: u32 = words.map(|word| (word >> 16) + (word & 0xffff)).sum();
    let folded = (sum >> 16) + (sum & 0xffff);
    (folded >> 16) + (folded & 0xffff)
}

#[test]
fn a_routed_packet_has_one_hop_fewer() {
    let hop = [Insn::of(op::HOP), ACCEPT];
    for ttl in 2..=255_u8 {
        let mut frame = v4(6, &tcp(2, &[], &[]));
        let sent = &mut frame[14..34];
        sent[8] = ttl;
        sent[10..12].fill(0);
        let words = sent
            .chunks(2)
            .map(|two| u32::from(u16::from_be_bytes([two[0], two[1]])));
        let sum: u32 = words.sum();
        let check = !((sum >> 16) + (sum & 0xffff)) as u16;
        sent[10..12].copy_from_slice(&check.to_be_bytes());
        let before = facts(&frame).0;
        assert_eq!(header_sum(&before), 0xffff);
        let after = run(&chain(1, &hop), before, &mut Shared::default()).facts;
        assert_eq!(after.get(field::NH + 2) >> 24, u32::from(ttl) - 1);
        assert_eq!(header_sum(&after), 0xffff, "TTL {ttl}");
    }
    let before = facts(&v6(6, &tcp(2, &[], &[]))).0;
    let after = run(&chain(1, &hop), before, &mut Shared::default()).facts;
    assert_eq!(after.get(field::NH + 1), before.get(field::NH + 1) - 1);
}
