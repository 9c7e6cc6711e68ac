//! The sweep on real maps: what has expired goes, what lives stays, occupancy is right.

use aya::Pod;
use aya::maps::{Array, HashMap, Map, MapData};
use fw_common::abi::{Flow, Key4, Member, MemberKey, maps};
use xtask::lab::{Lab, root_or_skip};
use xtask::traffic::{Tcp, Udp};

use crate::fixture::{Daemon, eventually, json, pins, small, text};
use crate::rules::{apply, file};

fn entries(lab: &Lab, name: &str) -> usize {
    count::<Key4, Flow>(lab, name)
}

fn count<K: Pod, V: Pod>(lab: &Lab, name: &str) -> usize {
    let data = MapData::from_pin(pins(lab).join("maps").join(name)).expect("the pin");
    let map = Map::from_map_data(data).expect("a map");
    let map: HashMap<_, K, V> = map.try_into().expect("a hash map");
    map.keys().filter(Result::is_ok).count()
}

/// Assured IPv4 flows, as the programs reckon.
fn used(lab: &Lab) -> u64 {
    let data = MapData::from_pin(pins(lab).join("maps").join(maps::OCCUPANCY)).expect("pin");
    let map = Map::from_map_data(data).expect("a map");
    let slots: Array<_, u64> = map.try_into().expect("an array");
    let read = |slot: u32| slots.get(&slot, 0).expect("a slot");
    read(0).saturating_sub(read(2))
}

#[test]
fn expired_flows_are_freed_and_live_ones_stay() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-sweep").expect("a lab");
    let args = [
        "-i",
        "eth0",
        "-i",
        "eth1",
        "--gc-interval",
        "50ms",
        "--udp-timeout",
        "1",
    ];
    let _daemon = Daemon::start(&lab, &small(&args));
    let at = |text: &str| text.parse().expect("ADDR:PORT");
    let (client, server) = (lab.client(), lab.server());
    let udp = Udp::open(client, at("192.168.1.2:4000"), server, at("10.0.0.2:53")).expect("UDP");
    let mut tcp =
        Tcp::open(client, at("192.168.1.2:4001"), server, at("10.0.0.2:80")).expect("TCP");
    udp.query(b"?").expect("arrives");
    tcp.echo(b"!").expect("arrives");
    eventually("the connection is assured", || {
        (used(&lab) == 1).then_some(())
    });
    // Not listed any more, and its memory is free.
    eventually("the UDP flow is freed", || {
        (entries(&lab, maps::EMBRYO4) == 0).then_some(())
    });
    assert_eq!(entries(&lab, maps::ASSURED4), 1);
    tcp.echo(b"still").expect("lives");
    let status = || json(&lab, &["status", "-o", "json"]);
    assert_eq!(status()["flows"]["ipv4"]["assured"], 1);
    assert_eq!(status()["flows"]["ipv4"]["embryonic"], 0);
    eventually("a sweep has just been", || {
        let ago = status()["last_sweep"].as_f64()?;
        (ago < 5.0).then_some(())
    });

    // Shortened, it expires with its next packet's timeout; occupancy follows.
    text(
        &lab,
        &[
            "timeouts",
            "set",
            "tcp_established=1",
            "tcp_unacknowledged=1",
        ],
    );
    tcp.echo(b"last").expect("lives");
    eventually("the connection is freed", || {
        (entries(&lab, maps::ASSURED4) == 0).then_some(())
    });
    eventually("occupancy follows", || (used(&lab) == 0).then_some(()));
}

#[test]
fn flushed_flows_are_no_longer_counted_as_used() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-flush").expect("a lab");
    let args = ["-i", "eth0", "-i", "eth1", "--gc-interval", "50ms"];
    let _daemon = Daemon::start(&lab, &small(&args));
    let at = |text: &str| text.parse().expect("ADDR:PORT");
    let (client, server) = (lab.client(), lab.server());
    let mut all = Vec::new();
    for port in 5000..5005 {
        let from = format!("192.168.1.2:{port}");
        let to = format!("10.0.0.2:{port}");
        let mut tcp = Tcp::open(client, at(&from), server, at(&to)).expect("TCP");
        tcp.echo(b"!").expect("arrives");
        all.push(tcp);
    }
    eventually("all are assured", || (used(&lab) == 5).then_some(()));
    text(&lab, &["flush"]);
    eventually("none is used", || (used(&lab) == 0).then_some(()));
}

/// Counts the connections of each protocol.
const COUNTED: &str = "\
table inet t {
	set s { type inet_proto; size 100; flags dynamic; }
	chain f {
		type filter hook forward priority 0; policy accept;
		ct state new add @s { meta l4proto ct count over 10 } drop
	}
}
";

#[test]
fn counted_connections_that_have_ended_are_forgotten() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-counted").expect("a lab");
    let args = ["-i", "eth0", "-i", "eth1", "--gc-interval", "50ms"];
    let _daemon = Daemon::start(&lab, &small(&args));
    apply(&lab, &file(&lab, "counted.nft", COUNTED), &[]);
    let at = |text: &str| text.parse().expect("ADDR:PORT");
    let (client, server) = (lab.client(), lab.server());
    let open = |port: u16| {
        let from = format!("192.168.1.2:{port}");
        Udp::open(client, at(&from), server, at(&format!("10.0.0.2:{port}"))).expect("UDP")
    };
    let counted = || count::<MemberKey, Member>(&lab, maps::MEMBERS);
    let talks = [4000, 4001, 4002].map(open);
    for talk in &talks {
        talk.query(b"?").expect("arrives");
    }
    let tcp = Tcp::open(client, at("192.168.1.2:4003"), server, at("10.0.0.2:80")).expect("TCP");
    assert_eq!(counted(), 4);
    for port in ["4000", "4001", "4003"] {
        text(&lab, &["delete", "--sport", port]);
    }
    // Once the other list is empty the sweep has come by; the last of this one lives, and those before it
    // keep their slots.
    eventually("the TCP connection is forgotten", || {
        (counted() <= 3).then_some(())
    });
    assert_eq!(counted(), 3);
    talks[2].query(b"?").expect("lives");
    text(&lab, &["delete", "-p", "udp", "--sport", "4002"]);
    eventually("all are forgotten", || (counted() == 0).then_some(()));
    drop(tcp);
}
