//! Rulesets replaced under traffic: no packet of an allowed flow is lost, none of a denied one passes
//! once the reply to `apply` is there; and a daemon that is killed in the middle leaves the old rules or
//! the new ones.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use xtask::lab::{Lab, root_or_skip};
use xtask::traffic::Tcp;

use crate::firewall::Firewall;
use crate::sockets::udp;

/// Lets flows to port 53 and 80 through, and those to `port`.
fn rules(lab: &Lab, name: &str, port: u16) -> PathBuf {
    let path = lab.run_dir().join(name);
    let text = format!(
        "table inet fw {{
	chain forward {{
		type filter hook forward priority filter; policy drop;
		udp dport {{ 53, {port} }} counter accept
		udp sport {{ 53, {port} }} counter accept
		tcp dport 80 counter accept
		tcp sport 80 counter accept
	}}
}}
"
    );
    std::fs::write(&path, text).expect("a file");
    path
}

fn at(text: &str) -> std::net::SocketAddr {
    text.parse().expect("ADDR:PORT")
}

#[test]
fn reloads_under_load_lose_nothing_and_leak_nothing() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("reload").expect("a lab");
    let firewall = Firewall::start(&lab, &[]);
    let open = rules(&lab, "open.nft", 99);
    let shut = rules(&lab, "shut.nft", 98);
    let apply = |path: &PathBuf| {
        firewall.text(&["rules", "apply", path.to_str().expect("UTF-8")]);
    };
    apply(&open);
    let (allowed, denied) = (udp(&lab, 4000, 53), udp(&lab, 4001, 99));
    let mut tcp = Tcp::open(
        lab.client(),
        at("192.168.1.2:4002"),
        lab.server(),
        at("10.0.0.2:80"),
    )
    .expect("a connection");
    let done = AtomicBool::new(false);
    let rounds = AtomicU64::new(0);
    std::thread::scope(|scope| {
        // Each datagram is awaited: a single lost one fails.
        let talk = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                allowed.query(b"ping").expect("no datagram is lost");
                allowed.answer(b"pong").expect("no answer is lost");
                tcp.echo(b"more").expect("the connection lives");
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        });
        // Until each side has had its turn often enough, whoever of them is slow.
        for turn in 0.. {
            if turn >= 100 && rounds.load(Ordering::Relaxed) > 100 {
                break;
            }
            apply(&open);
            denied.query(b"allowed").expect("allowed now");
            apply(&shut);
            // From the reply on: not one of these may arrive. The next that arrives is the first
            // that the next ruleset lets through.
            for _ in 0..5 {
                denied.send(b"denied").expect("sending");
            }
        }
        apply(&open);
        denied.query(b"last").expect("allowed now");
        done.store(true, Ordering::Relaxed);
        talk.join().expect("the talk went on to its end");
    });
    let leaked = denied.drain(Duration::from_millis(200));
    assert!(leaked.is_empty(), "{leaked:?}");
}

#[test]
fn a_daemon_killed_in_a_reload_leaves_the_old_rules_or_the_new() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("reload-killed").expect("a lab");
    let mut firewall = Firewall::start(&lab, &[]);
    let files = [rules(&lab, "old.nft", 99), rules(&lab, "new.nft", 98)];
    let path = |at: usize| files[at].to_str().expect("UTF-8");
    firewall.text(&["rules", "apply", path(0)]);
    let allowed = udp(&lab, 4000, 53);
    let mut seen = [0, 0];
    for round in 0..12_u64 {
        let next = usize::from(round % 2 == 0);
        let mut command = crate::firewall::fwctl(&lab, lab.router());
        command.args(["rules", "apply", path(next)]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut apply = command.spawn().expect("starting fwctl");
        // Not waiting for anything: the moment of its death is what is varied, later in each round,
        // somewhere between nothing and everything.
        std::thread::sleep(Duration::from_millis(4 * round));
        firewall.end(Signal::KILL);
        apply.wait().expect("its end");
        allowed.query(b"still").expect("both let it through");
        firewall.run(&[]);
        let listed: Value =
            serde_json::from_str(&firewall.text(&["rules", "list", "-o", "json"])).expect("JSON");
        let name = listed["file"].as_str().expect("a file");
        let which = usize::from(name.ends_with("new.nft"));
        seen[which] += 1;
        // What is listed is what is at work.
        let open = udp(
            &lab,
            4100 + u16::try_from(round).expect("small"),
            [99, 98][which],
        );
        open.query(b"open").expect("what is listed as open is");
        let shut = udp(
            &lab,
            4200 + u16::try_from(round).expect("small"),
            [98, 99][which],
        );
        shut.send(b"shut").expect("sending");
        assert!(shut.drain(Duration::from_millis(50)).is_empty(), "{name}");
        firewall.text(&["rules", "apply", path(1 - next)]);
    }
    println!("old {}, new {}", seen[0], seen[1]);
}
