//! Floods against a table that is 40 % full of assured flows: none of these is lost.
//!
//! Small, so that they fit every run; `cargo xtask bench` does the same with millions.

use std::net::{IpAddr, Ipv4Addr};

use fw_common::CtInfo;
use fw_common::abi::Counter;
use xtask::lab::root_or_skip;

use crate::frames::{self, End, Segment, end};
use crate::harness::{Program, XDP_PASS};

/// High-water mark of the assured map.
const LIMIT: u32 = 1000;
/// Flows that must survive.
const FLOWS: u32 = LIMIT * 4 / 10;
/// Flows of each flood: several times what any map holds.
const CROWD: u32 = 20_000;

fn server() -> End {
    end("10.0.0.2:443")
}

/// The `n`th client of the network `net`.0.0.0/8.
fn client(net: u8, n: u32) -> End {
    let [_, a, b, c] = n.to_be_bytes();
    End {
        addr: IpAddr::V4(Ipv4Addr::new(net, a, b, c)),
        port: 40_000,
    }
}

fn segment(from: End, to: End, flags: &str, seq: u32, ack: u32) -> Vec<u8> {
    let segment = Segment {
        flags,
        seq,
        ack,
        window: 64240,
        payload: &[],
    };
    frames::tcp(from, to, &segment)
}

fn syn(client: End) -> Vec<u8> {
    segment(client, server(), "S", 99, 0)
}

fn syn_ack(client: End) -> Vec<u8> {
    segment(server(), client, "SA", 499, 100)
}

fn ack(client: End) -> Vec<u8> {
    segment(client, server(), "A", 100, 500)
}

/// A table that is 40 % full of connections.
fn loaded(evict: bool) -> Program {
    let mut program = Program::load(|config| {
        config.assured_limit = LIMIT.into();
        config.evict = evict.into();
    });
    for client in (0..FLOWS).map(|n| client(20, n)) {
        for frame in [syn(client), syn_ack(client), ack(client)] {
            assert_eq!(program.run(&frame), XDP_PASS);
        }
    }
    assert_eq!(program.assured_used(), u64::from(FLOWS));
    program
}

/// How many of the connections are gone: their entries, and the state of the next segment from the
/// server. (One of an unknown connection would be NEW: mid-stream pick-up.)
fn lost(program: &mut Program) -> usize {
    let there = program.flows();
    let there = there.iter().filter(|flow| flow.original.src[0] == 20);
    let entries = FLOWS as usize - there.count();
    let strangers = (0..FLOWS).filter(|n| {
        let keepalive = segment(server(), client(20, *n), "A", 500, 100);
        program.classify(&keepalive) != (Some(CtInfo::EstablishedReply), XDP_PASS)
    });
    assert_eq!(strangers.count(), entries);
    entries
}

fn survives(flood: impl Fn(&mut Program, u32)) -> Program {
    let mut program = loaded(false);
    for n in 0..CROWD {
        flood(&mut program, n);
    }
    assert_eq!(lost(&mut program), 0, "assured flows lost");
    program
}

#[test]
fn assured_flows_survive_unique_syns() {
    if !root_or_skip() {
        return;
    }
    let program = survives(|program, n| {
        program.run(&syn(client(30, n)));
    });
    assert_eq!(program.assured_used(), u64::from(FLOWS));
    let created = program.counter(Counter::CREATED);
    assert_eq!(created, u64::from(FLOWS + CROWD), "the flood got through");
}

#[test]
fn assured_flows_survive_answered_syns() {
    if !root_or_skip() {
        return;
    }
    survives(|program, n| {
        program.run(&syn(client(30, n)));
        program.run(&syn_ack(client(30, n)));
    });
}

#[test]
fn assured_flows_survive_a_crowd_that_completes_its_handshakes() {
    if !root_or_skip() {
        return;
    }
    let program = survives(|program, n| {
        for frame in [syn, syn_ack, ack] {
            program.run(&frame(client(30, n)));
        }
    });
    assert_eq!(program.assured_used(), u64::from(LIMIT));
    let refused = program.counter(Counter::PROMOTE_FAILED);
    assert_eq!(refused, u64::from(CROWD - (LIMIT - FLOWS)));
}

#[test]
fn assured_flows_survive_a_udp_spray() {
    if !root_or_skip() {
        return;
    }
    survives(|program, n| {
        program.run(&frames::udp(client(30, n), end("10.0.0.2:53"), b"spray"));
    });
}

#[test]
fn crowd_pushes_assured_flows_out_where_that_is_wanted() {
    if !root_or_skip() {
        return;
    }
    let mut program = loaded(true);
    for n in 0..CROWD {
        for frame in [syn, syn_ack, ack] {
            program.run(&frame(client(30, n)));
        }
    }
    assert_eq!(program.counter(Counter::PROMOTE_FAILED), 0);
    let newest = client(30, CROWD - 1).addr;
    let flows = program.flows();
    let newest = flows.iter().find(|flow| {
        IpAddr::from(<[u8; 4]>::try_from(&flow.original.src[..4]).expect("4")) == newest
    });
    assert!(newest.is_some_and(|flow| flow.assured_map));
    assert!(lost(&mut program) > 0, "the quietest gave way");
}
