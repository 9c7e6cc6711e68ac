//! The routing phase: what the kernel's tables say of a packet decides whether its flow is kept.

use std::net::IpAddr;

use fw_common::Reason;
use fw_common::abi::IfaceConfig;
use xtask::lab::{Lab, root_or_skip};

use crate::frames::{self, end};
use crate::harness::{Program, XDP_PASS};
use crate::router::sh;

/// A program behind the client's port of a lab's router.
struct Router {
    program: Program,
    lab: Lab,
}

impl Router {
    fn up() -> Self {
        let lab = Lab::up("routes").expect("a lab");
        sh(
            lab.router(),
            "ip route add blackhole 203.0.113.0/25 && ip route add unreachable 203.0.113.128/25 && \
             ip route add prohibit 2001:db8:bad::/48 && \
             ip neigh replace 10.0.0.2 lladdr 02:00:00:00:02:02 dev eth1 nud permanent",
        );
        let mut program = Program::load(|_| {});
        program.come_in_by(lab.router().interface("eth0").expect("a port"));
        program.set_iface(IfaceConfig::default());
        Self { program, lab }
    }

    /// The reason with which a frame ends, and how many flows there are then.
    fn reason(&mut self, frame: &[u8]) -> (Reason, usize) {
        self.program.clear();
        let program = &mut self.program;
        let end = self.lab.router().enter(|| program.reason(frame));
        let (reason, action) = end.expect("in the router");
        assert_eq!(action, XDP_PASS, "the kernel has to answer");
        (reason, self.program.flows().len())
    }
}

/// A datagram to `to` with the TTL or hop limit `ttl`.
fn datagram(to: &str, ttl: u8) -> Vec<u8> {
    let from = if to.starts_with('[') {
        "[2001:db8:1::2]:1000"
    } else {
        "192.168.1.2:1000"
    };
    let (from, to) = (end(from), end(to));
    let mut frame = frames::udp(from, to, b"data");
    match from.addr {
        IpAddr::V4(_) => {
            frame[22] = ttl;
            let fixed = etherparse::Ipv4HeaderSlice::from_slice(&frame[14..34]);
            let sum = fixed.expect("a header").to_header().calc_header_checksum();
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        IpAddr::V6(_) => frame[21] = ttl,
    }
    frame
}

#[test]
fn only_what_the_stack_will_deliver_leaves_a_flow() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up();
    for (to, ttl, reason, flows) in [
        ("10.0.0.2:53", 64, Reason::Accepted, 1),
        ("10.0.0.2:53", 2, Reason::Accepted, 1),
        ("10.0.0.2:53", 1, Reason::TtlExpired, 0),
        // The next hop is not known yet.
        ("10.0.0.77:53", 64, Reason::Accepted, 1),
        ("10.0.0.77:53", 1, Reason::TtlExpired, 0),
        // The router itself takes what is for it, however old.
        ("192.168.1.1:53", 1, Reason::Accepted, 1),
        ("10.0.0.1:53", 1, Reason::Accepted, 1),
        ("192.168.1.255:53", 1, Reason::Accepted, 1),
        ("224.0.0.5:53", 1, Reason::Accepted, 1),
        ("203.0.113.1:53", 64, Reason::Unroutable, 0),
        ("203.0.113.200:53", 64, Reason::Unroutable, 0),
        ("[2001:db8:2::2]:53", 64, Reason::Accepted, 1),
        ("[2001:db8:2::2]:53", 1, Reason::TtlExpired, 0),
        ("[2001:db8:1::1]:53", 1, Reason::Accepted, 1),
        ("[2001:db8:bad::1]:53", 64, Reason::Unroutable, 0),
    ] {
        let seen = router.reason(&datagram(to, ttl));
        assert_eq!(seen, (reason, flows), "to {to} with TTL {ttl}");
    }
}

#[test]
fn an_interface_that_does_not_forward_delivers_to_the_host_only() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up();
    sh(
        router.lab.router(),
        "sysctl -qw net.ipv4.conf.eth0.forwarding=0",
    );
    let (reason, _) = router.reason(&datagram("10.0.0.2:53", 1));
    assert_eq!(reason, Reason::Accepted);
}

#[test]
fn the_last_hop_of_a_known_flow_is_counted_in_it() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up();
    let (fresh, old) = (datagram("10.0.0.2:53", 64), datagram("10.0.0.2:53", 1));
    assert_eq!(router.reason(&fresh), (Reason::Accepted, 1));
    let program = &mut router.program;
    let end = router.lab.router().enter(|| program.reason(&old));
    assert_eq!(end.expect("in the router"), (Reason::TtlExpired, XDP_PASS));
    assert_eq!(router.program.flows()[0].flow.legs[0].packets, 2);
}
