//! TCP states, timeouts, and what it takes to be ASSURED, as a Linux 6.18 kernel has them.
//! Named `state_event_expectation`.

mod support;

use fw_common::tcp::flags;
use fw_common::timeout::Timeout;
use fw_common::{CtInfo, Reason};
use support::Host::{A, B};
use support::states::{after, established, expect, fin_wait, syn_recv, syn_sent, time_wait};
use support::{ISS_A, ISS_B, START, Talk, changes, segment};

// First segments.

#[test]
fn none_syn_opens() {
    let talk = syn_sent();
    expect(&talk, "SYN_SENT t=120 UNREPLIED");
    let leg = talk.lab.flow().legs[0];
    assert_eq!((leg.end, leg.maxend), (ISS_A + 1, ISS_A + 1));
    assert_eq!(leg.maxwin, 8192);
    assert_eq!(talk.lab.flow().start, START);
}

#[test]
fn none_syn_with_data_and_zero_window_counts_both() {
    let mut talk = Talk::new();
    talk.say_with(A, "S", |s| (s.payload, s.window) = (10, 0));
    let leg = talk.lab.flow().legs[0];
    assert_eq!(leg.end, ISS_A + 11);
    assert_eq!(leg.maxwin, 1);
}

#[test]
fn none_wrong_flags_are_invalid() {
    let mut talk = Talk::new();
    assert_eq!(talk.say(A, "SF"), CtInfo::Invalid);
    assert_eq!(talk.lab.reason(), Reason::BadTcpFlags);
    expect(&talk, "gone");
}

#[test]
fn none_other_segments_are_invalid() {
    for letters in ["SA", "FA", "RA", "R"] {
        let mut talk = Talk::new();
        assert_eq!(talk.say(A, letters), CtInfo::Invalid, "{letters}");
        assert_eq!(talk.lab.reason(), Reason::NotSyn);
        expect(&talk, "gone");
    }
}

#[test]
fn none_ack_picks_up_only_if_loose() {
    let mut talk = Talk::new();
    talk.lab.config.tcp_loose = 0;
    assert_eq!(talk.say(A, "A"), CtInfo::Invalid);
    assert_eq!(talk.lab.reason(), Reason::NotSyn);
    talk.lab.config.tcp_loose = 1;
    assert_eq!(talk.say(A, "A"), CtInfo::New);
    expect(&talk, "ESTABLISHED t=300 UNREPLIED");
    let legs = talk.lab.flow().legs;
    let liberal = flags::SACK_PERM | flags::BE_LIBERAL;
    assert_eq!((legs[0].flags, legs[1].flags), (liberal, liberal));
}

// Pick-up.

#[test]
fn pickup_becomes_assured_with_the_segment_after_the_reply() {
    let mut talk = after("A:A");
    assert_eq!(talk.say(A, "PA"), CtInfo::New);
    assert_eq!(talk.say(B, "A"), CtInfo::EstablishedReply);
    expect(&talk, "ESTABLISHED t=300");
    assert_eq!(talk.say(A, "A"), CtInfo::Established);
    expect(&talk, "ESTABLISHED t=432000 ASSURED");
}

#[test]
fn pickup_out_of_window_is_accepted_for_life() {
    let mut talk = after("A:A B:A A:A");
    for from in [A, B] {
        let info = talk.lab.tcp(from, segment("A", 0x7000_0000, 0x6000_0000));
        assert_ne!(info, CtInfo::Invalid);
    }
    expect(&talk, "ESTABLISHED t=432000 ASSURED");
}

#[test]
fn pickup_from_the_server_makes_it_the_originator() {
    let mut talk = after("B:A");
    assert_eq!(talk.say(A, "A"), CtInfo::EstablishedReply);
    assert_eq!(talk.lab.entry.expect("an entry").1, B);
}

// Handshake.

#[test]
fn syn_sent_handshake_leads_to_assured() {
    let mut talk = syn_sent();
    assert_eq!(talk.say(B, "SA"), CtInfo::EstablishedReply);
    expect(&talk, "SYN_RECV t=60");
    assert_eq!(changes(talk.lab.last.expect("outcome")), ["reply", "state"]);
    assert_eq!(talk.say(A, "A"), CtInfo::Established);
    expect(&talk, "ESTABLISHED t=432000 ASSURED");
    assert_eq!(
        changes(talk.lab.last.expect("outcome")),
        ["assured", "state"]
    );
    talk.say(B, "A");
    assert_eq!(changes(talk.lab.last.expect("outcome")), [""; 0]);
}

