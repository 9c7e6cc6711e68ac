//! SCTP: the transition table, and conversations.

mod support;

use fw_common::abi::{Config, Flow};
use fw_common::sctp::{Event, State, begin, step, transition};
use fw_common::timeout::Timeout;
use fw_common::track::{self, Step};
use fw_common::wire::{Family, SctpPacket, proto, sctp_flags};
use fw_common::{Dir, Reason, status};

/// The table as the specification prints it. Written by hand from there, not from the code.
const GOLDEN: &str = "\
Original Init             CL CL CW CE ES CL CL SA CW
Original InitAck          CL CL CW CE ES SS SR SA CL
Original Abort            CL CL CL CL CL CL CL CL CL
Original Shutdown         CL CL CW CE SS SS SR SA CL
Original ShutdownAck      SA CL CW CE ES SA SA SA SA
Original Error            CL CL CW CE ES SS SR SA CL
Original CookieEcho       CL CL CE CE ES SS SR SA CL
Original CookieAck        CL CL CW ES ES SS SR SA CL
Original ShutdownComplete CL CL CW CE ES SS SR CL CL
Original Heartbeat        HS CL CW CE ES SS SR SA HS
Original HeartbeatAck     CL CL CW CE ES SS SR SA HS
Reply    Init             IV CL CW CE ES SS SR SA IV
Reply    InitAck          IV CW CW CE ES SS SR SA IV
Reply    Abort            IV CL CL CL CL CL CL CL IV
Reply    Shutdown         IV CL CW CE SR SS SR SA IV
Reply    ShutdownAck      IV CL CW CE ES SA SA SA IV
Reply    Error            IV CL CW CL ES SS SR SA IV
Reply    CookieEcho       IV CL CE CE ES SS SR SA IV
Reply    CookieAck        IV CL CW ES ES SS SR SA IV
Reply    ShutdownComplete IV CL CW CE ES SS SR CL IV
Reply    Heartbeat        IV CL CW CE ES SS SR SA HS
Reply    HeartbeatAck     IV CL CW CE ES SS SR SA ES
";

const fn cell(next: Option<State>) -> &'static str {
    match next {
        None => "IV",
        Some(State::None) => "NO",
        Some(State::Closed) => "CL",
        Some(State::CookieWait) => "CW",
        Some(State::CookieEchoed) => "CE",
        Some(State::Established) => "ES",
        Some(State::ShutdownSent) => "SS",
        Some(State::ShutdownRecd) => "SR",
        Some(State::ShutdownAckSent) => "SA",
        Some(State::HeartbeatSent) => "HS",
    }
}

#[test]
fn table_is_the_specification() {
    let mut printed = String::new();
    for dir in [Dir::Original, Dir::Reply] {
        for event in &Event::ALL[1..12] {
            let cells = State::ALL.map(|state| cell(transition(dir, state, *event)));
            let (dir, event) = (format!("{dir:?}"), format!("{event:?}"));
            printed += &format!("{dir:<8} {event:<16} {}\n", cells.join(" "));
        }
    }
    assert_eq!(printed, GOLDEN);
}

#[test]
fn reflected_tags_change_no_state_of_their_own() {
    for dir in [Dir::Original, Dir::Reply] {
        for state in State::ALL {
            let of = |event| transition(dir, state, event);
            assert_eq!(of(Event::ReflectedAbort), of(Event::Abort));
            assert_eq!(of(Event::ReflectedComplete), of(Event::ShutdownComplete));
            assert_eq!(of(Event::None), Some(state));
        }
    }
}

/// An association and its two ends' tags.
struct Talk {
    flow: Flow,
    config: Config,
}

const TAG_A: u32 = 0xaaaa;
const TAG_B: u32 = 0xbbbb;

