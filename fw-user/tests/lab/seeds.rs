//! Every example line of the seeds, made by real packets: ours beside the kernel's, and both beside
//! what the example says. Only timeouts differ from the examples: some were read seconds later, and
//! the UDP ones come from kernels before 5.0, whose stream timeout was 180 s from the first answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use xtask::lab::{Lab, root_or_skip};
use xtask::traffic::{Tcp, Udp, lone_syn, ping};

use crate::firewall::{Firewall, run};
use crate::oracle::{self, assert_same, split};
use crate::watcher::eventually;

fn at(address: &str) -> SocketAddr {
    address.parse().expect("ADDR:PORT")
}

/// A lab in which the client also has address `client`, the server also `server`.
fn lab(client: &str, server: &str) -> Lab {
    let lab = Lab::up("seeds").expect("a lab");
    run(
        lab.client(),
        &format!("ip address add {client}/32 dev eth0"),
    );
    run(
        lab.server(),
        &format!("ip address add {server}/32 dev eth0"),
    );
    run(
        lab.client(),
        &format!("ip route replace {server}/32 via 192.168.1.1 src {client}"),
    );
    run(
        lab.server(),
        &format!("ip route replace {client}/32 via 10.0.0.1 src {server}"),
    );
    run(
        lab.router(),
        &format!(
            "ip route replace {client}/32 via 192.168.1.2 dev eth0; \
             ip route replace {server}/32 via 10.0.0.2 dev eth1"
        ),
    );
    oracle::enable(&lab);
    lab
}

