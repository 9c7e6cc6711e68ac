//! `fwctl doctor`: it finds what was broken on purpose, and its commands mend it.

use rustix::process::Signal;
use serde_json::Value;
use xtask::lab::{Lab, root_or_skip};

use crate::firewall::{Firewall, fwctl, run};
use crate::watcher::eventually;

/// What it finds on the router, and its exit status.
fn examine(lab: &Lab, args: &[&str]) -> (Vec<Value>, Option<i32>) {
    let output = fwctl(lab, lab.router())
        .args(["doctor", "-o", "json"])
        .args(args)
        .output()
        .expect("running fwctl");
    let findings: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = findings.as_array().expect("an array").clone();
    (findings, output.status.code())
}

/// The level of a check, and the command that mends it.
fn find<'a>(findings: &'a [Value], about: Option<&str>, check: &str) -> (&'a str, &'a str) {
    let mut all = findings.iter();
    let found = all.find(|f| f["interface"].as_str() == about && f["check"] == check);
    let found = found.unwrap_or_else(|| panic!("no {check} of {about:?} in {findings:#?}"));
    let text = |name: &str| found[name].as_str().unwrap_or_default();
    (text("level"), text("mend"))
}

#[test]
fn what_is_broken_is_found_and_its_command_mends_it() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("doctor").expect("a lab");
    let router = lab.router();
    let eth0 = Some("eth0");
    let (findings, status) = examine(&lab, &[]);
    assert_eq!(status, Some(0), "{findings:#?}");
    for check in ["kernel", "btf", "forwarding"] {
        assert_eq!(find(&findings, None, check).0, "ok");
    }
    assert_eq!(find(&findings, eth0, "hook").0, "ok");

    // Each way to break something: what is found then, and whether its command is to be run as it is.
    for (harm, about, check) in [
        ("sysctl -qw net.ipv4.ip_forward=0", None, "forwarding"),
        (
            "sysctl -qw net.ipv4.conf.eth0.rp_filter=1",
            eth0,
            "rp_filter",
        ),
        (
            "sysctl -qw net.ipv4.conf.eth0.forwarding=0",
            eth0,
            "forwarding",
        ),
    ] {
        run(router, harm);
        let (findings, _) = examine(&lab, &["-i", "eth0"]);
        let (level, mend) = find(&findings, about, check);
        assert_ne!(level, "ok", "{harm}");
        run(router, mend);
        let (findings, _) = examine(&lab, &["-i", "eth0"]);
        let again = findings
            .iter()
            .any(|f| f["interface"].as_str() == about && f["check"] == check && f["level"] != "ok");
        assert!(!again, "{harm} is not mended by {mend}: {findings:#?}");
    }

    run(
        router,
        "nft add table ip t '{ chain f { type filter hook forward priority 0; }; }'",
    );
    let (findings, status) = examine(&lab, &[]);
    assert_eq!(find(&findings, None, "bypass").0, "warning");
    assert_eq!(status, Some(0), "warnings are no errors");
}

#[test]
fn the_kernels_nat_is_warned_of() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("doctor-nat").expect("a lab");
    let router = lab.router();
    // What translates nothing that is forwarded does not count.
    run(
        router,
        "nft add table ip knat && nft add chain ip knat own '{ type nat hook output priority -100; }'",
    );
    let mut firewall = Firewall::start(&lab, &["--fasttrack", "off", "--on-exit", "keep"]);
    let translators = |firewall: &Firewall<'_>| {
        let status: Value =
            serde_json::from_str(&firewall.text(&["status", "-o", "json"])).expect("JSON");
        status["nat"].as_array().expect("an array").clone()
    };
    let doctor = || {
        let (findings, status) = examine(&lab, &[]);
        assert_eq!(status, Some(0), "a warning is no error");
        findings.into_iter().find(|f| f["check"] == "nat")
    };
    assert!(translators(&firewall).is_empty());
    assert_eq!(doctor(), None);
    assert!(!firewall.text(&["status"]).contains("NAT: "));

    run(
        router,
        "nft add chain ip knat post '{ type nat hook postrouting priority 100; }'",
    );
    eventually("the chain is seen", || !translators(&firewall).is_empty());
    assert_eq!(translators(&firewall), ["table ip knat, chain post"]);
    let finding = doctor().expect("a finding");
    assert_eq!(finding["level"], "warning");
    let text = firewall.text(&["status"]);
    for said in [&text, finding["what"].as_str().expect("text")] {
        assert!(
            said.contains("the kernel translates addresses (table ip knat, chain post)"),
            "{said}"
        );
    }
    // Without a daemon, too.
    firewall.end(Signal::KILL);
    assert_eq!(translators(&firewall).len(), 1);
    firewall.run(&["--fasttrack", "off"]);
    run(router, "nft delete table ip knat");
    eventually("it is gone", || translators(&firewall).is_empty());
}

#[test]
fn virtual_wires_and_wrong_interfaces_are_named() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("doctor-wire").expect("a lab");
    let router = lab.router();
    // Both ends here, so that one can look at the other.
    run(
        router,
        "ip link add a0 type veth peer name b0 && ethtool -K a0 tso off",
    );
    let of_a0 = |check: &str| {
        let (findings, status) = examine(&lab, &["-i", "a0"]);
        let (level, mend) = find(&findings, Some("a0"), check);
        (level.to_owned(), mend.to_owned(), status)
    };
    let (level, mend, _) = of_a0("tx-checksum");
    assert_eq!(level, "warning");
    let (first, _) = mend.split_once(';').expect("two ways");
    run(router, first);
    assert_eq!(of_a0("tx-checksum").0, "ok");

    run(router, "ethtool -K a0 tso on");
    let (findings, _) = examine(&lab, &["-i", "a0"]);
    let hook = findings
        .iter()
        .find(|f| f["check"] == "hook")
        .expect("a hook");
    assert!(
        hook["what"].as_str().expect("text").contains("tc"),
        "{hook}"
    );

    let firewall = Firewall::start(&lab, &[]);
    let (findings, status) = examine(&lab, &[]);
    assert_eq!(status, Some(0));
    let names: Vec<_> = findings
        .iter()
        .filter_map(|f| f["interface"].as_str())
        .collect();
    assert!(
        names.contains(&"eth1") && !names.contains(&"a0"),
        "{names:?}"
    );
    let text = firewall.text(&["doctor"]);
    assert!(text.contains("filtered by us, native"), "{text}");
    drop(firewall);

    let output = fwctl(&lab, router).args(["doctor", "-i", "a1"]).output();
    let output = output.expect("running fwctl");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("`a1`") && said.contains("did you mean `a0`"),
        "{said}"
    );

    let (findings, status) = examine(&lab, &["-i", "lo"]);
    assert_eq!(find(&findings, Some("lo"), "link").0, "error");
    assert_eq!(status, Some(1));
}
