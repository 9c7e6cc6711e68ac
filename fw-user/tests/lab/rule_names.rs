//! The rule that let a flow in, in the JSON of the flow.

use rustix::process::Signal;
use serde_json::Value;
use xtask::lab::{Lab, root_or_skip};

use crate::firewall::Firewall;
use crate::sockets::udp;
use crate::watcher::Watcher;

const RULES: &str = "\
table inet fw {
	set resolvers { type ipv4_addr; elements = { 10.0.0.2 } }

	chain services {
		udp dport 53 accept
		udp dport { 54, 55 } counter accept
	}

	chain forward {
		type filter hook forward priority filter; policy accept;
		ct state established accept
		ip daddr @resolvers udp dport 50-59 jump services
		meta l4proto udp limit rate 1000/second counter
	}

	chain late {
		type filter hook forward priority 10; policy accept;
	}
}
";

/// Sends a datagram to `port` of the server, and one back.
fn exchange(lab: &Lab, port: u16) {
    let udp = udp(lab, 4000 + port, port);
    udp.query(b"here").expect("an arrival");
    udp.answer(b"there").expect("an arrival");
}

/// The rule by the port of each flow.
fn ruled(listing: &str) -> Vec<(u64, Option<String>)> {
    let flows: Vec<Value> = serde_json::from_str(listing).expect("JSON");
    let mut all: Vec<_> = flows
        .iter()
        .map(|flow| {
            let port = flow["original"]["dport"].as_u64().expect("a port");
            (port, flow["rule"].as_str().map(str::to_owned))
        })
        .collect();
    all.sort();
    all
}

/// `chain#handle` of the rule with this text, as `fwctl rules list -o json` has it.
fn handle(listing: &str, chain: &str, text: &str) -> String {
    let listing: Value = serde_json::from_str(listing).expect("JSON");
    let chains = listing["tables"][0]["chains"].as_array().expect("chains");
    let found = chains.iter().find(|found| found["name"] == chain);
    let rules = found.expect("the chain")["rules"]
        .as_array()
        .expect("rules");
    let rule = rules.iter().find(|rule| {
        let found = rule["text"].as_str().expect("a text");
        found.starts_with(text)
    });
    format!("{chain}#{}", rule.expect("the rule")["handle"])
}

#[test]
fn flows_tell_which_rule_let_them_in() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("rule-names").expect("a lab");
    let mut firewall = Firewall::start(&lab, &["--udp-timeout", "1h"]);
    exchange(&lab, 53);
    assert_eq!(ruled(&firewall.text(&["list", "-o", "json"])), [(53, None)]);
    firewall.text(&["flush"]);
    firewall.apply(RULES);
    let mut events = Watcher::ours(&lab, &firewall, &["-o", "json", "-e", "NEW"]);
    for port in [53, 55, 60] {
        exchange(&lab, port);
    }
    let rules = firewall.text(&["rules", "list", "-o", "json"]);
    let expected = [
        (53, Some(handle(&rules, "services", "udp dport 53"))),
        (55, Some(handle(&rules, "services", "udp dport { 54"))),
        (60, Some("forward policy".to_owned())),
    ];
    assert_eq!(ruled(&firewall.text(&["list", "-o", "json"])), expected);
    for (port, rule) in &expected {
        let event = events.wait_for(&[&format!("\"dport\":{port}")]);
        let event: Value = serde_json::from_str(&event).expect("an object");
        assert_eq!(event["rule"].as_str(), rule.as_deref());
    }
    events.stop(Signal::TERM);

    // The next ruleset has rules in the same places; it did not let these flows in.
    firewall.apply(&RULES.replace("dport 53", "dport 56"));
    exchange(&lab, 56);
    let rules = firewall.text(&["rules", "list", "-o", "json"]);
    let rule = handle(&rules, "services", "udp dport 56");
    let expected = [(53, None), (55, None), (56, Some(rule)), (60, None)];
    assert_eq!(ruled(&firewall.text(&["list", "-o", "json"])), expected);

    // Without a daemon, or one that answers, the ruleset on the disk is asked.
    firewall.signal(Signal::STOP);
    assert_eq!(ruled(&firewall.text(&["list", "-o", "json"])), expected);
    firewall.signal(Signal::CONT);
    firewall.end(Signal::KILL);
    assert_eq!(ruled(&firewall.text(&["list", "-o", "json"])), expected);
}
