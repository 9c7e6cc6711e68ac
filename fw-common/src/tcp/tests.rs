//! The flag table, the transition table and sequence arithmetic.

use super::window::{after, before};
use super::{Event, Next, State, header, transition, valid_flags};
use crate::ctinfo::Dir;

use header::{ACK, FIN, RST, SYN, URG};

/// The 9 of 32 combinations that the kernel accepts.
const SENSIBLE: [u8; 9] = [
    SYN,
    SYN | URG,
    SYN | ACK,
    RST,
    RST | ACK,
    FIN | ACK,
    FIN | ACK | URG,
    ACK,
    ACK | URG,
];

#[test]
fn every_flag_byte_is_judged() {
    for flags in 0..=u8::MAX {
        let judged = flags & (FIN | SYN | RST | ACK | URG);
        let sensible = SENSIBLE.contains(&judged);
        assert_eq!(valid_flags(flags), sensible, "{flags:#04x}");
    }
}

#[test]
fn every_flag_byte_has_its_class() {
    for flags in 0..=u8::MAX {
        let has = |bit: u8| flags & bit != 0;
        let expected = match (has(RST), has(SYN), has(FIN), has(ACK)) {
            (true, ..) => Event::Rst,
            (_, true, _, true) => Event::SynAck,
            (_, true, _, false) => Event::Syn,
            (_, _, true, _) => Event::Fin,
            (.., true) => Event::Ack,
            _ => Event::None,
        };
        assert_eq!(Event::of(flags), expected, "{flags:#04x}");
    }
}

/// The table as the specification prints it. Written by hand from there, not from the code.
const GOLDEN: &str = "\
Original Syn    SS SS IG IG IG IG IG SS SS S2
Original SynAck IV IV SR IV IV IV IV IV IV SR
Original Fin    IV IV FW FW LA LA LA TW CL IV
Original Ack    ES IV ES ES CW CW TW TW CL IV
Original Rst    IV CL CL CL CL CL CL CL CL CL
Original None   IV IV IV IV IV IV IV IV IV IV
Reply    Syn    IV S2 IV IV IV IV IV SS IV S2
Reply    SynAck IV SR IG IG IG IG IG IG IG SR
Reply    Fin    IV IV FW FW LA LA LA TW CL IV
Reply    Ack    IV IG SR ES CW CW TW TW CL IG
Reply    Rst    IV CL CL CL CL CL CL CL CL CL
Reply    None   IV IV IV IV IV IV IV IV IV IV
";

fn cell(next: Next) -> &'static str {
    match next {
        Next::Ignore => "IG",
        Next::Invalid => "IV",
        Next::To(state) => match state {
            State::None => "NO",
            State::SynSent => "SS",
            State::SynRecv => "SR",
            State::Established => "ES",
            State::FinWait => "FW",
            State::CloseWait => "CW",
            State::LastAck => "LA",
            State::TimeWait => "TW",
            State::Close => "CL",
            State::SynSent2 => "S2",
        },
    }
}

#[test]
fn table_is_the_specified_one() {
    let mut dump = String::new();
    for dir in [Dir::Original, Dir::Reply] {
        for event in Event::ALL {
            dump += &format!("{:8} {:6}", format!("{dir:?}"), format!("{event:?}"));
            for state in State::ALL {
                dump += " ";
                dump += cell(transition(dir, event, state));
            }
            dump += "\n";
        }
    }
    assert_eq!(dump, GOLDEN, "\n{dump}");
}

#[test]
fn numbers_name_states() {
    for (n, state) in State::ALL.into_iter().enumerate() {
        assert_eq!(state as usize, n);
        assert_eq!(State::from_u8(n as u8), Some(state));
        assert_eq!(State::of(n as u8), state);
    }
    assert_eq!(State::from_u8(10), None);
    for n in 10..16 {
        assert_eq!(State::of(n), State::None, "a number that no entry holds");
    }
}

#[test]
fn closing_states_are_those_after_a_fin_or_rst() {
    let closing: Vec<_> = State::ALL.into_iter().filter(|s| s.is_closing()).collect();
    assert_eq!(closing.len(), 5);
    assert!(!State::SynSent2.is_closing() && !State::Established.is_closing());
}

#[test]
fn every_state_has_its_timeout() {
    let seconds = State::ALL.map(|state| state.timeout().info().linux);
    assert_eq!(seconds, [10, 120, 60, 432_000, 120, 60, 30, 120, 10, 120]);
}

#[test]
fn sequence_numbers_compare_around_the_wrap() {
    assert!(before(u32::MAX, 0) && after(0, u32::MAX));
    assert!(before(5, 6) && !before(6, 6) && !after(6, 6));
    assert!(before(0, 0x7fff_ffff) && !before(0, 0x8000_0001));
}
