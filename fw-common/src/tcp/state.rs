//! States, events and the transition table.
//!
//! We are the man in the middle: the table has one state for both ends, and says what a segment that
//! passes makes of it. It holds what `tcp_conntracks` of `net/netfilter/nf_conntrack_proto_tcp.c`
//! does (unchanged from Linux 4.20 to 7.1); the special cases around it are in [`super`].

use crate::ctinfo::Dir;
use crate::index::masked;
use crate::timeout::Timeout;

/// State of a connection (`enum tcp_conntrack`); the number is what [`crate::abi::ProtoState`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// No packet accepted yet.
    #[default]
    None = 0,
    /// SYN seen.
    SynSent = 1,
    /// SYN/ACK seen.
    SynRecv = 2,
    /// Handshake done.
    Established = 3,
    /// FIN seen.
    FinWait = 4,
    /// ACK of the first FIN seen.
    CloseWait = 5,
    /// Second FIN seen.
    LastAck = 6,
    /// ACK of the second FIN seen.
    TimeWait = 7,
    /// RST seen.
    Close = 8,
    /// SYN seen from both sides.
    SynSent2 = 9,
}

/// Columns of the tables below: the next power of two, so that an index is masked, not checked.
const COLUMNS: usize = 16;

/// The timeout of each state, by number; what is no state gets the shortest.
static TIMEOUTS: [Timeout; COLUMNS] = {
    let mut table = [Timeout::TcpClose; COLUMNS];
    table[State::SynSent as usize] = Timeout::TcpSynSent;
    table[State::SynRecv as usize] = Timeout::TcpSynRecv;
    table[State::Established as usize] = Timeout::TcpEstablished;
    table[State::FinWait as usize] = Timeout::TcpFinWait;
    table[State::CloseWait as usize] = Timeout::TcpCloseWait;
    table[State::LastAck as usize] = Timeout::TcpLastAck;
    table[State::TimeWait as usize] = Timeout::TcpTimeWait;
    table[State::SynSent2 as usize] = Timeout::TcpSynSent;
    table
};

/// The states by number; what is no state's number is `None`.
static BY_NUMBER: [State; COLUMNS] = {
    let mut table = [State::None; COLUMNS];
    let mut i = 0;
    while i < State::ALL.len() {
        table[State::ALL[i] as usize] = State::ALL[i];
        i += 1;
    }
    table
};

impl State {
    /// Every state, by number.
    pub const ALL: [Self; 10] = [
        Self::None,
        Self::SynSent,
        Self::SynRecv,
        Self::Established,
        Self::FinWait,
        Self::CloseWait,
        Self::LastAck,
        Self::TimeWait,
        Self::Close,
        Self::SynSent2,
    ];

    /// The state with number `n`, if there is one.
    #[must_use]
    pub fn from_u8(n: u8) -> Option<Self> {
        Self::ALL.get(usize::from(n)).copied()
    }

    /// The state that an entry holds. An entry only ever holds numbers written from a `State`.
    #[inline(always)]
    pub(super) fn of(n: u8) -> Self {
        BY_NUMBER[masked::<COLUMNS>(n as usize)]
    }

    /// The name that `conntrack -L` prints.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::Established => "ESTABLISHED",
            Self::FinWait => "FIN_WAIT",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::SynSent2 => "SYN_SENT2",
        }
    }

    /// The timeout of a connection in this state. SYN_SENT2 has none of its own.
    #[must_use]
    #[inline(always)]
    pub fn timeout(self) -> Timeout {
        TIMEOUTS[masked::<COLUMNS>(self as usize)]
    }

    /// Whether the connection is ending: it may be dropped early even if it is ASSURED, and its RSTs
    /// are not checked (`tcp_can_early_drop`).
    #[must_use]
    #[inline(always)]
    pub const fn is_closing(self) -> bool {
        matches!(
            self,
            Self::FinWait | Self::CloseWait | Self::LastAck | Self::TimeWait | Self::Close
        )
    }
}

/// Class of a segment, by its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Event {
    /// SYN without ACK.
    Syn = 0,
    /// SYN with ACK.
    SynAck = 1,
    /// FIN.
    Fin = 2,
    /// ACK, with or without data.
    Ack = 3,
    /// RST.
    Rst = 4,
    /// None of these.
    None = 5,
}

/// The event of each combination of the five low flag bits (FIN, SYN, RST, PSH, ACK).
static EVENTS: [Event; 32] = {
    let mut table = [Event::None; 32];
    let mut flags = 0;
    while flags < 32 {
        table[flags as usize] = classify(flags);
        flags += 1;
    }
    table
};

/// RST outranks SYN, SYN outranks FIN, FIN outranks ACK (`get_conntrack_index`).
const fn classify(flags: u8) -> Event {
    use super::header::{ACK, FIN, RST, SYN};
    if flags & RST != 0 {
        Event::Rst
    } else if flags & (SYN | ACK) == SYN | ACK {
        Event::SynAck
    } else if flags & SYN != 0 {
        Event::Syn
    } else if flags & FIN != 0 {
        Event::Fin
    } else if flags & ACK != 0 {
        Event::Ack
    } else {
        Event::None
    }
}

impl Event {
    /// Every event, by number.
    pub const ALL: [Self; 6] = [
        Self::Syn,
        Self::SynAck,
        Self::Fin,
        Self::Ack,
        Self::Rst,
        Self::None,
    ];

