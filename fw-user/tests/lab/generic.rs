//! Generic mode: the program runs in the kernel's stack, behind GRO.

use xtask::lab::{Lab, root_or_skip};
use xtask::traffic::Tcp;

use crate::firewall::Firewall;
use crate::seeds::await_flow;

#[test]
fn a_connection_opens_carries_data_and_closes() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("generic").expect("a lab");
    let firewall = Firewall::start(&lab, &["--xdp-mode", "generic", "--drop-invalid"]);
    assert!(firewall.text(&["status"]).contains("generic"));
    let from = "192.168.1.2:4000".parse().expect("an address");
    let to = "10.0.0.2:80".parse().expect("an address");
    let mut tcp = Tcp::open(lab.client(), from, lab.server(), to).expect("a connection");
    tcp.echo(&[1; 200_000]).expect("data goes both ways");
    tcp.close().expect("closing");
    // The last acknowledgement may still be on its way.
    await_flow(&firewall, "TIME_WAIT");
    let lines = firewall.list(&["-p", "tcp"]);
    assert_eq!(lines.len(), 1, "{lines:?}");
}
