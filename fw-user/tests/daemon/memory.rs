//! What the daemon keeps of rulesets with large sets.

use std::fmt::Write as _;

use xtask::lab::{Lab, root_or_skip};

use crate::fixture::{Daemon, small, text};
use crate::rules::{apply, file};

const ELEMENTS: u32 = 40_000;

/// A set of networks of which no two adjoin.
fn large() -> String {
    let mut elements = String::new();
    for n in 0..ELEMENTS {
        let [_, a, b, c] = (n * 2).to_be_bytes();
        let _ = write!(elements, "10{a}.{b}.{c}.0/24,");
    }
    format!(
        "table inet t {{\nset s {{\ntype ipv4_addr\nflags interval\nelements = {{ {elements} }}\n}}\n\
         chain f {{\ntype filter hook forward priority 0\nip saddr @s drop\n}}\n}}\n"
    )
}

/// Kilobytes of the daemon's own memory.
fn heap(daemon: &Daemon) -> u64 {
    let path = format!("/proc/{}/status", daemon.pid());
    let status = std::fs::read_to_string(path).expect("a process");
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    let text = line.and_then(|l| l.trim().strip_suffix(" kB"));
    text.and_then(|t| t.parse().ok()).expect("kilobytes")
}

#[test]
fn memory_of_rulesets_that_are_gone_comes_back() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("r-memory").expect("a lab");
    let daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    let before = heap(&daemon);
    let path = file(&lab, "large.nft", &large());
    let mut used = Vec::new();
    for _ in 0..3 {
        apply(&lab, &path, &[]);
        used.push(heap(&daemon).saturating_sub(before));
    }
    text(&lab, &["rules", "flush"]);
    let after = heap(&daemon).saturating_sub(before);
    println!("{before} kB, with the rules {used:?} kB more, after them {after} kB");
    // Nothing is there twice, and what was there is not kept for others.
    let each = u64::from(ELEMENTS) * 400 / 1024;
    assert!(used.iter().all(|kb| *kb < each), "{used:?} kB of {each}");
    assert!(after < each / 4, "{after} kB of {each}");
}
