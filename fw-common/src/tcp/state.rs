//! States, events and the transition table.

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
