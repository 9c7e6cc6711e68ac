//! Frames that do not fit into one page: XDP sees only their first part directly.

use fw_common::CtInfo;
use xtask::lab::root_or_skip;

use crate::frames::{self, Segment, end};
use crate::harness::{Program, XDP_PASS};

/// Payload of a jumbo frame (MTU 9000).
const JUMBO: usize = 8900;

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + 3) as u8).collect()
}

#[test]
fn checksum_of_a_frame_in_several_pages_is_verified() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    for [client, server] in [
        ["192.168.1.2:40000", "10.0.0.2:2049"],
        ["[2001:db8:1::2]:40000", "[2001:db8:2::2]:2049"],
    ] {
        for len in [3400, 3500, 4096, 5001, 8191, JUMBO] {
            program.clear();
            let good = frames::udp(end(client), end(server), &payload(len));
            let mut damaged = good.clone();
            let middle = damaged.len() - len / 3;
            damaged[middle] ^= 1;
            let (state, _) = program.classify(&damaged);
            assert_eq!(state, Some(CtInfo::Invalid), "{len} damaged");
            assert!(program.flows().is_empty());
            assert_eq!(
                program.classify(&good),
                (Some(CtInfo::New), XDP_PASS),
                "{len}"
            );
        }
    }
}

#[test]
fn fin_with_a_page_of_data_ends_the_connection() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let (client, server) = (end("192.168.1.2:40000"), end("10.0.0.2:2049"));
    let data = payload(JUMBO);
    let segment = |flags, seq, ack, payload| Segment {
        flags,
        seq,
        ack,
        window: 64240,
        payload,
    };
    program.run(&frames::tcp(client, server, &segment("S", 99, 0, &[])));
    program.run(&frames::tcp(server, client, &segment("SA", 499, 100, &[])));
    program.run(&frames::tcp(client, server, &segment("A", 100, 500, &[])));
    let last = frames::tcp(server, client, &segment("FA", 500, 100, &data));
    assert_eq!(program.classify(&last).0, Some(CtInfo::EstablishedReply));
    assert_eq!(program.flows()[0].timeout, 120, "FIN_WAIT");
}
