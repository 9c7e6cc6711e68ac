//! Whether the kernel forwards at all is what the kernel asks, not what the look-up of a route says. The oracle is the
//! router's kernel, bare or with nft.

use std::net::{IpAddr, Ipv4Addr};

use xtask::lab::{
    CLIENT_V4, CLIENT_V6, Lab, ROUTER_ETH0_V6, ROUTER_ETH1_V6, SERVER_V6, root_or_skip,
};
use xtask::traffic::{NOTHING, Udp};

use crate::fasttrack::{counted, udp};
use crate::firewall::{Firewall, run};
use crate::watcher::eventually;

const ENDS: (IpAddr, IpAddr) = (CLIENT_V6, SERVER_V6);

/// What the input hook accepts, the forward hook does not.
const INPUT_ONLY: &str = "\
table inet fw {
	chain input {
		type filter hook input priority filter; policy drop;
		meta l4proto ipv6-icmp accept
		udp dport 53 accept
	}

	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state established,related accept
	}
}
";

/// How many of five datagrams arrive.
fn arriving(talk: &Udp) -> usize {
    for number in 0..5 {
        talk.send(&[number]).expect("sent");
    }
    talk.drain(NOTHING).len()
}

/// A port that accepts router advertisements has its own switch off, and its packets are forwarded all the same.
#[test]
fn the_forward_chain_is_asked_where_only_ipv6s_switch_of_all_is_on() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("forward-all").expect("a lab");
    let router = lab.router();
    run(router, "sysctl -qw net.ipv6.conf.eth0.forwarding=0");
    let through = |port| udp(&lab, ENDS, port);
    // To the address on the port, and to that on the other side.
    let to_router = |port, to: IpAddr| {
        let talk = Udp::open(
            lab.client(),
            (CLIENT_V6, port).into(),
            router,
            (to, 53).into(),
        );
        talk.expect("sockets")
    };
    let count = |talk: Udp| arriving(&talk);
    let arrivals = |port| {
        [
            count(to_router(port, ROUTER_ETH0_V6)),
            count(to_router(port, ROUTER_ETH1_V6)),
            count(through(port)),
        ]
    };
    assert_eq!(arrivals(4000), [5, 5, 5], "the bare kernel forwards");

    let path = lab.run_dir().join("input.nft");
    let path = path.to_str().expect("UTF-8");
    std::fs::write(path, INPUT_ONLY).expect("a file");
    run(router, &format!("nft -f {path}"));
    let theirs = arrivals(4001);
    assert_eq!(theirs, [5, 5, 0]);
    run(router, "nft flush ruleset");

    let firewall = Firewall::start(&lab, &[]);
    firewall.text(&["rules", "apply", path]);
    assert_eq!(arrivals(4002), theirs);
    // What passes both goes by way of the kernel.
    firewall.apply(&INPUT_ONLY.replace("established,related", "new,established"));
    assert_eq!(arrivals(4003), [5, 5, 5]);
    assert_eq!(counted(&firewall, "fasttracked"), 0);
}

/// A broadcast is everybody's in its own network, and one of many addresses elsewhere.
#[test]
fn the_forward_chain_is_asked_of_broadcasts_to_another_network() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("forward-broadcast").expect("a lab");
    let router = lab.router();
    let switches = ["all", "eth0", "eth1"].map(|of| format!("net.ipv4.conf.{of}.bc_forwarding=1"));
    run(router, &format!("sysctl -qw {}", switches.join(" ")));
    let everybody = Ipv4Addr::new(10, 0, 0, 255).into();
    let arrivals = |port| arriving(&udp(&lab, (CLIENT_V4, everybody), port));
    assert_eq!(arrivals(4000), 5, "the bare kernel forwards");

    let path = lab.run_dir().join("closed.nft");
    let path = path.to_str().expect("UTF-8");
    let closed = "table inet fw { chain forward { type filter hook forward priority filter; policy drop; }; }";
    std::fs::write(path, closed).expect("a file");
    run(router, &format!("nft -f {path}"));
    assert_eq!(arrivals(4001), 0);
    run(router, "nft flush ruleset");

    let firewall = Firewall::start(&lab, &[]);
    assert_eq!(arrivals(4002), 5, "without rules all passes");
    firewall.text(&["rules", "apply", path]);
    assert_eq!(arrivals(4003), 0);
}

#[test]
fn nothing_leaves_straight_where_ipv6s_switch_of_all_is_off() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("forward-none").expect("a lab");
    let switch = |on: bool| {
        let all = format!("sysctl -qw net.ipv6.conf.all.forwarding={}", u8::from(on));
        let own = "sysctl -qw net.ipv6.conf.eth0.forwarding=1 net.ipv6.conf.eth1.forwarding=1";
        run(lab.router(), &format!("{all} && {own}"));
    };
    let talk = udp(&lab, ENDS, 4000);
    talk.query(b"neighbour").expect("arrives");
    switch(false);
    assert_eq!(arriving(&talk), 0, "the bare kernel does not forward");

    let firewall = Firewall::start(&lab, &[]);
    assert_eq!(arriving(&talk), 0, "nor do first packets leave straight");
    switch(true);
    eventually("the switch is on", || arriving(&talk) == 5);
    talk.answer(b"answer").expect("arrives");
    eventually("packets leave straight", || {
        let before = counted(&firewall, "fasttracked");
        arriving(&talk) == 5 && counted(&firewall, "fasttracked") >= before + 4
    });
    switch(false);
    // As long as it takes until the daemon has heard of it; then never again.
    eventually("the switch is off", || arriving(&talk) == 0);
    assert_eq!(arriving(&talk), 0, "established");
    drop(talk);
    assert_eq!(arriving(&udp(&lab, ENDS, 4001)), 0, "first packets");
}
