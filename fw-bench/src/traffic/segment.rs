//! TCP's part in it: a handshake, and what follows.

use super::Kind;

/// Sequence numbers of the two SYN.
const CLIENT_ISN: u32 = 1_000_000;
const SERVER_ISN: u32 = 2_000_000;
/// How far [`Kind::Far`] is ahead: less than the window, which is 65,535 times 2 to the 14.
const FAR: u32 = 1_000_000_000;
const _: () = assert!(FAR < 65535 << 14);
/// Bytes of data.
const PAYLOAD: u32 = 6;

pub(super) const SYN: u8 = 0x02;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
/// Window scaling by 14, the most there is (RFC 7323 §2.3), and a byte to fill up.
pub(super) const SCALING: [u8; 4] = [1, 3, 3, 14];

/// TCP's fields that depend on the kind.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    /// TCP's flags.
    pub(super) flags: u8,
    /// The sequence number in the first round.
    pub(super) seq: u32,
    /// What it grows by in each round.
    pub(super) seq_step: u32,
    /// The acknowledgement number in the first round.
    pub(super) ack: u32,
    /// What it grows by in each round.
    pub(super) ack_step: u32,
    /// Bytes of data.
    pub(super) payload: u32,
}

impl Segment {
    /// A segment of this kind; from the server, if it is a reply.
    pub(super) fn of(kind: Kind, reply: bool) -> Self {
        let (mine, other) = if reply {
            (SERVER_ISN, CLIENT_ISN)
        } else {
            (CLIENT_ISN, SERVER_ISN)
        };
        let plain = Self {
            flags: ACK,
            seq: mine + 1,
            seq_step: 0,
            ack: other + 1,
            ack_step: 0,
            payload: 0,
        };
        match kind {
            Kind::Udp | Kind::UdpMix | Kind::Ack => plain,
            Kind::Syn => Self {
                flags: SYN,
                seq: mine,
                ack: 0,
                ..plain
            },
            Kind::SynAck => Self {
                flags: SYN | ACK,
                seq: mine,
                ..plain
            },
            Kind::Far => Self {
                flags: PSH | ACK,
                seq: mine + 1 + FAR - PAYLOAD,
                payload: PAYLOAD,
                ..plain
            },
            Kind::Data => Self {
                flags: PSH | ACK,
                seq_step: PAYLOAD,
                payload: PAYLOAD,
                ..plain
            },
            Kind::Acks => Self {
                ack_step: 50,
                ..plain
            },
        }
    }
}
