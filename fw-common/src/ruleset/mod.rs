//! The compiled ruleset, and its evaluation: the same code in BPF and on the host.
//!
//! A ruleset is a list of [`Insn`]s. A packet is a block of 32-bit words ([`Facts`]): its headers as they
//! are on the wire, what the machine knows of it, what conntrack says. [`step`] runs one instruction;
//! whoever runs it brings the instructions and what is shared between packets ([`Env`]: sets, counters,
//! limits). In BPF that is `bpf_loop` over an array map, so that the verifier follows one step, whatever
//! the number of rules.
//!
//! The hooks of nftables are entries into the list ([`Entry`]). A base chain begins with
//! [`op::BASE`], which says where to go on when the chain has accepted: the next base chain of the hook,
//! in priority order, or [`op::PASS`] behind the last one. A jump is an index, so a ruleset can only be
//! as endless as its jumps: the compiler refuses loops, and whoever runs it stops at [`MAX_STEPS`].
//!
//! **What a verdict depends on.** An instruction that reads what may differ between packets of one flow,
//! or that has an effect, carries [`flag::VOLATILE`]. An evaluation that met none ([`Machine::is_constant`])
//! has read nothing but what is constant for the flow, so every other packet of that flow, direction and
//! state goes the same way through the same rules: its verdict may be kept with the flow, and the
//! counters on its way ([`Machine::trail`]) stand for those of each packet that the verdict is kept for.

mod eval;
mod facts;
mod insn;
mod limit;
mod machine;
mod moment;

pub mod connections;
pub mod fib;
pub mod field;
pub mod options;
pub mod reject;
pub mod seek;

pub use eval::{Env, Found, step};
pub use facts::{Facts, Link, Track, state_bit};
pub use insn::{Insn, SetKind, flag, op};
pub use limit::Rate;
pub use machine::{MAX_DEPTH, MAX_STEPS, MAX_TRAIL, Machine, Outcome, effect};

/// Where the packets of a hook enter a ruleset. For each there is one entry for IPv4 and one for IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Entry {
    /// Before conntrack: `ingress` of netdev tables, and `prerouting` below priority −200.
    Early = 0,
    /// `prerouting` after conntrack.
    Prerouting = 1,
    /// For the router itself.
    Input = 2,
    /// Through the router.
    Forward = 3,
    /// `output` before conntrack.
    EarlyOutput = 4,
    /// From the router itself.
    Output = 5,
}

impl Entry {
    /// How many there are.
    pub const COUNT: usize = 6;
    /// All, in index order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Early,
        Self::Prerouting,
        Self::Input,
        Self::Forward,
        Self::EarlyOutput,
        Self::Output,
    ];
}

#[cfg(test)]
mod tests;
