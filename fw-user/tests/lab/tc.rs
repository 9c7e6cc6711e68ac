//! Filtering at TC ingress: what the stack has of a packet arrives as it is, however long, and whoever is to
//! finish its checksum.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use aya::programs::SchedClassifier;
use aya::programs::tc::TcAttachType;
use rustix::process::Signal;
use serde_json::Value;
use xtask::lab::{CLIENT_V4, CLIENT_V6, Lab, SERVER_V4, SERVER_V6, root_or_skip};
use xtask::traffic::{Tcp, Udp};

use crate::fasttrack::counted;
use crate::firewall::{Firewall, run};
use crate::takeover::{await_rounds, ids};
use crate::watcher::eventually;

pub(crate) const PAIRS: [(IpAddr, IpAddr); 2] = [(CLIENT_V4, SERVER_V4), (CLIENT_V6, SERVER_V6)];
const PORTS: [&str; 2] = ["eth0", "eth1"];
/// What veth does by itself: checksums, cutting up and tags are left to a NIC that is not there.
const OFFLOADS: &str = "tx on tso on gso on txvlan on rxvlan on";

/// A lab in which the hosts leave to their NICs what hosts leave to NICs.
pub(crate) fn offloading(label: &str) -> Lab {
    let lab = Lab::up(label).expect("a lab");
    for (host, interfaces) in [
        (lab.client(), &PORTS[..1]),
        (lab.server(), &PORTS[..1]),
        (lab.router(), &PORTS),
    ] {
        for interface in interfaces {
            run(host, &format!("ethtool -K {interface} {OFFLOADS}"));
        }
    }
    lab
}

fn tcp(lab: &Lab, (from, to): (IpAddr, IpAddr), port: u16) -> Tcp {
    let (client, server) = (lab.client(), lab.server());
    Tcp::open(client, (from, port).into(), server, (to, 80).into()).expect("a connection")
}

/// The JSON of the flow of a client's port.
fn flow(firewall: &Firewall<'_>, port: u16) -> Value {
    let text = firewall.text(&["list", "-o", "json", "--sport", &port.to_string()]);
    let flows: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(flows.as_array().map(Vec::len), Some(1), "{text}");
    flows[0].clone()
}

fn modes(firewall: &Firewall<'_>) -> Vec<String> {
    let status: Value =
        serde_json::from_str(&firewall.text(&["status", "-o", "json"])).expect("JSON");
    let interfaces = status["interfaces"].as_array().expect("an array").iter();
    interfaces
        .map(|interface| interface["mode"].as_str().expect("a word").to_owned())
        .collect()
}

#[test]
fn long_pieces_of_a_stream_stay_whole() {
    if !root_or_skip() {
        return;
    }
    let lab = offloading("tc-bulk");
    let firewall = Firewall::start(&lab, &["--drop-invalid"]);
    assert_eq!(modes(&firewall), ["tc", "tc"], "chosen by itself");
    let status = firewall.text(&["status"]);
    assert!(status.contains("TCP segments stay whole"), "{status}");
    assert!(status.contains("forwarded at tc"), "{status}");
    for (n, ends) in PAIRS.into_iter().enumerate() {
        let port = 4000 + n as u16;
        let before = counted(&firewall, "fasttracked");
        let mut tcp = tcp(&lab, ends, port);
        tcp.echo(&[7; 4_000_000]).expect("data goes both ways");
        let flow = flow(&firewall, port);
        assert!(counted(&firewall, "fasttracked") > before + 100, "{flow}");
        for dir in ["original", "reply"] {
            let figure = |name: &str| flow[dir][name].as_u64().expect("a number");
            // Most of what went the other way are acknowledgements.
            let (packets, bytes) = (figure("packets"), figure("bytes"));
            assert!(bytes > 4_000_000 && bytes / packets > 2000, "{flow}");
        }
        tcp.close().expect("closing");
        // The last acknowledgement may still be on its way.
        eventually("an offloaded flow in TIME_WAIT", || {
            let lines = firewall.list(&["-p", "tcp", "--sport", &port.to_string()]);
            lines[0].contains("TIME_WAIT") && lines[0].contains("[OFFLOAD]")
        });
    }
    assert_eq!(counted(&firewall, "bad_transport_checksum"), 0);
}

