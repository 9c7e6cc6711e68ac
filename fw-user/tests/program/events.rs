//! What listeners are told: every change once, refreshes never, nothing while nobody listens; and the
//! changes that user space makes through `fw_edit`.

use fw_common::abi::{Counter, Edit, Event, Key4, Key6, edited};
use fw_common::flow::{FlowKey as _, Tuple};
use fw_common::status;
use fw_common::tcp::State;
use fw_common::track::changed;
use fw_common::wire::{Family, proto};
use xtask::lab::root_or_skip;

use crate::frames::{self, End, Segment, end};
use crate::harness::{HZ, Program, Seen, XDP_PASS};

const CLIENT: &str = "192.168.1.2:40000";
const SERVER: &str = "10.0.0.2:53";
const CLIENT6: &str = "[2001:db8:1::2]:40000";
const SERVER6: &str = "[2001:db8:2::2]:53";

/// Kind, what changed, cause, and seconds left.
type Told = (u8, u8, u8, u64);

fn told(events: &[Event]) -> Vec<Told> {
    let left = |e: &Event| e.flow.deadline.saturating_sub(e.now) / u64::from(HZ);
    events
        .iter()
        .map(|e| (e.kind, e.changed, e.cause, left(e)))
        .collect()
}

const fn packet(kind: u8, changed: u8, left: u64) -> Told {
    (kind, changed, Event::PACKET, left)
}

/// A connection between two ends, by hand.
struct Talk {
    client: End,
    server: End,
}

impl Talk {
    fn send(&self, program: &mut Program, from_client: bool, flags: &str, seq: u32, ack: u32) {
        let segment = Segment {
            flags,
            seq,
            ack,
            window: 8192,
            payload: &[],
        };
        let (src, dst) = if from_client {
            (self.client, self.server)
        } else {
            (self.server, self.client)
        };
        assert_eq!(program.run(&frames::tcp(src, dst, &segment)), XDP_PASS);
    }
}

#[test]
fn nothing_is_reported_while_nobody_listens() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let query = frames::udp(end(CLIENT), end(SERVER), b"?");
    let answer = frames::udp(end(SERVER), end(CLIENT), b"!");
    for frame in [&query, &answer, &query] {
        program.run(frame);
    }
    assert_eq!(program.events(), []);
    assert_eq!(program.counter(Counter::EVENTS), 0);

    // A daemon that was killed does not renew its order: it ends by itself.
    program.listen(50.0);
    program.at(40.0);
    program.run(&query);
    assert_eq!(
        program.events().len(),
        2,
        "the old one expired, a new began"
    );
    program.at(50.0);
    program.run(&answer);
    assert_eq!(program.events(), []);
    assert_eq!(program.counter(Counter::EVENTS), 2);
    assert_eq!(program.counter(Counter::EVENTS_LOST), 0);
}

#[test]
fn udp_flow_is_told_as_the_kernel_tells_it() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    for (client, server) in [(CLIENT, SERVER), (CLIENT6, SERVER6)] {
        program.clear();
        program.listen(1000.0);
        let query = frames::udp(end(client), end(server), b"query");
        let answer = frames::udp(end(server), end(client), b"answer");
        for (at, frame) in [(0.0, &query), (0.1, &query), (1.0, &answer), (1.1, &answer)] {
            program.at(at);
            program.run(frame);
        }
        for at in [2.5, 3.0] {
            program.at(at);
            program.run(&query);
        }
        let events = program.events();
        assert_eq!(
            told(&events),
            [
                packet(Event::NEW, 0, 30),
                packet(Event::UPDATE, changed::REPLY, 30),
                packet(Event::UPDATE, changed::ASSURED, 120),
            ]
        );
        let flow = program.flows()[0].flow;
        let last = events[2];
        assert_eq!(last.flow.id, flow.id);
        assert_eq!(last.flow.lock, 0, "no lock of the programs");
        assert_eq!(last.flow.legs[0].packets, 3);
        assert_eq!(
            key_of(&last),
            (Family::of(&last), tuple(client, server, proto::UDP))
        );

        program.at(200.0);
        program.run(&query);
        let after = program.events();
        assert_eq!(
            told(&after),
            [
                (Event::DESTROY, 0, Event::EXPIRY, 0),
                packet(Event::NEW, 0, 30)
            ]
        );
        assert_eq!(after[0].flow.id, flow.id);
        assert_eq!(after[0].flow.legs[0].packets, 4, "as it was last");
        assert_ne!(after[1].flow.id, flow.id);
    }
}

