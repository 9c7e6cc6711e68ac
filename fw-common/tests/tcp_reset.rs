//! RSTs of TCP connections, as a Linux 6.18 kernel has them. Named `state_event_expectation`.

mod support;

use fw_common::tcp::State;
use fw_common::{CtInfo, Reason};
use support::Host::{A, B};
use support::states::{A1, B1, established, expect, invalid, syn_recv, syn_sent};
use support::{ISS_A, segment};

#[test]
fn syn_sent_rst_of_server_removes() {
    let mut talk = syn_sent();
    assert_eq!(
        talk.lab.tcp(B, segment("RA", 0, A1)),
        CtInfo::EstablishedReply
    );
    expect(&talk, "gone");
}

#[test]
fn syn_sent_rst_of_server_with_wrong_ack_is_invalid() {
    let mut talk = syn_sent();
    invalid(
        &mut talk,
        B,
        segment("RA", 0, A1 + 2),
        Reason::AckOverWindow,
    );
}

#[test]
fn syn_sent_rst_of_client_removes() {
    let mut talk = syn_sent();
    assert_eq!(talk.lab.tcp(A, segment("R", A1, 0)), CtInfo::New);
    expect(&talk, "gone");
}

#[test]
fn syn_sent_rst_ack_of_client_needs_ack_zero() {
    let mut talk = syn_sent();
    invalid(&mut talk, A, segment("RA", A1, 77), Reason::AckOverWindow);
    assert_eq!(talk.lab.tcp(A, segment("RA", A1, 0)), CtInfo::New);
    expect(&talk, "gone");
}

#[test]
fn closing_states_any_rst_closes() {
    for script in ["A:FA", "A:FA B:A", "A:FA B:A B:FA", "A:FA B:A B:FA A:A"] {
        let mut talk = established();
        talk.script(script);
        assert_eq!(
            talk.lab.tcp(B, segment("R", 0x7777_7777, 0)),
            CtInfo::EstablishedReply
        );
        expect(&talk, "CLOSE t=10 ASSURED");
    }
}

#[test]
fn established_rst_below_the_acknowledged_is_invalid() {
    let mut talk = established();
    invalid(&mut talk, B, segment("R", B1 - 1, 0), Reason::BadRst);
    talk.lab.config.tcp_be_liberal = 1;
    invalid(&mut talk, B, segment("R", B1 - 1, 0), Reason::BadRst);
}

#[test]
fn established_rst_below_the_acknowledged_if_ignored_waits_for_the_receiver() {
    let mut talk = established();
    talk.lab.config.tcp_ignore_invalid_rst = 1;
    assert_eq!(
        talk.lab.tcp(B, segment("R", B1 - 1, 0)),
        CtInfo::EstablishedReply
    );
    expect(&talk, "ESTABLISHED t=10 ASSURED");
}

#[test]
fn established_rst_exact_closes() {
    let mut talk = established();
    talk.lab.tcp(B, segment("R", B1, 0));
    expect(&talk, "CLOSE t=10 ASSURED");
}

#[test]
fn established_rst_in_window_waits_for_the_receiver() {
    let mut talk = established();
    assert_eq!(
        talk.lab.tcp(B, segment("R", B1 + 5, 0)),
        CtInfo::EstablishedReply
    );
    expect(&talk, "ESTABLISHED t=10 ASSURED");
    // The receiver's challenge ACK, and the sender's life goes on.
    talk.lab.tcp(A, segment("A", A1, B1));
    assert_eq!(talk.lab.state(), State::Established);
    assert!(talk.lab.seconds() >= 300);
}

#[test]
fn established_rst_behind_own_data_closes() {
    let mut talk = established();
    talk.say_with(B, "PA", |s| s.payload = 100);
    talk.say(B, "RA");
    expect(&talk, "CLOSE t=10 ASSURED");
}

#[test]
fn established_rst_beyond_the_window_is_ignored_or_invalid() {
    let mut talk = established();
    talk.lab.wait(3);
    talk.lab.tcp(B, segment("R", B1 + 8193, 0));
    expect(&talk, "ESTABLISHED t=431997 ASSURED");
    invalid(
        &mut talk,
        B,
        segment("R", B1 + 90_000, 0),
        Reason::SeqOverWindow,
    );
}

#[test]
fn established_rst_zero_is_below_the_acknowledged() {
    let mut talk = established();
    invalid(&mut talk, B, segment("R", 0, 0), Reason::BadRst);
}

#[test]
fn established_rst_to_an_ignored_syn_closes() {
    let mut talk = established();
    talk.lab.tcp(A, segment("S", ISS_A + 9_000_000, 0));
    let reset = segment("RA", 0, ISS_A + 9_000_001);
    assert_eq!(talk.lab.tcp(B, reset), CtInfo::EstablishedReply);
    expect(&talk, "CLOSE t=10 ASSURED");
}

#[test]
fn established_rst_to_ones_own_ignored_syn_is_checked() {
    let mut talk = established();
    talk.lab.tcp(A, segment("S", ISS_A + 9_000_000, 0));
    let reset = segment("RA", ISS_A + 20_000_000, ISS_A + 9_000_001);
    invalid(&mut talk, A, reset, Reason::SeqOverWindow);
}

#[test]
fn syn_recv_rst_with_zero_is_judged_by_the_window() {
    // Not settled yet, so it may answer a SYN that was let through: not below what A acknowledged,
    // but below B's window, and so ignored.
    let mut talk = syn_recv();
    talk.lab.tcp(A, segment("SA", ISS_A, B1));
    talk.lab.wait(3);
    let info = talk.lab.tcp(B, segment("R", 0, 0));
    assert_eq!(info, CtInfo::EstablishedReply);
    expect(&talk, "SYN_RECV t=57");
}
