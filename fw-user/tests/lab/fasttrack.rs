//! Established flows leave straight from XDP: what arrives is what the kernel would have sent, and what
//! only the kernel can do is left to it.

use std::net::IpAddr;

use rustix::process::Signal;
use serde_json::Value;
use xtask::lab::{CLIENT_V4, CLIENT_V6, Host, Lab, SERVER_V4, SERVER_V6, root_or_skip};
use xtask::sys::packet::PacketSocket;
use xtask::traffic::Udp;

use crate::firewall::{Firewall, run};
use crate::frames::mac;
use crate::watcher::eventually;

pub(crate) const PAIRS: [(IpAddr, IpAddr); 2] = [(CLIENT_V4, SERVER_V4), (CLIENT_V6, SERVER_V6)];

/// How many packets have ended with `reason`, or were left to the kernel because of it.
pub(crate) fn counted(firewall: &Firewall<'_>, reason: &str) -> u64 {
    let stats = firewall.text(&["stats", "--total", "-o", "json"]);
    let stats: Value = serde_json::from_str(&stats).expect("JSON");
    let total = &stats["total"];
    let count = |group: &str| total[group][reason].as_u64();
    count("reasons").or_else(|| count("left")).unwrap_or(0)
}

/// Frames that come in at `host`'s eth0.
pub(crate) struct Tap(PacketSocket);

impl Tap {
    pub(crate) fn on(host: &Host) -> Self {
        let socket = host.enter(|| PacketSocket::open_receiving("eth0", 1 << 20));
        Self(socket.expect("in the host").expect("a packet socket"))
    }

    /// Every frame so far.
    pub(crate) fn frames(&self) -> Vec<Vec<u8>> {
        let mut buffer = vec![0; 65536];
        let mut frames = Vec::new();
        while let Some(len) = self.0.receive(&mut buffer).expect("receiving") {
            frames.push(buffer[..len].to_vec());
        }
        frames
    }
}

pub(crate) fn udp(lab: &Lab, (from, to): (IpAddr, IpAddr), port: u16) -> Udp {
    let (client, server) = (lab.client(), lab.server());
    Udp::open(client, (from, port).into(), server, (to, 53).into()).expect("sockets")
}

/// Whether a frame is IP with transport protocol `proto`.
pub(crate) fn is_of(frame: &[u8], proto: u8) -> bool {
    match frame[12..14] {
        [8, 0] => frame[23] == proto,
        [0x86, 0xdd] => frame[20] == proto,
        _ => false,
    }
}

#[test]
fn frames_arrive_as_the_kernel_would_send_them() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("fast-frames").expect("a lab");
    let (server, router) = (mac(lab.server(), "eth0"), mac(lab.router(), "eth1"));
    let firewall = Firewall::start(&lab, &[]);
    for ends in PAIRS {
        let talk = udp(&lab, ends, 4000);
        talk.query(b"first").expect("arrives");
        talk.answer(b"first").expect("arrives");
        let before = counted(&firewall, "fasttracked");
        let tap = Tap::on(lab.server());
        for _ in 0..10 {
            talk.query(b"fast").expect("arrives");
            talk.answer(b"fast").expect("arrives");
        }
        let after = counted(&firewall, "fasttracked");
        assert!(after >= before + 19, "{before} then {after}");
        let frames: Vec<_> = tap.frames().into_iter().filter(|f| is_of(f, 17)).collect();
        assert_eq!(frames.len(), 10);
        for frame in frames {
            assert_eq!((&frame[..6], &frame[6..12]), (&server[..], &router[..]));
            // The TTL, or the hop limit: one less than the client's.
            let (ttl, from) = if ends.0.is_ipv4() { (22, 14) } else { (21, 54) };
            assert_eq!(frame[ttl], 63);
            if ends.0.is_ipv4() {
                let header = etherparse::Ipv4HeaderSlice::from_slice(&frame[from..34]);
                let header = header.expect("a header").to_header();
                assert_eq!(header.header_checksum, header.calc_header_checksum());
            }
        }
    }
    let lines = firewall.list(&["-u", "OFFLOAD"]);
    assert!(
        lines.len() == 2 && lines[0].contains("[OFFLOAD]"),
        "{lines:?}"
    );
}

