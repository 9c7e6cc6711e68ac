//! TC ingress does to a packet what XDP does.

use fw_common::Reason;
use xtask::lab::root_or_skip;

use crate::frames::{self, end};
use crate::harness::{Program, XDP_DROP, XDP_PASS};
use crate::segments::segment;

/// A conversation in which everything happens that has a reason of its own.
fn frames() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (client, server) in [
        ("192.168.1.2:40000", "10.0.0.2:53"),
        ("[2001:db8:1::2]:40000", "[2001:db8:2::2]:53"),
    ] {
        let (client, server) = (end(client), end(server));
        all.extend([
            frames::udp(client, server, b"query"),
            frames::udp(server, client, b"answer"),
            frames::echo(client.addr, server.addr, true, 7),
            frames::echo(server.addr, client.addr, false, 7),
            frames::echo(server.addr, client.addr, false, 8),
            frames::tcp(client, server, &segment("S", 100, 0)),
            frames::tcp(server, client, &segment("SA", 500, 101)),
            frames::tcp(client, server, &segment("A", 101, 501)),
            frames::tcp(client, server, &segment("A", 0x7000_0000, 501)),
            frames::tcp(client, server, &segment("FA", 101, 501)),
            frames::tcp(server, client, &segment("RA", 501, 102)),
            // Both ends the same.
            frames::udp(client, client, b"land"),
        ]);
        let other = frames::End { port: 4, ..client };
        let mut broken = frames::udp(other, server, b"broken");
        *broken.last_mut().expect("bytes") ^= 1;
        all.push(broken);
        let mut foreign = frames::udp(client, server, b"foreign");
        foreign[5] ^= 0x10;
        all.push(foreign);
        let mut short = frames::udp(client, server, b"short");
        short.truncate(short.len() - 4);
        all.push(short);
        let mut tagged = frames::udp(client, server, b"tagged");
        tagged.splice(12..12, [0x81, 0, 0, 42]);
        all.push(tagged);
        let mut arp = frames::udp(client, server, b"no IP");
        arp[12..14].copy_from_slice(&[8, 6]);
        all.push(arp);
    }
    all
}

#[test]
fn what_comes_in_ends_alike_at_both_hooks() {
    if !root_or_skip() {
        return;
    }
    let ends = [false, true].map(|at_tc| {
        let mut program = Program::load_at(at_tc, |config| config.drop_invalid = 1);
        let ends: Vec<_> = frames().iter().map(|frame| program.reason(frame)).collect();
        let mut flows: Vec<_> = program
            .flows()
            .into_iter()
            .map(|seen| {
                let legs = seen
                    .flow
                    .legs
                    .map(|leg| (leg.packets, leg.bytes, leg.ifindex));
                let original = format!("{:?}", seen.original);
                (
                    original,
                    seen.timeout,
                    seen.assured_map,
                    seen.flow.status,
                    legs,
                )
            })
            .collect();
        flows.sort();
        (ends, flows)
    });
    let [(xdp, _), _] = &ends;
    for expected in [
        (Reason::Accepted, XDP_PASS),
        (Reason::NotIp, XDP_PASS),
        (Reason::OtherHost, XDP_DROP),
        (Reason::BadTransportChecksum, XDP_DROP),
        (Reason::SourceIsDestination, XDP_DROP),
    ] {
        assert!(xdp.contains(&expected), "{expected:?} in {xdp:?}");
    }
    assert_eq!(ends[0], ends[1]);
}
