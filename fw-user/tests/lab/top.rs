//! `fwctl top` of real packets.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;
use xtask::lab::{Lab, root_or_skip};
use xtask::traffic::{PATIENCE, Udp};

use crate::firewall::Firewall;
use crate::sockets::udp;
use crate::watcher::Watcher;

const RULES: &str = "\
table inet fw {
	chain forward {
		type filter hook forward priority filter; policy accept;
		udp dport 54 drop
	}
}
";

/// Headers of IPv4 and UDP.
const HEADERS: f64 = 28.0;

fn open(lab: &Lab, port: u16) -> Udp {
    udp(lab, 4000, port)
}

/// What was counted while the page was measured: its rates, times that time.
#[derive(Debug, Default, PartialEq)]
struct Counted {
    up: [f64; 2],
    down: [f64; 2],
    selected: [f64; 2],
    drops: f64,
}

impl Counted {
    fn add(&mut self, page: &Value) {
        let seconds = page["seconds"].as_f64().expect("seconds");
        let count = |rate: &Value| (rate.as_f64().unwrap_or(0.0) * seconds * 1e6).round() / 1e6;
        let rates = &page["top"][0]["rates"];
        for (sum, rate) in [
            (&mut self.up, &rates["original"]),
            (&mut self.down, &rates["reply"]),
            (&mut self.selected, &page["selected"]["rates"]),
        ] {
            sum[0] += count(&rate["packets"]);
            sum[1] += count(&rate["bytes"]);
        }
        self.drops += count(&page["drops"]["policy"]);
    }
}

#[test]
fn rates_are_those_of_the_packets_that_were_sent() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("top").expect("a lab");
    let firewall = Firewall::start(&lab, &["--udp-timeout", "1h", "--udp-timeout-stream", "1h"]);
    firewall.apply(RULES);
    let args = [
        "-o",
        "json",
        "--interval",
        "200ms",
        "-p",
        "udp",
        "--dport",
        "53",
    ];
    let mut top = Watcher::top(&lab, &args);

    let names = open(&lab, 53);
    for _ in 0..20 {
        names.query(&[0; 100]).expect("arrives");
    }
    for _ in 0..5 {
        names.answer(&[0; 300]).expect("arrives");
    }
    drop(names);
    let refused = open(&lab, 54);
    for _ in 0..7 {
        refused.send(&[0; 10]).expect("sent");
    }
    // However the pages fall between the packets: each is in one of them.
    let mut counted = Counted::default();
    let begin = Instant::now();
    while counted.drops < 7.0 || counted.selected[0] < 25.0 {
        let line = top.wait_for(&["\"seconds\""]);
        counted.add(&serde_json::from_str(&line).expect("JSON"));
        // Pages come for ever.
        assert!(begin.elapsed() < 2 * PATIENCE, "{counted:?}");
    }
    let (up, down) = (20.0 * (100.0 + HEADERS), 5.0 * (300.0 + HEADERS));
    let expected = Counted {
        up: [20.0, up],
        down: [5.0, down],
        selected: [25.0, up + down],
        drops: 7.0,
    };
    assert_eq!(counted, expected);
    let (status, lines, said) = top.stop(Signal::INT);
    assert!(status.success(), "{said}");

    // Nothing comes any more, and the flow is still there.
    let last: Value = serde_json::from_str(lines.last().expect("pages")).expect("JSON");
    assert_eq!(last["selected"]["count"], 1, "{last}");
    assert_eq!(last["top"][0]["interface"]["original"], "eth0", "{last}");
    assert!(last["uptime"].is_u64(), "the daemon is there: {last}");
}