#[test]
fn syn_sent_syn_repeated_does_not_refresh() {
    let mut talk = syn_sent();
    talk.lab.wait(5);
    assert_eq!(talk.lab.tcp(A, segment("S", ISS_A, 0)), CtInfo::New);
    expect(&talk, "SYN_SENT t=115 UNREPLIED");
    assert_eq!(talk.lab.flow().legs[0].packets, 1);
}

#[test]
fn syn_sent_syn_with_another_number_is_the_one_that_counts() {
    let mut talk = syn_sent();
    talk.next[0] = ISS_A + 90_000;
    assert_eq!(talk.say(A, "S"), CtInfo::New);
    assert_eq!(talk.say(B, "SA"), CtInfo::EstablishedReply);
    assert_eq!(talk.say(A, "A"), CtInfo::Established);
    expect(&talk, "ESTABLISHED t=432000 ASSURED");
}

#[test]
fn syn_sent_syn_with_another_number_brings_its_own_options() {
    let mut talk = Talk::new();
    talk.say_with(A, "S", Talk::options(7));
    assert_eq!(talk.lab.flow().legs[0].scale, 7);
    talk.next[0] = ISS_A + 90_000;
    // Some other option: a SYN with none at all leaves the first one's.
    talk.say_with(A, "S", |segment| segment.cursor = 4);
    let leg = talk.lab.flow().legs[0];
    assert_eq!((leg.scale, leg.flags), (0, 0));
}

#[test]
fn syn_sent_ack_of_client_is_invalid_even_if_loose() {
    // One-way routing: the SYN/ACK went another way.
    let mut talk = syn_sent();
    assert_eq!(
        talk.lab.tcp(A, segment("A", ISS_A + 1, ISS_B + 1)),
        CtInfo::Invalid
    );
    assert_eq!(talk.lab.reason(), Reason::BadTcpState);
    talk.lab.wait(120);
    assert_eq!(
        talk.lab.tcp(A, segment("A", ISS_A + 1, ISS_B + 1)),
        CtInfo::New
    );
    expect(&talk, "ESTABLISHED t=300 UNREPLIED");
}

#[test]
fn syn_sent_simultaneous_open_establishes_with_either_ack() {
    let mut talk = after("A:S B:S");
    expect(&talk, "SYN_SENT2 t=120");
    talk.lab.tcp(A, segment("SA", ISS_A, ISS_B + 1));
    expect(&talk, "SYN_RECV t=60");
    assert_eq!(talk.say(B, "A"), CtInfo::EstablishedReply);
    expect(&talk, "ESTABLISHED t=432000 ASSURED");
}

#[test]
fn syn_recv_ack_of_server_waits_for_the_client() {
    let mut talk = syn_recv();
    talk.say(B, "A");
    expect(&talk, "SYN_RECV t=60");
}

#[test]
fn syn_recv_synack_repeated_by_server_does_not_refresh() {
    let mut talk = syn_recv();
    talk.lab.wait(7);
    let info = talk.lab.tcp(B, segment("SA", ISS_B, ISS_A + 1));
    assert_eq!(info, CtInfo::EstablishedReply);
    expect(&talk, "SYN_RECV t=53");
    assert_eq!(talk.lab.flow().legs[1].packets, 1);
}

#[test]
fn syn_recv_synack_of_client_refreshes() {
    let mut talk = syn_recv();
    talk.lab.wait(7);
    talk.lab.tcp(A, segment("SA", ISS_A, ISS_B + 1));
    expect(&talk, "SYN_RECV t=60");
}

#[test]
fn syn_recv_fin_never_becomes_assured() {
    let mut talk = syn_recv();
    talk.say(A, "FA");
    expect(&talk, "FIN_WAIT t=120");
    talk.script("B:A B:FA A:A");
    expect(&talk, "TIME_WAIT t=120");
}

// Established: which timeout.

