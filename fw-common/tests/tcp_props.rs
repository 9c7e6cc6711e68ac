//! Properties of tracking, above all of the TCP state machine: total, never in an unknown state, and
//! its bounds only move forward.

mod support;

use fw_common::abi::{Config, Flow, Leg, ProtoState};
use fw_common::tcp::{self, State, flags, header};
use fw_common::track::{self, Fate, Step};
use fw_common::wire::TcpSegment;
use fw_common::wire::{Family, Meta, proto};
use fw_common::{CtInfo, Dir, Reason, status};
use proptest::prelude::*;

fn dirs() -> impl Strategy<Value = Dir> {
    prop_oneof![Just(Dir::Original), Just(Dir::Reply)]
}

fn legs() -> impl Strategy<Value = Leg> {
    (any::<[u32; 4]>(), any::<[u8; 2]>()).prop_map(|(words, bytes)| Leg {
        end: words[0],
        maxend: words[1],
        maxwin: words[2],
        maxack: words[3],
        scale: bytes[0],
        flags: bytes[1],
        ..Leg::default()
    })
}

fn protos() -> impl Strategy<Value = ProtoState> {
    let bytes = (0..=9u8, any::<[u8; 5]>());
    (bytes, any::<[u32; 3]>(), any::<u16>()).prop_map(|((state, b), words, window)| ProtoState {
        state,
        last_dir: b[0],
        last_index: b[1],
        retrans: b[2],
        last_seq: words[0],
        last_ack: words[1],
        last_end: words[2],
        last_win: window,
        last_wscale: b[3],
        last_flags: b[4],
    })
}

fn flows() -> impl Strategy<Value = Flow> {
    (protos(), [legs(), legs()], any::<u32>(), any::<u64>()).prop_map(
        |(proto, legs, status, deadline)| Flow {
            status,
            deadline,
            proto,
            legs,
            ..Flow::default()
        },
    )
}

/// Any segment; numbers near those of the flow are as likely as others.
fn segments() -> impl Strategy<Value = TcpSegment> {
    let sensible = prop::sample::select(vec![0x02u8, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14, 0x22]);
    let flags = prop_oneof![3 => sensible, 1 => any::<u8>()];
    (
        flags,
        any::<[u32; 3]>(),
        any::<[u16; 2]>(),
        any::<[u8; 2]>(),
    )
        .prop_map(|(flags, words, halves, bytes)| TcpSegment {
            seq: words[0],
            ack: words[1],
            sack: words[2],
            payload: halves[0],
            window: halves[1],
            flags,
            wscale: bytes[0],
            options: bytes[1],
            ..TcpSegment::default()
        })
}

fn configs() -> impl Strategy<Value = Config> {
    (any::<[bool; 3]>(), any::<u8>()).prop_map(|(knobs, retrans)| Config {
        tcp_loose: u8::from(knobs[0]),
        tcp_be_liberal: u8::from(knobs[1]),
        tcp_ignore_invalid_rst: u8::from(knobs[2]),
        tcp_max_retrans: retrans,
        ..support::defaults()
    })
}

