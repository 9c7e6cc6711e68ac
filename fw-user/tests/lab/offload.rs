//! Hosts that leave checksums to their NIC, where the "NIC" is one end of a veth pair.

use xtask::lab::{CLIENT_V4, CLIENT_V6, Lab, SERVER_V4, SERVER_V6, root_or_skip};
use xtask::traffic::Tcp;

use crate::firewall::{self, Firewall};

#[test]
fn unfinished_checksums_of_local_peers_are_no_fault() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("offload-tx").expect("a lab");
    for host in [lab.client(), lab.server()] {
        firewall::run(host, "ethtool -K eth0 tx on");
    }
    let firewall = Firewall::start(&lab, &["--drop-invalid"]);
    for (from, to) in [(CLIENT_V4, SERVER_V4), (CLIENT_V6, SERVER_V6)] {
        let (from, to) = ((from, 5000).into(), (to, 80).into());
        let mut tcp = Tcp::open(lab.client(), from, lab.server(), to).expect("a connection");
        tcp.echo(b"hello").expect("an answer");
    }
    let lines = firewall.list(&["-p", "tcp"]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("[OFFLOAD]")));
}
