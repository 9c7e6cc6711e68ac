//! Datagrams in fragments: the first is judged, the others share its verdict and are added to its flow.

use fw_common::abi::Counter;
use fw_common::wire::Family;
use fw_common::{CtInfo, Reason};
use xtask::lab::root_or_skip;

use crate::frames::{self, End, Segment, end};
use crate::harness::{Program, XDP_DROP, XDP_PASS};

/// Both families, each with its two ends.
fn ends() -> [(Family, End, End); 2] {
    [
        (Family::V4, end("192.168.1.2:40000"), end("10.0.0.2:53")),
        (
            Family::V6,
            end("[2001:db8:1::2]:40000"),
            end("[2001:db8:2::2]:53"),
        ),
    ]
}

/// `frame` in fragments with the identification `id`, cut at `cuts` (multiples of 8, counted from the
/// transport header on).
pub(crate) fn split(frame: &[u8], id: u16, cuts: &[usize]) -> Vec<Vec<u8>> {
    let v6 = frame[12..14] == [0x86, 0xdd];
    let (header, data) = frame.split_at(if v6 { 54 } else { 34 });
    let ends = cuts.iter().copied().chain([data.len()]);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    starts
        .zip(ends)
        .map(|(start, end)| piece(header, id, start, &data[start..end], end < data.len()))
        .collect()
}

/// One fragment: `data` from `at` on.
fn piece(header: &[u8], id: u16, at: usize, data: &[u8], more: bool) -> Vec<u8> {
    let mut frame = header.to_vec();
    let (at, len) = (at as u16, data.len() as u16);
    if header.len() == 54 {
        frame[18..20].copy_from_slice(&(len + 8).to_be_bytes());
        let next = std::mem::replace(&mut frame[20], 44);
        frame.extend([next, 0]);
        frame.extend((at | u16::from(more)).to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(id.to_be_bytes());
    } else {
        frame[16..18].copy_from_slice(&(len + 20).to_be_bytes());
        frame[18..20].copy_from_slice(&id.to_be_bytes());
        frame[20..22].copy_from_slice(&((at / 8) | u16::from(more) << 13).to_be_bytes());
        super::paths::mend(&mut frame);
    }
    frame.extend(data);
    frame
}

/// A datagram of 3000 bytes in three fragments.
fn datagram(src: End, dst: End, id: u16) -> Vec<Vec<u8>> {
    let whole = frames::udp(src, dst, &[7; 3000 - 8]);
    split(&whole, id, &[1448, 2896])
}

#[test]
fn a_datagram_is_one_packet_with_all_its_bytes() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    for (family, client, server) in ends() {
        program.clear();
        let [first, second, last] = &datagram(client, server, 1)[..] else {
            panic!("three fragments");
        };
        assert_eq!(program.classify(first), (Some(CtInfo::New), XDP_PASS));
        for later in [second, last] {
            assert_eq!(program.reason(later), (Reason::Fragment, XDP_PASS));
        }
        let answer = datagram(server, client, 1);
        let reply = Some(CtInfo::EstablishedReply);
        assert_eq!(program.classify(&answer[0]), (reply, XDP_PASS));
        assert_eq!(program.classify(&answer[2]), (None, XDP_PASS));
        let flows = program.flows();
        let [seen] = &flows[..] else {
            panic!("one flow: {flows:?}");
        };
        let header = if family == Family::V4 { 20 } else { 40 };
        let leg = |dir: usize| (seen.flow.legs[dir].packets, seen.flow.legs[dir].bytes);
        assert_eq!(leg(0), (1, header + 3000), "{family:?}");
        assert_eq!(leg(1), (1, header + 1448 + 104), "{family:?}");
    }
}

#[test]
fn fragments_share_the_verdict_of_the_first() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|config| {
        config.drop_invalid = 1;
        config.tcp_loose = 0;
    });
    for (_, client, server) in ends() {
        program.clear();
        // INVALID without a SYN before.
        let segment = Segment {
            flags: "A",
            seq: 1,
            ack: 1,
            window: 100,
            payload: &[0; 200],
        };
        let pieces = split(&frames::tcp(client, server, &segment), 5, &[104, 160]);
        assert_eq!(program.reason(&pieces[0]), (Reason::NotSyn, XDP_DROP));
        for later in &pieces[1..] {
            let dropped = (Reason::FragmentOfDropped, XDP_DROP);
            assert_eq!(program.reason(later), dropped);
        }
        assert!(program.flows().is_empty());
    }
}

