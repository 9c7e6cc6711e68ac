//! Rulesets of a running daemon: applied, listed, compared, refused, kept.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use xtask::lab::{Lab, root_or_skip};

use crate::fixture::{Daemon, ask, fails, fwctl, json, sh, small, text, xdp_program};
use crate::lockout::login;

/// Accepts what is established and SSH, drops the rest.
pub(crate) const SSH_ONLY: &str = "\
table inet fw {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		tcp dport 22 counter accept comment \"ssh\"
	}
}
";

/// Closes the router to everybody.
pub(crate) const CLOSED: &str = "\
table inet fw {
	chain input {
		type filter hook input priority filter; policy drop;
	}
}
";

/// Writes a ruleset into the lab's directory.
pub(crate) fn file(lab: &Lab, name: &str, rules: &str) -> PathBuf {
    let path = lab.run_dir().join(name);
    std::fs::write(&path, rules).expect("a file");
    path
}

pub(crate) fn apply(lab: &Lab, file: &Path, more: &[&str]) -> String {
    let path = file.to_str().expect("UTF-8");
    text(lab, &[&["rules", "apply", path], more].concat())
}

#[test]
fn a_ruleset_is_applied_listed_compared_and_flushed() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("r-apply").expect("a lab");
    let _daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    assert_eq!(text(&lab, &["rules", "list"]), "");
    let path = file(&lab, "ssh.nft", SSH_ONLY);
    let said = apply(&lab, &path, &[]);
    assert!(said.starts_with("# new generation 1 by process "), "{said}");
    assert!(said.ends_with(" (fwctl)\n"), "{said}");

    // As nft lists the same file.
    sh(lab.router(), &format!("nft -f {}", path.display()));
    let nft = sh(lab.router(), "nft list ruleset && nft flush ruleset");
    assert_eq!(text(&lab, &["rules", "list"]), nft);
    assert_eq!(text(&lab, &["rules", "list", "-s"]), SSH_ONLY);
    let handles = text(&lab, &["rules", "list", "-a"]);
    assert!(
        handles.contains("accept comment \"ssh\" # handle "),
        "{handles}"
    );

    let listed = json(&lab, &["rules", "list", "-o", "json"]);
    assert_eq!(listed["generation"], 1);
    assert_eq!(listed["file"], path.to_str().expect("UTF-8"));
    let chain = &listed["tables"][0]["chains"][0];
    assert_eq!(
        (&chain["hook"], &chain["policy"]),
        (&"input".into(), &"drop".into())
    );
    assert_eq!(chain["rules"][1]["comment"], "ssh");
    assert_eq!(chain["rules"][1]["packets"], 0);
    assert_eq!(chain["rules"][1]["last"], serde_json::Value::Null);
    let status = json(&lab, &["status", "-o", "json"]);
    assert_eq!(status["rules"]["generation"], 1);

    let same = ask(&lab, &["rules", "diff", path.to_str().expect("UTF-8")]);
    assert_eq!(
        (same.status.code(), same.stdout.len()),
        (Some(0), 0),
        "{same:?}"
    );
    let other = file(&lab, "other.nft", &SSH_ONLY.replace("22", "2222"));
    let differs = ask(&lab, &["rules", "diff", other.to_str().expect("UTF-8")]);
    assert_eq!(differs.status.code(), Some(1));
    let diff = String::from_utf8(differs.stdout).expect("UTF-8");
    assert!(diff.contains("\n-\t\ttcp dport 22 counter"), "{diff}");
    assert!(diff.contains("\n+\t\ttcp dport 2222 counter"), "{diff}");

    let said = text(&lab, &["rules", "flush"]);
    assert!(said.starts_with("# new generation 2 "), "{said}");
    assert_eq!(text(&lab, &["rules", "list"]), "");
}

