//! `fwctl events` beside `conntrack -E`: the same packets, the same lines.

use std::collections::BTreeMap;

use rustix::process::Signal;
use xtask::lab::{Lab, SERVER_V4, SERVER_V6, root_or_skip};
use xtask::traffic::{Tcp, lone_syn, ping};

use crate::firewall::{Firewall, run};
use crate::oracle;
use crate::sockets::udp;
use crate::watcher::{Watcher, eventually};

fn at(address: &str) -> std::net::SocketAddr {
    address.parse().expect("ADDR:PORT")
}

/// A query and its answer.
pub(crate) fn dns(lab: &Lab, port: u16) {
    let udp = udp(lab, port, 53);
    udp.query(b"?").expect("arrives");
    udp.answer(b"!").expect("arrives");
}

/// A line without what two trackers may say differently: the second that passes between them.
#[derive(Debug)]
struct Told {
    /// The line with `_` for the timeout, and without who asked for it.
    facts: String,
    timeout: Option<u64>,
}

impl Told {
    fn of(line: &str) -> Self {
        let line = line.split(" [USERSPACE]").next().unwrap_or(line).trim_end();
        // Tag, protocol, its number, and then the timeout if there is one.
        let word = line.split_whitespace().nth(3).unwrap_or_default();
        let timeout = word.parse().ok();
        let facts = match timeout {
            Some(_) => line.replacen(&format!(" {word} "), " _ ", 1),
            None => line.to_owned(),
        };
        Self { facts, timeout }
    }

    /// What tells flows apart: the protocol and the original tuple.
    fn flow(&self) -> String {
        let words = self.facts.split_whitespace();
        let tuple = |word: &&str| {
            ["tcp", "udp", "icmp", "icmpv6"].contains(word)
                || ["src=", "dst=", "sport=", "dport=", "id="]
                    .iter()
                    .any(|name| word.starts_with(name))
        };
        words.filter(tuple).take(6).collect::<Vec<_>>().join(" ")
    }
}

/// Both told the same of each flow, in the same order. Across flows it may differ: the two do not see a
/// packet at the same moment.
#[track_caller]
fn assert_same(ours: &[String], kernels: &[String]) {
    let by_flow = |lines: &[String]| {
        let mut flows: BTreeMap<String, Vec<Told>> = BTreeMap::new();
        for told in lines.iter().map(|line| Told::of(line)) {
            flows.entry(told.flow()).or_default().push(told);
        }
        flows
    };
    let (ours, kernels) = (by_flow(ours), by_flow(kernels));
    let facts = |flows: &BTreeMap<String, Vec<Told>>| -> Vec<String> {
        let all = flows.values().flatten();
        all.map(|told| told.facts.clone()).collect()
    };
    assert_eq!(
        facts(&ours).join("\n"),
        facts(&kernels).join("\n"),
        "ours, and the kernel's"
    );
    for (mine, theirs) in ours.values().flatten().zip(kernels.values().flatten()) {
        let (a, b) = (mine.timeout.unwrap_or(0), theirs.timeout.unwrap_or(0));
        assert!(a.abs_diff(b) <= 1, "timeouts of\n{mine:?}\n{theirs:?}");
    }
}

/// Every kind of event, of every kind of flow.
fn play(lab: &Lab) {
    dns(lab, 4000);
    for to in [SERVER_V4, SERVER_V6] {
        let echo = ping(lab.client(), to, 2).status().expect("ping");
        assert!(echo.success(), "the ping is answered");
    }
    for (from, to) in [
        ("192.168.1.2:4001", "10.0.0.2:80"),
        ("[2001:db8:1::2]:4001", "[2001:db8:2::2]:80"),
    ] {
        // Once more, while the first is in TIME_WAIT: the old flow ends, another begins.
        for _ in 0..2 {
            let mut tcp = Tcp::open(lab.client(), at(from), lab.server(), at(to)).expect("TCP");
            tcp.echo(b"hello").expect("arrives");
            tcp.close().expect("in order");
        }
    }
    // Nobody listens there: the RST ends the flow at once.
    let _refused = lone_syn(lab.client(), at("192.168.1.2:4002"), at("10.0.0.2:81"));
    // Nobody answers at all.
    let from = at("192.168.1.2:4003");
    let lone = lab.client().enter(|| std::net::UdpSocket::bind(from));
    let lone = lone.expect("in the client").expect("a socket");
    lone.send_to(b"?", "10.0.0.99:53").expect("sent");
}

