//! TCP: conversations that mostly make sense, with numbers on and beside every bound.

use fw_common::tcp::header::{ACK, FIN, PSH, RST, SYN, URG};

use crate::rng::Rng;
use crate::script::{Body, Packet, Tcp, Who};

/// Both ends of a connection, and what they would do next.
pub(super) struct Talk {
    client: u16,
    /// Next sequence number of A and of B.
    next: [u32; 2],
    /// What each offers as its window.
    window: [u16; 2],
    /// Progress of a conversation that goes well.
    progress: usize,
    last: Option<Packet>,
}

/// Sender and flags of a connection's life when all goes well; random steps come between.
const LIFE: [(Who, u8); 11] = [
    (Who::A, SYN),
    (Who::B, SYN | ACK),
    (Who::A, ACK),
    (Who::A, PSH | ACK),
    (Who::B, ACK),
    (Who::B, PSH | ACK),
    (Who::A, ACK),
    (Who::A, FIN | ACK),
    (Who::B, ACK),
    (Who::B, FIN | ACK),
    (Who::A, ACK),
];

/// Flags of a random segment, the usual ones more often.
const FLAGS: [u8; 16] = [
    SYN,
    SYN,
    SYN | ACK,
    SYN | ACK,
    ACK,
    ACK,
    ACK,
    PSH | ACK,
    FIN | ACK,
    FIN | ACK,
    RST,
    RST,
    RST | ACK,
    URG | ACK,
    FIN,
    0,
];

/// How far a number is from the expected one.
const DISTANCES: [u32; 18] = [
    0,
    0,
    0,
    0,
    0,
    1,
    u32::MAX,
    100,
    100u32.wrapping_neg(),
    8192,
    8193,
    8192u32.wrapping_neg(),
    65535,
    66000u32.wrapping_neg(),
    66001u32.wrapping_neg(),
    1 << 20,
    1 << 31,
    (1u32 << 20).wrapping_neg(),
];

impl Talk {
    pub(super) fn new(rng: &mut Rng) -> Self {
        // Also near the wrap of sequence numbers.
        let starts = [1000, 500_000, u32::MAX - 200, 0, 0x7fff_ff00];
        Self {
            client: rng.pick(&[40000, 40001]),
            next: [rng.pick(&starts), rng.pick(&starts)],
            window: [rng.pick(&[8192, 65535, 100]), rng.pick(&[8192, 65535, 1])],
            // Some begin in mid-stream.
            progress: if rng.chance(15) { 2 } else { 0 },
            last: None,
        }
    }

    pub(super) fn packet(&mut self, rng: &mut Rng) -> Packet {
        if let Some(last) = self.last.clone()
            && rng.chance(10)
        {
            return last;
        }
        let packet = match LIFE.get(self.progress).copied() {
            Some((src, flags)) if rng.chance(60) => {
                self.progress += 1;
                self.segment(rng, src, flags, false)
            }
            _ => {
                let (src, flags) = (rng.pick(&[Who::A, Who::B]), rng.pick(&FLAGS));
                // Any combination at all, now and then.
                let flags = if rng.chance(3) {
                    rng.next() as u8
                } else {
                    flags
                };
                let stray = rng.chance(60);
                self.segment(rng, src, flags, stray)
            }
        };
        self.last = Some(packet.clone());
        packet
    }

    fn segment(&mut self, rng: &mut Rng, src: Who, flags: u8, stray: bool) -> Packet {
        let (own, peer) = (src.side(), 1 - src.side());
        let mut off = || if stray { rng.pick(&DISTANCES) } else { 0 };
        let (seq_off, ack_off) = (off(), off());
        let data = flags & (SYN | RST) == 0 && (flags & PSH != 0 || rng.chance(15));
        let payload = if data { rng.pick(&[1, 100, 1000]) } else { 0 };
        let seq = self.next[own].wrapping_add(seq_off);
        let ack = match flags & ACK {
            // A number without the flag means nothing, and may be there.
            0 if rng.chance(70) => 0,
            _ if rng.chance(3) => 0,
            _ => self.next[peer].wrapping_add(ack_off),
        };
        let window = if rng.chance(10) {
            rng.pick(&[0, 1, 65535])
        } else {
            self.window[own]
        };
        let client = self.client;
        let ports = if src == Who::A {
            [client, 80]
        } else {
            [80, client]
        };
        let length = u32::from(payload) + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        let near = seq_off < 1 << 16;
        if near && flags & RST == 0 {
            self.next[own] = seq.wrapping_add(length);
        }
        let options = self.options(rng, flags, ack);
        Packet::new(
            src,
            Body::Tcp(Tcp {
                ports,
                flags,
                seq,
                ack,
                window,
                payload,
                options,
            }),
        )
    }

    fn options(&self, rng: &mut Rng, flags: u8, ack: u32) -> Vec<u8> {
        const MSS: [u8; 4] = [2, 4, 5, 180];
        const TIMESTAMPS: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
        if rng.chance(2) {
            return rng.pick(&[
                vec![8, 0],
                vec![3, 1, 7],
                vec![5, 40, 1],
                vec![0, 3, 3, 9],
                vec![30],
            ]);
        }
        if flags & SYN != 0 {
            let scale = rng.pick(&[0, 2, 7, 14, 15]);
            let all = [&MSS[..], &[4, 2], &TIMESTAMPS[..10], &[1, 3, 3, scale]].concat();
            let choices = [
                vec![],
                MSS.to_vec(),
                vec![1, 3, 3, scale],
                vec![4, 2],
                all.clone(),
                all,
            ];
            return rng.pick(&choices);
        }
        if rng.chance(10) {
            let right = ack.wrapping_add(rng.pick(&[1, 100, 1000, u32::MAX]));
            let left = right.wrapping_sub(50);
            let block = [
                &[1, 1, 5, 10][..],
                &left.to_be_bytes(),
                &right.to_be_bytes(),
            ]
            .concat();
            return if rng.chance(30) {
                [&TIMESTAMPS[..], &block].concat()
            } else {
                block
            };
        }
        if rng.chance(20) {
            TIMESTAMPS.to_vec()
        } else {
            vec![]
        }
    }
}
