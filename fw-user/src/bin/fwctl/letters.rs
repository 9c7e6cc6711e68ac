//! conntrack(8)'s way to name a command: a letter, anywhere among the options.

use std::ffi::{OsStr, OsString};

/// Letters, long names and the command each stands for. `-S` is a special case: scripts add up its
/// lines, one for each CPU, so it must not print the sum as another.
const LETTERS: [(&str, &str, &[&str]); 8] = [
    ("-L", "--dump", &["list"]),
    ("-G", "--get", &["get"]),
    ("-D", "--delete", &["delete"]),
    ("-F", "--flush", &["flush"]),
    ("-C", "--count", &["count"]),
    ("-S", "--stats", &["stats", "--per-cpu"]),
    ("-E", "--event", &["events"]),
    ("-U", "--update", &["update"]),
];

/// Global options that take a value: the command may stand behind them.
const GLOBALS: [&str; 4] = ["--socket", "--bpffs", "--state-dir", "--color"];

/// Rewrites `fwctl [GLOBALS] -p tcp -L` to `fwctl [GLOBALS] list -p tcp`. A line that names its
/// command by a word stays as it is.
pub(crate) fn to_commands(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<_> = args.collect();
    let place = command_place(&args);
    let is_option = |arg: &OsString| arg.as_encoded_bytes().starts_with(b"-");
    if !args.get(place).is_some_and(is_option) {
        return args;
    }
    let found = (place..args.len()).find_map(|at| Some((at, expansion(&args[at])?)));
    if let Some((at, words)) = found {
        args.remove(at);
        // Who says which of the two it shall be has said it.
        let is_said = args
            .iter()
            .any(|arg| arg == "--total" || arg == "--per-cpu");
        let words = words
            .iter()
            .filter(|word| !is_said || **word != "--per-cpu");
        args.splice(place..place, words.map(OsString::from));
    }
    args
}

fn expansion(arg: &OsStr) -> Option<&'static [&'static str]> {
    LETTERS
        .iter()
        .find(|(short, long, _)| arg == *short || arg == *long)
        .map(|(_, _, words)| *words)
}

/// Index of the first argument behind the program's name and the global options.
fn command_place(args: &[OsString]) -> usize {
    let mut place = 1;
    while let Some(arg) = args.get(place).and_then(|arg| arg.to_str()) {
        let name = arg.split('=').next().unwrap_or(arg);
        if !GLOBALS.contains(&name) {
            break;
        }
        place += if name == arg { 2 } else { 1 };
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, expected: &str) {
        let words = given.split(' ').map(OsString::from);
        let expected: Vec<_> = expected.split(' ').map(OsString::from).collect();
        assert_eq!(to_commands(words), expected, "{given}");
    }

    #[test]
    fn letters_become_commands() {
        check("fwctl -L", "fwctl list");
        check("fwctl -L -p tcp", "fwctl list -p tcp");
        check("fwctl -p tcp -L -o id", "fwctl list -p tcp -o id");
        check("fwctl --dump", "fwctl list");
        check("fwctl -S", "fwctl stats --per-cpu");
        check("fwctl -S --total", "fwctl stats --total");
        check("fwctl --per-cpu -S", "fwctl stats --per-cpu");
        check("fwctl -D -s 10.0.0.1", "fwctl delete -s 10.0.0.1");
        check("fwctl -E", "fwctl events");
    }

    #[test]
    fn globals_stay_in_front() {
        check("fwctl --bpffs /x -L", "fwctl --bpffs /x list");
        check(
            "fwctl --bpffs=/x --color never -C",
            "fwctl --bpffs=/x --color never count",
        );
    }

    #[test]
    fn words_are_left_alone() {
        check("fwctl list -p tcp", "fwctl list -p tcp");
        check("fwctl --socket -L list", "fwctl --socket -L list");
        check("fwctl --help", "fwctl --help");
        check("fwctl", "fwctl");
    }
}
