//! Every way through the loaded program but TCP's states: what passes, what drops and why, what
//! becomes of a flow's entry.

use std::net::IpAddr;

use fw_common::abi::{Counter, IfaceConfig, IfaceFlags};
use fw_common::wire::proto;
use fw_common::{CtInfo, Reason, status};
use xtask::lab::root_or_skip;

use crate::frames::{self, End, Segment, end};
use crate::harness::{Program, XDP_DROP, XDP_PASS};

const CLIENT: &str = "192.168.1.2:40000";
const SERVER: &str = "10.0.0.2:53";
const CLIENT6: &str = "[2001:db8:1::2]:40000";
const SERVER6: &str = "[2001:db8:2::2]:53";

/// Both families, each with its two ends.
fn ends() -> [(End, End); 2] {
    [(end(CLIENT), end(SERVER)), (end(CLIENT6), end(SERVER6))]
}

#[test]
fn udp_becomes_assured_after_two_seconds_and_moves() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    for (client, server) in ends() {
        program.clear();
        let query = frames::udp(client, server, b"query");
        let answer = frames::udp(server, client, b"answer");

        assert_eq!(program.classify(&query), (Some(CtInfo::New), XDP_PASS));
        program.at(1.0);
        assert_eq!(
            program.classify(&answer),
            (Some(CtInfo::EstablishedReply), XDP_PASS)
        );
        let flow = &program.flows()[0];
        assert_eq!((flow.timeout, flow.assured_map), (30, false));

        program.at(2.5);
        assert_eq!(
            program.classify(&query),
            (Some(CtInfo::Established), XDP_PASS)
        );
        let flows = program.flows();
        assert_eq!(flows.len(), 1, "moved, not copied: {flows:?}");
        assert_eq!((flows[0].timeout, flows[0].assured_map), (120, true));
        assert_ne!(flows[0].flow.status & status::ASSURED, 0);
        assert_eq!(flows[0].flow.lock, 0, "the moved entry is not left locked");
        assert_eq!(flows[0].flow.legs[0].packets, 2);
        assert_eq!(flows[0].flow.legs[1].packets, 1);

        // The moved entry goes on as before.
        program.at(100.0);
        assert_eq!(
            program.classify(&answer),
            (Some(CtInfo::EstablishedReply), XDP_PASS)
        );
        assert_eq!(program.flows()[0].timeout, 120);
    }
}

#[test]
fn expired_flow_is_a_miss_at_once() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let query = frames::udp(end(CLIENT), end(SERVER), b"query");
    program.run(&query);
    let first = program.flows()[0].flow.id;

    program.at(29.0);
    let answer = frames::udp(end(SERVER), end(CLIENT), b"late");
    assert_eq!(program.classify(&answer).0, Some(CtInfo::EstablishedReply));
    program.at(29.0 + 30.0);
    // Nobody has swept: the entry is in the map, but it is no flow any more.
    assert!(program.flows().is_empty());
    assert_eq!(
        program.classify(&answer).0,
        Some(CtInfo::New),
        "the answer begins a flow"
    );
    let flows = program.flows();
    assert_eq!(flows.len(), 1);
    assert_ne!(flows[0].flow.id, first);
    assert_eq!(
        flows[0].original.sport, 53,
        "whose originator is the server"
    );
}

#[test]
fn echo_pairs_by_id_and_two_pingers_have_two_flows() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    for (client, server) in ends() {
        program.clear();
        let (a, b) = (client.addr, server.addr);
        assert_eq!(
            program.classify(&frames::echo(a, b, true, 7)).0,
            Some(CtInfo::New)
        );
        assert_eq!(
            program.classify(&frames::echo(b, a, true, 7)).0,
            Some(CtInfo::New)
        );
        assert_eq!(program.flows().len(), 2);
        let reply = program.classify(&frames::echo(b, a, false, 7)).0;
        assert_eq!(reply, Some(CtInfo::EstablishedReply));
        let stray = program.classify(&frames::echo(b, a, false, 8)).0;
        assert_eq!(stray, Some(CtInfo::Invalid), "a reply to nothing");
        assert_eq!(program.flows().len(), 2);
    }
}

