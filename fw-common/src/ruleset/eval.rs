//! The evaluator: one instruction at a time.

use super::facts::Facts;
use super::field;
use super::insn::{Insn, flag, op};
use super::machine::{MAX_DEPTH, MAX_TRAIL, Machine, Outcome, effect};
use super::seek;
use crate::CtInfo;

/// An element of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What the element leads to, in maps.
    pub data: [u32; 4],
}

/// What all packets share: sets, counters, limits, the log.
pub trait Env {
    /// Finds the registers of `facts` in set `a[0]` of kind `a[1]` of the instruction, and counts the
    /// packet in the element if it has a counter.
    fn find(&mut self, insn: &Insn, facts: &Facts) -> Option<Found>;
    /// Adds, updates or deletes the registers in a set, as [`op::UPDATE`] says; false if that was not
    /// possible, or if what is done to the element (a limit) does not match.
    fn update(&mut self, insn: &Insn, facts: &Facts) -> bool;
    /// Counts a packet in a counter.
    fn count(&mut self, index: u32, bytes: u32);
    /// Whether a packet is within the rate of a limiter.
    fn limit(&mut self, index: u32, bytes: u32) -> bool;
    /// Adds to a quota; the bytes that have come, with this packet's.
    fn quota(&mut self, index: u32, bytes: u32) -> u64;
    /// A word of a block of vectors, see [`seek`]; `None` if the ruleset is broken.
    fn bits(&mut self, block: u32, word: u32) -> Option<u64>;
    /// The connections of the list that the instruction names ([`op::CONNECTIONS`]), with the packet's own,
    /// which is counted from now on; `None` if there is no room for it.
    fn connections(&mut self, insn: &Insn, facts: &Facts) -> Option<u32>;
    /// Tells of a packet; [`field::LOG`] says by which statement.
    fn log(&mut self, facts: &Facts);
}

/// Runs the instruction at [`Machine::pc`], which is `insn`.
#[inline(always)]
pub fn step<E: Env>(machine: &mut Machine, insn: &Insn, env: &mut E) {
    if insn.has(flag::VOLATILE) {
        machine.effects |= effect::VOLATILE;
    }
    if !machine.facts.has(insn.need()) {
        if insn.need() >= u32::from(field::have::ANSWERS) {
            end(machine, Outcome::Unanswered);
        }
        machine.pc = insn.next;
        return;
    }
    match insn.op {
        op::EQUAL..=op::RANGE4 => {
            let matches = compare(insn, &machine.facts);
            advance(machine, insn, matches != insn.has(flag::NOT));
        }
        op::COPY => {
            copy(insn, &mut machine.facts);
            advance(machine, insn, true);
        }
        op::COPY4 => {
            copy4(insn, &mut machine.facts);
            advance(machine, insn, true);
        }
        op::AVERAGE => {
            average(insn, &mut machine.facts);
            advance(machine, insn, true);
        }
        op::CONNECTIONS => match env.connections(insn, &machine.facts) {
            Some(count) => advance(machine, insn, (count > insn.a[0]) != insn.has(flag::NOT)),
            // As `nft_connlimit_do_eval`.
            None => end(machine, Outcome::Drop),
        },
        op::CLEAR => {
            clear(&mut machine.facts);
            advance(machine, insn, true);
        }
        op::LOOKUP..=op::VERDICT_MAP => search(machine, insn, env),
        op::UPDATE => {
            let done = env.update(insn, &machine.facts);
            advance(machine, insn, done != insn.has(flag::NOT));
        }
        op::SEEK => seek::seek(machine, insn),
        op::SCAN => seek::scan(machine, insn, env),
        op::ADDRESS => seek::address(machine, insn),
        op::ACCEPT..=op::CONTINUE => decide(machine, insn.op, insn.a[0], env),
        op::BASE => {
            machine.depth = 0;
            // Between chains of two hooks more becomes known of the packet.
            machine.group = 0;
            machine.resume = insn.a[1];
            machine.policy = insn.a[2];
            machine.policy_counter = insn.a[3];
            machine.pc = insn.a[0];
        }
        op::PASS => {
            accept(machine);
            end(machine, Outcome::Accept);
        }
        op::REJECT => {
            machine.code = insn.a[0];
            end(machine, Outcome::Reject);
        }
        _ => act(machine, insn, env),
    }
}