#[test]
fn pieces_are_no_longer_than_the_way_allows() {
    if !root_or_skip() {
        return;
    }
    let lab = offloading("tc-mtu");
    let firewall = Firewall::start(&lab, &["--hook", "tc"]);
    for (n, ends) in PAIRS.into_iter().enumerate() {
        run(lab.router(), "ip link set eth1 mtu 1500");
        run(lab.server(), "ip link set eth0 mtu 1500");
        let mut tcp = tcp(&lab, ends, 4000 + n as u16);
        tcp.echo(&[1; 400_000]).expect("data goes both ways");
        // In mid-connection the way gets narrower: the client hears so, and cuts smaller.
        let wide = firewall.generation();
        run(lab.router(), "ip link set eth1 mtu 1300");
        run(lab.server(), "ip link set eth0 mtu 1300");
        // Before the daemon has heard of it the pieces would still fit, as far as the programs know.
        eventually("a new generation of the routes", || {
            firewall.generation() != wide
        });
        let before = counted(&firewall, "left_mtu");
        tcp.echo(&[2; 400_000]).expect("data goes both ways");
        assert!(counted(&firewall, "left_mtu") > before);
    }
}

#[test]
fn kill_9_and_another_hook_lose_no_packet_and_open_no_hole() {
    if !root_or_skip() {
        return;
    }
    // Without long pieces, which XDP would not get.
    let lab = Lab::up("tc-switch").expect("a lab");
    let rules = lab.run_dir().join("switch.nft");
    let text = "table inet fw { chain through { type filter hook forward priority 0; policy accept; \
                udp dport 99 drop; }; }";
    std::fs::write(&rules, text).expect("a file");
    let rules = rules.display().to_string();
    let hook = |name: &'static str| ["--hook", name, "--rules", &rules];
    let mut firewall = Firewall::start(&lab, &hook("tc"));
    let (client, server) = (lab.client(), lab.server());
    let udp = |port, to| {
        Udp::open(
            client,
            (CLIENT_V4, port).into(),
            server,
            (SERVER_V4, to).into(),
        )
    };
    let (allowed, forbidden) = (
        udp(4000, 53).expect("sockets"),
        udp(4001, 99).expect("sockets"),
    );
    let mut tcp = tcp(&lab, PAIRS[0], 4002);
    allowed.query(b"first").expect("arrives");
    tcp.echo(b"first").expect("arrives");
    let before = ids(&firewall);

    let done = AtomicBool::new(false);
    let rounds = AtomicU64::new(0);
    std::thread::scope(|scope| {
        // Each datagram is awaited: a single lost one fails.
        let talk = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                forbidden.send(b"no way").expect("sent");
                allowed.query(b"ping").expect("no datagram is lost");
                allowed.answer(b"pong").expect("no answer is lost");
                tcp.echo(b"more").expect("the connection lives");
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        });
        for (name, mode) in [
            ("tc", "tc"),
            ("xdp", "native"),
            ("tc", "tc"),
            ("xdp", "native"),
        ] {
            await_rounds(&rounds, 50);
            firewall.end(Signal::KILL);
            // Without any daemon the kernel filters on.
            await_rounds(&rounds, 50);
            assert_eq!(ids(&firewall), before, "listed from the pins");
            firewall.run(&hook(name));
            assert_eq!(modes(&firewall), [mode; 2]);
            let at_tc = usize::from(name == "tc");
            assert_eq!(programs(&lab, TcAttachType::Ingress), at_tc);
            assert_eq!(ids(&firewall), before, "the same entries");
        }
        await_rounds(&rounds, 50);
        done.store(true, Ordering::Relaxed);
        talk.join().expect("the talk went on to its end");
    });
    let heard = forbidden.drain(std::time::Duration::from_millis(50));
    assert!(heard.is_empty(), "{} came through", heard.len());
    let links = run(lab.router(), "ip -d link show");
    assert_eq!(links.matches("prog/xdp").count(), 2, "{links}");
    assert!(firewall.end(Signal::TERM).success(), "a clean stop");
    for side in [TcAttachType::Ingress, TcAttachType::Egress] {
        assert_eq!(programs(&lab, side), 0, "after a clean stop");
    }
}

/// How many programs there are at a TC hook of the router's eth0.
fn programs(lab: &Lab, side: TcAttachType) -> usize {
    let found = lab
        .router()
        .enter(|| SchedClassifier::query_tcx("eth0", side));
    found.expect("in the host").expect("asked").1.len()
}