#[test]
fn established_data_shortens_until_acknowledged() {
    let mut talk = established();
    talk.say_with(A, "PA", |s| s.payload = 100);
    expect(&talk, "ESTABLISHED t=300 ASSURED");
    // An acknowledgement of a part is not enough.
    let next = talk.next[1];
    talk.lab.tcp(B, segment("A", next, ISS_A + 51));
    expect(&talk, "ESTABLISHED t=300 ASSURED");
    talk.say(B, "A");
    expect(&talk, "ESTABLISHED t=432000 ASSURED");
}

#[test]
fn established_same_ack_four_times_shortens() {
    let mut talk = established();
    for _ in 0..2 {
        talk.say(A, "A");
        expect(&talk, "ESTABLISHED t=432000 ASSURED");
    }
    talk.say(A, "A");
    expect(&talk, "ESTABLISHED t=300 ASSURED");
    talk.say(B, "A");
    expect(&talk, "ESTABLISHED t=432000 ASSURED");
}

#[test]
fn established_repeat_counter_wraps_after_256() {
    let mut talk = established();
    for _ in 0..256 {
        talk.say(A, "A");
    }
    expect(&talk, "ESTABLISHED t=432000 ASSURED");
}

#[test]
fn established_no_repeats_allowed_shortens_always() {
    let mut talk = Talk::new();
    talk.lab.config.tcp_max_retrans = 0;
    talk.script("A:S B:SA A:A");
    expect(&talk, "ESTABLISHED t=300 ASSURED");
}

#[test]
fn established_closed_window_shortens() {
    let mut talk = established();
    talk.say_with(B, "A", |s| s.window = 0);
    expect(&talk, "ESTABLISHED t=300 ASSURED");
    talk.say(B, "A");
    expect(&talk, "ESTABLISHED t=432000 ASSURED");
}

#[test]
fn established_new_setting_counts_from_the_next_packet() {
    let mut talk = established();
    talk.lab.config.timeouts[Timeout::TcpEstablished as usize] = 77 * support::HZ;
    expect(&talk, "ESTABLISHED t=432000 ASSURED");
    talk.say(B, "A");
    expect(&talk, "ESTABLISHED t=77 ASSURED");
}

// Closing.

#[test]
fn established_fin_marks_the_side_that_began_to_close() {
    for (from, leg) in [(A, 0), (B, 1)] {
        let mut talk = established();
        talk.say(from, "FA");
        let legs = talk.lab.flow().legs;
        assert_ne!(legs[leg].flags & flags::CLOSE_INIT, 0);
        assert_eq!(legs[1 - leg].flags & flags::CLOSE_INIT, 0);
    }
}

#[test]
fn fin_wait_ack_of_the_same_side_leads_to_close_wait() {
    let mut talk = fin_wait();
    talk.say(A, "A");
    expect(&talk, "CLOSE_WAIT t=60 ASSURED");
}

#[test]
fn fin_wait_fin_repeated_leads_to_last_ack_and_time_wait() {
    let mut talk = fin_wait();
    talk.lab.tcp(A, segment("FA", ISS_A + 1, ISS_B + 1));
    expect(&talk, "LAST_ACK t=30 ASSURED");
    talk.say(B, "A");
    expect(&talk, "TIME_WAIT t=120 ASSURED");
}

#[test]
fn time_wait_ack_and_fin_refresh() {
    let mut talk = time_wait();
    talk.lab.wait(50);
    talk.say(A, "A");
    expect(&talk, "TIME_WAIT t=120 ASSURED");
    talk.lab.wait(50);
    let next = talk.next[1] - 1;
    talk.lab.tcp(B, segment("FA", next, ISS_A + 2));
    expect(&talk, "TIME_WAIT t=120 ASSURED");
}

#[test]
fn close_ack_refreshes() {
    let mut talk = fin_wait();
    talk.say(B, "RA");
    expect(&talk, "CLOSE t=10 ASSURED");
    talk.lab.wait(4);
    talk.say(A, "A");
    expect(&talk, "CLOSE t=10 ASSURED");
}

#[test]
fn any_state_expired_entry_is_gone() {
    let mut talk = fin_wait();
    talk.lab.wait(120);
    talk.next[0] = 5;
    assert_eq!(talk.say(A, "S"), CtInfo::New);
    expect(&talk, "SYN_SENT t=120 UNREPLIED");
}