/// The one flow of both listings is the example's, word by word: without accounting, as the
/// examples were read, and whatever the timeout.
#[track_caller]
fn assert_example(lab: &Lab, firewall: &Firewall<'_>, filter: &str, example: &str) {
    let lines = assert_same(lab, firewall, filter);
    let [line] = &lines[..] else {
        panic!("one flow expected:\n{}", lines.join("\n"))
    };
    let plain = |line: &str| -> String {
        let counted = |word: &&str| !word.starts_with("packets=") && !word.starts_with("bytes=");
        split(line)
            .0
            .split_whitespace()
            .filter(counted)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(plain(line), plain(example));
}

/// The examples of `000` end in `use=1` without a mark, as iptables of the time printed them.
#[test]
fn udp_unreplied_then_replied() {
    if !root_or_skip() {
        return;
    }
    let lab = lab("192.168.1.3", "192.168.1.5");
    let firewall = Firewall::start(&lab, oracle::BESIDE);
    let udp = Udp::open(
        lab.client(),
        at("192.168.1.2:137"),
        lab.server(),
        at("192.168.1.5:1025"),
    )
    .expect("sockets");

    udp.query(b"name?").expect("the query arrives");
    assert_example(
        &lab,
        &firewall,
        "-p udp",
        "udp 17 20 src=192.168.1.2 dst=192.168.1.5 sport=137 dport=1025 [UNREPLIED] \
         src=192.168.1.5 dst=192.168.1.2 sport=1025 dport=137 mark=0 use=1",
    );

    udp.answer(b"name!").expect("the answer arrives");
    assert_example(
        &lab,
        &firewall,
        "-p udp",
        "udp 17 170 src=192.168.1.2 dst=192.168.1.5 sport=137 dport=1025 \
         src=192.168.1.5 dst=192.168.1.2 sport=1025 dport=137 mark=0 use=1",
    );
}

#[test]
fn udp_assured() {
    if !root_or_skip() {
        return;
    }
    let lab = lab("192.168.1.5", "195.22.79.2");
    let firewall = Firewall::start(&lab, oracle::BESIDE);
    let udp = Udp::open(
        lab.client(),
        at("192.168.1.5:1025"),
        lab.server(),
        at("195.22.79.2:53"),
    )
    .expect("sockets");
    udp.query(b"1").expect("arrives");
    udp.answer(b"2").expect("arrives");
    // The rule itself is about time: a stream is what lasts longer than two seconds.
    let started = Instant::now();
    while let Some(left) = Duration::from_millis(2100).checked_sub(started.elapsed()) {
        std::thread::park_timeout(left);
    }
    udp.query(b"3").expect("arrives");
    assert_example(
        &lab,
        &firewall,
        "-p udp",
        "udp 17 175 src=192.168.1.5 dst=195.22.79.2 sport=1025 dport=53 \
         src=195.22.79.2 dst=192.168.1.5 sport=53 dport=1025 [ASSURED] mark=0 use=1",
    );
}

#[test]
fn icmp_echo_with_id_42() {
    if !root_or_skip() {
        return;
    }
    let lab = lab("192.168.1.3", "10.0.0.3");
    let firewall = Firewall::start(&lab, oracle::BESIDE);
    let to = "10.0.0.2".parse().expect("an address");
    let status = ping(lab.client(), to, 1)
        .args(["-e", "42"])
        .status()
        .expect("ping");
    assert!(status.success(), "the ping is answered: {status}");
    assert_example(
        &lab,
        &firewall,
        "-p icmp",
        "icmp 1 29 src=192.168.1.2 dst=10.0.0.2 type=8 code=0 id=42 \
         src=10.0.0.2 dst=192.168.1.2 type=0 code=0 id=42 mark=0 use=1",
    );
}

const VM1: &str = "172.16.255.130";
const VM2: &str = "172.16.255.131";

#[test]
fn tcp_half_way_in_syn_sent() {
    if !root_or_skip() {
        return;
    }
    let lab = lab(VM1, VM2);
    // The answer never gets out of the second machine.
    run(
        lab.server(),
        "nft 'table ip t { chain i { type filter hook input priority 0; tcp dport 22 drop; }; }'",
    );
    let firewall = Firewall::start(&lab, oracle::BESIDE);
    let _syn = lone_syn(
        lab.client(),
        at("172.16.255.130:41080"),
        at("172.16.255.131:22"),
    )
    .expect("a SYN");
    await_flow(&firewall, "SYN_SENT");
    assert_example(
        &lab,
        &firewall,
        "-p tcp",
        "tcp 6 108 SYN_SENT src=172.16.255.130 dst=172.16.255.131 sport=41080 dport=22 [UNREPLIED] \
         src=172.16.255.131 dst=172.16.255.130 sport=22 dport=41080 mark=0 use=1",
    );
}

#[test]
fn tcp_half_way_in_syn_recv() {
    if !root_or_skip() {
        return;
    }
    let lab = lab(VM1, VM2);
    // As in the example: the first machine's ACK does not get out.
    run(
        lab.client(),
        "nft 'table ip t { chain o { type filter hook output priority 0; \
         tcp flags & (syn | ack) == ack drop; }; }'",
    );
    let firewall = Firewall::start(&lab, oracle::BESIDE);
    let _server = lab
        .server()
        .enter(|| std::net::TcpListener::bind(at("172.16.255.131:22")))
        .expect("in the server")
        .expect("listening");
    let _syn = lone_syn(
        lab.client(),
        at("172.16.255.130:41098"),
        at("172.16.255.131:22"),
    )
    .expect("a SYN");
    await_flow(&firewall, "SYN_RECV");
    assert_example(
        &lab,
        &firewall,
        "-p tcp",
        "tcp 6 57 SYN_RECV src=172.16.255.130 dst=172.16.255.131 sport=41098 dport=22 \
         src=172.16.255.131 dst=172.16.255.130 sport=22 dport=41098 mark=0 use=1",
    );
}

#[test]
fn tcp_handshake_data_close() {
    if !root_or_skip() {
        return;
    }
    let lab = lab(VM1, VM2);
    let firewall = Firewall::start(&lab, oracle::BESIDE);
    let mut tcp = Tcp::open(
        lab.client(),
        at("172.16.255.130:41102"),
        lab.server(),
        at("172.16.255.131:22"),
    )
    .expect("a connection");
    let established = "tcp 6 431984 ESTABLISHED src=172.16.255.130 dst=172.16.255.131 sport=41102 \
        dport=22 src=172.16.255.131 dst=172.16.255.130 sport=22 dport=41102 [ASSURED] mark=0 use=1";
    assert_example(&lab, &firewall, "-p tcp", established);
    tcp.echo(b"SSH-2.0-lab\r\n").expect("data goes both ways");
    assert_example(&lab, &firewall, "-p tcp", established);
    tcp.close().expect("closing");
    await_flow(&firewall, "TIME_WAIT");
    assert_example(
        &lab,
        &firewall,
        "-p tcp",
        &established.replace("ESTABLISHED", "TIME_WAIT"),
    );
}

#[test]
fn tcp_in_zone_1() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("zone").expect("a lab");
    run(lab.client(), &format!("ip address add {VM1}/32 dev eth0"));
    run(
        lab.client(),
        &format!("ip route replace {VM2}/32 via 192.168.1.1 src {VM1}"),
    );
    run(lab.server(), &format!("ip address add {VM2}/32 dev eth0"));
    run(
        lab.server(),
        &format!("ip route replace {VM1}/32 via 10.0.0.1 src {VM2}"),
    );
    run(
        lab.router(),
        &format!("ip route replace {VM1}/32 via 192.168.1.2 dev eth0"),
    );
    run(
        lab.router(),
        &format!("ip route replace {VM2}/32 via 10.0.0.2 dev eth1"),
    );
    oracle::enable_with(
        &lab,
        "chain zones { type filter hook prerouting priority raw; ct zone set 1; };",
    );
    let firewall = Firewall::start(
        &lab,
        &[oracle::BESIDE, &["--zone", "eth0=1", "--zone", "eth1=1"]].concat(),
    );
    let _tcp = Tcp::open(
        lab.client(),
        at("172.16.255.130:41102"),
        lab.server(),
        at("172.16.255.131:22"),
    )
    .expect("a connection");
    assert_example(
        &lab,
        &firewall,
        "-p tcp",
        "tcp 6 431987 ESTABLISHED src=172.16.255.130 dst=172.16.255.131 sport=41102 dport=22 \
         src=172.16.255.131 dst=172.16.255.130 sport=22 dport=41102 [ASSURED] mark=0 zone=1 use=1",
    );
}