/// ICMP "port unreachable" from `router` to `to`, about the IPv4 frame `about`.
fn unreachable(router: IpAddr, to: IpAddr, about: &[u8]) -> Vec<u8> {
    let kind = etherparse::Icmpv4Type::DestinationUnreachable(
        etherparse::icmpv4::DestUnreachableHeader::Port,
    );
    let mut frame = Vec::new();
    frames::ip(router, to)
        .icmpv4(kind)
        .write(&mut frame, &about[14..14 + 28])
        .expect("a frame");
    frame
}

#[test]
fn icmp_error_is_related_only_for_who_sent_the_quoted_packet() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let (client, server) = (end(CLIENT), end(SERVER));
    let query = frames::udp(client, server, b"query");
    program.run(&query);
    program.at(10.0);

    let error = unreachable(server.addr, client.addr, &query);
    assert_eq!(
        program.classify(&error),
        (Some(CtInfo::RelatedReply), XDP_PASS)
    );
    let flow = &program.flows()[0];
    assert_eq!(flow.timeout, 20, "an error refreshes nothing");
    assert_eq!(flow.flow.status & status::SEEN_REPLY, 0);
    assert_eq!(flow.flow.legs[1].packets, 0);

    let elsewhere = "192.168.1.77".parse().expect("address");
    let misdirected = unreachable(server.addr, elsewhere, &query);
    assert_eq!(program.classify(&misdirected).0, Some(CtInfo::Invalid));
    let unknown = frames::udp(client, end("10.0.0.2:99"), b"query");
    let unrelated = unreachable(server.addr, client.addr, &unknown);
    assert_eq!(program.classify(&unrelated).0, Some(CtInfo::Invalid));
    assert_eq!(
        (
            program.counter(Counter::ERROR),
            program.counter(Counter::INVALID)
        ),
        (2, 0)
    );
}

#[test]
fn invalid_passes_by_default_and_drops_behind_the_flag() {
    if !root_or_skip() {
        return;
    }
    let stray = frames::echo(end(SERVER).addr, end(CLIENT).addr, false, 1);
    let mut lenient = Program::load(|_| {});
    assert_eq!(lenient.classify(&stray), (Some(CtInfo::Invalid), XDP_PASS));
    let mut strict = Program::load(|config| config.drop_invalid = 1);
    assert_eq!(strict.classify(&stray), (Some(CtInfo::Invalid), XDP_DROP));
    assert!(strict.flows().is_empty());
}

#[test]
fn what_the_stack_would_throw_away_touches_no_flow() {
    if !root_or_skip() {
        return;
    }
    let good = frames::udp(end(CLIENT), end(SERVER), b"query");
    type Damage = fn(&mut Vec<u8>);
    let cases: [(&str, Damage, Reason); 8] = [
        ("header checksum", |f| f[24] ^= 1, Reason::BadIpChecksum),
        ("header length", |f| f[14] = 0x44, Reason::BadIhl),
        ("version", |f| f[14] = 0x65, Reason::BadVersion),
        (
            "total length",
            |f| {
                f[17] = 200;
                mend(f);
            },
            Reason::BadTotalLength,
        ),
        ("cut off", |f| f.truncate(30), Reason::TruncatedIp),
        ("another MAC", |f| f[5] ^= 1, Reason::OtherHost),
        (
            "loopback source",
            |f| {
                f[26] = 127;
                mend(f);
            },
            Reason::MartianSource,
        ),
        (
            "to itself",
            |f| {
                f.copy_within(26..30, 30);
                mend(f);
            },
            Reason::SourceIsDestination,
        ),
    ];
    let mut program = Program::load(|_| {});
    for (name, damage, reason) in cases {
        let mut frame = good.clone();
        damage(&mut frame);
        assert_eq!(program.reason(&frame), (reason, XDP_DROP), "{name}");
        assert!(program.flows().is_empty(), "{name} made a flow");
    }
    assert_eq!(
        program.reason(&good),
        (Reason::Accepted, XDP_PASS),
        "the good one does"
    );
    assert_eq!(program.flows().len(), 1);
}

/// Writes the right IPv4 header checksum (RFC 1071).
pub(crate) fn mend(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let end = 14 + usize::from(frame[14] & 15) * 4;
    let words = frame[14..end]
        .chunks(2)
        .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let check = !((folded & 0xffff) + (folded >> 16)) as u16;
    frame[24..26].copy_from_slice(&check.to_be_bytes());
}

