//! The example rulesets: nftables accepts each.

use std::path::{Path, PathBuf};

use xtask::lab::{Lab, root_or_skip};

use crate::firewall::run;

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
