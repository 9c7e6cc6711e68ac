//! Numbers with a 0 in front, which nft reads as octal.

use std::path::Path;

use fw_user::rules::load_text;
use xtask::lab::Lab;

use crate::nft::{lab, listed};

/// Rules with `010`, which is eight for nft.
const EIGHT: &[&str] = &[
    "tcp dport 010",
    "tcp dport \"010\"",
    "tcp dport 1-010",
    "tcp dport { 010, 20 }",
    "tcp dport vmap { 010 : drop }",
    "ip saddr . tcp dport { 10.0.0.1 . 010 }",
    "ip saddr 10.0.0.0/010",
    "ip saddr { 10.0.0.0/010 }",
    "ip6 saddr fe80::/010",
    "meta mark 010",
    "meta mark & 010 == 010",
    "meta mark set 010",
    "ct mark set 010",
    "ip ttl 010",
    "ip id 010",
    "meta length > 010",
    "icmp id 010",
    "icmp type 010",
    "icmp type \"010\"",
    "icmpv6 type 010",
    "ip dscp 010",
    "ip dscp \"010\"",
    "meta l4proto 010",
    "ip protocol 010",
    "ct zone 010",
    "ct bytes > 010",
    "ct expiration 010",
    "tcp flags 010",
    "iifname 010",
    "limit rate 010/second",
    "limit rate 010 kbytes/second",
    "limit rate 10/second burst 010 packets",
    "quota over 010 bytes",
    "quota over 80 kbytes used 010 bytes",
    "ct count over 010 accept",
    "counter packets 010 bytes 010",
    "tcp option maxseg size 010",
    "log group 010",
];

/// Rules with digits that no octal number has.
const NONE: &[&str] = &[
    "icmp type 08",
    "icmp type \"08\"",
    "meta mark 018",
    "ip ttl 09",
    "ip dscp 08",
    "meta l4proto 08",
    "ip saddr 10.0.0.0/08",
    "limit rate 08/second",
    "limit rate 8/second burst 08 packets",
    "counter packets 08 bytes 0",
    "tcp dport 08",
    "tcp dport \"018\"",
];

fn file(rule: &str) -> String {
    format!("table inet t {{\n\tchain c {{\n\t\t{rule}\n\t}}\n}}\n")
}

/// What is wrong with a rule: the message, and what to do.
fn refused(rule: &str) -> (String, String) {
    let loaded = load_text("rule", &file(rule));
    assert!(loaded.ruleset.is_none(), "{rule} is accepted");
    let messages = loaded.report.messages();
    let help = messages[0].help.clone().unwrap_or_default();
    (messages[0].message.clone(), help)
}

fn nft_lists(lab: &Lab, rule: &str) -> Result<String, String> {
    let copy = lab.run_dir().join("rule.nft");
    std::fs::write(&copy, file(rule)).expect("a file");
    listed(lab, Path::new(&copy))
}

#[test]
fn octal_numbers_are_refused_wherever_they_stand() {
    for rule in EIGHT {
        let (message, help) = refused(rule);
        assert_eq!(message, "`010` is octal for nft, 8", "{rule}");
        assert_eq!(help, "write 8, or 10 if that is meant", "{rule}");
    }
    for rule in NONE {
        let (message, help) = refused(rule);
        assert!(
            message.ends_with("begins as an octal number and is none"),
            "{rule}: {message}"
        );
        assert!(help.starts_with("write "), "{rule}: {help}");
    }
}

#[test]
fn nft_reads_what_the_message_says() {
    let Some(lab) = lab("octal") else {
        return;
    };
    for rule in EIGHT {
        let octal = nft_lists(&lab, rule);
        let decimal = nft_lists(&lab, &rule.replace("010", "8"));
        match (octal, decimal) {
            (Ok(octal), Ok(decimal)) => assert_eq!(octal, decimal, "{rule}"),
            (octal, decimal) => panic!("{rule}: {octal:?}, {decimal:?}"),
        }
    }
    // Names of services are looked up by another reader, which knows decimal numbers only.
    let (ports, others): (Vec<&str>, Vec<&str>) =
        NONE.iter().partition(|rule| rule.starts_with("tcp dport"));
    for rule in others {
        assert!(nft_lists(&lab, rule).is_err(), "nft accepts {rule}");
    }
    for rule in ports {
        let (_, help) = refused(rule);
        let number = help.trim_start_matches("write ");
        let meant = format!("tcp dport {number}");
        assert_eq!(nft_lists(&lab, rule), nft_lists(&lab, &meant), "{rule}");
    }
}
