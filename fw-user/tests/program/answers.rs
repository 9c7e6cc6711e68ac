//! What rules say besides the verdict: answers to the sender, lines for the log.

use std::time::{Duration, Instant};

use fw_common::Reason;
use fw_common::wire::{self, Meta as Headers};
use fw_user::rules::ir::{Hook, Log, Policy, Reject, Statement};
use fw_user::rules::logline;
use xtask::lab::{eventually, root_or_skip};

use crate::frames::{self, end};
use crate::harness::{HZ, Program, XDP_TX};
use crate::rulesets::*;
use crate::segments::segment;

const CLIENT: &str = "192.168.1.2:40000";
const SERVER: &str = "10.0.0.2:22";

#[test]
fn a_rejected_packet_is_answered() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let mut maps = program.ruleset();
    let rules = vec![
        rule(vec![
            equals(PROTOCOL, 6),
            Statement::Reject(Reject::TcpReset),
        ]),
        rule(vec![Statement::Reject(Reject::Icmpx(1))]),
    ];
    let compiled = compiled(&ruleset(
        vec![base(Hook::Input, Policy::Drop, rules)],
        Vec::new(),
    ));
    maps.load(&compiled, program.clock().now(), HZ)
        .expect("load");
    for (client, server) in [
        (CLIENT, SERVER),
        ("[2001:db8:1::2]:40000", "[2001:db8:2::2]:22"),
    ] {
        let (client, server) = (end(client), end(server));
        let (action, reset) = program.exchange(&frames::tcp(client, server, &segment("S", 7, 0)));
        assert_eq!(action, XDP_TX);
        let mut meta = Headers::default();
        wire::parse(&reset[..], &mut meta).expect("a reset");
        assert_eq!(
            (meta.sport, meta.dport, meta.tcp.flags, meta.tcp.ack),
            (22, 40000, 0x14, 8)
        );
        let query = frames::udp(client, server, &[7; 300]);
        let (action, error) = program.exchange(&query);
        assert_eq!(action, XDP_TX);
        wire::parse(&error[..], &mut meta).expect("an error");
        let unreachable = if server.addr.is_ipv4() {
            (3, 3)
        } else {
            (1, 4)
        };
        assert_eq!((meta.icmp_type, meta.icmp_code), unreachable);
        assert!(error.len() < query.len());
    }
    // No more than a burst at once: the rest is dropped in silence. At once, or the next burst is due.
    let syn = frames::tcp(end(CLIENT), end(SERVER), &segment("S", 7, 0));
    let answered = eventually("500 at once", Duration::from_secs(60), || {
        let begin = Instant::now();
        let answered = (0..500).filter(|_| program.run(&syn) == XDP_TX).count();
        (begin.elapsed() < Duration::from_millis(300)).then_some(answered)
    });
    assert!((1..400).contains(&answered), "{answered}");
    assert_eq!(program.reason(&syn).0, Reason::Rejected);
    assert_eq!(program.flows().len(), 0);
}

#[test]
fn logged_packets_are_told_of() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let mut maps = program.ruleset();
    let log = Log {
        prefix: Some("new: ".into()),
        ..Log::default()
    };
    let rules = vec![rule(vec![equals(DPORT, 22), Statement::Log(log), ACCEPT])];
    let compiled = compiled(&ruleset(
        vec![base(Hook::Input, Policy::Accept, rules)],
        Vec::new(),
    ));
    maps.load(&compiled, program.clock().now(), HZ)
        .expect("load");
    let mut ring = program.logs();
    for port in [22, 23] {
        let server = end(&format!("10.0.0.2:{port}"));
        program.run(&frames::tcp(end(CLIENT), server, &segment("S", 7, 0)));
    }
    let told = ring.next().expect("a line");
    let prefix = &told.text.prefix[..usize::from(told.text.len)];
    assert_eq!((prefix, told.text.level), (&b"new: "[..], 4));
    let text = logline::line("", &told.facts, false);
    assert!(
        text.contains("PROTO=TCP SPT=40000 DPT=22 WINDOW=1000"),
        "{text}"
    );
    assert!(ring.next().is_none(), "nothing is told of port 23");
}
