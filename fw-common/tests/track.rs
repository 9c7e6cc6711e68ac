//! Tracking around TCP: which packets start flows, how long these live, what is counted.

mod support;

use fw_common::abi::Flow;
use fw_common::flow::{FlowKey, Tuple};
use fw_common::timeout::Timeout;
use fw_common::track::{Fate, admit};
use fw_common::wire::{Family, Meta, meta_flags, proto};
use fw_common::{CtInfo, Reason, icmp, status};
use support::Host::{A, B};
use support::{HZ, Lab, changes, packet, segment, tcp_packet};

/// Whole seconds left and the two facts that lists show.
fn shown(lab: &Lab) -> (u64, bool, bool) {
    (lab.seconds(), lab.replied(), lab.assured())
}

fn lab_with(meta: &Meta) -> Lab {
    let mut lab = Lab::new();
    assert_eq!(lab.send(A, meta), CtInfo::New);
    lab
}

// UDP.

fn udp() -> Meta {
    packet(Family::V4, proto::UDP)
}

#[test]
fn udp_unanswered_stays_new() {
    let mut lab = lab_with(&udp());
    for _ in 0..5 {
        lab.wait(5);
        assert_eq!(lab.send(A, &udp()), CtInfo::New);
        assert_eq!(shown(&lab), (30, false, false));
    }
}

#[test]
fn udp_answered_within_two_seconds_is_no_stream() {
    let mut lab = lab_with(&udp());
    assert_eq!(lab.send(B, &udp()), CtInfo::EstablishedReply);
    assert_eq!(shown(&lab), (30, true, false));
    assert_eq!(changes(lab.last.expect("outcome")), ["reply"]);
    assert_eq!(lab.send(A, &udp()), CtInfo::Established);
    assert_eq!(shown(&lab), (30, true, false));
}

#[test]
fn udp_two_seconds_to_the_tick_is_no_stream() {
    let mut lab = lab_with(&udp());
    lab.send(B, &udp());
    lab.wait(2);
    lab.send(A, &udp());
    assert_eq!(shown(&lab), (30, true, false));
    lab.now += 1;
    lab.send(A, &udp());
    assert_eq!(shown(&lab), (120, true, true));
    let last = lab.last.expect("outcome");
    assert_eq!(last.fate, Fate::Promote);
    assert_eq!(changes(last), ["assured"]);
}

#[test]
fn udp_stream_from_either_side_and_promoted_once() {
    let mut lab = lab_with(&udp());
    lab.send(B, &udp());
    lab.wait(3);
    lab.send(B, &udp());
    assert_eq!(lab.last.expect("outcome").fate, Fate::Promote);
    lab.send(B, &udp());
    assert_eq!(lab.last.expect("outcome").fate, Fate::Keep);
    assert_eq!(changes(lab.last.expect("outcome")), [""; 0]);
    assert_eq!(shown(&lab), (120, true, true));
}

#[test]
fn udp_late_first_answer_is_no_stream_yet() {
    let mut lab = lab_with(&udp());
    lab.wait(3);
    lab.send(B, &udp());
    assert_eq!(shown(&lab), (30, true, false));
    lab.send(B, &udp());
    assert_eq!(shown(&lab), (120, true, true));
}

#[test]
fn udp_expired_begins_anew() {
    let mut lab = lab_with(&udp());
    lab.wait(30);
    assert_eq!(lab.send(B, &udp()), CtInfo::New);
    assert_eq!(lab.entry.expect("an entry").1, B);
}

#[test]
fn udplite_any_answer_makes_a_stream() {
    let meta = packet(Family::V6, proto::UDPLITE);
    let mut lab = lab_with(&meta);
    assert_eq!(shown(&lab), (30, false, false));
    lab.send(B, &meta);
    assert_eq!(shown(&lab), (30, true, false));
    lab.send(A, &meta);
    assert_eq!(shown(&lab), (120, true, true));
}

// GRE and the rest.

#[test]
fn gre_stream_and_assured_after_the_first_answer() {
    let meta = packet(Family::V4, proto::GRE);
    let mut lab = lab_with(&meta);
    assert_eq!(shown(&lab), (30, false, false));
    lab.send(B, &meta);
    assert_eq!(shown(&lab), (30, true, false));
    lab.send(A, &meta);
    assert_eq!(shown(&lab), (180, true, true));
}

