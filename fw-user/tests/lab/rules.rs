//! Rules beside nftables: it accepts each example, and lists quotas as we do.

use std::path::{Path, PathBuf};

use xtask::lab::{Lab, root_or_skip};

use crate::firewall::{Firewall, run};
use crate::sockets::udp;

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

const QUOTAS: &str = "\
table inet fw {
	quota month {
		100 mbytes
	}

	quota small {
		over 100 bytes
	}

	chain forward {
		type filter hook forward priority filter; policy accept;
		udp dport 53 quota name \"month\"
		udp dport 53 quota over 50 bytes drop
		udp dport 54 quota name \"small\" drop
		udp dport 55 quota until 5 kbytes used 1 kbytes
		udp dport 56 quota 5 kbytes
	}
}
";

/// The same packets go through both: ours let pass what the kernel's then see.
#[test]
fn quotas_are_listed_with_what_is_used_as_by_nft() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("quotas").expect("a lab");
    let firewall = Firewall::start(&lab, &["--fasttrack", "off"]);
    firewall.apply(QUOTAS);
    let file = lab.run_dir().join("quotas.nft");
    std::fs::write(&file, QUOTAS).expect("a file");
    run(lab.router(), &format!("nft -f '{}'", file.display()));
    for (port, size) in [(53, 10), (54, 72), (55, 1000)] {
        let udp = udp(&lab, 4000 + port, port);
        udp.query(&vec![7; size]).expect("an arrival");
    }
    let lines = |text: &str| -> Vec<String> {
        let told = text.lines().filter(|line| line.contains("bytes"));
        told.map(|line| line.trim().to_owned()).collect()
    };
    let theirs = lines(&run(lab.router(), "nft list ruleset"));
    assert_eq!(lines(&firewall.text(&["rules", "list"])), theirs);
    let used = theirs.iter().filter(|line| line.contains(" used "));
    assert_eq!(used.count(), 4, "{theirs:?}");
    // Without what changes, the text is that of the file.
    let stateless = lines(&firewall.text(&["rules", "list", "-s"]));
    assert_eq!(stateless, lines(&run(lab.router(), "nft -s list ruleset")));
}