#[test]
fn without_its_first_a_fragment_drops_or_passes_as_set() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    for (_, client, server) in ends() {
        let pieces = datagram(client, server, 9);
        program.configure(|_| {});
        let unknown = (Reason::FragmentWithoutFirst, XDP_DROP);
        assert_eq!(program.reason(&pieces[1]), unknown);
        program.configure(|config| config.fragments_pass = 1);
        assert_eq!(program.reason(&pieces[1]), (Reason::Fragment, XDP_PASS));
        assert!(program.flows().is_empty());
        // Half a minute later it is forgotten.
        program.configure(|_| {});
        program.at(0.0);
        program.run(&pieces[0]);
        program.at(29.9);
        assert_eq!(program.run(&pieces[1]), XDP_PASS);
        program.at(30.0);
        assert_eq!(program.reason(&pieces[2]), unknown);
        program.clear();
    }
}

#[test]
fn overlapping_fragments_are_dropped_and_so_is_what_follows() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    for (_, client, server) in ends() {
        program.clear();
        let overlaps = (Reason::OverlappingFragment, XDP_DROP);
        // A second first fragment, for another port.
        let pieces = datagram(client, server, 11);
        let other = datagram(client, End { port: 54, ..server }, 11);
        assert_eq!(program.run(&pieces[0]), XDP_PASS);
        assert_eq!(program.reason(&other[0]), overlaps);
        assert_eq!(program.reason(&pieces[1]), overlaps);
        // One that rewrites the end of the first.
        let pieces = datagram(client, server, 12);
        let whole = frames::udp(client, server, &[7; 3000 - 8]);
        let shifted = split(&whole, 12, &[1440, 2896]);
        assert_eq!(program.run(&pieces[0]), XDP_PASS);
        assert_eq!(program.reason(&shifted[1]), overlaps);
        assert_eq!(program.reason(&pieces[1]), overlaps);
        assert_eq!(program.flows().len(), 1, "one flow, by the first alone");
    }
}

/// The acknowledgement of a whole segment whose fragments went by is no acknowledgement of data that
/// was never sent.
#[test]
fn acknowledgement_of_a_fragmented_segment_is_in_the_window() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    for (_, client, server) in ends() {
        program.clear();
        let send = |program: &mut Program, from, to, flags, seq, ack, payload: &[u8]| {
            let segment = Segment {
                flags,
                seq,
                ack,
                window: 8000,
                payload,
            };
            let frame = frames::tcp(from, to, &segment);
            if payload.is_empty() {
                program.classify(&frame).0
            } else {
                let pieces = split(&frame, seq as u16, &[1448, 2896]);
                let states: Vec<_> = pieces.iter().map(|p| program.classify(p)).collect();
                assert!(states.iter().all(|(_, action)| *action == XDP_PASS));
                states[0].0
            }
        };
        send(&mut program, client, server, "S", 1000, 0, &[]);
        send(&mut program, server, client, "SA", 5000, 1001, &[]);
        send(&mut program, client, server, "A", 1001, 5001, &[]);
        let data = [7; 4000];
        let sent = send(&mut program, client, server, "PA", 1001, 5001, &data);
        assert_eq!(sent, Some(CtInfo::Established));
        let acked = send(&mut program, server, client, "A", 5001, 5001, &[]);
        assert_eq!(acked, Some(CtInfo::EstablishedReply), "all of it");
        let beyond = send(&mut program, server, client, "A", 5001, 5002, &[]);
        assert_eq!(beyond, Some(CtInfo::Invalid), "and not a byte more");
    }
}

/// A source that leaves datagrams unfinished pushes out its own, and nobody else's.
#[test]
fn unfinished_datagrams_of_one_source_are_bounded() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let [(_, client, server), _] = ends();
    let neighbour = End {
        addr: "192.168.1.3".parse().expect("an address"),
        ..client
    };
    let other = datagram(neighbour, server, 1);
    program.run(&other[0]);
    for id in 0..1000 {
        program.run(&datagram(client, server, id)[0]);
    }
    let mut known = 0;
    for id in 0..1000 {
        known += u32::from(program.run(&datagram(client, server, id)[1]) == XDP_PASS);
    }
    assert_eq!(known, u32::from(fw_common::fragments::PLACES));
    assert_eq!(program.run(&other[1]), XDP_PASS, "the neighbour's");
    let unknown = program.counter(Counter::of_reason(Reason::FragmentWithoutFirst));
    assert_eq!(unknown, 1000 - u64::from(known));
}