/// A packet with these chunks that asks for `init_tag`.
fn packet(tag: u32, init_tag: u32, events: &[Event]) -> SctpPacket {
    use Event::{
        Abort, CookieAck, CookieEcho, Heartbeat, HeartbeatAck, Init, ReflectedAbort,
        ReflectedComplete, ShutdownAck, ShutdownComplete,
    };
    let mut packet = SctpPacket {
        tag,
        init_tag,
        count: events.len() as u8,
        ..SctpPacket::default()
    };
    for (i, event) in events.iter().enumerate() {
        packet.events |= (*event as u32) << (4 * i);
        packet.flags |= match event {
            Event::None => sctp_flags::NEUTRAL | sctp_flags::DATA,
            CookieAck => sctp_flags::ANSWER,
            Abort | ReflectedAbort | ShutdownComplete | ReflectedComplete => {
                sctp_flags::ANSWER | sctp_flags::OWN_TAG_RULE
            }
            Init | CookieEcho | ShutdownAck | Heartbeat | HeartbeatAck => sctp_flags::OWN_TAG_RULE,
            _ => 0,
        };
    }
    if events == [Event::None] {
        packet.events = 0;
    }
    packet
}

impl Talk {
    /// A's first packet.
    fn open(first: &SctpPacket) -> Result<Self, Reason> {
        // Every timeout is another, so that they are told apart.
        let mut config = support::defaults();
        for (i, ticks) in config.timeouts.iter_mut().enumerate() {
            *ticks = 1000 + i as u64;
        }
        let mut flow = Flow::default();
        begin(&mut flow, first)?;
        match step(&mut flow, Dir::Original, first, &config, true) {
            Step::Invalid { reason, .. } => Err(reason),
            _ => Ok(Self { flow, config }),
        }
    }

    fn established() -> Self {
        let mut talk = Self::open(&packet(0, TAG_A, &[Event::Init])).expect("INIT");
        talk.send(Dir::Reply, &packet(TAG_A, TAG_B, &[Event::InitAck]));
        talk.send(Dir::Original, &packet(TAG_B, 0, &[Event::CookieEcho]));
        talk.send(Dir::Reply, &packet(TAG_A, 0, &[Event::CookieAck]));
        assert_eq!(talk.state(), "ESTABLISHED");
        talk
    }

    fn send(&mut self, dir: Dir, packet: &SctpPacket) -> Step {
        step(&mut self.flow, dir, packet, &self.config, false)
    }

    fn state(&self) -> &'static str {
        State::from_u8(self.flow.proto.state).map_or("?", State::name)
    }

    fn accepts(&mut self, dir: Dir, packet: &SctpPacket, timeout: Timeout) {
        let accepted = Step::Accept {
            timeout: self.config.timeout(timeout),
            assured: false,
        };
        assert_eq!(self.send(dir, packet), accepted, "{packet:?}");
        // What the sweep that shrinks timeouts takes for it.
        let told = track::lifetime(&self.flow, Family::V4, proto::SCTP, &self.config);
        assert_eq!(told, self.config.timeout(timeout), "{packet:?}");
    }
}

#[test]
fn handshake_and_shutdown() {
    let mut talk = Talk::open(&packet(0, TAG_A, &[Event::Init])).expect("INIT");
    assert_eq!(talk.state(), "CLOSED");
    for (dir, tag, event, timeout, state) in [
        (
            Dir::Reply,
            TAG_A,
            Event::InitAck,
            Timeout::SctpCookieWait,
            "COOKIE_WAIT",
        ),
        (
            Dir::Original,
            TAG_B,
            Event::CookieEcho,
            Timeout::SctpCookieEchoed,
            "COOKIE_ECHOED",
        ),
        (
            Dir::Reply,
            TAG_A,
            Event::CookieAck,
            Timeout::SctpEstablished,
            "ESTABLISHED",
        ),
        (
            Dir::Original,
            TAG_B,
            Event::None,
            Timeout::SctpEstablished,
            "ESTABLISHED",
        ),
        (
            Dir::Original,
            TAG_B,
            Event::Shutdown,
            Timeout::SctpShutdownSent,
            "SHUTDOWN_SENT",
        ),
        (
            Dir::Reply,
            TAG_A,
            Event::ShutdownAck,
            Timeout::SctpShutdownAckSent,
            "SHUTDOWN_ACK_SENT",
        ),
        (
            Dir::Original,
            TAG_B,
            Event::ShutdownComplete,
            Timeout::SctpClosed,
            "CLOSED",
        ),
    ] {
        talk.accepts(dir, &packet(tag, TAG_B, &[event]), timeout);
        assert_eq!(talk.state(), state);
        let assured = talk.flow.status & status::ASSURED != 0;
        assert_eq!(assured, !state.starts_with("COOKIE"), "{state}");
    }
}

