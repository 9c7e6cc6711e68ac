//! What is rejected is answered, at each hook and in each mode.

use std::io::ErrorKind;

use xtask::lab::{Lab, root_or_skip};
use xtask::traffic::{Tcp, uninterrupted};

use crate::firewall::Firewall;
use crate::tc::{PAIRS, connected};

#[test]
fn rejected_packets_of_any_length_are_answered() {
    if !root_or_skip() {
        return;
    }
    // The far ends have no XDP program of their own.
    let lab = Lab::up("rejects").expect("a lab");
    let rules = lab.run_dir().join("reject.nft");
    let text = "table inet fw { chain through { type filter hook forward priority 0; policy accept; \
                tcp dport 81 reject; tcp dport 82 reject with tcp reset; udp dport 53 reject; }; }";
    std::fs::write(&rules, text).expect("a file");
    let rules = rules.display().to_string();
    for (n, mode) in [
        &["--hook", "xdp", "--xdp-mode", "native"][..],
        &["--hook", "xdp", "--xdp-mode", "generic"],
        &["--hook", "tc"],
    ]
    .into_iter()
    .enumerate()
    {
        let options = [mode, &["--rules", &rules]].concat();
        let _firewall = Firewall::start(&lab, &options);
        for (from, to) in PAIRS {
            for port in [81, 82] {
                let ours = 4000 + 100 * u16::try_from(n).expect("few modes") + port;
                let (ours, theirs) = ((from, ours).into(), (to, port).into());
                let open = Tcp::open(lab.client(), ours, lab.server(), theirs);
                let said = format!("{:#}", open.expect_err("rejected"));
                assert!(said.contains("refused"), "{mode:?} {to} {port}: {said}");
            }
            for length in [0, 1, 20, 30, 60, 100, 500] {
                let udp = connected(lab.client(), (to, 53).into());
                udp.send(&vec![7; length]).expect("sent");
                let error = uninterrupted(|| udp.recv(&mut [0; 16]));
                let error = error.expect_err("an ICMP error").kind();
                assert_eq!(
                    error,
                    ErrorKind::ConnectionRefused,
                    "{mode:?} {to} {length}"
                );
            }
        }
    }
}
