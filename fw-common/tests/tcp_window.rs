//! Window tracking, as a Linux 6.18 kernel has it. Named `state_event_expectation`.

mod support;

use fw_common::tcp::flags;
use fw_common::timeout::Timeout;
use fw_common::{CtInfo, Reason};
use support::Host::{A, B};
use support::states::{A1, B1, established, expect, invalid, syn_recv};
use support::{Talk, segment};

// The four rules.

#[test]
fn rule_1_holds_to_the_last_byte() {
    let mut talk = established();
    let mut last = segment("A", A1 + 8192, B1);
    assert_eq!(talk.lab.tcp(A, last), CtInfo::Established);
    last.seq += 1;
    last.payload = 9000;
    invalid(&mut talk, A, last, Reason::SeqOverWindow);
}

#[test]
fn rule_1_small_excess_is_ignored_but_its_ack_is_not_invalid() {
    let mut talk = established();
    talk.lab.wait(3);
    let mut much = segment("A", A1 + 8193, B1);
    much.payload = 100;
    assert_eq!(talk.lab.tcp(A, much), CtInfo::Established);
    expect(&talk, "ESTABLISHED t=431997 ASSURED");
    let answer = segment("A", B1, A1 + 8293);
    assert_eq!(talk.lab.tcp(B, answer), CtInfo::EstablishedReply);
    expect(&talk, "ESTABLISHED t=432000 ASSURED");
}

#[test]
fn rule_2_old_data_is_ignored() {
    let mut talk = established();
    talk.lab.wait(3);
    let inside = segment("A", A1.wrapping_sub(8192), B1);
    let below = segment("A", A1.wrapping_sub(8193), B1);
    assert_eq!(talk.lab.tcp(A, below), CtInfo::Established);
    expect(&talk, "ESTABLISHED t=431997 ASSURED");
    assert_eq!(talk.lab.flow().legs[0].packets, 2);
    talk.lab.tcp(A, inside);
    expect(&talk, "ESTABLISHED t=432000 ASSURED");
}

#[test]
fn rule_3_ack_of_what_was_not_sent_is_invalid() {
    let mut talk = established();
    invalid(
        &mut talk,
        A,
        segment("A", A1, B1 + 1),
        Reason::AckOverWindow,
    );
    let mut sacked = segment("A", A1, B1);
    sacked.sack = B1 + 1;
    // Without SACK permitted nobody looks at it.
    assert_eq!(talk.lab.tcp(A, sacked), CtInfo::Established);
}

#[test]
fn rule_3_sack_counts_if_permitted() {
    let mut talk = Talk::new();
    talk.say_with(A, "S", Talk::options(0));
    talk.say_with(B, "SA", Talk::options(0));
    talk.say(A, "A");
    let mut sacked = segment("A", A1, B1);
    sacked.sack = B1 + 1;
    invalid(&mut talk, A, sacked, Reason::AckOverWindow);
}

#[test]
fn rule_4_late_ack_is_ignored() {
    let mut talk = established();
    for _ in 0..20 {
        talk.say_with(B, "PA", |s| s.payload = 4000);
        talk.say(A, "A");
    }
    talk.lab.wait(3);
    let expected = talk.next[1];
    let late = |by: u32| segment("A", A1, expected - by);
    assert_eq!(talk.lab.tcp(A, late(66_001)), CtInfo::Established);
    expect(&talk, "ESTABLISHED t=431997 ASSURED");
    talk.lab.tcp(A, late(66_000));
    expect(&talk, "ESTABLISHED t=432000 ASSURED");
}

#[test]
fn be_liberal_accepts_what_is_outside() {
    let mut talk = established();
    talk.lab.config.tcp_be_liberal = 1;
    let before = talk.lab.flow().legs;
    let far = segment("FA", A1 + 90_000, B1 + 90_000);
    assert_eq!(talk.lab.tcp(A, far), CtInfo::Established);
    expect(&talk, "FIN_WAIT t=120 ASSURED");
    let after = talk.lab.flow().legs;
    assert_eq!((after[0].end, after[1].end), (before[0].end, before[1].end));
}

#[test]
fn established_doubted_ends_of_both_sides_shorten() {
    let mut talk = established();
    talk.lab.wait(1);
    let (fin_a, fin_b) = (
        segment("FA", A1 + 90_000, B1),
        segment("FA", B1 + 90_000, A1),
    );
    invalid(&mut talk, A, fin_a, Reason::SeqOverWindow);
    invalid(&mut talk, A, fin_a, Reason::SeqOverWindow);
    assert_eq!(talk.lab.tcp(B, fin_b), CtInfo::Invalid);
    expect(&talk, "ESTABLISHED t=300 ASSURED");
    talk.lab.wait(1);
    assert_eq!(talk.lab.tcp(B, fin_b), CtInfo::Invalid);
    expect(&talk, "ESTABLISHED t=299 ASSURED");
}

