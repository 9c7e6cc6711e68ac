//! What is rejected is answered, at each hook and in each mode.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use xtask::lab::{Host, Lab, root_or_skip};
use xtask::traffic::{PATIENCE, Tcp, uninterrupted};

use crate::firewall::Firewall;
use crate::tc::{PAIRS, offloading};

const RULES: &str = "table inet fw { chain through { type filter hook forward priority 0; policy accept; \
     tcp dport 81 reject; tcp dport 82 reject with tcp reset; udp dport 53 reject; }; }";

/// A socket that hears of ICMP errors.
fn connected(host: &Host, to: SocketAddr) -> UdpSocket {
    let open = || {
        let any: IpAddr = if to.is_ipv4() {
            [0; 4].into()
        } else {
            [0; 16].into()
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(to)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok::<_, std::io::Error>(socket)
    };
    host.enter(open).expect("in the host").expect("a socket")
}

/// Runs the firewall with options, and sends what is rejected: connections from ports above `first`, datagrams of each
/// length.
fn assert_answered(lab: &Lab, options: &[&str], first: u16) {
    let rules = lab.run_dir().join("reject.nft");
    std::fs::write(&rules, RULES).expect("a file");
    let rules = rules.display().to_string();
    let _firewall = Firewall::start(lab, &[options, &["--rules", &rules]].concat());
    for (from, to) in PAIRS {
        for port in [81, 82] {
            let (ours, theirs) = ((from, first + port).into(), (to, port).into());
            let open = Tcp::open(lab.client(), ours, lab.server(), theirs);
            let said = format!("{:#}", open.expect_err("rejected"));
            assert!(said.contains("refused"), "{options:?} {to} {port}: {said}");
        }
        for length in [0, 1, 20, 30, 60, 100, 500] {
            let udp = connected(lab.client(), (to, 53).into());
            udp.send(&vec![7; length]).expect("sent");
            let error = uninterrupted(|| udp.recv(&mut [0; 16])).expect_err("an ICMP error");
            let kind = error.kind();
            assert_eq!(
                kind,
                ErrorKind::ConnectionRefused,
                "{options:?} {to} {length}"
            );
        }
    }
}

#[test]
fn rejected_packets_of_any_length_are_answered() {
    if !root_or_skip() {
        return;
    }
    // The far ends have no XDP program of their own.
    let lab = Lab::up("rejects").expect("a lab");
    let native = ["--hook", "xdp", "--xdp-mode", "native"];
    assert_answered(&lab, &native, 4000);
    assert_answered(&lab, &["--hook", "xdp", "--xdp-mode", "generic"], 4100);
    assert_answered(&lab, &["--hook", "tc"], 4200);
}

#[test]
fn rejected_packets_are_answered_whoever_finishes_their_checksums() {
    if !root_or_skip() {
        return;
    }
    assert_answered(&offloading("tc-reject"), &["--hook", "tc"], 4000);
}
