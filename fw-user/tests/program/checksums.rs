//! Transport checksums: what begins or ends a flow must have the right one.

use fw_common::CtInfo;
use fw_common::abi::{IfaceConfig, IfaceFlags};
use xtask::lab::root_or_skip;

use crate::frames::{self, Segment, end};
use crate::harness::Program;

const CLIENT: &str = "192.168.1.2:40000";
const SERVER: &str = "10.0.0.2:53";

#[test]
fn wrong_checksum_begins_and_ends_no_flow() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let (client, server) = (end(CLIENT), end("10.0.0.2:22"));
    let segment = |flags, seq, ack| Segment {
        flags,
        seq,
        ack,
        window: 64240,
        payload: &[],
    };
    let mut damaged = frames::udp(client, server, b"query");
    damaged[40] ^= 1;
    assert_eq!(program.classify(&damaged).0, Some(CtInfo::Invalid));
    assert!(program.flows().is_empty());

    program.run(&frames::tcp(client, server, &segment("S", 100, 0)));
    let mut reset = frames::tcp(server, client, &segment("RA", 0, 101));
    reset[50] ^= 1;
    assert_eq!(program.classify(&reset).0, Some(CtInfo::Invalid));
    assert_eq!(program.flows().len(), 1, "the forged RST ends nothing");
}

#[test]
fn unfinished_checksum_is_right_only_where_the_peer_is_local() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let mut frame = frames::udp(end(CLIENT), end(SERVER), b"query");
    // What Linux leaves to the NIC: the sum of the pseudo-header.
    let pseudo = [&frame[26..34], &[0, 17], &frame[38..40]].concat();
    let words = pseudo
        .chunks(2)
        .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
    let sum: u32 = words.sum();
    let folded = ((sum & 0xffff) + (sum >> 16)) as u16;
    frame[40..42].copy_from_slice(&folded.to_be_bytes());
    assert_eq!(program.classify(&frame).0, Some(CtInfo::Invalid));
    let flags = IfaceFlags::CHECK_MAC | IfaceFlags::LOCAL_PEER;
    program.set_iface(IfaceConfig {
        flags,
        mac: frames::ROUTER,
        ..IfaceConfig::default()
    });
    assert_eq!(program.classify(&frame).0, Some(CtInfo::New));
}