#[test]
fn lines_are_those_of_conntrack() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("events").expect("a lab");
    oracle::enable(&lab);
    let firewall = Firewall::start(&lab, &["--gc-interval", "100ms", "--fasttrack", "off"]);
    let mut kernels = Watcher::kernels(&lab, &[]);
    let mut ours = Watcher::ours(&lab, &firewall, &[]);
    play(&lab);
    for watcher in [&mut ours, &mut kernels] {
        watcher.wait_for(&["[NEW]", "udp", "sport=4003"]);
    }
    // What is removed by hand.
    run(lab.router(), "conntrack -D -p icmp 2>/dev/null");
    firewall.text(&["delete", "-p", "icmp"]);
    // What is only counted, or refreshed, is no event; the flush ends whatever is left.
    run(lab.router(), "conntrack -F 2>/dev/null");
    firewall.text(&["flush"]);
    for watcher in [&mut ours, &mut kernels] {
        watcher.wait_for(&["[DESTROY]", "udp", "sport=4003", "[USERSPACE]"]);
    }
    dns(&lab, 4999);
    for watcher in [&mut ours, &mut kernels] {
        watcher.wait_for(&["[UPDATE]", "udp", "sport=4999"]);
    }
    let pid = |lines: &[String]| {
        let line = lines.iter().find(|line| line.contains("[USERSPACE]"));
        line.cloned().expect("a line about a deletion")
    };
    let (status, mine, said) = ours.stop(Signal::INT);
    let (_, theirs, _) = kernels.stop(Signal::INT);
    assert_same(&mine, &theirs);
    assert!(status.success(), "{status}");
    let note = format!("fwctl: {} flow events have been shown.", mine.len());
    assert_eq!(said.trim_end(), note);
    assert!(pid(&mine).ends_with(" progname=fwctl"), "{}", pid(&mine));
    assert!(pid(&theirs).contains(" [USERSPACE] portid="));
}

#[test]
fn expired_flows_end_without_a_timeout_and_with_their_age() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("events-expiry").expect("a lab");
    oracle::enable(&lab);
    let router = lab.router();
    run(
        router,
        "sysctl -qw net.netfilter.nf_conntrack_udp_timeout=4",
    );
    run(router, "sysctl -qw net.netfilter.nf_conntrack_timestamp=1");
    let args = [
        "--gc-interval",
        "50ms",
        "--udp-timeout",
        "4",
        "--fasttrack",
        "off",
    ];
    let firewall = Firewall::start(&lab, &args);
    firewall.text(&["sysctl", "-w", "net.netfilter.nf_conntrack_timestamp=1"]);
    let mut kernels = Watcher::kernels(&lab, &["-e", "DESTROY"]);
    let mut ours = Watcher::ours(&lab, &firewall, &["-e", "DESTROY"]);
    dns(&lab, 4000);
    // The kernel's own sweep may take a minute; a listing reaps what has expired.
    eventually("the kernel's flow is gone", || {
        oracle::list(&lab, "").is_empty()
    });
    for watcher in [&mut ours, &mut kernels] {
        watcher.wait_for(&["[DESTROY]", "sport=4000"]);
    }
    let (_, mine, _) = ours.stop(Signal::TERM);
    let (_, theirs, _) = kernels.stop(Signal::TERM);
    // It was there for some seconds, and each is swept at its own time.
    let ageless = |lines: &[String]| -> Vec<String> {
        let plain = |line: &String| line.split(" delta-time=").next().map(str::to_owned);
        assert!(
            lines.iter().all(|line| line.contains(" delta-time=")),
            "{lines:?}"
        );
        lines.iter().filter_map(plain).collect()
    };
    assert_eq!(ageless(&mine), ageless(&theirs));
    assert!(
        mine[0].starts_with("[DESTROY] udp      17 src="),
        "{mine:?}"
    );
}

