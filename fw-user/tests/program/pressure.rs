//! Limits on new flows: a CPU's, and a source's.

use fw_common::abi::{Config, Counter};
use fw_common::{CtInfo, Reason};
use rustix::thread::{CpuSet, sched_setaffinity};
use xtask::lab::root_or_skip;

use crate::frames::{self, End, Segment, end};
use crate::harness::{Program, XDP_DROP, XDP_PASS};

/// A test run works on the CPU of its caller; this thread stays on one.
fn stay_on_one_cpu() {
    let cpu = rustix::thread::sched_getcpu();
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).expect("an affinity");
}

/// A UDP packet from the `n`th port of `from`.
fn query(from: &str, n: u16) -> Vec<u8> {
    let client = End {
        port: 1024 + n,
        ..end(from)
    };
    let server = if client.addr.is_ipv4() {
        "10.0.0.2:53"
    } else {
        "[2001:db8:2::2]:53"
    };
    frames::udp(client, end(server), b"query")
}

/// What becomes of the first `n` queries of `from`.
fn queries(program: &mut Program, from: &str, n: u16) -> Vec<Reason> {
    (0..n).map(|i| program.reason(&query(from, i)).0).collect()
}

const LAN: &str = "192.168.1.2:1";

#[test]
fn a_cpu_begins_so_many_flows_a_second_and_no_more() {
    if !root_or_skip() {
        return;
    }
    stay_on_one_cpu();
    let mut program = Program::load(|config| config.insert_rate = 10);
    let known = frames::udp(end("10.9.9.9:1"), end("10.0.0.2:53"), b"first");
    assert_eq!(program.run(&known), XDP_PASS);
    let ends = queries(&mut program, LAN, 20);
    assert_eq!(ends[..9], [Reason::Accepted; 9]);
    assert_eq!(ends[9..], [Reason::InsertLimit; 11]);
    assert_eq!(program.flows().len(), 10);
    // Refused is dropped, counted as the kernel counts a packet for whose flow there is no room; it was
    // NEW all the same.
    assert_eq!(program.counter(Counter::DROP), 11);
    assert_eq!(program.counter(Counter::INSERT_FAILED), 0);
    assert_eq!(program.counter(Counter::of_state(CtInfo::New)), 21);
    // Who has a flow is not concerned.
    assert_eq!(program.reason(&known), (Reason::Accepted, XDP_PASS));
    program.at(0.5);
    let later: Vec<_> = (20..30).map(|i| program.run(&query(LAN, i))).collect();
    assert_eq!(later[..5], [XDP_PASS; 5]);
    assert_eq!(later[5..], [XDP_DROP; 5]);
    // What the policy drops takes no token: INVALID never comes so far.
    program.at(10.0);
    let stray = frames::echo(end(LAN).addr, end("10.0.0.2:1").addr, false, 9);
    (0..20).for_each(|_| assert_eq!(program.reason(&stray).0, Reason::BadIcmpType));
    assert_eq!(
        queries(&mut program, "192.168.1.3:1", 10),
        [Reason::Accepted; 10]
    );
}

/// Two sources of which `tweak` limits each; the limit does not touch the other one.
fn limited(tweak: impl FnOnce(&mut Config), reason: Reason) {
    let mut program = Program::load(tweak);
    for (one, same, other) in [
        (LAN, LAN, "192.168.1.3:1"),
        // A host has as many addresses as it likes in its network of 64 bits.
        (
            "[2001:db8:1::2]:1",
            "[2001:db8:1::77]:1",
            "[2001:db8:1:1::2]:1",
        ),
    ] {
        program.clear();
        assert_eq!(queries(&mut program, one, 5), [Reason::Accepted; 5]);
        for i in 5..9 {
            assert_eq!(program.reason(&query(same, i)), (reason, XDP_DROP), "{one}");
        }
        assert_eq!(queries(&mut program, other, 5), [Reason::Accepted; 5]);
        assert_eq!(program.reason(&query(one, 2)), (Reason::Accepted, XDP_PASS));
        assert_eq!(program.flows().len(), 10);
    }
}

#[test]
fn a_source_has_so_many_flows_and_others_are_not_concerned() {
    if !root_or_skip() {
        return;
    }
    limited(|config| config.source_flows = 5, Reason::SourceFlows);
}

#[test]
fn a_source_has_so_many_half_open_flows_and_others_are_not_concerned() {
    if !root_or_skip() {
        return;
    }
    limited(|config| config.source_half_open = 5, Reason::SourceHalfOpen);
}

#[test]
fn an_answered_or_ended_flow_makes_room() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|config| {
        config.source_half_open = 2;
        config.source_flows = 4;
    });
    let (client, server) = (end(LAN), end("10.0.0.2:80"));
    let port = |port| End { port, ..client };
    let tcp = |from, to, flags: &str, seq, ack| {
        let segment = Segment {
            flags,
            seq,
            ack,
            window: 64240,
            payload: &[],
        };
        frames::tcp(from, to, &segment)
    };
    let syn = |n| tcp(port(n), server, "S", 99, 0);
    let mut ends = |frame: &[u8]| program.reason(frame).0;
    assert_eq!(ends(&syn(1)), Reason::Accepted);
    assert_eq!(ends(&syn(2)), Reason::Accepted);
    assert_eq!(ends(&syn(3)), Reason::SourceHalfOpen);
    // SYN/ACK proves nothing about the client; its ACK does.
    assert_eq!(
        ends(&tcp(server, port(1), "SA", 499, 100)),
        Reason::Accepted
    );
    assert_eq!(ends(&syn(3)), Reason::SourceHalfOpen);
    assert_eq!(ends(&tcp(port(1), server, "A", 100, 500)), Reason::Accepted);
    assert_eq!(ends(&syn(3)), Reason::Accepted);
    assert_eq!(ends(&syn(4)), Reason::SourceHalfOpen);
    // Refused by its server: removed.
    assert_eq!(ends(&tcp(server, port(2), "RA", 0, 100)), Reason::Accepted);
    assert_eq!(ends(&syn(4)), Reason::Accepted);
    // UDP needs an answer: three TCP flows, and this is the fourth.
    assert_eq!(ends(&tcp(server, port(3), "RA", 0, 100)), Reason::Accepted);
    assert_eq!(ends(&query(LAN, 1)), Reason::Accepted);
    assert_eq!(ends(&query(LAN, 2)), Reason::SourceHalfOpen);
    let answer = frames::udp(end("10.0.0.2:53"), port(1025), b"answer");
    assert_eq!(ends(&answer), Reason::Accepted);
    assert_eq!(ends(&query(LAN, 2)), Reason::Accepted);
    assert_eq!(ends(&query(LAN, 3)), Reason::SourceFlows);
    // What has expired goes when its next packet comes, and is counted anew: no more, no less.
    program.at(1000.0);
    assert_eq!(program.reason(&syn(4)).0, Reason::Accepted);
    assert_eq!(program.reason(&syn(5)).0, Reason::SourceFlows);
}

#[test]
fn what_the_host_itself_begins_is_not_limited() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|config| config.source_flows = 3);
    for n in 0..9 {
        program.run_out(&query(LAN, n));
    }
    assert_eq!(program.flows().len(), 9);
    assert_eq!(queries(&mut program, LAN, 3), [Reason::Accepted; 3]);
}
