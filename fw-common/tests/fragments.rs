//! Datagrams in fragments: what is remembered of the first, and what later ones may do.

mod support;

use fw_common::abi::{Config, Datagram, Flow, FragmentKey};
use fw_common::fragments::{First, LIFE, PLACES, stage};
use fw_common::tcp::header::{ACK, PSH};
use fw_common::wire::{Family, Fragment, Meta, TcpSegment, meta_flags, proto};
use fw_common::{Dir, Reason, Verdict};
use support::{HZ, START};

/// A fragment of `len` bytes at `offset`.
fn fragment(family: Family, offset: u16, len: u16, more: bool) -> Meta {
    Meta {
        src: [1; 16],
        dst: [2; 16],
        family,
        proto: proto::UDP,
        sport: if offset == 0 { 1000 } else { 0 },
        dport: if offset == 0 { 53 } else { 0 },
        fragment: if offset == 0 {
            Fragment::First
        } else {
            Fragment::Later
        },
        frag_id: 77,
        frag_offset: offset,
        frag_len: len,
        flags: if more { meta_flags::MORE_FRAGMENTS } else { 0 },
        ..Meta::default()
    }
}

fn v4(offset: u16, len: u16, more: bool) -> Meta {
    fragment(Family::V4, offset, len, more)
}

fn remembered(first: &Meta, verdict: Verdict) -> Datagram {
    let mut datagram = Datagram::default();
    let about = First {
        verdict,
        counted: verdict == Verdict::Pass,
    };
    datagram.remember(first, about, &support::defaults(), START);
    datagram
}

fn passed() -> Datagram {
    remembered(&v4(0, 1480, true), Verdict::Pass)
}

#[test]
fn in_order_to_the_end() {
    let mut datagram = passed();
    assert_eq!(datagram.take(&v4(1480, 1480, true)), Ok(1480));
    assert_eq!(datagram.progress.stage, stage::OPEN);
    assert_eq!(datagram.take(&v4(2960, 40, false)), Ok(40));
    assert_eq!(datagram.progress.stage, stage::COMPLETE);
}

#[test]
fn later_ones_in_any_order() {
    let mut datagram = passed();
    assert_eq!(datagram.take(&v4(2960, 40, false)), Ok(40));
    assert_eq!(datagram.progress.stage, stage::OPEN);
    assert_eq!(datagram.take(&v4(1480, 1480, true)), Ok(1480));
    assert_eq!(datagram.progress.stage, stage::COMPLETE);
}

#[test]
fn a_repeated_fragment_passes_and_is_not_counted_again() {
    let mut datagram = passed();
    assert_eq!(datagram.take(&v4(1480, 1480, true)), Ok(1480));
    assert_eq!(datagram.take(&v4(1480, 1480, true)), Ok(0));
}

#[test]
fn nothing_lies_behind_the_end() {
    let mut datagram = passed();
    assert_eq!(datagram.take(&v4(2960, 1480, true)), Ok(1480));
    let early = v4(1480, 40, false);
    assert_eq!(datagram.take(&early), Err(Reason::OverlappingFragment));
    assert_eq!(datagram.progress.stage, stage::SPOILT);
}

#[test]
fn overlap_spoils_all_that_follows() {
    for bad in [
        // Over the transport header, over the end of the first, over one another.
        v4(8, 16, true),
        v4(1472, 1480, true),
        v4(2952, 100, true),
    ] {
        let mut datagram = passed();
        datagram.take(&v4(1480, 1480, true)).expect("in order");
        assert_eq!(datagram.take(&bad), Err(Reason::OverlappingFragment));
        let rest = v4(2960, 40, false);
        assert_eq!(datagram.take(&rest), Err(Reason::OverlappingFragment));
    }
}

#[test]
fn a_datagram_has_one_end() {
    for bad in [v4(2960, 48, false), v4(2960, 32, false), v4(3000, 8, true)] {
        let mut datagram = passed();
        datagram.take(&v4(2960, 40, false)).expect("the end");
        assert_eq!(
            datagram.take(&bad),
            Err(Reason::OverlappingFragment),
            "{bad:?}"
        );
    }
}

/// The end of a datagram is where data ends: an empty last fragment must not make it complete.
#[test]
fn an_empty_fragment_spoils_its_datagram() {
    for empty in [v4(1480, 0, true), v4(1488, 0, true), v4(2960, 0, false)] {
        let mut datagram = passed();
        let spoilt = Err(Reason::OverlappingFragment);
        assert_eq!(datagram.take(&empty), spoilt, "{empty:?}");
        assert_eq!(datagram.take(&v4(1480, 1480, true)), spoilt, "{empty:?}");
    }
}