/// Moves the segment's numbers close to the flow's, where the decisions are.
fn near(segment: &mut TcpSegment, flow: &Flow, dir: Dir) {
    let (own, peer) = (flow.legs[dir.index()], flow.legs[dir.flip().index()]);
    let small = |n: u32| (n % 5).wrapping_sub(2);
    segment.seq = match segment.seq % 5 {
        0 => own.end.wrapping_add(small(segment.ack)),
        1 => own.maxend.wrapping_add(small(segment.ack)),
        2 => peer.maxack.wrapping_add(small(segment.ack)),
        3 => own
            .end
            .wrapping_sub(peer.maxwin)
            .wrapping_add(small(segment.ack)),
        _ => segment.seq,
    };
    segment.ack = match segment.ack % 3 {
        0 => peer.end.wrapping_add(small(segment.sack)),
        1 => peer
            .end
            .wrapping_sub(66_000)
            .wrapping_add(small(segment.sack)),
        _ => segment.ack,
    };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// What packets of flows that last are spared on the short way must not be there to be done.
    #[test]
    fn plain_packets_only_prolong_flows_that_last(
        flow in flows(), dir in dirs(), segment in segments(), config in configs(),
        (udp, close, age) in (any::<bool>(), any::<bool>(), 0..9000u64), l3_len in any::<u16>(),
    ) {
        let (mut flow, mut segment) = (flow, segment);
        flow.status |= status::SEEN_REPLY | status::ASSURED | status::CONFIRMED;
        flow.proto.state = if udp { 0 } else { State::Established as u8 };
        if close {
            near(&mut segment, &flow, dir);
        }
        segment.flags = segment.flags & (header::PSH | header::ECE | header::CWR) | header::ACK;
        let meta = Meta {
            proto: if udp { proto::UDP } else { proto::TCP },
            tcp: segment,
            l3_len,
            ..Meta::default()
        };
        let now = flow.start.saturating_add(age);
        flow.deadline = flow.deadline.max(now.saturating_add(1));
        prop_assert!(track::is_lasting(&flow, meta.proto, now) || now == u64::MAX);
        let (before, mut short) = (flow, flow);
        let outcome = track::advance(&mut flow, dir, &meta, &config, now);
        prop_assert_eq!((outcome.fate, outcome.changed), (Fate::Keep, 0));
        prop_assert_eq!((flow.status, flow.proto.state), (before.status, before.proto.state));
        let result = if udp {
            track::prolong_udp(&mut short, dir, meta.l3_len, &config, now);
            Ok(())
        } else {
            track::prolong_tcp(&mut short, dir, (&segment, meta.l3_len), &config, now)
        };
        prop_assert_eq!(short, flow);
        let expected = match result {
            Ok(()) => (CtInfo::of_flow(dir, true), Reason::Accepted),
            Err(reason) => (CtInfo::Invalid, reason),
        };
        prop_assert_eq!((outcome.info, outcome.reason), expected);
    }

    #[test]
    fn step_is_total_and_the_state_known(
        flow in flows(), dir in dirs(), segment in segments(), config in configs(), close in any::<bool>()
    ) {
        let (mut flow, mut segment) = (flow, segment);
        if close {
            near(&mut segment, &flow, dir);
        }
        let before = flow;
        let step = tcp::step(&mut flow, dir, &segment, &config);
        prop_assert!(State::from_u8(flow.proto.state).is_some());
        prop_assert!(flow.legs.iter().zip(&before.legs).all(|(now, was)| now.scale <= 14 || now.scale == was.scale));
        // Who gets INVALID may have left a mark in the memory, and nowhere else.
        if let Step::Invalid { .. } = step {
            prop_assert_eq!(flow.proto.state, before.proto.state);
            prop_assert_eq!(flow.deadline, before.deadline);
            prop_assert_eq!(flow.status, before.status);
        }
        if !tcp::valid_flags(segment.flags) {
            prop_assert_eq!(flow, before);
        }
        // Longer than a state's own timeout no entry lives.
        if let Step::Accept { timeout, .. } = step {
            let own = State::from_u8(flow.proto.state).expect("known").timeout();
            prop_assert!(timeout <= config.timeout(own));
        }
    }

    #[test]
    fn unknown_state_numbers_are_harmless(
        flow in flows(), number in 10..=u8::MAX, dir in dirs(), segment in segments(), config in configs()
    ) {
        let mut flow = flow;
        flow.proto.state = number;
        let _ = tcp::step(&mut flow, dir, &segment, &config);
    }

    #[test]
    fn open_accepts_a_syn_or_a_loose_ack_and_nothing_else(
        segment in segments(), config in configs()
    ) {
        let mut flow = Flow::default();
        let opened = tcp::open(&mut flow, &segment, &config);
        let bits = segment.flags & 0x37;
        let syn = bits & !header::URG == header::SYN;
        let ack = bits & !header::URG == header::ACK;
        let accepted = syn || (ack && config.tcp_loose != 0);
        prop_assert_eq!(opened.is_ok(), accepted);
        if let Ok(step) = opened {
            let assured_false = matches!(step, Step::Accept { assured: false, .. });
            prop_assert!(assured_false, "{:?}", step);
            let state = if syn { State::SynSent } else { State::Established };
            prop_assert_eq!(flow.proto.state, state as u8);
        }
    }

    #[test]
    fn advance_is_total_and_its_outcome_agrees_with_the_entry(
        flow in flows(), dir in dirs(), segment in segments(), config in configs(),
        proto in any::<u8>(), kind in any::<u8>(), v6 in any::<bool>(), now in any::<u64>()
    ) {
        let mut flow = flow;
        let before = flow;
        let family = if v6 { Family::V6 } else { Family::V4 };
        let meta = Meta { tcp: segment, proto, icmp_type: kind, family, ..Meta::default() };
        let outcome = track::advance(&mut flow, dir, &meta, &config, now);
        let gained = flow.status & !before.status;
        let has = |bit: u8| outcome.changed & bit != 0;
        prop_assert_eq!(has(track::changed::REPLY), gained & status::SEEN_REPLY != 0);
        prop_assert_eq!(has(track::changed::ASSURED), gained & status::ASSURED != 0);
        prop_assert_eq!(outcome.fate == Fate::Promote, gained & status::ASSURED != 0);
        // Bits once set stay.
        prop_assert_eq!(before.status & !flow.status, 0);
    }

    /// What is known of a side only moves forward, until a SYN begins it anew.
    #[test]
    fn bounds_are_monotone(
        flow in flows(), dir in dirs(), segment in segments(), config in configs()
    ) {
        let (mut flow, mut segment) = (flow, segment);
        segment.flags &= !header::SYN;
        near(&mut segment, &flow, dir);
        for leg in &mut flow.legs {
            leg.maxwin = leg.maxwin.clamp(1, 1 << 30);
            leg.maxend = leg.end.wrapping_add(leg.maxwin);
        }
        let before = flow.legs;
        let _ = tcp::step(&mut flow, dir, &segment, &config);
        for (now, was) in flow.legs.iter().zip(&before) {
            prop_assert!(now.end.wrapping_sub(was.end) as i32 >= 0);
            prop_assert!(now.maxend.wrapping_sub(was.maxend) as i32 >= 0);
            prop_assert!(now.maxwin >= was.maxwin);
            if was.flags & flags::MAXACK_SET != 0 {
                prop_assert!(now.maxack.wrapping_sub(was.maxack) as i32 >= 0);
            }
        }
    }
}
