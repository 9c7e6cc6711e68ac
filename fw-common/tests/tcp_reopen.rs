//! TCP connections that are reopened, and segments that pass without being believed, as a Linux 6.18
//! kernel has them. Named `state_event_expectation`.

mod support;

use fw_common::CtInfo;
use fw_common::tcp::{State, flags};
use support::Host::{A, B};
use support::states::{after, established, expect, fin_wait, last_ack, syn_sent, time_wait};
use support::{ISS_A, ISS_B, Talk, changes, segment};

// Reopening.

#[test]
fn time_wait_syn_reopens_in_either_direction() {
    for from in [A, B] {
        let mut talk = time_wait();
        assert_eq!(talk.say(from, "S"), CtInfo::New);
        expect(&talk, "SYN_SENT t=120 UNREPLIED");
        assert_eq!(talk.lab.entry.expect("an entry").1, from);
    }
}

#[test]
fn time_wait_syn_with_an_old_number_reopens() {
    let mut talk = time_wait();
    assert_eq!(talk.lab.tcp(A, segment("S", ISS_A - 500, 0)), CtInfo::New);
}

#[test]
fn close_after_fin_syn_reopens() {
    let mut talk = fin_wait();
    talk.say(B, "RA");
    assert_eq!(talk.say(A, "S"), CtInfo::New);
    expect(&talk, "SYN_SENT t=120 UNREPLIED");
}

#[test]
fn close_by_own_rst_syn_reopens() {
    let mut talk = established();
    talk.say(A, "RA");
    expect(&talk, "CLOSE t=10 ASSURED");
    assert_eq!(talk.say(A, "S"), CtInfo::New);
}

#[test]
fn close_by_servers_rst_syn_is_ignored_until_answered() {
    let mut talk = established();
    talk.say(B, "RA");
    talk.lab.wait(4);
    talk.next[0] = ISS_A + 700_000;
    assert_eq!(talk.say(A, "S"), CtInfo::Established);
    expect(&talk, "CLOSE t=6 ASSURED");
    talk.say(B, "SA");
    expect(&talk, "SYN_RECV t=60 ASSURED");
}

#[test]
fn close_syn_of_the_reply_side_is_invalid() {
    let mut talk = fin_wait();
    talk.say(B, "RA");
    assert_eq!(talk.say(B, "S"), CtInfo::Invalid);
}

// Ignored segments, and what they lead to.

#[test]
fn every_state_answered_syn_resynchronises() {
    let scripts = [
        "A:S B:SA",
        "A:S B:SA A:A",
        "A:S B:SA A:A A:FA",
        "A:S B:SA A:A A:FA B:A",
        "A:S B:SA A:A A:FA B:A B:FA",
        "A:S B:SA A:A B:RA",
    ];
    for script in scripts {
        let mut talk = after(script);
        talk.next = [ISS_A + 5_000_000, ISS_B + 9_000_000];
        assert_eq!(talk.say(A, "S"), CtInfo::Established, "{script}");
        assert_eq!(talk.say(B, "SA"), CtInfo::EstablishedReply, "{script}");
        assert_eq!(talk.lab.state(), State::SynRecv, "{script}");
        assert_eq!(talk.lab.seconds(), 60, "{script}");
        assert_eq!(talk.say(A, "A"), CtInfo::Established, "{script}");
        expect(&talk, "ESTABLISHED t=432000 ASSURED");
    }
}

#[test]
fn established_syn_is_ignored() {
    let mut talk = established();
    talk.lab.wait(10);
    talk.next[0] = ISS_A + 5_000_000;
    assert_eq!(talk.say(A, "S"), CtInfo::Established);
    expect(&talk, "ESTABLISHED t=431990 ASSURED");
}

#[test]
fn established_synack_to_another_syn_changes_nothing() {
    let mut talk = established();
    talk.next = [ISS_A + 5_000_000, ISS_B + 9_000_000];
    talk.say(A, "S");
    talk.say_with(B, "SA", |s| s.ack += 1);
    expect(&talk, "ESTABLISHED t=432000 ASSURED");
}

#[test]
fn established_resync_takes_the_options_of_the_ignored_syn() {
    let mut talk = established();
    talk.next = [ISS_A + 5_000_000, ISS_B + 9_000_000];
    talk.say_with(A, "S", Talk::options(7));
    talk.say_with(B, "SA", Talk::options(3));
    let legs = talk.lab.flow().legs;
    assert_eq!((legs[0].scale, legs[1].scale), (7, 3));
    let both = flags::WINDOW_SCALE | flags::SACK_PERM;
    assert_eq!((legs[0].flags & both, legs[1].flags & both), (both, both));
}

#[test]
fn pickup_resync_leaves_the_answering_side_unchecked() {
    let mut talk = after("A:A B:A A:A");
    talk.next = [ISS_A + 5_000_000, ISS_B + 9_000_000];
    talk.script("A:S B:SA");
    let legs = talk.lab.flow().legs;
    assert_eq!(legs[0].flags & flags::BE_LIBERAL, 0);
    assert_ne!(legs[1].flags & flags::BE_LIBERAL, 0);
}

#[test]
fn last_ack_challenge_to_an_ignored_syn_does_not_end_it() {
    let mut talk = last_ack();
    let ack = segment("A", talk.next[1], talk.next[0]);
    assert_eq!(
        talk.lab.tcp(A, segment("S", ISS_A + 5_000_000, 0)),
        CtInfo::Established
    );
    assert_eq!(talk.lab.tcp(B, ack), CtInfo::EstablishedReply);
    expect(&talk, "LAST_ACK t=30 ASSURED");
    talk.lab.tcp(B, ack);
    expect(&talk, "TIME_WAIT t=120 ASSURED");
}

#[test]
fn syn_sent_challenge_ack_is_a_reply() {
    let mut talk = syn_sent();
    let challenge = segment("A", ISS_B + 777, ISS_A + 4000);
    assert_eq!(talk.lab.tcp(B, challenge), CtInfo::EstablishedReply);
    expect(&talk, "SYN_SENT t=120");
    assert_eq!(changes(talk.lab.last.expect("outcome")), ["reply"]);
    // The client resets what the server believes to be open, with the number the server expects.
    let reset = segment("R", ISS_A + 4000, 0);
    assert_eq!(talk.lab.tcp(A, reset), CtInfo::Established);
    expect(&talk, "CLOSE t=10");
}

#[test]
fn syn_sent_rst_beside_the_challenge_is_invalid() {
    let mut talk = syn_sent();
    talk.lab.tcp(B, segment("A", ISS_B + 777, ISS_A + 400_000));
    let reset = segment("R", ISS_A + 400_001, 0);
    assert_eq!(talk.lab.tcp(A, reset), CtInfo::Invalid);
    expect(&talk, "SYN_SENT t=120");
}

#[test]
fn own_reset_closes_at_once() {
    let mut talk = established();
    let (config, now) = (talk.lab.config, talk.lab.now);
    if let Some((flow, _)) = &mut talk.lab.entry {
        assert!(fw_common::tcp::close(flow, &config, now));
    }
    expect(&talk, "CLOSE t=10 ASSURED");
}