#[test]
fn established_doubted_rst_below_the_acknowledged_does_not_shorten() {
    let mut talk = established();
    invalid(
        &mut talk,
        A,
        segment("FA", A1 + 90_000, B1),
        Reason::SeqOverWindow,
    );
    invalid(&mut talk, B, segment("R", B1 - 1, 0), Reason::BadRst);
}

#[test]
fn established_doubted_ends_shorten_only_a_long_life() {
    for (left, expected) in [(119, 119), (121, 20)] {
        let mut talk = established();
        talk.lab.config.timeouts[Timeout::TcpUnacknowledged as usize] = 20 * support::HZ;
        talk.lab.wait(432_000 - left);
        talk.lab.tcp(A, segment("FA", A1 + 90_000, B1));
        talk.lab.tcp(B, segment("FA", B1 + 90_000, A1));
        assert_eq!(talk.lab.seconds(), expected);
    }
}

#[test]
fn unassured_doubted_ends_change_nothing() {
    let mut talk = syn_recv();
    invalid(
        &mut talk,
        A,
        segment("FA", A1 + 90_000, B1),
        Reason::SeqOverWindow,
    );
    invalid(
        &mut talk,
        B,
        segment("FA", B1 + 90_000, A1),
        Reason::SeqOverWindow,
    );
}

// Window scale, zero windows, keepalives.

#[test]
fn window_scale_counts_if_both_offer_it() {
    let mut talk = Talk::new();
    talk.say_with(A, "S", Talk::options(7));
    talk.say_with(B, "SA", Talk::options(3));
    talk.say(A, "A");
    let legs = talk.lab.flow().legs;
    assert_eq!((legs[0].scale, legs[1].scale), (7, 3));
    // The SYN/ACK's own window was not scaled; A's ACK is.
    assert_eq!(legs[0].maxwin, 8192 << 7);
    assert_eq!(legs[1].maxend, B1 + (8192 << 7));
}

#[test]
fn window_scale_of_one_side_counts_for_none() {
    let mut talk = Talk::new();
    talk.say_with(A, "S", Talk::options(7));
    talk.say(B, "SA");
    talk.say(A, "A");
    let legs = talk.lab.flow().legs;
    assert_eq!((legs[0].scale, legs[1].scale), (0, 0));
    assert_eq!(legs[0].maxwin, 8192);
}

#[test]
fn window_scale_beyond_14_is_14() {
    let mut talk = Talk::new();
    talk.say_with(A, "S", Talk::options(200));
    assert_eq!(talk.lab.flow().legs[0].scale, 14);
}

#[test]
fn closed_window_lets_the_probe_pass() {
    let mut talk = established();
    talk.say_with(B, "A", |s| s.window = 0);
    let maxend = talk.lab.flow().legs[0].maxend;
    // An earlier offer stays good: the window never shrinks.
    assert_eq!(maxend, A1 + 8192);
    talk.say_with(A, "PA", |s| s.payload = 8192);
    talk.say_with(B, "A", |s| s.window = 0);
    assert_eq!(talk.lab.flow().legs[0].maxend, A1 + 8193);
    assert_eq!(
        talk.say_with(A, "A", |s| s.payload = 1),
        CtInfo::Established
    );
}

#[test]
fn pickup_keepalive_and_its_answer_are_in_the_window() {
    let mut talk = Talk::new();
    talk.lab.tcp(A, segment("A", A1 - 1, B1));
    talk.lab.tcp(B, segment("A", B1, A1));
    let legs = talk.lab.flow().legs;
    assert_eq!((legs[0].end, legs[1].end), (A1, B1));
    assert_eq!(legs[0].flags & flags::DATA_UNACKNOWLEDGED, 0);
}

#[test]
fn sequence_numbers_wrap() {
    let mut talk = Talk::new();
    talk.next = [u32::MAX - 50, u32::MAX];
    talk.script("A:S B:SA A:A");
    for _ in 0..30 {
        assert_eq!(
            talk.say_with(A, "PA", |s| s.payload = 8000),
            CtInfo::Established
        );
        assert_eq!(talk.say(B, "A"), CtInfo::EstablishedReply);
    }
    expect(&talk, "ESTABLISHED t=432000 ASSURED");
    assert!(talk.next[0] < 300_000);
}

#[test]
fn any_state_wrong_flags_change_nothing() {
    let mut talk = established();
    talk.lab.wait(3);
    invalid(&mut talk, A, segment("SFA", A1, B1), Reason::BadTcpFlags);
    invalid(&mut talk, A, segment("", A1, B1), Reason::BadTcpFlags);
}

#[test]
fn options_outlive_a_second_syn_only_if_it_has_none() {
    for (cursor, left) in [(0, flags::WINDOW_SCALE | flags::SACK_PERM), (4, 0)] {
        let mut talk = Talk::new();
        talk.say_with(A, "S", Talk::options(7));
        talk.say_with(A, "S", |segment| segment.cursor = cursor);
        let leg = talk.lab.flow().legs[0];
        assert_eq!(
            leg.flags & (flags::WINDOW_SCALE | flags::SACK_PERM),
            left,
            "{cursor}"
        );
        assert_eq!(leg.scale, if left == 0 { 0 } else { 7 });
    }
}
