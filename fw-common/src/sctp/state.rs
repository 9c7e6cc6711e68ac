//! States, events and the transition table: what `sctp_conntracks` of
//! `net/netfilter/nf_conntrack_proto_sctp.c` does.

use crate::ctinfo::Dir;
use crate::index::masked;
use crate::timeout::Timeout;

/// State of an association (`enum sctp_conntrack`); the number is what [`crate::abi::ProtoState`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// No packet accepted yet.
    #[default]
    None = 0,
    /// Ended, or begun with no more than an INIT.
    Closed = 1,
    /// INIT ACK seen.
    CookieWait = 2,
    /// COOKIE ECHO seen.
    CookieEchoed = 3,
    /// COOKIE ACK seen.
    Established = 4,
    /// SHUTDOWN seen in original direction.
    ShutdownSent = 5,
    /// SHUTDOWN seen in reply direction.
    ShutdownRecd = 6,
    /// SHUTDOWN ACK seen.
    ShutdownAckSent = 7,
    /// HEARTBEAT seen before anything else: a further path of a multi-homed association.
    HeartbeatSent = 8,
}

/// Columns of the tables below: a power of two, so that an index is masked, not checked.
const COLUMNS: usize = 16;

/// The timeout of each state, by number; what is no state gets the shortest.
static TIMEOUTS: [Timeout; COLUMNS] = {
    let mut table = [Timeout::SctpClosed; COLUMNS];
    table[State::CookieWait as usize] = Timeout::SctpCookieWait;
    table[State::CookieEchoed as usize] = Timeout::SctpCookieEchoed;
    table[State::Established as usize] = Timeout::SctpEstablished;
    table[State::ShutdownSent as usize] = Timeout::SctpShutdownSent;
    table[State::ShutdownRecd as usize] = Timeout::SctpShutdownRecd;
    table[State::ShutdownAckSent as usize] = Timeout::SctpShutdownAckSent;
    table[State::HeartbeatSent as usize] = Timeout::SctpHeartbeatSent;
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
    pub const ALL: [Self; 9] = [
        Self::None,
        Self::Closed,
        Self::CookieWait,
        Self::CookieEchoed,
        Self::Established,
        Self::ShutdownSent,
        Self::ShutdownRecd,
        Self::ShutdownAckSent,
        Self::HeartbeatSent,
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
            Self::Closed => "CLOSED",
            Self::CookieWait => "COOKIE_WAIT",
            Self::CookieEchoed => "COOKIE_ECHOED",
            Self::Established => "ESTABLISHED",
            Self::ShutdownSent => "SHUTDOWN_SENT",
            Self::ShutdownRecd => "SHUTDOWN_RECD",
            Self::ShutdownAckSent => "SHUTDOWN_ACK_SENT",
            Self::HeartbeatSent => "HEARTBEAT_SENT",
        }
    }

    /// The timeout of an association in this state.
    #[must_use]
    #[inline(always)]
    pub fn timeout(self) -> Timeout {
        TIMEOUTS[masked::<COLUMNS>(self as usize)]
    }

    /// Whether the association is ending: it may be dropped early even if it is ASSURED
    /// (`sctp_can_early_drop`).
    #[must_use]
    #[inline(always)]
    pub const fn is_closing(self) -> bool {
        matches!(
            self,
            Self::ShutdownSent | Self::ShutdownRecd | Self::ShutdownAckSent
        )
    }
}

/// A chunk that may change the state of an association. The number is what
/// [`crate::wire::SctpPacket::events`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Event {
    /// No chunk, or one that changes nothing (DATA, SACK, …).
    None = 0,
    /// INIT.
    Init = 1,
    /// INIT ACK.
    InitAck = 2,
    /// ABORT with the receiver's tag.
    Abort = 3,
    /// SHUTDOWN.
    Shutdown = 4,
    /// SHUTDOWN ACK.
    ShutdownAck = 5,
    /// ERROR.
    Error = 6,
    /// COOKIE ECHO.
    CookieEcho = 7,
    /// COOKIE ACK.
    CookieAck = 8,
    /// SHUTDOWN COMPLETE with the receiver's tag.
    ShutdownComplete = 9,
    /// HEARTBEAT.
    Heartbeat = 10,
    /// HEARTBEAT ACK.
    HeartbeatAck = 11,
    /// ABORT with the tag reflected from the packet that it answers (T bit, RFC 9260 §3.3.7).
    ReflectedAbort = 12,
    /// SHUTDOWN COMPLETE with the tag reflected.
    ReflectedComplete = 13,
}

/// The events by number.
static EVENTS: [Event; COLUMNS] = {
    let mut table = [Event::None; COLUMNS];
    let mut i = 0;
    while i < Event::ALL.len() {
        table[Event::ALL[i] as usize] = Event::ALL[i];
        i += 1;
    }
    table
};

impl Event {
    /// Every event, by number.
    pub const ALL: [Self; 14] = [
        Self::None,
        Self::Init,
        Self::InitAck,
        Self::Abort,
        Self::Shutdown,
        Self::ShutdownAck,
        Self::Error,
        Self::CookieEcho,
        Self::CookieAck,
        Self::ShutdownComplete,
        Self::Heartbeat,
        Self::HeartbeatAck,
        Self::ReflectedAbort,
        Self::ReflectedComplete,
    ];

    /// Bits that an event takes in [`crate::wire::SctpPacket::events`].
    pub const BITS: u32 = 4;

