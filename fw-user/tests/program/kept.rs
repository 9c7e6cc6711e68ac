//! What is kept of a flow holds for no packet that the rules would judge otherwise.

use etherparse::icmpv4::DestUnreachableHeader;
use etherparse::{Icmpv4Type, PacketBuilder};
use fw_common::abi::{IfaceConfig, IfaceFlags, LOCKED, Routing, UNLOCKED};
use fw_user::rules::compile::compile;
use fw_user::rules::{System, load_text};
use xtask::lab::root_or_skip;

use crate::frames::{self, end};
use crate::harness::{HZ, OPEN};
use crate::paths::mend;
use crate::router::{CLIENTS, End, Router, SERVERS, sh};
use crate::segments::segment;

const CLIENT: &str = "192.168.1.2:1000";
const SERVER: &str = "10.0.0.2:53";

fn with_tos(frame: &[u8], tos: u8) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[15] = tos;
    mend(&mut frame);
    frame
}

/// The frame with a loose source route to `10.0.0.2`.
fn source_routed(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame.splice(34..34, [131, 7, 4, 10, 0, 0, 2, 0]);
    frame[14] += 2;
    frame[17] += 8;
    mend(&mut frame);
    frame
}

/// The IPv6 frame with an extension header of type `kind` behind the first one.
fn extended(frame: &[u8], kind: u8, header: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[20] = kind;
    frame[19] += u8::try_from(header.len()).expect("a short header");
    frame.splice(54..54, header.iter().copied());
    frame
}

fn exchange(router: &mut Router, port: usize, frame: &[u8]) -> End {
    router.exchange(router.ports[port], frame).0
}

/// Sends `first` alone, which has to be dropped; then twice `usual` of the same flow, which passes; then `first` again.
fn assert_dropped_in_any_order(router: &mut Router, first: &[u8], usual: &[u8]) {
    assert_eq!(exchange(router, CLIENTS, first), End::Dropped, "alone");
    router.program.clear();
    for _ in 0..2 {
        assert_ne!(exchange(router, CLIENTS, usual), End::Dropped);
    }
    assert_eq!(
        exchange(router, CLIENTS, first),
        End::Dropped,
        "after others"
    );
    assert_ne!(
        exchange(router, CLIENTS, usual),
        End::Dropped,
        "and after it"
    );
}

#[test]
fn a_mark_set_before_conntrack_is_asked_for_with_each_packet() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up("kept-mark");
    router.load(
        "table inet t {
            chain p { type filter hook prerouting priority -300; ip dscp 46 meta mark set 1; }
            chain f { type filter hook forward priority 0; meta mark 1 drop; }
        }",
    );
    let usual = frames::udp(end(CLIENT), end(SERVER), b"data");
    let marked = with_tos(&usual, 46 << 2);
    assert_dropped_in_any_order(&mut router, &marked, &usual);
    // Of an established flow, too.
    let answer = frames::udp(end(SERVER), end(CLIENT), b"data");
    for _ in 0..3 {
        assert_ne!(exchange(&mut router, SERVERS, &answer), End::Dropped);
        assert_ne!(exchange(&mut router, CLIENTS, &usual), End::Dropped);
    }
    assert_eq!(exchange(&mut router, CLIENTS, &marked), End::Dropped);
}

#[test]
fn what_the_host_sends_is_judged_by_where_it_leaves() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up("kept-out");
    router.load(
        "table inet t {
            chain o { type filter hook output priority 0; policy drop; oifgroup 2 accept; }
        }",
    );
    let frame = frames::udp(end("[fe80::1]:5353"), end("[ff02::fb]:5353"), b"data");
    let mut leave = |port: usize| {
        router.program.come_in_by(router.ports[port]);
        let program = &router.program;
        let out = || program.run_out(&frame);
        router.lab.router().enter(out).expect("in the router")
    };
    let (good, bad) = (1, 2);
    let refused = leave(bad);
    let accepted = leave(good);
    assert_ne!(refused, accepted);
    assert_eq!(
        [leave(good), leave(bad), leave(good)],
        [accepted, refused, accepted]
    );
}

#[test]
fn source_routes_have_to_pass_both_hooks() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up("kept-source");
    router.load(
        "table inet t {
            chain i { type filter hook input priority 0; }
            chain f { type filter hook forward priority 0; policy drop; }
        }",
    );
    router.program.come_in_by(router.ports[CLIENTS]);
    router.program.set_iface(IfaceConfig {
        flags: OPEN | IfaceFlags::SOURCE_ROUTES4 | IfaceFlags::SOURCE_ROUTES6,
        ..IfaceConfig::default()
    });
    let usual = frames::udp(end(CLIENT), end("192.168.1.1:53"), b"data");
    assert_dropped_in_any_order(&mut router, &source_routed(&usual), &usual);

    let (from, to) = ("[2001:db8:1::2]:1000", "[2001:db8:1::1]:53");
    let usual = frames::udp(end(from), end(to), b"data");
    // A segment routing header: two units more, type 4, one segment left, last entry 0.
    let mut segments = vec![17, 2, 4, 1, 0, 0, 0, 0];
    let next: std::net::Ipv6Addr = "2001:db8:2::2".parse().expect("an address");
    segments.extend(next.octets());
    assert_dropped_in_any_order(&mut router, &extended(&usual, 43, &segments), &usual);
}

