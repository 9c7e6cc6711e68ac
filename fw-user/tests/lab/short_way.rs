//! The short way of established flows' packets, beside rules: what it leaves out is not missed.

use xtask::lab::{Lab, root_or_skip};

use crate::fasttrack::{PAIRS, counted, udp};
use crate::firewall::{Firewall, run};
use crate::watcher::eventually;

#[test]
fn rules_before_conntrack_see_packets_of_established_flows() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("fast-early").expect("a lab");
    // A flow is ASSURED with its first answer: only then it takes the short way.
    let firewall = Firewall::start(&lab, &["--udp-stream-after", "0"]);
    let path = lab.run_dir().join("early.nft");
    let path = path.to_str().expect("UTF-8");
    for (family, port) in [("ip", 4000), ("ip6", 4001)] {
        let early = "type filter hook prerouting priority raw; policy accept; udp dport 53 counter";
        let later = "type filter hook forward priority filter; policy drop; udp dport 53 accept; udp sport 53 accept";
        let rules = format!(
            "table {family} early {{ chain first {{ {early}; }}; }}\n\
             table inet fw {{ chain later {{ {later}; }}; }}\n"
        );
        std::fs::write(path, rules).expect("a file");
        firewall.text(&["rules", "apply", path]);
        let straight = counted(&firewall, "fasttracked");
        // Those of the other family meet no such rule, and leave by the short way.
        for (pair, port) in PAIRS.iter().zip([port, port + 10]) {
            let talk = udp(&lab, *pair, port);
            for _ in 0..10 {
                talk.query(b"data").expect("arrives");
                talk.answer(b"data").expect("arrives");
            }
        }
        let list = firewall.text(&["rules", "list"]);
        assert!(list.contains("udp dport 53 counter packets 10 "), "{list}");
        let straight = counted(&firewall, "fasttracked") - straight;
        assert!(straight >= 30, "{straight} of 40");
    }
}

#[test]
fn a_kept_verdict_ends_with_what_it_was_found_for() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("fast-group").expect("a lab");
    let firewall = Firewall::start(&lab, &["--udp-stream-after", "0"]);
    let path = lab.run_dir().join("group.nft");
    let path = path.to_str().expect("UTF-8");
    let chain = "type filter hook forward priority filter; policy accept; \
                 iifgroup 7 drop; iifgroup 6 counter";
    let rules = format!("table inet fw {{ chain c {{ {chain}; }}; }}\n");
    std::fs::write(path, rules).expect("a file");
    firewall.text(&["rules", "apply", path]);
    let talk = udp(&lab, PAIRS[0], 4000);
    let speak = || {
        talk.query(b"data").expect("arrives");
        talk.answer(b"data").expect("arrives");
    };
    // It has nothing to do with where packets go, but rules ask of it.
    run(lab.router(), "ip link set eth0 group 6");
    eventually("it is of group 6", || {
        speak();
        !firewall
            .text(&["rules", "list"])
            .contains("counter packets 0 ")
    });
    (0..5).for_each(|_| speak());
    run(lab.router(), "ip link set eth0 group 7");
    let dropped = || counted(&firewall, "policy");
    eventually("it is dropped", || {
        let before = dropped();
        talk.send(b"data").expect("sending");
        dropped() > before
    });
}