#[test]
fn generic_protocols_have_one_timeout_and_are_never_assured() {
    for protocol in [proto::ESP, proto::AH, proto::IGMP, 4, 41, 89, 103, 255] {
        let meta = packet(Family::V4, protocol);
        let mut lab = lab_with(&meta);
        assert_eq!(shown(&lab), (600, false, false));
        for from in [B, A, B] {
            lab.wait(10);
            lab.send(from, &meta);
            assert_eq!(shown(&lab), (600, true, false));
        }
    }
}

// ICMP.

fn icmp_packet(family: Family, kind: u8) -> Meta {
    let protocol = match family {
        Family::V4 => proto::ICMP,
        Family::V6 => proto::ICMPV6,
    };
    Meta {
        icmp_type: kind,
        sport: 42,
        ..packet(family, protocol)
    }
}

/// What the first packet of this type is, as the programs find out.
fn first_icmp(family: Family, kind: u8) -> &'static str {
    let meta = icmp_packet(family, kind);
    if let Err((info, _)) = admit(&meta) {
        return info.name();
    }
    if icmp::is_error(family, kind) {
        return "error";
    }
    if Tuple::of(&meta).is_err() {
        return "invalid";
    }
    Lab::new().send(A, &meta).name()
}

#[test]
fn every_icmp_type_as_first_packet() {
    for kind in 0..=u8::MAX {
        let expected = match kind {
            8 | 13 | 15 | 17 => "new",
            3 | 4 | 5 | 11 | 12 => "error",
            _ => "invalid",
        };
        assert_eq!(first_icmp(Family::V4, kind), expected, "type {kind}");
    }
}

#[test]
fn every_icmpv6_type_as_first_packet() {
    for kind in 0..=u8::MAX {
        let expected = match kind {
            0..=127 => "error",
            128 | 139 => "new",
            130..=136 | 143 | 151 | 152 => "untracked",
            _ => "invalid",
        };
        assert_eq!(first_icmp(Family::V6, kind), expected, "type {kind}");
    }
}

#[test]
fn icmp_answer_to_nothing_says_why() {
    let mut lab = Lab::new();
    let answer = icmp_packet(Family::V4, 0);
    assert_eq!(lab.send(A, &answer), CtInfo::Invalid);
    assert_eq!(lab.reason(), Reason::BadIcmpType);
    assert!(lab.entry.is_none());
}

#[test]
fn icmp_requests_and_answers_refresh_and_are_never_assured() {
    for (family, request, answer) in [(Family::V4, 8, 0), (Family::V6, 128, 129)] {
        let mut lab = lab_with(&icmp_packet(family, request));
        lab.wait(5);
        assert_eq!(lab.send(A, &icmp_packet(family, request)), CtInfo::New);
        assert_eq!(shown(&lab), (30, false, false));
        lab.wait(5);
        let info = lab.send(B, &icmp_packet(family, answer));
        assert_eq!(info, CtInfo::EstablishedReply);
        assert_eq!(shown(&lab), (30, true, false));
        lab.wait(5);
        lab.send(A, &icmp_packet(family, request));
        assert_eq!(shown(&lab), (30, true, false));
    }
}

#[test]
fn icmp_timeouts_of_the_families_are_separate() {
    let mut lab = Lab::new();
    lab.config.timeouts[Timeout::Icmpv6 as usize] = 7 * HZ;
    lab.send(A, &icmp_packet(Family::V6, 128));
    assert_eq!(lab.seconds(), 7);
}

#[test]
fn icmp_pings_both_ways_with_one_id_are_two_flows() {
    let ping = |src: u8, dst: u8, kind: u8| {
        let mut meta = icmp_packet(Family::V4, kind);
        (meta.src[3], meta.dst[3]) = (src, dst);
        let tuple = Tuple::of(&meta).expect("a query");
        fw_common::abi::Key4::canonical(&tuple, 0)
    };
    let (there, from_hi) = ping(1, 2, 8);
    let (answer, answer_from_hi) = ping(2, 1, 0);
    assert_eq!(there, answer);
    assert_ne!(from_hi, answer_from_hi);
    assert_ne!(there, ping(2, 1, 8).0);
}

#[test]
fn icmp_of_the_other_family_is_invalid() {
    for (family, protocol) in [
        (Family::V4, proto::ICMPV6),
        (Family::V6, proto::ICMP),
        (Family::V6, 59),
    ] {
        let refused = admit(&packet(family, protocol));
        assert_eq!(refused, Err((CtInfo::Invalid, Reason::NoTransport)));
    }
    assert_eq!(admit(&packet(Family::V4, 59)), Ok(()));
}

