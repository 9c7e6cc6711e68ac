//! A table under pressure, with real packets: limits of a source, adaptive timeouts, flows pushed out.

use std::net::SocketAddr;

use etherparse::PacketBuilder;
use serde_json::Value;
use xtask::lab::{Lab, root_or_skip};
use xtask::sys::packet::PacketSocket;
use xtask::traffic::Udp;

use crate::fixture::{Daemon, eventually, json, sh, small, text};

const PORTS: [&str; 6] = ["-i", "eth0", "-i", "eth1", "--gc-interval", "50ms"];

fn at(text: &str) -> SocketAddr {
    text.parse().expect("ADDR:PORT")
}

/// A UDP flow from a port of `from`, with a socket at its other end.
fn udp(lab: &Lab, from: &str, port: u16) -> Udp {
    let from = format!("{from}:{port}");
    let to = format!("10.0.0.2:{port}");
    Udp::open(lab.client(), at(&from), lab.server(), at(&to)).expect("UDP")
}

fn refused(lab: &Lab, reason: &str) -> u64 {
    let stats = json(lab, &["stats", "--total", "-o", "json"]);
    stats["total"]["reasons"][reason].as_u64().unwrap_or(0)
}

fn total(stats: &Value, counter: &str) -> u64 {
    stats["total"][counter].as_u64().expect("a counter")
}

#[test]
fn a_source_at_its_limit_begins_nothing_more_and_another_one_does() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-source").expect("a lab");
    sh(lab.client(), "ip addr add 192.168.1.77/24 dev eth0");
    let limits = ["--max-half-open-per-source", "3", "--udp-timeout", "1h"];
    let _daemon = Daemon::start(&lab, &small(&[&PORTS[..], &limits].concat()));
    let flows: Vec<_> = (5000..5003)
        .map(|port| udp(&lab, "192.168.1.2", port))
        .collect();
    for flow in &flows {
        flow.query(b"?").expect("within the limit");
    }
    let fourth = udp(&lab, "192.168.1.2", 5003);
    fourth.send(b"?").expect("sent");
    eventually("the fourth is refused", || {
        (refused(&lab, "source-half-open") == 1).then_some(())
    });
    let neighbour = udp(&lab, "192.168.1.77", 5004);
    neighbour.query(b"?").expect("another source");
    // An answer makes room for one.
    flows[0].answer(b"!").expect("arrives");
    fourth.query(b"?").expect("there is room");
    let status = json(&lab, &["status", "-o", "json"]);
    assert_eq!(status["pressure"]["inserts_refused"]["source_half_open"], 1);
    // What the sweep frees makes room too: no packet ends these flows.
    text(&lab, &["timeouts", "set", "udp=1", "udp_stream=1"]);
    for flow in flows.iter().chain([&fourth, &neighbour]) {
        flow.query(b"?").expect("belongs to a flow");
    }
    let count = || json(&lab, &["status", "-o", "json"])["flows"]["count"].as_u64();
    eventually("all have expired", || (count()? == 0).then_some(()));
    text(&lab, &["timeouts", "set", "udp=1h"]);
    let mut ports = 6000..;
    eventually("there is room for three", || {
        let (room, no_room) = (count()?, refused(&lab, "source-half-open"));
        let flow = udp(&lab, "192.168.1.2", ports.next()?);
        flow.send(b"?").expect("sent");
        eventually("it is one more or refused", || {
            (count()? > room || refused(&lab, "source-half-open") > no_room).then_some(())
        });
        (count()? == 3).then_some(())
    });
}

#[test]
fn timeouts_shrink_to_nothing_when_the_table_fills() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-adapt").expect("a lab");
    let levels = ["--adaptive", "3:5", "--udp-timeout", "1h"];
    let _daemon = Daemon::start(&lab, &small(&[&PORTS[..], &levels].concat()));
    let flows: Vec<_> = (5000..5003)
        .map(|port| udp(&lab, "192.168.1.2", port))
        .collect();
    for flow in &flows {
        flow.query(b"?").expect("arrives");
    }
    let status = || json(&lab, &["status", "-o", "json"]);
    assert_eq!(status()["flows"]["count"], 3);
    // Four: half of an hour is left, which nobody was quiet for.
    let more = [
        udp(&lab, "192.168.1.2", 5003),
        udp(&lab, "192.168.1.2", 5004),
    ];
    more[0].query(b"?").expect("arrives");
    eventually("half is left", || {
        (status()["pressure"]["timeouts"] == 0.5).then_some(())
    });
    assert_eq!(status()["flows"]["count"], 4);
    more[1].query(b"?").expect("arrives");
    eventually("all are gone", || {
        (status()["flows"]["count"] == 0).then_some(())
    });
    eventually("and timeouts are whole again", || {
        (status()["pressure"]["timeouts"] == 1.0).then_some(())
    });
    let stats = json(&lab, &["stats", "--total", "-o", "json"]);
    assert_eq!(total(&stats, "swept"), 5);
    assert_eq!(total(&stats, "early_drop"), 0);
}

#[test]
fn flows_pushed_out_are_counted_and_flows_deleted_are_not_among_them() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-early").expect("a lab");
    let _daemon = Daemon::start(&lab, &small(&PORTS));
    let status = || json(&lab, &["status", "-o", "json"]);
    let stats = || json(&lab, &["stats", "--total", "-o", "json"]);
    let capacity = status()["flows"]["ipv4"]["embryonic_capacity"]
        .as_u64()
        .expect("a number");
    spray(&lab, u16::try_from(3 * capacity).expect("small"));
    // The kernel's own stack may add a flow of its own now and then; the books balance all the same.
    let balance = |stats: &Value, left: u64| {
        let went = ["removed", "swept", "deleted", "early_drop"];
        total(stats, "created") == went.map(|name| total(stats, name)).iter().sum::<u64>() + left
    };
    eventually("the books balance", || {
        let left = status()["flows"]["count"].as_u64()?;
        let stats = stats();
        (total(&stats, "early_drop") >= capacity && balance(&stats, left)).then_some(())
    });
    let before = total(&stats(), "early_drop");
    text(&lab, &["flush"]);
    eventually("the books balance after a flush", || {
        let left = status()["flows"]["count"].as_u64()?;
        let stats = stats();
        (total(&stats, "deleted") > 0 && balance(&stats, left)).then_some(())
    });
    assert_eq!(total(&stats(), "early_drop"), before);
}

/// Sends `count` UDP datagrams from as many ports to the server.
fn spray(lab: &Lab, count: u16) {
    let shown = sh(lab.router(), "ip -br link show dev eth0");
    let mac = shown.split_whitespace().nth(2).expect("an address");
    let mac: Vec<u8> = mac
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16).expect("hex"))
        .collect();
    let router: [u8; 6] = mac.try_into().expect("six bytes");
    let socket = lab.client().enter(|| PacketSocket::open("eth0"));
    let socket = socket.expect("in the client").expect("a packet socket");
    for n in 0..count {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2, 0, 0, 0, 0, 9], router)
            .ipv4([192, 168, 1, 2], [10, 0, 0, 2], 64)
            .udp(1024 + n, 53)
            .write(&mut frame, b"spray")
            .expect("a short packet");
        socket.send(&frame).expect("sent");
    }
}
