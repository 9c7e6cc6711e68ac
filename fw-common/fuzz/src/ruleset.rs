//! Any text as a ruleset.

use crate::rules::compile::{Lookup, compile};
use crate::rules::ir::Ruleset;
use crate::rules::{Style, load_text, print_ruleset};

/// A system that has every interface.
struct AnyInterface;

impl Lookup for AnyInterface {
    fn ifindex(&self, name: &str) -> Option<u32> {
        Some(1 + name.len() as u32)
    }

    fn hz(&self) -> u32 {
        250
    }
}

/// Reads, compiles and prints a ruleset: what was printed reads back and prints the
/// same, and compiles if the ruleset does.
///
/// # Panics
/// If something is not as it must be.
pub fn ruleset(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let loaded = load_text("fuzzed", text);
    let Some(ruleset) = loaded.ruleset else {
        assert!(
            !loaded.report.render(false).is_empty(),
            "refused without a word"
        );
        return;
    };
    let printed = print(&ruleset);
    let again = load_text("printed", &printed);
    let Some(reread) = again.ruleset else {
        panic!("{}\n{printed}", again.report.render(false));
    };
    assert_eq!(print(&reread), printed);
    let (compiled, recompiled) = (
        compile(&ruleset, &AnyInterface),
        compile(&reread, &AnyInterface),
    );
    // The instructions may differ: like nft's, our listing leaves out a match that the next one implies.
    assert_eq!(compiled.is_ok(), recompiled.is_ok(), "{printed}");
}

fn print(ruleset: &Ruleset) -> String {
    print_ruleset(ruleset, Style::default())
}