#[test]
fn timestamps_details_filters_and_json() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("events-out").expect("a lab");
    oracle::enable(&lab);
    run(
        lab.router(),
        "sysctl -qw net.netfilter.nf_conntrack_timestamp=1",
    );
    let firewall = Firewall::start(&lab, &["--timestamp", "on", "--fasttrack", "off"]);
    let words = ["-o", "timestamp,extended,id,ktimestamp"];
    let mut kernels = Watcher::kernels(&lab, &words);
    let mut ours = Watcher::ours(&lab, &firewall, &words);
    let filter = [
        "-o",
        "json,timestamp",
        "-p",
        "udp",
        "--sport",
        "4001",
        "--count",
        "2",
    ];
    let mut json = Watcher::ours(&lab, &firewall, &filter);
    for port in [4000, 4001] {
        dns(&lab, port);
    }
    run(lab.router(), "conntrack -D -p udp 2>/dev/null");
    firewall.text(&["delete", "-p", "udp"]);
    let shape = |line: &str| -> String {
        // Digits differ from tracker to tracker where a time or an id stands.
        let (time, rest) = line.split_once('\t').expect("a timestamp and a tab");
        assert_eq!(
            time.split('.').nth(1).map(str::len),
            Some("123456]".len()),
            "{time}"
        );
        let shown: Vec<&str> = rest.split(" [USERSPACE]").next().into_iter().collect();
        let words = shown[0].trim_end().split(' ');
        let vague = |word: &str| match word.split_once("id=") {
            Some(("", _)) => "id=_".to_owned(),
            _ => word.to_owned(),
        };
        words.map(vague).collect::<Vec<_>>().join(" ")
    };
    let mut shapes = [&mut ours, &mut kernels].map(|watcher| {
        let words = [["[NEW]", "sport=4000"], ["[UPDATE]", "sport=4000"]];
        let mut lines: Vec<String> = words.iter().map(|w| shape(&watcher.wait_for(w))).collect();
        let end = watcher.wait_for(&["[DESTROY]", "sport=4000"]);
        let (before, times) = end.split_once(" [start=").expect("a start");
        let (start, rest) = times.split_once("] [stop=").expect("a stop");
        let (stop, rest) = rest.split_once("] ").expect("more");
        assert_eq!(start.len(), stop.len());
        // At most a second lies between the two stops; both lines end with the id.
        assert!(rest.starts_with("id="), "{end}");
        let before = before.split_once('\t').expect("a tab").1;
        // Between the two a second may begin; each line agrees with itself.
        let (before, seconds) = before.split_once(" delta-time=").expect("a duration");
        let between = seconds_of_day(stop) - seconds_of_day(start);
        assert_eq!(seconds, between.rem_euclid(86_400).to_string(), "{end}");
        lines.push(before.to_owned());
        // Of the timeouts the last digit may differ.
        lines
            .iter()
            .map(|line| line.replace(" 29 ", " 30 "))
            .collect::<Vec<_>>()
    });
    let theirs = shapes[1].split_off(0);
    assert_eq!(shapes[0], theirs);

    let (status, lines, _) = json.end();
    assert!(status.success());
    let events: Vec<serde_json::Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("an object a line"))
        .collect();
    let words: Vec<_> = events.iter().map(|e| e["event"].as_str()).collect();
    assert_eq!(words, [Some("new"), Some("update")]);
    assert_eq!(events[0]["original"]["sport"], 4001);
    assert_eq!(events[0]["cause"], "packet");
    assert_eq!(events[1]["status"][0], "SEEN_REPLY");
    assert!(
        events[0]["timestamp"]
            .as_str()
            .is_some_and(|t| t.ends_with('Z'))
    );
}

/// Of a time as `ctime(3)` writes it.
fn seconds_of_day(time: &str) -> i64 {
    let clock = time.split(' ').find(|word| word.contains(':'));
    let parts = clock.expect("a time of day").split(':');
    parts.fold(0, |sum, part| {
        sum * 60 + part.parse::<i64>().expect("digits")
    })
}
