//! The real `nft`, on the router of a lab.

use std::path::Path;
use std::process::Output;

use fw_user::rules::{Loaded, Options, Style, load_file, load_text, print_ruleset};
use xtask::lab::{Lab, root_or_skip};

/// A lab for nft; nothing if this test is skipped.
pub(crate) fn lab(name: &str) -> Option<Lab> {
    root_or_skip().then(|| Lab::up(name).expect("a lab"))
}

/// Runs nft on the router.
pub(crate) fn nft(lab: &Lab, arguments: &[&str]) -> Output {
    let mut command = lab.router().command("nft");
    command.args(arguments).output().expect("running nft")
}

/// What nft lists after it has loaded the file into an empty ruleset.
pub(crate) fn listed(lab: &Lab, file: &Path) -> Result<String, String> {
    let path = file.to_str().expect("UTF-8");
    let directory = file.parent().and_then(Path::to_str).expect("UTF-8");
    nft(lab, &["flush", "ruleset"]);
    let loaded = nft(lab, &["-I", directory, "-f", path]);
    if !loaded.status.success() {
        return Err(String::from_utf8_lossy(&loaded.stderr).into_owned());
    }
    let listed = nft(lab, &["list", "ruleset"]);
    Ok(String::from_utf8(listed.stdout).expect("UTF-8"))
}

/// Reads a file as `fwctl rules check -I` of its directory does.
pub(crate) fn read(file: &Path) -> Loaded {
    let include = file.parent().map(Path::to_path_buf);
    let options = Options {
        include: include.into_iter().collect(),
        ..Options::default()
    };
    load_file(file, &options)
}

/// The ruleset in nft's style.
///
/// # Panics
/// If there are mistakes.
pub(crate) fn printed(loaded: &Loaded) -> String {
    match &loaded.ruleset {
        Some(ruleset) => print_ruleset(ruleset, Style::default()),
        None => panic!("{}", loaded.report.render(false)),
    }
}

/// Reads what was printed, and prints it again: nothing may change.
pub(crate) fn assert_fixed_point(text: &str) {
    let again = printed(&load_text("printed", text));
    assert_eq!(again, text, "printed, read and printed again");
}
