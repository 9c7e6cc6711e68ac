//! The daemon dies under traffic: nothing is lost, and the next one goes on with the same flows.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::process::Signal;
use serde_json::Value;
use xtask::lab::{Lab, root_or_skip};
use xtask::traffic::{PATIENCE, Tcp, Udp};

use crate::firewall::Firewall;

/// Identity of every listed flow: `id` is made with the entry, so an equal one is the same entry.
pub(crate) fn ids(firewall: &Firewall<'_>) -> BTreeSet<u64> {
    let flows: Value = serde_json::from_str(&firewall.text(&["list", "-o", "json"])).expect("JSON");
    let flows = flows.as_array().expect("an array").iter();
    flows
        .map(|flow| flow["id"].as_u64().expect("an id"))
        .collect()
}

#[test]
fn kill_9_and_restart_lose_no_packet_and_no_flow() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("takeover").expect("a lab");
    let mut firewall = Firewall::start(&lab, &["--drop-invalid"]);
    let at = |text: &str| text.parse().expect("ADDR:PORT");
    let udp = Udp::open(
        lab.client(),
        at("192.168.1.2:4000"),
        lab.server(),
        at("10.0.0.2:53"),
    )
    .expect("sockets");
    let mut tcp = Tcp::open(
        lab.client(),
        at("192.168.1.2:4001"),
        lab.server(),
        at("10.0.0.2:80"),
    )
    .expect("a connection");
    udp.query(b"first").expect("arrives");
    tcp.echo(b"first").expect("arrives");
    let before = ids(&firewall);
    assert_eq!(before.len(), 2);

    let done = AtomicBool::new(false);
    let rounds = AtomicU64::new(0);
    std::thread::scope(|scope| {
        // Each datagram is awaited: a single lost one fails.
        let talk = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                udp.query(b"ping").expect("no datagram is lost");
                udp.answer(b"pong").expect("no answer is lost");
                tcp.echo(b"more").expect("the connection lives");
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        });
        for _ in 0..3 {
            await_rounds(&rounds, 50);
            firewall.end(Signal::KILL);
            // Without any daemon the kernel filters on.
            await_rounds(&rounds, 50);
            assert_eq!(ids(&firewall), before, "listed from the pins");
            firewall.run(&["--drop-invalid"]);
            assert_eq!(
                ids(&firewall),
                before,
                "the same entries after the take-over"
            );
        }
        await_rounds(&rounds, 50);
        done.store(true, Ordering::Relaxed);
        talk.join().expect("the talk went on to its end");
    });
}

/// Waits until the talk has gone `more` rounds further.
pub(crate) fn await_rounds(rounds: &AtomicU64, more: u64) {
    let goal = rounds.load(Ordering::Relaxed) + more;
    let deadline = std::time::Instant::now() + 4 * PATIENCE;
    while rounds.load(Ordering::Relaxed) < goal {
        assert!(
            std::time::Instant::now() < deadline,
            "the talk stands still"
        );
        std::thread::yield_now();
    }
}

#[test]
fn clean_stop_detaches_and_keep_keeps() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("stop").expect("a lab");
    let attached =
        || crate::firewall::run(lab.router(), "ip -d link show dev eth0").contains("prog/xdp");
    let mut firewall = Firewall::start(&lab, &[]);
    assert!(attached());
    assert!(firewall.end(Signal::TERM).success());
    assert!(!attached(), "a clean stop detaches");

    firewall.run(&["--on-exit", "keep"]);
    assert!(firewall.end(Signal::TERM).success());
    assert!(attached(), "unless it is told to keep");
    firewall.run(&[]);
    assert!(firewall.end(Signal::TERM).success());
    assert!(!attached());
}
