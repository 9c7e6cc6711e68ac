//! The short way of established flows' packets, beside rules: what it leaves out is not missed.

use etherparse::PacketBuilder;
use fw_common::Reason;
use xtask::lab::{Lab, root_or_skip};

use crate::fasttrack::{PAIRS, counted, udp};
use crate::firewall::{Firewall, run};
use crate::frames::{mac, send};
use crate::watcher::eventually;

/// A flow is ASSURED with its first answer: only then it takes the short way.
const ASSURED_AT_ONCE: &[&str] = &["--udp-stream-after", "0"];

#[test]
fn rules_before_conntrack_see_packets_of_established_flows() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("fast-early").expect("a lab");
    let firewall = Firewall::start(&lab, ASSURED_AT_ONCE);
    for (family, port) in [("ip", 4000), ("ip6", 4001)] {
        let early = "type filter hook prerouting priority raw; policy accept; udp dport 53 counter";
        let later = "type filter hook forward priority filter; policy drop; udp dport 53 accept; udp sport 53 accept";
        let rules = format!(
            "table {family} early {{ chain first {{ {early}; }}; }}\n\
             table inet fw {{ chain later {{ {later}; }}; }}\n"
        );
        firewall.apply(&rules);
        let straight = counted(&firewall, "fasttracked");
        // Those of the other family meet no such rule, and leave by the short way.
        for (pair, port) in PAIRS.iter().zip([port, port + 10]) {
            let talk = udp(&lab, *pair, port);
            for _ in 0..10 {
                talk.query(b"data").expect("arrives");
                talk.answer(b"data").expect("arrives");
            }
        }
        let list = firewall.text(&["rules", "list"]);
        assert!(list.contains("udp dport 53 counter packets 10 "), "{list}");
        let straight = counted(&firewall, "fasttracked") - straight;
        assert!(straight >= 30, "{straight} of 40");
    }
}

#[test]
fn a_kept_verdict_ends_with_what_it_was_found_for() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("fast-group").expect("a lab");
    let firewall = Firewall::start(&lab, ASSURED_AT_ONCE);
    let chain = "type filter hook forward priority filter; policy accept; \
                 iifgroup 7 drop; iifgroup 6 counter";
    firewall.apply(&format!("table inet fw {{ chain c {{ {chain}; }}; }}\n"));
    let talk = udp(&lab, PAIRS[0], 4000);
    let speak = || {
        talk.query(b"data").expect("arrives");
        talk.answer(b"data").expect("arrives");
    };
    // It has nothing to do with where packets go, but rules ask of it.
    run(lab.router(), "ip link set eth0 group 6");
    eventually("it is of group 6", || {
        speak();
        !firewall
            .text(&["rules", "list"])
            .contains("counter packets 0 ")
    });
    (0..5).for_each(|_| speak());
    run(lab.router(), "ip link set eth0 group 7");
    let dropped = || counted(&firewall, "policy");
    eventually("it is dropped", || {
        let before = dropped();
        talk.send(b"data").expect("sending");
        dropped() > before
    });
}

#[test]
fn new_rules_hold_for_packets_of_established_flows() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("fast-reload").expect("a lab");
    let firewall = Firewall::start(&lab, ASSURED_AT_ONCE);
    let apply = |policy: &str| {
        let chain = format!("type filter hook forward priority filter; policy {policy}");
        firewall.apply(&format!("table inet fw {{ chain c {{ {chain}; }}; }}\n"));
    };
    let talk = udp(&lab, PAIRS[0], 4000);
    // News of neighbours let go of what is kept as well, so not each round is one of the rules alone.
    for dropped in 1..=20 {
        apply("accept");
        for _ in 0..3 {
            talk.query(b"data").expect("arrives");
            talk.answer(b"data").expect("arrives");
        }
        apply("drop");
        talk.send(b"data").expect("sending");
        eventually("it is dropped", || counted(&firewall, "policy") == dropped);
    }
}

/// A change to a frame, and what becomes of it then.
type Change = (fn(&mut [u8]), Reason);

/// Changes to a frame of an established flow, each of which the kernel would not forward it with.
const CHANGES: [Change; 4] = [
    (|frame| frame[5] ^= 1, Reason::OtherHost),
    (|frame| frame[24] ^= 1, Reason::BadIpChecksum),
    // TTL 1, and the checksum that goes with it.
    (
        |frame| {
            frame[24] = frame[24].wrapping_add(frame[22] - 1);
            frame[22] = 1;
        },
        Reason::TtlExpired,
    ),
    (|frame| frame[39] += 1, Reason::BadUdpLength),
];

#[test]
fn what_the_kernel_would_not_forward_is_not_sent_on() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("fast-odd").expect("a lab");
    let firewall = Firewall::start(&lab, ASSURED_AT_ONCE);
    let talk = udp(&lab, PAIRS[0], 4000);
    for _ in 0..2 {
        talk.query(b"data").expect("arrives");
        talk.answer(b"data").expect("arrives");
    }
    let (from, to) = (mac(lab.client(), "eth0"), mac(lab.router(), "eth0"));
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from, to)
        .ipv4([192, 168, 1, 2], [10, 0, 0, 2], 64)
        .udp(4000, 53)
        .write(&mut frame, b"data")
        .expect("writing to a vector");
    let ends = |frame: &[u8], reason: Reason| {
        let before = counted(&firewall, reason.name());
        send(&lab, frame);
        eventually(reason.name(), || counted(&firewall, reason.name()) > before);
    };
    ends(&frame, Reason::FastTracked);
    let straight = counted(&firewall, Reason::FastTracked.name());
    for (change, reason) in CHANGES {
        let mut changed = frame.clone();
        change(&mut changed);
        ends(&changed, reason);
    }
    assert_eq!(counted(&firewall, Reason::FastTracked.name()), straight);
}