#[test]
fn fragments_of_a_dropped_datagram_are_dropped() {
    let mut datagram = remembered(&v4(0, 1480, true), Verdict::Drop);
    let later = v4(1480, 40, false);
    assert_eq!(datagram.take(&later), Err(Reason::FragmentOfDropped));
    assert_eq!(datagram.tuple(&later), None);
}

#[test]
fn a_second_first_fragment() {
    // The same once more: dropped, and no harm done.
    let mut datagram = passed();
    let first = v4(0, 1480, true);
    assert_eq!(
        datagram.begin_again(&first),
        Err(Reason::OverlappingFragment)
    );
    assert_eq!(datagram.take(&v4(1480, 40, false)), Ok(40));
    // Complete: its number may be used again.
    assert_eq!(datagram.begin_again(&first), Ok(()));
    // Another one: both are lost, and a third begins anew.
    let mut datagram = passed();
    let other = Meta { dport: 54, ..first };
    assert_eq!(
        datagram.begin_again(&other),
        Err(Reason::OverlappingFragment)
    );
    assert!(datagram.take(&v4(1480, 40, false)).is_err());
    assert_eq!(datagram.begin_again(&first), Ok(()));
}

#[test]
fn whose_fragment_it_is() {
    let later = v4(1480, 40, false);
    let datagram = passed();
    assert!(datagram.is_of(&later, START));
    assert!(datagram.is_of(&later, START + LIFE * HZ - 1));
    assert!(!datagram.is_of(&later, START + LIFE * HZ));
    let icmp = proto::ICMP;
    for other in [
        Meta {
            frag_id: 78,
            ..later
        },
        Meta {
            dst: [3; 16],
            ..later
        },
        Meta {
            proto: icmp,
            ..later
        },
    ] {
        assert!(!datagram.is_of(&other, START));
    }
    // IPv6 numbers all protocols together; a later fragment may name an extension header.
    let first = fragment(Family::V6, 0, 1448, true);
    let datagram = remembered(&first, Verdict::Pass);
    let later = Meta {
        proto: 60,
        ..fragment(Family::V6, 1448, 8, false)
    };
    assert!(datagram.is_of(&later, START));
    assert_eq!(
        FragmentKey::of(&first, 0, false),
        FragmentKey::of(&later, 0, false)
    );
}

#[test]
fn a_source_has_so_many_places_and_no_more() {
    let key = |id: u32, egress| {
        let meta = Meta {
            frag_id: id,
            ..v4(0, 8, true)
        };
        FragmentKey::of(&meta, 5, egress)
    };
    let mut places: Vec<u8> = (0..1000).map(|id| key(id, false).place).collect();
    let first: std::collections::HashSet<u8> = places.iter().take(PLACES.into()).copied().collect();
    assert_eq!(
        first.len(),
        usize::from(PLACES),
        "numbers in order do not meet"
    );
    places.sort_unstable();
    assert_eq!(places.last(), Some(&(PLACES - 1)));
    assert_ne!(key(1, true), key(1, false), "the host's own are others");
}

fn flow_after(first: &TcpSegment, config: &Config) -> Flow {
    let mut flow = Flow::default();
    flow.legs[0].end = first.seq + u32::from(first.payload);
    flow.legs[0].maxend = first.seq + 2000;
    flow.legs[1].maxwin = 100;
    flow.legs[0].bytes = u64::from(config.accounting);
    flow
}

#[test]
fn a_segment_ends_where_its_last_fragment_does() {
    let tcp = TcpSegment {
        seq: 5000,
        payload: 1460,
        flags: ACK | PSH,
        ..TcpSegment::default()
    };
    let first = Meta {
        proto: proto::TCP,
        tcp,
        ..v4(0, 1480, true)
    };
    let config = support::defaults();
    let mut datagram = remembered(&first, Verdict::Pass);
    let mut flow = flow_after(&tcp, &config);
    datagram.add_to(&mut flow, Dir::Original, 500, &config);
    assert_eq!((flow.legs[0].end, flow.legs[0].bytes), (5000 + 1960, 501));
    assert_eq!(flow.legs[1].maxwin, 100);
    // Beyond what was offered: the receiver is held to have more room, as for a whole segment.
    datagram.add_to(&mut flow, Dir::Original, 90, &config);
    assert_eq!((flow.legs[0].end, flow.legs[1].maxwin), (5000 + 2050, 150));

    // A segment that was not learnt from moves nothing.
    let mut datagram = remembered(&first, Verdict::Pass);
    let mut flow = flow_after(&tcp, &config);
    flow.legs[0].end -= 1;
    datagram.add_to(&mut flow, Dir::Original, 500, &config);
    assert_eq!(flow.legs[0].end, 5000 + 1459);
}
