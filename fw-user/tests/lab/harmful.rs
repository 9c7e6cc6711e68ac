//! What packets must not bypass stops the fast path, whether or not somebody sees it come.

use rustix::process::Signal;
use xtask::lab::{Lab, root_or_skip};

use crate::fasttrack::{PAIRS, Tap, counted, is_of, udp};
use crate::firewall::{Firewall, run};
use crate::frames::mac;
use crate::watcher::eventually;

/// Of datagrams from the client to the server that are forwarded.
const POLICY: &str = "src 192.168.1.2 dst 10.0.0.2 dir fwd";

#[test]
fn an_ipsec_policy_counts_even_if_the_daemon_is_stopped() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("fast-xfrm").expect("a lab");
    let firewall = Firewall::start(&lab, &[]);
    let talk = udp(&lab, PAIRS[0], 4000);
    let speak = || {
        talk.query(b"data").expect("arrives");
        talk.answer(b"data").expect("arrives");
    };
    let taken = || {
        let before = counted(&firewall, "fasttracked");
        speak();
        counted(&firewall, "fasttracked") > before
    };
    speak();
    eventually("the fast path", taken);
    firewall.signal(Signal::STOP);
    eventually("the end of the daemon's word", || !taken());
    run(
        lab.router(),
        &format!("ip xfrm policy add {POLICY} action block"),
    );
    let (tap, after) = (Tap::on(lab.server()), udp(&lab, PAIRS[1], 4001));
    let arrived = || {
        talk.send(b"secret").expect("sent");
        // What arrives behind it has had it before itself all the way.
        after.query(b"after").expect("arrives");
        let frames = tap.frames();
        let of = |kind: [u8; 2]| frames.iter().any(|f| f[12..14] == kind && is_of(f, 17));
        assert!(of([0x86, 0xdd]), "the other datagram");
        of([8, 0])
    };
    assert!(!arrived(), "the kernel drops it");
    // It must not vouch for what it last saw.
    firewall.signal(Signal::CONT);
    eventually("the daemon has seen the policy", || {
        assert!(!arrived());
        firewall.text(&["status"]).contains("IPsec policies")
    });
    assert!(!arrived());
    run(lab.router(), &format!("ip xfrm policy delete {POLICY}"));
    eventually("the fast path again", taken);
}

#[test]
fn routes_for_one_type_of_service_stop_the_fast_path() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("fast-tos").expect("a lab");
    let add = |host: &str| format!("ip route add blackhole {host}/32 tos 8");
    // One from before, and one that comes later.
    run(lab.router(), &add("10.9.9.9"));
    let firewall = Firewall::start(&lab, &[]);
    let talk = udp(&lab, PAIRS[0], 4000);
    let taken = || {
        let before = counted(&firewall, "fasttracked");
        talk.query(b"data").expect("arrives");
        talk.answer(b"data").expect("arrives");
        counted(&firewall, "fasttracked") > before
    };
    let is_named = || {
        firewall
            .text(&["status"])
            .contains("routes for one type of service")
    };
    for _ in 0..5 {
        assert!(!taken());
    }
    assert!(is_named());
    run(lab.router(), "ip route del blackhole 10.9.9.9/32 tos 8");
    eventually("the fast path", taken);
    assert!(!is_named());
    run(lab.router(), &add("10.0.0.2"));
    eventually("the slow path", || !taken());
    assert!(is_named());
    // As the kernel would do.
    let (tap, after) = (Tap::on(lab.server()), udp(&lab, PAIRS[1], 4001));
    let ethernet =
        etherparse::PacketBuilder::ethernet2(mac(lab.client(), "eth0"), mac(lab.router(), "eth0"));
    let mut header = etherparse::Ipv4Header::new(
        12,
        64,
        etherparse::IpNumber::UDP,
        [192, 168, 1, 2],
        [10, 0, 0, 2],
    )
    .expect("a header");
    header.dscp = etherparse::IpDscp::try_new(2).expect("6 bits");
    let mut frame = Vec::new();
    let ip = ethernet.ip(etherparse::IpHeaders::Ipv4(
        header,
        etherparse::Ipv4Extensions::default(),
    ));
    let written = ip.udp(4000, 53).write(&mut frame, b"lost");
    written.expect("writing to a vector");
    crate::frames::send(&lab, &frame);
    after.query(b"after").expect("arrives");
    let lost = tap
        .frames()
        .iter()
        .all(|f| f[12..14] != [8, 0] || !is_of(f, 17));
    assert!(lost, "there is a route for it that leads nowhere");
}
