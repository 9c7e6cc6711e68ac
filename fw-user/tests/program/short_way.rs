//! What the short way asks before it sends a packet on. Here no news raises the generation of the routes but the
//! test's own, so each question is the only one that keeps its packet from being sent wrongly.

use fw_common::abi::{Counter, IfaceConfig, IfaceFlags, LinkKey, Routing, TraceOrder};
use fw_common::ruleset::Link;
use fw_user::rules::load_text;
use xtask::lab::{Lab, root_or_skip};

use crate::frames::{self, end};
use crate::harness::{HZ, Program, XDP_DROP, XDP_PASS, XDP_REDIRECT};
use crate::routes::sh;
use crate::rulesets::compiled;

/// The router's interfaces: their number in the list of [`Router::ports`]; their group is one more.
const CLIENTS: usize = 0;
const SERVERS: usize = 1;

/// Last byte of the hardware addresses of next hops: of hosts behind SERVERS, and of one behind the third interface.
const FIRST_HOP: u8 = 2;
const SECOND_HOP: u8 = 3;
const THIRD_HOP: u8 = 4;

const NETWORK: &str = "
    ip link add eth2 type veth peer name far2 && ip addr add 10.2.0.1/24 dev eth2
    ip link set eth2 up && ip link set far2 up
    ip neigh replace 192.168.1.2 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
    ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev eth1 nud permanent
    ip neigh replace 10.0.0.3 lladdr 02:00:00:00:00:03 dev eth1 nud permanent
    ip neigh replace 10.2.0.2 lladdr 02:00:00:00:00:04 dev eth2 nud permanent
    ip route add 10.9.1.0/24 via 10.0.0.2
    ip route add 10.9.2.0/24 via 10.0.0.2";

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It left by the short way, to the next hop with this last byte of its hardware address.
    Short(u8),
    /// It left by the long way.
    Long(u8),
    /// It is the kernel's.
    Kernel,
    Dropped,
}

/// A program at all ports of a router.
struct Router {
    program: Program,
    lab: Lab,
    ports: [u32; 3],
}

/// Client and server of a flow.
type Ends = (&'static str, &'static str);

/// Flows that begin with the same next hop, and have routes of their own.
const FLOW: Ends = ("192.168.1.2:4000", "10.9.1.1:53");
const NEIGHBOUR: Ends = ("192.168.1.2:4000", "10.9.2.1:53");

impl Router {
    fn up() -> Self {
        let lab = Lab::up("short").expect("a lab");
        sh(lab.router(), NETWORK);
        let ports = ["eth0", "eth1", "eth2"].map(|name| {
            let index = lab.router().interface(name);
            index.expect("an interface")
        });
        let mut program = Program::load(|config| {
            config.fasttrack = 1;
            // A flow is ASSURED with its first answer.
            config.udp_stream_after = 0;
        });
        let set_up = || {
            for port in ports {
                program.come_in_by(port);
                program.set_iface(IfaceConfig {
                    flags: IfaceFlags::FORWARD | IfaceFlags::TARGET | IfaceFlags::XMIT,
                    ..IfaceConfig::default()
                });
                program.leave_by(port);
            }
        };
        lab.router().enter(set_up).expect("in the router");
        let links = ports.iter().zip(1..).map(|(port, group)| {
            let link = Link {
                index: *port,
                kind: 1,
                group,
                name: [0; 4],
            };
            let key = LinkKey {
                port: *port,
                vlan: 0,
            };
            (key, link)
        });
        let links: Vec<_> = links.collect();
        program.links().write(&links).expect("links");
        let mut router = Self {
            program,
            lab,
            ports,
        };
        router.set_generation(1);
        router
    }

    /// The routes' generation. First packets may leave straight, too.
    fn set_generation(&mut self, generation: u32) {
        self.program.set_routing(Routing {
            generation,
            enabled: Routing::ESTABLISHED | Routing::FIRST,
            until: u64::MAX,
        });
    }

    /// Puts rules for forwarded packets into force; all others are dropped.
    fn rules(&mut self, rules: &str) {
        let chain = format!("type filter hook forward priority 0; policy drop; {rules}");
        let text = format!("table inet t {{ chain c {{ {chain}; }}; }}\n");
        let ruleset = load_text("text", &text).ruleset.expect("rules");
        let now = self.program.clock().now();
        let loaded = self.program.ruleset().load(&compiled(&ruleset), now, HZ);
        loaded.expect("loading");
    }

    /// Sends a datagram in by a port.
    fn send(&mut self, port: usize, (from, to): Ends) -> End {
        let frame = frames::udp(end(from), end(to), b"data");
        self.program.come_in_by(self.ports[port]);
        let program = &self.program;
        let short = || program.counter(Counter::SHORT) + program.counter(Counter::SHORT_REPLY);
        let before = short();
        let exchange = || program.exchange(&frame);
        let (action, frame) = self.lab.router().enter(exchange).expect("in the router");
        match action {
            XDP_PASS => End::Kernel,
            XDP_DROP => End::Dropped,
            XDP_REDIRECT if short() > before => End::Short(frame[5]),
            XDP_REDIRECT => End::Long(frame[5]),
            other => panic!("XDP action {other}"),
        }
    }

    /// Has a flow's packets go by the short way.
    fn establish(&mut self, (client, server): Ends) {
        for _ in 0..2 {
            self.send(CLIENTS, (client, server));
            self.send(SERVERS, (server, client));
        }
        assert_eq!(self.send(CLIENTS, (client, server)), End::Short(FIRST_HOP));
    }
}

/// The next hop that the flow had is still one, of another flow.
#[test]
fn a_flow_whose_route_has_changed_takes_the_new_one_at_once() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up();
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

/// Out by where it came in a packet is not sent: its sender may be told of a better way.
#[test]
fn a_packet_that_comes_in_by_another_interface_is_asked_for_anew() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up();
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
    let mut router = Router::up();
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
    let mut router = Router::up();
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