#[test]
fn neighbour_discovery_is_exempt_in_ipv6_only() {
    let mut meta = icmp_packet(Family::V6, 135);
    assert_eq!(admit(&meta), Err((CtInfo::Untracked, Reason::Untracked)));
    meta.family = Family::V4;
    meta.proto = proto::UDP;
    assert_eq!(admit(&meta), Ok(()));
}

// What all protocols share.

#[test]
fn fixed_timeout_is_not_refreshed_but_counted() {
    let mut lab = lab_with(&udp());
    lab.entry.as_mut().expect("an entry").0.status |= status::FIXED_TIMEOUT;
    lab.wait(10);
    lab.send(B, &udp());
    assert_eq!(shown(&lab), (20, true, false));
    assert_eq!(lab.flow().legs[1].packets, 1);
}

#[test]
fn accounting_counts_ip_bytes_of_each_direction() {
    let mut lab = lab_with(&udp());
    lab.send(B, &udp());
    lab.send(B, &udp());
    let counted = lab.flow().legs.map(|leg| (leg.packets, leg.bytes));
    assert_eq!(counted, [(1, 29), (2, 58)]);
}

#[test]
fn accounting_leaves_out_the_fragment_header() {
    let mut atomic = udp();
    atomic.flags = meta_flags::FRAGMENT_HEADER;
    assert_eq!(lab_with(&atomic).flow().legs[0].bytes, 21);
    let mut empty = packet(Family::V6, 4);
    (empty.flags, empty.l4_len) = (meta_flags::FRAGMENT_HEADER, 0);
    assert_eq!(lab_with(&empty).flow().legs[0].bytes, 29);
}

#[test]
fn accounting_off_counts_nothing() {
    let mut lab = Lab::new();
    lab.config.accounting = 0;
    lab.send(A, &udp());
    lab.send(B, &udp());
    let counted = lab.flow().legs.map(|leg| (leg.packets, leg.bytes));
    assert_eq!(counted, [(0, 0), (0, 0)]);
}

#[test]
fn accounting_leaves_out_what_was_not_believed() {
    let mut lab = Lab::new();
    for _ in 0..4 {
        lab.send(A, &tcp_packet(segment("S", 1000, 0)));
    }
    assert_eq!(lab.flow().legs[0].packets, 1);
    lab.send(B, &tcp_packet(segment("SA", 5000, 1001)));
    lab.send(B, &tcp_packet(segment("SA", 5000, 1001)));
    lab.send(B, &tcp_packet(segment("SF", 5000, 1001)));
    assert_eq!(lab.flow().legs[1].packets, 1);
}

#[test]
fn removal_counts_the_reset_and_leaves_the_flow_unanswered() {
    let mut lab = Lab::new();
    lab.send(A, &tcp_packet(segment("S", 1000, 0)));
    let mut flow = *lab.flow();
    let reset = tcp_packet(segment("RA", 0, 1001));
    let outcome = fw_common::track::advance(
        &mut flow,
        fw_common::Dir::Reply,
        &reset,
        &lab.config,
        lab.now + 1,
    );
    assert_eq!(outcome.fate, Fate::Remove);
    assert_eq!(outcome.info, CtInfo::EstablishedReply);
    assert_eq!(flow.status, status::CONFIRMED);
    assert_eq!(flow.legs[1].packets, 1);
    // The event of its end shows what was left of the time it had.
    assert_eq!(flow.deadline, lab.now + 120 * HZ);
    assert_eq!(flow.proto.state, fw_common::tcp::State::Close as u8);
}

#[test]
fn refused_first_packet_leaves_no_entry() {
    let mut flow = Flow::default();
    let config = support::defaults();
    let meta = tcp_packet(segment("R", 1, 0));
    let refused = fw_common::track::open(&mut flow, &meta, &config, 1);
    assert_eq!(refused, Err(Reason::NotSyn));
}

#[test]
fn udp_is_a_stream_at_once_if_it_need_not_last() {
    let mut lab = lab_with(&udp());
    lab.config.udp_stream_after = 0;
    lab.send(B, &udp());
    assert_eq!(shown(&lab), (30, true, false));
    lab.send(A, &udp());
    assert_eq!(shown(&lab), (120, true, true));
}
