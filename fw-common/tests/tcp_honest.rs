//! What two honest ends say to each other is never INVALID, whatever the network loses.

mod support;

use fw_common::CtInfo;
use fw_common::tcp::{flags, header};
use fw_common::wire::TcpSegment;
use proptest::prelude::*;
use support::{Host, Lab};

/// An honest end of a connection (RFC 9293): sends what it was offered room for, acknowledges what it
/// has received in order, repeats what was lost.
#[derive(Clone, Copy, Debug)]
struct End {
    /// Oldest number not acknowledged, next to send.
    una: u32,
    next: u32,
    /// Where the peer's offer ends.
    limit: u32,
    /// Next number expected.
    expected: u32,
    /// Where the own offer ends, the room in the buffer, the shift of the own window.
    offered: u32,
    room: u32,
    scale: u8,
    fin_sent: bool,
}

fn least(a: u32, b: u32) -> u32 {
    a.min(b)
}

impl End {
    fn new(iss: u32, room: u32, scale: u8) -> Self {
        Self {
            una: iss,
            next: iss,
            limit: iss,
            expected: 0,
            offered: 0,
            room,
            scale,
            fin_sent: false,
        }
    }

    /// The window field: what the buffer has room for, and never less than was offered before.
    fn window(&mut self, scale: u8) -> u16 {
        let promised = self.offered.wrapping_sub(self.expected);
        let wanted = least(self.room, u32::from(u16::MAX) << scale).max(promised);
        // Rounded up, so that an offer is never taken back.
        let field = wanted.div_ceil(1 << scale).min(u32::from(u16::MAX)) as u16;
        self.offered = self.expected.wrapping_add(u32::from(field) << scale);
        field
    }

    fn segment(&mut self, letters: &str, seq: u32, payload: u16) -> TcpSegment {
        let scale = if letters.contains('S') { 0 } else { self.scale };
        let acks = letters.contains('A');
        TcpSegment {
            payload,
            window: self.window(scale),
            ..support::segment(letters, seq, if acks { self.expected } else { 0 })
        }
    }

    /// New data, as much as fits.
    fn data(&mut self, wanted: u16) -> TcpSegment {
        let free = self.limit.wrapping_sub(self.next).min(1 << 30);
        let length = least(u32::from(wanted), free) as u16;
        let seq = self.next;
        self.next = self.next.wrapping_add(u32::from(length));
        self.segment("PA", seq, length)
    }

    /// The oldest data again.
    fn again(&mut self, wanted: u16) -> TcpSegment {
        let (fin, flying) = (self.fin_sent, self.next.wrapping_sub(self.una));
        let length = least(u32::from(wanted), flying.saturating_sub(u32::from(fin))) as u16;
        let last = fin && u32::from(length) + 1 == flying;
        self.segment(if last { "FA" } else { "A" }, self.una, length)
    }

    fn receive(&mut self, segment: &TcpSegment, peer_scale: u8) {
        let syn = segment.flags & header::SYN != 0;
        let length = u32::from(segment.payload)
            + u32::from(syn)
            + u32::from(segment.flags & header::FIN != 0);
        if syn {
            self.expected = segment.seq;
        }
        // Only what continues what is there; the rest is thrown away and comes again.
        let end = segment.seq.wrapping_add(length);
        let starts_in_time = segment.seq.wrapping_sub(self.expected) as i32 <= 0;
        if starts_in_time && end.wrapping_sub(self.expected) as i32 > 0 {
            self.expected = end;
        }
        if segment.flags & header::ACK != 0 && segment.ack.wrapping_sub(self.una) as i32 >= 0 {
            self.una = segment.ack;
            let shift = if syn { 0 } else { peer_scale };
            let limit = segment.ack.wrapping_add(u32::from(segment.window) << shift);
            if limit.wrapping_sub(self.limit) as i32 > 0 {
                self.limit = limit;
            }
        }
    }
}

/// What one end does next, and what the network does to it.
#[derive(Clone, Copy, Debug)]
struct Move {
    from: usize,
    deed: Deed,
    size: u16,
    /// Lost before or behind the firewall.
    lost_before: bool,
    lost_behind: bool,
    /// Ticks until then; all moves together take less than any timeout.
    pause: u64,
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Data,
    Ack,
    Again,
    Fin,
}

fn moves() -> impl Strategy<Value = Move> {
    let deeds = prop_oneof![
        8 => Just(Deed::Data),
        5 => Just(Deed::Ack),
        3 => Just(Deed::Again),
        1 => Just(Deed::Fin),
    ];
    let lost = || prop::bool::weighted(0.1);
    (0..2usize, deeds, 0..9000u16, lost(), lost(), 0..100u64).prop_map(
        |(from, deed, size, lost_before, lost_behind, pause)| Move {
            from,
            deed,
            size,
            lost_before,
            lost_behind,
            pause,
        },
    )
}

const HOSTS: [Host; 2] = [Host::A, Host::B];

struct World {
    lab: Lab,
    ends: [End; 2],
    scales: [u8; 2],
}

impl World {
    /// A connection after its handshake.
    fn connected(iss: [u32; 2], rooms: [u32; 2], scales: Option<[u8; 2]>) -> Self {
        let used = scales.unwrap_or([0, 0]);
        let mut world = Self {
            lab: Lab::new(),
            ends: [0, 1].map(|i| End::new(iss[i], rooms[i], used[i])),
            scales: used,
        };
        for (from, letters) in [(0, "S"), (1, "SA"), (0, "A")] {
            let end = &mut world.ends[from];
            let mut segment = end.segment(letters, end.next, 0);
            if from == 0 && letters == "S" {
                end.limit = end.next.wrapping_add(1);
            }
            end.next = end
                .next
                .wrapping_add(u32::from(segment.flags & header::SYN != 0));
            if let Some(scales) = scales {
                segment.options = flags::WINDOW_SCALE;
                segment.wscale = scales[from];
            }
            assert_ne!(world.lab.tcp(HOSTS[from], segment), CtInfo::Invalid);
            let scale = world.scales[from];
            world.ends[1 - from].receive(&segment, scale);
        }
        world
    }

    /// The segment of a move, as it leaves its sender.
    fn segment(&mut self, next: Move) -> TcpSegment {
        let end = &mut self.ends[next.from];
        match next.deed {
            Deed::Data if !end.fin_sent => end.data(next.size),
            Deed::Fin if !end.fin_sent && end.limit != end.next => {
                end.fin_sent = true;
                let seq = end.next;
                end.next = seq.wrapping_add(1);
                end.segment("FA", seq, 0)
            }
            Deed::Again if end.next != end.una => end.again(next.size),
            _ => {
                let seq = end.next;
                end.segment("A", seq, 0)
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn honest_conversations_are_never_invalid(
        iss in any::<[u32; 2]>(),
        rooms in [1..400_000u32, 1..400_000u32],
        scales in prop::option::of([0..=14u8, 0..=14u8]),
        script in prop::collection::vec(moves(), 1..200),
    ) {
        let mut world = World::connected(iss, rooms, scales);
        for (i, next) in script.into_iter().enumerate() {
            let segment = world.segment(next);
            if next.lost_before {
                continue;
            }
            world.lab.now += next.pause;
            let info = world.lab.tcp(HOSTS[next.from], segment);
            prop_assert!(
                info != CtInfo::Invalid,
                "move {i}, {:?}: {segment:?} in {}", world.lab.reason(), world.lab.show()
            );
            if !next.lost_behind {
                let scale = world.scales[next.from];
                world.ends[1 - next.from].receive(&segment, scale);
            }
        }
    }
}