#[test]
fn fasttrack_off_leaves_everything_to_the_kernel() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("fast-off").expect("a lab");
    let firewall = Firewall::start(&lab, &["--fasttrack", "off"]);
    for ends in PAIRS {
        let talk = udp(&lab, ends, 4000);
        for _ in 0..5 {
            talk.query(b"slow").expect("arrives");
            talk.answer(b"slow").expect("arrives");
        }
    }
    assert_eq!(counted(&firewall, "fasttracked"), 0);
    assert!(firewall.list(&["-u", "OFFLOAD"]).is_empty());
}

#[test]
fn the_sender_learns_that_its_packets_are_too_long() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("fast-pmtu").expect("a lab");
    run(lab.router(), "ip link set eth1 mtu 1300");
    run(lab.server(), "ip link set eth0 mtu 1300");
    let firewall = Firewall::start(&lab, &[]);
    for (from, to) in PAIRS {
        let talk = udp(&lab, (from, to), 4000);
        talk.query(b"first").expect("arrives");
        talk.answer(b"first").expect("arrives");
        let before = counted(&firewall, "fasttracked");
        talk.query(b"fast").expect("arrives");
        assert!(counted(&firewall, "fasttracked") > before);
        // Too long: it is lost, and the next one is cut up by the client itself.
        let client = lab.client();
        eventually("the sender is told", || {
            // That it is too long may be known already.
            drop(talk.send(&[7; 1400]));
            run(client, &format!("ip route get {to}")).contains("mtu 1300")
        });
        // The first ones may still hear of the error.
        eventually("it arrives in pieces", || talk.query(&[7; 1400]).is_ok());
    }
    assert!(counted(&firewall, "left_mtu") >= 2);
}

#[test]
fn the_router_answers_for_the_last_hop_of_a_fast_flow() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("fast-ttl").expect("a lab");
    let firewall = Firewall::start(&lab, &[]);
    let talk = udp(&lab, PAIRS[0], 4000);
    talk.query(b"first").expect("arrives");
    talk.answer(b"first").expect("arrives");
    talk.query(b"fast").expect("arrives");
    let tap = Tap::on(lab.client());
    // The same flow, as traceroute would use it.
    let ethernet =
        etherparse::PacketBuilder::ethernet2(mac(lab.client(), "eth0"), mac(lab.router(), "eth0"));
    let mut frame = Vec::new();
    let ip = ethernet.ipv4([192, 168, 1, 2], [10, 0, 0, 2], 1);
    let written = ip.udp(4000, 53).write(&mut frame, b"last");
    written.expect("writing to a vector");
    crate::frames::send(&lab, &frame);
    let mut errors = Vec::new();
    eventually("an ICMP error", || {
        errors.extend(tap.frames().into_iter().filter(|f| is_of(f, 1)));
        !errors.is_empty()
    });
    let exceeded = &errors[0];
    assert_eq!(exceeded[34..36], [11, 0], "time exceeded in transit");
    assert_eq!(counted(&firewall, "ttl-expired"), 1);
}

/// A second way to 10.9.9.9 on the server, with a hardware address of its own.
const TWO_WAYS: &str = "\
ip addr add 10.9.9.9/32 dev lo
ip link add way2 link eth0 address 02:00:00:00:02:22 type macvlan mode bridge
ip addr add 10.0.0.3/24 dev way2
ip link set way2 up
sysctl -qw net.ipv4.conf.all.arp_ignore=1";