    /// The event of a chunk of type `kind` whose flags byte is `flags` (RFC 9260 §3.2).
    #[must_use]
    #[inline(always)]
    pub const fn of_chunk(kind: u8, flags: u8) -> Self {
        let reflected = flags & 1 != 0;
        match kind {
            1 => Self::Init,
            2 => Self::InitAck,
            4 => Self::Heartbeat,
            5 => Self::HeartbeatAck,
            6 if reflected => Self::ReflectedAbort,
            6 => Self::Abort,
            7 => Self::Shutdown,
            8 => Self::ShutdownAck,
            9 => Self::Error,
            10 => Self::CookieEcho,
            11 => Self::CookieAck,
            14 if reflected => Self::ReflectedComplete,
            14 => Self::ShutdownComplete,
            _ => Self::None,
        }
    }

    /// The first (lowest) of packed events.
    #[must_use]
    #[inline(always)]
    pub fn first_of(packed: u32) -> Self {
        EVENTS[masked::<COLUMNS>(packed as usize & (COLUMNS - 1))]
    }
}

/// The state that an association in `state` has after `event` from `dir`; `None` if no end of one
/// sends that.
#[must_use]
#[inline(always)]
pub fn transition(dir: Dir, state: State, event: Event) -> Option<State> {
    let cell = (event as usize) << 4 | state as usize;
    let next = match dir {
        Dir::Original => ORIGINAL[masked::<CELLS>(cell)],
        Dir::Reply => REPLY[masked::<CELLS>(cell)],
    };
    if next == IV {
        None
    } else {
        Some(State::of(next))
    }
}

/// Cells of a table: a row for each event, a column for each state.
const CELLS: usize = COLUMNS * COLUMNS;

const CL: u8 = State::Closed as u8;
const CW: u8 = State::CookieWait as u8;
const CE: u8 = State::CookieEchoed as u8;
const ES: u8 = State::Established as u8;
const SS: u8 = State::ShutdownSent as u8;
const SR: u8 = State::ShutdownRecd as u8;
const SA: u8 = State::ShutdownAckSent as u8;
const HS: u8 = State::HeartbeatSent as u8;
/// Not to be.
const IV: u8 = 0xff;

/// What each event means, from [`Event::Init`] to [`Event::HeartbeatAck`].
type Rows = [[u8; 9]; 11];

#[rustfmt::skip]
const ROWS_ORIGINAL: Rows = [
    //NO  CL  CW  CE  ES  SS  SR  SA  HS
    [CL, CL, CW, CE, ES, CL, CL, SA, CW], // INIT
    [CL, CL, CW, CE, ES, SS, SR, SA, CL], // INIT ACK
    [CL, CL, CL, CL, CL, CL, CL, CL, CL], // ABORT
    [CL, CL, CW, CE, SS, SS, SR, SA, CL], // SHUTDOWN
    [SA, CL, CW, CE, ES, SA, SA, SA, SA], // SHUTDOWN ACK
    [CL, CL, CW, CE, ES, SS, SR, SA, CL], // ERROR
    [CL, CL, CE, CE, ES, SS, SR, SA, CL], // COOKIE ECHO
    [CL, CL, CW, ES, ES, SS, SR, SA, CL], // COOKIE ACK
    [CL, CL, CW, CE, ES, SS, SR, CL, CL], // SHUTDOWN COMPLETE
    [HS, CL, CW, CE, ES, SS, SR, SA, HS], // HEARTBEAT
    [CL, CL, CW, CE, ES, SS, SR, SA, HS], // HEARTBEAT ACK
];

#[rustfmt::skip]
const ROWS_REPLY: Rows = [
    //NO  CL  CW  CE  ES  SS  SR  SA  HS
    [IV, CL, CW, CE, ES, SS, SR, SA, IV], // INIT
    [IV, CW, CW, CE, ES, SS, SR, SA, IV], // INIT ACK
    [IV, CL, CL, CL, CL, CL, CL, CL, IV], // ABORT
    [IV, CL, CW, CE, SR, SS, SR, SA, IV], // SHUTDOWN
    [IV, CL, CW, CE, ES, SA, SA, SA, IV], // SHUTDOWN ACK
    [IV, CL, CW, CL, ES, SS, SR, SA, IV], // ERROR
    [IV, CL, CE, CE, ES, SS, SR, SA, IV], // COOKIE ECHO
    [IV, CL, CW, ES, ES, SS, SR, SA, IV], // COOKIE ACK
    [IV, CL, CW, CE, ES, SS, SR, CL, IV], // SHUTDOWN COMPLETE
    [IV, CL, CW, CE, ES, SS, SR, SA, HS], // HEARTBEAT
    [IV, CL, CW, CE, ES, SS, SR, SA, ES], // HEARTBEAT ACK
];

static ORIGINAL: [u8; CELLS] = spread(&ROWS_ORIGINAL);
static REPLY: [u8; CELLS] = spread(&ROWS_REPLY);

/// Every event's row at its own number. Nothing changes nothing.
const fn spread(rows: &Rows) -> [u8; CELLS] {
    let mut cells = [IV; CELLS];
    let mut event = 0;
    while event < Event::ALL.len() {
        let mut state = 0;
        while state < State::ALL.len() {
            cells[event << 4 | state] = match Event::ALL[event] {
                Event::None => state as u8,
                Event::ReflectedAbort => rows[Event::Abort as usize - 1][state],
                Event::ReflectedComplete => rows[Event::ShutdownComplete as usize - 1][state],
                other => rows[other as usize - 1][state],
            };
            state += 1;
        }
        event += 1;
    }
    cells
}
