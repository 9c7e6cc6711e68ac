//! `log`: what the rules have to say of a packet, from the programs to the daemon's own output.

use xtask::lab::{Lab, root_or_skip};

use crate::fixture::{Daemon, eventually, json, sh, small};
use crate::lockout::login;
use crate::rules::{apply, file};

/// Says who knocks, and lets everybody in.
const KNOCK: &str = "\
table inet fw {
	chain input {
		type filter hook input priority filter; policy accept;
		tcp dport 22 ct state new log prefix \"knock: \" level info
	}
}
";

#[test]
fn the_kernels_nat_is_told_of_at_start_and_when_it_appears() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("r-nat").expect("a lab");
    let add = |table: &str| {
        let chain = "post '{ type nat hook postrouting priority 100; }'";
        let text = format!("nft add table ip {table} && nft add chain ip {table} {chain}");
        sh(lab.router(), &text);
    };
    let told = |table: &str| {
        format!("warning: the kernel translates addresses (table ip {table}, chain post)")
    };
    add("first");
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    daemon.has_said(&told("first"));
    sh(lab.router(), "nft delete table ip first");
    eventually("it is gone", || {
        let status = json(&lab, &["status", "-o", "json"]);
        status["nat"]
            .as_array()
            .is_some_and(Vec::is_empty)
            .then_some(())
    });
    add("second");
    daemon.wait_for(&told("second"));
    let all = daemon
        .said
        .iter()
        .filter(|line| line.contains("translates"));
    assert_eq!(all.count(), 2, "once each: {:?}", daemon.said);
}

#[test]
fn a_logged_packet_is_told_of_as_the_kernel_tells() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("r-log").expect("a lab");
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    apply(&lab, &file(&lab, "knock.nft", KNOCK), &[]);
    login(&lab, 4030).echo(b"in").expect("it works");
    let line = daemon.wait_for("knock: ");
    let said = line.split_once("knock: ").map_or("", |(_, said)| said);
    // `nf_log_ip_packet`: the SYN, of 60 bytes, on its way to the router itself.
    assert!(said.starts_with("IN=eth0 OUT= MAC="), "{line}");
    for part in [
        " SRC=192.168.1.2 DST=192.168.1.1 LEN=60 ",
        " TTL=64 ",
        " PROTO=TCP SPT=4030 DPT=22 ",
        " SYN ",
    ] {
        assert!(said.contains(part), "no {part:?}: {line}");
    }
    // One that begins another connection is the next to be told of, none between the two is.
    login(&lab, 4031).echo(b"in").expect("it works");
    let mut next = daemon.wait_for("knock: ");
    // But for the same SYN, sent again by a client that has waited too long for its answer.
    while next.contains(" SPT=4030 ") && next.contains(" SYN ") && id(&next) != id(&line) {
        next = daemon.wait_for("knock: ");
    }
    assert!(next.contains(" SPT=4031 "), "{next}");
}

/// IPv4's identification: another one in each packet of a connection.
fn id(line: &str) -> &str {
    let word = line.split(' ').find(|word| word.starts_with("ID="));
    word.expect("an identification")
}
