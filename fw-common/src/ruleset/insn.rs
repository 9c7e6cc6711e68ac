//! One instruction of a compiled ruleset.

/// An instruction. All have the same size and the same fields, whose meaning is that of [`Self::op`];
/// a rule is a few of them in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Insn {
    /// One of [`op`].
    pub op: u8,
    /// Bits of [`flag`]; above them the number of the bit of [`super::field::have`] that is needed.
    pub flags: u8,
    /// First word that is read: an index of [`super::field`].
    pub field: u8,
    /// First word that is written.
    pub to: u8,
    /// The instruction to go on with if this one does not match.
    pub next: u32,
    /// First operand.
    pub a: [u32; 4],
    /// Second operand.
    pub b: [u32; 4],
}

/// What an instruction does. Those that match go on with the next one, or with [`Insn::next`] if they
/// do not match.
pub mod op {
    /// No instruction: a ruleset that comes here is broken, and the packet is dropped.
    pub const NONE: u8 = 0;
    /// Word & `a[0]` = `b[0]`.
    pub const EQUAL: u8 = 1;
    /// Four words & `a` = `b`.
    pub const EQUAL4: u8 = 2;
    /// `a[0]` ≤ (word & `a[1]`) >> `a[2]` ≤ `b[0]`.
    pub const RANGE: u8 = 3;
    /// `a` ≤ two words ≤ `b`.
    pub const RANGE2: u8 = 4;
    /// `a` ≤ four words ≤ `b`.
    pub const RANGE4: u8 = 5;
    /// To := ((word & `a[0]`) >> `a[1]` << `a[2]`) ^ `b[0]`; the three words behind it are cleared.
    pub const COPY: u8 = 6;
    /// To := (four words & `a`) ^ `b`.
    pub const COPY4: u8 = 7;
    /// Clears all registers.
    pub const CLEAR: u8 = 8;
    /// The registers are an element of set `a[0]`, of [`super::SetKind`] `a[1]`.
    pub const LOOKUP: u8 = 9;
    /// To := two words divided by the two at word `a[0]`, or 0.
    pub const AVERAGE: u8 = 13;
    /// As [`LOOKUP`]; the element's data are copied to four words.
    pub const MAP: u8 = 10;
    /// As [`LOOKUP`]; the element's data are a verdict: one of these numbers, and where to jump to.
    pub const VERDICT_MAP: u8 = 11;
    /// Adds (`a[2]` 0), updates (1) or deletes (2) the registers in set `a[0]` of kind `a[1]`, with a
    /// timeout of `b[0..2]` ticks (0: the set's own), and the four words at `field` as data, unless that is 0.
    /// `a[3]`: what is done to the element, see [`crate::ruleset::Env::update`].
    pub const UPDATE: u8 = 12;
    /// On to the next rule of group `a[0]` that can match, from position `a[1]` on: see
    /// `ruleset::seek`. `a[2]` finds the packet's classes out, then goes to `a[3]`, a [`SCAN`].
    pub const SEEK: u8 = 33;
    /// Finds that rule of group `a[0]` in `a[1]` vectors of `a[2]` bits; `a[3]` is the first [`ADDRESS`] of
    /// its rules. To [`next`](super::Insn::next) if there is none.
    pub const SCAN: u8 = 14;
    /// Where eight rules begin: `a`, then `b`.
    pub const ADDRESS: u8 = 15;
    /// This base chain accepts.
    pub const ACCEPT: u8 = 16;
    /// The packet is dropped.
    pub const DROP: u8 = 17;
    /// To the chain at `a[0]`, and back.
    pub const JUMP: u8 = 18;
    /// To the chain at `a[0]`.
    pub const GOTO: u8 = 19;
    /// Back behind the jump that led here; from a base chain to its policy.
    pub const RETURN: u8 = 20;
    /// Nothing: on to the next instruction.
    pub const CONTINUE: u8 = 21;
    /// A base chain begins at `a[0]`; when it has accepted, go on at `a[1]`. `a[2]` is its policy: 1
    /// drops. `a[3]` is the counter of packets that the policy decides on; 0: none.
    pub const BASE: u8 = 22;
    /// All base chains of the hook have accepted.
    pub const PASS: u8 = 23;
    /// The packet is rejected, in the manner of `a[0]`.
    pub const REJECT: u8 = 24;
    /// Counts the packet in counter `a[0]`.
    pub const COUNT: u8 = 25;
    /// Matches while the rate of limiter `a[0]` is not reached; see [`crate::ruleset::Rate`].
    pub const LIMIT: u8 = 26;
    /// Adds to quota `a[0]`; matches while less than `b[0..2]` bytes have come.
    pub const QUOTA: u8 = 27;
    /// Tells of the packet, as `a[0]` in the list of logs says.
    pub const LOG: u8 = 28;
    /// The packet is not tracked.
    pub const NOTRACK: u8 = 29;
    /// [`crate::ruleset::field::MARK`] := word.
    pub const SET_MARK: u8 = 30;
    /// [`crate::ruleset::field::CT_MARK`] := word.
    pub const SET_CT_MARK: u8 = 31;
    /// The packet has been routed: one hop fewer in its TTL or hop limit; see [`crate::ruleset::Facts::hop`].
    pub const HOP: u8 = 32;
    /// Matches if there are more than `a[0]` connections in list `a[1]`, of the element whose key the first
    /// `a[2]` registers are. The packet's own is one of them.
    pub const CONNECTIONS: u8 = 34;
}

/// Bits of [`Insn::flags`].
pub mod flag {
    /// The test is negated.
    pub const NOT: u8 = 1;
    /// What is read may differ between packets of one flow, or the instruction has an effect of its
    /// own: its outcome must not be kept.
    pub const VOLATILE: u8 = 2;
    /// [`super::op::COPY`] writes words in network byte order: a key of a longest-prefix map.
    pub const WIRE: u8 = 4;
    /// Where the number of the needed bit begins.
    pub const NEED_SHIFT: u8 = 3;
}

impl Insn {
    /// An instruction with nothing but its operation.
    #[must_use]
    pub const fn of(op: u8) -> Self {
        Self {
            op,
            flags: 0,
            field: 0,
            to: 0,
            next: 0,
            a: [0; 4],
            b: [0; 4],
        }
    }

    /// The number of the bit of [`super::field::VALID`] that this instruction needs.
    #[must_use]
    #[inline(always)]
    pub const fn need(&self) -> u32 {
        (self.flags >> flag::NEED_SHIFT) as u32
    }

    /// Whether `bit` is set.
    #[must_use]
    #[inline(always)]
    pub const fn has(&self, bit: u8) -> bool {
        self.flags & bit != 0
    }
}

/// How the elements of a set are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum SetKind {
    /// Single values of up to four words.
    Exact = 0,
    /// Single values of up to sixteen words.
    Wide = 1,
    /// Prefixes of up to four words.
    Prefix = 2,
}

const _: () = assert!(size_of::<Insn>() == 40);