#[test]
fn tcp_connection_is_told_by_its_states() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    program.listen(1000.0);
    let talk = Talk {
        client: end("192.168.1.2:40000"),
        server: end("10.0.0.2:80"),
    };
    let script = [
        (true, "S", 100, 0),
        (false, "SA", 500, 101),
        (true, "A", 101, 501),
        (false, "A", 501, 101),
        (true, "FA", 101, 501),
        (false, "FA", 501, 102),
        (true, "A", 102, 502),
        // Reopened: the old one ends, another begins.
        (true, "S", 9000, 0),
        // Refused: it ends at once.
        (false, "RA", 0, 9001),
    ];
    for (from_client, flags, seq, ack) in script {
        talk.send(&mut program, from_client, flags, seq, ack);
    }
    let events = program.events();
    let states: Vec<_> = events
        .iter()
        .map(|e| (e.kind, e.flow.proto.state))
        .collect();
    let state = |kind, state: State| (kind, state as u8);
    assert_eq!(
        states,
        [
            state(Event::NEW, State::SynSent),
            state(Event::UPDATE, State::SynRecv),
            state(Event::UPDATE, State::Established),
            state(Event::UPDATE, State::FinWait),
            state(Event::UPDATE, State::LastAck),
            state(Event::UPDATE, State::TimeWait),
            state(Event::DESTROY, State::TimeWait),
            state(Event::NEW, State::SynSent),
            state(Event::DESTROY, State::Close),
        ]
    );
    assert_eq!(events[1].changed, changed::REPLY | changed::STATE);
    assert_eq!(events[2].changed, changed::ASSURED | changed::STATE);
    assert_eq!(events[8].flow.legs[1].packets, 1, "the RST is counted");
}

#[test]
fn what_does_not_fit_is_counted_and_the_packet_passes() {
    if !root_or_skip() {
        return;
    }
    const FLOWS: u64 = 20_000;
    let mut program = Program::load(|_| {});
    program.listen(1000.0);
    for i in 0..FLOWS {
        let client = End {
            port: 1024 + i as u16,
            ..end(CLIENT)
        };
        assert_eq!(
            program.run(&frames::udp(client, end(SERVER), b"?")),
            XDP_PASS
        );
    }
    let kept = program.counter(Counter::EVENTS);
    let lost = program.counter(Counter::EVENTS_LOST);
    assert!(kept > 10_000 && lost > 1000, "{kept} kept, {lost} lost");
    assert_eq!(kept + lost, FLOWS);
    assert_eq!(program.events().len() as u64, kept);
}

fn tuple(src: &str, dst: &str, proto: u8) -> Tuple {
    let (src, dst) = (end(src), end(dst));
    let wide = |end: &End| match end.addr {
        std::net::IpAddr::V6(v6) => v6.octets(),
        std::net::IpAddr::V4(v4) => {
            let mut wide = [0; 16];
            wide[..4].copy_from_slice(&v4.octets());
            wide
        }
    };
    Tuple {
        src: wide(&src),
        dst: wide(&dst),
        sport: src.port,
        dport: dst.port,
        proto,
        request: false,
    }
}

/// Family and original tuple of an event's flow.
fn key_of(event: &Event) -> (Family, Tuple) {
    let from_hi = event.flow.origin != 0;
    match Family::of(event) {
        Family::V4 => (Family::V4, event.key.narrow().tuple(from_hi)),
        Family::V6 => (Family::V6, event.key.tuple(from_hi)),
    }
}

/// The family that a record names.
trait Of {
    fn of(event: &Event) -> Self;
}

impl Of for Family {
    fn of(event: &Event) -> Self {
        if event.family == Self::V4 as u8 {
            Self::V4
        } else {
            assert_eq!(event.family, Self::V6 as u8);
            Self::V6
        }
    }
}