#[test]
fn what_may_begin() {
    for (event, tag, state) in [
        (Event::Init, 0, "CLOSED"),
        (Event::Heartbeat, 5, "HEARTBEAT_SENT"),
        (Event::ShutdownAck, 5, "SHUTDOWN_ACK_SENT"),
        (Event::CookieEcho, 0, "CLOSED"),
    ] {
        let talk = Talk::open(&packet(tag, TAG_A, &[event])).expect("begins");
        assert_eq!(talk.state(), state, "{event:?}");
    }
    for (events, tag, reason) in [
        (&[Event::Init][..], 5, Reason::BadSctpTag),
        (&[Event::None], 5, Reason::BadSctpState),
        (&[Event::Heartbeat, Event::None], 5, Reason::BadSctpState),
        (&[Event::Abort], 5, Reason::BadSctpState),
        (&[Event::CookieAck], 5, Reason::BadSctpState),
        (&[Event::ReflectedComplete], 5, Reason::BadSctpState),
        (&[Event::Shutdown], 5, Reason::BadSctpTag),
    ] {
        let refused = Talk::open(&packet(tag, TAG_A, events)).err();
        assert_eq!(refused, Some(reason), "{events:?}");
    }
}

#[test]
fn a_guessed_tag_changes_nothing() {
    for (event, right) in [
        (Event::Abort, TAG_B),
        (Event::ReflectedAbort, TAG_A),
        (Event::ReflectedComplete, TAG_A),
        (Event::Shutdown, TAG_B),
        (Event::CookieEcho, TAG_B),
        (Event::None, TAG_B),
    ] {
        for tag in [0, 1, TAG_A, TAG_B] {
            let mut talk = Talk::established();
            let step = talk.send(Dir::Original, &packet(tag, 0, &[event]));
            let fits = !matches!(step, Step::Invalid { .. });
            assert_eq!(fits, tag == right, "{event:?} {tag:#x}");
            assert!(fits || talk.state() == "ESTABLISHED", "{event:?}");
        }
    }
}

#[test]
fn repeated_init_does_not_keep_alive() {
    let mut talk = Talk::open(&packet(0, TAG_A, &[Event::Init])).expect("INIT");
    let again = packet(0, TAG_A + 1, &[Event::Init]);
    assert_eq!(talk.send(Dir::Original, &again), Step::Ignore);
    // The answer is to the last.
    talk.accepts(
        Dir::Reply,
        &packet(TAG_A + 1, TAG_B, &[Event::InitAck]),
        Timeout::SctpCookieWait,
    );
}

#[test]
fn path_failover_learns_new_tags() {
    let mut talk = Talk::established();
    let strange = packet(0x1111, 0, &[Event::Heartbeat]);
    let answer = packet(0x2222, 0, &[Event::HeartbeatAck]);
    assert!(matches!(
        talk.send(Dir::Reply, &answer),
        Step::Invalid { .. }
    ));
    assert_eq!(talk.send(Dir::Original, &strange), Step::Ignore);
    assert!(matches!(
        talk.send(Dir::Original, &answer),
        Step::Invalid { .. }
    ));
    talk.accepts(Dir::Reply, &answer, Timeout::SctpEstablished);
    // The other side's is learnt from its next.
    talk.accepts(Dir::Original, &strange, Timeout::SctpEstablished);
    let old = packet(TAG_B, 0, &[Event::None]);
    assert!(matches!(
        talk.send(Dir::Original, &old),
        Step::Invalid { .. }
    ));
}

#[test]
fn chunks_before_a_wrong_one_count() {
    let mut talk = Talk::established();
    let mixed = packet(TAG_B, 0, &[Event::Shutdown, Event::ReflectedAbort]);
    assert!(matches!(
        talk.send(Dir::Original, &mixed),
        Step::Invalid { .. }
    ));
    assert_eq!(talk.state(), "SHUTDOWN_SENT");
}