/// Goes on: straight ahead if the instruction matched.
#[inline(always)]
fn advance(machine: &mut Machine, insn: &Insn, matched: bool) {
    machine.pc = if matched {
        machine.pc.wrapping_add(1)
    } else {
        insn.next
    };
}

#[inline(always)]
fn end(machine: &mut Machine, outcome: Outcome) {
    machine.outcome = outcome as u32;
}

#[inline(always)]
fn compare(insn: &Insn, facts: &Facts) -> bool {
    let [word, second, third, fourth] = facts.four(insn.field);
    let (a, b) = (&insn.a, &insn.b);
    match insn.op {
        op::EQUAL => word & a[0] == b[0],
        op::EQUAL4 => {
            word & a[0] == b[0]
                && second & a[1] == b[1]
                && third & a[2] == b[2]
                && fourth & a[3] == b[3]
        }
        op::RANGE => {
            let value = (word & a[1]) >> (a[2] & 31);
            a[0] <= value && value <= b[0]
        }
        op::RANGE2 => {
            let value = wide(word, second);
            wide(a[0], a[1]) <= value && value <= wide(b[0], b[1])
        }
        _ => {
            let value = [wide(word, second), wide(third, fourth)];
            not_above([wide(a[0], a[1]), wide(a[2], a[3])], value)
                && not_above(value, [wide(b[0], b[1]), wide(b[2], b[3])])
        }
    }
}

#[inline(always)]
const fn wide(high: u32, low: u32) -> u64 {
    ((high as u64) << 32) | low as u64
}

#[inline(always)]
const fn not_above(low: [u64; 2], high: [u64; 2]) -> bool {
    low[0] < high[0] || (low[0] == high[0] && low[1] <= high[1])
}

#[inline(always)]
fn copy(insn: &Insn, facts: &mut Facts) {
    let value = (facts.get(insn.field) & insn.a[0]) >> (insn.a[1] & 31) << (insn.a[2] & 31);
    let value = order(insn, value ^ insn.b[0]);
    facts.set_four(insn.to, [value, 0, 0, 0]);
}

#[inline(always)]
fn copy4(insn: &Insn, facts: &mut Facts) {
    let words = facts.four(insn.field);
    let (a, b) = (&insn.a, &insn.b);
    let masked = [
        order(insn, (words[0] & a[0]) ^ b[0]),
        order(insn, (words[1] & a[1]) ^ b[1]),
        order(insn, (words[2] & a[2]) ^ b[2]),
        order(insn, (words[3] & a[3]) ^ b[3]),
    ];
    facts.set_four(insn.to, masked);
}

/// `nft_ct_get_eval`, NFT_CT_AVGPKT.
#[inline(always)]
fn average(insn: &Insn, facts: &mut Facts) {
    let [high, low, ..] = facts.four(insn.field);
    let [packets_high, packets_low, ..] = facts.four(insn.a[0] as u8);
    let average = wide(high, low).checked_div(wide(packets_high, packets_low));
    let average = average.unwrap_or(0);
    facts.set_four(insn.to, [(average >> 32) as u32, average as u32, 0, 0]);
}

#[inline(always)]
const fn order(insn: &Insn, word: u32) -> u32 {
    if insn.has(flag::WIRE) {
        word.to_be()
    } else {
        word
    }
}

#[inline(always)]
fn clear(facts: &mut Facts) {
    facts.set_four(field::REGS, [0; 4]);
    facts.set_four(field::REGS + 4, [0; 4]);
    facts.set_four(field::REGS + 8, [0; 4]);
    facts.set_four(field::REGS + 12, [0; 4]);
}

#[inline(always)]
fn search<E: Env>(machine: &mut Machine, insn: &Insn, env: &mut E) {
    let found = env.find(insn, &machine.facts);
    let Some(Found { data }) = found else {
        advance(machine, insn, insn.has(flag::NOT));
        return;
    };
    match insn.op {
        op::LOOKUP => advance(machine, insn, !insn.has(flag::NOT)),
        op::MAP => {
            machine.facts.set_four(insn.to, data);
            advance(machine, insn, true);
        }
        _ => decide(machine, data[0] as u8, data[1], env),
    }
}