/// A request about `seen`, of either family.
fn about(seen: &Seen, op: u32) -> Edit {
    let v6 = seen.original.src[4..] != [0; 12];
    let (key, family) = if v6 {
        (Key6::canonical(&seen.original, 0).0, Family::V6)
    } else {
        (Key4::canonical(&seen.original, 0).0.wide(), Family::V4)
    };
    let mut comm = [0; 16];
    comm[..4].copy_from_slice(b"test");
    Edit {
        key,
        family: family as u32,
        id: seen.flow.id,
        op,
        pid: 4711,
        comm,
        ..Edit::default()
    }
}

#[test]
fn flows_are_changed_in_place() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    program.run(&frames::udp(end(CLIENT), end(SERVER), b"?"));
    program.run(&frames::udp(end(CLIENT6), end(SERVER6), b"?"));
    for seen in program.flows() {
        let edit = Edit {
            mark: 0x15,
            mark_mask: 0xff,
            timeout: 300 * u64::from(HZ),
            status: status::FIXED_TIMEOUT,
            ..about(&seen, Edit::SET_MARK | Edit::SET_TIMEOUT | Edit::SET_STATUS)
        };
        assert_eq!(program.edit(&edit), edited::DONE);
        // XOR under the mask of none: 0x15 ^ 0x01.
        let again = Edit {
            mark: 1,
            ..about(&seen, Edit::SET_MARK)
        };
        program.listen(1000.0);
        assert_eq!(program.edit(&again), edited::DONE);
        program.listen(0.0);
        let [event] = program.events()[..] else {
            panic!("one event")
        };
        assert_eq!(
            (event.kind, event.cause, event.changed, event.flow.mark),
            (Event::UPDATE, Event::USER, changed::ALL, 0x14)
        );
        assert_eq!((event.pid, &event.comm[..5]), (4711, &b"test\0"[..]));
    }
    for flow in program.flows() {
        assert_eq!((flow.flow.mark, flow.timeout), (0x14, 300));
        assert_eq!(flow.flow.lock, 0);
    }
    // FIXED_TIMEOUT: no refresh.
    program.at(10.0);
    program.run(&frames::udp(end(CLIENT), end(SERVER), b"?"));
    assert!(program.flows().iter().all(|flow| flow.timeout == 290));
}

#[test]
fn removal_ends_a_flow_once_and_only_the_one_that_is_meant() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    for (client, server) in [(CLIENT, SERVER), (CLIENT6, SERVER6)] {
        program.clear();
        let query = frames::udp(end(client), end(server), b"?");
        let answer = frames::udp(end(server), end(client), b"!");
        program.run(&query);
        program.run(&answer);
        program.at(3.0);
        program.run(&query);
        let seen = program.flows()[0].clone();
        assert!(seen.assured_map);
        let v4 = end(client).addr.is_ipv4();
        assert_eq!(program.assured_used(), u64::from(v4));

        program.listen(1000.0);
        let other = Edit {
            id: seen.flow.id.wrapping_add(1),
            ..about(&seen, Edit::REMOVE)
        };
        assert_eq!(program.edit(&other), edited::ABSENT, "another flow's id");
        assert_eq!(program.flows().len(), 1);
        assert_eq!(program.flows()[0].flow.lock, 0, "given back");
        assert_eq!(program.edit(&about(&seen, Edit::REMOVE)), edited::DONE);
        assert_eq!(program.edit(&about(&seen, Edit::REMOVE)), edited::ABSENT);
        assert_eq!(program.everything().len(), 0);
        assert_eq!(program.assured_used(), 0, "occupancy follows");
        assert_eq!(
            told(&program.events()),
            [(Event::DESTROY, 0, Event::USER, 120)]
        );

        // Its next packet begins a new one.
        program.run(&query);
        assert_eq!(told(&program.events()), [packet(Event::NEW, 0, 30)]);
        program.listen(0.0);
    }
}

#[test]
fn nonsense_is_refused() {
    if !root_or_skip() {
        return;
    }
    let program = Program::load(|_| {});
    let edit = Edit {
        family: 7,
        op: Edit::REMOVE,
        ..Edit::default()
    };
    assert_eq!(program.edit(&edit), edited::BAD);
    assert_eq!(
        program.edit(&Edit {
            family: Family::V6 as u32,
            ..edit
        }),
        edited::ABSENT
    );
}
