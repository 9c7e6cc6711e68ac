//! `fwctl trace` of real packets.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use xtask::lab::{Lab, root_or_skip};
use xtask::traffic::{NOTHING, Udp};

use crate::firewall::{Firewall, fwctl};
use crate::frames::burst;
use crate::sockets::udp;
use crate::watcher::{Watcher, eventually};

const RULES: &str = "\
table inet fw {
	chain services {
		udp dport 53 counter accept comment \"names\"
		udp dport 54 drop
	}

	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state established accept
		iifname \"eth0\" oifname \"eth1\" jump services
	}
}
";

/// A running `fwctl trace`.
struct Tracer(Child);

impl Tracer {
    /// Starts it, and waits until packets are followed.
    fn start(lab: &Lab, args: &[&str]) -> Self {
        let mut child = fwctl(lab, lab.router())
            .arg("trace")
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starting fwctl trace");
        let stderr = child.stderr.as_mut().expect("a pipe");
        let mut line = String::new();
        BufReader::new(stderr).read_line(&mut line).expect("a line");
        assert!(line.contains("following packets"), "{line}");
        Self(child)
    }

    /// What it has said, once it has ended by itself.
    fn end(mut self) -> String {
        let mut said = String::new();
        let stdout = self.0.stdout.as_mut().expect("a pipe");
        stdout.read_to_string(&mut said).expect("UTF-8");
        assert!(self.0.wait().expect("an end").success());
        said
    }

    /// Ctrl-C.
    fn interrupt(self) -> String {
        kill_process(Pid::from_child(&self.0), Signal::INT).expect("a signal");
        self.end()
    }
}

/// Sends one datagram from port `from` to port `to` of the server.
fn send(lab: &Lab, from: u16, to: u16) -> Udp {
    let udp = udp(lab, from, to);
    udp.send(b"real").expect("sending");
    udp
}

#[test]
fn real_packets_are_followed_through_the_rules() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("trace").expect("a lab");
    let firewall = Firewall::start(&lab, &[]);
    firewall.apply(RULES);

    let tracer = Tracer::start(&lab, &["-p", "udp", "--dport", "53", "--count", "2"]);
    let refused = firewall.fwctl(&["trace", "--count", "1"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("somebody else"),
        "{said}"
    );
    let stranger = send(&lab, 4054, 54);
    let first = send(&lab, 4000, 53);
    first.receive().expect("a packet that is followed passes");
    assert!(stranger.drain(NOTHING).is_empty());
    // Another one of the same flow, whose verdict was not kept.
    first.query(b"more").expect("arrives");
    let said = tracer.end();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 6, "{said}");
    let id = lines[0].split(' ').nth(2).expect("an id");
    let packet = "packet: iif \"eth0\" oif \"eth1\" ip saddr 192.168.1.2 ip daddr 10.0.0.2";
    assert!(
        lines[0].starts_with(&format!("trace id {id} inet fw forward {packet}")),
        "{said}"
    );
    assert!(lines[0].ends_with("udp sport 4000 udp dport 53"), "{said}");
    assert_eq!(
        lines[1..3],
        [
            format!(
                "trace id {id} inet fw forward rule iifname \"eth0\" oifname \"eth1\" jump services (verdict jump services)"
            ),
            format!(
                "trace id {id} inet fw services rule udp dport 53 counter accept comment \"names\" (verdict accept)"
            ),
        ],
        "{said}"
    );
    // Each packet is counted once, followed or not.
    first.query(b"not followed").expect("arrives");
    let listed = firewall.text(&["rules", "list"]);
    assert!(listed.contains("counter packets 3 bytes"), "{listed}");

    drop((first, stranger));

    // Nothing was left behind, so the next one may begin; Ctrl-C ends it.
    let args = ["-s", "192.168.1.0/24", "-i", "eth0", "-o", "json"];
    let mut tracer = Watcher::tracer(&lab, &args);
    let dropped = send(&lab, 4055, 54);
    let unknown = send(&lab, 4056, 55);
    assert!(dropped.drain(NOTHING).is_empty() && unknown.drain(NOTHING).is_empty());
    eventually("both are told of", || tracer.so_far().0 >= 2);
    let (status, lines, _) = tracer.stop(Signal::INT);
    assert!(status.success());
    let said = lines.join("\n");
    let of_port = |port: &str| {
        let objects = said
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        let mut objects = objects.filter(|one: &Value| one["packet"]["udp dport"] == port);
        objects.next().unwrap_or_else(|| panic!("{said}"))
    };
    assert_eq!(of_port("54")["verdict"], "drop");
    assert_eq!(of_port("54")["steps"][1]["rule"], "udp dport 54 drop");
    assert_eq!(of_port("55")["steps"][1]["policy"], "drop");
    // It is off: no packet more is told of.
    let tracer = Tracer::start(&lab, &["-d", "10.9.9.9"]);
    drop(send(&lab, 4057, 53));
    assert_eq!(tracer.interrupt(), "");
}

