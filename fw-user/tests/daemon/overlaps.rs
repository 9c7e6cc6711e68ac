//! Intervals that are added to sets, beside those that are there: as nft takes and refuses them.

use xtask::lab::{Lab, root_or_skip};

use crate::fixture::{Daemon, fails, json, small, text};
use crate::lockout::login;
use crate::rules::{apply, file};

#[test]
fn elements_that_overlap_with_those_in_the_set_are_refused_as_by_nft() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("r-overlap").expect("a lab");
    let _daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    let rules = "\
table inet fw {
	set block {
		type ipv4_addr
		flags interval
	}

	set ports {
		type inet_service
		flags interval
		elements = { 10-11 }
	}

	set merged {
		type ipv4_addr
		flags interval
		auto-merge
	}

	chain input {
		type filter hook input priority filter; policy accept;
		ip saddr @block drop
		ip saddr @merged drop
		tcp dport @ports drop
	}
}
";
    let path = file(&lab, "sets.nft", rules);
    apply(&lab, &path, &[]);
    let nft = |command: &str| {
        let mut nft = lab.router().command("nft");
        nft.arg(command).output().expect("running nft")
    };
    let path = path.to_str().expect("UTF-8");
    assert!(nft(&format!("include \"{path}\"")).status.success());
    // Both have hooks: what nft drops proves nothing about us.
    assert!(nft("flush chain inet fw input").status.success());

    for (set, element, there) in [
        ("block", "192.168.1.0/24", None),
        ("block", "192.168.1.2", Some("192.168.1.0/24")),
        ("block", "192.168.0.0/16", Some("192.168.1.0/24")),
        ("block", "192.168.1.200-192.168.2.5", Some("192.168.1.0/24")),
        ("block", "192.168.1.0/24", None),
        ("block", "192.168.3.0/24", None),
        ("ports", "10-15", Some("10-11")),
        ("ports", "5-10", Some("10-11")),
        ("ports", "12-15", None),
        ("merged", "192.168.1.0/24", None),
        ("merged", "192.168.1.2", None),
        ("merged", "192.168.1.200-192.168.2.255", None),
        ("merged", "192.168.3.0/24", None),
    ] {
        let theirs = nft(&format!("add element inet fw {set} {{ {element} }}"));
        let words = ["set", "add", set, element];
        assert_eq!(theirs.status.success(), there.is_none(), "{words:?}");
        match there {
            None => drop(text(&lab, &words)),
            Some(there) => {
                let said = fails(&lab, 1, &words);
                let expected = format!("overlaps with an existing one, {there}");
                assert!(said.contains(&expected), "{words:?}: {said}");
            }
        }
    }
    let listed = |set| json(&lab, &["set", "list", set, "-o", "json"]);
    assert_eq!(
        listed("block"),
        serde_json::json!(["192.168.1.0/24", "192.168.3.0/24"])
    );
    assert_eq!(
        listed("merged"),
        serde_json::json!(["192.168.1.0-192.168.3.255"])
    );
    // What is in force is what is listed.
    for (set, element) in [
        ("block", "192.168.1.0/24"),
        ("merged", "192.168.1.0-192.168.3.255"),
    ] {
        text(&lab, &["set", "delete", set, element]);
    }
    login(&lab, 4001)
        .echo(b"open")
        .expect("the address is in no set");
}