#[test]
fn what_is_wrong_changes_nothing() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("r-bad").expect("a lab");
    let _daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    apply(&lab, &file(&lab, "good.nft", SSH_ONLY), &[]);
    let before = listing(&lab);
    let in_chain = |rule: &str| SSH_ONLY.replace("tcp dport 22", rule);
    for (name, rules, expected) in [
        ("keyword", in_chain("tpc dport 22"), "keyword.nft:5:"),
        ("type", in_chain("tcp dport 1.2.3.4"), "type.nft:5:"),
        ("variable", in_chain("tcp dport $ssh"), "variable.nft:5:"),
        ("set", in_chain("ip saddr @nobody"), "set.nft:5:"),
        (
            "jump",
            SSH_ONLY.replace("accept comment", "jump nowhere comment"),
            "jump.nft:5:",
        ),
        (
            "loop",
            "table ip t {\n\tchain a {\n\t\tjump b\n\t}\n\tchain b {\n\t\tjump a\n\t}\n}\n".into(),
            "loop.nft:",
        ),
        (
            "nat",
            "table ip t {\n\tchain c {\n\t\ttype nat hook prerouting priority 0;\n\t}\n}\n".into(),
            "nat.nft:3:",
        ),
        (
            "include",
            "include \"nothing.nft\"\n".into(),
            "include.nft:1:",
        ),
        ("iif", in_chain("iif \"nope0\" tcp dport 22"), "nope0"),
        ("binary", "\u{0}\u{1}table".into(), "binary.nft:"),
    ] {
        let path = file(&lab, &format!("{name}.nft"), &rules);
        let output = ask(&lab, &["rules", "apply", path.to_str().expect("UTF-8")]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(
            said.contains(expected) && said.contains("Error"),
            "{name}: {said}"
        );
        assert!(output.stdout.is_empty(), "{name}");
    }
    let huge = lab.run_dir().join("huge.nft");
    let hole = std::fs::File::create(&huge).expect("a file");
    hole.set_len(100 << 20).expect("a hole of 100 MB");
    let output = ask(&lab, &["rules", "apply", huge.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let missing = ask(&lab, &["rules", "apply", "/nowhere/x.nft"]);
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
    fails(&lab, 2, &["rules", "apply", "x.nft", "--confirm", "0s"]);
    fails(&lab, 1, &["rules", "confirm"]);
    fails(&lab, 1, &["rules", "rollback"]);
    assert_eq!(listing(&lab), before);
}

/// What is in force, but for what packets change: a lab host speaks of its own accord, too.
fn listing(lab: &Lab) -> serde_json::Value {
    let mut all = json(lab, &["rules", "list", "-o", "json"]);
    uncount(&mut all);
    all
}

fn uncount(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            for name in ["packets", "bytes", "last"] {
                fields.remove(name);
            }
            fields.values_mut().for_each(uncount);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(uncount),
        _ => {}
    }
}

#[test]
fn rules_outlive_the_daemon_and_the_machine() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("r-boot").expect("a lab");
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    apply(&lab, &file(&lab, "ssh.nft", SSH_ONLY), &[]);
    login(&lab, 4001)
        .echo(b"counted")
        .expect("the connection works");
    let ssh = |listed: &serde_json::Value| {
        listed["tables"][0]["chains"][0]["rules"][1]["packets"]
            .as_u64()
            .expect("packets")
    };
    let before = json(&lab, &["rules", "list", "-o", "json"]);
    assert!(ssh(&before) > 0, "{before}");
    assert!(
        before["tables"][0]["chains"][0]["rules"][1]["last"].is_string(),
        "{before}"
    );

    // A new daemon goes on with the generation and its counters; without one they are shown, too.
    daemon.end(Signal::KILL);
    let alone = json(&lab, &["rules", "list", "-o", "json"]);
    assert_eq!(
        (&alone["generation"], ssh(&alone)),
        (&before["generation"], ssh(&before))
    );
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    let after = json(&lab, &["rules", "list", "-o", "json"]);
    assert_eq!(
        (&after["generation"], ssh(&after)),
        (&before["generation"], ssh(&before))
    );

    // Nothing is left of the maps: as after a restart of the machine.
    daemon.end(Signal::TERM);
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    assert_eq!(text(&lab, &["rules", "list", "-s"]), SSH_ONLY);

    // Rules that are named win; SIGHUP reads them again, and a bad file then changes nothing.
    daemon.end(Signal::TERM);
    let path = file(&lab, "named.nft", CLOSED);
    let named = path.to_str().expect("UTF-8");
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth0", "--rules", named]));
    assert_eq!(text(&lab, &["rules", "list", "-s"]), CLOSED);
    std::fs::write(&path, SSH_ONLY).expect("writing");
    daemon.signal(Signal::HUP);
    daemon.wait_for("reloaded");
    assert_eq!(text(&lab, &["rules", "list", "-s"]), SSH_ONLY);
    std::fs::write(&path, "table inet fw { chain").expect("writing");
    daemon.signal(Signal::HUP);
    daemon.wait_for("everything stays as it was");
    assert_eq!(text(&lab, &["rules", "list", "-s"]), SSH_ONLY);

    // At a start it is refused before anything is attached.
    daemon.end(Signal::TERM);
    let output = fwctl(&lab)
        .args(["run", "-i", "eth0", "--rules", named])
        .output()
        .expect("running fwctl");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("named.nft:1:"), "{said}");
    assert_eq!(xdp_program(&lab, "eth0"), None);
}