/// The kernel's tables have routes that not all packets of a flow take: nothing leaves straight.
fn routes_differ(router: &mut Router, commands: &str) {
    sh(router.lab.router(), commands);
    router.program.set_routing(Routing {
        generation: 1,
        enabled: 0,
        until: u64::MAX,
    });
    router.rules("oifgroup 2 accept");
}

#[test]
fn types_of_service_that_are_routed_elsewhere_are_judged_by_that() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up("kept-tos");
    let route = "ip route add 10.9.1.0/24 tos 0x10 via 10.2.0.2";
    routes_differ(&mut router, route);
    let usual = frames::udp(end(CLIENT), end("10.9.1.1:53"), b"data");
    assert_dropped_in_any_order(&mut router, &with_tos(&usual, 0x10), &usual);
}

#[test]
fn fragments_that_are_routed_elsewhere_are_judged_by_that() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up("kept-fragment");
    let routes = "ip rule add ipproto udp dport 53 lookup 100
        ip route add 10.9.1.0/24 via 10.2.0.2 table 100";
    routes_differ(&mut router, routes);
    router.rules("oifgroup 3 accept");
    let usual = frames::udp(end(CLIENT), end("10.9.1.1:53"), b"sixteen bytes...");
    let mut first = usual.clone();
    first[20] = 0x20;
    mend(&mut first);
    assert_dropped_in_any_order(&mut router, &first, &usual);
}

#[test]
fn an_icmp_error_whose_flow_is_busy_is_dropped() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up("kept-error");
    router.load(
        "table inet t {
            chain f { type filter hook forward priority 0
                ct mark 7 drop
                ct state new ct mark set 7
            }
        }",
    );
    let datagram = frames::udp(end(CLIENT), end(SERVER), b"data");
    let unreachable = Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Host);
    let error = PacketBuilder::ethernet2(frames::SENDER, frames::ROUTER)
        .ipv4([10, 0, 0, 2], [192, 168, 1, 2], 64)
        .icmpv4(unreachable);
    let mut frame = Vec::new();
    error.write(&mut frame, &datagram[14..42]).expect("a frame");
    assert_ne!(exchange(&mut router, CLIENTS, &datagram), End::Dropped);
    assert_eq!(exchange(&mut router, SERVERS, &frame), End::Dropped);
    router.program.set_locks(LOCKED);
    assert_eq!(exchange(&mut router, SERVERS, &frame), End::Dropped, "busy");
    router.program.set_locks(UNLOCKED);
    router.rules("ct state related accept");
    assert_ne!(exchange(&mut router, SERVERS, &frame), End::Dropped);
}

#[test]
fn only_a_vlan_that_is_known_has_an_interface() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up("kept-tags");
    let port = router.ports[CLIENTS];
    let plain = frames::udp(end(CLIENT), end(SERVER), b"data");
    let tagged = |tags: &[u8]| {
        let mut frame = plain.clone();
        frame.splice(12..12, tags.iter().copied());
        frame
    };
    let customer = tagged(&[0x81, 0, 0, 10]);
    router.load(
        "table inet t {
            chain p { type filter hook prerouting priority 0; iifgroup 9 drop; }
        }",
    );
    assert_eq!(
        router.exchange(port, &customer).0,
        End::Dropped,
        "nobody knows it"
    );
    router.link((port, 10), 77, 9);
    assert_eq!(
        router.exchange(port, &customer).0,
        End::Dropped,
        "by the rule"
    );
    assert_ne!(router.exchange(port, &plain).0, End::Dropped);

    router.load(
        "table inet t {
            chain p { type filter hook prerouting priority 0; policy drop; iifgroup 9 accept; }
        }",
    );
    assert_ne!(router.exchange(port, &customer).0, End::Dropped);
    for tags in [&[0x88, 0xa8, 0, 10][..], &[0x81, 0, 0, 10, 0x81, 0, 0, 20]] {
        router.program.clear();
        assert_eq!(
            router.exchange(port, &tagged(tags)).0,
            End::Dropped,
            "{tags:?}"
        );
    }
    // A failsafe port is open all the same.
    let failsafe = vec!["tcp:22".parse().expect("a failsafe port")];
    let text = "table inet t {
            chain i { type filter hook input priority 0; iifgroup 9 drop; }
        }";
    let ruleset = load_text("text", text).ruleset.expect("rules");
    let compiled = compile(&ruleset, &System::new(failsafe, HZ)).expect("instructions");
    let now = router.program.clock().now();
    let loaded = router.program.ruleset().load(&compiled, now, HZ);
    loaded.expect("loading");
    for (port, fate) in [(22, End::Kernel), (23, End::Dropped)] {
        let mut frame = frames::tcp(
            end(CLIENT),
            end(&format!("192.168.1.1:{port}")),
            &segment("S", 7, 0),
        );
        frame.splice(12..12, [0x81, 0, 0, 11]);
        assert_eq!(exchange(&mut router, CLIENTS, &frame), fate, "{port}");
    }
    // Who asks for no interface need not know it.
    router.load(
        "table inet t { chain p { type filter hook prerouting priority 0; udp dport 99 drop; }\n}",
    );
    assert_ne!(
        router.exchange(port, &tagged(&[0x81, 0, 0, 11])).0,
        End::Dropped
    );
}