#[test]
fn not_ip_passes() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let mut arp = vec![0u8; 60];
    arp[..6].fill(0xff);
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    assert_eq!(program.reason(&arp), (Reason::NotIp, XDP_PASS));
}

#[test]
fn zone_keeps_equal_addresses_apart() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let query = frames::udp(end(CLIENT), end(SERVER), b"query");
    program.run(&query);
    let iface = IfaceConfig {
        flags: IfaceFlags::CHECK_MAC,
        zone: 7,
        mac: frames::ROUTER,
        ..IfaceConfig::default()
    };
    program.set_iface(iface);
    assert_eq!(
        program.classify(&query).0,
        Some(CtInfo::New),
        "another zone, another flow"
    );
    assert_eq!(program.flows().len(), 2);
}

#[test]
fn full_assured_map_refuses_promotion_and_the_flow_lives_on() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|config| config.assured_limit = 1);
    let server = end(SERVER);
    let mut talk = |port: u16| {
        let client = End {
            port,
            ..end(CLIENT)
        };
        program.at(0.0);
        program.run(&frames::udp(client, server, b"1"));
        program.run(&frames::udp(server, client, b"2"));
        program.at(3.0);
        program.run(&frames::udp(client, server, b"3"));
    };
    talk(1);
    talk(2);
    let flows = program.flows();
    let in_assured_map = flows.iter().filter(|f| f.assured_map).count();
    let assured = flows
        .iter()
        .filter(|f| f.flow.status & status::ASSURED != 0)
        .count();
    assert_eq!((flows.len(), in_assured_map, assured), (2, 1, 2));
    assert_eq!(program.counter(Counter::PROMOTE_FAILED), 1);
    // Room again: the next packet of the second flow takes it.
    program.forget_assured();
    let second = End {
        port: 2,
        ..end(CLIENT)
    };
    program.run(&frames::udp(server, second, b"4"));
    assert!(program.flows().iter().all(|f| f.assured_map));
}

#[test]
fn unanswered_syn_then_reset_leaves_no_entry() {
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
    program.run(&frames::tcp(client, server, &segment("S", 100, 0)));
    assert_eq!(program.flows().len(), 1);
    let reset = frames::tcp(server, client, &segment("RA", 0, 101));
    assert_eq!(program.classify(&reset).0, Some(CtInfo::EstablishedReply));
    assert!(program.flows().is_empty());
    assert_eq!(program.counter(Counter::REMOVED), 1);
}

#[test]
fn protocols_without_ports_are_one_flow_a_pair_of_hosts() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let (a, b) = (end(CLIENT).addr, end(SERVER).addr);
    let esp = |from, to| {
        let mut frame = Vec::new();
        let number = etherparse::IpNumber::ENCAPSULATING_SECURITY_PAYLOAD;
        frames::ip(from, to)
            .write(&mut frame, number, &[0; 20])
            .expect("a frame");
        frame
    };
    assert_eq!(program.classify(&esp(a, b)).0, Some(CtInfo::New));
    assert_eq!(
        program.classify(&esp(b, a)).0,
        Some(CtInfo::EstablishedReply)
    );
    let flows = program.flows();
    assert_eq!((flows.len(), flows[0].original.proto), (1, proto::ESP));
    assert_eq!(flows[0].timeout, 600);
}

#[test]
fn invalid_segment_does_not_move_the_flow_to_another_interface() {
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
    program.run(&frames::tcp(client, server, &segment("S", 99, 0)));
    program.run(&frames::tcp(server, client, &segment("SA", 499, 100)));
    let ack = frames::tcp(client, server, &segment("A", 100, 500));
    program.run(&ack);
    let came_in_by = |program: &Program| program.flows()[0].flow.legs[0].ifindex;
    let first = came_in_by(&program);
    assert_ne!(first, 0);
    // The other hook has another interface for it: 0, the host itself.
    program.run_out(&frames::tcp(client, server, &segment("A", 1 << 30, 500)));
    assert_eq!(came_in_by(&program), first, "after one outside the window");
    program.run_out(&ack);
    assert_eq!(came_in_by(&program), 0, "after one inside");
}
