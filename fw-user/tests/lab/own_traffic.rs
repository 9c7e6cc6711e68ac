//! What the router itself opens is tracked at TC egress, and its answers are let in.

use xtask::lab::{Lab, SERVER_V4, SERVER_V6, root_or_skip};
use xtask::traffic::{Tcp, ping};

use crate::firewall::Firewall;

#[test]
fn answers_to_the_router_are_established_even_where_invalid_is_dropped() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("own").expect("a lab");
    let firewall = Firewall::start(&lab, &["--drop-invalid"]);
    for to in [SERVER_V4, SERVER_V6] {
        // An answer that belonged to no flow would be INVALID: a reply to nothing.
        assert!(
            ping(lab.router(), to, 2).status().expect("ping").success(),
            "{to} answers"
        );
    }
    let v4 = firewall.list(&["-p", "icmp"]);
    assert_eq!(v4.len(), 1, "{v4:?}");
    assert!(v4[0].contains("src=10.0.0.1 dst=10.0.0.2 type=8"), "{v4:?}");
    assert!(!v4[0].contains("UNREPLIED"), "{v4:?}");

    let from = "10.0.0.1:5000".parse().expect("an address");
    let to = "10.0.0.2:80".parse().expect("an address");
    let mut tcp = Tcp::open(lab.router(), from, lab.server(), to).expect("a connection");
    tcp.echo(&[1; 300_000])
        .expect("segments larger than the MTU leave the router whole");
    let lines = firewall.list(&["-p", "tcp"]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("ESTABLISHED src=10.0.0.1"), "{lines:?}");
    assert!(lines[0].contains("[ASSURED]"), "{lines:?}");
}