/// Many begin at the same instant: one follows packets, the others are told so. Killed, it bars nobody.
#[test]
fn one_of_many_traces_at_a_time() {
    const MANY: usize = 8;
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("trace-many").expect("a lab");
    let firewall = Firewall::start(&lab, &[]);
    firewall.apply(RULES);
    for _ in 0..4 {
        let start = || {
            let mut command = fwctl(&lab, lab.router());
            let command = command.args(["trace", "-p", "tcp"]);
            let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
            command.spawn().expect("starting fwctl trace")
        };
        let all: Vec<Child> = std::iter::repeat_with(start).take(MANY).collect();
        let mut following = Vec::new();
        for mut child in all {
            let stderr = child.stderr.as_mut().expect("a pipe");
            let mut line = String::new();
            BufReader::new(stderr).read_line(&mut line).expect("a line");
            if line.contains("following packets") {
                following.push(child);
                continue;
            }
            assert!(line.contains("somebody else traces packets"), "{line}");
            assert_eq!(child.wait().expect("an end").code(), Some(1));
        }
        let count = following.len();
        for mut child in following {
            child.kill().expect("a signal");
            child.wait().expect("an end");
        }
        assert_eq!(count, 1);
    }
    let tracer = Tracer::start(&lab, &["-p", "udp", "--count", "1"]);
    drop(send(&lab, 4000, 53));
    assert!(tracer.end().contains("udp dport 53"));
}

#[test]
fn what_is_too_quick_for_a_trace_is_counted() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("trace-slow").expect("a lab");
    let firewall = Firewall::start(&lab, &[]);
    firewall.apply(RULES);
    let args = [
        "-p", "udp", "--dport", "9", "--rate", "100000", "-o", "json",
    ];
    let mut tracer = Watcher::tracer(&lab, &args);
    kill_process(tracer.pid(), Signal::STOP).expect("stopping it");
    let packets = burst(&lab, 1000);
    let listed = || firewall.text(&["rules", "list", "-o", "json"]);
    let all = format!("\"packets\":{packets},");
    eventually("the policy has dropped all", || listed().contains(&all));
    kill_process(tracer.pid(), Signal::CONT).expect("waking it");
    let mut lost = 0;
    eventually("each packet is told or counted", || {
        let (lines, said) = tracer.so_far();
        lost = counted(said);
        lines as u64 + lost == packets
    });
    assert!(lost > 500, "there is no room for so many: {lost}");
    assert_eq!(firewall_counter(&firewall), lost);
}

/// How many records a trace has said were lost.
fn counted(said: &str) -> u64 {
    let lines = said.lines().filter_map(|line| {
        let (count, _) = line
            .strip_prefix("fwctl: ")?
            .split_once(" records were lost")?;
        count.parse::<u64>().ok()
    });
    lines.sum()
}

/// How many the programs have counted.
fn firewall_counter(firewall: &Firewall<'_>) -> u64 {
    let stats = firewall.text(&["stats", "-o", "json"]);
    let stats: Value = serde_json::from_str(&stats).expect("JSON");
    stats["total"]["traces_lost"].as_u64().expect("a number")
}
