//! What a ruleset does besides its rules: it leaves failsafe ports open, and counts what no statement
//! counts.

use std::net::IpAddr;

use fw_common::route::Kind;
use fw_common::ruleset::{Entry, Insn, field, field::have, op};
use ipnet::IpNet;

use super::super::failsafe::{self, Failsafe};
use super::super::ir::{ChainId, CounterRef, Statement};
use super::Owner;
use super::asm::{Label, flags};
use super::chains::Compiler;
use super::place::words;

/// Most counters that are none of the rules'.
pub(super) const MOST: usize = failsafe::MOST;

impl Compiler<'_> {
    /// In front of the chains of a hook: packets to a failsafe port of the router itself, and the
    /// answers from it, pass all of them.
    pub(super) fn guard(&mut self, entry: Entry, v6: bool) {
        let inbound = match entry {
            Entry::Early | Entry::Input => true,
            Entry::EarlyOutput | Entry::Output => false,
            // What goes through the router is none of the router's ports.
            Entry::Prerouting | Entry::Forward => return,
        };
        for (at, port) in self.lookup.failsafe().to_vec().iter().enumerate() {
            if port
                .from
                .is_some_and(|net| matches!(net, IpNet::V6(_)) != v6)
            {
                continue;
            }
            let other = self.asm.label();
            self.guard_port(port, inbound, other);
            if let Some(net) = port.from {
                self.guard_peer(net, inbound, other);
            }
            if entry == Entry::Early {
                self.equals(field::ROUTE_KIND, have::ROUTE, Kind::Local as u32, other);
            } else if entry == Entry::Output {
                self.equals(field::CT_DIRECTION, have::CT, 1, other);
            }
            self.count_guard(at, entry);
            self.asm.emit(Insn::of(op::PASS));
            self.asm.place(other);
        }
    }

    fn guard_port(&mut self, port: &Failsafe, inbound: bool, other: Label) {
        self.equals(
            field::L4PROTO,
            have::ALWAYS,
            u32::from(port.proto.number()),
            other,
        );
        let mut range = Insn::of(op::RANGE);
        range.flags = flags(have::TH4, false, false);
        range.field = field::TH;
        let (mask, shift) = if inbound {
            (0xffff, 0)
        } else {
            (0xffff_0000, 16)
        };
        range.a = [u32::from(port.first), mask, shift, 0];
        range.b = [u32::from(port.last), 0, 0, 0];
        self.asm.test(range, other);
    }

    /// Who talks to the port: the source of what comes in, the destination of the answers.
    fn guard_peer(&mut self, net: IpNet, inbound: bool, other: Label) {
        let (offset, width) = match net.addr() {
            IpAddr::V4(_) => (if inbound { 3 } else { 4 }, 1),
            IpAddr::V6(_) => (if inbound { 2 } else { 6 }, 4),
        };
        let number = |address| match address {
            IpAddr::V4(v4) => u128::from(u32::from(v4)),
            IpAddr::V6(v6) => u128::from(v6),
        };
        let mut equal = Insn::of(if width == 1 { op::EQUAL } else { op::EQUAL4 });
        equal.flags = flags(have::ALWAYS, false, false);
        equal.field = field::NH + offset;
        equal.a = words(number(net.netmask()), width);
        equal.b = words(number(net.network()), width);
        self.asm.test(equal, other);
    }

    fn equals(&mut self, word: u8, need: u8, value: u32, other: Label) {
        let mut equal = Insn::of(op::EQUAL);
        equal.flags = flags(need, false, false);
        equal.field = word;
        equal.a[0] = u32::MAX;
        equal.b[0] = value;
        self.asm.test(equal, other);
    }

    /// What comes in is counted once, where it is sure to be let in; answers are not.
    fn count_guard(&mut self, at: usize, entry: Entry) {
        if entry != Entry::Input {
            return;
        }
        let number = match self.guards.get(&at) {
            Some(number) => *number,
            None => self.counter(Owner::Failsafe(at), 0, 0),
        };
        self.guards.insert(at, number);
        self.count_in(number);
    }

    /// The counter of a base chain's policy, the same for both families; 0: there is no room.
    pub(super) fn policy_counter(&mut self, table: usize, chain: ChainId) -> u32 {
        if let Some(number) = self.policies.get(&(table, chain)) {
            return *number;
        }
        let number = if self.count_all {
            self.counter(Owner::Policy(table, chain), 0, 0)
        } else {
            0
        };
        self.policies.insert((table, chain), number);
        number
    }

    /// In front of which statement a rule is counted as matched: the last one, if that ends the rule;
    /// behind the last otherwise. Not at all if a counter of its own does it.
    pub(super) fn count_before(&self, statements: &[Statement]) -> Option<usize> {
        let is_counter = |s: &Statement| matches!(s, Statement::Counter(CounterRef::Own { .. }));
        if !self.count_all || statements.iter().any(is_counter) {
            return None;
        }
        let ends = |s: &Statement| {
            matches!(
                s,
                Statement::Verdict(_) | Statement::VerdictMap { .. } | Statement::Reject(_)
            )
        };
        let last = statements.last().is_some_and(ends);
        Some(statements.len() - usize::from(last))
    }

    /// Counts the rule that is being written.
    pub(super) fn count_rule(&mut self) {
        let number = self.counter(Owner::Rule(self.at), 0, 0);
        self.count_in(number);
    }
}
