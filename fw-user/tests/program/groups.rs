//! What the stack may forward though it is for a group, for everybody, or for the router itself as it seems: where a
//! switch for that is on, it has to pass the forward hook as well.

use fw_common::abi::{IfaceConfig, IfaceFlags};
use fw_user::rules::load_text;
use xtask::lab::root_or_skip;

use crate::frames::{self, end};
use crate::harness::{HZ, OPEN};
use crate::router::{CLIENTS, End, Router};
use crate::rulesets::compiled;

/// What is for the router itself passes, what it forwards does not.
const RULES: &str = "table inet t {
    chain i { type filter hook input priority 0; policy accept; }
    chain f { type filter hook forward priority 0; policy drop; }
}";

fn up() -> Router {
    let router = Router::up("groups");
    let rules = load_text("text", RULES).ruleset.expect("rules");
    let now = router.program.clock().now();
    let loaded = router.program.ruleset().load(&compiled(&rules), now, HZ);
    loaded.expect("loading");
    let look = || router.program.surroundings().look();
    let looked = router.lab.router().enter(look).expect("in the router");
    looked.expect("the router's addresses");
    router
}

/// A datagram, with options of IP if there are any.
fn datagram(from: &str, to: &str, options: &[u8]) -> Vec<u8> {
    let mut frame = frames::udp(end(from), end(to), b"data");
    if !options.is_empty() {
        frame.splice(34..34, options.iter().copied());
        frame[14] += (options.len() / 4) as u8;
        frame[17] += options.len() as u8;
        let header = etherparse::Ipv4HeaderSlice::from_slice(&frame[14..]).expect("a header");
        let sum = header.to_header().calc_header_checksum();
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    }
    frame
}

#[test]
fn what_the_stack_may_forward_has_to_pass_the_forward_hook() {
    if !root_or_skip() {
        return;
    }
    let mut router = up();
    let port = router.ports[CLIENTS];
    let (client, client6) = ("192.168.1.2:4000", "[2001:db8:1::2]:4000");
    // To 10.0.0.2 by way of the router (RFC 791), whose address is the destination so far.
    let loose = [131, 7, 4, 10, 0, 0, 2, 0];
    for (switch, from, to, options, dropped) in [
        (
            IfaceFlags::ROUTES_GROUPS4,
            client,
            "239.1.1.1:53",
            &[][..],
            true,
        ),
        (
            IfaceFlags::ROUTES_GROUPS4,
            client,
            "224.0.0.251:53",
            &[],
            false,
        ),
        (
            IfaceFlags::ROUTES_GROUPS4,
            client,
            "255.255.255.255:53",
            &[],
            false,
        ),
        (
            IfaceFlags::ROUTES_GROUPS4,
            client,
            "192.168.1.1:53",
            &[],
            false,
        ),
        (
            IfaceFlags::ROUTES_GROUPS6,
            client6,
            "[ff05::2]:53",
            &[],
            true,
        ),
        (
            IfaceFlags::ROUTES_GROUPS6,
            client6,
            "[ff02::fb]:53",
            &[],
            false,
        ),
        (
            IfaceFlags::ROUTES_BROADCASTS,
            client,
            "10.0.0.255:53",
            &[],
            true,
        ),
        (
            IfaceFlags::ROUTES_BROADCASTS,
            client,
            "192.168.1.1:53",
            &[],
            false,
        ),
        (
            IfaceFlags::ROUTES_BROADCASTS,
            client,
            "10.0.0.1:53",
            &[],
            false,
        ),
        (
            IfaceFlags::SOURCE_ROUTES4,
            client,
            "192.168.1.1:53",
            &loose,
            true,
        ),
        (
            IfaceFlags::SOURCE_ROUTES4,
            client,
            "192.168.1.1:53",
            &[],
            false,
        ),
    ] {
        for on in [false, true] {
            let flags = IfaceFlags::PORT | OPEN | if on { switch } else { 0 };
            let about = IfaceConfig {
                flags,
                index: port,
                ..IfaceConfig::default()
            };
            router.program.set_beside(port, about);
            router.program.clear();
            let end = router.exchange(port, &datagram(from, to, options)).0;
            let expected = if on && dropped {
                End::Dropped
            } else {
                End::Kernel
            };
            assert_eq!(end, expected, "{to} {options:?}, switch {on}");
        }
    }
}
