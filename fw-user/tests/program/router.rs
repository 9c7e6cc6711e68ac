//! A router in network namespaces whose programs are run frame by frame. No news raises the generation of its routes
//! but the test's own.

use fw_common::abi::{Counter, LinkKey, Routing};
use fw_common::ruleset::Link;
use fw_user::rules::load_text;
use xtask::lab::{Host, Lab};

use crate::frames::{self, end};
use crate::harness::{HZ, Program, XDP_DROP, XDP_PASS, XDP_REDIRECT};
use crate::rulesets::compiled;

/// The router's ports: their number in [`Router::ports`]. Their group is one more.
pub(crate) const CLIENTS: usize = 0;
pub(crate) const SERVERS: usize = 1;

/// Last byte of the hardware addresses of next hops: of hosts behind SERVERS, and of one behind the third port.
pub(crate) const CLIENT: u8 = 1;
pub(crate) const FIRST_HOP: u8 = 2;
pub(crate) const SECOND_HOP: u8 = 3;
pub(crate) const THIRD_HOP: u8 = 4;

const NETWORK: &str = "
    ip link add eth2 type veth peer name far2 && ip addr add 10.2.0.1/24 dev eth2
    ip link set eth2 up && ip link set far2 up
    ip neigh replace 192.168.1.2 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
    ip neigh replace 2001:db8:1::2 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
    ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev eth1 nud permanent
    ip neigh replace 10.0.0.3 lladdr 02:00:00:00:00:03 dev eth1 nud permanent
    ip neigh replace 10.2.0.2 lladdr 02:00:00:00:00:04 dev eth2 nud permanent
    ip route add 10.9.1.0/24 via 10.0.0.2
    ip route add 10.9.2.0/24 via 10.0.0.2";

/// Runs a shell script in a network namespace, up to the first command that fails.
pub(crate) fn sh(host: &Host, command: &str) {
    let output = host.command("sh").args(["-ec", command]).output();
    let output = output.expect("running sh");
    assert!(output.status.success(), "{command}: {output:?}");
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It left by the short way, to the next hop with this last byte of its hardware address.
    Short(u8),
    /// It left by the long way.
    Long(u8),
    /// It is the kernel's.
    Kernel,
    Dropped,
}

/// A program at all ports of a router.
pub(crate) struct Router {
    pub(crate) program: Program,
    pub(crate) lab: Lab,
    pub(crate) ports: [u32; 3],
    links: Vec<(LinkKey, Link)>,
}

/// Client and server of a flow.
pub(crate) type Ends = (&'static str, &'static str);

impl Router {
    pub(crate) fn up(label: &str) -> Self {
        let lab = Lab::up(label).expect("a lab");
        sh(lab.router(), NETWORK);
        let ports = ["eth0", "eth1", "eth2"].map(|name| {
            let index = lab.router().interface(name);
            index.expect("an interface")
        });
        let mut program = Program::load(|config| {
            config.fasttrack = 1;
            // A flow is ASSURED with its second answer.
            config.udp_stream_after = 0;
        });
        let open = || ports.into_iter().for_each(|port| program.open(port));
        lab.router().enter(open).expect("in the router");
        let mut router = Self {
            program,
            lab,
            ports,
            links: Vec::new(),
        };
        for (port, group) in ports.into_iter().zip(1..) {
            router.link((port, 0), port, group);
        }
        router.set_generation(1);
        router
    }

    /// Has rules see frames that come in by `port` with a tag as those of an interface.
    pub(crate) fn link(&mut self, (port, vlan): (u32, u16), index: u32, group: u32) {
        let link = Link {
            index,
            kind: 1,
            group,
            name: [0; 4],
        };
        let vlan = vlan.into();
        self.links.push((LinkKey { port, vlan }, link));
        self.program.links().write(&self.links).expect("links");
    }

    /// The routes' generation. First packets may leave straight, too.
    pub(crate) fn set_generation(&mut self, generation: u32) {
        self.vouch(generation, u64::MAX);
    }

    /// [`Self::set_generation`], for which the daemon vouches until this tick.
    pub(crate) fn vouch(&mut self, generation: u32, until: u64) {
        self.program.set_routing(Routing {
            generation,
            enabled: Routing::ESTABLISHED | Routing::FIRST,
            until,
        });
    }

    /// Puts rules for forwarded packets into force. All others are dropped, and what is for the router itself.
    pub(crate) fn rules(&mut self, rules: &str) {
        self.load(&format!(
            "table inet t {{
                chain f {{ type filter hook forward priority 0; policy drop; {rules}; }}
                chain i {{ type filter hook input priority 0; policy drop; }}
            }}"
        ));
    }

    /// Puts a ruleset into force.
    pub(crate) fn load(&mut self, text: &str) {
        let loaded = load_text("text", text);
        let ruleset = loaded.ruleset;
        let ruleset = ruleset.unwrap_or_else(|| panic!("{}", loaded.report.render(false)));
        let now = self.program.clock().now();
        let loaded = self.program.ruleset().load(&compiled(&ruleset), now, HZ);
        loaded.expect("loading");
    }

    /// Sends a frame in by the interface with index `port`; what it is afterwards.
    pub(crate) fn exchange(&mut self, port: u32, frame: &[u8]) -> (End, Vec<u8>) {
        self.program.come_in_by(port);
        let before = self.short();
        let program = &self.program;
        let exchange = || program.exchange(frame);
        let (action, frame) = self.lab.router().enter(exchange).expect("in the router");
        let end = match action {
            XDP_PASS => End::Kernel,
            XDP_DROP => End::Dropped,
            XDP_REDIRECT if self.short() > before => End::Short(frame[5]),
            XDP_REDIRECT => End::Long(frame[5]),
            other => panic!("XDP action {other}"),
        };
        (end, frame)
    }

    /// How many packets took the short way.
    pub(crate) fn short(&self) -> u64 {
        self.program.counter(Counter::SHORT) + self.program.counter(Counter::SHORT_REPLY)
    }

    /// Sends a datagram in by a port.
    pub(crate) fn send(&mut self, port: usize, (from, to): Ends) -> End {
        let frame = frames::udp(end(from), end(to), b"data");
        self.exchange(self.ports[port], &frame).0
    }

    /// Has a flow's packets go by the short way.
    pub(crate) fn establish(&mut self, (client, server): Ends) {
        for _ in 0..2 {
            self.send(CLIENTS, (client, server));
            self.send(SERVERS, (server, client));
        }
        assert_eq!(self.send(CLIENTS, (client, server)), End::Short(FIRST_HOP));
    }
}
