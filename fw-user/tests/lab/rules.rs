//! The example rulesets: nftables accepts each; we refuse them by name until they can be compiled.

use std::path::{Path, PathBuf};

use xtask::lab::{Lab, root_or_skip};

use crate::firewall::{fwctl, run};

fn examples() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let files = std::fs::read_dir(dir)
        .expect("rules/")
        .map(|entry| entry.expect("an entry").path());
    files
        .filter(|path| path.extension().is_some_and(|kind| kind == "nft"))
        .collect()
}

#[test]
fn nft_accepts_every_example_where_its_interfaces_are() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("rules").expect("a lab");
    let examples = examples();
    assert!(!examples.is_empty(), "there are examples");
    for file in examples {
        run(lab.router(), &format!("nft -c -f '{}'", file.display()));
    }
}

#[test]
fn a_ruleset_is_refused_by_name_not_ignored() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("no-rules").expect("a lab");
    for file in examples() {
        let path = file.to_str().expect("UTF-8");
        let output = fwctl(&lab, lab.router())
            .args(["run", "-i", "eth0", "--rules", path])
            .output()
            .expect("running fwctl");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(path), "names the file: {said}");
        let link = run(lab.router(), "ip -d link show dev eth0");
        assert!(!link.contains("prog/xdp"), "nothing is attached: {link}");
    }
}