#[test]
fn a_new_route_is_taken_and_nothing_is_lost() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("fast-route").expect("a lab");
    run(lab.server(), &format!("set -e\n{TWO_WAYS}"));
    run(lab.router(), "ip route add 10.9.9.9 via 10.0.0.2");
    let mut firewall = Firewall::start(&lab, &[]);
    let far = "10.9.9.9".parse().expect("an address");
    let talk = udp(&lab, (CLIENT_V4, far), 4000);
    let first = mac(lab.server(), "eth0");
    let second = mac(lab.server(), "way2");
    // Where the datagrams of some rounds go, each of which is awaited: none is lost.
    let arrived_at = |label: &str| {
        let tap = Tap::on(lab.server());
        for round in 0..20 {
            talk.query(b"data")
                .unwrap_or_else(|e| panic!("{label} {round}: {e}"));
            talk.answer(b"data")
                .unwrap_or_else(|e| panic!("{label} {round}: {e}"));
        }
        let frames = tap.frames();
        let datagrams = frames.iter().filter(|f| is_of(f, 17));
        let targets = datagrams.map(|f| <[u8; 6]>::try_from(&f[..6]).expect("six bytes"));
        targets.collect::<Vec<_>>()
    };
    // The daemon hears of a change, and from then on not one packet goes the old way.
    let moves_to = |label: &str, target: [u8; 6]| {
        eventually(label, || arrived_at(label).last() == Some(&target));
        let targets = arrived_at(label);
        assert_eq!(targets, vec![target; targets.len()], "{label}");
    };
    moves_to("first way", first);
    run(lab.router(), "ip route replace 10.9.9.9 via 10.0.0.3");
    moves_to("second way", second);
    // The hardware address of the next hop changes, and both are the server's.
    run(
        lab.router(),
        &format!(
            "ip neigh replace 10.0.0.3 dev eth1 nud permanent lladdr {}",
            text(first)
        ),
    );
    moves_to("another neighbour", first);
    // Nobody tells the programs of changes now, so the kernel forwards, once the daemon's last word is old.
    firewall.end(Signal::KILL);
    run(
        lab.router(),
        &format!(
            "ip neigh replace 10.0.0.3 dev eth1 nud permanent lladdr {}",
            text(second)
        ),
    );
    moves_to("after the daemon's death", second);
    // That may have been asked under a generation which the daemon began just before it died, and still
    // vouched for. What is used after this change can't have been.
    run(lab.router(), "ip route replace 10.9.9.9 via 10.0.0.2");
    moves_to("once the daemon's word is old", first);
    let before = counted(&firewall, "fasttracked");
    run(lab.router(), "ip route replace 10.9.9.9 via 10.0.0.3");
    // Now there is nobody to wait for.
    let targets = arrived_at("without a daemon");
    assert_eq!(targets, vec![second; targets.len()]);
    assert_eq!(counted(&firewall, "fasttracked"), before);
    firewall.run(&[]);
}

fn text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

#[test]
fn rp_filter_is_obeyed() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("fast-rp").expect("a lab");
    let firewall = Firewall::start(&lab, &[]);
    let talk = udp(&lab, PAIRS[0], 4000);
    talk.query(b"first").expect("arrives");
    talk.answer(b"first").expect("arrives");
    talk.query(b"fast").expect("arrives");
    assert!(counted(&firewall, "fasttracked") > 0);
    // The client's address now belongs behind the other port.
    run(
        lab.router(),
        "sysctl -qw net.ipv4.conf.all.rp_filter=1 && ip route add 192.168.1.2/32 dev eth1",
    );
    let tap = Tap::on(lab.server());
    let frame = {
        let ethernet = etherparse::PacketBuilder::ethernet2(
            mac(lab.client(), "eth0"),
            mac(lab.router(), "eth0"),
        );
        let mut frame = Vec::new();
        let ip = ethernet.ipv4([192, 168, 1, 2], [10, 0, 0, 2], 64);
        let written = ip.udp(4000, 53).write(&mut frame, b"spoof");
        written.expect("writing to a vector");
        frame
    };
    let udp6 = udp(&lab, PAIRS[1], 4001);
    // What arrives behind the frame has had the frame before it all the way.
    let send = || {
        crate::frames::send(&lab, &frame);
        udp6.query(b"after").expect("arrives");
    };
    // As long as it takes until the daemon has heard of it; then never again.
    eventually("the filter", || {
        send();
        let before = counted(&firewall, "fasttracked");
        send();
        counted(&firewall, "fasttracked") == before
    });
    drop(tap.frames());
    send();
    let spoofed = tap
        .frames()
        .iter()
        .filter(|f| f[12..14] == [8, 0] && is_of(f, 17))
        .count();
    assert_eq!(spoofed, 0, "the kernel drops it");
}

#[test]
fn rules_on_marks_stop_the_fast_path() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("fast-marks").expect("a lab");
    let firewall = Firewall::start(&lab, &[]);
    let talk = udp(&lab, PAIRS[0], 4000);
    let speak = || {
        talk.query(b"data").expect("arrives");
        talk.answer(b"data").expect("arrives");
    };
    speak();
    // Any rule on a mark: XDP can't know what the kernel's rules will write there.
    run(lab.router(), "ip rule add fwmark 7 table 100");
    let taken = || {
        let before = counted(&firewall, "fasttracked");
        speak();
        counted(&firewall, "fasttracked") > before
    };
    eventually("the slow path", || !taken());
    assert!(firewall.list(&["-u", "OFFLOAD"]).is_empty());
    run(lab.router(), "ip rule del fwmark 7 table 100");
    eventually("the fast path again", taken);
}
