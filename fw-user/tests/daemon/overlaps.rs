//! Intervals that are added to sets, beside those that are there: as nft takes and refuses them.

use std::process::Output;

use xtask::lab::{Lab, root_or_skip};

use crate::fixture::{Daemon, fails, json, small, text};
use crate::lockout::login;
use crate::rng::Rng;
use crate::rules::{apply, file};

fn nft(lab: &Lab, command: &str) -> Output {
    let mut nft = lab.router().command("nft");
    nft.arg(command).output().expect("running nft")
}

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
    let nft = |command: &str| nft(&lab, command);
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
        ("merged", "192.168.0.0/24", None),
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
    assert_eq!(listed("merged"), serde_json::json!(["192.168.0.0/22"]));
    // What is in force is what is listed.
    for (set, element) in [("block", "192.168.1.0/24"), ("merged", "192.168.0.0/22")] {
        text(&lab, &["set", "delete", set, element]);
    }
    login(&lab, 4001)
        .echo(b"open")
        .expect("the address is in no set");
}

/// A prefix of 10.0.0.0/24.
fn prefix(rng: &mut Rng) -> String {
    let length = 26 + rng.below(7);
    let place = rng.below(256) >> (32 - length) << (32 - length);
    format!("10.0.0.{place}/{length}")
}

/// The addresses of 10.0.0.0/24 that prefixes and intervals, as they are printed, stand for.
fn covered<'a>(elements: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let number = |address: &str| -> u32 {
        let last = address.trim().rsplit('.').next();
        last.and_then(|last| last.parse().ok()).expect("an address")
    };
    let ranges = elements.map(|element| {
        let (first, last) = match (element.split_once('-'), element.split_once('/')) {
            (Some((first, last)), _) => (number(first), number(last)),
            (_, Some((first, length))) => {
                let length: u32 = length.trim().parse().expect("a length");
                (number(first), number(first) + (1 << (32 - length)) - 1)
            }
            _ => (number(element), number(element)),
        };
        first..=last
    });
    let mut all: Vec<u8> = ranges.flatten().map(|one| one as u8).collect();
    all.sort_unstable();
    all
}

#[test]
fn prefixes_that_come_and_go_at_random_are_taken_and_refused_as_by_nft() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("r-random").expect("a lab");
    let daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    let rules = "\
table inet fw {
	set block { type ipv4_addr; flags interval; elements = { 10.0.0.64/27, 10.0.0.3 } }
	set merged { type ipv4_addr; flags interval; auto-merge; elements = { 10.0.0.64/27, 10.0.0.3 } }
	chain c { ip saddr @block drop; ip saddr @merged drop; }
}
";
    let path = file(&lab, "random.nft", rules);
    apply(&lab, &path, &[]);
    let nft = |command: &str| nft(&lab, command);
    let path = path.to_str().expect("UTF-8");
    assert!(nft(&format!("include \"{path}\"")).status.success());
    let same_addresses = || {
        for set in ["block", "merged"] {
            let theirs = nft(&format!("list set inet fw {set}")).stdout;
            let theirs = String::from_utf8_lossy(&theirs).into_owned();
            let inside = theirs.split_once("elements = {").expect("elements").1;
            let inside = inside.split_once('}').expect("an end").0;
            let ours = json(&lab, &["set", "list", set, "-o", "json"]);
            let ours = ours.as_array().expect("a list").iter();
            let ours = covered(ours.filter_map(|element| element.as_str()));
            assert_eq!(ours, covered(inside.split(',')), "{set}");
        }
    };
    let mut rng = Rng::new(27);
    let mut play = |turns: usize| {
        let mut refused = 0;
        for turn in 0..turns {
            let element = prefix(&mut rng);
            let delete = rng.below(3) == 0;
            for set in ["block", "merged"] {
                // Of a merged interval nft deletes a part, which is another story.
                if delete && set == "merged" {
                    continue;
                }
                let verb = if delete { "delete" } else { "add" };
                let theirs = nft(&format!("{verb} element inet fw {set} {{ {element} }}"));
                let words = ["set", verb, set, &element];
                if theirs.status.success() {
                    drop(text(&lab, &words));
                } else {
                    refused += 1;
                    drop(fails(&lab, 1, &words));
                }
            }
            if turn % 10 == 0 {
                same_addresses();
            }
        }
        refused
    };
    let refused = play(60);
    assert!((10..50).contains(&refused), "{refused} of 60 were refused");
    // The next daemon has not loaded what is in the sets.
    drop(daemon);
    let _daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    play(20);
    same_addresses();
}
