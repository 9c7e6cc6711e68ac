//! The state of one evaluation.

use super::facts::Facts;

/// Longest row of jumps (`NFT_JUMP_STACK_SIZE`).
pub const MAX_DEPTH: usize = 16;
/// Most instructions of one evaluation. Straight on, as many as there are; chains that are jumped to
/// again and again could make it more, up to the power of their depth.
pub const MAX_STEPS: u32 = 1 << 18;
/// Most counters on a way that is kept.
pub const MAX_TRAIL: usize = 15;

/// How an evaluation stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Outcome {
    /// It goes on.
    #[default]
    Running = 0,
    /// Every base chain accepted.
    Accept = 1,
    /// The packet is dropped.
    Drop = 2,
    /// The packet is rejected, see [`Machine::code`].
    Reject = 3,
    /// The ruleset is broken: the packet is dropped.
    Broken = 4,
    /// A rule asks what the routing tables do not answer: the packet is dropped.
    Unanswered = 5,
}

/// Bits of [`Machine::effects`]: what the ruleset did besides its verdict.
pub mod effect {
    /// `notrack`.
    pub const NOTRACK: u32 = 1;
    /// `meta mark` is another.
    pub const MARK: u32 = 2;
    /// `ct mark` is another.
    pub const CT_MARK: u32 = 4;
    /// Something was read that may differ in the next packet of the flow, or more counters were met
    /// than a trail has room for.
    pub const VOLATILE: u32 = 8;
    /// The connection is reset.
    pub const RESET: u32 = 16;
}

/// One evaluation: the packet's facts, and where in the ruleset it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Machine {
    /// What is known of the packet.
    pub facts: Facts,
    /// The counters that were met. Behind the last one zeroes: counters are numbered from 1.
    pub trail: [u16; 16],
    /// Where to go on after each jump.
    pub stack: [u32; MAX_DEPTH],
    /// How many of them are in use.
    pub depth: u32,
    /// The instruction that is next; after the end that which ended it.
    pub pc: u32,
    /// Where to go on when this base chain has accepted.
    pub resume: u32,
    /// 1 if this base chain drops what no rule decides on.
    pub policy: u32,
    /// An [`Outcome`] as a number.
    pub outcome: u32,
    /// The manner of a reject.
    pub code: u32,
    /// Bits of [`effect`].
    pub effects: u32,
    /// How many counters are in [`Self::trail`].
    pub counted: u32,
    /// The counter of this base chain's policy; 0: none.
    pub policy_counter: u32,
    /// The group whose classes are known; 0: none is.
    pub group: u32,
    /// The rule of the group that is looked for, or was found.
    pub position: u32,
    /// The instruction that accepted, counted from 1; 0: none yet. A base chain's policy counts
    /// only if no rule of another one accepted.
    pub accepted: u32,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            facts: Facts::default(),
            trail: [0; 16],
            stack: [0; MAX_DEPTH],
            depth: 0,
            pc: 0,
            resume: 0,
            policy: 0,
            outcome: 0,
            code: 0,
            effects: 0,
            counted: 0,
            policy_counter: 0,
            group: 0,
            position: 0,
            accepted: 0,
        }
    }
}

impl Machine {
    /// Makes ready for a new packet, whose facts are filled in afterwards.
    #[inline(always)]
    pub fn reset(&mut self) {
        self.facts.forget();
        self.accepted = 0;
        self.effects = 0;
        self.counted = 0;
        self.trail = [0; 16];
    }

    /// Enters the ruleset at instruction `pc`. What was counted, and whether anything volatile was
    /// read, adds up over the hooks of one packet.
    #[inline(always)]
    pub fn enter(&mut self, pc: u32) {
        self.pc = pc;
        self.depth = 0;
        self.group = 0;
        self.accepted = 0;
        self.outcome = Outcome::Running as u32;
    }

    /// Behind the chains before conntrack. Every packet goes through those, also one whose verdict is
    /// kept: what they counted is on no path. What they read counts only if they set marks (`marks`), which later
    /// chains read: where they did not for this packet, they may for the next one of its flow.
    #[inline(always)]
    pub fn end_early(&mut self, marks: bool) {
        self.counted = 0;
        self.trail = [0; 16];
        if !marks {
            self.effects &= !effect::VOLATILE;
        }
    }

    /// How it stands.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self.outcome {
            0 => Outcome::Running,
            1 => Outcome::Accept,
            2 => Outcome::Drop,
            3 => Outcome::Reject,
            5 => Outcome::Unanswered,
            _ => Outcome::Broken,
        }
    }

    /// Whether another packet of the same flow, direction and state would go the same way.
    #[must_use]
    #[inline(always)]
    pub const fn is_constant(&self) -> bool {
        self.effects & effect::VOLATILE == 0
    }

    /// Whether `ct mark` is another now.
    #[must_use]
    #[inline(always)]
    pub const fn has(&self, effect: u32) -> bool {
        self.effects & effect != 0
    }
}
