//! Datagrams larger than the MTU, through the router.

use xtask::lab::{Lab, SERVER_V4, SERVER_V6, root_or_skip};
use xtask::traffic::{Udp, ping};

use crate::firewall::Firewall;
use crate::oracle::{self, assert_same};

/// They arrive, and both listings say the same of them: as many packets as datagrams, with all bytes.
#[test]
fn large_datagrams_arrive_and_are_counted_as_by_the_kernel() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("fragments").expect("a lab");
    oracle::enable(&lab);
    let firewall = Firewall::start(&lab, &[oracle::BESIDE, &["--drop-invalid"]].concat());
    for to in [SERVER_V4, SERVER_V6] {
        let done = ping(lab.client(), to, 3).args(["-s", "4000"]).status();
        assert!(done.expect("ping").success(), "{to} answers");
    }
    for (from, to) in [
        ("192.168.1.2:4000", "10.0.0.2:53"),
        ("[2001:db8:1::2]:4000", "[2001:db8:2::2]:53"),
    ] {
        let at = |text: &str| text.parse().expect("ADDR:PORT");
        let udp = Udp::open(lab.client(), at(from), lab.server(), at(to)).expect("sockets");
        for size in [1473, 9000, 60_000] {
            udp.query(&vec![1; size]).expect("it arrives");
            udp.answer(&vec![2; size + 1]).expect("so does the answer");
        }
    }
    for filter in ["-p udp", "-p icmp", "-f ipv6 -p icmpv6"] {
        let lines = assert_same(&lab, &firewall, filter);
        assert!(!lines.is_empty(), "{filter}");
        for line in lines {
            assert_eq!(line.matches("packets=3 ").count(), 2, "{line}");
        }
    }
    let stats = firewall.text(&["stats"]);
    for reason in ["fragment-without-first", "overlapping-fragment"] {
        assert!(
            !stats.contains(reason) || stats.contains(&format!("{reason}=0")),
            "{stats}"
        );
    }
}