#[test]
fn sets_change_on_the_running_firewall() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("r-sets").expect("a lab");
    let _daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    let rules = "\
table inet fw {
	set blocklist {
		type ipv4_addr
		flags interval
		elements = { 203.0.113.0/24 }
	}

	set ports {
		type inet_service
		flags constant
		elements = { 22, 80 }
	}

	chain input {
		type filter hook input priority filter; policy accept;
		ip saddr @blocklist drop
		tcp dport @ports accept
	}
}
";
    apply(&lab, &file(&lab, "sets.nft", rules), &[]);
    let mut tcp = login(&lab, 4001);
    tcp.echo(b"open").expect("the connection works");
    text(
        &lab,
        &[
            "set",
            "add",
            "inet",
            "fw",
            "blocklist",
            "192.168.1.2",
            "198.51.100.0/25",
        ],
    );
    tcp.is_cut(b"shut").expect("live flows are judged anew");
    assert_eq!(
        json(&lab, &["set", "list", "blocklist", "-o", "json"]),
        serde_json::json!(["192.168.1.2", "198.51.100.0/25", "203.0.113.0/24"])
    );
    let listed = text(&lab, &["rules", "list"]);
    assert!(listed.contains("elements = { 192.168.1.2"), "{listed}");
    text(&lab, &["set", "delete", "blocklist", "192.168.1.2"]);
    login(&lab, 4002)
        .echo(b"open again")
        .expect("the connection works");

    for (words, expected) in [
        (
            &["add", "blocklst", "1.2.3.4"][..],
            "did you mean `blocklist`?",
        ),
        (
            &["add", "inet", "fv", "blocklist", "1.2.3.4"],
            "did you mean `inet fw`?",
        ),
        (&["add", "blocklist", "1.2.3.400"], "`1.2.3.400`"),
        (&["add", "blocklist", "2001:db8::1"], "`2001:db8::1`"),
        (&["add", "ports", "443"], "constant"),
    ] {
        let said = fails(&lab, 2, &[&["set"], words].concat());
        assert!(said.contains(expected), "{words:?}: {said}");
    }
    let said = fails(&lab, 1, &["set", "delete", "blocklist", "10.9.9.9"]);
    assert!(said.contains("element 10.9.9.9 is not in it"), "{said}");
    // Those behind one that is missing are removed all the same.
    let some = ["10.9.9.9", "203.0.113.0/24", "10.8.0.0/16"];
    let said = fails(
        &lab,
        1,
        &[&["set", "delete", "blocklist"], &some[..]].concat(),
    );
    let expected = "2 of 3 elements are not in it: 10.8.0.0/16, 10.9.9.9; the other 1 are removed";
    assert!(said.contains(expected), "{said}");
    assert_eq!(
        json(&lab, &["set", "list", "blocklist", "-o", "json"]),
        serde_json::json!(["198.51.100.0/25"])
    );

    let elements = file(&lab, "elements", "10.1.0.0/16 # one\n\n10.3.0.5\n");
    text(
        &lab,
        &[
            "set",
            "load",
            "blocklist",
            elements.to_str().expect("UTF-8"),
        ],
    );
    assert_eq!(
        json(&lab, &["set", "list", "blocklist", "-o", "json"]),
        serde_json::json!(["10.1.0.0/16", "10.3.0.5"])
    );
    text(&lab, &["set", "flush", "blocklist"]);
    assert_eq!(
        json(&lab, &["set", "list", "blocklist", "-o", "json"]),
        serde_json::json!([])
    );
    // A ruleset brings the elements of its file.
    apply(&lab, &file(&lab, "sets.nft", rules), &[]);
    assert_eq!(text(&lab, &["rules", "list"]), rules);
}
