//! What the short way asks before it sends a packet on: each question is the only one that keeps its packet from being
//! sent wrongly.

use fw_common::abi::{Counter, IfaceConfig, TraceOrder};
use fw_common::fasttrack::Left;
use xtask::lab::root_or_skip;

use crate::router::{CLIENTS, End, Ends, FIRST_HOP, Router, SECOND_HOP, SERVERS, THIRD_HOP, sh};

/// Flows that begin with the same next hop, and have routes of their own.
const FLOW: Ends = ("192.168.1.2:4000", "10.9.1.1:53");
const NEIGHBOUR: Ends = ("192.168.1.2:4000", "10.9.2.1:53");

/// The next hop that the flow had is still one, of another flow.
#[test]
fn a_flow_whose_route_has_changed_takes_the_new_one_at_once() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up("short");
    for (rules, generation) in [(None, 1), (Some("accept"), 3)] {
        sh(
            router.lab.router(),
            "ip route replace 10.9.1.0/24 via 10.0.0.2",
        );
        router.set_generation(generation);
        if let Some(rules) = rules {
            router.rules(rules);
        }
        router.establish(FLOW);
        router.establish(NEIGHBOUR);
        sh(
            router.lab.router(),
            "ip route replace 10.9.1.0/24 via 10.0.0.3",
        );
        router.set_generation(generation + 1);
        assert_eq!(router.send(CLIENTS, NEIGHBOUR), End::Long(FIRST_HOP));
        assert_eq!(router.send(CLIENTS, NEIGHBOUR), End::Short(FIRST_HOP));
        assert_eq!(router.send(CLIENTS, FLOW), End::Long(SECOND_HOP));
        assert_eq!(router.send(CLIENTS, FLOW), End::Short(SECOND_HOP));
    }
}

/// It is asked for once, and each packet is counted under the cause.
#[test]
fn what_is_left_to_the_kernel_is_counted_by_the_cause() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up("short");
    let (client, server) = FLOW;
    let second: Ends = ("192.168.1.2:4000", "10.2.0.2:53");
    let back: Ends = (server, client);
    // It is no interface of ours any more.
    router
        .program
        .set_beside(router.ports[2], IfaceConfig::default());
    router.send(CLIENTS, FLOW);
    router.send(SERVERS, back);
    let left = |router: &Router, cause| router.program.counter(Counter::of_left(cause));
    for _ in 0..3 {
        assert_eq!(router.send(CLIENTS, second), End::Kernel);
    }
    assert_eq!(
        (left(&router, Left::Egress), left(&router, Left::Route)),
        (3, 0)
    );
    sh(
        router.lab.router(),
        "ip route replace 10.9.1.0/24 via 192.168.1.2",
    );
    router.set_generation(2);
    for _ in 0..3 {
        assert_eq!(router.send(CLIENTS, FLOW), End::Kernel);
    }
    assert_eq!(
        (left(&router, Left::Egress), left(&router, Left::Route)),
        (3, 3)
    );
}

/// Out by where it came in a packet is not sent: its sender may be told of a better way.
#[test]
fn a_packet_that_comes_in_by_another_interface_is_asked_for_anew() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up("short");
    router.establish(FLOW);
    assert_eq!(router.send(SERVERS, FLOW), End::Kernel);
    router.rules("iifgroup 1 accept; udp sport 53 accept");
    router.establish(FLOW);
    assert_eq!(router.send(SERVERS, FLOW), End::Dropped);
    assert_eq!(router.send(CLIENTS, FLOW), End::Long(FIRST_HOP));
}

#[test]
fn a_verdict_on_the_first_packet_is_none_on_the_next() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up("short");
    router.rules("ct state new accept; ct direction reply accept");
    let (client, server) = FLOW;
    assert_eq!(router.send(CLIENTS, FLOW), End::Long(FIRST_HOP));
    // The second answer makes it ASSURED.
    for _ in 0..2 {
        let answer = router.send(SERVERS, (server, client));
        assert!(matches!(answer, End::Long(_)), "{answer:?}");
    }
    assert_eq!(router.send(CLIENTS, FLOW), End::Dropped);
}

/// A packet that somebody follows finds the flow's new next hop, but its verdict is not kept.
#[test]
fn a_verdict_holds_for_the_routes_that_it_was_found_with() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up("short");
    router.rules("oifgroup 2 accept; udp sport 53 accept");
    router.establish(FLOW);
    sh(
        router.lab.router(),
        "ip route replace 10.9.1.0/24 via 10.2.0.2",
    );
    router.set_generation(2);
    router.program.trace(TraceOrder {
        until: u64::MAX,
        left: 1,
        ..TraceOrder::all()
    });
    assert_eq!(router.send(CLIENTS, FLOW), End::Dropped);
    router.program.trace(TraceOrder::all());
    assert_eq!(router.send(CLIENTS, FLOW), End::Dropped);
    router.rules("oifgroup 3 accept; udp sport 53 accept");
    assert_eq!(router.send(CLIENTS, FLOW), End::Long(THIRD_HOP));
}

/// Nobody sees what else comes that the packets must not bypass. They are judged all the same.
#[test]
fn without_the_daemons_word_the_kernel_forwards() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up("short");
    let other: Ends = ("192.168.1.2:4001", "10.9.1.1:53");
    for (rules, generation) in [
        (None, 1),
        (Some("udp sport 53 accept; udp dport 53 accept"), 2),
    ] {
        router.set_generation(generation);
        if let Some(rules) = rules {
            router.rules(rules);
        }
        router.establish(FLOW);
        router.vouch(generation, 0);
        let (client, server) = FLOW;
        for _ in 0..2 {
            assert_eq!(router.send(CLIENTS, FLOW), End::Kernel);
            assert_eq!(router.send(SERVERS, (server, client)), End::Kernel);
        }
        assert_eq!(router.send(CLIENTS, other), End::Kernel, "a first packet");
        router.vouch(generation, u64::MAX);
        assert_eq!(router.send(CLIENTS, FLOW), End::Long(FIRST_HOP));
        assert_eq!(router.send(CLIENTS, FLOW), End::Short(FIRST_HOP));
    }
    router.vouch(2, 0);
    router.rules("udp dport 54 accept");
    assert_eq!(router.send(CLIENTS, FLOW), End::Dropped);
}