/// Both families and all kinds of traffic at once: the whole listings are equal.
#[test]
fn whole_listings_of_mixed_traffic_are_equal() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("mixed").expect("a lab");
    oracle::enable(&lab);
    let firewall = Firewall::start(&lab, oracle::BESIDE);
    let mut open = Vec::new();
    for (client, server, v6) in [
        ("192.168.1.2", "10.0.0.2", false),
        ("[2001:db8:1::2]", "[2001:db8:2::2]", true),
    ] {
        let end = |host: &str, port: u16| at(&format!("{host}:{port}"));
        let mut tcp = Tcp::open(
            lab.client(),
            end(client, 40001),
            lab.server(),
            end(server, 80),
        )
        .expect("a connection");
        tcp.echo(&[7; 100_000]).expect("data");
        let closed = Tcp::open(
            lab.client(),
            end(client, 40002),
            lab.server(),
            end(server, 81),
        )
        .expect("a connection");
        closed.close().expect("closing");
        let udp = Udp::open(
            lab.client(),
            end(client, 40003),
            lab.server(),
            end(server, 53),
        )
        .expect("sockets");
        udp.query(b"q").expect("arrives");
        udp.answer(b"a").expect("arrives");
        let to = server.trim_matches(['[', ']']).parse().expect("an address");
        assert!(ping(lab.client(), to, 2).status().expect("ping").success());
        open.push(tcp);
        let family = if v6 { "ipv6" } else { "ipv4" };
        let lines = assert_same(&lab, &firewall, &format!("-f {family} -p tcp"));
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_same(&lab, &firewall, &format!("-f {family} -p udp"));
        let icmp = if v6 { "icmpv6" } else { "icmp" };
        assert_eq!(
            assert_same(&lab, &firewall, &format!("-f {family} -p {icmp}")).len(),
            1
        );
    }
}

/// Waits until a flow in `state` is listed.
#[track_caller]
pub(crate) fn await_flow(firewall: &Firewall<'_>, state: &str) {
    eventually(&format!("a flow in {state}"), || {
        !firewall.list(&["-p", "tcp", "--state", state]).is_empty()
    });
}
