//! Files that are accepted, and files that are refused.
//!
//! In `accept/`, nft must accept each, and list it as we print it, unless the file says `# nft lists this
//! otherwise`. In `refuse/`, each `# expect: …` stands in front of a line with that mistake, and there
//! are no others; nft refuses those whose name begins with `as-nft`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fw_user::rules::compile::{Lookup, compile};

use crate::nft::{assert_fixed_point, lab, listed, nft, printed, read};

/// A system that has every interface.
struct AnyInterface;

impl Lookup for AnyInterface {
    fn ifindex(&self, _name: &str) -> Option<u32> {
        Some(1)
    }

    fn hz(&self) -> u32 {
        1000
    }
}

fn files(directory: &str) -> Vec<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    let entries = std::fs::read_dir(path.join(directory)).expect("the corpus");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "nft"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there are files in {directory}");
    files
}

#[test]
fn what_is_accepted_reads_back() {
    for file in files("accept") {
        let loaded = read(&file);
        assert_fixed_point(&printed(&loaded));
    }
}

#[test]
fn nft_accepts_and_lists_the_same() {
    let Some(lab) = lab("corpus") else {
        return;
    };
    for file in files("accept") {
        let ours = printed(&read(&file));
        let theirs =
            listed(&lab, &file).unwrap_or_else(|said| panic!("{}: {said}", file.display()));
        let text = std::fs::read_to_string(&file).expect("the file");
        if !text.contains("# nft lists this otherwise") {
            assert_eq!(ours, theirs, "{}", file.display());
        }
        // nft reads what we print, and we read what it prints.
        let copy = lab.run_dir().join("printed.nft");
        std::fs::write(&copy, &ours).expect("a copy");
        listed(&lab, &copy).unwrap_or_else(|said| panic!("{}: {said}", file.display()));
        if !text.contains("# nft lists this otherwise") {
            assert_fixed_point(&theirs);
        }
    }
}

#[test]
fn our_examples_are_what_nft_lists() {
    let Some(lab) = lab("our-examples") else {
        return;
    };
    for file in files("../../../rules") {
        let loaded = read(&file);
        let ruleset = loaded.ruleset.as_ref().expect("no mistakes");
        assert_eq!(
            compile(ruleset, &AnyInterface).err(),
            None,
            "{}",
            file.display()
        );
        assert!(
            loaded.report.messages().is_empty(),
            "{}",
            loaded.report.render(false)
        );
        let ours = printed(&loaded);
        assert_fixed_point(&ours);
        let theirs =
            listed(&lab, &file).unwrap_or_else(|said| panic!("{}: {said}", file.display()));
        assert_eq!(ours, theirs, "{}", file.display());
    }
}

#[test]
fn all_mistakes_come_in_one_run_each_at_its_place() {
    for file in files("refuse") {
        let loaded = read(&file);
        assert!(loaded.ruleset.is_none(), "{}", file.display());
        let text = std::fs::read_to_string(&file).expect("the file");
        let mut expected = BTreeSet::new();
        for (number, line) in text.lines().enumerate() {
            if let Some(message) = line.trim().strip_prefix("# expect: ") {
                expected.insert((number + 2, message.to_owned()));
            }
        }
        let found: BTreeSet<(usize, String)> = loaded
            .report
            .messages()
            .into_iter()
            .filter(|message| message.severity == fw_user::rules::diag::Severity::Error)
            .map(|message| {
                let (line, _) = loaded.report.sources.position(message.span);
                (line as usize, message.message.clone())
            })
            .collect();
        assert_eq!(found, expected, "{}", file.display());
    }
}

#[test]
fn nft_refuses_each_of_those_rules_too() {
    let Some(lab) = lab("refused") else {
        return;
    };
    for file in files("refuse") {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("");
        if !name.starts_with("as-nft") {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("the file");
        let lines: Vec<&str> = text.lines().collect();
        let marked = |line: &&str| line.trim().starts_with("# expect: ");
        let rules: Vec<usize> = (1..lines.len())
            .filter(|at| marked(&lines[at - 1]))
            .collect();
        for rule in &rules {
            // The file with only this one of its mistakes.
            let alone: Vec<&str> = (0..lines.len())
                .filter(|at| at == rule || !rules.contains(at))
                .map(|at| lines[at])
                .collect();
            let copy = lab.run_dir().join("refused.nft");
            std::fs::write(&copy, alone.join("\n") + "\n").expect("a copy");
            let said = listed(&lab, &copy);
            assert!(said.is_err(), "nft accepts {:?} of {name}", lines[*rule]);
        }
    }
}

#[test]
fn nftables_own_examples_are_read_or_refused_by_name() {
    let Some(lab) = lab("examples") else {
        return;
    };
    let Ok(entries) = std::fs::read_dir("/usr/share/doc/nftables/examples") else {
        println!("SKIP nftables' examples are not installed");
        return;
    };
    let mut accepted = 0;
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|kind| kind != "nft") {
            continue;
        }
        let loaded = read(&path);
        if loaded.ruleset.is_none() {
            continue;
        }
        accepted += 1;
        // It names interfaces that this machine does not have, which nft can't.
        if path.ends_with("overview.nft") {
            continue;
        }
        let said = nft(&lab, &["-c", "-f", path.to_str().expect("UTF-8")]);
        assert!(said.status.success(), "{}: {said:?}", path.display());
    }
    assert!(accepted >= 8, "{accepted} examples are accepted");
}