/// A verdict, be it an instruction's or an element's.
#[inline(always)]
fn decide<E: Env>(machine: &mut Machine, verdict: u8, target: u32, env: &mut E) {
    match verdict {
        op::ACCEPT => {
            machine.accepted = machine.pc.wrapping_add(1);
            machine.pc = machine.resume;
        }
        op::DROP => end(machine, Outcome::Drop),
        op::JUMP => jump(machine, target),
        op::GOTO => machine.pc = target,
        op::RETURN => back(machine, env),
        op::CONTINUE => machine.pc = machine.pc.wrapping_add(1),
        _ => end(machine, Outcome::Broken),
    }
}

/// Notes what accepts, if no rule did.
#[inline(always)]
const fn accept(machine: &mut Machine) {
    if machine.accepted == 0 {
        machine.accepted = machine.pc.wrapping_add(1);
    }
}

#[inline(always)]
fn jump(machine: &mut Machine, target: u32) {
    let depth = machine.depth as usize;
    match machine.stack.get_mut(depth) {
        Some(slot) if depth < MAX_DEPTH => {
            *slot = machine.pc.wrapping_add(1);
            machine.depth += 1;
            machine.pc = target;
        }
        _ => end(machine, Outcome::Broken),
    }
}

/// Behind the last jump; if there was none, the base chain is at its end and its policy decides.
#[inline(always)]
fn back<E: Env>(machine: &mut Machine, env: &mut E) {
    let depth = machine.depth.wrapping_sub(1);
    if let Some(pc) = machine.stack.get(depth as usize) {
        machine.depth = depth;
        machine.pc = *pc;
        return;
    }
    if machine.policy_counter != 0 {
        count(machine, machine.policy_counter, env);
    }
    if machine.policy == 0 {
        accept(machine);
        machine.pc = machine.resume;
    } else {
        end(machine, Outcome::Drop);
    }
}

/// Statements that decide nothing.
#[inline(always)]
fn act<E: Env>(machine: &mut Machine, insn: &Insn, env: &mut E) {
    let bytes = machine.facts.get(field::LENGTH);
    let not = insn.has(flag::NOT);
    let matched = match insn.op {
        op::COUNT => {
            count(machine, insn.a[0], env);
            true
        }
        op::LIMIT => env.limit(insn.a[0], bytes) != not,
        // As `nft_overquota`: the packet that uses up the last byte is within.
        op::QUOTA => (env.quota(insn.a[0], bytes) <= wide(insn.b[0], insn.b[1])) != not,
        op::LOG => {
            machine.facts.set(field::LOG, insn.a[0]);
            env.log(&machine.facts);
            true
        }
        op::NOTRACK => {
            machine.effects |= effect::NOTRACK;
            machine.facts.state(CtInfo::Untracked);
            true
        }
        op::SET_MARK => {
            set_mark(machine, insn, field::MARK, effect::MARK);
            true
        }
        op::SET_CT_MARK => {
            set_mark(machine, insn, field::CT_MARK, effect::CT_MARK);
            true
        }
        op::HOP => {
            machine.facts.hop();
            true
        }
        _ => {
            end(machine, Outcome::Broken);
            return;
        }
    };
    advance(machine, insn, matched);
}

/// A mark that is what it was before is no effect: the next packet would find it so, too, and go the
/// same way. One that changes may lead the next packet another way than this one.
#[inline(always)]
fn set_mark(machine: &mut Machine, insn: &Insn, to: u8, what: u32) {
    let mark = machine.facts.get(insn.field);
    if machine.facts.get(to) != mark {
        machine.facts.set(to, mark);
        machine.effects |= what;
        if what == effect::CT_MARK {
            machine.effects |= effect::VOLATILE;
        }
    }
}

/// Counts the packet, and notes the counter on its way.
#[inline(always)]
fn count<E: Env>(machine: &mut Machine, index: u32, env: &mut E) {
    env.count(index, machine.facts.get(field::LENGTH));
    note(machine, index);
}

/// Notes a counter on the packet's way.
#[inline(always)]
fn note(machine: &mut Machine, index: u32) {
    let counted = machine.counted as usize;
    match machine.trail.get_mut(counted) {
        Some(slot) if counted < MAX_TRAIL => {
            *slot = index as u16;
            machine.counted += 1;
        }
        _ => machine.effects |= effect::VOLATILE,
    }
}