    /// The class of a segment with these header flags.
    #[must_use]
    #[inline(always)]
    pub fn of(flags: u8) -> Self {
        EVENTS[flags as usize & 31]
    }
}

/// Whether a segment may have these flags at all; PSH, ECE and CWR do not matter
/// (`tcp_valid_flags`).
#[must_use]
#[inline(always)]
pub const fn valid_flags(flags: u8) -> bool {
    VALID_FLAGS >> (flags & JUDGED_FLAGS) & 1 != 0
}

/// The flags that [`valid_flags`] looks at.
const JUDGED_FLAGS: u8 = {
    use super::header::{ACK, FIN, RST, SYN, URG};
    FIN | SYN | RST | ACK | URG
};

/// One bit for each sensible combination: one word instead of a table in memory.
const VALID_FLAGS: u64 = {
    use super::header::{ACK, FIN, RST, SYN, URG};
    1 << SYN
        | 1 << (SYN | URG)
        | 1 << (SYN | ACK)
        | 1 << RST
        | 1 << (RST | ACK)
        | 1 << (FIN | ACK)
        | 1 << (FIN | ACK | URG)
        | 1 << ACK
        | 1 << (ACK | URG)
};

/// What the table says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// If it is in the window, the connection is in this state from now on.
    To(State),
    /// Let it pass and remember it, but do not believe it: the two ends may know better than we do.
    Ignore,
    /// No end of a connection in this state sends that.
    Invalid,
}

const SS: Next = Next::To(State::SynSent);
const SR: Next = Next::To(State::SynRecv);
const ES: Next = Next::To(State::Established);
const FW: Next = Next::To(State::FinWait);
const CW: Next = Next::To(State::CloseWait);
const LA: Next = Next::To(State::LastAck);
const TW: Next = Next::To(State::TimeWait);
const CL: Next = Next::To(State::Close);
const S2: Next = Next::To(State::SynSent2);
const IG: Next = Next::Ignore;
const IV: Next = Next::Invalid;

/// A row with the unused columns filled.
const fn row(cells: [Next; 10]) -> [Next; COLUMNS] {
    let mut row = [IV; COLUMNS];
    let mut i = 0;
    while i < cells.len() {
        row[i] = cells[i];
        i += 1;
    }
    row
}

const NEVER: [Next; COLUMNS] = [IV; COLUMNS];

/// `TABLE[direction][event][state]`.
#[rustfmt::skip]
static TABLE: [[[Next; COLUMNS]; 8]; 2] = [
    [
        // Original: the side that, as far as we saw, began. Columns are the states by number.
        //   none SS  SR  ES  FW  CW  LA  TW  CL  S2
        // SYN: opens, or repeats the opening; on a live connection it may be a new one whose end we
        // missed, so the answer decides; after TIME_WAIT and CLOSE it reopens (RFC 9293 §3.6.1).
        row([SS, SS, IG, IG, IG, IG, IG, SS, SS, S2]),
        // SYN/ACK: only the originator's half of a simultaneous open (RFC 9293 §3.5).
        row([IV, IV, SR, IV, IV, IV, IV, IV, IV, SR]),
        // FIN: first one FIN_WAIT, second one LAST_ACK; a repeat cannot be told from the second.
        row([IV, IV, FW, FW, LA, LA, LA, TW, CL, IV]),
        // ACK: ends the handshake; picks up a connection in mid-stream; answers a FIN. Before the
        // SYN/ACK there is nothing that the originator could acknowledge.
        row([ES, IV, ES, ES, CW, CW, TW, TW, CL, IV]),
        // RST: closes whatever there is, opens nothing.
        row([IV, CL, CL, CL, CL, CL, CL, CL, CL, CL]),
        // No flags at all, which `valid_flags` has already refused.
        NEVER,
        NEVER,
        NEVER,
    ],
    [
        // Reply. An unknown connection's first segment is always original.
        //   none SS  SR  ES  FW  CW  LA  TW  CL  S2
        // SYN: a simultaneous open, or a new connection the other way after TIME_WAIT.
        row([IV, S2, IV, IV, IV, IV, IV, SS, IV, S2]),
        // SYN/ACK: the answer; later a repeat, or the answer to a SYN that we ignored.
        row([IV, SR, IG, IG, IG, IG, IG, IG, IG, SR]),
        // FIN: as in original direction.
        row([IV, IV, FW, FW, LA, LA, LA, TW, CL, IV]),
        // ACK: to a SYN it is the challenge of a half-open peer (RFC 5961 §4); in SYN_RECV the
        // originator's ACK is still outstanding.
        row([IV, IG, SR, ES, CW, CW, TW, TW, CL, IG]),
        // RST: as in original direction.
        row([IV, CL, CL, CL, CL, CL, CL, CL, CL, CL]),
        // No flags at all.
        NEVER,
        NEVER,
        NEVER,
    ],
];

/// What a segment of class `event` in direction `dir` makes of a connection in state `old`.
#[must_use]
#[inline(always)]
pub fn transition(dir: Dir, event: Event, old: State) -> Next {
    let row = &TABLE[masked::<2>(dir.index())][masked::<8>(event as usize)];
    row[masked::<COLUMNS>(old as usize)]
}
